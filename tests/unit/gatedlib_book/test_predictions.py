"""The size of samples: against tables, and against experiments that are really run."""

import numpy as np
import pytest
from scipy import stats

from gatedlib_book import observer
from gatedlib_book.estimates import Estimate
from gatedlib_book.predictions import effect, needed, sample_size, standardized


@pytest.mark.parametrize(("d", "n"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_sizes_of_two_groups_are_those_of_the_tables(d, n):
    assert sample_size(d) == n
    assert sample_size(-d) == n


@pytest.mark.parametrize(("d", "groups"), [(0.6, 1), (0.9, 2)])
def test_that_many_subjects_see_the_effect_four_times_in_five(d, groups):
    n, random, runs = sample_size(d, groups), np.random.default_rng(0), 4000
    first = random.normal(d, 1, (runs, n))
    test = (
        stats.ttest_1samp(first, 0, axis=1)
        if groups == 1
        else stats.ttest_ind(first, random.normal(0, 1, (runs, n)), axis=1)
    )
    found = (test.pvalue < 0.05).mean()
    assert 0.8 - 0.03 < found < 0.8 + 0.05


def test_sizes_of_huge_effects_are_the_smallest_there_are():
    assert sample_size(50.0) == 2


def test_effects_of_known_distributions():
    random = np.random.default_rng(1)
    found = effect(random.normal(1.0, 2.0, 4000), random.normal(0.0, 2.0, 4000))
    assert found.low < 0.5 < found.high
    assert standardized(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)


def test_an_interval_that_holds_zero_needs_subjects_without_end():
    sizes = needed(Estimate(np.array([0.5, 0.1]), np.array([0.4, -0.1]), np.array([0.6, 0.3])), groups=2)
    assert sizes.value.tolist() == [64, sample_size(0.1)]
    assert sizes.high.tolist() == [sample_size(0.4), np.inf]
    assert sizes.low.tolist() == [sample_size(0.6), sample_size(0.3)]


def test_refusals():
    with pytest.raises(ValueError, match="An effect of 0 is never seen"):
        sample_size(0.0)
    with pytest.raises(ValueError, match="groups = 3"):
        sample_size(0.5, groups=3)


def test_a_leaky_average_errs_as_the_formula_says():
    """Gates replaced by what they are taken for: an average that leaks, on evidence drawn by itself."""
    leak, evidence, hazard, steps = 0.02, 0.02, 1 / 2000, 400_000
    random = np.random.default_rng(0)
    task = np.cumsum(random.random(steps) < hazard) % 2 * 2 - 1
    sample = task + random.normal(0, np.sqrt(2 / evidence), steps)  # log likelihood ratios over their mean
    average, wrong = 0.0, 0
    for on, seen in zip(task.tolist(), sample.tolist(), strict=True):
        average += leak * (seen - average)
        wrong += average * on < 0
    # a network with D = 1 and dt = 0.005, whose leak and evidence are these
    experiment = observer.WATCHED.replace(mean_length=0.005 / hazard, duration=20.0)
    expected = observer.leaky_wrong(0.005 / (2 * leak), (1 / (2 * evidence)) ** 0.5, 1, experiment=experiment)
    assert abs(wrong / steps / expected - 1) < 0.15
