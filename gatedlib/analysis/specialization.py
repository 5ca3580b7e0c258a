"""Metrics of who does what: which path serves which task, and how well; `gatedlib.metrics` tells how they match."""

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from gatedlib._internal.validation import require
from gatedlib.analysis.requirements import (
    learned_tasks,
    outputs_have_gates,
    outputs_share_units,
    require_last_frames,
    require_matrix_paths,
    unit,
)
from gatedlib.simulation.runs import in_each_run, read, require_recorded, runs_of, spacing, texts_of


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


def assigned(scores: np.ndarray) -> np.ndarray:
    """The best one-to-one assignment of columns to rows, for every matrix (…, row, column); -1 for rows left over."""
    found = np.full(scores.shape[:-1], -1)
    for index in np.ndindex(scores.shape[:-2]):
        rows, columns = linear_sum_assignment(scores[index], maximize=True)
        found[index][rows] = columns
    return found


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
    return _matching(results)


def _matching(run: xr.Dataset) -> xr.DataArray:
    if all(each.in_order for each in runs_of(run)):
        return _in_order(run)
    dim = unit(run)
    frames = len(range(0, runs_of(run)[0].steps, spacing(run.step.values[-2:], runs_of(run)[0])))
    count = max(1, frames // 10)
    require_last_frames(run, count)
    together = ("task", "out") if outputs_share_units(run) else ("task",)
    learned = run.alignment.isel(task=learned_tasks(run))
    late = learned.transpose("seed", ..., "time", *together, dim).isel(time=slice(-count, None)).mean("time")
    found = assigned(late.values.reshape(*late.shape[: -1 - len(together)], -1, late.sizes[dim]))
    matched = late.isel({dim: 0}, drop=True).copy(data=found.reshape(late.shape[:-1]))
    matched = matched.reindex(task=run.task, fill_value=-1).transpose("seed", "task", ...)
    return matched.drop_vars("component", errors="ignore").rename("matching")


def _in_order(run: xr.Dataset) -> xr.DataArray:
    """The matching after paths were reordered, which needs no frames of the end any more."""
    own, tasks = runs_of(run)[0], xr.DataArray(run.task.values, {"task": run.task.variable}, ("task",))
    found = tasks
    if "out" in own.gate_dims:
        outs = xr.DataArray(range(own.sizes["out"]), {"out": range(own.sizes["out"])}, ("out",))
        found = tasks * len(outs) + outs if outputs_share_units(run) else tasks + 0 * outs
    return found.where(tasks < own.components, -1).expand_dims(seed=run.seed.values).rename("matching")


def _is_matched(run: xr.Dataset) -> xr.DataArray:
    return _matching(run) == run[unit(run)]


def _has_direction(run: xr.Dataset) -> xr.DataArray:
    """Which rows of the teachers have a direction; of whole teachers, if alignment is that of all rows together."""
    rows = (run.teachers != 0).any("in")
    return rows if "out" in run.alignment.dims else rows.any("out")


def _of_active(values: xr.DataArray, run: xr.Dataset) -> xr.DataArray:
    """What belongs to the task that is on, frame by frame; nothing where that was left out."""
    return values.reindex(task=range(runs_of(run)[0].sizes["task"]), fill_value=False).sel(task=run.active_task)


def _of_matched(values: xr.DataArray, path_of_task: xr.DataArray, dim: str, otherwise: float = np.nan) -> xr.DataArray:
    """The values of what serves each task, along its dims in place of `dim`; something else where nothing serves."""
    known = path_of_task >= 0
    return values.isel({dim: path_of_task.where(known, 0)}).where(known, otherwise)


def _mean_over(values: xr.DataArray, *dims_left: str) -> xr.DataArray:
    return values.mean([dim for dim in values.dims if dim not in dims_left])


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
            tells nothing of outputs.

    Example:
        >>> results = gl.metrics.reorder_paths(gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3))
        >>> gl.metrics.matching(results).values.tolist()
        [[0, 1], [0, 1], [0, 1]]
    """
    own = runs_of(results)[0]
    if path_of_task is None:
        require_recorded(results, "alignment")
        path_of_task = _matching(results)
    else:
        seeds, other = (each.seed.values.tolist() if "seed" in each.dims else None for each in (results, path_of_task))
        require(seeds == other, "seeds of path_of_task", other, f"must be those of the results, {seeds}", "Match these")
        tasks, known = path_of_task.sizes.get("task"), (own.components, own.sizes["task"])
        rule, remedy = f"must be {known[1]}, all of the run", "Use metrics.matching of the same results"
        require(tasks in known, "tasks of path_of_task", tasks, rule, remedy)
    dim = unit(results)
    path_of_task = path_of_task.isel(task=slice(own.components))
    path_of_task = (
        path_of_task.stack(served=("task", "out"))
        if outputs_share_units(results)
        else path_of_task.rename(task="served")
    )
    path_of_task = path_of_task.transpose("seed", ..., "served")
    units, served = results.sizes[dim], path_of_task.sizes["served"]
    rule, remedy = f"must be at least {served}, one to serve each", "Use metrics.matching to see which are served"
    require(units >= served, f"{dim}s" if dim == "path" else "hidden units", units, rule, remedy)
    chosen = path_of_task.values.reshape(-1, served).tolist()
    rule, remedy = "must name another path for each task, or -1 for a task that has none", "Use metrics.matching"
    require(all(_one_to_one(row, units) for row in chosen), "path_of_task", path_of_task.values, rule, remedy)
    order = np.array([_complete_order(row, units) for row in chosen]).reshape(*path_of_task.shape[:-1], units)
    reordered = results.copy()
    for each in {dim, f"other_{dim}"} & set(results.dims):
        index = xr.DataArray(order, dims=(*path_of_task.dims[:-1], each))
        for name, values in reordered.data_vars.items():
            if each in values.dims:
                rule = "paths are reordered for each output, so quantities of paths must have the dim out"
                require(set(index.dims) <= set(values.dims), str(name), values.dims, rule, "Leave it out")
                picked = values.drop_vars(each).isel({each: index})
                reordered[name] = picked.transpose(*values.dims)
    whole = (path_of_task >= 0).all([name for name in path_of_task.dims if name != "seed"]).values.tolist()
    texts = [each._replace(in_order=each_task).text() for each, each_task in zip(runs_of(results), whole, strict=True)]
    return reordered.assign_coords(settings=("seed", np.array(texts, object)))


def _one_to_one(row: list[int], units: int) -> bool:
    """Whether each task has another one of so many paths, or none, which is -1."""
    paths = [path for path in row if path != -1]
    return len(set(paths)) == len(paths) and all(0 <= path < units for path in paths)


def _complete_order(row: list[int], units: int) -> list[int]:
    """All paths: those that serve a task in its place, the others where a task has none, and at the end."""
    others = [path for path in range(units) if path not in row]
    return [*(path if path >= 0 else others.pop(0) for path in row), *others]


@in_each_run("alignment", "teachers")
def alignment_matched(results: xr.Dataset) -> xr.DataArray:
    r"""The mean alignment of teachers with the paths matched to them.

    .. math::

        \frac1M \sum_m \cos(W_{\pi(m)}, W^*_m)

    with the mean over rows of the cosines of rows, and :math:`\pi` the `matching`. Tasks that have no path, and rows of
    teachers that are zero and so have no direction, are left out.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        Cosines, dims seed and time.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.alignment_matched(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2C.
    """
    cosines = _of_matched(results.alignment, _matching(results), unit(results))
    return _mean_over(cosines.where(_has_direction(results)), "seed", "time").rename("alignment_matched")


@in_each_run("alignment", "teachers")
def alignment_crossed(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths that are not matched to them, as in `alignment_matched`.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        Cosines, dims seed and time.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.alignment_crossed(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2C.
    """
    crossed = results.alignment.where(~_is_matched(results) & _has_direction(results))
    learned = crossed.isel(task=learned_tasks(results))
    return _mean_over(learned, "seed", "time").rename("alignment_crossed")


@in_each_run("gates", "alignment")
def gate_on(results: xr.Dataset) -> xr.DataArray:
    """The gate of the path matched to the active task.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        Gates, dims seed and time; nan where a task has no path.

    Raises:
        ValueError: if a quantity was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.gate_on(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=True).rename("gate_on")


@in_each_run("gates", "alignment")
def gate_off(results: xr.Dataset) -> xr.DataArray:
    """The mean gate of the paths not matched to the active task.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        Gates, dims seed and time; nan while a composite is on.

    Raises:
        ValueError: if a quantity was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.gate_off(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=False).rename("gate_off")


def _matched_gates(results: xr.Dataset, *, on: bool) -> xr.DataArray:
    own = runs_of(results)[0]
    serves = _of_active(_is_matched(results), results) == on
    serves = serves & (results.active_task < own.components)  # composites have no path
    return _mean_over(results.gates.where(serves), "seed", "time").transpose("seed", "time")


@in_each_run("gates", "alignment")
def gate_like(results: xr.Dataset) -> xr.DataArray:
    r"""How much of each output's gates is on what serves the active task: 1 if gates pick a task, 1/M by chance.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \frac{\sum_{u \in U_m} c_{ui}^2}{\sum_u c_{ui}^2}

    with :math:`U_m` the paths, or hidden units, matched to the task m that is on; in a `TwoLayer` network these are
    the units that serve any of its outputs. Units beyond the one-to-one matching count as serving none.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        The share, dims seed and time; nan while a composite is on.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.TwoLayer(hidden=20), gl.Blocked(blocks=2), gl.Flow(tau_w=0.06, tau_c=0.01, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.gate_like(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 6, as a number.
    """
    dim, path_of_task = unit(results), _matching(results)
    serves = path_of_task == results[dim]
    if outputs_share_units(results):
        serves = serves.any("out")
    known = (path_of_task >= 0).any([d for d in path_of_task.dims if d not in ("seed", "task")])
    serves, known = (_of_active(each, results) for each in (serves, known))
    size = results.gates**2
    share = size.where(serves, 0.0).sum(dim) / size.sum(dim)
    return _mean_over(share.where(known), "seed", "time").transpose("seed", "time").rename("gate_like")


@in_each_run("alignment", "final_weights", "teachers")
def total_alignment(results: xr.Dataset) -> xr.DataArray:
    r"""How well the final weights of all matched paths together agree with all teachers.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \cos\big( (W_{\pi(m), i\cdot})_m,\; (W^*_{m, i\cdot})_m \big)

    Tasks that were never on, and rows in which all teachers are zero, are left out.

    Args:
        results: a run with `alignment` recorded, for the matching.

    Returns:
        One number per seed; 1 when every path is its teacher, up to one common scale per row.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> gl.metrics.total_alignment(results).round(1).values.tolist()
        [0.5, 0.5, 0.5]

    Source: paper, Fig. 5.
    """
    learned = learned_tasks(results)
    path_of_task, teachers = (each.isel(task=learned) for each in (_matching(results), results.teachers))
    taken = _of_matched(results.final_weights, path_of_task, unit(results), otherwise=0.0)
    dots = (taken * teachers).sum(("task", "in"))
    squares = (teachers**2).sum(("task", "in"))
    lengths = ((taken**2).sum(("task", "in")) * squares) ** 0.5
    cosines = (dots / lengths.where(lengths > 0)).fillna(0.0)
    return cosines.where(squares > 0).mean("out").rename("total_alignment")


@in_each_run("weight_products", "teachers")
def specialization(results: xr.Dataset) -> xr.DataArray:
    r"""How far the paths are apart, relative to the teachers: 0 when all paths are alike, 1 when each is a teacher.

    .. math::

        \frac{\langle \|W_p - W_q\|_F^2 \rangle_{p<q}}{\langle \|W^*_m - W^*_n\|_F^2 \rangle_{m<n}}

    Args:
        results: a run with `weight_products` recorded, at least two paths and at least two teachers.

    Returns:
        Specialization, dims seed and time.

    Raises:
        ValueError: if `weight_products` was not recorded, or there are fewer than two paths or teachers.

    Example:
        >>> bool((gl.metrics.specialization(results) < 0.01).all())  # without penalties nothing specializes
        True

    Source: paper, section 2 and appendix on the reduction.
    """
    require_matrix_paths(results)
    products = results.weight_products
    all_products = products.sum("out") if outputs_have_gates(results) else products
    dim = unit(results)
    apart = _mean_distance(all_products, dim, f"other_{dim}")
    teachers = results.teachers.isel(task=slice(runs_of(results)[0].components))
    others = teachers.rename(task="other_task")
    return (apart / _mean_distance((teachers * others).sum(("out", "in")), "task", "other_task")).rename(
        "specialization"
    )


def _mean_distance(products: xr.DataArray, first: str, second: str) -> xr.DataArray:
    """The mean squared distance over all pairs, from all inner products."""
    count = products.sizes[first]
    require(count > 1, f"number of {first}s", count, "must be 2 or more to be apart", "Use at least two")
    squares = products.isel(
        {first: xr.DataArray(range(count), dims="same"), second: xr.DataArray(range(count), dims="same")}
    )
    total = 2 * count * squares.sum("same") - 2 * products.sum((first, second))
    return total / (count * (count - 1))
