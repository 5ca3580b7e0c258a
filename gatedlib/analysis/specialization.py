"""Metrics of who does what: which path serves which task, and how well; `gatedlib.metrics` tells how they match."""

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from gatedlib._internal.validation import require
from gatedlib.analysis.requirements import (
    in_each_cell,
    outputs_have_gates,
    outputs_share_units,
    require_matrix_paths,
    require_recorded,
    unit,
)


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
    if "component" not in results.coords or bool(results.component.all()):
        return results
    return results.isel(task=np.flatnonzero(results.component))


def assigned(scores: np.ndarray) -> np.ndarray:
    """The best one-to-one assignment of columns to rows, for every matrix (…, row, column); -1 for rows left over."""
    found = np.full(scores.shape[:-1], -1)
    for index in np.ndindex(scores.shape[:-2]):
        rows, columns = linear_sum_assignment(scores[index], maximize=True)
        found[index][rows] = columns
    return found


@in_each_cell
def matching(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task: the one-to-one assignment with the best total alignment over the last tenth.

    In a `TwoLayer` network, which hidden unit serves each output of each task: one assignment for all of them, as all
    outputs share the hidden units.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        The path of each task, dims seed and task, and out where each output has gates of its own; -1 for composites,
        and for tasks that are left over when there are fewer paths.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> gl.metrics.matching(results).values.tolist()
        [[1, 0], [0, 1], [1, 0]]

    Source: paper, appendix on metrics; optimal assignment in place of pairwise swaps.
    """
    rule, remedy = "labellings have no weights to match with", "Use metrics.matching_by_gates"
    require("class" not in results.dims, "teachers", "labels of classes", rule, remedy)
    require_recorded(results, "alignment")
    rule, remedy = "must have seed among them", "Keep it: results.isel(seed=[0])"
    require("seed" in results.dims, "dims of results", list(results.dims), rule, remedy)
    dim = unit(results)
    together = ("task", "out") if outputs_share_units(results) else ("task",)
    alignment = components(results).alignment.transpose("seed", ..., "time", *together, dim)
    late = alignment.isel(time=slice(-max(1, alignment.sizes["time"] // 10), None)).mean("time")
    found = assigned(late.values.reshape(*late.shape[: -1 - len(together)], -1, late.sizes[dim]))
    matched = late.isel({dim: 0}, drop=True).copy(data=found.reshape(late.shape[:-1]))
    matched = matched.reindex(task=results.task, fill_value=-1).transpose("seed", "task", ...)
    return matched.drop_vars("component", errors="ignore").rename("matching")


def _is_matched(results: xr.Dataset) -> xr.DataArray:
    return matching(results) == results[unit(results)]


def _of_matched(values: xr.DataArray, path_of_task: xr.DataArray, dim: str, otherwise: float = np.nan) -> xr.DataArray:
    """The values of what serves each task, along its dims in place of `dim`; something else where nothing serves."""
    known = path_of_task >= 0
    return values.isel({dim: path_of_task.where(known, 0)}).where(known, otherwise)


def _mean_over(values: xr.DataArray, *dims_left: str) -> xr.DataArray:
    return values.mean([dim for dim in values.dims if dim not in dims_left])


@in_each_cell
def reorder_paths(results: xr.Dataset, path_of_task: xr.DataArray | None = None) -> xr.Dataset:
    """The same results with the paths of each seed reordered, so that path m serves task m.

    Where each output neuron has gates of its own, its paths are reordered by themselves. Paths that serve no task
    come last, in their old order. In a `TwoLayer` network the hidden units are reordered: first those that serve the
    outputs of the first task, one after the other, then those of the next.

    Args:
        results: a run with at least as many paths as tasks, composites not counted.
        path_of_task: which path serves each task; by default `matching`, which needs `alignment` recorded.

    Returns:
        Results of the same form.

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
    if path_of_task is None:
        path_of_task = matching(components(results))
    else:
        own, other = (each.seed.values.tolist() if "seed" in each.coords else None for each in (results, path_of_task))
        require(own == other, "seeds of path_of_task", other, f"must be those of the results, {own}", "Match these")
    dim = unit(results)
    path_of_task = (
        path_of_task.stack(served=("task", "out"))
        if outputs_share_units(results)
        else path_of_task.rename(task="served")
    )
    path_of_task = path_of_task.transpose(..., "served")
    units, served = results.sizes[dim], path_of_task.sizes["served"]
    rule, remedy = f"must be at least {served}, one to serve each", "Use metrics.matching to see which are served"
    require(units >= served, f"{dim}s" if dim == "path" else "hidden units", units, rule, remedy)
    chosen = path_of_task.values.reshape(-1, served).tolist()
    unlike = all(len(set(some)) == served and set(some) <= set(range(units)) for some in chosen)
    require(unlike, "path_of_task", path_of_task.values, "must name another path for each task", "Use metrics.matching")
    order = np.array([[*some, *sorted(set(range(units)) - set(some))] for some in chosen])
    order = order.reshape(*path_of_task.shape[:-1], units)
    turned = results.copy()
    for each in {dim, f"other_{dim}"} & set(results.dims):
        index = xr.DataArray(order, dims=(*path_of_task.dims[:-1], each))
        for name, values in turned.data_vars.items():
            if each in values.dims:
                rule = "paths are reordered for each output, so quantities of paths must have the dim out"
                require(set(index.dims) <= set(values.dims), str(name), values.dims, rule, "Leave it out")
                picked = values.drop_vars(each).isel({each: index})
                turned[name] = picked.transpose(*values.dims)
    return turned


@in_each_cell
def alignment_matched(results: xr.Dataset) -> xr.DataArray:
    r"""The mean alignment of teachers with the paths matched to them.

    .. math::

        \frac1M \sum_m \cos(W_{\pi(m)}, W^*_m)

    with the mean over rows of the cosines of rows, and :math:`\pi` the `matching`.

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
    path_of_task = matching(results)
    cosines = _of_matched(results.alignment, path_of_task, unit(results))
    return _mean_over(cosines, "seed", "time").rename("alignment_matched")


@in_each_cell
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
    some = components(results)
    matched = _is_matched(some)
    return _mean_over(some.alignment.where(~matched), "seed", "time").rename("alignment_crossed")


@in_each_cell
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


@in_each_cell
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
    require_recorded(results, "gates")
    serves = _is_matched(results).sel(task=results.active_task) == on
    if "component" in results.coords:
        serves = serves & (results.component == 1).sel(task=results.active_task)
    return _mean_over(results.gates.where(serves), "seed", "time").transpose("seed", "time")


@in_each_cell
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
    require_recorded(results, "gates")
    dim, path_of_task = unit(results), matching(results)
    serves = path_of_task == results[dim]
    if outputs_share_units(results):
        serves = serves.any("out")
    known = (path_of_task >= 0).any([d for d in path_of_task.dims if d not in ("seed", "task")])
    serves, known = (each.sel(task=results.active_task) for each in (serves, known))
    size = results.gates**2
    share = size.where(serves, 0.0).sum(dim) / size.sum(dim)
    return _mean_over(share.where(known), "seed", "time").transpose("seed", "time").rename("gate_like")


@in_each_cell
def total_alignment(results: xr.Dataset) -> xr.DataArray:
    r"""How well the final weights of all matched paths together agree with all teachers.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \cos\big( (W_{\pi(m), i\cdot})_m,\; (W^*_{m, i\cdot})_m \big)

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
    results = components(results)
    taken = _of_matched(results.final_weights, matching(results), unit(results), otherwise=0.0)
    dots = (taken * results.teachers).sum(("task", "in"))
    lengths = np.sqrt((taken**2).sum(("task", "in")) * (results.teachers**2).sum(("task", "in")))
    return (dots / lengths).mean("out").rename("total_alignment")


@in_each_cell
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
    require_recorded(results, "weight_products")
    require_matrix_paths(results)
    results = components(results)
    products = results.weight_products
    all_products = products.sum("out") if outputs_have_gates(results) else products
    dim = unit(results)
    apart = _mean_distance(all_products, dim, f"other_{dim}")
    others = results.teachers.rename(task="other_task")
    return (apart / _mean_distance((results.teachers * others).sum(("out", "in")), "task", "other_task")).rename(
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
