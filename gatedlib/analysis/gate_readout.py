"""Metrics of gates alone: which path serves which task, and which task is on, decoded from the gates."""

import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal
from gatedlib.analysis.matching import best_assignment
from gatedlib.analysis.requirements import (
    require_all_frames,
    require_blocks,
    require_gate_per_path,
    require_no_composites,
)
from gatedlib.analysis.units import unit_dim
from gatedlib.simulation.runs import in_each_run, runs_of


@in_each_run("gates")
def matching_by_gates(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task, by the gates alone: the path that is open at the ends of the task's last blocks.

    Args:
        results: a run with `gates` recorded, one gate per path, and every task on in the second half of its blocks.

    Returns:
        The path of each task, dims seed and task; -1 for tasks that are left over when there are fewer paths.

    Raises:
        ValueError: if outputs have gates of their own, or a task is not on in the second half of the blocks.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=4), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> gl.metrics.matching_by_gates(results).dims
        ('seed', 'task')

    Source: this library; for data sets, where there are no teachers' weights to align with.
    """
    return _matching_by_gates(results)


def _matching_by_gates(results: xr.Dataset) -> xr.DataArray:
    require_gate_per_path(results, "Use metrics.matching")
    require_no_composites(results, "Use metrics.matching, which leaves them out")
    require_blocks(results, whole=True)
    require_all_frames(results)
    half = results.sizes["block"] // 2
    last_frames = np.searchsorted(results.step.values, results.block_stop.values[half:]) - 1
    gates = results.gates.transpose("seed", "time", unit_dim(results)).values[:, last_frames]
    block_tasks, tasks = results.block_task.values[half:], range(runs_of(results)[0].sizes["task"])
    absent = sorted(set(tasks) - set(block_tasks.tolist()))
    if absent:
        rule, remedy = "must each be on in the second half of the blocks", "Train for more blocks"
        raise refusal("tasks never on late", absent, rule, remedy)
    path_of_task = best_assignment(np.stack([gates[:, block_tasks == task].mean(1) for task in tasks], 1))
    labels = {"seed": results.seed.variable, "task": list(tasks)}
    return xr.DataArray(path_of_task, labels, ("seed", "task"), name="matching_by_gates")


@in_each_run("gates")
def decoded_task(results: xr.Dataset) -> xr.DataArray:
    """Which task is on, decoded from the gates: the task whose path is open the widest.

    Args:
        results: as for `matching_by_gates`, with a path for each task.

    Returns:
        The task, dims seed and time. Compare it with `results.active_task`.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=20),
        ...     gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01, penalties=(gl.Nonnegative(0.0909), gl.UnitNorm(0.909))),
        ... ), seeds=3)
        >>> right = gl.metrics.decoded_task(results) == results.active_task
        >>> right.sel(time=slice(18.2, 18.9)).all().item()         # some way into a late block
        True

    Source: this library.
    """
    path_of_task = _matching_by_gates(results)
    without_path = int((path_of_task < 0).sum())
    if without_path > 0:
        remedy = "Use as many paths as tasks"
        raise refusal("tasks without a path", without_path, "must be none: every task needs a path", remedy)
    decoded = results.gates.isel({unit_dim(results): path_of_task}).argmax("task")
    return decoded.transpose("seed", "time").rename("decoded_task")
