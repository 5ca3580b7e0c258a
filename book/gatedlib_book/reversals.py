"""Reversals, new problems and mixtures: series of tasks as people and animals are given them."""

from __future__ import annotations

import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Condition, Numbers, median
from gatedlib_book.experiments import FAMILY, LEARNER
from gatedlib_book.networks import networks

REVERSED = LEARNER.replace(
    teachers=gl.Sums(gl.Orthogonal(tasks=1, d_in=20, d_out=10), ((-1.0,),)),
    curriculum=gl.Blocked(blocks=20, block_length=4.0),
)
"""A reversal proper: task B asks for the opposite of task A."""

REVERSED_BRIEF = REVERSED.replace(block_length=1.0)
REVERSED_PLAIN = REVERSED.replace(tau_c=1.3, penalties=())


@cached
def after_reversals(experiment: gl.Experiment, seeds: int = 40) -> xr.Dataset:
    """Recovery after each reversal, and the lowest gate at the ends of the last two blocks."""
    results = gl.simulate(experiment, networks(seeds), (record.loss, record.gates))
    ends = metrics.end_of_block(results.gates, results).isel(block=slice(-2, None))
    return xr.Dataset({"recovery": metrics.time_to_criterion(results), "lowest_gate": ends.min(("block", "path"))})


@claim("reversal", swap=(REVERSED, REVERSED_PLAIN))
def serial_reversals(
    flexible: gl.Experiment, forgetful: gl.Experiment, brief: gl.Experiment = REVERSED_BRIEF
) -> Measured:
    """Reversals are learned ever faster, but not with gates above zero; a forgetful network gets slower.

    Task B = -A, 20 blocks of 4: the first reversals and the last; and in blocks of 1.
    """
    quick, slow, short = (after_reversals(experiment) for experiment in (flexible, forgetful, brief))

    def growth(times: xr.DataArray) -> xr.DataArray:
        return times.sel(block=20) / times.sel(block=2)

    n = Numbers(
        reversal_time=median(quick.recovery),
        reversal_time_forgetful=median(slow.recovery),
        last_over_first_flexible=median(growth(quick.recovery)),
        last_over_first_forgetful=median(growth(slow.recovery)),
        lowest_gate=median(quick.lowest_gate),
        reversal_time_blocks_of_1=median(metrics.last(short.recovery, 2)),
    )
    return n, {
        "flexible: the last reversal takes {}": n.reversal_time.at(block=20) < 0.05,
        "and {} times as long as the first": n.last_over_first_flexible < 0.5,
        "the lowest gate on the two tasks is {}": n.lowest_gate < 0,
        "forgetful: the last takes {} times as long as the first": n.last_over_first_forgetful > 1,
        "blocks of 1 are too short: the last two reversals take {}": n.reversal_time_blocks_of_1 > 0.9,
    }


MIXED = ((0.5, 0.5), (0.7, 0.3), (0.3, 0.7), (0.2, 0.8), (0.6, 0.4), (0.9, 0.1))
PROBLEMS = LEARNER.replace(teachers=gl.Sums(FAMILY, tuple((*row, *[0.0] * 6) for row in MIXED)), order=(0, 1))
"""The eight tasks and six mixtures of the first two."""

PRACTICE_BEFORE_SERIES = {
    "blocked": (gl.Blocked(blocks=30, order=(0, 1)),),
    "interleaved": (gl.Blocked(duration=30.0, block_length=0.05, order=(0, 1)),),
    "nothing": (),
}
"""What comes before a series of problems: practice on A and B for 30 time units, or none."""


def _series(new: bool) -> gl.Blocked:
    """Six problems in a row, for 3 time units each: new tasks, or mixtures of the first two."""
    return gl.Blocked(blocks=6, block_length=3.0, order=tuple(range(2, 8) if new else range(8, 14)))


@cached
def problem_times(experiment: gl.Experiment, paths: int, new: bool, before: str, seeds: int = 20) -> xr.DataArray:
    """Time to a loss of 0.02 in each of six problems, after blocked practice on A and B, interleaved, or none."""
    curriculum = gl.Phases((*PRACTICE_BEFORE_SERIES[before], _series(new)))
    student = experiment.replace(network=gl.GatedLinear(paths=paths), curriculum=curriculum)
    times = metrics.time_to_criterion(gl.simulate(student, networks(seeds), (record.loss,)), 0.02)
    return times.isel(block=slice(-6, None)).assign_coords(block=range(1, 7)).rename(block="problem")


@claim("learning-set", counterfactual={"experiment": PROBLEMS.replace(penalties=(), tau_c=1.3)})
def learning_set(experiment: gl.Experiment = PROBLEMS) -> Measured:
    """Practice speeds mixtures of known tasks, and new problems of the same kind hardly or not at all.

    The first and the sixth problem of a series, after 30 blocks of A and B and without them; 2 and 8 paths.
    """
    n = Numbers()
    conditions: dict[str, Condition] = {}
    for paths in (2, 8):
        new, novice = (problem_times(experiment, paths, True, before) for before in ("blocked", "nothing"))
        mixed, unpractised = (problem_times(experiment, paths, False, before) for before in ("blocked", "nothing"))
        of_new = n[f"new_over_novice_{paths}_paths"] = median((new / novice).sel(problem=1))
        of_mixture = n[f"mixture_over_novice_{paths}_paths"] = median((mixed / unpractised).sel(problem=1))
        of_sixth = n[f"sixth_over_first_{paths}_paths"] = median(novice.sel(problem=6) / novice.sel(problem=1))
        conditions |= {
            f"{paths} paths: after practice a mixture takes {{}} times as long as a novice needs": of_mixture < 0.1,
            f"{paths} paths: a new task takes {{}} times as long as a novice needs": of_new > 0.8,
            f"{paths} paths: a novice's sixth problem takes {{}} times as long as its first": of_sixth > 0.7,
        }
    return n, conditions


@claim("composing", counterfactual={"experiment": PROBLEMS.replace(penalties=(), tau_c=1.3)})
def composing(experiment: gl.Experiment = PROBLEMS) -> Measured:
    """Blocked practice helps with uneven mixtures; with even ones interleaving does better.

    Time to solve mixtures of A and B after as much practice in blocks of 1 and of 0.05: (A + B) / 2, five others.
    """
    blocked, mixed = (problem_times(experiment, 2, False, before) for before in ("blocked", "interleaved"))
    even = [times.sel(problem=1) for times in (blocked, mixed)]
    uneven = [times.sel(problem=slice(2, None)).mean("problem") for times in (blocked, mixed)]
    n = Numbers(
        even_mixture_blocked=median(even[0]),
        even_mixture_interleaved=median(even[1]),
        uneven_mixtures_blocked=median(uneven[0]),
        uneven_mixtures_interleaved=median(uneven[1]),
        even_mixture_interleaved_less_blocked=median(even[1] - even[0]),
        uneven_mixtures_interleaved_over_blocked=median(uneven[1] / uneven[0]),
    )
    return n, {
        "uneven mixtures take {} times as long after interleaved practice as after blocked": (
            n.uneven_mixtures_interleaved_over_blocked > 10
        ),
        "for the even one the difference of these times is {}": n.even_mixture_interleaved_less_blocked < 0,
    }
