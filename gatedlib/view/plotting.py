"""Plots: one function per kind of picture, from results to axes.

Colours have a fixed meaning throughout: one for each task and for the path that serves it, one for the flexible and
one for the forgetful network (which is also dashed). Where several seeds are shown, the line is their median and the
band holds the middle 80 % of them.

Example:
    >>> import matplotlib.pyplot as plt
    >>> figure, ax = plt.subplots()
    >>> gl.plotting.shade_blocks(results, gl.plotting.loss(results, ax)).get_ylabel()
    'loss'
    >>> plt.close(figure)
"""

from __future__ import annotations

from collections.abc import Hashable
from importlib.resources import files
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from gatedlib._internal.validation import refusal
from gatedlib.analysis import metrics
from gatedlib.analysis.units import outputs_share_units, unit_dim
from gatedlib.simulation.completeness import require_blocks
from gatedlib.simulation.runs import dt_of, runs_of, single_run
from gatedlib.view.diagrams import answer, curriculum, judged, mixture_plane, network, plane, second_layer
from gatedlib.view.style import FLEXIBLE, FORGETFUL, TASK_COLORS, task_color, task_name, task_names

__all__ = [
    "FLEXIBLE",
    "FORGETFUL",
    "TASK_COLORS",
    "alignment",
    "answer",
    "curriculum",
    "gates",
    "grid",
    "judged",
    "loss",
    "mixture_plane",
    "network",
    "over_seeds",
    "per_block",
    "phase_diagram",
    "plane",
    "recoveries",
    "second_layer",
    "setting_name",
    "shade_blocks",
    "task_color",
    "task_name",
    "task_names",
    "use_style",
]


def use_style() -> None:
    """Give all figures of this session the look of the book, whatever a `matplotlibrc` or an earlier style set."""
    mpl.style.use(["default", str(files("gatedlib.view") / "gatedlib.mplstyle")])


def shade_blocks(results: xr.Dataset, ax: Axes, names: bool = True) -> Axes:
    """Tint the background of each block with the colour of its task; name the tasks above the first round.

    Args:
        results: a run, for its table of blocks.
        ax: where to draw.
        names: whether to name the tasks.

    Returns:
        The axes.
    """
    run = single_run(results, "teachers")
    require_blocks(run)
    dt, labels = dt_of(run), task_names(results) if names else []
    named: set[int] = set()
    for start, stop, task in zip(run.block_start, run.block_stop, run.block_task.values, strict=True):
        left, right = float(start) * dt, float(stop) * dt
        ax.axvspan(left, right, color=task_color(task), alpha=0.10, linewidth=0)
        if names and int(task) not in named:
            middle, on_top = (left + right) / 2, ax.get_xaxis_transform()
            # the names of composites have several letters, which side by side would overlap
            upright: dict[str, Any] = {"rotation": 90, "fontsize": 7} if len(labels[task]) > 1 else {}
            color = task_color(task)
            ax.text(middle, 1.02, labels[task], color=color, transform=on_top, ha="center", va="bottom", **upright)
            named.add(int(task))
    ax.set_xlim(0, runs_of(run)[0].steps * dt)
    ax.set_xlabel("time")
    return ax


def over_seeds(values: xr.DataArray, ax: Axes, **line: Any) -> Axes:
    """Median and middle 80 % over seeds, along the one other dimension.

    Args:
        values: dims seed and one other.
        ax: where to draw.
        **line: how the line looks, as in `Axes.plot`.

    Returns:
        The axes.
    """
    if len(values.dims) != 2 or "seed" not in values.dims:
        remedy = "Average over the others, or choose along them"
        raise refusal("dims of values", values.dims, "must be seed and one other", remedy)
    (along,) = (dim for dim in values.dims if dim != "seed")
    # with skipna xarray sorts each point by itself, fifty times as slowly
    quantiles = values.quantile([0.1, 0.5, 0.9], "seed", skipna=bool(values.isnull().any()))
    (drawn,) = ax.plot(values[along], quantiles.sel(quantile=0.5), **line)
    band = quantiles.sel(quantile=0.1), quantiles.sel(quantile=0.9)
    ax.fill_between(values[along], *band, color=drawn.get_color(), alpha=0.2, linewidth=0)
    return ax


def loss(results: xr.Dataset, ax: Axes | None = None, **line: Any) -> Axes:
    """Loss over time.

    Args:
        results: a run with `loss` recorded.
        ax: where to draw; the current axes unless given.
        **line: how the line looks, as in `Axes.plot`.

    Returns:
        The axes.

    Raises:
        ValueError: if `loss` was not recorded.

    Source: paper, Fig. 2A.
    """
    run = single_run(results, "loss")
    ax = ax or plt.gca()
    over_seeds(run.loss, ax, **line)
    ax.set_ylabel("loss")
    ax.set_ylim(bottom=0)
    return ax


def gates(results: xr.Dataset, ax: Axes | None = None) -> Axes:
    """The gate of each path over time, in the colour of the task that the path serves; one line for each output.

    Args:
        results: a run with `gates` recorded, and with `alignment` unless its tasks are labellings.
        ax: where to draw; the current axes unless given.

    Returns:
        The axes.

    Raises:
        ValueError: if a quantity was not recorded, or the gates are those of hidden units.

    Source: paper, Fig. 2B.
    """
    run = single_run(results, "gates", *(name for name in ("alignment",) if name in results))
    if outputs_share_units(run):
        remedy = "Use plotting.second_layer for those of hidden units"
        raise refusal("dims of gates", run.gates.dims, "gates of paths are drawn over time", remedy)
    ax = ax or plt.gca()
    # labellings are no matrices with which paths could be aligned
    path_of_task = None if "alignment" in run else metrics.matching_by_gates(run)
    matched = metrics.reorder_paths(run, path_of_task)
    for path in range(matched.sizes[unit_dim(run)]):
        gates = matched.gates.isel({unit_dim(run): path})
        line: dict[str, Any] = {"color": task_color(path), "label": f"path for {task_name(path)}"}
        if "out" not in gates.dims:
            over_seeds(gates, ax, **line)
        else:  # a band for each output would hide the others
            lines = ax.plot(gates.time, gates.median("seed").transpose("time", "out"), linewidth=0.8, **line)
            plt.setp(lines[1:], label="_")
    ax.set_ylabel("gate")
    return ax


def alignment(results: xr.Dataset, ax: Axes | None = None) -> Axes:
    """Alignment of each teacher with the path that serves it (solid) and with the others (dotted).

    Args:
        results: a run with `alignment` recorded.
        ax: where to draw; the current axes unless given.

    Returns:
        The axes.

    Raises:
        ValueError: if `alignment` was not recorded.

    Source: paper, Fig. 2C.
    """
    run = single_run(results, "alignment")
    if outputs_share_units(run):
        remedy = "Use plotting.second_layer for hidden units"
        raise refusal("dims of alignment", run.alignment.dims, "alignment with paths is drawn over time", remedy)
    ax = ax or plt.gca()
    matched = metrics.components(metrics.reorder_paths(run))
    paths = matched.sizes[unit_dim(run)]
    for task in range(matched.sizes["task"]):
        for path in range(paths):
            own = task == path
            label = f"teacher {task_name(task)} with " + (
                "its own path" if own else "the other" if paths == 2 else f"path {path + 1}"
            )
            values = matched.alignment.isel({"task": task, unit_dim(run): path})
            values = values.mean("out") if "out" in values.dims else values
            over_seeds(values, ax, color=task_color(task), linestyle="-" if own else ":", label=label)
    ax.set_ylabel("alignment")
    return ax


def per_block(values: xr.DataArray, ax: Axes | None = None, **line: Any) -> Axes:
    """A quantity of each block against the block's number.

    Args:
        values: dims seed and block, as `metrics.time_to_criterion` gives them.
        ax: where to draw; the current axes unless given.
        **line: how the line looks, as in `Axes.plot`.

    Returns:
        The axes.

    Source: paper, Fig. 2F.
    """
    ax = ax or plt.gca()
    over_seeds(values, ax, marker="o", markersize=3.5, **line)
    ax.set_xlabel("block")
    return ax


def recoveries(results: xr.Dataset, ax: Axes | None = None, until: float = 1.0) -> Axes:
    """Loss after each switch (median over seeds), all blocks on top of each other: pale at first, dark at last.

    Args:
        results: a run with `loss` recorded.
        ax: where to draw; the current axes unless given.
        until: the time since the switch at the right end.

    Returns:
        The axes.

    Raises:
        ValueError: if `loss` was not recorded.

    Source: this library.
    """
    run = single_run(results, "loss")
    require_blocks(run)
    ax = ax or plt.gca()
    dt = dt_of(run)
    typical = run.loss.median("seed")
    shades = plt.get_cmap("viridis_r")(np.linspace(0.3, 1.0, run.sizes["block"]))
    blocks = zip(run.block_start.values, run.block_stop.values, shades, strict=True)
    for number, (start, stop, shade) in enumerate(blocks, start=1):
        inside = typical.where((typical.step >= start) & (typical.step < stop), drop=True)
        label = f"block {number}" if number in (1, run.sizes["block"]) else None
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

    Returns:
        The axes.

    Raises:
        ValueError: if the values have other than two dims.

    Source: paper, Fig. 5.
    """
    down, across = _two_settings(values)
    ax = ax or plt.gca()
    # the colours end beyond the highest number, so that black digits can be read on the darkest tint
    ax.imshow(values, cmap="Greens", vmin=vmin, vmax=vmax + 0.35 * (vmax - vmin), aspect="auto")
    for (row, column), value in np.ndenumerate(values.values):
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", fontsize=8, color="#222222")
    for axis, dim in ((ax.xaxis, across), (ax.yaxis, down)):
        labels = [value if isinstance(value, str) else f"{value:g}" for value in values[dim].values.tolist()]
        axis.set_ticks(range(values.sizes[dim]), labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel=setting_name(across), ylabel=setting_name(down))
    return ax


def _two_settings(values: xr.DataArray) -> tuple[Hashable, ...]:
    if values.ndim != 2:
        remedy = 'Average over seeds: values.mean("seed")'
        raise refusal("dims of values", values.dims, "must be two, (up or down, across)", remedy)
    return values.dims


def phase_diagram(values: xr.DataArray, ax: Axes | None = None, log: str = "") -> Axes:
    """A fine map of a number from 0 to 1 over two swept settings, first up, second across.

    Args:
        values: dims (up, across), settings in any order.
        ax: where to draw.
        log: which axes are logarithmic: "", "x", "y" or "xy".

    Returns:
        The axes.

    Raises:
        ValueError: if the values have other than two dims, a setting is given twice or is no number, or `log` is none
            of these, or asks for a logarithm of 0.

    Source: this library.
    """
    up, across = _two_settings(values)
    if log not in ("", "x", "y", "xy"):
        raise refusal("log", log, "must be '', 'x', 'y' or 'xy'", "Use 'xy' for two")
    for dim in (up, across):
        labels = values.coords.get(dim)
        if labels is None or labels.dtype.kind not in "iuf" or len(np.unique(labels)) < len(labels):
            raise refusal(f"values of {dim}", labels, "must be different numbers", "Use what was swept over")
    values = values.sortby([up, across])
    ax = ax or plt.gca()
    edges = _edges(values[across].values, "x" in log), _edges(values[up].values, "y" in log)
    ax.pcolormesh(*edges, values, cmap="Greens", vmin=0, vmax=1.35, rasterized=True)
    ax.set(xlabel=setting_name(across), ylabel=setting_name(up))
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    return ax


def _edges(values: np.ndarray, log: bool) -> np.ndarray:
    """The borders of cells around sorted values, half way between two; on a logarithmic axis half way in logarithms."""
    if log:
        if values[0] <= 0:
            rule, remedy = "must be above 0 on a logarithmic axis", "Leave that axis out of log"
            raise refusal("lowest value", values[0], rule, remedy)
        return np.exp(_edges(np.log(values), log=False))
    middles = (values[1:] + values[:-1]) / 2
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    return np.concatenate([[2 * values[0] - middles[0]], middles, [2 * values[-1] - middles[-1]]])


def setting_name(setting: Hashable) -> str:
    """The name of a setting on an axis.

    Example:
        >>> from gatedlib.view.plotting import setting_name
        >>> setting_name("block_length")
        'block length'
    """
    symbols = {"tau_c": r"gate time constant $\tau_c$", "tau_w": r"weight time constant $\tau_w$"}
    return symbols.get(str(setting), str(setting).replace("_", " "))
