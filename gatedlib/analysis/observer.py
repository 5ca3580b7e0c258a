r"""An ideal observer: the best belief, step by step, in which task is on.

It knows all teachers, how often tasks switch and how noisy the targets are, and sees the same samples as a network
(`Noisy` inputs). No other way to name the task from these samples makes fewer errors: it is what gates can be
compared with.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float

from gatedlib._internal.numerics import first_true
from gatedlib._internal.validation import as_float_array, refusal, require_finite, require_positive
from gatedlib.analysis.matching import reorder_paths
from gatedlib.analysis.metrics import per_block
from gatedlib.analysis.requirements import (
    require_all_frames,
    require_every_step,
    require_first_frames,
    require_gate_per_path,
    require_no_composites,
    require_same_frames,
    table_of_frames,
)
from gatedlib.analysis.units import unit_dim
from gatedlib.simulation.runs import common, in_each_run, runs_of, setting


def filtered(
    log_likelihood: Float[np.ndarray, "*other time task"], hazard: float
) -> Float[np.ndarray, "*other time task"]:
    r"""The probability of each task given all samples so far, if tasks switch with a fixed chance at each step.

    .. math::

        b_t(m) \propto p(\text{samples}_t \mid m) \sum_n T_{nm}\, b_{t-1}(n), \qquad
        T_{nm} = \begin{cases} 1 - h & m = n \\ h / (M - 1) & m \ne n \end{cases}

    All tasks are equally likely before the first step.

    Args:
        log_likelihood: :math:`\ln p(\text{samples}_t \mid m)` up to a number that is the same for all tasks.
        hazard: h, the chance of a switch at each step.

    Returns:
        b, of the same shape.

    Raises:
        ValueError: if there are fewer than two tasks, a number is not finite, or the hazard is not in (0, 1].

    Example:
        >>> from gatedlib.analysis.observer import filtered
        >>> filtered(np.log([[0.9, 0.1], [0.9, 0.1]]), hazard=0.1).round(3).tolist()
        [[0.9, 0.1], [0.976, 0.024]]

    Source: the forward algorithm for a hidden task; for two tasks, Glaze, Kable and Gold 2015.
    """
    evidence = as_float_array("log_likelihood", log_likelihood)
    tasks = evidence.shape[-1] if evidence.ndim > 1 else 0
    if tasks < 2:
        raise refusal("number of tasks", tasks, "must be 2 or more", "Give one column for each task")
    require_finite("log likelihoods", evidence)
    hazard = require_positive("hazard", hazard, "Use 1 / 200 for a switch every 200 steps")
    if hazard > 1:
        raise refusal("hazard", hazard, "is a chance at each step, at most 1", "Use 1 / 200, for instance")
    transition = np.full((tasks, tasks), hazard / (tasks - 1))
    np.fill_diagonal(transition, 1 - hazard)
    beliefs = np.empty_like(evidence)
    belief = np.full((*evidence.shape[:-2], tasks), 1 / tasks)
    for step in range(evidence.shape[-2]):
        prior = belief @ transition if step else belief  # the first task is drawn, and no switch comes before it
        with np.errstate(divide="ignore"):  # the prior of a task that cannot be on is 0
            log_posterior = np.log(prior) + evidence[..., step, :]
        # relative to the best task, whose weight then is 1: the sum cannot underflow to 0
        belief = np.exp(log_posterior - log_posterior.max(-1, keepdims=True))
        belief = belief / belief.sum(-1, keepdims=True)
        beliefs[..., step, :] = belief
    return beliefs


@in_each_run("teacher_losses")
def posterior(results: xr.Dataset, hazard: float | None = None) -> xr.DataArray:
    r"""The belief of an ideal observer in each task, from the samples that a network has learned from.

    .. math::

        \ln p(\text{samples}_t \mid m) = -\frac{B}{\sigma^2} L_B(W^*_m) + \text{const}

    where :math:`L_B(W^*_m)` is the loss that teacher m itself has on the batch, B its size, :math:`\sigma` the noise.

    Args:
        results: a run on `Noisy` inputs with `teacher_losses` recorded at every step, which is not done unless asked
            for: `record=(gl.record.teacher_losses, gl.record.gates, gl.record.alignment)` serves `gate_shares` too.
        hazard: the chance of a switch at each step that the observer assumes; one over the mean length of the blocks
            unless given.

    Returns:
        The probability of each task after the samples of the step, dims seed, time and task.

    Raises:
        ValueError: if the inputs have no noise, frames are missing, or the hazard is not in (0, 1].

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=4),
        ...     gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01, inputs=gl.Noisy(batch=1, noise=0.2)),
        ... ), seeds=3, record=[gl.record.teacher_losses])
        >>> belief = gl.observer.posterior(results)
        >>> bool((belief[:, 99].sel(task=0) > 0.9).all()), bool((belief[:, 199].sel(task=1) > 0.9).all())
        (True, True)

    Source: this library.
    """
    require_first_frames(results)
    require_every_step(results)
    inputs = common(results, "flow.inputs")
    if inputs != "Noisy":
        rule = "must be Noisy: without noise one sample tells the task"
        raise refusal("inputs", inputs, rule, "Use inputs=Noisy(batch=1, noise=0.5)")
    batch, noise = (setting(results, f"flow.inputs.{name}") for name in ("batch", "noise"))
    if hazard is None:
        hazard = runs_of(results)[0].blocks / runs_of(results)[0].steps
    losses = results.teacher_losses
    # the loss is half the mean square over the batch, so that B L / sigma^2 is the exponent of the normal density
    evidence = -(batch / noise**2).astype(losses.dtype) * losses
    return losses.copy(data=filtered(evidence.values, hazard)).rename("posterior")


@in_each_run("gates", "alignment", "final_gates")
def gate_shares(results: xr.Dataset) -> xr.DataArray:
    r"""The belief of the gates in each task: the share of the task's gate in the sum of all gates, after each step.

    .. math::

        s_m = \frac{\max(c_m, 0)}{\sum_n \max(c_n, 0)}

    with :math:`c_m` the gate of the path that serves task m; equal shares where no gate is open. As in `posterior`, the
    samples of the step have been seen.

    Args:
        results: a run with `gates` and `alignment` recorded at every step, one gate per path, as many paths as tasks.

    Returns:
        Shares between 0 and 1, dims seed, time and task.

    Raises:
        ValueError: if there are not as many paths as tasks, outputs have gates of their own, or frames are missing.

    Example:
        >>> bool((gl.observer.gate_shares(results).sum("task").round(5) == 1).all())
        True

    Source: this library.
    """
    require_gate_per_path(results, "Use GatedLinear")
    require_no_composites(results, "Use teachers without composites")
    dim = unit_dim(results)
    paths, tasks = results.sizes[dim], results.sizes["task"]
    if paths != tasks:
        remedy = f"Use GatedLinear(paths={tasks})"
        raise refusal("number of paths", paths, f"must be {tasks}, the number of tasks", remedy)
    require_every_step(results)
    require_all_frames(results)
    matched = reorder_paths(results)  # paths in the order of the tasks that they serve
    gates = matched.gates.transpose("seed", "time", dim)
    # a frame has the gates before its step, and the next one those that its sample has taught
    after = np.append(gates.values[:, 1:], matched.final_gates.values[:, None], axis=1)
    open_gates = gates.copy(data=after).clip(min=0).rename({dim: "task"})
    total = open_gates.sum("task")
    return (open_gates / total.where(total > 0)).fillna(1 / paths).rename("gate_shares")


def steps_to_certainty(belief: xr.DataArray, results: xr.Dataset, level: float = 0.9) -> xr.DataArray:
    r"""How many steps of a new task must be seen until a belief in it first reaches a level.

    .. math::

        \min \{ n \ge 1 : b_{t_k + n - 1}(m_k) \ge \text{level} \}

    Args:
        belief: what `posterior` or `gate_shares` gives: dims seed, time and task.
        results: the run, for its table of blocks.
        level: the level, between 0 and 1.

    Returns:
        Steps, dims seed and block, 1 if one is enough, the block's length if the level is never reached.

    Raises:
        ValueError: if the level is not between 0 and 1, or the belief has other dims.

    Example:
        >>> int(gl.observer.steps_to_certainty(gl.observer.posterior(noisy), noisy).max())
        1

    Source: this library.
    """
    results = table_of_frames(results)
    level = require_positive("level", level, "Use 0.9 for 90 % certainty")
    if level >= 1:
        raise refusal("level", level, "must be below 1", "Use 0.9 for 90 % certainty")
    steps = 1 + per_block(_belief_in_active(belief, results) >= level, results, first_true)
    return steps.fillna(results.block_stop - results.block_start).rename("steps_to_certainty")


def errors(belief: xr.DataArray, results: xr.Dataset) -> xr.DataArray:
    r"""Whether the task that a belief favours is not the one that is on, frame by frame.

    .. math::

        \big[ \arg\max_m b_t(m) \ne m(t) \big]

    Args:
        belief: what `posterior` or `gate_shares` gives: dims seed, time and task.
        results: the run, for the task that is on.

    Returns:
        1 or 0, dims seed and time; a tie counts as half an error for two tasks.

    Example:
        >>> dict(gl.observer.errors(gl.observer.posterior(noisy), noisy).sizes)
        {'seed': 3, 'time': 200}

    Source: this library.
    """
    results = table_of_frames(results)
    active, highest = _belief_in_active(belief, results), belief.max("task")
    correct = (active == highest) / (belief == highest).sum("task")
    return (1 - correct).rename("errors")


def error_rate(belief: xr.DataArray, results: xr.Dataset) -> xr.DataArray:
    r"""How often the task that a belief favours is not the one that is on.

    .. math::

        \frac 1T \sum_t \big[ \arg\max_m b_t(m) \ne m(t) \big]

    On random switches no estimate from the same samples can have a lower one, in the mean, than the `posterior` with
    the right hazard.

    Args:
        belief: what `posterior` or `gate_shares` gives: dims seed, time and task.
        results: the run, for the task that is on.

    Returns:
        One rate per seed: the mean of `errors`.

    Example:
        >>> gl.observer.error_rate(gl.observer.posterior(noisy), noisy).values.tolist()
        [0.0, 0.0, 0.0]

    Source: this library.
    """
    return errors(belief, results).mean("time").rename("error_rate")


def _belief_in_active(belief: xr.DataArray, results: xr.Dataset) -> xr.DataArray:
    """The belief in the task that is on."""
    require_same_frames("belief", belief, results, "Cut the results too: results.sel(time=slice(...))")
    tasks = sorted(belief.task.values.tolist()) if "task" in belief.dims else None
    count = runs_of(results)[0].sizes["task"]
    if tasks != list(range(count)):
        remedy = "Use what observer.posterior or gate_shares gives"
        raise refusal("tasks of belief", tasks, f"must be all of the run, 0 to {count - 1}", remedy)
    active = xr.DataArray(results.active_task.values, dims="time")
    return belief.transpose(..., "time", "task").sel(task=active)
