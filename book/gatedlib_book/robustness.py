"""Robustness: the experiments and the claims of the paper's Figs. A.3, A.13 and A.16, and four questions beyond it."""

from __future__ import annotations

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib._internal.numerics import first_true
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim, sparse
from gatedlib_book.estimates import Numbers, along, exact, fraction, mean, median
from gatedlib_book.experiments import FLEXIBLE, REGULAR, SEEDS
from gatedlib_book.forms import earlier
from gatedlib_book.networks import networks
from gatedlib_book.regimes import FLEXIBLE_ALIGNMENT, alignment_grid

FOUR_PATHS = FLEXIBLE.replace(network=gl.GatedLinear(paths=4), curriculum=gl.Blocked(duration=25.0), a=0.545, b=5.45)
"""Fig. A.3: four paths for two tasks."""

FOUR_PATHS_WEAKER = FOUR_PATHS.replace(a=0.194, b=1.94)
"""The control of Fig. A.3: the weaker penalties of FOUR_PATHS_COSTLY without its cost."""

FOUR_PATHS_COSTLY = FOUR_PATHS.replace(
    penalties=(gl.Nonnegative(a=0.194), gl.UnitNorm(b=1.94), gl.WeightCost(column_cost=0.194))
)
"""Fig. A.3 with a cost on weights."""

FOUR_PATHS_SEEDS = 60
"""One network in five uses fewer paths than most, or more: with 30 the interval of the median may reach those."""

ALIKE_FLEXIBLE = FLEXIBLE.replace(teachers=gl.Correlated(tasks=2, d_in=20, d_out=10))
"""Correlated teachers at the settings of Fig. 2."""

ALIKE_RELEASED = ALIKE_FLEXIBLE.replace(
    curriculum=gl.Blocked(duration=10.0), tau_w=1 / 60, tau_c=1 / 60, dt=0.01, penalties=(gl.UnitNorm(b=0.1, ord=2),)
)
"""Fig. A.13 as the released notebook has it: teachers that resemble each other."""

ALIKE = earlier(ALIKE_RELEASED)
"""Fig. A.13 in the form that drew it."""

FIVE_CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 0.95)
"""At 1 both tasks are one: there is nothing to recover from."""

SAMPLES = 33
FEW_SHOT = FLEXIBLE.replace(dt=0.03, block_length=SAMPLES * 0.03, inputs=gl.Sampled(batch=1))
"""Fig. A.16: one sample per step, 33 in a block."""

FEW_SHOT_FORGETFUL = FEW_SHOT.replace(tau_c=1.3, a=0.0, b=0.0)

SIZES = (2, 3, 4, 6, 8)
MEAN_LENGTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
DRAWS = 30

REGULAR_SEEDS = 100
"""So many networks at regular switches that an interval of a fraction of none of them ends below 0.05."""


RANDOM = REGULAR.replace(curriculum=gl.RandomSwitches(duration=40.0))
"""The same, with switches at random moments."""


def many(tasks: int, paths: int, rounds: int = 30) -> gl.Experiment:
    """The flexible network of Fig. 2 for any number of tasks of the same size, which take turns."""
    return FLEXIBLE.replace(
        teachers=gl.Orthogonal(tasks=tasks, d_in=32, d_out=4, scale=8**-0.5),  # squared length 1/2, as in Fig. 2
        network=gl.GatedLinear(paths=paths),
        curriculum=gl.Blocked(blocks=tasks * rounds, order=tuple(range(tasks))),
        inputs=gl.Population(),
        dt=5e-3,
    )


def unequal(share: float, experiment: gl.Experiment = REGULAR, rounds: int = 20) -> gl.Experiment:
    """Rounds of 2 time units, of which task A takes this share."""
    lengths = round(2 * share, 3), round(2 - 2 * share, 3)
    return experiment.replace(curriculum=gl.BlockSequence(tasks=(0, 1) * rounds, lengths=lengths * rounds))


@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """Loss, gates and alignment every 0.01 time units, computed once and shared by claims and figures."""
    every = max(1, round(0.01 / experiment.flow.dt))
    return gl.simulate(experiment, networks(seeds), (record.loss, record.gates, record.alignment), every)


LAST = 3.0
"""Fig. A.3 counts paths after time 22 of 25."""


def largest_gates(results: xr.Dataset, last: float = LAST) -> xr.DataArray:
    """The largest gate of each path in the last time units of a run, whatever the task, dims seed and path."""
    return results.gates.sel(time=slice(float(results.time[-1]) - last, None)).max("time")


def paths_used(results: xr.Dataset, last: float = LAST) -> xr.DataArray:
    """The number of paths whose gate exceeds 0.1 in the last time units of a run, one per seed."""
    return (largest_gates(results, last) > 0.1).sum("path")


@claim(
    "A.3",
    "A.3",
    swap=(FOUR_PATHS, FOUR_PATHS_COSTLY),
    reference={"paths_used_free": 2.9, "paths_used_cost": 2.2},
)
def redundant(free: gl.Experiment, costly: gl.Experiment, weaker: gl.Experiment = FOUR_PATHS_WEAKER) -> Measured:
    """Redundant paths are used, unless weights have a cost: then they are dropped.

    Four paths for two tasks: how many open after time 22 (gate above 0.1); also with the weaker penalties alone. The
    mean is of numbers from -3 to 3, so that no network can be far from the others.
    """
    used, used_cost = (paths_used(run(experiment, FOUR_PATHS_SEEDS)) for experiment in (free, costly))
    n = Numbers(
        paths_used_free=median(used),
        paths_used_cost=median(used_cost),
        paths_used_control=median(paths_used(run(weaker, FOUR_PATHS_SEEDS))),
        paths_dropped_cost=mean(used - used_cost),
        end_loss_cost=median(metrics.last(metrics.end_loss(run(costly, FOUR_PATHS_SEEDS)), 4)),
    )
    return n, {
        "without the cost the median network uses {} paths": n.paths_used_free >= 3,
        "nor is it the weaker penalties: with these and without the cost it uses {} too": n.paths_used_control >= 3,
        "with it a network keeps fewer than without, in the mean by {}": n.paths_dropped_cost > 0.25,
        "with it the tasks are still learned: blocks end with a loss of {}": n.end_loss_cost < 0.01,
    }


def recovery_and_specialization(results: xr.Dataset) -> xr.Dataset:
    """How fast the loss decays right after the last switch; specialization and gates in the end."""
    dt = gl.results.settings(results)["flow.dt"]
    steps = max(1, round(0.01 / dt))
    decay = metrics.per_block(
        results.loss, results, lambda loss: np.log(loss[..., 0] / loss[..., steps]) / (steps * dt)
    )
    last = {
        "recovery_speed": decay.isel(block=-1),
        "specialization": metrics.specialization(results).isel(time=-1),
        "gates": metrics.end_of_block(results.gates, results).isel(block=-1),
    }
    return xr.Dataset({name: values.reset_coords(drop=True) for name, values in last.items()})


@cached
def by_correlation(experiment: gl.Experiment) -> xr.Dataset:
    """Speed of recovery and specialization for teachers of every correlation."""
    return gl.sweep(
        experiment,
        seeds=networks(SEEDS),
        record=(record.loss, record.gates, record.weight_products),
        measure=recovery_and_specialization,
        correlation=FIVE_CORRELATIONS,
    )


def _correlation_outcome(experiment: gl.Experiment) -> Measured:
    samples = by_correlation(experiment)
    speed = samples.recovery_speed
    # relative to uncorrelated teachers, whose distance is the same for all correlations
    specialization = samples.specialization * (1 - samples.correlation)

    def share_left(values: xr.DataArray) -> xr.DataArray:
        return values.sel(correlation=0.25) / values.sel(correlation=0.0)

    n = Numbers(
        correlation=exact(FIVE_CORRELATIONS),
        recovery_speed=median(speed),
        specialization=median(specialization),
        specialization_relative_to_teachers=median(samples.specialization),
        recovery_speed_share_left=median(share_left(speed)),
        specialization_share_left=median(share_left(specialization)),
    )
    moderate = [0.0, 0.25, 0.5, 0.75]
    return n, {
        "uncorrelated: specialization is {}": n.specialization.at(correlation=0.0) > 0.5,
        "specialization falls from 0 to 0.25, 0.5 and 0.75": n.specialization.at(correlation=moderate).falls(),
        "recovery slows from 0 to 0.25, 0.5 and 0.75": n.recovery_speed.at(correlation=moderate).falls(),
        "gracefully: at 0.25 recovery is still {} times as fast as at 0": n.recovery_speed_share_left > 0.5,
        "and specialization {} times as large": n.specialization_share_left > 0.5,
    }


@claim(
    "A.13",
    "A.13",
    form="earlier",
    published={"recovery_speed": sparse(len(FIVE_CORRELATIONS), {1: 27.5})},
    note="From a correlation of 0.75 on paths are alike. The speed in the picture falls from 27.5 to 1.6, not as ours; "
    "how it was measured is not known.",
    counterfactual={"experiment": ALIKE_RELEASED},
)
def correlated(experiment: gl.Experiment = ALIKE) -> Measured:
    """In the form that drew the figure: as teachers grow alike, recovery slows and specialization falls, gracefully.

    Teachers of exactly the stated correlation, at the settings of the figure in the earlier form.
    """
    return _correlation_outcome(experiment)


@claim(
    "A.13-released",
    "A.13",
    reference={"gates_uncorrelated": [0.65, 0.65]},
    counterfactual={"experiment": ALIKE},
)
def correlated_released(experiment: gl.Experiment = ALIKE_RELEASED) -> Measured:
    """In the released form nothing specializes, whatever the correlation, as the released code itself finds.

    Specialization, and the two gates at the end, larger one first.
    """
    samples = by_correlation(experiment)
    ends = samples.gates.sel(correlation=0.0)
    ordered = ends.copy(data=-np.sort(-ends.values, ends.get_axis_num("path"))).assign_coords(path=[1, 2])
    n = Numbers(
        correlation=exact(FIVE_CORRELATIONS),
        specialization=median(samples.specialization * (1 - samples.correlation)),
        gates_uncorrelated=median(ordered),
    )
    return n, {
        "specialization is {} at all correlations": n.specialization < 0.05,
        "both gates stay open, {} (the released code's: 0.65)": n.gates_uncorrelated.within(0.55, 0.75),
    }


@claim(
    "A.13-flexible",
    "A.13",
    as_given=False,
    note="Up to a correlation of 0.75: above that there is hardly anything left to recover from.",
    counterfactual={"experiment": ALIKE_FLEXIBLE.replace(penalties=())},
)
def correlated_flexible(experiment: gl.Experiment = ALIKE_FLEXIBLE) -> Measured:
    """At the settings of Fig. 2, recovery slows and specialization falls, gracefully, as teachers grow alike.

    The same with the flexible network of Fig. 2.
    """
    return _correlation_outcome(experiment)


def loss_by_sample(results: xr.Dataset, first: int, last: int) -> xr.DataArray:
    """The loss at each sample after the switch, mean over some blocks (numbered from 1), dims seed and sample."""
    loss = results.loss.transpose("seed", "time").values.reshape(results.sizes["seed"], -1, SAMPLES)
    return xr.DataArray(loss[:, first - 1 : last].mean(1), {"sample": range(SAMPLES)}, ("seed", "sample"))


@claim("A.16", "A.16", swap=(FEW_SHOT, FEW_SHOT_FORGETFUL))
def few_shot(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """Late in training a switch is absorbed within a few samples.

    Loss at each of the 33 samples of a block, mean over blocks 16 to 20 and, for comparison, 2 to 4; 100 seeds.
    """
    results = run(flexible, 100)
    late, early = loss_by_sample(results, 16, 20), loss_by_sample(results, 2, 4)
    forgetful_late = loss_by_sample(run(forgetful, 100), 16, 20)
    after_5 = late.sel(sample=5)
    n = Numbers(
        loss_after_n_samples_late=median(late),
        loss_after_n_samples_early=median(early),
        loss_after_n_samples_late_forgetful=median(forgetful_late),
        loss_left_after_5_samples=median(after_5 / late.sel(sample=0)),
        loss_early_over_late_after_5_samples=median(early.sel(sample=5) / after_5),
        loss_forgetful_over_flexible_after_5_samples=median(forgetful_late.sel(sample=5) / after_5),
    )
    return n, {
        "flexible, late: after 5 samples the loss is {} times what it was at the switch": (
            n.loss_left_after_5_samples < 0.2
        ),
        "flexible, early: after 5 samples it is {} times as large as late": n.loss_early_over_late_after_5_samples > 3,
        "forgetful, late: after 5 samples it is {} times as large as the flexible one's": (
            n.loss_forgetful_over_flexible_after_5_samples > 3
        ),
    }


def rounds_until_fast(results: xr.Dataset) -> xr.DataArray:
    """The first round of all tasks in which the mean time to criterion is below 0.1; nan if there is none."""
    times = metrics.time_to_criterion(results).transpose("seed", "block").values
    fast = times.reshape(len(times), -1, results.sizes["task"]).mean(-1) < 0.1
    return xr.DataArray(first_true(fast) + 1, dims="seed")


@claim("tasks", counterfactual={"rounds": 3})
def number_of_tasks(rounds: int = 30) -> Measured:
    """Recovery becomes fast with up to eight tasks, within fifteen rounds of all of them.

    As many paths as tasks; recovery in the last round, and the first round in which it takes less than 0.1.
    """
    runs = [run(many(tasks, tasks, rounds)) for tasks in SIZES]
    times = [metrics.last(metrics.time_to_criterion(results), results.sizes["task"]) for results in runs]
    # a network that never gets there counts as slower than any
    until = [rounds_until_fast(results).fillna(np.inf) for results in runs]
    own = [(results.alignment.isel(time=-1).max("path") > FLEXIBLE_ALIGNMENT).mean("task") for results in runs]
    n = Numbers(
        number_of_tasks=exact(SIZES),
        recovery_by_tasks=median(along("tasks", SIZES, times)),
        rounds_until_fast=median(along("tasks", SIZES, until)),
        tasks_with_a_path_of_their_own=mean(along("tasks", SIZES, own)),
    )
    return n, {
        "recovery takes {} in the end, whatever the number of tasks": n.recovery_by_tasks < 0.1,
        "to get there it takes {} rounds": n.rounds_until_fast <= 15,
    }


@claim("switches", counterfactual={"random": RANDOM.replace(penalties=())})
def random_switches(regular: gl.Experiment = REGULAR, random: gl.Experiment = RANDOM) -> Measured:
    """Switches at random moments make networks flexible where regular ones as frequent do not.

    The fraction of networks that are flexible in the end; each random sequence is one sample, of five networks. (Their
    mean is that fraction; it lies between 0 and 1, so that no sample can be far from the others.)
    """
    even = alignment_grid(regular, REGULAR_SEEDS, block_length=MEAN_LENGTHS) > FLEXIBLE_ALIGNMENT
    draw = tuple(networks(DRAWS))
    draws = alignment_grid(random, 5, mean_length=MEAN_LENGTHS, draw=draw) > FLEXIBLE_ALIGNMENT
    n = Numbers(
        mean_block_length=exact(MEAN_LENGTHS),
        flexible_fraction_regular=fraction(even),
        flexible_fraction_random=mean(draws.mean("seed").rename(draw="seed")),
    )
    return n, {
        "random switches, mean length 0.1: the fraction of flexible networks is {}": n.flexible_fraction_random.at(
            mean_length=0.1
        )
        > 0.5,
        "regular switches, length 0.1: it is {}": n.flexible_fraction_regular.at(block_length=0.1) < 0.05,
    }


@claim("paths", counterfactual={"tasks": 2})
def number_of_paths(tasks: int = 3) -> Measured:
    """Fast recovery takes as many paths as tasks; more do no harm.

    Three tasks and 1 to 6 paths: recovery and end loss in the last round, and how many paths end up in use.
    """
    counts = (1, 2, 3, 4, 6)
    runs = [run(many(tasks, paths)) for paths in counts]
    times = [metrics.last(metrics.time_to_criterion(results), tasks) for results in runs]
    ends = [metrics.last(metrics.end_loss(results), tasks) for results in runs]
    n = Numbers(
        number_of_paths=exact(counts),
        recovery_by_paths=median(along("paths", counts, times)),
        end_loss_by_paths=median(along("paths", counts, ends)),
        paths_used=median(along("paths", counts, [paths_used(results, tasks) for results in runs])),
    )
    return n, {
        "fewer paths than tasks: recovery takes {}": n.recovery_by_paths.at(paths=[1, 2]) > 0.3,
        "as many or more: {}": n.recovery_by_paths.at(paths=[3, 4, 6]) < 0.1,
    }


def rare_alignment(results: xr.Dataset) -> xr.DataArray:
    """The alignment in the end of the second task's teacher with the path matched to it."""
    return metrics.reorder_paths(results).alignment.isel(time=-1, task=1, path=1, drop=True)


STRONGER = 0.3
"""A pull on negative gates three times as strong as in Fig. 2."""

LONG = 160
"""Rounds after which even the rare task has a path of its own: eight times as many as 20."""


@claim("exposure", counterfactual={"share": 0.5})
def unequal_exposure(share: float = 0.8) -> Measured:
    """A task that is on a fifth of the time is soon recovered fast, but gets its own path much later.

    Rounds of 2 time units, 80 % of them task A: recovery of both tasks and the alignment of B's path. After 20 rounds;
    after 160; after 20 under a stronger pull on negative gates; and after 20 at equal shares.
    """
    results = run(unequal(share))
    times = metrics.time_to_criterion(results)
    gates = metrics.end_of_block(results.gates, results)
    n = Numbers(
        recovery_frequent_task=median(times.isel(block=-2)),
        recovery_rare_task=median(times.isel(block=-1)),
        lowest_gate_rare_task=median(gates.isel(block=-1).min("path")),
        alignment_rare_task=median(rare_alignment(results)),
        alignment_rare_task_late=median(rare_alignment(run(unequal(share, rounds=LONG)))),
        alignment_rare_task_stronger_pull=median(rare_alignment(run(unequal(share, REGULAR.replace(a=STRONGER))))),
        alignment_at_equal_shares=median(rare_alignment(run(unequal(0.5)))),
    )
    return n, {
        "20 rounds: the frequent task is recovered in {}": n.recovery_frequent_task < 0.1,
        "and the rare one in {}": n.recovery_rare_task < 0.1,
        "20 rounds: a gate is {} while the rare task is on": n.lowest_gate_rare_task < -0.2,
        "20 rounds: the rare task's path aligns with its teacher by {}": n.alignment_rare_task < 0.8,
        "160 rounds: by {}": n.alignment_rare_task_late > FLEXIBLE_ALIGNMENT,
        "20 rounds with a pull on negative gates three times as strong: by {}": (
            n.alignment_rare_task_stronger_pull > FLEXIBLE_ALIGNMENT
        ),
        "20 rounds at equal shares: by {}": n.alignment_at_equal_shares > FLEXIBLE_ALIGNMENT,
    }
