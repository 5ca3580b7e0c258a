"""Robustness: the experiments and the claims of the paper's Figs. A.3, A.13 and A.16, and four questions beyond it."""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.analysis.requirements import first_true
from gatedlib_book.cache import cached
from gatedlib_book.experiments import FLEXIBLE, SEEDS
from gatedlib_book.regimes import FLEXIBLE_ALIGNMENT as ABOVE
from gatedlib_book.regimes import alignment_grid
from gatedlib_book.claims import Outcome, claim, places
from gatedlib_book.experiments import REGULAR
from gatedlib_book.estimates import Estimate, exact, fraction, mean, median, stacked
from gatedlib_book.forms import earlier

FREE = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=4),
    curriculum=gl.Blocked(duration=25.0),
    flow=gl.Flow(
        tau_w=1.3,
        tau_c=0.03,
        penalties=(gl.Nonnegative(a=0.545), gl.UnitNorm(b=5.45)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. A.3: four paths for two tasks."""

COSTLY = FREE.replace(penalties=(gl.Nonnegative(a=0.194), gl.UnitNorm(b=1.94), gl.WeightCost(column_cost=0.194)))
"""Fig. A.3 with a cost on weights."""

WEAKER = FREE.replace(penalties=(gl.Nonnegative(a=0.194), gl.UnitNorm(b=1.94)))
"""The control of Fig. A.3: the weaker penalties of COSTLY without its cost."""

ALIKE_RELEASED = gl.Experiment(
    teachers=gl.Correlated(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(duration=10.0),
    flow=gl.Flow(
        tau_w=1 / 60, tau_c=1 / 60, dt=0.01, penalties=(gl.UnitNorm(b=0.1, ord=2),), inputs=gl.Sampled(batch=200)
    ),
)
"""Fig. A.13 as the released notebook has it: teachers that resemble each other."""

ALIKE = earlier(ALIKE_RELEASED)
"""Fig. A.13 in the form that drew it."""

ALIKE_FLEXIBLE = FLEXIBLE.replace(teachers=gl.Correlated(tasks=2, d_in=20, d_out=10))
"""Correlated teachers at the settings of Fig. 2."""

CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 0.95)
"""At 1 both tasks are one: there is nothing to recover from."""

SAMPLES = 33
FEW_SHOT = FLEXIBLE.replace(dt=0.03, block_length=SAMPLES * 0.03, inputs=gl.Sampled(batch=1))
"""Fig. A.16: one sample per step, 33 in a block."""

FEW_SHOT_FORGETFUL = FEW_SHOT.replace(tau_c=1.3, a=0.0, b=0.0)

SIZES = (2, 3, 4, 6, 8)
MEAN_LENGTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
DRAWS = 30


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


@functools.lru_cache(maxsize=16)
@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """Loss, gates and alignment every 0.01 time units, computed once and shared by claims and figures."""
    every = max(1, round(0.01 / experiment.flow.dt))
    return gl.simulate(experiment, seeds, (record.loss, record.gates, record.alignment), every)


LAST = 3.0
"""Fig. A.3 counts paths after time 22 of 25."""


def largest_gates(results: xr.Dataset, last: float = LAST) -> xr.DataArray:
    """The largest gate of each path in the last so many time units, whatever the task, dims seed and path."""
    return results.gates.sel(time=slice(float(results.time[-1]) - last, None)).max("time")


def paths_used(results: xr.Dataset, last: float = LAST) -> xr.DataArray:
    """The number of paths whose gate exceeds 0.1 in the last so many time units, one per seed."""
    return (largest_gates(results, last) > 0.1).sum("path")


@claim(
    "A.3",
    "A.3",
    "Redundant paths are used, unless weights have a cost: then they are dropped.",
    reference={"paths_used_free": 2.9, "paths_used_cost": 2.2},
    counterfactual={"free": COSTLY, "costly": FREE},
)
def redundant(free: gl.Experiment = FREE, costly: gl.Experiment = COSTLY, weaker: gl.Experiment = WEAKER) -> Outcome:
    """Four paths for two tasks: how many open after time 22 (gate above 0.1); also with the weaker penalties alone."""
    used, kept, control = (median(paths_used(run(e))) for e in (free, costly, weaker))
    end = median(metrics.end_loss(run(costly)).isel(block=slice(-4, None)).mean("block"))
    return Outcome(
        {"paths_used_free": used, "paths_used_cost": kept, "paths_used_control": control, "end_loss_cost": end},
        {
            "without the cost three paths or more": used.low >= 3,
            "nor is it the weaker penalties: without the cost three or more too": control.low >= 3,
            "with the cost the median network keeps two": kept.value == 2,
            "with it fewer than without": kept.high < used.low,
            "with it the tasks are still learned: blocks end below 0.01": end.high < 0.01,
        },
    )


def likeness(results: xr.Dataset) -> xr.Dataset:
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


@functools.lru_cache(maxsize=4)
@cached
def by_correlation(experiment: gl.Experiment) -> xr.Dataset:
    """Speed of recovery and specialization for teachers of every correlation."""
    return gl.sweep(
        experiment,
        seeds=SEEDS,
        record=(record.loss, record.gates, record.weight_products),
        measure=likeness,
        correlation=CORRELATIONS,
    )


def _graceful(experiment: gl.Experiment) -> Outcome:
    samples = by_correlation(experiment)
    speed, relative = median(samples.recovery_speed), median(samples.specialization)
    # relative to uncorrelated teachers, whose distance is the same for all correlations
    apart = median(samples.specialization * (1 - samples.correlation))
    moderate = slice(None, -1)  # up to 0.75

    def falls(estimate: Estimate) -> bool:
        return bool((estimate.high[moderate][1:] < estimate.low[moderate][:-1]).all())

    return Outcome(
        {
            "correlation": exact(CORRELATIONS),
            "recovery_speed": speed,
            "specialization": apart,
            "specialization_relative_to_teachers": relative,
        },
        {
            "uncorrelated: specialization above 0.5": apart.low[0] > 0.5,
            "specialization falls from 0 to 0.25, 0.5 and 0.75": falls(apart),
            "recovery slows from 0 to 0.25, 0.5 and 0.75": falls(speed),
            "gracefully: at 0.5 both are still above a quarter of what they are at 0": (
                speed.low[2] > speed.value[0] / 4 and apart.low[2] > apart.value[0] / 4
            ),
        },
    )


@claim(
    "A.13",
    "A.13",
    "In the form that drew the figure: as teachers grow alike, recovery slows and specialization falls, gracefully.",
    form="earlier",
    published={"recovery_speed": places(len(CORRELATIONS), {1: 27.5})},
    note="From a correlation of 0.75 on paths are alike. The speed in the picture falls from 27.5 to 1.6, not as ours; "
    "how it was measured is not known.",
    counterfactual={"experiment": ALIKE_RELEASED},
)
def correlated(experiment: gl.Experiment = ALIKE) -> Outcome:
    """Teachers of exactly the stated correlation, at the settings of the figure in the earlier form."""
    return _graceful(experiment)


@claim(
    "A.13-released",
    "A.13",
    "In the released form nothing specializes, whatever the correlation, as the released code itself finds.",
    reference={"gates_uncorrelated": [0.65, 0.65]},
    counterfactual={"experiment": ALIKE},
)
def correlated_released(experiment: gl.Experiment = ALIKE_RELEASED) -> Outcome:
    """Specialization, and the two gates at the end, larger one first."""
    samples = by_correlation(experiment)
    apart = median(samples.specialization * (1 - samples.correlation))
    ends = samples.gates.sel(correlation=0.0)
    ordered = median(ends.copy(data=-np.sort(-ends.values, ends.get_axis_num("path"))).assign_coords(path=[1, 2]))
    return Outcome(
        {"correlation": exact(CORRELATIONS), "specialization": apart, "gates_uncorrelated": ordered},
        {
            "specialization is below 0.05 at all correlations": bool((apart.high < 0.05).all()),
            "both gates stay open, within 0.1 of the released code's": bool(
                (ordered.low > 0.55).all() and (ordered.high < 0.75).all()
            ),
        },
    )


@claim(
    "A.13-flexible",
    "A.13",
    "At the settings of Fig. 2, recovery slows and specialization falls, gracefully, as teachers grow alike.",
    as_given=False,
    note="Up to a correlation of 0.75: above that there is hardly anything left to recover from.",
    counterfactual={"experiment": ALIKE_FLEXIBLE.replace(penalties=())},
)
def correlated_flexible(experiment: gl.Experiment = ALIKE_FLEXIBLE) -> Outcome:
    """The same with the flexible network of Fig. 2."""
    return _graceful(experiment)


def loss_by_sample(results: xr.Dataset, first: int, last: int) -> xr.DataArray:
    """The loss at each sample after the switch, mean over some blocks (numbered from 1), dims seed and sample."""
    loss = results.loss.transpose("seed", "time").values.reshape(results.sizes["seed"], -1, SAMPLES)
    return xr.DataArray(loss[:, first - 1 : last].mean(1), {"sample": range(SAMPLES)}, ("seed", "sample"))


@claim(
    "A.16",
    "A.16",
    "Late in training a switch is absorbed within a few samples.",
    counterfactual={"flexible": FEW_SHOT_FORGETFUL, "forgetful": FEW_SHOT},
)
def few_shot(flexible: gl.Experiment = FEW_SHOT, forgetful: gl.Experiment = FEW_SHOT_FORGETFUL) -> Outcome:
    """Loss at each of the 33 samples of a block, mean over blocks 16 to 20 and, for comparison, 2 to 4; 100 seeds."""
    results, other = run(flexible, 100), run(forgetful, 100)
    late, early = median(loss_by_sample(results, 16, 20)), median(loss_by_sample(results, 2, 4))
    slow = median(loss_by_sample(other, 16, 20))
    ratio = median(_after(results, 5) / _after(results, 0))
    return Outcome(
        {
            "loss_after_n_samples_late": late,
            "loss_after_n_samples_early": early,
            "loss_after_n_samples_late_forgetful": slow,
            "loss_left_after_5_samples": ratio,
        },
        {
            "flexible, late: 5 samples take away four fifths of the loss or more": ratio.high < 0.2,
            "flexible, early: after 5 samples it is three times as large as late": early.low[5] > 3 * late.high[5],
            "forgetful, late: after 5 samples it is three times as large as the flexible one's": slow.low[5]
            > 3 * late.high[5],
        },
    )


def _after(results: xr.Dataset, samples: int) -> xr.DataArray:
    return loss_by_sample(results, 16, 20).isel(sample=samples)


def last_round(values: xr.DataArray, tasks: int) -> xr.DataArray:
    """The mean over the last block of each task."""
    return values.isel(block=slice(-tasks, None)).mean("block")


def rounds_until_fast(results: xr.Dataset) -> xr.DataArray:
    """The first round of all tasks in which the mean time to criterion is below 0.1; nan if there is none."""
    times = metrics.time_to_criterion(results).transpose("seed", "block").values
    fast = times.reshape(len(times), -1, results.sizes["task"]).mean(-1) < 0.1
    return xr.DataArray(first_true(fast) + 1, dims="seed")


@claim(
    "tasks",
    "beyond",
    "Recovery becomes fast with up to eight tasks, within ten rounds of all of them.",
    counterfactual={"rounds": 3},
)
def number_of_tasks(rounds: int = 30) -> Outcome:
    """As many paths as tasks; recovery in the last round, and the first round in which it takes less than 0.1."""
    runs = [run(many(tasks, tasks, rounds)) for tasks in SIZES]
    times = [median(last_round(metrics.time_to_criterion(r), r.sizes["task"])) for r in runs]
    # a network that never gets there counts as slower than any
    until = [median(rounds_until_fast(r).fillna(np.inf)) for r in runs]
    own = [mean((r.alignment.isel(time=-1).max("path") > ABOVE).mean("task")) for r in runs]
    recovery, rounds_taken = stacked(times, tasks=SIZES), stacked(until, tasks=SIZES)
    return Outcome(
        {
            "number_of_tasks": exact(SIZES),
            "recovery_by_tasks": recovery,
            "rounds_until_fast": rounds_taken,
            "tasks_with_a_path_of_their_own": stacked(own, tasks=SIZES),
        },
        {
            "recovery takes less than 0.1 in the end, whatever the number of tasks": (recovery.high < 0.1).all(),
            "it takes ten rounds or fewer to get there": (rounds_taken.high <= 10).all(),
        },
    )


@claim(
    "switches",
    "beyond",
    "Switches at random moments make networks flexible where regular ones as frequent do not.",
    counterfactual={"random": RANDOM.replace(penalties=())},
)
def random_switches(regular: gl.Experiment = REGULAR, random: gl.Experiment = RANDOM) -> Outcome:
    """The fraction of networks that are flexible in the end; each random sequence is one sample."""
    even = alignment_grid(regular, block_length=MEAN_LENGTHS) > ABOVE
    draws = alignment_grid(random, 5, mean_length=MEAN_LENGTHS, draw=tuple(range(DRAWS))) > ABOVE
    of_regular, of_random = fraction(even), mean(draws.mean("seed").rename(draw="seed"))
    at = MEAN_LENGTHS.index(0.1)
    return Outcome(
        {
            "mean_block_length": exact(MEAN_LENGTHS),
            "flexible_fraction_regular": of_regular,
            "flexible_fraction_random": of_random,
        },
        {
            "mean length 0.1, at random: most are flexible": of_random.low[at] > 0.5,
            "length 0.1, regular: none is": of_regular.value[at] == 0,
        },
    )


@claim(
    "paths",
    "beyond",
    "Fast recovery takes as many paths as tasks; more do no harm.",
    counterfactual={"tasks": 2},
)
def number_of_paths(tasks: int = 3) -> Outcome:
    """Three tasks and 1 to 6 paths: recovery and end loss in the last round, and how many paths end up in use."""
    counts = (1, 2, 3, 4, 6)
    runs = [run(many(tasks, paths)) for paths in counts]
    times = stacked([median(last_round(metrics.time_to_criterion(r), tasks)) for r in runs], paths=counts)
    ends = stacked([median(last_round(metrics.end_loss(r), tasks)) for r in runs], paths=counts)
    used = stacked([median(paths_used(r, tasks)) for r in runs], paths=counts)
    return Outcome(
        {"number_of_paths": exact(counts), "recovery_by_paths": times, "end_loss_by_paths": ends, "paths_used": used},
        {
            "fewer paths than tasks: recovery takes longer than 0.3": (times.low[:2] > 0.3).all(),
            "as many or more: less than 0.1": (times.high[2:] < 0.1).all(),
        },
    )


def rare_alignment(results: xr.Dataset) -> xr.DataArray:
    """The alignment in the end of the second task's teacher with the path matched to it."""
    return metrics.reorder_paths(results).alignment.isel(time=-1, task=1, path=1, drop=True)


STRONGER = 0.3
"""A pull on negative gates three times as strong as in Fig. 2."""

LONG = 160
"""Rounds after which even the rare task has a path of its own: eight times as many as 20."""


@claim(
    "exposure",
    "beyond",
    "A task that is on a fifth of the time is soon recovered fast, but gets its own path much later.",
    counterfactual={"share": 0.5},
)
def unequal_exposure(share: float = 0.8) -> Outcome:
    """Rounds of 2 time units, 80 % of them task A: recovery of both tasks and the alignment of B's path.

    After 20 rounds; after 160; after 20 under a stronger pull on negative gates; and after 20 at equal shares.
    """
    results, late = run(unequal(share)), run(unequal(share, rounds=LONG))
    strict, even = run(unequal(share, REGULAR.replace(a=STRONGER))), run(unequal(0.5))
    times = metrics.time_to_criterion(results)
    often, rare = median(times.isel(block=-2)), median(times.isel(block=-1))
    lowest = median(metrics.end_of_block(results.gates, results).isel(block=-1).min("path"))
    own, own_late, own_strict, own_even = (median(rare_alignment(each)) for each in (results, late, strict, even))
    return Outcome(
        {
            "recovery_frequent_task": often,
            "recovery_rare_task": rare,
            "lowest_gate_rare_task": lowest,
            "alignment_rare_task": own,
            "alignment_rare_task_late": own_late,
            "alignment_rare_task_stronger_pull": own_strict,
            "alignment_at_equal_shares": own_even,
        },
        {
            "20 rounds: both tasks are recovered in less than 0.1": often.high < 0.1 and rare.high < 0.1,
            "20 rounds: a gate is below -0.2 while the rare task is on": lowest.high < -0.2,
            "20 rounds: the rare task's path aligns with its teacher below 0.6": own.high < 0.6,
            "160 rounds: above 0.95": own_late.low > ABOVE,
            "20 rounds with a pull on negative gates three times as strong: above 0.95": own_strict.low > ABOVE,
            "20 rounds at equal shares: above 0.95": own_even.low > ABOVE,
        },
    )
