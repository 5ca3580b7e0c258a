r"""Transfer: what a trained network can do on new tasks by its gates alone.

With its weights frozen, a network with one gate per path can be any matrix in the span of its paths, and, while its
gates are nonnegative, any in the cone between them. These functions say how near a new task lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import (
    as_jax_array,
    is_number,
    refusal,
    require,
    require_finite,
    require_nonnegative,
    require_positive,
    to_plain,
)
from gatedlib.analysis.requirements import require_matrix_paths
from gatedlib.analysis.units import outputs_have_gates
from gatedlib.model import curricula
from gatedlib.model.composites import Sums
from gatedlib.model.experiment import Experiment
from gatedlib.simulation import record as rec
from gatedlib.simulation.results import final_params, settings
from gatedlib.simulation.runs import common, in_each_run, runs_of, single_run
from gatedlib.simulation.simulate import simulate


def _checked_targets(results: xr.Dataset, targets: xr.DataArray | None) -> xr.DataArray:
    """The targets, by default all tasks, for the seeds of the results."""
    require_matrix_paths(results)
    targets = results.teachers if targets is None else targets
    if "seed" not in targets.dims:
        targets = targets.expand_dims("seed")
    remedy = "Use transfer.mixtures of the same results"
    seeds, own = (data.seed.values.tolist() if "seed" in data.coords else None for data in (targets, results))
    if seeds != own:
        raise refusal("seeds of targets", seeds, f"must be those of the results, {own}", remedy)
    sizes, own = (tuple(data.sizes.get(dim) for dim in ("out", "in")) for data in (targets, results.teachers))
    if sizes != own:
        raise refusal("outputs and inputs of targets", sizes, f"must be {own}, those of the teachers", remedy)
    require_finite("numbers in targets", targets.values)
    return targets


def _least_squares(
    targets: xr.DataArray, parts: xr.DataArray, dim: str, separate: list[str], *, nonnegative: bool = False
) -> xr.DataArray:
    """The share of each part, counted along `dim`, with which the parts add up best to each target.

    Args:
        targets: matrices, dims seed, out, in and any others.
        parts: matrices, dims seed, out, in and `dim`.
        dim: the axis along which parts are counted.
        separate: the dims along which the shares are found one by one: none, or the outputs.
        nonnegative: whether shares below zero are ruled out.

    Returns:
        Shares, with `dim` in place of out and in, and then the separate ones.
    """
    from scipy.optimize import nnls  # slow to import

    entries = [name for name in ("out", "in") if name not in separate]
    others = [name for name in targets.dims if name not in ("seed", "out", "in")]
    columns = parts.transpose("seed", *separate, *entries, dim)
    rows = targets.transpose("seed", *separate, *others, *entries)
    # for every seed (and output) one matrix whose columns are the parts, and as many right-hand sides as targets
    values = np.empty((*rows.shape[: -len(entries)], columns.sizes[dim]))
    for place in np.ndindex(columns.shape[: 1 + len(separate)]):
        matrix = columns.values[place].reshape(-1, columns.sizes[dim])
        for other in np.ndindex(rows.shape[1 + len(separate) : -len(entries)]):
            target = rows.values[place + other].ravel()
            values[place + other] = nnls(matrix, target)[0] if nonnegative else np.linalg.lstsq(matrix, target)[0]
    dims = ("seed", *separate, *others, dim)
    coordinates = {name: c for name, c in targets.coords.items() if set(c.dims) <= set(dims)}
    shares = xr.DataArray(values, coordinates, dims).assign_coords({dim: parts[dim]})
    return shares.transpose("seed", *others, dim, *separate)


def _dims_of_gates(results: xr.Dataset) -> list[str]:
    """The dims along which gates are chosen one by one: the outputs, where each has its own."""
    return ["out"] if outputs_have_gates(results) else []


@in_each_run("final_weights", "teachers")
def parts(results: xr.Dataset) -> xr.DataArray:
    r"""What the paths of a trained network are made of: the weighted sum of the tasks that is nearest to each path.

    .. math::

        W_p \approx \sum_m x_{pm} W^*_m

    Args:
        results: a trained run.

    Returns:
        x, with dims seed, path and task, composites left out; 1 and 0 for paths that each are a task. Where each output
        has its own gates, each row by itself, with the dim out: relabel such results first.

    Raises:
        ValueError: if paths are no matrices like the teachers.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=20), gl.Flow(tau_w=0.1, tau_c=1.0, dt=0.01)
        ... ), seeds=3)
        >>> gl.transfer.parts(results).mean("seed").values.round().astype(int).tolist()  # both have become task B
        [[0, 1], [0, 1]]

    Source: this library.
    """
    require_matrix_paths(results)
    shares = _least_squares(results.final_weights, _components(results), "task", _dims_of_gates(results))
    return shares.rename("parts")


def _components(results: xr.Dataset) -> xr.DataArray:
    """The teachers that are not made of others."""
    return results.teachers.isel(task=slice(runs_of(results)[0].components))


@in_each_run("final_weights", "teachers")
def mixtures(results: xr.Dataset, weights: Sequence[Sequence[float]] | np.ndarray) -> xr.DataArray:
    r"""New tasks made of the tasks of a run, as targets for the functions below.

    .. math::

        W^*_k = \sum_m w_{km} W^*_m

    Args:
        results: any run.
        weights: one row for each new task, with one number for each task of the run that is no composite.

    Returns:
        Dims seed, mixture, out and in.

    Raises:
        ValueError: if the rows have not one finite number for each task.

    Example:
        >>> dict(gl.transfer.mixtures(results, [(0.5, 0.5), (0.2, 0.8)]).sizes)
        {'seed': 3, 'mixture': 2, 'out': 10, 'in': 20}

    Source: this library.
    """
    require_matrix_paths(results)
    teachers = _components(results)
    table = np.asarray(as_jax_array("weights", weights, "Write for instance [(0.5, 0.5)]"), float)
    require_finite("weights", table)
    if table.ndim != 2 or table.shape[1] != teachers.sizes["task"]:
        rule = f"must be (mixtures, {teachers.sizes['task']}), one number for each task"
        raise refusal("shape of weights", table.shape, rule, "Write for instance [(0.5, 0.5)]")
    mixed = xr.DataArray(table, {"task": teachers.task}, ("mixture", "task"))
    return xr.dot(mixed, teachers, dim="task").transpose("seed", "mixture", "out", "in").rename("mixtures")


@in_each_run("final_weights", "teachers")
def best_gates(results: xr.Dataset, targets: xr.DataArray | None = None, *, nonnegative: bool = False) -> xr.DataArray:
    r"""The gates with which the frozen final weights come nearest to a task: zero-shot, without any learning.

    .. math::

        \hat c = \arg\min_c \tfrac12 \Big\| \sum_p c_p W_p - W^* \Big\|_F^2, \qquad
        M \hat c = v, \quad M_{pq} = \langle W_p, W_q \rangle, \quad v_p = \langle W_p, W^* \rangle

    and the same for each row by itself where each output neuron has gates of its own. The smallest such gates if
    there are several and they may have any sign.

    Args:
        results: a trained run.
        targets: tasks, with dims seed, out, in and any others; all tasks of the run unless given.
        nonnegative: whether gates below zero are ruled out.

    Returns:
        Gates with the dims of the targets, and path in place of out and in; with path and out if each output has its
        own gates.

    Raises:
        ValueError: if the targets have not the dims seed, out and in, or other seeds than the results.

    Example:
        >>> dict(gl.transfer.best_gates(results).sizes)
        {'seed': 3, 'task': 2, 'path': 2}

    Source: this library; the limit of paper Fig. 3C and D when the weights stand still.
    """
    targets, separate = _checked_targets(results, targets), _dims_of_gates(results)
    gates = _least_squares(targets, results.final_weights, "path", separate, nonnegative=nonnegative)
    return gates.rename("best_gates")


@in_each_run("final_weights", "teachers")
def loss_with(results: xr.Dataset, gates: xr.DataArray, targets: xr.DataArray | None = None) -> xr.DataArray:
    r"""The loss of the frozen final weights on tasks, with given gates.

    .. math::

        L = \tfrac12 \Big\| \sum_p c_p W_p - W^* \Big\|_F^2

    Args:
        results: a trained run.
        gates: dims seed and path, out if each output has its own gates, and any others of the targets.
        targets: tasks, with dims seed, out, in and any others; all tasks of the run unless given.

    Returns:
        The loss on inputs of unit covariance, with the dims of the targets but out and in.

    Raises:
        ValueError: as for `best_gates`.

    Example:
        >>> zero_shot = gl.transfer.loss_with(results, gl.transfer.best_gates(results))
        >>> bool((zero_shot < gl.transfer.loss_with(results, results.final_gates)).all())
        True

    Source: this library.
    """
    targets = _checked_targets(results, targets)
    gates = gates if "seed" in gates.dims or "seed" not in gates.coords else gates.expand_dims("seed")
    for dim in ("seed", "path"):
        labels, own = (data[dim].values.tolist() if dim in data.dims else None for data in (gates, results))
        if labels != own:
            remedy = "Use results.final_gates, or what best_gates gives"
            raise refusal(f"{dim}s of gates", labels, f"must be those of the results, {own}", remedy)
    error = (gates * results.final_weights).sum("path") - targets
    return ((error**2).sum(("out", "in")) / 2).rename("loss")


def adapt(
    experiment: Experiment,
    results: xr.Dataset,
    weights: Sequence[float] | np.ndarray,
    duration: float = 1.0,
    *,
    gates_only: bool = False,
    record: Sequence[rec.Quantity] = (rec.loss, rec.gates),
) -> xr.Dataset:
    r"""Train networks further, on new inputs, on one new task that is a weighted sum of the tasks they know.

    .. math::

        W^*_{\mathrm{new}} = \sum_m w_m W^*_m

    Args:
        experiment: the experiment in which the networks were trained.
        results: its results.
        weights: one number for each task that is no composite.
        duration: how long, in time units.
        gates_only: whether weights are frozen.
        record: the quantities to keep, of every step.

    Returns:
        Results of the one block, for the same seeds.

    Raises:
        ValueError: if the results are of other teachers or another network, or hold a sweep, there is not one weight
            for each task, or the duration is no whole number of steps.

    Example:
        >>> after = gl.transfer.adapt(experiment, gl.simulate(experiment, seeds=3), (0.5, 0.5), gates_only=True)
        >>> bool((after.loss[:, -1] < after.loss[:, 0]).all())
        True

    Source: paper, Fig. 3C, for any mixture.
    """
    trained = single_run(results, "final_weights", "final_gates")
    _require_same_networks(experiment, trained)
    duration = require_positive("duration", duration, "Use 1.0")
    curricula.whole_steps("duration", duration, float(experiment.flow.dt))
    components, tasks = experiment.teachers.components, experiment.teachers.shape[0]
    remedy, mixture = "Write for instance (0.5, 0.5)", to_plain(weights)
    if len(mixture) != components:
        raise refusal("number of weights", len(mixture), f"must be {components}, one for each task", remedy)
    for weight in mixture:
        require(is_number(weight), "weight", weight, "must be a number", remedy)
    # the new task is one more composite, whose number comes after those of all tasks before
    row = (*(float(weight) for weight in mixture), *[0.0] * (tasks - components))
    new = experiment.replace(
        teachers=Sums(experiment.teachers, (row,)), curriculum=curricula.BlockSequence((tasks,), (duration,))
    )
    # an infinite time constant stops the weights
    continued = new.replace(tau_w=math.inf) if gates_only else new
    own, seeds = runs_of(trained)[0], [run.seed for run in runs_of(trained)]
    return simulate(continued, seeds, record, initial=final_params(results), start=own.start + own.steps)


def _require_same_networks(experiment: Experiment, trained: xr.Dataset) -> None:
    """Require the teachers and the network that the results were trained with."""
    for name, value in settings(experiment).items():
        if name.startswith(("teachers", "network")):
            was: Any = common(trained, name) if name in runs_of(trained)[0].settings else None
            if to_plain(was) != to_plain(value):
                raise refusal(name, value, f"was {was!r} in the results", "Give the experiment that they came from")


def adaptation_time(distance: float, size: float, tau_c: float, theta: float, specialization: float = 1.0) -> float:
    r"""How long gates alone need to go from one mixture of known tasks to another, in closed form.

    .. math::

        \tau_c \dot\delta = -q\,\sigma\,\delta, \quad L = \tfrac q2 \|\delta\|^2 \quad\Rightarrow\quad
        t = \frac{\tau_c}{2 q \sigma} \ln\frac{q D^2}{2\theta}

    for orthogonal tasks of squared length q, weights that stand still, and gates that add up to one, where the
    penalties do not push. :math:`\delta` is what the present mixture lacks of the new one, D its length at the switch;
    :math:`\sigma` is the squared distance of the paths relative to that of the tasks, which speeds gates up.

    Args:
        distance: D, from the weights of the mixture before the switch to those of the new one.
        size: q, :math:`\|W^*_m\|_F^2`.
        tau_c: time constant of the gates.
        theta: the loss that counts as adapted.
        specialization: :math:`\sigma`, as `metrics.specialization` measures it; 1 for paths that are the tasks.

    Returns:
        The time in time units; 0 if the loss is below theta from the start.

    Raises:
        ValueError: if a number is not above 0 (the distance may be 0).

    Example:
        >>> round(gl.transfer.adaptation_time(0.5**0.5, size=0.3, tau_c=0.03, theta=0.02), 3)
        0.066

    Source: this library.
    """
    distance = require_nonnegative("distance", distance, "Use the length of the difference of the two mixtures")
    named = {"size": size, "tau_c": tau_c, "theta": theta, "specialization": specialization}
    remedy = "Use the squared length of a teacher, a time constant, a loss, and a ratio"
    size, tau_c, theta, specialization = (require_positive(name, value, remedy) for name, value in named.items())
    excess = size * distance**2 / (2 * theta)  # the loss at the switch in units of theta
    return tau_c / (2 * size * specialization) * math.log(excess) if excess > 1 else 0.0
