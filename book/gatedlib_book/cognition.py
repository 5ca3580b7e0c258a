"""Cognition: the paper's Fig. 8B, and beyond: practice and blocked training."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib.analysis.theory import alternation_loss
from gatedlib_book.cache import cached
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.experiments import LEARNER, PLAIN, FAMILY, CORRELATIONS
from gatedlib_book.estimates import Estimate, exact, fraction, median, stacked
from gatedlib.simulation.results import final_params

SEEDS = 30

PRACTISED = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20),
    flow=gl.Flow(
        tau_w=0.07,
        tau_c=0.01,
        dt=0.01,
        penalties=(gl.Nonnegative(a=0.18), gl.UnitNorm(b=0.72)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. 8B: gates that nearly settle in one step."""

FORGETFUL = PRACTISED.replace(tau_c=0.07, penalties=())
"""The same with gates as slow as its weights, and no penalties."""

UNPENALIZED = PRACTISED.replace(penalties=())
"""The same with fast gates and no penalties."""

FROZEN = PRACTISED.replace(tau_c=math.inf, penalties=())
"""The same with gates that never move: a plain network."""

HELD = FORGETFUL.replace(penalties=(gl.UnitNorm(b=0.72),))
"""Forgetful, but with the sum of its gates held at one."""


FIRST, SKIPPED = 5, (5, 20, 50)
"""How many steps count as just after a switch, and how many are left out of the mixing cost."""


@functools.lru_cache(maxsize=8)
@cached
def practice(experiment: gl.Experiment) -> xr.Dataset:
    """What switches cost, block by block, alternating and with a single task only."""
    results = gl.simulate(experiment, SEEDS, (record.loss,))
    alone = experiment.replace(order=(0,))
    single = gl.simulate(alone, SEEDS, (record.loss,))
    along = xr.DataArray(list(SKIPPED), dims="skip", name="skip")
    costs = {
        "post_switch_loss": metrics.post_switch_loss(results, FIRST),
        "depth": metrics.switch_cost(results, 1),
        "duration": metrics.switch_duration(results),
        "mixing_cost": xr.concat([metrics.mixing_cost(results, single, skip) for skip in SKIPPED], along),
    }
    return xr.Dataset(costs)


def _after_switches(experiment: gl.Experiment) -> xr.DataArray:
    """The loss on steps 1 to 5 after each switch; the first block follows none."""
    return practice(experiment).post_switch_loss.sel(block=slice(2, None), step_since=slice(1, None))


@claim(
    "8B",
    "8B",
    "Practice lowers the loss just after a switch in the flexible network and raises it where gates are loose.",
    counterfactual={"flexible": FORGETFUL, "forgetful": PRACTISED},
)
def post_switch(
    flexible: gl.Experiment = PRACTISED,
    forgetful: gl.Experiment = FORGETFUL,
    unpenalized: gl.Experiment = UNPENALIZED,
) -> Outcome:
    """Loss 1 to 5 steps after each of 19 switches, their mean at the first and the last one; two plain controls too."""
    numbers, ratios = {}, {}
    named = {"flexible": flexible, "forgetful": forgetful, "unpenalized": unpenalized, "frozen": FROZEN, "held": HELD}
    for name, experiment in named.items():
        after = _after_switches(experiment)
        numbers[f"post_switch_loss_{name}"] = median(after)
        whole = after.mean("step_since")
        ratios[name] = median(whole.isel(block=-1) / whole.isel(block=0))
        numbers[f"last_over_first_{name}"] = ratios[name]
    return Outcome(
        numbers,
        {
            "flexible: at the last switch less than half of what it was at the first": ratios["flexible"].high < 0.5,
            "forgetful: more than 1.15 times": ratios["forgetful"].low > 1.15,
            "fast gates without penalties: more than 1.15 times": ratios["unpenalized"].low > 1.15,
            "slow gates that are frozen, or only held to a sum of one: 0.95 to 1.05 times": all(
                ratios[name].low > 0.95 and ratios[name].high < 1.05 for name in ("frozen", "held")
            ),
        },
    )


@claim(
    "8B-depth",
    "beyond",
    "With practice a switch of the flexible network becomes deeper and shorter.",
    counterfactual={"flexible": PLAIN, "forgetful": LEARNER},
)
def depth_and_duration(flexible: gl.Experiment = LEARNER, forgetful: gl.Experiment = PLAIN) -> Outcome:
    """Depth and duration of a switch at block 5 and block 20 of the network of Fig. 2."""
    costs, plain = practice(flexible), practice(forgetful)
    early, late = {"block": 5}, {"block": 20}
    depth, duration = (median(costs[name].sel(late) / costs[name].sel(early)) for name in ("depth", "duration"))
    other = median(plain.duration.sel(late) / plain.duration.sel(early))
    return Outcome(
        {
            "depth": median(costs.depth),
            "duration": median(costs.duration),
            "depth_late_over_early": depth,
            "duration_late_over_early": duration,
            "duration_late_over_early_forgetful": other,
        },
        {
            "the first error grows by half or more from block 5 to block 20": depth.low > 1.5,
            "and the switch is over in a quarter of the time": duration.high < 0.25,
            "in the forgetful network it takes at least 0.9 of the time": other.low > 0.9,
        },
    )


@claim(
    "mixing",
    "beyond",
    "Between switches two tasks cost none of the networks anything, once it has recovered.",
    counterfactual={"flexible": FORGETFUL, "forgetful": PRACTISED},
)
def mixing(
    flexible: gl.Experiment = PRACTISED,
    forgetful: gl.Experiment = FORGETFUL,
    unpenalized: gl.Experiment = UNPENALIZED,
) -> Outcome:
    """Mean loss from step 5, 20 and 50 of a block on, less that with one task, in the last four blocks."""
    named = {"flexible": flexible, "forgetful": forgetful, "unpenalized": unpenalized}
    cost = {
        name: median(practice(each).mixing_cost.isel(block=slice(-4, None)).mean("block"))
        for name, each in named.items()
    }
    return Outcome(
        {"steps_skipped": exact(SKIPPED)} | {f"mixing_cost_{name}": each for name, each in cost.items()},
        {
            "from step 5 on the others pay ten times as much as the flexible network": min(
                cost[name].low[0] for name in ("forgetful", "unpenalized")
            )
            > 10 * cost["flexible"].high[0],
            "from step 50 on all pay less than 0.001": all(each.high[-1] < 0.001 for each in cost.values()),
        },
    )


LENGTHS = (0.005, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Block lengths from one step to half of the training."""

TRAINING = 20.0


def known(results: xr.Dataset) -> dict[str, xr.DataArray]:
    """Loss on both tasks with the best gates for each, not below 0 or of any sign, and with the gates as left."""
    cued, free = (transfer.loss_with(results, transfer.best_gates(results, nonnegative=sign)) for sign in (True, False))
    as_left = transfer.loss_with(results, results.final_gates)
    return {"cued": cued.mean("task"), "any_sign": free.mean("task"), "uncued": as_left.mean("task")}


def _tested(experiment: gl.Experiment, results: xr.Dataset) -> dict[str, xr.DataArray]:
    """Recovery of a trained network in four blocks of 1, the first of the task that it was not on last."""
    last = int(experiment.schedule().block_tasks[-1])
    test = experiment.replace(curriculum=gl.Blocked(blocks=4, order=(1 - last, last)))
    after = gl.simulate(test, results.seed.values.tolist(), (record.loss,), initial=final_params(results))
    # four fifths of the error of the wrong task, which is the same share of it for tasks of all correlations
    similar = getattr(experiment.teachers, "correlation", 0.0)
    times = metrics.time_to_criterion(after, 0.1 * (1 - float(similar)))
    return {"recovery": times.mean("block")}


@functools.lru_cache(maxsize=4)
@cached
def exposure(experiment: gl.Experiment, correlation: float = 0.0, seeds: int = 20) -> xr.Dataset:
    """Alignment, knowledge and recovery after the same training time in blocks of every length."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    found = []
    for length in LENGTHS:
        trained = experiment.replace(teachers=tasks, curriculum=gl.Blocked(duration=TRAINING, block_length=length))
        results = gl.simulate(trained, seeds, (record.alignment,), every=40)
        measures = {"total_alignment": metrics.total_alignment(results), **known(results), **_tested(trained, results)}
        found.append(xr.Dataset(measures))
    return xr.concat(found, xr.DataArray(list(LENGTHS), dims="block_length", name="block_length"))


@claim(
    "blocks",
    "8B",
    "After 20 time units long blocks make switches fast, and interleaving does not.",
    as_given=False,
    counterfactual={"flexible": PLAIN, "forgetful": LEARNER},
)
def block_length(flexible: gl.Experiment = LEARNER, forgetful: gl.Experiment = PLAIN) -> Outcome:
    """Networks after 20 time units in blocks of every length, all tested alike."""
    blocked, plain = exposure(flexible), exposure(forgetful)
    recovery, aligned, cued = (median(blocked[name]) for name in ("recovery", "total_alignment", "cued"))
    uncued, free = median(plain.uncued), median(blocked.any_sign)
    short, one, half = (LENGTHS.index(length) for length in (0.05, 1.0, 10.0))
    return Outcome(
        {
            "block_length": exact(LENGTHS),
            "recovery_by_block_length": recovery,
            "alignment_by_block_length": aligned,
            "cued_loss_by_block_length": cued,
            "any_sign_loss_by_block_length": free,
            "uncued_loss_by_block_length_forgetful": uncued,
        },
        {
            "flexible: blocks of 1 recover four times as fast as blocks of 0.05": recovery.high[one]
            < recovery.low[short] / 4,
            "told the task, they make no error where interleaved ones keep 0.1": cued.high[one] < 0.01
            and cued.low[short] > 0.1,
            "half of the time for each task: paths are not the tasks, alignment below 0.9": aligned.high[half] < 0.9,
            "but with gates of any sign they make no error": free.high[half] < 0.001,
            "forgetful: blocking forgets, twice the error of interleaving when untold": uncued.low[half]
            > 1.8 * uncued.high[short],
        },
    )


@claim(
    "similar",
    "8B",
    "The more alike tasks are, the longer the blocks that it takes to keep them apart.",
    as_given=False,
    counterfactual={"flexible": PLAIN},
)
def similarity(flexible: gl.Experiment = LEARNER) -> Outcome:
    """What blocks of 1 and of 2 save of the loss that interleaving leaves, told the task, by correlation."""
    found = [exposure(flexible, correlation).cued for correlation in CORRELATIONS]
    mixed = [each.sel(block_length=0.05) for each in found]
    one, two = (
        stacked(
            [median(1 - each.sel(block_length=length) / base) for each, base in zip(found, mixed, strict=True)],
            correlation=CORRELATIONS,
        )
        for length in (1.0, 2.0)
    )
    return Outcome(
        {"correlation": exact(CORRELATIONS), "share_saved_blocks_of_1": one, "share_saved_blocks_of_2": two},
        {
            "blocks of 1: the share falls from each correlation to the next": bool((one.high[1:] < one.low[:-1]).all()),
            "at correlation 0.8 it is below 0.9": one.high[-1] < 0.9,
            "blocks of 2: it is above 0.98 at all three": bool((two.low > 0.98).all()),
        },
    )


RUNS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""From one step on."""


@functools.lru_cache(maxsize=4)
@cached
def alternating(experiment: gl.Experiment, correlation: float = 0.0, seeds: int = 10) -> xr.Dataset:
    """The mean loss of specialized networks in runs of every length, beside the closed form."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    base = experiment.replace(teachers=tasks, tau_w=math.inf)
    start = [base.draw(seed)[0] for seed in range(seeds)]
    perfect = gl.Params(np.stack(start), np.tile([1.0, 0.0], (seeds, 1)))
    measured = []
    for length in RUNS:
        results = gl.simulate(
            base.replace(curriculum=gl.Blocked(duration=12.0, block_length=length)), seeds, (record.loss,), 1, perfect
        )
        measured.append(results.loss.sel(time=slice(6.0, None)).mean("time"))
    along = xr.DataArray(list(RUNS), dims="run_length", name="run_length")
    apart = float(np.linalg.norm(start[0][0] - start[0][1]))
    expected = alternation_loss(np.array(RUNS), float(experiment.flow.tau_c), apart, float(experiment.flow.dt))
    return xr.Dataset({"loss": xr.concat(measured, along), "closed_form": ("run_length", expected)})


@claim(
    "runs",
    "beyond",
    "In a test that alternates fast a specialized network does no better than an average one.",
    counterfactual={"flexible": LEARNER.replace(tau_c=0.3)},
)
def short_runs(flexible: gl.Experiment = LEARNER) -> Outcome:
    """Mean loss in runs of one step to 1, weights frozen at the tasks, as a share of what their mean would cost."""
    average = [1 / 8, (1 - CORRELATIONS[-1]) / 8]
    apart, alike = alternating(flexible), alternating(flexible, CORRELATIONS[-1])
    shares = [median(each.loss / base) for each, base in zip((apart, alike), average, strict=True)]
    off = max(float(abs(each.loss / each.closed_form - 1).max()) for each in (apart, alike))
    at = RUNS.index(0.1)
    return Outcome(
        {
            "run_length": exact(RUNS),
            "loss_over_that_of_the_mean": shares[0],
            "loss_over_that_of_the_mean_similar": shares[1],
            "largest_relative_error_of_closed_form": exact(off),
        },
        {
            "runs of a step: 1 to 1.2 times the loss of the mean": 1 < shares[0].low[0] <= shares[0].high[0] < 1.2,
            "runs of 1: less than a fifth of it": shares[0].high[-1] < 0.2,
            "in runs of 0.1 similar tasks still cost 0.95 of it, different ones less": shares[1].low[at]
            > 0.95
            > shares[0].high[at],
            "the closed form is right within 1 %": off < 0.01,
        },
    )


def _half(first: float, second: float) -> gl.Phases:
    """Blocks of one length for half of the training, then of another."""
    half = TRAINING / 2
    return gl.Phases(tuple(gl.Blocked(duration=half, block_length=length) for length in (first, second)))


ORDERS = {
    "blocked": gl.Blocked(duration=TRAINING, block_length=1.0),
    "early": _half(1.0, 0.05),
    "late": _half(0.05, 1.0),
    "interleaved": gl.Blocked(duration=TRAINING, block_length=0.05),
    "half": gl.Blocked(duration=TRAINING / 2, block_length=1.0),
}
"""Blocked throughout, blocked early, blocked late, interleaved throughout; and the blocked half alone."""


@functools.lru_cache(maxsize=2)
@cached
def by_order(experiment: gl.Experiment) -> xr.Dataset:
    """What is known of both tasks, told which is on, after half of the training in blocks: the first or the second."""
    found = []
    for curriculum in ORDERS.values():
        results = gl.simulate(experiment.replace(curriculum=curriculum), SEEDS, (record.alignment,), every=40)
        found.append(xr.Dataset({"total_alignment": metrics.total_alignment(results), **known(results)}))
    return xr.concat(found, xr.DataArray(list(ORDERS), dims="order", name="order"))


@claim(
    "early-late",
    "beyond",
    "Blocks late in training leave purer paths than blocks early: not as in people.",
    counterfactual={"flexible": PLAIN},
)
def early_or_late(flexible: gl.Experiment = LEARNER) -> Outcome:
    """Loss told the task after 10 time units in blocks of 1 and 10 in blocks of 0.05, in either order."""
    found = by_order(flexible)
    loss = {order: median(found.cued.sel(order=order)) for order in ORDERS}
    free = median(found.any_sign.sel(order="early"))
    never = fraction(found.cued.sel(order="late") > 0.1)
    return Outcome(
        {f"cued_loss_{order}": each for order, each in loss.items()}
        | {"any_sign_loss_early": free, "never_specialized_late": never},
        {
            "late blocks leave a fifth of the loss that early ones leave, or less": loss["late"].high
            < loss["early"].low / 5,
            "interleaving after blocks wears them down: twice the loss after the blocks alone": loss["early"].low
            > 2 * loss["half"].high,
            "early ones still leave a third of that of interleaving, or less": loss["early"].high
            < loss["interleaved"].low / 3,
            "and with gates of any sign none": free.high < 0.001,
        },
    )


# Series of new tasks, of mixtures and of reversals, as people and animals are given them.


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
@cached
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
    counterfactual={"experiment": PROBLEMS.replace(penalties=(), tau_c=1.3)},
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


@claim(
    "composing",
    "beyond",
    "Blocked practice helps with uneven mixtures; with even ones interleaving does as well.",
    counterfactual={"experiment": PROBLEMS.replace(penalties=(), tau_c=1.3)},
)
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
@cached
def reversals(experiment: gl.Experiment) -> xr.Dataset:
    """Recovery after each reversal, and the lowest gate at the ends of the last two blocks."""
    results = gl.simulate(experiment, 20, (record.loss, record.gates))
    ends = metrics.end_of_block(results.gates, results).isel(block=slice(-2, None))
    return xr.Dataset({"recovery": metrics.time_to_criterion(results), "lowest_gate": ends.min(("block", "path"))})


@claim(
    "reversal",
    "beyond",
    "Reversals are learned ever faster, but not with gates above zero; a forgetful network gets slower.",
    counterfactual={"flexible": REVERSED_PLAIN, "forgetful": REVERSED},
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
