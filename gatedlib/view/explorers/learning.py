"""Explorers in which networks learn while the reader watches, from the initial weights of a seed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal, require_instance, require_integer
from gatedlib.analysis import metrics
from gatedlib.model.curricula import Blocked
from gatedlib.model.experiment import Experiment, check_settings, setting
from gatedlib.model.inputs import Noisy
from gatedlib.model.networks import Params, TwoLayer
from gatedlib.model.penalties import WeightDecay
from gatedlib.model.teachers import Given
from gatedlib.simulation import record
from gatedlib.simulation.simulate import simulate
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import (
    Explorer,
    duration_of,
    flow_of,
    in_population,
    over_time,
    panels,
    require_two_tasks,
    rounded,
    run_code,
    start_of,
)

KEEP = (record.loss, record.gates, record.alignment)

MOVABLE = ("block_length", "tau_c", "a", "b")
"""The settings that an explorer can move."""

FIRST_WEIGHTS = ((0.0003, -0.0003), (0.0014, 0.0002))
"""The first random weights of the smallest network, as small as those of other networks: a row for each path."""


def _block_length(experiment: Experiment) -> float:
    """The length of the first block, in time units."""
    return round(float(experiment.schedule().stop[0]) * float(experiment.flow.dt), 9)


def _blocked_for(experiment: Experiment) -> Experiment:
    """The same duration in blocks, whatever their length is to be."""
    return in_population(experiment).replace(curriculum=Blocked(duration=duration_of(experiment)))


def smallest(experiment: Experiment, conserved: bool = False) -> Explorer:
    """The smallest network that learns to switch: two paths and two gates in the plane of two teachers.

    Args:
        experiment: a blocked experiment of two paths with penalties a and b, of whose teachers only the length is kept.
        conserved: whether what learning conserves is shown too.

    Source: paper, Figs. 2 and 4; what is conserved, this library.
    """
    require_two_tasks(experiment)
    teacher = float(f"{np.linalg.norm(experiment.draw(0)[0][0]):.6g}")
    small = _blocked_for(experiment).replace(
        teachers=Given(teacher * np.eye(2)[:, :, None]), block_length=_block_length(experiment)
    )
    flow, gates = flow_of(experiment), [float(setting(experiment, "gate_init"))] * 2
    start = Params(np.array(FIRST_WEIGHTS)[None, :, :, None], np.array([gates]))
    results = simulate(small, [0], (*KEEP[:2], record.weights), initial=start)
    figure, (loss, gate, plane) = panels(3, height=2.6)
    over_time(results, loss, gate)
    plotting.plane(results.isel(time=slice(-2, None)), plane, time=float(results.time[-1]))
    state = {
        "teacher": teacher,
        "flow": flow,
        "duration": duration_of(experiment),
        "block_length": _block_length(experiment),
        "gates": gates,
        "weights": [list(row) for row in FIRST_WEIGHTS],
        "conserved": conserved,
        "code": _smallest_code(teacher, flow, duration_of(experiment), conserved),
    }
    alt = "Loss, gates and weights of a network in two dimensions, the weights as arrows in the plane of the tasks."
    return Explorer("smallest", state, figure, alt, heights=(51, 87) if conserved else (41, 77))


def _smallest_code(teacher: float, flow: dict[str, float], duration: float, conserved: bool) -> str:
    """The Python code of `smallest`; the explorer fills in what stands in braces."""
    return f"""import numpy as np

import gatedlib as gl

experiment = gl.Experiment(
    teachers=gl.Given({teacher} * np.eye(2)[:, :, None]),  # two tasks, in two coordinates
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(duration={duration}, block_length={{block_length}}),
    flow=gl.Flow(
        tau_w={flow["tau_w"]}, tau_c={{tau_c}}, dt={flow["dt"]}, penalties=(gl.Nonnegative({{a}}), gl.UnitNorm({{b}}))
    ),
)
weights = np.array({{weights}})
start = gl.Params(weights=weights[None, :, :, None], gates=np.array([{{gates}}]))
keep = [gl.record.loss, gl.record.gates, gl.record.weights, gl.record.weight_products]
results = gl.simulate(experiment, seeds=1, record=keep, initial=start)
{"gl.reduction.pair_invariant(results)[0, :, 0, 1].plot()" if conserved else "gl.plotting.gates(results)"}
"""


def regimes(experiment: Experiment, seed: int = 0) -> Explorer:
    """Move block length, speed of the gates and strength of their penalties; see loss and gates over the whole run.

    Args:
        experiment: a blocked experiment of two paths with penalties a and b; its inputs become `Population()`, and
            its duration stays the same whatever the length of its blocks.
        seed: which teachers and initial weights.

    Source: paper, Figs. 2 and 5.
    """
    require_two_tasks(experiment)
    check_settings(experiment, ("a", "b"))
    base, length = _blocked_for(experiment), _block_length(experiment)
    figure, both = panels(2)
    over_time(metrics.reorder_paths(simulate(base.replace(block_length=length), [seed], KEEP)), *both)
    state = {
        "start": start_of(base, seed),
        "flow": flow_of(base),
        "duration": duration_of(base),
        "block_length": length,
        "code": run_code(base, seed, KEEP, "gl.plotting.gates(results)", **{name: f"{{{name}}}" for name in MOVABLE}),
    }
    alt = "Loss and gates of one network over its whole run, the blocks shaded by the task that is on."
    return Explorer("regimes", state, figure, alt, heights=(43, 52))


def phase_diagram(
    experiment: Experiment, values: xr.DataArray, seed: int = 0, log: str = "", networks: int = 8
) -> Explorer:
    """Move over a map of two settings, and one network learns at that point; draw the map with other networks.

    Args:
        experiment: the experiment that was swept, with two paths for two tasks; its inputs become `Population()`.
        values: the map, a number from 0 to 1 for each point, dims (up, across), both names of settings.
        seed: which teachers and initial weights.
        log: which axes of the map are logarithmic: "", "x", "y" or "xy".
        networks: the number of seeds of a map that is drawn by the explorer.

    Raises:
        ValueError: if the map has not two dims, or they are no settings of the experiment that an explorer can move.

    Source: paper, Fig. 5.
    """
    require_two_tasks(experiment)
    if values.ndim != 2:
        remedy = 'Average over seeds: values.mean("seed")'
        raise refusal("dims of values", values.dims, "must be two names of settings, (up, across)", remedy)
    check_settings(experiment, map(str, values.dims))
    others = sorted(set(map(str, values.dims)) - set(MOVABLE))
    if others:
        raise refusal("dims of values", others, "cannot be moved here", f"Use two of {', '.join(MOVABLE)}")
    require_integer("networks", networks, 1, "Use 8")
    base = in_population(experiment)
    up, across = map(str, values.dims)
    middle = {name: float(values[name][values.sizes[name] // 2]) for name in (up, across)}
    figure, (left, right) = panels(2)
    plotting.phase_diagram(values, left, log)
    left.plot(middle[across], middle[up], "o", ms=9, color="none", markeredgecolor="#222222", markeredgewidth=1.6)
    results = metrics.reorder_paths(simulate(base.replace(**middle), [seed], KEEP))
    plotting.gates(results, right)
    right.set(xlabel="time")
    state = {
        # the seed whose run is shown comes first, and is one of the networks of a new map
        "starts": [start_of(base, network) for network in (seed, *(n for n in range(networks) if n != seed))][
            :networks
        ],
        "flow": flow_of(base),
        "duration": duration_of(base),
        "block_length": _block_length(base),
        "map": rounded(values.values, 4),
        "axes": [
            {"name": name, "values": rounded(values[name].values, 6), "log": axis in log, "at": middle[name]}
            for name, axis in ((up, "y"), (across, "x"))
        ],
        "code": run_code(
            base, seed, KEEP, "gl.plotting.gates(results)", **{name: f"{{{name}}}" for name in (up, across)}
        ),
    }
    alt = "Left, the map with a ring in its middle. Right, the two gates of one network that learns at that point."
    return Explorer("phase_diagram", state, figure, alt, heights=(32, 52))


def schedule(experiment: Experiment, seed: int = 0) -> Explorer:
    """Choose a schedule of tasks; see gates and an ideal observer follow it, and what a switch costs.

    Args:
        experiment: two paths for two tasks. It learns for 20 time units from one noisy sample at a time; curriculum
            and inputs are chosen here.
        seed: which teachers and initial weights.

    Source: this library.
    """
    require_two_tasks(experiment)
    duration, noise, length = 20.0, 0.5, 1.0
    base = experiment.replace(inputs=Noisy(1, noise), curriculum=Blocked(duration=duration, block_length=length))
    keep = (*KEEP[1:], record.population_loss, record.teacher_losses)
    teachers, params = base.draw(seed)
    results = simulate(base, [seed], keep)
    figure, both = panels(2)
    over_time(metrics.reorder_paths(results).rename(population_loss="loss"), *both)
    show = "gl.observer.gate_shares(results).isel(seed=0, task=0).plot()"
    state = {
        "targets": rounded(teachers, 7),
        "weights": rounded(params.weights, 7),
        "gates": rounded(params.gates),
        "flow": flow_of(base),
        "duration": duration,
        "block_length": length,
        "noise": noise,
        "code": run_code(
            base, seed, keep, show, curriculum="{curriculum}", inputs="gl.Noisy(1, {noise})", tau_c="{tau_c}"
        ),
    }
    alt = "Loss and gates of a network that learns from one noisy sample at a time."
    return Explorer("schedule", state, figure, alt, heights=(35, 47))


def second_layer(experiment: Experiment, seed: int = 0) -> Explorer:
    """Turn the penalties of a network with two layers up and down; see its second layer at the ends of two blocks.

    Args:
        experiment: a `TwoLayer` student of two tasks with the penalties a and b, and maybe a `WeightDecay`; its inputs
            become `Population()`.
        seed: which teachers and initial weights.

    Source: paper, Fig. 6.
    """
    require_instance("network", experiment.network, TwoLayer, "Use TwoLayer(hidden=20)")
    check_settings(experiment, ("a", "b"))
    penalties = experiment.flow.penalties
    if not any(isinstance(penalty, WeightDecay) for penalty in penalties):
        penalties = (*penalties, WeightDecay(0.0))
    base = in_population(experiment).replace(penalties=penalties)
    keep = (record.gates, record.alignment, record.loss)
    results = metrics.reorder_paths(simulate(base, [seed], keep)).isel(seed=0)
    every = int(base.schedule().stop[0])
    figure, both = panels(2)
    for ax, back in zip(both, (1, 0), strict=True):
        plotting.second_layer(results.gates.isel(time=-1 - every * back), ax)
        ax.set_title(f"at the end of task {plotting.task_name(int(base.schedule().block_tasks[-1 - back]))}")
    teachers, params = base.draw(seed)
    show = "gl.plotting.second_layer(gl.metrics.reorder_paths(results).gates.isel(seed=0, time=-1))"
    names = ("a", "b", "weight_decay")
    state = {
        "targets": rounded(teachers, 8),
        "weights": rounded(params.weights, 8),
        "gates": rounded(params.gates, 8),
        "flow": flow_of(base),
        "blocks": {"stop": base.schedule().stop.tolist(), "task": base.schedule().block_tasks.tolist()},
        "code": run_code(base, seed, keep, show, **{name: f"{{{name}}}" for name in names}),
    }
    alt = "Two second layers of one network, sorted, outputs by hidden units, at the end of task A and of task B."
    return Explorer("second_layer", state, figure, alt, heights=(36, 56))


def session(experiment: Experiment, seed: int = 0) -> Explorer:
    """A session of 200 trials as an experimenter would plot it, after more or less practice, in blocks of any length.

    Args:
        experiment: a blocked experiment of two paths with penalties a and b; a step is a trial, and its inputs become
            `Population()`.
        seed: which teachers and initial weights.

    Source: paper, Fig. 8B.
    """
    require_two_tasks(experiment)
    check_settings(experiment, ("a", "b"))
    base, length = in_population(experiment), _block_length(experiment)
    results = simulate(base, [seed], KEEP)
    figure, both = panels(2)
    over_time(metrics.reorder_paths(results), *both)
    state = {
        "start": start_of(base, seed),
        "flow": flow_of(base),
        "block_length": length,
        "code": run_code(base, seed, KEEP, "gl.plotting.loss(results)", curriculum="{curriculum}"),
    }
    return Explorer("session", state, figure, "Loss and gates of one network, trial by trial.", heights=(32, 53))
