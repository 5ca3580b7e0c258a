"""Metrics of gates alone: which path serves which task, and which task is on, as the gates tell it."""

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.analysis.requirements import (
    require_all_frames,
    require_blocks,
    require_gate_per_path,
    require_no_composites,
    unit,
)
from gatedlib.analysis.specialization import assigned
from gatedlib.simulation.runs import in_each_run, runs_of


@in_each_run("gates")
def matching_by_gates(results: xr.Dataset) -> xr.DataArray:
    """Which path serves each task, told by the gates alone: those that are open at the ends of its last blocks.

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
    ends = np.searchsorted(results.step.values, results.block_stop.values[half:]) - 1
    late, tasks = (
        results.gates.transpose("seed", "time", unit(results)).values[:, ends],
        results.block_task.values[half:],
    )
    every = range(runs_of(results)[0].sizes["task"])
    absent = sorted(set(every) - set(tasks.tolist()))
    rule, remedy = "must each be on in the second half of the blocks", "Train for more blocks"
    require(not absent, "tasks never on late", absent, rule, remedy)
    found = assigned(np.stack([late[:, tasks == task].mean(1) for task in every], 1))
    labels = {"seed": results.seed.variable, "task": list(every)}
    return xr.DataArray(found, labels, ("seed", "task"), name="matching_by_gates")


@in_each_run("gates")
def task_read(results: xr.Dataset) -> xr.DataArray:
    """Which task is on, read from the gates: the one whose path is open the widest.

    Args:
        results: as for `matching_by_gates`, with a path for each task.

    Returns:
        The task, dims seed and time. Compare it with `results.active_task`.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=20),
        ...     gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01, penalties=(gl.Nonnegative(0.0909), gl.UnitNorm(0.909))),
        ... ), seeds=3)
        >>> right = gl.metrics.task_read(results) == results.active_task
        >>> right.sel(time=slice(18.2, 18.9)).all().item()         # some way into a late block
        True

    Source: this library.
    """
    path_of_task = _matching_by_gates(results)
    rule, remedy = "must be none: every task needs a path", "Use as many paths as tasks"
    require(int(path_of_task.min()) >= 0, "tasks without a path", int((path_of_task < 0).sum()), rule, remedy)
    read = results.gates.isel({unit(results): path_of_task}).argmax("task")
    return read.transpose("seed", "time").rename("task_read")
