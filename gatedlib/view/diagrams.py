"""Drawings: networks, curricula, planes of tasks, second layers and pictures with answers."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from gatedlib._internal.validation import refusal, require_integer
from gatedlib.analysis import transfer
from gatedlib.analysis.requirements import of_seed
from gatedlib.model.experiment import Experiment
from gatedlib.simulation.runs import single_run
from gatedlib.view.style import FLEXIBLE, mixture_weights, task_color, task_name


def plane(results: xr.Dataset, ax: Axes | None = None, time: float = 0.0, seed: int = 0) -> Axes:
    """Paths and output of a small network, two outputs and one input, in the plane of its teachers at one moment.

    Rings are the teachers. An arrow is the weights of a path, as dark as its gate is open. The black dot is the
    output, and the line behind it the way that it has come.

    Args:
        results: a run with `gates` and `weights` recorded.
        ax: where to draw.
        time: the moment; the nearest frame is shown.
        seed: which seed of the run.

    Source: paper, Fig. 4A-D.
    """
    run = single_run(results, "gates", "weights", "teachers")
    sizes = tuple(run.teachers.sizes.get(dim, 0) for dim in ("out", "in"))
    if sizes != (2, 1):
        remedy = "Use teachers of two outputs and one input, such as Given(np.eye(2)[:, :, None])"
        raise refusal("outputs and inputs", sizes, "a plane has two", remedy)
    ax = ax or plt.gca()
    run = of_seed(run, seed)
    now = run.sel(time=time, method="nearest")
    for task, teacher in enumerate(run.teachers.values[..., 0]):
        ax.plot(*teacher, marker="o", markersize=11, color="none", markeredgecolor=task_color(task))
        ax.annotate(task_name(task), teacher, (7, 7), textcoords="offset points", color=task_color(task))
    for path, (gate, weights) in enumerate(zip(now.gates.values, now.weights.values[..., 0], strict=True)):
        color, strength = task_color(path), float(np.clip(0.25 + 0.75 * gate, 0.25, 1.0))
        style = {"arrowstyle": "-|>", "color": color, "alpha": strength, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", weights, (0, 0), arrowprops=style)
    outputs = (run.gates * run.weights).sum("path").isel({"in": 0}).transpose("time", "out")
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
    parts = of_seed(transfer.parts(single_run(results, "final_weights", "teachers")), seed)
    if parts.sizes["task"] != 3:
        remedy = "Use teachers such as Orthogonal(tasks=3)"
        raise refusal("tasks that are no composites", parts.sizes["task"], "a triangle has three", remedy)
    ax = ax or plt.gca()
    corners = np.array([[0.0, 1.0], [0.75**0.5, -0.5], [-(0.75**0.5), -0.5]])  # A on top, then clockwise
    paths = parts.values @ corners
    # a polygon is drawn through its corners one after the other, so they are taken by their angle around the centre
    order = np.argsort(np.arctan2(*(paths - paths.mean(0)).T))
    ax.fill(*paths[order].T, color="#333333", alpha=0.08)
    ax.fill(*paths[order].T, color="none", edgecolor="#333333", linewidth=1.2)
    ax.plot(*paths.T, "o", color="#333333", markersize=6, label="paths")
    ax.fill(*corners.T, color="none", edgecolor="#999999", linewidth=1.0, linestyle="--")
    for task, corner in enumerate(corners):
        ax.plot(*corner, marker="o", markersize=11, color="none", markeredgecolor=task_color(task), markeredgewidth=1.6)
        ax.annotate(task_name(task), 1.3 * corner, color=task_color(task), ha="center", va="center")
    ax.plot(*(mixture_weights(results) @ corners).T, "D", color="#7A3E9D", markersize=5, label="composites")
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
    ax = ax or plt.gca()
    ax.imshow(abs(gates).transpose("out", "hidden"), cmap="Greens", vmin=0, vmax=vmax)
    ax.set(xlabel="hidden unit", ylabel="output", xticks=[], yticks=[])
    ax.grid(False)
    return ax


def judged(right: bool) -> tuple[str, str]:
    """The mark and the colour of a right or a wrong answer."""
    return (" ✓", FLEXIBLE["color"]) if right else (" ✗", "#A6341B")


def answer(image: np.ndarray, text: str, right: bool | None = None, ax: Axes | None = None) -> Axes:
    """A picture with an answer below it, and a mark and a colour that say whether the answer is right.

    Args:
        image: shape (row, column), 0 to 1.
        text: the answer, such as the name of a class.
        right: whether the answer is right; no mark unless given.
        ax: where to draw; the current axes unless given.

    Returns:
        The axes.

    Source: paper, Fig. 7.
    """
    ax = ax or plt.gca()
    mark, color = ("", "#222222") if right is None else judged(right)
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_xlabel(text + mark, color=color, fontsize=9)
    return ax


def curriculum(experiment: Experiment, ax: Axes | None = None) -> Axes:
    """The blocks of an experiment's curriculum on a time line.

    Args:
        experiment: the experiment.
        ax: where to draw; the current axes unless given.

    Returns:
        The axes.

    Raises:
        ValueError: if it is no experiment.

    Source: paper, Fig. 1.
    """
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
        paths: the number of paths.
        ax: where to draw.
        gates: how far each gate is open, 0 to 1; a path is drawn as strongly as its gate is open.
    """
    paths = require_integer("paths", paths, 1, "The paper's Fig. 1 has 2")
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
        label = f"$c_{path + 1}$" if gates is None else f"{gates[path]:.1f}"
        ax.text(5.5, height, label, ha="center", va="center", color=color, fontsize=11, alpha=max(strength, 0.6))
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
