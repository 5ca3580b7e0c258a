"""Metrics: pure functions of results, from labelled data to labelled data.

Blocks are numbered from 1. Anything that needs to know which path serves which task matches them first
(`matching`): the assignment with the best total alignment, once per run, over its last tenth.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from gatedlib import _check


def _needs(results: xr.Dataset, *names: str) -> None:
    for name in names:
        _check.require(
            name in results,
            "recorded quantities",
            sorted(map(str, results.data_vars)),
            f"must include {name!r}",
            f"Run simulate with record=(gatedlib.record.{name}, ...)",
        )


def _frames(results: xr.Dataset, block: int) -> np.ndarray:
    """Which frames belong to a block, counted from 0."""
    start, stop = int(results.block_start[block]), int(results.block_stop[block])
    frames = np.flatnonzero((results.step.values >= start) & (results.step.values < stop))
    _check.require(
        len(frames) > 0 and results.step.values[frames[0]] == start,
        "every",
        int(results.attrs["every"]),
        f"there must be a frame at the first step of each block, none is at step {start}",
        "Record with every=1, or with a divisor of the block's steps",
    )
    return frames


def per_block(values: xr.DataArray, results: xr.Dataset, fn: Callable[[xr.DataArray], xr.DataArray]) -> xr.DataArray:
    """Apply a function that consumes `time` to each block, and line the outcomes up along `block`.

    Args:
        values: data along `time`, from `results` or computed from it.
        results: the run, for its table of blocks.
        fn: from the values in one block (with coordinates `time` and `step`) to a value without time.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.per_block(results.loss, results, lambda loss: loss.max("time")).sizes)
        {'block': 2, 'seed': 3}
    """
    blocks = [fn(values.isel(time=_frames(results, block))) for block in range(results.sizes["block"])]
    return xr.concat(blocks, results.block, coords="minimal", compat="override", join="override")


def time_to_criterion(results: xr.Dataset, theta: float = 0.1) -> xr.DataArray:
    r"""How long after each switch the loss first falls below a criterion; the block's length if it never does.

    $$\min \{ t - t_k : L(t) < \theta,\; t \in \text{block } k \}$$

    Args:
        results: a run with `loss` recorded.
        theta: the criterion.

    Returns:
        Times in time units, dims block and seed.

    Raises:
        ValueError: if theta is not above 0, or the loss was not recorded from the first step of each block on.

    Example:
        >>> import gatedlib as gl
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.time_to_criterion(results).sizes)
        {'block': 2, 'seed': 3}

    Source: paper, Fig. 2F.
    """
    _needs(results, "loss")
    _check.positive("theta", theta, "The paper's Fig. 2F has 0.1")
    dt = float(results.attrs["flow.dt"])
    lengths = (results.block_stop - results.block_start) * dt

    def first_below(loss: xr.DataArray) -> xr.DataArray:
        elapsed = (loss.step - loss.step[0]) * dt
        return elapsed.where(loss < theta).min("time")  # nan where the criterion is never met

    return per_block(results.loss, results, first_below).fillna(lengths).rename("time_to_criterion")


def switch_loss(results: xr.Dataset) -> xr.DataArray:
    """The loss at the first step of each block, before anything is learned about the switch.

    Args:
        results: a run with `loss` recorded.

    Returns:
        Losses, dims block and seed.

    Source: this library; the quantity behind paper Fig. 2A.
    """
    _needs(results, "loss")
    return per_block(results.loss, results, lambda loss: loss.isel(time=0, drop=True)).rename("switch_loss")


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

    def end(block: xr.DataArray) -> xr.DataArray:
        count = max(1, round(fraction * block.sizes["time"]))
        return block.isel(time=slice(-count, None)).mean("time")

    return per_block(values, results, end)


def end_loss(results: xr.Dataset) -> xr.DataArray:
    """The mean loss over the last 5 % of each block, dims block and seed.

    Source: paper, Fig. 2A.
    """
    _needs(results, "loss")
    return end_of_block(results.loss, results).rename("end_loss")


def matching(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task: the one-to-one assignment with the best total alignment over the last tenth.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        The path of each task, dims seed and task; -1 for tasks that are left over when there are fewer paths.

    Source: paper, appendix on metrics; optimal assignment in place of pairwise swaps.
    """
    _needs(results, "alignment")
    alignment = results.alignment.transpose("seed", "time", "task", "path")
    late = alignment.isel(time=slice(-max(1, alignment.sizes["time"] // 10), None)).mean("time")
    paths = np.full(late.shape[:2], -1)
    for seed, scores in enumerate(late.values):
        rows, columns = linear_sum_assignment(scores, maximize=True)
        paths[seed, rows] = columns
    return xr.DataArray(paths, {"seed": results.seed, "task": results.task}, ("seed", "task"), name="matching")


def _is_matched(results: xr.Dataset) -> xr.DataArray:
    return matching(results) == results.path


def alignment_matched(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths matched to them, dims seed and time.

    Source: paper, Fig. 2C.
    """
    return results.alignment.where(_is_matched(results)).mean(("task", "path")).rename("alignment_matched")


def alignment_crossed(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths that are not matched to them, dims seed and time.

    Source: paper, Fig. 2C.
    """
    return results.alignment.where(~_is_matched(results)).mean(("task", "path")).rename("alignment_crossed")


def gate_on(results: xr.Dataset) -> xr.DataArray:
    """The gate of the path matched to the active task, dims seed and time; nan where a task has no path.

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=True).mean("path").rename("gate_on")


def gate_off(results: xr.Dataset) -> xr.DataArray:
    """The mean gate of the paths not matched to the active task, dims seed and time.

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=False).mean("path").rename("gate_off")


def _matched_gates(results: xr.Dataset, *, on: bool) -> xr.DataArray:
    _needs(results, "gates")
    serves = _is_matched(results).sel(task=results.active_task)
    return results.gates.where(serves == on)


def total_alignment(results: xr.Dataset) -> xr.DataArray:
    r"""How well the final weights of all matched paths together agree with all teachers.

    $$\frac1{d_\mathrm{out}} \sum_i \cos\big( (W_{\pi(m), i\cdot})_m,\; (W^*_{m, i\cdot})_m \big)$$

    Args:
        results: a run with `alignment` recorded, for the matching.

    Returns:
        One number per seed; 1 when every path is its teacher, up to one common scale per row.

    Source: paper, Fig. 5.
    """
    paths = matching(results)
    taken = results.final_weights.isel(path=paths.where(paths >= 0, 0)).where(paths >= 0, 0.0)
    dots = (taken * results.teachers).sum(("task", "in"))
    lengths = np.sqrt((taken**2).sum(("task", "in")) * (results.teachers**2).sum(("task", "in")))
    return (dots / lengths).mean("out").rename("total_alignment")


def specialization(results: xr.Dataset) -> xr.DataArray:
    r"""How far the paths are apart, relative to the teachers: 0 when all paths are alike, 1 when each is a teacher.

    $$\frac{\langle \|W_p - W_q\|_F^2 \rangle_{p<q}}{\langle \|W^*_m - W^*_n\|_F^2 \rangle_{m<n}}$$

    Args:
        results: a run with `weight_products` recorded, at least two paths and at least two teachers.

    Returns:
        Specialization, dims seed and time.

    Source: paper, section 2 and appendix on the reduction.
    """
    _needs(results, "weight_products")
    apart = _mean_distance(results.weight_products, "path", "other_path")
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
