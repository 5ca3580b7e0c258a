"""Composition: the experiments and the claims of the paper's Figs. 3 and A.12."""

from __future__ import annotations

import dataclasses
import math

import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib.simulation.results import final_params
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, along, exact, median
from gatedlib_book.experiments import NEW_ORDER, PAIRS, SEEDS, TASKS, TASKS_EARLIER, THREE, halves, phases, single
from gatedlib_book.networks import networks

THETA = 0.02
"""The loss below which a new task counts as solved."""

TASKS_FORGETFUL = TASKS.replace(penalties=())
"""The same without penalties; its gates are as fast, as in the released notebook."""

ROWS = gl.Experiment(
    teachers=gl.RowMixtures(THREE, rows=tuple(pair * 3 for pair in PAIRS)),
    network=gl.NeuronGated(paths=3),
    curriculum=phases(),
    flow=gl.Flow(
        tau_w=0.2,
        tau_c=0.005,
        dt=0.01,
        penalties=(gl.Nonnegative(a=0.0227), gl.UnitNorm(b=0.0227, ord=2, per_neuron=False)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. 3D: new tasks that take every other output from one of two known ones; one norm for all gates."""

ROWS_FORGETFUL = ROWS.replace(penalties=())
"""The same without penalties: the forgetful network of Fig. A.12."""


@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """What Figs. 3 and A.12 show, every 0.005 time units or every step; shared by claims and figures."""
    keep = (record.loss, record.gates, record.alignment, record.weight_products)
    return gl.simulate(experiment, networks(seeds), keep, every=max(1, round(0.005 / experiment.flow.dt)))


@cached
def trained(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """What a network knows when it meets its first composite: alignment and spread at the start of each block."""
    block = round(1 / experiment.flow.dt)
    keep = (record.alignment, record.weight_products)
    return gl.simulate(single(experiment), networks(seeds), keep, every=block)


def first_new(results: xr.Dataset) -> int:
    """The number of the first block with a composite."""
    return int((results.block_task < results.component.sum()).sum()) + 1


def new_task_times(experiment: gl.Experiment, gates_only: bool = False, new: int = NEW_ORDER[0]) -> xr.DataArray:
    """Time to a loss of 0.02 on a composite that comes first after the last single task, one per seed."""
    known = trained(experiment)
    then = experiment.replace(curriculum=gl.BlockSequence(tasks=(new,), lengths=(1.0,)))
    then = then.replace(tau_w=math.inf) if gates_only else then
    start = int(single(experiment).schedule().stop[-1])
    results = gl.simulate(then, known.seed.values.tolist(), (record.loss,), initial=final_params(known), start=start)
    return metrics.time_to_criterion(results, THETA).sel(block=1)


def composite_gates(results: xr.Dataset) -> xr.DataArray:
    """The gates at the end of the first block with a composite, paths in the order of their tasks."""
    results = metrics.reorder_paths(results)
    ends = metrics.end_of_block(results.gates, results).sel(block=first_new(results))
    return ends.assign_coords(path=["A", "B", "C"])


def _typical_gates(results: xr.Dataset) -> Estimate:
    """Their medians, which is also what is known of the released code's: they are not compared by their means."""
    return dataclasses.replace(median(composite_gates(results)), mean=None)


@claim(
    "3C",
    "3",
    swap=(TASKS, TASKS_FORGETFUL),
    reference={"new_task_time_flexible": 0.043, "new_task_time_forgetful": 0.188},
)
def tasks(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """The mean of two known tasks takes half the time that a forgetful network needs, or less, by the gates alone.

    Time to a loss of 0.02 on the first composite, also with the weights frozen as they are before it, and ratios of
    these times, network by network.
    """
    fast, slow, alone = new_task_times(flexible), new_task_times(forgetful), new_task_times(flexible, gates_only=True)
    n = Numbers(
        new_task_time_flexible=median(fast),
        new_task_time_forgetful=median(slow),
        new_task_time_gates_only=median(alone),
        new_task_time_ratio=median(fast / slow),
        frozen_time_ratio=median(alone / fast),
    )
    return n, {
        "the flexible network takes {} times as long as the forgetful one": n.new_task_time_ratio < 0.5,
        "frozen weights: its gates alone take {} times as long as with its weights": n.frozen_time_ratio < 1.5,
    }


MIXTURE = exact(halves()[NEW_ORDER[0] - 3])
"""What the gates read on the first composite if paths are the tasks: a half, nothing, a half."""


@claim(
    "3C-gates",
    "A.12",
    published={"gates_on_composite": [0.49, 0.0, 0.51], "first_loss": 0.5},
    form="earlier",
    note="With hundreds of blocks more these gates drift too.",
    counterfactual={"experiment": TASKS},
)
def gates(experiment: gl.Experiment = TASKS_EARLIER) -> Measured:
    """In the form that drew the figure, the gates on the first new task spell out the mixture: a half, nothing, a half.

    Gates for A, B and C at the end of the first composite block, on which (C + A) / 2 is on.
    """
    results = run(experiment)
    n = Numbers(gates_on_composite=_typical_gates(results), first_loss=median(results.loss.isel(time=0)))
    return n, {"gates minus (1/2, 0, 1/2): each lies {}": (n.gates_on_composite - MIXTURE).within(-0.1, 0.1)}


@claim(
    "3C-gates-released",
    "A.12",
    reference={"gates_on_composite": [0.345, 0.196, 0.497]},
    note="The released code's numbers are medians.",
    counterfactual={"experiment": TASKS_EARLIER},
)
def gates_released(experiment: gl.Experiment = TASKS) -> Measured:
    """In the released form the new task is solved as well, but with gates that do not spell it out.

    Gates at the end of the first composite block, and the loss there.
    """
    results = run(experiment)
    n = Numbers(
        gates_on_composite=_typical_gates(results),
        first_loss=median(results.loss.isel(time=0)),
        end_loss_on_composite=median(metrics.end_loss(results).sel(block=first_new(results))),
    )
    return n, {
        "the task is solved: the block ends with a loss of {}": n.end_loss_on_composite < 1e-3,
        "the gate for A, which is a half of it, is {}": n.gates_on_composite.at(path="A") < 0.5,
        "and that for B, which is no part of it, {}": n.gates_on_composite.at(path="B") > 0.1,
    }


OWNERS = xr.DataArray(["ABC"[task] for task in PAIRS[NEW_ORDER[0] - 3] * 3], dims="out")
"""The task that each output comes from on the first row mixture."""


@claim(
    "3D",
    "3",
    swap=(ROWS, ROWS_FORGETFUL),
    reference={"new_task_time_flexible_subtask": 0.030, "new_task_time_forgetful_subtask": 0.392},
)
def rows(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """A new task that takes its outputs in turn from two known ones takes half the time of a forgetful network too.

    Time to a loss of 0.02 on the first row mixture, and the gates of each output at its end.
    """
    fast, slow, alone = new_task_times(flexible), new_task_times(forgetful), new_task_times(flexible, gates_only=True)
    gates = composite_gates(run(flexible)).transpose("seed", "path", "out")
    own, others = gates.sel(path=OWNERS).drop_vars("path"), gates.where(gates.path != OWNERS)
    n = Numbers(
        new_task_time_flexible_subtask=median(fast),
        new_task_time_forgetful_subtask=median(slow),
        new_task_time_gates_only_subtask=median(alone),
        new_task_time_ratio_subtask=median(fast / slow),
        frozen_time_ratio_subtask=median(alone / fast),
        gates_on_composite_subtask=median(gates),
        gate_of_own_task=median(own),
        other_gates_over_own=median(abs(others).max("path") / own),
    )
    return n, {
        "the flexible network takes {} times as long as the forgetful one": n.new_task_time_ratio_subtask < 0.5,
        "frozen weights: its gates alone take {} times as long as with its weights": n.frozen_time_ratio_subtask < 1.5,
        "for each output the gate of the task that it comes from is {}": n.gate_of_own_task > 0.4,
        "and the largest of the others, whatever its sign, is {} times as large": n.other_gates_over_own < 0.25,
    }


def gap(experiment: gl.Experiment) -> xr.DataArray:
    """The loss on composites with the best nonnegative gates and the weights that single tasks have left."""
    results = trained(experiment)
    return transfer.loss_with(results, transfer.best_gates(results, nonnegative=True)).isel(task=slice(3, None))


@claim("zero-shot", swap=((TASKS, ROWS), (TASKS_FORGETFUL, ROWS_FORGETFUL)))
def zero_shot(
    flexible: tuple[gl.Experiment, gl.Experiment], forgetful: tuple[gl.Experiment, gl.Experiment]
) -> Measured:
    """The weights that single tasks leave behind hold every composite, in gates that are not negative.

    Loss of the three composites with gates in closed form: sums and row mixtures, before any of them was seen.
    """
    fast, slow = ([median(gap(experiment).max("task")) for experiment in pair] for pair in (flexible, forgetful))
    n = Numbers(
        zero_shot_gap_flexible=fast[0],
        zero_shot_gap_flexible_subtask=fast[1],
        zero_shot_gap_forgetful=slow[0],
        zero_shot_gap_forgetful_subtask=slow[1],
    )
    return n, {
        "flexible: the costliest sum costs {}": n.zero_shot_gap_flexible < 1e-3,
        "flexible: the costliest row mixture costs {}": n.zero_shot_gap_flexible_subtask < 1e-3,
        "forgetful: the costliest sum costs {}, the criterion": n.zero_shot_gap_forgetful > THETA,
        "forgetful: the costliest row mixture costs {}": n.zero_shot_gap_forgetful_subtask > THETA,
    }


NORMS = {
    "together, k = 2": ROWS.flow.penalties,
    "each neuron, k = 1": (gl.Nonnegative(a=0.1), gl.UnitNorm(b=0.1, per_neuron=True)),
    "each neuron, k = 2": (gl.Nonnegative(a=0.1), gl.UnitNorm(b=0.1, ord=2, per_neuron=True)),
}
"""Whose norm is held, and which: all gates together as in the released code, or those of each output neuron."""


@claim("neurons", swap=("each neuron, k = 1", "each neuron, k = 2"))
def norms(sums: str, lengths: str) -> Measured:
    """Held neuron by neuron, gates serve within 23 blocks if their sum is held (k = 1), not their length.

    Total alignment before the first row mixture, and time on it, by whose norm is held and which.
    """
    experiments = [ROWS.replace(penalties=penalties) for penalties in NORMS.values()]
    times = along("norm", tuple(NORMS), [new_task_times(experiment) for experiment in experiments])
    aligned = [metrics.total_alignment(trained(experiment)) for experiment in experiments]
    n = Numbers(
        alignment_by_norm=median(along("norm", tuple(NORMS), aligned)),
        new_task_time_by_norm=median(times),
        new_task_time_ratio_by_norm=median(times / new_task_times(ROWS_FORGETFUL)),
    )
    serving = ["together, k = 2", sums]
    return n, {
        "all together (k = 2) and each (k = 1): alignment is {}": n.alignment_by_norm.at(norm=serving) > 0.8,
        "each (k = 2): it is {}": n.alignment_by_norm.at(norm=lengths) < 0.6,
        "the first two take {} times as long as the forgetful network": n.new_task_time_ratio_by_norm.at(norm=serving)
        < 0.5,
    }
