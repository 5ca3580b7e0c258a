"""Which path serves which task, and results whose paths stand in the order of their tasks."""

import itertools

import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal
from gatedlib.analysis.units import learned_tasks, outputs_share_units, unit_dim
from gatedlib.simulation.completeness import require_last_frames
from gatedlib.simulation.runs import in_each_run, read, require_recorded, runs_of, spacing, texts_of

FEW = 4
"""Columns for which all assignments, 24 at the most, are tried at once."""


def components(results: xr.Dataset) -> xr.Dataset:
    """The results without the tasks that are made of others.

    Args:
        results: any results; what else was recorded, also while composites were on, stays.

    Returns:
        Results with fewer entries along `task`, or the same if there are no composites.

    Example:
        >>> teachers = gl.Sums(gl.Orthogonal(tasks=2), weights=[(0.5, 0.5)])
        >>> results = gl.simulate(gl.Experiment(
        ...     teachers, gl.GatedLinear(), gl.Blocked(blocks=3, order=(0, 1, 2)), gl.Flow(1.3, 0.03, dt=0.01)
        ... ), seeds=3)
        >>> results.sizes["task"], gl.metrics.components(results).sizes["task"]
        (3, 2)
    """
    count = min(read(text).components for text in texts_of(results).values.ravel())
    if "task" not in results.dims or results.sizes["task"] <= count:
        return results
    labels = results.task.values if "task" in results.coords else np.arange(results.sizes["task"])
    return results.isel(task=np.flatnonzero(labels < count))


def best_assignment(scores: np.ndarray) -> np.ndarray:
    """The best one-to-one assignment of columns to rows, for every matrix (…, row, column); -1 for rows left over."""
    rows, columns = scores.shape[-2:]
    if rows <= columns <= FEW and np.isfinite(scores).all():
        assignments = np.array(list(itertools.permutations(range(columns), rows)))
        totals = scores[..., np.arange(rows), assignments].sum(-1)
        return assignments[totals.argmax(-1)]
    from scipy.optimize import linear_sum_assignment  # a third of a second to import

    columns_of_rows = np.full(scores.shape[:-1], -1)
    for index in np.ndindex(scores.shape[:-2]):
        assigned, to = linear_sum_assignment(scores[index], maximize=True)
        columns_of_rows[index][assigned] = to
    return columns_of_rows


@in_each_run("alignment")
def matching(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task: the one-to-one assignment with the best total alignment over the last tenth.

    In a `TwoLayer` network, which hidden unit serves each output of each task: one assignment for all of them, as all
    outputs share the hidden units.

    Args:
        results: a run with `alignment` recorded, frames of its last tenth among them.

    Returns:
        The path of each task, dims seed and task, and out where each output has gates of its own; -1 for composites,
        for tasks that were never on, and for tasks that are left over when there are fewer paths.

    Raises:
        ValueError: if `alignment` was not recorded to the end, or the teachers are labels.

    Example:
        >>> gl.metrics.matching(results).values.tolist()
        [[1, 0], [0, 1], [1, 0]]

    Source: paper, appendix on metrics; optimal assignment in place of pairwise swaps.
    """
    return match_run(results)


def match_run(run: xr.Dataset) -> xr.DataArray:
    """The `matching` of one run that was checked already."""
    if all(single.in_order for single in runs_of(run)):
        return _matching_in_order(run)
    dim, own = unit_dim(run), runs_of(run)[0]
    # a tenth of the frames that the whole run has in this spacing, also where its beginning was cut off
    frames = len(range(0, own.steps, spacing(run.step.values[-2:], own)))
    count = max(1, frames // 10)
    require_last_frames(run, count)
    rows = ("task", "out") if outputs_share_units(run) else ("task",)
    learned = run.alignment.isel(task=learned_tasks(run))
    late = learned.transpose("seed", ..., "time", *rows, dim).isel(time=slice(-count, None)).mean("time")
    assignment = best_assignment(late.values.reshape(*late.shape[: -1 - len(rows)], -1, late.sizes[dim]))
    matched = late.isel({dim: 0}, drop=True).copy(data=assignment.reshape(late.shape[:-1]))
    matched = matched.reindex(task=run.task, fill_value=-1).transpose("seed", "task", ...)
    return matched.drop_vars("component", errors="ignore").rename("matching")


def _matching_in_order(run: xr.Dataset) -> xr.DataArray:
    """The matching after paths were reordered, which needs no frames of the end any more."""
    own, tasks = runs_of(run)[0], xr.DataArray(run.task.values, {"task": run.task.variable}, ("task",))
    path_of_task = tasks
    if "out" in own.gate_dims:
        outs = xr.DataArray(range(own.sizes["out"]), {"out": range(own.sizes["out"])}, ("out",))
        # hidden units stand one after the other for all outputs of a task; paths are reordered for each output
        path_of_task = tasks * len(outs) + outs if outputs_share_units(run) else tasks + 0 * outs
    return path_of_task.where(tasks < own.components, -1).expand_dims(seed=run.seed.values).rename("matching")


@in_each_run()
def reorder_paths(results: xr.Dataset, path_of_task: xr.DataArray | None = None) -> xr.Dataset:
    """The same results with the paths of each seed reordered, so that path m serves task m.

    Where each output neuron has gates of its own, its paths are reordered by themselves. Paths that serve no task
    come last, in their old order. In a `TwoLayer` network the hidden units are reordered: first those that serve the
    outputs of the first task, one after the other, then those of the next.

    Args:
        results: a run with at least as many paths as tasks, composites not counted.
        path_of_task: which path serves each task; by default `matching`, which needs `alignment` recorded.

    Returns:
        Results of the same form. They know their order: cut to some frames, they need no `matching` any more.

    Raises:
        ValueError: if there are fewer paths than tasks, or outputs are reordered one by one and a quantity of paths
            has no dim out.

    Example:
        >>> results = gl.metrics.reorder_paths(gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3))
        >>> gl.metrics.matching(results).values.tolist()
        [[0, 1], [0, 1], [0, 1]]
    """
    if path_of_task is None:
        require_recorded(results, "alignment")
        path_of_task = match_run(results)
    else:
        _require_matching(path_of_task, results)
    dim = unit_dim(results)
    path_of_task = path_of_task.isel(task=slice(runs_of(results)[0].components))
    # a path serves a task, a hidden unit one output of a task
    path_of_task = (
        path_of_task.stack(served=("task", "out"))
        if outputs_share_units(results)
        else path_of_task.rename(task="served")
    )
    path_of_task = path_of_task.transpose("seed", ..., "served")
    order = _complete_orders(path_of_task, results.sizes[dim], f"{dim}s" if dim == "path" else "hidden units")
    reordered = results.copy()
    for axis in {dim, f"other_{dim}"} & set(results.dims):
        index = xr.DataArray(order, dims=(*path_of_task.dims[:-1], axis))
        for name, values in reordered.data_vars.items():
            if axis not in values.dims:
                continue
            if not set(index.dims) <= set(values.dims):
                rule = "paths are reordered for each output, so quantities of paths must have the dim out"
                raise refusal(str(name), values.dims, rule, "Leave it out")
            reordered[name] = values.drop_vars(axis).isel({axis: index}).transpose(*values.dims)
    # only where every task has a path can the order stand for the matching later on
    complete = (path_of_task >= 0).all([name for name in path_of_task.dims if name != "seed"]).values.tolist()
    texts = [run._replace(in_order=ordered).text() for run, ordered in zip(runs_of(results), complete, strict=True)]
    return reordered.assign_coords(settings=("seed", np.array(texts, object)))


def _require_matching(path_of_task: xr.DataArray, results: xr.Dataset) -> None:
    """Require the paths of the same seeds and tasks as the results."""
    seeds, others = (data.seed.values.tolist() if "seed" in data.dims else None for data in (results, path_of_task))
    if seeds != others:
        raise refusal("seeds of path_of_task", others, f"must be those of the results, {seeds}", "Match these")
    own, tasks = runs_of(results)[0], path_of_task.sizes.get("task")
    if tasks not in (own.components, own.sizes["task"]):
        rule, remedy = f"must be {own.sizes['task']}, all of the run", "Use metrics.matching of the same results"
        raise refusal("tasks of path_of_task", tasks, rule, remedy)


def _complete_orders(path_of_task: xr.DataArray, units: int, name: str) -> np.ndarray:
    """All paths of each seed, and of each output if it has its own: those that serve a task in the place of the task.

    The other paths stand where a task has none, and at the end.
    """
    served = path_of_task.sizes["served"]
    if units < served:
        remedy = "Use metrics.matching to see which are served"
        raise refusal(name, units, f"must be at least {served}, one to serve each", remedy)
    orders = []
    for row in path_of_task.values.reshape(-1, served).tolist():
        paths = [path for path in row if path != -1]
        if len(set(paths)) < len(paths) or not all(0 <= path < units for path in paths):
            rule = "must name another path for each task, or -1 for a task that has none"
            raise refusal("path_of_task", path_of_task.values, rule, "Use metrics.matching")
        others = [path for path in range(units) if path not in row]
        orders.append([*(path if path >= 0 else others.pop(0) for path in row), *others])
    return np.array(orders).reshape(*path_of_task.shape[:-1], units)
