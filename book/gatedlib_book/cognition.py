"""Cognition: the paper's Fig. 8B, and beyond it: practice, and training in blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib.analysis.theory import alternation_loss
from gatedlib.simulation.results import final_params
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Numbers, along, exact, fraction, median
from gatedlib_book.experiments import CORRELATIONS, FLEXIBLE, LEARNER, PLAIN, SEEDS
from gatedlib_book.networks import networks

PRACTISED = FLEXIBLE.replace(tau_w=0.07, tau_c=0.01, dt=0.01, a=0.18, b=0.72)
"""Fig. 8B: gates that nearly settle in one step."""

PRACTISED_FORGETFUL = PRACTISED.replace(tau_c=0.07, penalties=())
"""The same with gates as slow as its weights, and no penalties."""

PRACTISED_UNPENALIZED = PRACTISED.replace(penalties=())
"""The same with fast gates and no penalties."""

FROZEN = PRACTISED.replace(tau_c=math.inf, penalties=())
"""The same with gates that never move: a plain network."""

HELD = PRACTISED_FORGETFUL.replace(penalties=(gl.UnitNorm(b=0.72),))
"""Forgetful, but with the sum of its gates held at one."""

FIRST, SKIPPED = 5, (5, 20, 50)
"""How many steps count as just after a switch, and how many are left out of the mixing cost."""


@cached
def practice(experiment: gl.Experiment) -> xr.Dataset:
    """What switches cost, block by block, alternating and with a single task only."""
    results = gl.simulate(experiment, networks(SEEDS), (record.loss,))
    alone = experiment.replace(order=(0,))
    single = gl.simulate(alone, networks(SEEDS), (record.loss,))
    mixing_costs = [metrics.mixing_cost(results, single, skip) for skip in SKIPPED]
    costs = {
        "post_switch_loss": metrics.post_switch_loss(results, FIRST),
        "depth": metrics.switch_cost(results, 1),
        "duration": metrics.switch_duration(results),
        "mixing_cost": along("skip", SKIPPED, mixing_costs),
    }
    return xr.Dataset(costs)


def _after_switches(experiment: gl.Experiment) -> xr.DataArray:
    """The loss on steps 1 to 5 after each switch; the first block follows none."""
    return practice(experiment).post_switch_loss.sel(block=slice(2, None), step_since=slice(1, None))


@claim("8B", "8B", swap=(PRACTISED, PRACTISED_FORGETFUL))
def post_switch(
    flexible: gl.Experiment, forgetful: gl.Experiment, unpenalized: gl.Experiment = PRACTISED_UNPENALIZED
) -> Measured:
    """Practice lowers the loss just after a switch in the flexible network and raises it where gates are loose.

    Loss 1 to 5 steps after each of 19 switches, their mean at the first and the last one; two plain controls too.
    """
    experiments = {"flexible": flexible, "forgetful": forgetful, "unpenalized": unpenalized}
    n = Numbers()
    for name, experiment in {**experiments, "frozen": FROZEN, "held": HELD}.items():
        loss = _after_switches(experiment)
        whole = loss.mean("step_since")
        n[f"post_switch_loss_{name}"] = median(loss)
        n[f"last_over_first_{name}"] = median(whole.sel(block=20) / whole.sel(block=2))
    return n, {
        "flexible: the loss after the last switch is {} times that after the first": n.last_over_first_flexible < 0.5,
        "forgetful: {} times": n.last_over_first_forgetful > 1.15,
        "fast gates without penalties: {} times": n.last_over_first_unpenalized > 1.15,
        "slow gates that are frozen: {} times": n.last_over_first_frozen.within(0.95, 1.05),
        "slow gates that are only held to a sum of one: {} times": n.last_over_first_held.within(0.95, 1.05),
    }


@claim("8B-depth", swap=(LEARNER, PLAIN))
def depth_and_duration(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """With practice a switch of the flexible network becomes deeper and shorter.

    Depth and duration of a switch at block 5 and block 20 of the network of Fig. 2.
    """
    costs, plain = practice(flexible), practice(forgetful)

    def growth(values: xr.DataArray) -> xr.DataArray:
        return values.sel(block=20) / values.sel(block=5)

    n = Numbers(
        depth=median(costs.depth),
        duration=median(costs.duration),
        depth_late_over_early=median(growth(costs.depth)),
        duration_late_over_early=median(growth(costs.duration)),
        duration_late_over_early_forgetful=median(growth(plain.duration)),
    )
    return n, {
        "the first error is {} times as large at block 20 as at block 5": n.depth_late_over_early > 1.5,
        "and the switch takes {} times as long": n.duration_late_over_early < 0.25,
        "in the forgetful network it takes {} times as long": n.duration_late_over_early_forgetful > 0.9,
    }


@claim("mixing", swap=(PRACTISED, PRACTISED_FORGETFUL))
def mixing(
    flexible: gl.Experiment, forgetful: gl.Experiment, unpenalized: gl.Experiment = PRACTISED_UNPENALIZED
) -> Measured:
    """Between switches two tasks cost none of the networks anything, once it has recovered.

    Mean loss from step 5, 20 and 50 of a block on, less that with one task, in the last four blocks.
    """
    names = ("flexible", "forgetful", "unpenalized")
    experiments = (flexible, forgetful, unpenalized)
    costs = along("network", names, [metrics.last(practice(e).mixing_cost, 4) for e in experiments])
    cost = median(costs)
    n = Numbers(
        steps_skipped=exact(SKIPPED),
        **{f"mixing_cost_{name}": cost.at(network=name) for name in names},
        mixing_cost_over_flexible=median(costs.sel(network=list(names[1:])) / costs.sel(network="flexible", drop=True)),
    )
    return n, {
        "from step 5 on the others pay {} times as much as the flexible network": n.mixing_cost_over_flexible.at(skip=5)
        > 10,
        "from step 50 on all pay {}": cost.at(skip=50) < 0.001,
    }


LENGTHS = (0.005, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Block lengths from one step to half of the training."""

TRAINING = 20.0


def loss_told_and_untold(results: xr.Dataset) -> dict[str, xr.DataArray]:
    """Loss on both tasks with the best gates for each, not below 0 or of any sign, and with the gates as left."""
    cued, free = (transfer.loss_with(results, transfer.best_gates(results, nonnegative=sign)) for sign in (True, False))
    as_left = transfer.loss_with(results, results.final_gates)
    return {"cued": cued.mean("task"), "any_sign": free.mean("task"), "uncued": as_left.mean("task")}


def _test_recovery(experiment: gl.Experiment, results: xr.Dataset) -> xr.DataArray:
    """Recovery of a trained network in four blocks of 1, the first of the task that it was not on last."""
    last = int(experiment.schedule().block_tasks[-1])
    test = experiment.replace(curriculum=gl.Blocked(blocks=4, order=(1 - last, last)))
    after = gl.simulate(test, results.seed.values.tolist(), (record.loss,), initial=final_params(results))
    # four fifths of the error of the wrong task, which is the same share of it for tasks of all correlations
    similar = getattr(experiment.teachers, "correlation", 0.0)
    return metrics.time_to_criterion(after, 0.1 * (1 - float(similar))).mean("block")


@cached
def exposure(experiment: gl.Experiment, correlation: float = 0.0, seeds: int = 20) -> xr.Dataset:
    """Alignment, knowledge and recovery after the same training time in blocks of every length."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    measures = []
    for length in LENGTHS:
        trained = experiment.replace(teachers=tasks, curriculum=gl.Blocked(duration=TRAINING, block_length=length))
        results = gl.simulate(trained, networks(seeds), (record.alignment,), every=40)
        alignment, recovery = metrics.total_alignment(results), _test_recovery(trained, results)
        losses = loss_told_and_untold(results)
        measures.append(xr.Dataset({"total_alignment": alignment, **losses, "recovery": recovery}))
    return along("block_length", LENGTHS, measures)


@claim("blocks", "8B", as_given=False, swap=(LEARNER, PLAIN))
def block_length(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """After 20 time units long blocks make switches fast, and interleaving does not.

    Networks after 20 time units in blocks of every length, all tested alike.
    """
    blocked, plain = exposure(flexible), exposure(forgetful)
    recovery, uncued = blocked.recovery, plain.uncued
    n = Numbers(
        block_length=exact(LENGTHS),
        recovery_by_block_length=median(recovery),
        alignment_by_block_length=median(blocked.total_alignment),
        cued_loss_by_block_length=median(blocked.cued),
        any_sign_loss_by_block_length=median(blocked.any_sign),
        uncued_loss_by_block_length_forgetful=median(uncued),
        recovery_interleaved_over_blocks_of_1=median(recovery.sel(block_length=0.05) / recovery.sel(block_length=1.0)),
        uncued_loss_one_switch_over_interleaved_forgetful=median(
            uncued.sel(block_length=10.0) / uncued.sel(block_length=0.05)
        ),
    )
    cued = n.cued_loss_by_block_length
    return n, {
        "flexible: after blocks of 0.05 recovery takes {} times as long as after blocks of 1": (
            n.recovery_interleaved_over_blocks_of_1 > 4
        ),
        "told the task, blocks of 1 leave a loss of {}, blocks of 0.05 one of {}": (cued.at(block_length=1.0) < 0.01)
        & (cued.at(block_length=0.05) > 0.1),
        "half of the time for each task: paths are not the tasks, alignment {}": (
            n.alignment_by_block_length.at(block_length=10.0) < 0.9
        ),
        "but with gates of any sign they leave a loss of {}": (
            n.any_sign_loss_by_block_length.at(block_length=10.0) < 0.001
        ),
        "forgetful: blocking forgets, when untold {} times the loss of interleaving": (
            n.uncued_loss_one_switch_over_interleaved_forgetful > 1.8
        ),
    }


@claim("similar", "8B", as_given=False, counterfactual={"flexible": PLAIN})
def similarity(flexible: gl.Experiment = LEARNER) -> Measured:
    """The more alike tasks are, the longer the blocks that it takes to keep them apart.

    What blocks of 1 and of 2 save of the loss that interleaving leaves, told the task, by correlation.
    """
    losses = along("correlation", CORRELATIONS, [exposure(flexible, correlation).cued for correlation in CORRELATIONS])
    saved = 1 - losses / losses.sel(block_length=0.05, drop=True)
    n = Numbers(
        correlation=exact(CORRELATIONS),
        share_saved_blocks_of_1=median(saved.sel(block_length=1.0)),
        share_saved_blocks_of_2=median(saved.sel(block_length=2.0)),
    )
    return n, {
        "blocks of 1: the share falls from each correlation to the next": n.share_saved_blocks_of_1.falls(),
        "at correlation 0.8 it is {}": n.share_saved_blocks_of_1.at(correlation=0.8) < 0.9,
        "blocks of 2: it is {} at all three": n.share_saved_blocks_of_2 > 0.98,
    }


ONE_LONG_BLOCK = 10.0
"""How long each task is on when A is followed by B, and B by A again."""

CRITERION_OF_A_B_A = 0.025
"""A task counts as learned at a tenth of the loss of no answer, however alike tasks are."""


@cached
def a_b_a(experiment: gl.Experiment, correlation: float) -> xr.Dataset:
    """Task A, then B, then A again: the time that each takes to learn, and what is left of A after B.

    Interference is the loss on A that the best gates leave after B, over that of answering B.
    """
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)

    def after(order: tuple[int, ...], **start: Any) -> xr.Dataset:
        blocks = gl.Blocked(blocks=len(order), block_length=ONE_LONG_BLOCK, order=order)
        return gl.simulate(
            experiment.replace(teachers=tasks, curriculum=blocks), networks(SEEDS), (record.loss,), **start
        )

    learned = after((0, 1))
    again = after((0,), initial=final_params(learned))
    first = metrics.time_to_criterion(learned, CRITERION_OF_A_B_A)
    second = metrics.time_to_criterion(again, CRITERION_OF_A_B_A)
    times = {
        "time_for_a": first.sel(block=1, drop=True),
        "time_for_b": first.sel(block=2, drop=True),
        "time_for_a_again": second.sel(block=1, drop=True),
    }
    left = transfer.loss_with(learned, transfer.best_gates(learned, nonnegative=True)).sel(task=0, drop=True)
    wrong = (1 - correlation) / 2  # the loss of answering B, for teachers of squared length 1/2
    return xr.Dataset({**times, "interference": left / wrong})


@claim("A-B-A", counterfactual={"flexible": PLAIN})
def similar_tasks_interfere(flexible: gl.Experiment = LEARNER, forgetful: gl.Experiment = PLAIN) -> Measured:
    """Similar tasks transfer and interfere more; gates take away most of the interference and leave the transfer.

    Tasks A, B and A again, each for 10 time units, by correlation: times to learn, and what B leaves of A.
    """
    own, plain = (
        along("correlation", CORRELATIONS, [a_b_a(network, correlation) for correlation in CORRELATIONS])
        for network in (flexible, forgetful)
    )
    most_similar = own.time_for_b.sel(correlation=CORRELATIONS[-1]) / plain.time_for_b.sel(correlation=CORRELATIONS[-1])
    n = Numbers(
        correlation=exact(CORRELATIONS),
        time_for_b_over_a=median(own.time_for_b / own.time_for_a),
        time_for_b_over_a_forgetful=median(plain.time_for_b / plain.time_for_a),
        time_for_a_again_over_a=median(own.time_for_a_again / own.time_for_a),
        time_for_a_again_over_a_forgetful=median(plain.time_for_a_again / plain.time_for_a),
        interference=median(own.interference),
        interference_forgetful=median(plain.interference),
        time_for_b_flexible_over_forgetful=median(most_similar),
    )
    return n, {
        "flexible: the time for B, over that for A, falls with similarity": n.time_for_b_over_a.falls(),
        "interference rises with it": n.interference.rises(),
        "but it stays at {} of the loss of answering B": n.interference < 0.1,
        "forgetful: it is {} of it": n.interference_forgetful > 0.4,
        "the time for B at correlation 0.8 is {} times that of the forgetful network": (
            n.time_for_b_flexible_over_forgetful.within(0.8, 1.25)
        ),
    }


RUNS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""From one step on."""


@cached
def alternating(experiment: gl.Experiment, correlation: float = 0.0, seeds: int = 10) -> xr.Dataset:
    """The mean loss of specialized networks in runs of every length, beside the closed form."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    base = experiment.replace(teachers=tasks, tau_w=math.inf)
    start = [base.draw(seed)[0] for seed in networks(seeds)]
    perfect = gl.Params(np.stack(start), np.tile([1.0, 0.0], (seeds, 1)))
    losses = []
    for length in RUNS:
        test = base.replace(curriculum=gl.Blocked(duration=12.0, block_length=length))
        results = gl.simulate(test, networks(seeds), (record.loss,), 1, perfect)
        losses.append(results.loss.sel(time=slice(6.0, None)).mean("time"))
    distance = float(np.linalg.norm(start[0][0] - start[0][1]))
    expected = alternation_loss(np.array(RUNS), float(experiment.flow.tau_c), distance, float(experiment.flow.dt))
    return xr.Dataset({"loss": along("run_length", RUNS, losses), "closed_form": ("run_length", expected)})


@claim("runs", counterfactual={"flexible": LEARNER.replace(tau_c=0.3)})
def short_runs(flexible: gl.Experiment = LEARNER) -> Measured:
    """In a test that alternates fast a specialized network does no better than an average one.

    Mean loss in runs of one step to 1, weights frozen at the tasks, as a share of what their mean would cost.
    """
    different, similar = alternating(flexible), alternating(flexible, CORRELATIONS[-1])
    errors = [float(abs(tasks.loss / tasks.closed_form - 1).max()) for tasks in (different, similar)]
    n = Numbers(
        run_length=exact(RUNS),
        loss_over_that_of_the_mean=median(different.loss * 8),  # tasks at a distance of 1 cost their mean 1/8
        loss_over_that_of_the_mean_similar=median(similar.loss * 8 / (1 - CORRELATIONS[-1])),
        largest_relative_error_of_closed_form=exact(max(errors)),
    )
    shares, shares_similar = n.loss_over_that_of_the_mean, n.loss_over_that_of_the_mean_similar
    return n, {
        "in runs of a step it costs {} times what the mean would": shares.at(run_length=0.005).within(1, 1.2),
        "in runs of 1 {} times that": shares.at(run_length=1.0) < 0.2,
        "in runs of 0.1 similar tasks cost {} times that, different ones {}": (
            (shares_similar.at(run_length=0.1) > 0.95) & (shares.at(run_length=0.1) < 0.95)
        ),
        "the closed form is wrong by a share of {}": n.largest_relative_error_of_closed_form < 0.01,
    }


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


@cached
def by_order(experiment: gl.Experiment) -> xr.Dataset:
    """What is known of both tasks, told which is on, after half of the training in blocks: the first or the second."""
    measures = []
    for curriculum in ORDERS.values():
        ordered = experiment.replace(curriculum=curriculum)
        results = gl.simulate(ordered, networks(SEEDS), (record.alignment,), every=40)
        alignment = metrics.total_alignment(results)
        measures.append(xr.Dataset({"total_alignment": alignment, **loss_told_and_untold(results)}))
    return along("order", list(ORDERS), measures)


@claim("early-late", counterfactual={"flexible": PLAIN})
def early_or_late(flexible: gl.Experiment = LEARNER) -> Measured:
    """Blocks late in training leave purer paths than blocks early: not as in people.

    Loss told the task after 10 time units in blocks of 1 and 10 in blocks of 0.05, in either order.
    """
    results = by_order(flexible)
    loss = {order: results.cued.sel(order=order, drop=True) for order in ORDERS}
    n = Numbers(
        **{f"cued_loss_{order}": median(loss[order]) for order in ORDERS},
        any_sign_loss_early=median(results.any_sign.sel(order="early")),
        never_specialized_late=fraction(loss["late"] > 0.1),
        cued_loss_early_over_late=median(loss["early"] / loss["late"]),
        cued_loss_early_over_half=median(loss["early"] / loss["half"]),
        cued_loss_interleaved_over_early=median(loss["interleaved"] / loss["early"]),
    )
    return n, {
        "early blocks leave {} times the loss that late ones leave": n.cued_loss_early_over_late > 5,
        "interleaving after blocks wears them down: {} times the loss after the blocks alone": (
            n.cued_loss_early_over_half > 1.5
        ),
        "interleaving throughout leaves {} times the loss that early ones leave": (
            n.cued_loss_interleaved_over_early > 3
        ),
        "and with gates of any sign early ones leave a loss of {}": n.any_sign_loss_early < 0.001,
    }
