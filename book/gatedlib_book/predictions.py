"""Predictions: what an experiment could refute, with the size of the effect and of the sample that would show it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib._internal.validation import require, require_positive
from gatedlib_book.cache import cached
from gatedlib_book.experiments import CORRELATIONS, FAMILY
from gatedlib_book.experiments import FLEXIBLE
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import Estimate, exact, resampled, stacked

SUBJECT = FLEXIBLE.replace(dt=0.01, inputs=gl.Noisy(batch=1, noise=0.2))
"""The network of Fig. 2, one sample at a time, noise as large as the signal: 100 trials a block."""

SPREAD = 0.5
"""Subjects differ: the logarithm of tau_c is normal, with this standard deviation."""

KINDS, SEEDS = 10, 12
SPEEDS = tuple(0.03 * np.exp(SPREAD * stats.norm.ppf((np.arange(KINDS) + 0.5) / KINDS)))
"""The time constants of ten kinds of subjects; twelve of each."""

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


def difference(samples: np.ndarray, other: np.ndarray) -> Estimate:
    """The difference of two groups' means with its bootstrap interval over subjects."""
    return resampled(lambda some, others: some.mean() - others.mean(), samples, other)


def effect(samples: np.ndarray, other: np.ndarray | None = None) -> Estimate:
    """Cohen's d with its bootstrap interval over subjects."""
    return resampled(standardized, samples, *(() if other is None else (other,)))


def needed(effects: Estimate, groups: int) -> Estimate:
    """The sample sizes for some effects, with those for the ends of their intervals: without end if these hold 0."""
    ends = [
        np.vectorize(lambda d: sample_size(d, groups), otypes=[float])(getattr(effects, e)) for e in ("low", "high")
    ]
    worst = np.where(np.sign(effects.low) == np.sign(effects.high), np.maximum(*ends), np.inf)
    return Estimate(
        np.vectorize(lambda d: sample_size(d, groups), otypes=[float])(effects.value), np.minimum(*ends), worst
    )


def _subjects(
    experiment: gl.Experiment, measure: Callable[[xr.Dataset], Any], group: int = 0, slower: float = 1.0
) -> Any:
    """What is measured of 120 subjects, along `subject`; no two subjects, nor groups, share a seed."""
    found = []
    for kind, tau_c in enumerate(SPEEDS):
        first = (group * KINDS + kind) * SEEDS
        results = gl.simulate(experiment.replace(tau_c=slower * tau_c), range(first, first + SEEDS), (record.loss,))
        found.append(measure(results).rename(seed="subject"))
    return xr.concat(found, "subject")


AVERAGED = (1, 2, 4)
"""Over how many switches, early and late, a subject's losses are averaged."""


def _early_late(results: xr.Dataset) -> xr.Dataset:
    """Loss on the first trial and on trials 11 to 30 after each switch."""
    first = metrics.switch_loss(results)
    later = metrics.per_block(results.loss, results, lambda loss: loss[..., 10:30].mean(-1))
    return xr.Dataset({"first": first, "later": later}).drop_vars("block_task", errors="ignore")


@functools.lru_cache(maxsize=4)
@cached
def practised(experiment: gl.Experiment = SUBJECT, slower: float = 1.0) -> xr.Dataset:
    """First and later trials after every switch of 120 subjects."""
    return _subjects(experiment, _early_late, slower=slower)


@functools.lru_cache(maxsize=8)
@cached
def exposed(length: float, correlation: float) -> xr.DataArray:
    """Loss in trials 11 to 30 after three switches of a test, after 20 time units in blocks of some length."""
    tasks = gl.Correlated(tasks=2, d_in=20, d_out=10, correlation=correlation)
    training = gl.Blocked(duration=20.0, block_length=length)
    curriculum = gl.Phases((training, gl.Blocked(blocks=4)))
    group = 2 * CORRELATIONS.index(correlation) + int(length < 1)
    return _subjects(SUBJECT.replace(teachers=tasks, curriculum=curriculum), _test, group)


def _test(results: xr.Dataset) -> xr.DataArray:
    starts = results.block_start.values[-3:]  # the first block of the test may follow no switch
    trials = (starts[:, None] + np.arange(10, 30)).ravel()
    return results.loss.isel(time=trials).mean("time").rename("later")


NEW = gl.Sums(FAMILY, ((0.8, 0.2, *[0.0] * 6),))
"""Not the even mixture, which is nearly what interleaved and forgetful learners answer anyway."""


UNPENALIZED = SUBJECT.replace(penalties=())
"""Subjects without penalties; forgetful ones learn with slower gates besides."""

SLOWER = 1.3 / 0.03
"""How many times as slow the gates of forgetful subjects are: as slow as their weights."""

BEFORE = {
    "blocked": (gl.Blocked(blocks=20),),
    "interleaved": (gl.Blocked(duration=20.0, block_length=0.05),),
    "nothing": (),
}


@functools.lru_cache(maxsize=16)
@cached
def transferred(before: str, mixture: bool, forgetful: bool = False) -> xr.DataArray:
    """Loss in the first 100 trials of a new task, or of a mixture of A and B, after some practice on A and B."""
    curriculum = gl.Phases((*BEFORE[before], gl.Blocked(blocks=1, order=(8 if mixture else 2,))))
    subject = (UNPENALIZED if forgetful else SUBJECT).replace(teachers=NEW, curriculum=curriculum)
    group = list(BEFORE).index(before) + 3 * mixture + 6 * forgetful
    return _subjects(subject, _whole, group, slower=SLOWER if forgetful else 1.0)


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


@claim(
    "predict-practice",
    "beyond",
    "Practice makes the first trial after a switch worse, and later trials better.",
    counterfactual={"experiment": SUBJECT.replace(order=(0, 0))},
)
def worse_first(experiment: gl.Experiment = SUBJECT) -> Outcome:
    """Within subjects: late switches less early ones, and how many subjects see each effect with power 0.8.

    Subjects without penalties, and forgetful ones, for comparison.
    """
    pairs = [deeper_and_shorter(switches, experiment) for switches in AVERAGED]
    first, later = (stacked([effect(pair[side]) for pair in pairs], switches=AVERAGED) for side in (0, 1))
    sizes = [needed(each, groups=1) for each in (first, later)]
    loose, plain = (effect(deeper_and_shorter(AVERAGED[-1], UNPENALIZED, slower)[0]) for slower in (1.0, SLOWER))
    return Outcome(
        {
            "switches_averaged": exact(AVERAGED),
            "effect_first_trial": first,
            "effect_later_trials": later,
            "subjects_first_trial": sizes[0],
            "subjects_later_trials": sizes[1],
            "effect_first_trial_no_penalties": loose,
            "effect_first_trial_forgetful": plain,
        },
        {
            "over four switches first trials get worse": first.low[-1] > 0,
            "and later trials better": later.high[-1] < 0,
            "with four switches 40 subjects or fewer see either": max(each.value[-1] for each in sizes) <= 40,
            "forgetful: first trials do not get worse": plain.value < 0,
        },
    )


@claim(
    "predict-blocks",
    "beyond",
    "Long blocks make later switches faster, the less so the more alike the tasks are.",
    counterfactual={"short": 1.0, "long": 0.1},
)
def blocks_and_similarity(short: float = 0.1, long: float = 1.0) -> Outcome:
    """Between groups: blocks of 0.1 against blocks of 1, tested alike, for tasks of correlation 0, 0.5 and 0.8."""
    pairs = [(exposed(short, c).values, exposed(long, c).values) for c in CORRELATIONS]
    found = stacked([effect(*pair) for pair in pairs], correlation=CORRELATIONS)
    apart = 1 - np.array(CORRELATIONS)  # the squared distance of the tasks, which bounds what there is to save
    saved = stacked([difference(*pair) for pair in pairs], correlation=CORRELATIONS)
    share = Estimate(saved.value / apart, saved.low / apart, saved.high / apart, saved.seeds)
    size = needed(found, groups=2)
    return Outcome(
        {
            "correlation": exact(CORRELATIONS),
            "effect_of_long_blocks": found,
            "saved_relative_to_distance": share,
            "subjects_in_each_group": size,
        },
        {
            "different tasks: long blocks help": found.low[0] > 0,
            "at correlation 0.8 they save less than at 0 and 0.5, relative to the tasks' distance": bool(
                (share.high[-1] < share.low[:-1]).all()
            ),
            "different tasks: 20 subjects in each group or fewer see it": size.value[0] <= 20,
            "correlation 0.8: it takes five times as many or more": size.value[-1] >= 5 * size.value[0],
        },
    )


@claim(
    "predict-transfer",
    "beyond",
    "Blocked practice helps more than interleaved with an uneven mixture.",
    counterfactual={"better": "interleaved", "worse": "blocked"},
)
def uneven_mixture(better: str = "blocked", worse: str = "interleaved") -> Outcome:
    """Between groups, first block of 0.8 A + 0.2 B; forgetful subjects too; and a third task against novices."""
    mixed, forgetful = (
        effect(transferred(worse, True, plain).values, transferred(better, True, plain).values)
        for plain in (False, True)
    )
    third, third_forgetful = (
        effect(transferred("nothing", False, plain).values, transferred(better, False, plain).values)
        for plain in (False, True)
    )
    size = needed(mixed, groups=2)
    return Outcome(
        {
            "effect_on_mixture": mixed,
            "effect_on_mixture_forgetful": forgetful,
            "subjects_in_each_group": size,
            "effect_on_third_task": third,
            "effect_on_third_task_forgetful": third_forgetful,
        },
        {
            "flexible: blocked practice is better": mixed.low > 0,
            "forgetful: interleaved practice is": forgetful.high < 0,
            "40 subjects in each group or fewer see it": size.value <= 40,
            "a third task: practice hinders both kinds": max(third.high, third_forgetful.high) < 0,
        },
    )
