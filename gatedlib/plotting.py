"""Plots: one function per kind of picture, from results to axes.

Colours have a fixed meaning throughout: one for each task and for the path that serves it, one for the flexible and
one for the forgetful network (which is also dashed). Where several seeds are shown, the line is their median and the
band holds the middle 80 % of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from importlib.resources import files
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from gatedlib import _check, metrics, transfer
from gatedlib._asked import checked_experiment
from gatedlib._measuring import needs, of_seed
from gatedlib.experiment import Experiment

TASK_COLORS = ("#0072B2", "#D55E00", "#B8860B", "#56B4E9", "#7A3E9D", "#333333")
FLEXIBLE = {"color": "#008060", "label": "flexible"}
FORGETFUL = {"color": "#5F6B76", "label": "forgetful", "linestyle": "--"}


def use_style() -> None:
    """Give all figures of this session the look of the book."""
    mpl.style.use(str(files("gatedlib") / "gatedlib.mplstyle"))


def task_name(task: int) -> str:
    """Tasks are called A, B, C, … in pictures.

    Example:
        >>> from gatedlib.plotting import task_name
        >>> task_name(1)
        'B'
    """
    return chr(ord("A") + int(task))


def task_color(task: int) -> str:
    """The colour of a task, and of the path that serves it."""
    return TASK_COLORS[int(task) % len(TASK_COLORS)]


def _made_of(results: xr.Dataset) -> np.ndarray:
    """How much of each component is in each composite, shape (composite, component)."""
    drawn = results.teachers.isel(seed=0).transpose("task", ...).values
    flat, components = drawn.reshape(len(drawn), -1), metrics.components(results).sizes["task"]
    return np.linalg.lstsq(flat[:components].T, flat[components:].T)[0].T


def task_names(results: xr.Dataset) -> list[str]:
    """What the tasks of a run are called: A, B, C, … for components, and for composites the letters of their parts.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Sums(gl.Orthogonal(), [(0.5, 0.5)]), gl.GatedLinear(), gl.Blocked(blocks=2),
        ...     gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=1)
        >>> gl.plotting.task_names(results)
        ['A', 'B', 'AB']
    """
    shares = _made_of(results)
    components = [task_name(task) for task in range(shares.shape[1])]
    composites = ["".join(np.array(components)[abs(share) > 1e-3]) for share in shares]
    return components + composites


def shade_blocks(results: xr.Dataset, ax: Axes, names: bool = True) -> Axes:
    """Tint the background of each block with the colour of its task; name the tasks above the first round."""
    dt, called = results.attrs["flow.dt"], task_names(results) if names else []
    named: set[int] = set()
    for start, stop, task in zip(results.block_start, results.block_stop, results.block_task.values, strict=True):
        left, right = float(start) * dt, float(stop) * dt
        ax.axvspan(left, right, color=task_color(task), alpha=0.10, linewidth=0)
        if names and int(task) not in named:
            middle, on_top = (left + right) / 2, ax.get_xaxis_transform()
            turned: dict[str, Any] = {"rotation": 90, "fontsize": 7} if len(called[task]) > 1 else {}
            color = task_color(task)
            ax.text(middle, 1.02, called[task], color=color, transform=on_top, ha="center", va="bottom", **turned)
            named.add(int(task))
    ax.set_xlim(0, float(results.block_stop[-1]) * dt)
    ax.set_xlabel("time")
    return ax


def over_seeds(values: xr.DataArray, ax: Axes, **line: Any) -> Axes:
    """Median and middle 80 % over seeds, along the one other dimension."""
    (along,) = (dim for dim in values.dims if dim != "seed")
    quantiles = values.quantile([0.1, 0.5, 0.9], "seed")
    (drawn,) = ax.plot(values[along], quantiles.sel(quantile=0.5), **line)
    band = quantiles.sel(quantile=0.1), quantiles.sel(quantile=0.9)
    ax.fill_between(values[along], *band, color=drawn.get_color(), alpha=0.2, linewidth=0)
    return ax


def loss(results: xr.Dataset, ax: Axes | None = None, **line: Any) -> Axes:
    """Loss over time."""
    needs(results, "loss")
    ax = ax or plt.gca()
    over_seeds(results.loss, ax, **line)
    ax.set_ylabel("loss")
    ax.set_ylim(bottom=0)
    return ax


def gates(results: xr.Dataset, ax: Axes | None = None) -> Axes:
    """The gate of each path over time, in the colour of the task that the path serves; one line for each output."""
    needs(results, "gates")
    rule, remedy = "gates of paths are drawn over time", "Use plotting.second_layer for those of hidden units"
    _check.require("path" in results.gates.dims, "dims of gates", results.gates.dims, rule, remedy)
    ax = ax or plt.gca()
    serving = None if "alignment" in results else metrics.matching_by_gates(results)
    matched = metrics.relabelled(results, serving)
    for path in range(matched.sizes["path"]):
        gates = matched.gates.isel(path=path)
        line: dict[str, Any] = {"color": task_color(path), "label": f"path for {task_name(path)}"}
        if "out" not in gates.dims:
            over_seeds(gates, ax, **line)
        else:  # a band for each output would hide the others
            lines = ax.plot(gates.time, gates.median("seed").transpose("time", "out"), linewidth=0.8, **line)
            plt.setp(lines[1:], label="_")
    ax.set_ylabel("gate")
    return ax


def alignment(results: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Alignment of each teacher with the path that serves it (solid) and with the others (dotted)."""
    ax = ax or plt.gca()
    matched = metrics.components(metrics.relabelled(results))
    for task in range(matched.sizes["task"]):
        for path in range(matched.sizes["path"]):
            own = task == path
            label = f"teacher {task_name(task)} with " + (
                "its own path" if own else "the other" if matched.sizes["path"] == 2 else f"path {path + 1}"
            )
            values = matched.alignment.isel(task=task, path=path)
            values = values.mean("out") if "out" in values.dims else values
            over_seeds(values, ax, color=task_color(task), linestyle="-" if own else ":", label=label)
    ax.set_ylabel("alignment")
    return ax


def per_block(values: xr.DataArray, ax: Axes | None = None, **line: Any) -> Axes:
    """A quantity of each block against the block's number."""
    ax = ax or plt.gca()
    over_seeds(values, ax, marker="o", markersize=3.5, **line)
    ax.set_xlabel("block")
    return ax


def recoveries(results: xr.Dataset, ax: Axes | None = None, until: float = 1.0) -> Axes:
    """Loss after each switch (median over seeds), all blocks on top of each other: pale at first, dark at last."""
    needs(results, "loss")
    ax = ax or plt.gca()
    dt = results.attrs["flow.dt"]
    typical = results.loss.median("seed")
    shades = plt.get_cmap("viridis_r")(np.linspace(0.08, 1.0, results.sizes["block"]))
    blocks = zip(results.block_start.values, results.block_stop.values, shades, strict=True)
    for number, (start, stop, shade) in enumerate(blocks, start=1):
        inside = typical.where((typical.step >= start) & (typical.step < stop), drop=True)
        label = f"block {number}" if number in (1, results.sizes["block"]) else None
        ax.plot((inside.step - start) * dt, inside, color=shade, linewidth=1.4, label=label)
    ax.set(xlim=(0, until), xlabel="time since the switch", ylabel="loss")
    ax.set_ylim(bottom=0)
    return ax


def grid(values: xr.DataArray, ax: Axes | None = None, vmin: float = 0.5, vmax: float = 1.0, digits: int = 2) -> Axes:
    """A small table of numbers over two swept settings, first down, second across, each cell tinted by its number.

    Args:
        values: dims (down, across).
        ax: where to draw.
        vmin: the number of the palest tint.
        vmax: the number of the darkest tint.
        digits: how many digits of each number to write after the point.
    """
    down, across = _two_settings(values)
    ax = ax or plt.gca()
    ax.imshow(values, cmap="Greens", vmin=vmin, vmax=vmax + 0.35 * (vmax - vmin), aspect="auto")
    for (row, column), value in np.ndenumerate(values.values):
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=8, color="#222222")
    for axis, dim in ((ax.xaxis, across), (ax.yaxis, down)):
        told = [value if isinstance(value, str) else f"{value:g}" for value in values[dim].values.tolist()]
        axis.set_ticks(range(values.sizes[dim]), told)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=setting_name(across), ylabel=setting_name(down))
    return ax


def _two_settings(values: xr.DataArray) -> tuple[Hashable, ...]:
    remedy = 'Average over seeds: values.mean("seed")'
    _check.require(values.ndim == 2, "dims of values", values.dims, "must be two, (up or down, across)", remedy)
    return values.dims


def phase_diagram(values: xr.DataArray, ax: Axes | None = None, log: str = "") -> Axes:
    """A fine map of a number from 0 to 1 over two swept settings, first up, second across.

    Args:
        values: dims (up, across).
        ax: where to draw.
        log: which axes are logarithmic: "", "x", "y" or "xy".
    """
    up, across = _two_settings(values)
    ax = ax or plt.gca()
    ax.pcolormesh(
        values[across], values[up], values, cmap="Greens", vmin=0, vmax=1.35, shading="nearest", rasterized=True
    )
    ax.set(xlabel=setting_name(across), ylabel=setting_name(up))
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    return ax


def plane(results: xr.Dataset, ax: Axes | None = None, time: float = 0.0, seed: int = 0) -> Axes:
    """Paths and output of a small network, two outputs and one input, in the plane of its teachers at some time.

    Rings are the teachers. An arrow is the weights of a path, as dark as its gate is open. The black dot is the
    output, and the line behind it the way that it has come.

    Args:
        results: a run with `gates` and `weights` recorded.
        ax: where to draw.
        time: the moment; the nearest frame is shown.
        seed: which seed of the run.

    Source: paper, Fig. 4A-D.
    """
    needs(results, "gates", "weights")
    inputs, outputs = (results.sizes[dim] for dim in ("in", "out"))
    rule, remedy = "a plane has two", "Use teachers of two outputs and one input, such as Given(np.eye(2)[:, :, None])"
    _check.require((outputs, inputs) == (2, 1), "outputs and inputs", (outputs, inputs), rule, remedy)
    ax = ax or plt.gca()
    shown = of_seed(results, seed)
    now = shown.sel(time=time, method="nearest")
    for task, teacher in enumerate(shown.teachers.values[..., 0]):
        ax.plot(*teacher, marker="o", markersize=11, color="none", markeredgecolor=task_color(task))
        ax.annotate(task_name(task), teacher, (7, 7), textcoords="offset points", color=task_color(task))
    for path, (gate, weights) in enumerate(zip(now.gates.values, now.weights.values[..., 0], strict=True)):
        color, strength = task_color(path), float(np.clip(0.25 + 0.75 * gate, 0.25, 1.0))
        style = {"arrowstyle": "-|>", "color": color, "alpha": strength, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", weights, (0, 0), arrowprops=style)
    outputs = (shown.gates * shown.weights).sum("path").isel({"in": 0}).transpose("time", "out")
    ax.plot(*outputs.where(outputs.time <= now.time, drop=True).values.T, color="#222222", linewidth=1)
    ax.plot(*outputs.sel(time=now.time).values, marker="o", markersize=5, color="#222222")
    ax.set(xlim=(-0.25, 1.25), ylim=(-0.25, 1.25), aspect="equal", xticks=(0, 1), yticks=(0, 1))
    return ax


def mixture_plane(results: xr.Dataset, ax: Axes | None = None, seed: int = 0) -> Axes:
    """All mixtures of three tasks as a triangle, and the triangle of the trained paths around it.

    Rings are the tasks, diamonds are composites, and filled dots are paths, each at the mixture that it is made of.
    What gates that are nonnegative and add up to one can express lies in the triangle of paths.

    Args:
        results: a trained run with three components and at least three paths; their weights must add up to about one.
        ax: where to draw.
        seed: which seed of the run.
    """
    parts = of_seed(transfer.parts(results), seed)
    tasks, remedy = parts.sizes["task"], "Use teachers such as Orthogonal(tasks=3)"
    _check.require(tasks == 3, "tasks that are no composites", tasks, "a triangle has three", remedy)
    ax = ax or plt.gca()
    corners = np.array([[0.0, 1.0], [0.75**0.5, -0.5], [-(0.75**0.5), -0.5]])  # A on top, then clockwise
    paths = parts.values @ corners
    order = np.argsort(np.arctan2(*(paths - paths.mean(0)).T))
    ax.fill(*paths[order].T, color="#333333", alpha=0.08)
    ax.fill(*paths[order].T, color="none", edgecolor="#333333", linewidth=1.2)
    ax.plot(*paths.T, "o", color="#333333", markersize=6, label="paths")
    ax.fill(*corners.T, color="none", edgecolor="#999999", linewidth=1.0, linestyle="--")
    for task, corner in enumerate(corners):
        ax.plot(*corner, marker="o", markersize=11, color="none", markeredgecolor=task_color(task), markeredgewidth=1.6)
        ax.annotate(task_name(task), 1.3 * corner, color=task_color(task), ha="center", va="center")
    ax.plot(*(_made_of(results) @ corners).T, "D", color="#7A3E9D", markersize=5, label="composites")
    ax.set(aspect="equal", xlim=(-2.0, 2.0), ylim=(-2.1, 1.9))
    ax.axis("off")
    return ax


def second_layer(gates: xr.DataArray, ax: Axes | None = None, vmax: float = 0.35) -> Axes:
    """The sizes of a second layer's weights, one row for each output, one column for each hidden unit.

    Args:
        gates: dims hidden and out; choose one seed and time of a run.
        ax: where to draw.
        vmax: the size of the darkest weights.

    Source: paper, Fig. 6.
    """
    rule, remedy = "must be hidden and out", "Choose with results.gates.isel(seed=0, time=-1)"
    _check.require(set(gates.dims) == {"hidden", "out"}, "dims of gates", gates.dims, rule, remedy)
    ax = ax or plt.gca()
    ax.imshow(abs(gates).transpose("out", "hidden"), cmap="Greens", vmin=0, vmax=vmax)
    ax.set(xlabel="hidden unit", ylabel="output", xticks=[], yticks=[])
    ax.grid(False)
    return ax


def judged(right: bool) -> tuple[str, str]:
    """The mark and the colour of an answer."""
    return (" ✓", FLEXIBLE["color"]) if right else (" ✗", "#A6341B")


def answer(image: np.ndarray, text: str, right: bool | None = None, ax: Axes | None = None) -> Axes:
    """A picture with what it is called below, with a mark and a colour that say whether that is right."""
    ax = ax or plt.gca()
    mark, color = ("", "#222222") if right is None else judged(right)
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(text + mark, color=color, fontsize=9)
    return ax


def setting_name(setting: Hashable) -> str:
    """A setting as it is called on axes.

    Example:
        >>> from gatedlib.plotting import setting_name
        >>> setting_name("block_length")
        'block length'
    """
    known = {"tau_c": r"gate time constant $\tau_c$", "tau_w": r"weight time constant $\tau_w$"}
    return known.get(str(setting), str(setting).replace("_", " "))


def curriculum(experiment: Experiment, ax: Axes | None = None) -> Axes:
    """The blocks of an experiment's curriculum on a time line."""
    checked_experiment(experiment)
    ax = ax or plt.gca()
    schedule, dt = experiment.schedule(), float(experiment.flow.dt)
    for start, stop, task in zip(schedule.start, schedule.stop, schedule.block_tasks, strict=True):
        ax.barh(0, (stop - start) * dt, left=start * dt, color=task_color(task), edgecolor="white", height=0.6)
        middle = (start + stop) / 2 * dt
        ax.text(middle, 0, task_name(task), color="white", ha="center", va="center", fontweight="bold")
    ax.set(xlim=(0, schedule.stop[-1] * dt), ylim=(-0.5, 0.5), yticks=[], xlabel="time")
    ax.spines["left"].set_visible(False)
    return ax


def network(paths: int, ax: Axes | None = None, gates: Sequence[float] | None = None) -> Axes:
    """A gated linear network: input, one weight matrix and one gate per path, sum, output.

    Args:
        paths: how many paths.
        ax: where to draw.
        gates: how far each gate is open, 0 to 1; a path is drawn as strongly as its gate is open.
    """
    _check.whole("paths", paths, 1, "The paper's Fig. 1 has 2")
    ax = ax or plt.gca()
    ax.set(xlim=(0, 10), ylim=(0, 2.4 * paths), aspect="equal")
    ax.axis("off")
    middle = 1.2 * paths
    _box(ax, 0.8, middle, "$x$", "#444444")
    _box(ax, 7.9, middle, r"$\Sigma$", "#444444")
    ax.text(9.4, middle, "$y$", ha="center", va="center", fontsize=13)
    _arrow(ax, (8.5, middle), (9.1, middle), "#444444", 1.0)
    for path in range(paths):
        height = 2.4 * (paths - path) - 1.2
        strength = 1.0 if gates is None else float(np.clip(gates[path], 0.12, 1.0))
        color = task_color(path)
        _arrow(ax, (1.4, middle), (2.6, height), color, strength)
        _box(ax, 3.3, height, f"$W_{path + 1}$", color, strength)
        _arrow(ax, (4.0, height), (4.9, height), color, strength)
        ax.plot(5.5, height, marker="o", markersize=26, color="white", markeredgecolor=color, alpha=strength)
        written = f"$c_{path + 1}$" if gates is None else f"{gates[path]:.1f}"
        ax.text(5.5, height, written, ha="center", va="center", color=color, fontsize=11, alpha=max(strength, 0.6))
        _arrow(ax, (6.1, height), (7.3, middle), color, strength)
    return ax


def _box(ax: Axes, x: float, y: float, text: str, color: str, strength: float = 1.0) -> None:
    outline = FancyBboxPatch(
        (x - 0.55, y - 0.55), 1.1, 1.1, boxstyle="round,pad=0.05", fc="white", ec=color, lw=1.6, alpha=strength
    )
    ax.add_patch(outline)
    ax.text(x, y, text, ha="center", va="center", color=color, fontsize=13, alpha=max(strength, 0.6))


def _arrow(ax: Axes, tail: tuple[float, float], head: tuple[float, float], color: str, strength: float) -> None:
    width = 0.8 + 1.8 * strength
    ax.add_patch(
        FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=11, color=color, lw=width, alpha=strength)
    )
