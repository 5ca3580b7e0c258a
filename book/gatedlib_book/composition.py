"""Composition: the experiments and the claims of the paper's Figs. 3 and A.12."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib_book.cache import cached
from gatedlib_book.experiments import SEEDS
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.experiments import PAIRS, NEW_ORDER, halves, phases, THREE, TASKS, TASKS_EARLIER, single
from gatedlib_book.estimates import Estimate, median
from gatedlib.simulation.results import final_params


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


@functools.lru_cache(maxsize=8)
@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """What Figs. 3 and A.12 show, every 0.005 time units or every step; shared by claims and figures."""
    keep = (record.loss, record.gates, record.alignment, record.weight_products)
    return gl.simulate(experiment, seeds, keep, every=max(1, round(0.005 / experiment.flow.dt)))


@functools.lru_cache(maxsize=8)
@cached
def trained(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """What a network knows when it meets its first composite: alignment and spread at the start of each block."""
    block = round(1 / experiment.flow.dt)
    return gl.simulate(single(experiment), seeds, (record.alignment, record.weight_products), every=block)


def first_new(results: xr.Dataset) -> int:
    """The number of the first block with a composite."""
    return int((results.block_task < results.component.sum()).sum()) + 1


def new_task_times(experiment: gl.Experiment, gates_only: bool = False) -> xr.DataArray:
    """Time to a loss of 0.02 on the first composite after the last single task, one per seed."""
    known = trained(experiment)
    then = experiment.replace(curriculum=gl.BlockSequence(tasks=NEW_ORDER[:1], lengths=(1.0,)))
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
    "The mean of two known tasks takes half the time that a forgetful network needs, or less, by the gates alone.",
    reference={"new_task_time_flexible": 0.043, "new_task_time_forgetful": 0.188},
    counterfactual={"flexible": TASKS_FORGETFUL, "forgetful": TASKS},
)
def tasks(flexible: gl.Experiment = TASKS, forgetful: gl.Experiment = TASKS_FORGETFUL) -> Outcome:
    """Time to a loss of 0.02 on the first composite, also with the weights frozen as they are before it."""
    fast, slow = median(new_task_times(flexible)), median(new_task_times(forgetful))
    alone = median(new_task_times(flexible, gates_only=True))
    return Outcome(
        {"new_task_time_flexible": fast, "new_task_time_forgetful": slow, "new_task_time_gates_only": alone},
        {
            "the flexible network needs less than half the time of the forgetful one": fast.high < slow.low / 2,
            "frozen weights: its gates alone need no more than 1.5 times as long": alone.high < 1.5 * fast.value,
        },
    )


MIXTURE = np.array(halves()[NEW_ORDER[0] - 3])
"""What the gates read on the first composite if paths are the tasks: a half, nothing, a half."""


@claim(
    "3C-gates",
    "A.12",
    "In the form that drew the figure, the gates on the first new task spell out the mixture: a half, nothing, a half.",
    published={"gates_on_composite": [0.49, 0.0, 0.51], "first_loss": 0.5},
    form="earlier",
    note="With hundreds of blocks more these gates drift too.",
    counterfactual={"experiment": TASKS},
)
def gates(experiment: gl.Experiment = TASKS_EARLIER) -> Outcome:
    """Gates for A, B and C at the end of the first composite block, on which (C + A) / 2 is on."""
    results = run(experiment)
    on_composite = _typical_gates(results)
    off = np.maximum(on_composite.high - MIXTURE, MIXTURE - on_composite.low)
    return Outcome(
        {"gates_on_composite": on_composite, "first_loss": median(results.loss.isel(time=0))},
        {"gates lie within 0.1 of (1/2, 0, 1/2)": bool((off < 0.1).all())},
    )


@claim(
    "3C-gates-released",
    "A.12",
    "In the released form the new task is solved as well, but with gates that do not spell it out.",
    reference={"gates_on_composite": [0.345, 0.196, 0.497]},
    note="The released code's numbers are medians.",
    counterfactual={"experiment": TASKS_EARLIER},
)
def gates_released(experiment: gl.Experiment = TASKS) -> Outcome:
    """The same in the released form, and the loss at the end of that block."""
    results = run(experiment)
    on_composite = _typical_gates(results)
    end = median(metrics.end_loss(results).sel(block=first_new(results)))
    return Outcome(
        {
            "gates_on_composite": on_composite,
            "first_loss": median(results.loss.isel(time=0)),
            "end_loss_on_composite": end,
        },
        {
            "the task is solved: the block ends below 0.001": bool(end.high < 1e-3),
            "the gate for A, which is a half of it, is below 0.4": bool(on_composite.high[0] < 0.4),
            "and that for B, which is no part of it, above 0.1": bool(on_composite.low[1] > 0.1),
        },
    )


@claim(
    "3D",
    "3",
    "So does a new task that takes its outputs in turn from two known ones.",
    reference={"new_task_time_flexible_subtask": 0.030, "new_task_time_forgetful_subtask": 0.392},
    counterfactual={"flexible": ROWS_FORGETFUL, "forgetful": ROWS},
)
def rows(flexible: gl.Experiment = ROWS, forgetful: gl.Experiment = ROWS_FORGETFUL) -> Outcome:
    """Time to a loss of 0.02 on the first row mixture, and the gates of each output at its end."""
    fast, slow = median(new_task_times(flexible)), median(new_task_times(forgetful))
    alone = median(new_task_times(flexible, gates_only=True))
    spelled = median(composite_gates(run(flexible)).transpose("seed", "path", "out"))
    wanted = np.array(PAIRS[NEW_ORDER[0] - 3] * 3) == np.arange(3)[:, None]
    return Outcome(
        {
            "new_task_time_flexible_subtask": fast,
            "new_task_time_forgetful_subtask": slow,
            "new_task_time_gates_only_subtask": alone,
            "gates_on_composite_subtask": spelled,
        },
        {
            "the flexible network needs less than half the time of the forgetful one": fast.high < slow.low / 2,
            "frozen weights: its gates alone need no more than 1.5 times as long": alone.high < 1.5 * fast.value,
            "for each output the gate of the task that it comes from is above 0.4": (spelled.low[wanted] > 0.4).all(),
            "and the others are within a quarter of it of zero": bool(
                (np.abs([spelled.low, spelled.high])[:, ~wanted] < spelled.low[wanted].min() / 4).all()
            ),
        },
    )


def gap(experiment: gl.Experiment) -> xr.DataArray:
    """The loss on composites with the best nonnegative gates and the weights that single tasks have left."""
    results = trained(experiment)
    return transfer.loss_with(results, transfer.best_gates(results, nonnegative=True)).isel(task=slice(3, None))


@claim(
    "zero-shot",
    "beyond",
    "The weights that single tasks leave behind hold every composite, in gates that are not negative.",
    counterfactual={"flexible": (TASKS_FORGETFUL,) * 2, "forgetful": (TASKS,) * 2},
)
def zero_shot(
    flexible: tuple[gl.Experiment, ...] = (TASKS, ROWS),
    forgetful: tuple[gl.Experiment, ...] = (TASKS_FORGETFUL, ROWS_FORGETFUL),
) -> Outcome:
    """Loss of the three composites with gates in closed form: sums and row mixtures, before any of them was seen."""
    fast, slow = (
        [median(gap(experiment).max("task")) for experiment in experiments] for experiments in (flexible, forgetful)
    )
    kinds = ("", "_subtask")
    return Outcome(
        {f"zero_shot_gap_flexible{kind}": each for kind, each in zip(kinds, fast, strict=True)}
        | {f"zero_shot_gap_forgetful{kind}": each for kind, each in zip(kinds, slow, strict=True)},
        {
            "flexible: no composite costs more than 0.001": all(each.high < 1e-3 for each in fast),
            "forgetful: some composite costs more than the criterion, 0.02": all(each.low > THETA for each in slow),
        },
    )


NORMS = {
    "together, k = 2": ROWS.flow.penalties,
    "each neuron, k = 1": (gl.Nonnegative(a=0.1), gl.UnitNorm(b=0.1, per_neuron=True)),
    "each neuron, k = 2": (gl.Nonnegative(a=0.1), gl.UnitNorm(b=0.1, ord=2, per_neuron=True)),
}
"""Whose norm is held, and which: all gates together as in the released code, or those of each output neuron."""


@claim(
    "neurons",
    "beyond",
    "Held neuron by neuron, gates serve within 23 blocks if their sum is held (k = 1), not their length.",
    counterfactual={"kinds": tuple(NORMS)[::-1]},
)
def norms(kinds: Sequence[str] = tuple(NORMS)) -> Outcome:
    """Total alignment before the first row mixture, and time on it, by whose norm is held and which."""
    experiments = [ROWS.replace(penalties=NORMS[kind]) for kind in kinds]
    aligned = median(
        xr.concat([metrics.total_alignment(trained(e)) for e in experiments], xr.Variable("norm", list(kinds)))
    )
    by_norm = median(xr.concat([new_task_times(e) for e in experiments], xr.Variable("norm", list(kinds))))
    slow = median(new_task_times(ROWS_FORGETFUL))
    return Outcome(
        {"alignment_by_norm": aligned, "new_task_time_by_norm": by_norm},
        {
            "all together (k = 2) and each (k = 1): aligned above 0.8": (aligned.low[:2] > 0.8).all(),
            "each (k = 2): aligned below 0.6": aligned.high[2] < 0.6,
            "these two need less than half the forgetful network's time": (by_norm.high[:2] < slow.low / 2).all(),
        },
    )
