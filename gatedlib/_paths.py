"""Metrics of who does what: which path serves which task, and how well; `gatedlib.metrics` tells how they match."""

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from gatedlib import _check
from gatedlib._measuring import in_each_cell, needs


def components(results: xr.Dataset) -> xr.Dataset:
    """The results without the tasks that are made of others.

    Args:
        results: any results; what else was recorded, also while composites were on, stays.

    Returns:
        Results with fewer entries along `task`, or the same if there are no composites.

    Example:
        >>> import gatedlib as gl
        >>> teachers = gl.Sums(gl.Orthogonal(tasks=2), weights=[(0.5, 0.5)])
        >>> results = gl.simulate(gl.Experiment(
        ...     teachers, gl.GatedLinear(), gl.Blocked(blocks=3, order=(0, 1, 2)), gl.Flow(1.3, 0.03, dt=0.01)
        ... ), seeds=3)
        >>> results.sizes["task"], gl.metrics.components(results).sizes["task"]
        (3, 2)
    """
    if "component" not in results.coords:
        return results
    return results.isel(task=np.flatnonzero(results.component))


@in_each_cell
def matching(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task: the one-to-one assignment with the best total alignment over the last tenth.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        The path of each task, dims seed and task, and out where each output has gates of its own; -1 for composites,
        and for tasks that are left over when there are fewer paths.

    Source: paper, appendix on metrics; optimal assignment in place of pairwise swaps.
    """
    needs(results, "alignment")
    alignment = components(results).alignment.transpose("seed", ..., "time", "task", "path")
    late = alignment.isel(time=slice(-max(1, alignment.sizes["time"] // 10), None)).mean("time")
    paths = np.full((*late.shape[:-2], results.sizes["task"]), -1)
    serving = np.flatnonzero(results.task.isin(alignment.task))
    for index in np.ndindex(late.shape[:-2]):
        rows, columns = linear_sum_assignment(late.values[index], maximize=True)
        paths[index][serving[rows]] = columns
    dims = [*late.dims[:-2], "task"]
    matched = xr.DataArray(paths, {dim: results[dim] for dim in dims}, dims, name="matching")
    return matched.transpose("seed", "task", ...)


def _is_matched(results: xr.Dataset) -> xr.DataArray:
    return matching(results) == results.path


def _mean_over(values: xr.DataArray, *kept: str) -> xr.DataArray:
    return values.mean([dim for dim in values.dims if dim not in kept])


@in_each_cell
def relabelled(results: xr.Dataset) -> xr.Dataset:
    """The same results with the paths of each seed reordered, so that path m serves task m.

    Where each output neuron has gates of its own, its paths are reordered by themselves. Paths that serve no task
    come last, in their old order.

    Args:
        results: a run with `alignment` recorded and at least as many paths as tasks, composites not counted.

    Returns:
        Results of the same form.

    Raises:
        ValueError: if there are fewer paths than tasks, or outputs are reordered one by one and a quantity of paths
            tells nothing of outputs.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.metrics.relabelled(gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3))
        >>> gl.metrics.matching(results).values.tolist()
        [[0, 1], [0, 1], [0, 1]]
    """
    serving = matching(components(results)).transpose(..., "task")
    paths, tasks = results.sizes["path"], serving.sizes["task"]
    rule, remedy = f"must be at least the number of tasks, {tasks}", "Use metrics.matching to see which are served"
    _check.require(paths >= tasks, "paths", paths, rule, remedy)
    chosen = serving.values.reshape(-1, tasks).tolist()
    order = np.array([[*some, *sorted(set(range(paths)) - set(some))] for some in chosen])
    order = order.reshape(*serving.shape[:-1], paths)
    turned = results.copy()
    for dim in {"path", "other_path"} & set(results.dims):
        index = xr.DataArray(order, dims=(*serving.dims[:-1], dim))
        for name, values in turned.data_vars.items():
            if dim in values.dims:
                rule = "paths are reordered for each output, so quantities of paths must have the dim out"
                _check.require(set(index.dims) <= set(values.dims), str(name), values.dims, rule, "Leave it out")
                picked = values.drop_vars(dim).isel({dim: index})
                turned[name] = picked.transpose(*values.dims)
    return turned


@in_each_cell
def alignment_matched(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths matched to them, dims seed and time.

    Source: paper, Fig. 2C.
    """
    return _mean_over(results.alignment.where(_is_matched(results)), "seed", "time").rename("alignment_matched")


@in_each_cell
def alignment_crossed(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths that are not matched to them, dims seed and time.

    Source: paper, Fig. 2C.
    """
    some = components(results)
    return _mean_over(some.alignment.where(~_is_matched(some)), "seed", "time").rename("alignment_crossed")


@in_each_cell
def gate_on(results: xr.Dataset) -> xr.DataArray:
    """The gate of the path matched to the active task, dims seed and time; nan where a task has no path.

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=True).rename("gate_on")


@in_each_cell
def gate_off(results: xr.Dataset) -> xr.DataArray:
    """The mean gate of the paths not matched to the active task, dims seed and time; nan while a composite is on.

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=False).rename("gate_off")


def _matched_gates(results: xr.Dataset, *, on: bool) -> xr.DataArray:
    needs(results, "gates")
    serves = _is_matched(results).sel(task=results.active_task) == on
    if "component" in results.coords:
        serves = serves & (results.component == 1).sel(task=results.active_task)
    return _mean_over(results.gates.where(serves), "seed", "time").transpose("seed", "time")


@in_each_cell
def total_alignment(results: xr.Dataset) -> xr.DataArray:
    r"""How well the final weights of all matched paths together agree with all teachers.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \cos\big( (W_{\pi(m), i\cdot})_m,\; (W^*_{m, i\cdot})_m \big)

    Args:
        results: a run with `alignment` recorded, for the matching.

    Returns:
        One number per seed; 1 when every path is its teacher, up to one common scale per row.

    Source: paper, Fig. 5.
    """
    results = components(results)
    paths = matching(results)
    taken = results.final_weights.isel(path=paths.where(paths >= 0, 0)).where(paths >= 0, 0.0)
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

    Source: paper, section 2 and appendix on the reduction.
    """
    needs(results, "weight_products")
    results = components(results)
    whole = results.weight_products.sum("out") if "out" in results.weight_products.dims else results.weight_products
    apart = _mean_distance(whole, "path", "other_path")
    others = results.teachers.rename(task="other_task")
    products = (results.teachers * others).sum(("out", "in"))
    return (apart / _mean_distance(products, "task", "other_task")).rename("specialization")


def _mean_distance(products: xr.DataArray, first: str, second: str) -> xr.DataArray:
    """The mean squared distance over all pairs, from all inner products."""
    count = products.sizes[first]
    _check.require(count > 1, f"number of {first}s", count, "must be 2 or more to be apart", "Use at least two")
    squares = products.isel(
        {first: xr.DataArray(range(count), dims="same"), second: xr.DataArray(range(count), dims="same")}
    )
    total = 2 * count * squares.sum("same") - 2 * products.sum((first, second))
    return total / (count * (count - 1))
