"""Predictions: what an experiment could refute, with the size of the effect and of the sample that would show it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib._internal.validation import require, require_positive
from gatedlib_book import cognition, observer, people, reversals
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, difference, exact, resampled, stacked
from gatedlib_book.experiments import CORRELATIONS, FAMILY, FLEXIBLE, LEARNER, PLAIN
from gatedlib_book.networks import networks

SUBJECT = FLEXIBLE.replace(dt=0.01, inputs=gl.Noisy(batch=1, noise=0.2))
"""The network of Fig. 2, one sample at a time, noise as large as the signal: 100 trials a block."""

TAU_C_SPREAD = 0.5
"""Subjects differ: the logarithm of tau_c is normal, with this standard deviation."""

SPEED_COUNT, SUBJECTS_PER_SPEED = 10, 12
MORE_PER_SPEED = 36
"""Three times as many subjects, for effects that are small or are compared with each other."""

SUBJECT_TAU_C = tuple(0.03 * np.exp(TAU_C_SPREAD * stats.norm.ppf((np.arange(SPEED_COUNT) + 0.5) / SPEED_COUNT)))
"""The time constants of the gates of all subjects, twelve of whom share each, or three times as many."""

POWER, LEVEL = 0.8, 0.05


def sample_size(effect: float, groups: int = 2) -> int:
    r"""How many subjects a t-test needs to see an effect with power 0.8, two-sided at level 0.05.

    .. math::

        \min \{ n : P(|t_{\nu}(\delta)| > t_{\nu, 0.975}) \ge 0.8 \}, \qquad
        \delta = d \sqrt n,\ \nu = n - 1 \quad\text{or}\quad \delta = d \sqrt{n / 2},\ \nu = 2n - 2

    Args:
        effect: d, the difference of the means in standard deviations.
        groups: 1 for differences within subjects, 2 for two groups of n subjects each.

    Returns:
        n, in each group; at least 2.

    Raises:
        ValueError: if the effect is 0 or not finite, or there are not 1 or 2 groups.

    Example:
        >>> from gatedlib_book.predictions import sample_size
        >>> sample_size(0.5), sample_size(0.5, groups=1)
        (64, 34)

    Source: the noncentral t distribution (Cohen 1988).
    """
    require_positive("effect", abs(effect), "An effect of 0 is never seen")
    require(groups in (1, 2), "groups", groups, "must be 1 or 2", "Use 1 within subjects, 2 between groups")

    def power(n: int) -> float:
        degrees, shift = groups * (n - 1), abs(effect) * math.sqrt(n / groups)
        beyond = stats.t.ppf(1 - LEVEL / 2, degrees)
        with np.errstate(divide="ignore", invalid="ignore"):  # far out scipy's lower tail is nan, and nothing
            return float(stats.nct.sf(beyond, degrees, shift) + np.nan_to_num(stats.nct.cdf(-beyond, degrees, shift)))

    few, many = 1, 2
    while power(many) < POWER:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if power(middle) >= POWER else (middle, many)
    return many


def standardized(samples: np.ndarray, other: np.ndarray | None = None) -> float:
    """Cohen's d: of differences within subjects, or of one group against another."""
    if other is None:
        return float(samples.mean() / samples.std(ddof=1))
    pooled = math.sqrt((samples.var(ddof=1) + other.var(ddof=1)) / 2)
    return float((samples.mean() - other.mean()) / pooled)


def effect(samples: np.ndarray, other: np.ndarray | None = None) -> Estimate:
    """Cohen's d with its bootstrap interval over subjects: of means, for these are what a t-test compares.

    A few subjects who differ in kind cannot hide from it: with 120 two in a hundred are rarely missed.
    """
    return resampled(standardized, samples, *(() if other is None else (other,)))


def needed(effects: Estimate, groups: int) -> Estimate:
    """The sample sizes for given effects, with those for the ends of their intervals: without end if these hold 0."""
    sizes = np.vectorize(lambda d: sample_size(d, groups), otypes=[float])
    ends = sizes(effects.low), sizes(effects.high)
    largest = np.where(np.sign(effects.low) == np.sign(effects.high), np.maximum(*ends), np.inf)
    return Estimate(sizes(effects.value), np.minimum(*ends), largest, axes=effects.axes)


def _subjects(
    experiment: gl.Experiment,
    measure: Callable[[xr.Dataset], Any],
    group: int = 0,
    slower: float = 1.0,
    per_speed: int = SUBJECTS_PER_SPEED,
) -> Any:
    """What is measured of 120 subjects or more, along `subject`; no two, nor two groups of one size, share a seed."""
    measures = []
    for place, tau_c in enumerate(SUBJECT_TAU_C):
        seeds = networks(per_speed, skip=(group * SPEED_COUNT + place) * per_speed)
        results = gl.simulate(experiment.replace(tau_c=slower * tau_c), seeds, (record.loss,))
        measures.append(measure(results).rename(seed="subject"))
    return xr.concat(measures, "subject")


AVERAGED = (1, 2, 4)
"""Over how many switches, early and late, a subject's losses are averaged."""


def _early_late(results: xr.Dataset) -> xr.Dataset:
    """Loss on the first trial and on trials 11 to 30 after each switch."""
    first = metrics.switch_loss(results)
    later = metrics.per_block(results.loss, results, lambda loss: loss[..., 10:30].mean(-1))
    return xr.Dataset({"first": first, "later": later}).drop_vars("block_task", errors="ignore")


@cached
def practised(experiment: gl.Experiment = SUBJECT, slower: float = 1.0) -> xr.Dataset:
    """First and later trials after every switch of 120 subjects."""
    return _subjects(experiment, _early_late, slower=slower)


@cached
def exposed(length: float, correlation: float) -> xr.DataArray:
    """Loss in trials 11 to 30 after three switches of a test, after 20 time units in blocks of one length."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    training = gl.Blocked(duration=20.0, block_length=length)
    curriculum = gl.Phases((training, gl.Blocked(blocks=4)))
    group = 2 * CORRELATIONS.index(correlation) + int(length < 1)
    subject = SUBJECT.replace(teachers=tasks, curriculum=curriculum)
    return _subjects(subject, _test, group, per_speed=MORE_PER_SPEED)


def _test(results: xr.Dataset) -> xr.DataArray:
    starts = results.block_start.values[-3:]  # the first block of the test may follow no switch
    trials = (starts[:, None] + np.arange(10, 30)).ravel()
    return results.loss.isel(time=trials).mean("time").rename("later")


NEW = gl.Sums(FAMILY, ((0.8, 0.2, *[0.0] * 6),))
"""Not the even mixture, which is nearly what interleaved and forgetful learners answer anyway."""

SUBJECT_UNPENALIZED = SUBJECT.replace(penalties=())
"""Subjects without penalties; forgetful ones learn with slower gates besides."""

FORGETFUL_SLOWDOWN = 1.3 / 0.03
"""How many times as slow the gates of forgetful subjects are: as slow as their weights."""

PRACTICE_BEFORE_TRANSFER = {
    "blocked": (gl.Blocked(blocks=20, order=(0, 1)),),
    "interleaved": (gl.Blocked(duration=20.0, block_length=0.05, order=(0, 1)),),
    "nothing": (),
}
"""What comes before a new task or a mixture: practice on A and B for 20 time units, or none."""


@cached
def transferred(before: str, mixture: bool, forgetful: bool = False) -> xr.DataArray:
    """Loss in the first 100 trials of a new task, or of a mixture of A and B, after practice on A and B or none."""
    curriculum = gl.Phases((*PRACTICE_BEFORE_TRANSFER[before], gl.Blocked(blocks=1, order=(8 if mixture else 2,))))
    subject = (SUBJECT_UNPENALIZED if forgetful else SUBJECT).replace(teachers=NEW, curriculum=curriculum)
    group = list(PRACTICE_BEFORE_TRANSFER).index(before) + 3 * mixture + 6 * forgetful
    if forgetful:
        return _subjects(subject, _whole, group, FORGETFUL_SLOWDOWN)
    return _subjects(subject, _whole, group, per_speed=MORE_PER_SPEED if mixture else SUBJECTS_PER_SPEED)


def _whole(results: xr.Dataset) -> xr.DataArray:
    return results.loss.isel(time=slice(int(results.block_start[-1]), None)).mean("time").rename("mean_loss")


def deeper_and_shorter(
    switches: int, experiment: gl.Experiment = SUBJECT, slower: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """How much first and later trials change from early to late switches, within each subject."""
    costs = practised(experiment, slower)
    early, late = slice(1, 1 + switches), slice(-switches, None)  # the first block follows no switch
    first, later = (
        (costs[name].isel(block=late).mean("block") - costs[name].isel(block=early).mean("block")).values
        for name in ("first", "later")
    )
    return first, later


@claim("predict-practice", counterfactual={"experiment": SUBJECT.replace(order=(0, 0))})
def worse_first(experiment: gl.Experiment = SUBJECT) -> Measured:
    """Practice makes the first trial after a switch worse, and later trials better.

    Within subjects: late switches less early ones, and how many subjects see each effect with power 0.8.

    Subjects without penalties, and forgetful ones, for comparison.
    """
    pairs = [deeper_and_shorter(switches, experiment) for switches in AVERAGED]
    first, later = (stacked([effect(pair[side]) for pair in pairs], switches=AVERAGED) for side in (0, 1))
    loose, forgetful = (
        effect(deeper_and_shorter(AVERAGED[-1], SUBJECT_UNPENALIZED, slower)[0]) for slower in (1.0, FORGETFUL_SLOWDOWN)
    )
    n = Numbers(
        switches_averaged=exact(AVERAGED),
        effect_first_trial=first,
        effect_later_trials=later,
        subjects_first_trial=needed(first, groups=1),
        subjects_later_trials=needed(later, groups=1),
        effect_first_trial_no_penalties=loose,
        effect_first_trial_forgetful=forgetful,
    )
    return n, {
        "over four switches first trials get worse: an effect of {}": n.effect_first_trial.at(switches=4) > 0,
        "and later trials better: {}": n.effect_later_trials.at(switches=4) < 0,
        "with four switches {} subjects are enough to see the first": n.subjects_first_trial.at(switches=4) <= 100,
        "and {} to see the second": n.subjects_later_trials.at(switches=4) <= 100,
        "forgetful: first trials get better, an effect of {}": n.effect_first_trial_forgetful < 0,
    }


@claim("predict-blocks", counterfactual={"short": 1.0, "long": 0.1})
def blocks_and_similarity(short: float = 0.1, long: float = 1.0) -> Measured:
    """Long blocks make later switches faster, and save less where tasks are much alike.

    Between groups: blocks of 0.1 against blocks of 1, tested alike, for tasks of correlation 0, 0.5 and 0.8.
    """
    pairs = [(exposed(short, c).values, exposed(long, c).values) for c in CORRELATIONS]
    effects = stacked([effect(*pair) for pair in pairs], correlation=CORRELATIONS)
    distance = exact(1 - np.array(CORRELATIONS))  # squared, of the tasks, which bounds what there is to save
    n = Numbers(
        correlation=exact(CORRELATIONS),
        effect_of_long_blocks=effects,
        saved_relative_to_distance=stacked([difference(*pair) for pair in pairs], correlation=CORRELATIONS) / distance,
        subjects_in_each_group=needed(effects, groups=2),
    )
    saved, sizes = n.saved_relative_to_distance, n.subjects_in_each_group
    return n, {
        "different tasks: long blocks help, an effect of {}": effects.at(correlation=0.0) > 0,
        "at correlation 0.8 they save less than at 0 and 0.5, relative to the tasks' distance": (
            saved.at(correlation=0.8) < saved.at(correlation=[0.0, 0.5])
        ),
        "different tasks: {} subjects in each group are enough to see it": sizes.at(correlation=0.0) <= 20,
        # half of an effect takes four times as many subjects
        "correlation 0.8: the effect is {} times as large as that of different tasks": (
            effects.at(correlation=0.8) / effects.at(correlation=0.0) < 0.6
        ),
    }


@claim("predict-transfer", counterfactual={"better": "interleaved", "worse": "blocked"})
def uneven_mixture(better: str = "blocked", worse: str = "interleaved") -> Measured:
    """Blocked practice helps more than interleaved with an uneven mixture.

    Between groups, first block of 0.8 A + 0.2 B; forgetful subjects too; and a third task against novices.
    """

    def advantage(of: str, over: str, mixture: bool, forgetful: bool) -> Estimate:
        return effect(*(transferred(before, mixture, forgetful).values for before in (over, of)))

    mixed = advantage(better, worse, True, False)
    n = Numbers(
        effect_on_mixture=mixed,
        effect_on_mixture_forgetful=advantage(better, worse, True, True),
        subjects_in_each_group=needed(mixed, groups=2),
        effect_on_third_task=advantage(better, "nothing", False, False),
        effect_on_third_task_forgetful=advantage(better, "nothing", False, True),
    )
    return n, {
        "flexible: blocked practice is better, an effect of {}": n.effect_on_mixture > 0,
        "forgetful: interleaved practice is, {}": n.effect_on_mixture_forgetful < 0,
        "{} subjects in each group are enough to see it": n.subjects_in_each_group <= 1000,
        "a third task: practice hinders flexible subjects, an effect of {}": n.effect_on_third_task < 0,
        "and forgetful ones, {}": n.effect_on_third_task_forgetful < 0,
    }


CORRESPONDENCE = (
    (
        "Practice speeds switching {cite}`steyvers2019`",
        "yes",
        "loss after a switch falls to {practised:.2f} of what it was",
    ),
    ("Practice spares the irrelevant task {cite}`steyvers2019`", "no", "its gate closes as the other opens"),
    (
        "A cost remains after long practice {cite}`steyvers2019`",
        "in part",
        "{duration:.3f} time units remain, a floor set by the gates",
    ),
    (
        "A cost remains with time to prepare {cite}`rogers1995,monsell2003,arrington2004`",
        "silent",
        "no cue, no time between trials",
    ),
    ("Mixed blocks cost on repeats too {cite}`monsell2003`", "no", "{mixing_cost:.4f} once recovered"),
    (
        "Blocked beats interleaved {cite}`flesch2018,beukers2024`",
        "yes, if told the task",
        "loss {blocked:.4f} against {interleaved:.3f}",
    ),
    ("Plain networks forget when blocked {cite}`flesch2018`", "yes", "even told, loss {plain:.3f} however blocked"),
    ("Early blocking beats late {cite}`beukers2024`", "no, reversed", "loss {early:.4f} early, {late:.4f} late"),
    (
        "Interleaving helps similar categories {cite}`carvalho2014`",
        "no",
        "blocks of 1 still save {saved:.0%} at correlation 0.8",
    ),
    (
        "Blocking helps similar structures, in one order {cite}`menghi2025`",
        "no",
        "blocks of 1 save less the more alike tasks are, and no order is special",
    ),
    (
        "Similar tasks transfer and interfere more {cite}`holton2026`",
        "yes, if told the task",
        "learning B harms A by {harm:.3f} at correlation 0.8, {harm_different:.4f} at 0",
    ),
    (
        "Who transfers better interferes more {cite}`holton2026`",
        "no",
        "the flexible network takes {transfer:.2f} times as long for B as the forgetful one",
    ),
    (
        "Blocked training helps composition {cite}`dekker2022`",
        "yes, if uneven",
        "uneven mixtures take {mixtures_blocked:.2f} blocked, {mixtures_interleaved:.2f} interleaved",
    ),
    (
        "Learning sets for new problems {cite}`harlow1949`",
        "no",
        "a new task takes {new_problem:.2f} of a novice's time",
    ),
    (
        "Old experts reused for new rules {cite}`tsuda2020`",
        "yes, in their span",
        "a mixture takes {mixture:.3f} of a novice's time",
    ),
    (
        "Control biases pathways {cite}`miller2001`",
        "put in",
        "slow gates persevere {perseveration:.1f} times as long if 4 times slower",
    ),
    (
        "Leaky evidence is near optimal {cite}`glaze2015`",
        "yes, at one speed",
        "wrong {wrong:.2f} times as often as an ideal observer",
    ),
    (
        "The option not chosen changes too {cite}`hampton2006`",
        "yes, by the bound",
        "a session of real choices is {coupled:.1f} nats likelier with the bound than without",
    ),
    (
        "Orthogonal codes for tasks {cite}`flesch2022`",
        "put in",
        "tasks are made orthogonal; specialization goes as they grow alike",
    ),
)
"""Findings with people and animals, whether the model has the like, and a sentence with its number."""


def correspondence() -> list[tuple[str, str, str]]:
    """The rows of `CORRESPONDENCE` with the numbers of this book, which the claims of other chapters measure."""
    flexible, plain = (cognition.exposure(network).cued.median("seed") for network in (LEARNER, PLAIN))
    order, mixtures = cognition.early_or_late.outcome().numbers, reversals.composing.outcome().numbers
    problems, sequence = reversals.learning_set.outcome().numbers, cognition.similar_tasks_interfere.outcome().numbers
    numbers = {
        "practised": cognition.post_switch.outcome().numbers.last_over_first_flexible,
        "duration": cognition.depth_and_duration.outcome().numbers.duration.at(block=20),
        "mixing_cost": cognition.mixing.outcome().numbers.mixing_cost_flexible.at(skip=50),
        "early": order.cued_loss_early,
        "late": order.cued_loss_late,
        "saved": cognition.similarity.outcome().numbers.share_saved_blocks_of_1.at(correlation=0.8),
        "harm": sequence.interference.at(correlation=0.8),
        "harm_different": sequence.interference.at(correlation=0.0),
        "transfer": sequence.time_for_b_flexible_over_forgetful,
        "mixtures_blocked": mixtures.uneven_mixtures_blocked,
        "mixtures_interleaved": mixtures.uneven_mixtures_interleaved,
        "new_problem": problems.new_over_novice_2_paths,
        "mixture": problems.mixture_over_novice_2_paths,
        "perseveration": observer.slow_gates.outcome().numbers.perseveration_growth.at(slowed_by=4.0),
        "coupled": people.both_options.outcome().numbers.free_less_rigid,
        "wrong": observer.near_optimal.outcome().numbers.ratio_noise_1_and_2.at(noise=1.0),
    }
    values = {name: float(estimate.value) for name, estimate in numbers.items()} | {
        "blocked": float(flexible.sel(block_length=1.0)),
        "interleaved": float(flexible.sel(block_length=0.05)),
        "plain": float(plain.sel(block_length=10.0)),
    }
    # only the last column has numbers to fill in: braces of the first are citations
    return [(finding, verdict, words.format(**values)) for finding, verdict, words in CORRESPONDENCE]
