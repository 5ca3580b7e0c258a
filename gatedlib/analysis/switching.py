"""Metrics of losses: what happens in each block, and what a switch of task costs."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from gatedlib._internal.numerics import first_true
from gatedlib._internal.validation import refusal, require_integer, require_positive
from gatedlib.analysis.requirements import require_same_frames, table_of_frames
from gatedlib.simulation.completeness import require_all_frames, require_blocks, require_every_step
from gatedlib.simulation.runs import dt_of, in_each_run, runs_of, single_run, spacing


def _frames(results: xr.Dataset, block: int, every: int) -> slice:
    """The frames of a block, counted from 0, in a run with one frame in `every` steps."""
    start, stop = results.block_start.values[block], results.block_stop.values[block]
    steps = results.step.values
    first, end = np.searchsorted(steps, [start, stop])
    if first >= end or steps[first] != start:
        rule = f"there must be a frame at the first step of each block, none is at step {start}"
        remedy = "Record with every=1, or with a divisor of the block's steps"
        raise refusal("every", every, rule, remedy)
    return slice(first, end)


def _long_enough(name: str, value: int, steps: int, results: xr.Dataset) -> xr.DataArray:
    """Which blocks have at least this number of steps; one of them must."""
    lengths = results.block_stop - results.block_start
    if not (lengths >= steps).any():
        rule = f"takes blocks of {steps} steps, the longest has {int(lengths.max())}"
        raise refusal(name, value, rule, "Use fewer steps, or longer blocks")
    return lengths >= steps


def per_block(values: xr.DataArray, results: xr.Dataset, fn: Callable[[np.ndarray], np.ndarray]) -> xr.DataArray:
    """A function of the values in one block, taken in each block of a run.

    Args:
        values: data along `time`, from `results` or computed from it.
        results: the run, for its table of blocks.
        fn: from an array whose last axis is the time in a block to an array without that axis.

    Returns:
        The values of `fn`, with `block` as the last dim in place of `time`.

    Raises:
        ValueError: if a block has no frame at its first step, or the values are not those of the results.

    Example:
        >>> dict(gl.metrics.per_block(results.loss, results, lambda loss: loss.max(-1)).sizes)
        {'seed': 3, 'block': 2}
    """
    return _per_block(values, table_of_frames(results), fn)


def _per_block(values: xr.DataArray, results: xr.Dataset, fn: Callable[[np.ndarray], np.ndarray]) -> xr.DataArray:
    require_blocks(results)
    require_all_frames(results)
    require_same_frames("values", values, results, "Take values from the same results")
    timed = values.transpose(..., "time")
    array, others = timed.values, timed.dims[:-1]
    every = spacing(results.step.values, runs_of(results)[0])  # which refuses frames that are unequally far apart
    blocks = [fn(array[..., _frames(results, block, every)]) for block in range(results.sizes["block"])]
    coordinates = {name: c for name, c in results.coords.items() if "block" in c.dims}
    coordinates |= {name: c for name, c in timed.coords.items() if "time" not in c.dims}
    return xr.DataArray(np.stack(blocks, -1), coordinates, (*others, "block"), name=values.name)


@in_each_run("loss", "teachers")
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
        >>> dict(gl.metrics.time_to_criterion(results).sizes)
        {'seed': 3, 'block': 2}

    Source: paper, Fig. 2F.
    """
    theta = require_positive("theta", theta, "The paper's Fig. 2F has 0.1")
    frames = _per_block(results.loss, results, lambda loss: first_true(loss < theta))
    _require_criterion(theta, results)
    dt = dt_of(results)
    times = frames * (dt * spacing(results.step.values, runs_of(results)[0]))
    return times.fillna((results.block_stop - results.block_start) * dt).rename("time_to_criterion")


def _require_criterion(theta: float, results: xr.Dataset) -> None:
    """Require a criterion below the loss of giving no answer, on every task that is on and asks for something."""
    inputs, noise = {run.settings["flow.inputs"] for run in runs_of(results)}, 0.0
    if not inputs <= {"Population", "Sampled", "Noisy", "Examples"}:
        return  # inputs of a user's own may have any loss
    # No answer is the output 0: half the square of the teacher and of the noise, and for classes the logarithm of their
    # number. A task whose teacher is zero asks for nothing, and any network is right about it from the start.
    squares = (results.teachers.sel(task=np.unique(results.block_task)) ** 2).sum(("out", results.teachers.dims[-1]))
    if "Examples" in inputs:
        losses = xr.full_like(squares, np.log(results.sizes["out"]))
    else:
        if "Noisy" in inputs:
            noise = min(run.settings["flow.inputs.noise"] for run in runs_of(results)) ** 2 * results.sizes["out"] / 2
        losses = (squares / 2).where(squares > 0, np.inf) + noise
    lowest = float(losses.min())
    if theta >= lowest:
        rule = f"giving no answer at all has a loss of {lowest:.3g} on one of the tasks, which would count as recovered"
        raise refusal("theta", theta, rule, f"Use a criterion of this task's own scale, such as {0.4 * lowest:.2g}")


@in_each_run("loss")
def switch_loss(results: xr.Dataset) -> xr.DataArray:
    """The loss at the first step of each block, before anything is learned about the switch.

    Args:
        results: a run with `loss` recorded.

    Returns:
        Losses, dims seed and block.

    Raises:
        ValueError: if `loss` was not recorded from the first step of each block on.

    Example:
        >>> gl.metrics.switch_loss(results).median("seed").values.round(2)
        array([0.25, 0.49], dtype=float32)

    Source: this library; the quantity behind paper Fig. 2A.
    """
    return _per_block(results.loss, results, lambda loss: loss[..., 0]).rename("switch_loss")


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

    Example:
        >>> dict(gl.metrics.end_of_block(results.gates, results).sizes)
        {'seed': 3, 'path': 2, 'block': 2}
    """
    fraction = require_positive("fraction", fraction, "Use 0.05 for the last 5 %")
    if fraction > 1:
        raise refusal("fraction", fraction, "must be at most 1", "Use 0.05 for the last 5 %")
    return _end_of_block(values, table_of_frames(results), fraction)


def _end_of_block(values: xr.DataArray, results: xr.Dataset, fraction: float = 0.05) -> xr.DataArray:
    def end(block: np.ndarray) -> np.ndarray:
        return block[..., -max(1, round(fraction * block.shape[-1])) :].mean(-1)

    return _per_block(values, results, end)


def last(values: xr.DataArray, blocks: int) -> xr.DataArray:
    """The mean over the last blocks of a run, as a measure of what practice ends at.

    Args:
        values: data along `block`, as the metrics of blocks return them.
        blocks: the number of blocks at the end that count; 4 are the last two rounds of two alternating tasks.

    Returns:
        Means, without the dim block.

    Raises:
        ValueError: if the values have no dim block, there are fewer blocks than that, or the values are those of runs
            with different numbers of blocks.

    Example:
        >>> dict(gl.metrics.last(gl.metrics.end_loss(results), blocks=1).sizes)
        {'seed': 3}

    Source: this library.
    """
    if "block" not in values.dims:
        raise refusal("dims of values", values.dims, "must have block", "Use metrics.end_of_block first")
    blocks = require_integer("blocks", blocks, 1, "Use 4 for the last two rounds of two tasks")
    if blocks > values.sizes["block"]:
        raise refusal("blocks", blocks, f"there are only {values.sizes['block']}", "Average over fewer blocks")
    # runs with fewer blocks than others were padded with nan, also in the table of blocks, when they were joined
    if "block_stop" in values.coords and values.block_stop.isnull().any():
        rule = "runs side by side must have equally many"
        raise refusal("numbers of blocks", "unequal", rule, "Take the last blocks of each run, and join what you get")
    return values.isel(block=slice(-blocks, None)).mean("block")


@in_each_run("loss")
def end_loss(results: xr.Dataset) -> xr.DataArray:
    """The mean loss over the last 5 % of each block.

    Args:
        results: a run with `loss` recorded.

    Returns:
        Losses, dims seed and block.

    Raises:
        ValueError: if `loss` was not recorded from the first step of each block on.

    Example:
        >>> bool((gl.metrics.end_loss(results) < 0.05).all())
        True

    Source: paper, Fig. 2A.
    """
    return _end_of_block(results.loss, results).rename("end_loss")


@in_each_run("loss")
def post_switch_loss(results: xr.Dataset, steps: int = 5) -> xr.DataArray:
    r"""The loss right after each switch, step by step.

    .. math::

        L_k(n) = L(t_k + n\, dt), \qquad n = 0, 1, \dots, N

    n counts the learning steps taken since the switch: L(0) is the first error, before anything is learned about it.

    Args:
        results: a run with `loss` recorded at every step.
        steps: how many steps, N.

    Returns:
        Losses, dims seed, block and step_since; nan beyond the end of a block.

    Raises:
        ValueError: if steps is no whole number above 0, no block is long enough for it, or frames are missing.

    Example:
        >>> dict(gl.metrics.post_switch_loss(results, steps=5).sizes)
        {'seed': 3, 'block': 2, 'step_since': 6}

    Source: paper, Fig. 8B.
    """
    steps = require_integer("steps", steps, 1, "The paper's Fig. 8B has 5")
    require_blocks(results)
    require_every_step(results)
    require_all_frames(results)
    _long_enough("steps", steps, steps + 1, results)
    since = xr.DataArray(range(steps + 1), {"step_since": range(steps + 1)}, ("step_since",))
    # every step has a frame, so that a step is an index along time; it is clipped where the last block is too short
    step, end = results.block_start + since, results.sizes["time"] - 1
    after = results.loss.isel(time=step.clip(max=end)).drop_vars(["time", "step", "active_task"])
    return after.where(step < results.block_stop).transpose(..., "block", "step_since").rename("post_switch_loss")


@in_each_run("loss")
def switch_cost(results: xr.Dataset, steps: int | None = 5) -> xr.DataArray:
    r"""What a switch costs: the mean loss on the first steps of a block, less the steady loss at its end.

    .. math::

        C_k = \frac 1N \sum_{n=0}^{N-1} L_k(n) - L_k(\text{last }5\,\%)

    One step, N = 1, gives its *depth*: how much worse the first answer is.

    Args:
        results: a run with `loss` recorded at every step.
        steps: N; None for all steps of the block.

    Returns:
        Costs, dims seed and block; nan for blocks of fewer steps.

    Raises:
        ValueError: if steps is no whole number above 0, no block has so many, or frames are missing.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=4), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> depth, cost = gl.metrics.switch_cost(results, steps=1), gl.metrics.switch_cost(results)
        >>> bool((depth.median("seed") > cost.median("seed")).all())
        True

    Source: this library; the switch cost of task-switching experiments, in losses (Monsell 2003).
    """
    if steps is not None:
        steps = require_integer("steps", steps, 1, "Use 1 for the depth of a switch, None for all of a block")
        require_every_step(results)
    first = _per_block(results.loss, results, lambda loss: loss[..., :steps].mean(-1))
    enough = _long_enough("steps", steps or 1, steps or 1, results)
    return (first - _end_of_block(results.loss, results)).where(enough).rename("switch_cost")


@in_each_run("loss")
def switch_duration(results: xr.Dataset) -> xr.DataArray:
    r"""How long a switch lasts: the time at its first error that would cost as much as the whole switch.

    .. math::

        \tau_k = \frac{\sum_n [L_k(n) - L_k(\text{end})]\, dt}{L_k(0) - L_k(\text{end})}

    so that the whole cost of a switch is its depth times its duration. For a loss that decays exponentially it is the
    time constant.

    Args:
        results: a run with `loss` recorded.

    Returns:
        Durations in time units, dims seed and block; nan for a block whose first error is no larger than its last.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=4), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.switch_duration(results).sizes)
        {'seed': 3, 'block': 4}

    Source: this library.
    """
    end = _end_of_block(results.loss, results)
    depth = _per_block(results.loss, results, lambda loss: loss[..., 0]) - end
    excess = _per_block(results.loss, results, lambda loss: loss.mean(-1)) - end
    lengths = (results.block_stop - results.block_start) * dt_of(results)
    total = excess * lengths
    return (total / depth).where(depth > 0).rename("switch_duration")


def mixing_cost(mixed: xr.Dataset, single: xr.Dataset, skip: int = 5) -> xr.DataArray:
    r"""What it costs to be doing two tasks, without the cost of the switches themselves.

    .. math::

        M_k = \langle L^\text{mixed}(t) \rangle - \langle L^\text{single}(t) \rangle, \qquad
        t \in \text{block } k \text{ but its first steps}

    Args:
        mixed: a run in which tasks alternate, `loss` recorded at every step.
        single: a run of the same network with one task only, of the same duration, seeds and steps.
        skip: how many steps after each switch are left out.

    Returns:
        Costs, dims seed and block (of the mixed run); nan for blocks that have no more steps than are left out.

    Raises:
        ValueError: if the two runs differ in seeds or times, no block has more steps than are left out, or frames
            are missing.

    Example:
        >>> mixed = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(duration=4.0), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... )
        >>> single = mixed.replace(curriculum=gl.Blocked(duration=4.0, order=(0,)))
        >>> dict(gl.metrics.mixing_cost(gl.simulate(mixed, seeds=3), gl.simulate(single, seeds=3)).sizes)
        {'seed': 3, 'block': 4}

    Source: this library; the mixing cost of task-switching experiments, in losses (Monsell 2003).
    """
    mixed, single = single_run(mixed, "loss"), single_run(single, "loss")
    require_every_step(mixed)
    for name in ("seed", "time"):
        if not np.array_equal(mixed[name], single[name]):
            rule, remedy = "must be those of the other run", "Run both for the same seeds, duration and dt"
            raise refusal(f"{name}s of the single task", single[name].values[[0, -1]].tolist(), rule, remedy)
    skip = require_integer("skip", skip, 0, "Leave out 5 steps, or as many as a switch takes")
    difference = mixed.loss.drop_vars("settings") - single.loss.drop_vars(["active_task", "step", "settings"])

    def later(loss: np.ndarray) -> np.ndarray:
        return loss[..., min(skip, loss.shape[-1] - 1) :].mean(-1)

    cost = _per_block(difference, mixed, later)
    return cost.where(_long_enough("skip", skip, skip + 1, mixed)).rename("mixing_cost")
