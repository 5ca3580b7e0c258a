"""Metrics: pure functions of results, from labelled data to labelled data.

Blocks are numbered from 1. Anything that needs to know which path serves which task matches them first
(`matching`): the assignment with the best total alignment, once per run, over its last tenth. Tasks that are made of
others (`Sums`, `RowMixtures`) have no path of their own and are left out of it. Where each output neuron has gates of
its own (`NeuronGated`), it has its own assignment too.

All metrics of results also take the results of a sweep, and are then taken in each cell.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr

from gatedlib import _check
from gatedlib._measuring import in_each_cell, needs, one_run
from gatedlib._paths import (
    alignment_crossed,
    alignment_matched,
    components,
    gate_like,
    gate_off,
    gate_on,
    matching,
    relabelled,
    specialization,
    total_alignment,
)
from gatedlib._reading import matching_by_gates, task_read

__all__ = [
    "alignment_crossed",
    "alignment_matched",
    "components",
    "end_loss",
    "end_of_block",
    "gate_like",
    "gate_off",
    "gate_on",
    "matching",
    "matching_by_gates",
    "per_block",
    "relabelled",
    "specialization",
    "switch_loss",
    "task_read",
    "time_to_criterion",
    "total_alignment",
]


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
    one_run(results)
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
