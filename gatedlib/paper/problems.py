"""Problems: series of new tasks, of mixtures and of reversals, as people and animals are given them."""

from __future__ import annotations

import functools
from typing import Any

import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.paper.claims import Outcome, claim
from gatedlib.paper.cognition import LEARNER
from gatedlib.paper.estimates import Estimate, median
from gatedlib.paper.keeping import kept

FAMILY = gl.Orthogonal(tasks=8, d_in=32, d_out=4, scale=8**-0.5)
"""Eight tasks of squared length 1/2, as in Fig. 2: A and B are practised, the others are new."""

MIXED = ((0.5, 0.5), (0.7, 0.3), (0.3, 0.7), (0.2, 0.8), (0.6, 0.4), (0.9, 0.1))
PROBLEMS = LEARNER.replace(teachers=gl.Sums(FAMILY, tuple((*row, *[0.0] * 6) for row in MIXED)))
"""The eight tasks and six mixtures of the first two."""

BEFORE = {
    "blocked": (gl.Blocked(blocks=30),),
    "interleaved": (gl.Blocked(duration=30.0, block_length=0.05),),
    "nothing": (),
}
"""What comes before a series of problems: practice on A and B for 30 time units, or none."""


def _series(new: bool) -> gl.Blocked:
    """Six problems in a row, for 3 time units each: new tasks, or mixtures of the first two."""
    return gl.Blocked(blocks=6, block_length=3.0, order=tuple(range(2, 8) if new else range(8, 14)))


@functools.lru_cache(maxsize=4)
@kept
def problem_times(experiment: gl.Experiment, paths: int, new: bool, before: str) -> xr.DataArray:
    """Time to a loss of 0.02 in each of six problems, after blocked practice on A and B, interleaved, or none."""
    curriculum = gl.Phases((*BEFORE[before], _series(new)))
    student = experiment.replace(network=gl.GatedLinear(paths=paths), curriculum=curriculum)
    times = metrics.time_to_criterion(gl.simulate(student, 20, (record.loss,)), 0.02)
    return times.isel(block=slice(-6, None)).assign_coords(block=range(1, 7)).rename(block="problem")


@claim(
    "learning-set",
    "beyond",
    "Practice speeds mixtures of known tasks, and new problems of the same kind hardly or not at all.",
)
def learning_set(experiment: gl.Experiment = PROBLEMS) -> Outcome:
    """The first and the sixth problem of a series, after 30 blocks of A and B and without them; 2 and 8 paths."""
    numbers: dict[str, Estimate] = {}
    conditions: dict[str, Any] = {}
    for paths in (2, 8):
        new, novice = (problem_times(experiment, paths, True, before) for before in ("blocked", "nothing"))
        mixed, unpractised = (problem_times(experiment, paths, False, before) for before in ("blocked", "nothing"))
        old, first = median((new / novice).isel(problem=0)), median((mixed / unpractised).isel(problem=0))
        set_ = median(novice.isel(problem=-1) / novice.isel(problem=0))
        numbers |= {
            f"new_over_novice_{paths}_paths": old,
            f"mixture_over_novice_{paths}_paths": first,
            f"sixth_over_first_{paths}_paths": set_,
        }
        conditions |= {
            f"{paths} paths: a mixture takes less than a tenth of the time": first.high < 0.1,
            f"{paths} paths: a new task takes 0.9 of the time or more": old.low > 0.9,
            f"{paths} paths: nor does a novice get faster from problem 1 to 6 by more than a fifth": set_.low > 0.8,
        }
    return Outcome(numbers, conditions)


@claim("composing", "beyond", "Blocked practice helps with uneven mixtures; with even ones interleaving does as well.")
def composing(experiment: gl.Experiment = PROBLEMS) -> Outcome:
    """Time to solve mixtures of A and B after as much practice in blocks of 1 and of 0.05: (A + B) / 2, five others."""
    blocked, mixed = (problem_times(experiment, 2, False, before) for before in ("blocked", "interleaved"))
    even = [median(each.isel(problem=0)) for each in (blocked, mixed)]
    uneven = [median(each.isel(problem=slice(1, None)).mean("problem")) for each in (blocked, mixed)]
    return Outcome(
        {
            "even_mixture_blocked": even[0],
            "even_mixture_interleaved": even[1],
            "uneven_mixtures_blocked": uneven[0],
            "uneven_mixtures_interleaved": uneven[1],
        },
        {
            "uneven: blocked takes a tenth of the time, or less": uneven[0].high < uneven[1].low / 10,
            "even: interleaved takes no longer": even[1].high <= even[0].low,
        },
    )


REVERSED = LEARNER.replace(
    teachers=gl.Sums(gl.Orthogonal(tasks=1, d_in=20, d_out=10), ((-1.0,),)),
    curriculum=gl.Blocked(blocks=20, block_length=4.0),
)
"""A reversal proper: task B asks for the opposite of task A."""

REVERSED_BRIEF = REVERSED.replace(block_length=1.0)
REVERSED_PLAIN = REVERSED.replace(tau_c=1.3, penalties=())


@functools.lru_cache(maxsize=4)
@kept
def reversals(experiment: gl.Experiment) -> xr.Dataset:
    """Recovery after each reversal, and the lowest gate at the ends of the last two blocks."""
    results = gl.simulate(experiment, 20, (record.loss, record.gates))
    ends = metrics.end_of_block(results.gates, results).isel(block=slice(-2, None))
    return xr.Dataset({"recovery": metrics.time_to_criterion(results), "lowest_gate": ends.min(("block", "path"))})


@claim(
    "reversal",
    "beyond",
    "Reversals are learned ever faster, but not with gates above zero; a forgetful network gets slower.",
)
def serial_reversals(
    flexible: gl.Experiment = REVERSED,
    forgetful: gl.Experiment = REVERSED_PLAIN,
    brief: gl.Experiment = REVERSED_BRIEF,
) -> Outcome:
    """Task B = -A, 20 blocks of 4: the first reversals and the last; and in blocks of 1."""
    quick, slow, short = reversals(flexible), reversals(forgetful), reversals(brief)
    times, plain = median(quick.recovery), median(slow.recovery)
    growth = median(slow.recovery.isel(block=-1) / slow.recovery.isel(block=1))
    lowest = median(quick.lowest_gate)
    late = median(short.recovery.isel(block=slice(-2, None)).mean("block"))
    return Outcome(
        {
            "reversal_time": times,
            "reversal_time_forgetful": plain,
            "last_over_first_forgetful": growth,
            "lowest_gate": lowest,
            "reversal_time_blocks_of_1": late,
        },
        {
            "flexible: the last reversal takes less than 0.05": times.high[-1] < 0.05,
            "and less than half of the first": times.high[-1] < times.low[1] / 2,
            "with one of the gates below -0.05 on one of the tasks": lowest.high < -0.05,
            "forgetful: the last takes longer than the first": growth.low > 1,
            "blocks of 1 are too short: the last two reversals take 0.9 or more": late.low > 0.9,
        },
    )
