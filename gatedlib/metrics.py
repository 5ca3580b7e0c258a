"""Metrics: pure functions of results, from labelled data to labelled data.

Blocks are numbered from 1. Anything that needs to know which path serves which task matches them first
(`matching`): the assignment with the best total alignment, once per run, over its last tenth. Tasks that are made of
others (`Sums`, `RowMixtures`) have no path of their own and are left out of it. Where each output neuron has gates of
its own (`NeuronGated`), it has its own assignment too.

All metrics of results also take the results of a sweep, and are then taken in each cell.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from gatedlib import _check
from gatedlib.results import cell, swept


def needs(results: xr.Dataset, *names: str) -> None:
    """Require that these quantities were recorded."""
    for name in names:
        _check.require(
            name in results,
            "recorded quantities",
            sorted(map(str, results.data_vars)),
            f"must include {name!r}",
            f"Run simulate with record=(gatedlib.record.{name}, ...)",
        )


def in_each_cell(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of results take the results of a sweep too, and be taken in each cell."""

    @functools.wraps(metric)
    def of_all(results: xr.Dataset, *settings: Any, **named: Any) -> Any:
        def over(names: list[str], where: dict[str, Any]) -> Any:
            if not names:
                return metric(cell(results, **where) if where else results, *settings, **named)
            name, *others = names
            parts = [over(others, {**where, name: value}) for value in results[name].values.tolist()]
            return xr.concat(parts, results[name], coords="different", compat="equals", join="outer")

        return over(list(swept(results)), {})

    return of_all


def _frames(results: xr.Dataset, block: int) -> slice:
    """Which frames belong to a block, counted from 0."""
    start, stop = results.block_start.values[block], results.block_stop.values[block]
    steps = results.step.values
    first, end = np.searchsorted(steps, [start, stop])
    _check.require(
        first < end and steps[first] == start,
        "every",
        int(results.attrs["every"]),
        f"there must be a frame at the first step of each block, none is at step {start}",
        "Record with every=1, or with a divisor of the block's steps",
    )
    return slice(first, end)


def per_block(values: xr.DataArray, results: xr.Dataset, fn: Callable[[np.ndarray], np.ndarray]) -> xr.DataArray:
    """Apply a function of the values in one block to each block, and line the outcomes up along `block`.

    Args:
        values: data along `time`, from `results` or computed from it.
        results: the run, for its table of blocks.
        fn: from an array whose last axis is the time in a block to an array without that axis.

    Returns:
        What `fn` gave, with `block` as the last dim in place of `time`.

    Raises:
        ValueError: if a block has no frame at its first step.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.per_block(results.loss, results, lambda loss: loss.max(-1)).sizes)
        {'seed': 3, 'block': 2}
    """
    rule, remedy = "these results hold a sweep", "Take one cell out with gatedlib.results.cell, or measure in the sweep"
    _check.require(not swept(results), "results", list(swept(results)), rule, remedy)
    timed = values.transpose(..., "time")
    array, others = timed.values, timed.dims[:-1]
    blocks = [fn(array[..., _frames(results, block)]) for block in range(results.sizes["block"])]
    coordinates = {name: c for name, c in results.coords.items() if "block" in c.dims}
    coordinates |= {name: c for name, c in timed.coords.items() if "time" not in c.dims}
    return xr.DataArray(np.stack(blocks, -1), coordinates, (*others, "block"), name=values.name)


@in_each_cell
def time_to_criterion(results: xr.Dataset, theta: float = 0.1) -> xr.DataArray:
    r"""How long after each switch the loss first falls below a criterion; the block's length if it never does.

    .. math::

        \min \{ t - t_k : L(t) < \theta,\; t \in \text{block } k \}

    Args:
        results: a run with `loss` recorded.
        theta: the criterion.

    Returns:
        Times in time units, dims seed and block.

    Raises:
        ValueError: if theta is not above 0, or the loss was not recorded from the first step of each block on.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.time_to_criterion(results).sizes)
        {'seed': 3, 'block': 2}

    Source: paper, Fig. 2F.
    """
    needs(results, "loss")
    _check.positive("theta", theta, "The paper's Fig. 2F has 0.1")
    dt = float(results.attrs["flow.dt"])
    apart = dt * int(results.attrs["every"])

    def first_below(loss: np.ndarray) -> np.ndarray:
        below = loss < theta
        return np.where(below.any(-1), below.argmax(-1) * apart, np.nan)

    lengths = (results.block_stop - results.block_start) * dt
    return per_block(results.loss, results, first_below).fillna(lengths).rename("time_to_criterion")


@in_each_cell
def switch_loss(results: xr.Dataset) -> xr.DataArray:
    """The loss at the first step of each block, before anything is learned about the switch.

    Args:
        results: a run with `loss` recorded.

    Returns:
        Losses, dims seed and block.

    Source: this library; the quantity behind paper Fig. 2A.
    """
    needs(results, "loss")
    return per_block(results.loss, results, lambda loss: loss[..., 0]).rename("switch_loss")


def end_of_block(values: xr.DataArray, results: xr.Dataset, fraction: float = 0.05) -> xr.DataArray:
    """The mean over the last part of each block.

    Args:
        values: data along `time`, from `results` or computed from it.
        results: the run, for its table of blocks.
        fraction: how much of the block counts as its end.

    Returns:
        Means, with `block` in place of `time`.

    Raises:
        ValueError: if the fraction is not in (0, 1].
    """
    _check.positive("fraction", fraction, "Use 0.05 for the last 5 %")
    _check.require(fraction <= 1, "fraction", fraction, "must be at most 1", "Use 0.05 for the last 5 %")

    def end(block: np.ndarray) -> np.ndarray:
        return block[..., -max(1, round(fraction * block.shape[-1])) :].mean(-1)

    return per_block(values, results, end)


@in_each_cell
def end_loss(results: xr.Dataset) -> xr.DataArray:
    """The mean loss over the last 5 % of each block, dims seed and block.

    Source: paper, Fig. 2A.
    """
    needs(results, "loss")
    return end_of_block(results.loss, results).rename("end_loss")


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
