"""Estimates are compared as whole intervals."""

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from scipy import stats

from gatedlib_book.estimates import Condition, Estimate, Numbers, along, bootstrap, exact, mean, median

NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda number: round(number, 6))


@st.composite
def estimates(draw):
    low, value, high = sorted(draw(st.lists(NUMBERS, min_size=3, max_size=3)))
    return Estimate(np.asarray(value), np.asarray(low), np.asarray(high), 30)


def inside(estimate, share):
    """A number of an interval."""
    return float(np.clip(estimate.low + share * (estimate.high - estimate.low), estimate.low, estimate.high))


SHARES = st.floats(0, 1)


@given(estimates(), estimates(), SHARES, SHARES)
def test_what_a_comparison_says_is_true_of_all_numbers_of_both_intervals(a, b, here, there):
    x, y = inside(a, here), inside(b, there)
    for condition, truth in (
        (a < b, x < y), (a <= b, x <= y), (a > b, x > y), (a >= b, x >= y),
        (a < y, x < y), (a <= y, x <= y), (a > y, x > y), (a >= y, x >= y),
    ):  # fmt: skip
        assert truth or not condition.met


@given(estimates(), NUMBERS)
def test_a_condition_is_met_only_if_both_ends_meet_it(a, bound):
    assert (a < bound).met == (a.low < bound and a.high < bound)
    assert (a >= bound).met == (a.low >= bound and a.high >= bound)
    assert a.within(bound, bound + 1).met == (bound < a.low and a.high < bound + 1)


@given(estimates(), estimates(), SHARES, SHARES)
def test_differences_and_quotients_hold_what_any_two_numbers_give(a, b, here, there):
    x, y = inside(a, here), inside(b, there)
    difference = a - b
    assert difference.low <= x - y <= difference.high
    if y != 0:
        quotient = a / b
        slack = 1e-9 * max(1.0, abs(x / y))
        assert quotient.low - slack <= x / y <= quotient.high + slack


def test_a_divisor_that_may_be_zero_decides_nothing():
    quotient = exact(1.0) / Estimate(np.asarray(0.5), np.asarray(-0.1), np.asarray(1.0), 30)
    assert not (quotient > 0).met
    assert not (quotient < 1e9).met


def test_nan_meets_no_condition():
    for condition in (exact(np.nan) < 1, exact(np.nan) >= 1, exact([1.0, np.nan]).rises(), exact(np.nan).within(0, 1)):
        assert not condition.met


def test_a_number_that_is_missing_in_one_seed_decides_nothing():
    samples = xr.DataArray(np.ones((10, 2)), {"block": [1, 2]}, ("seed", "block"))
    samples[7:, 1] = np.nan
    estimate = median(samples)
    assert (estimate.at(block=1) > 0.5).met
    assert not (estimate.at(block=2) > 0.5).met
    assert not (estimate.at(block=2) < 2).met


def test_what_cannot_be_compared_is_refused():
    early, late = (exact([1.0, 2.0], block=blocks) for blocks in ((1, 2), (3, 4)))
    for compare in (lambda: early < late, lambda: early - late, lambda: early / late):
        with pytest.raises(ValueError, match=r"axes = \(\('block', \(3, 4\)\),\): must be"):
            compare()
    with pytest.raises(ValueError, match="holds no number to compare"):
        _ = exact([]) < 1
    for single in (exact(1.0), exact([1.0])):
        with pytest.raises(ValueError, match="must be a list of two or more"):
            single.rises()
    assert (exact(1.0) - Estimate(np.asarray(0.5), np.asarray(0.4), np.asarray(0.6), 30)).seeds == 30


def test_of_a_list_every_element_must_meet_it():
    assert (exact([1.0, 2.0]) < 3).met
    assert not (exact([1.0, 4.0]) < 3).met
    assert exact([1.0, 2.0, 3.0]).rises().met
    assert not exact([1.0, 3.0, 2.0]).rises().met
    assert exact([3.0, 2.0, 1.0]).falls().met
    wide = Estimate(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([1.5, 3.0]), 30)
    assert not wide.rises().met  # the intervals overlap


def test_thresholds_are_said_once_in_the_order_of_the_comparisons():
    x = exact(0.5)
    assert ((x < 1) & (x > 0.25)).words == ("less than 1", "more than 0.25")
    assert (x.within(-0.1, 2 / 3) & (x <= 1) & (x >= 1e-4)).words == (
        *("between -0.1 and 0.666667", "at most 1", "at least 0.0001"),
    )
    assert (np.float64(0.1) < x).words == ("more than 0.1",)  # numpy's number lets the estimate answer
    assert (x < exact(1.0)).words == ()
    assert not ((x < 1) & (x > 1)).met
    with pytest.raises(TypeError, match="no truth value: combine two by &"):
        _ = 0 < x < 1
    with pytest.raises(TypeError, match="no truth value"):
        min(x, exact(1.0))


def test_elements_are_found_by_label():
    samples = [xr.DataArray(np.full((6, 2), float(n)), {"block": [10, 20]}, ("seed", "block")) for n in (1, 2)]
    estimate = median(along("tasks", (3, 4), samples))
    assert estimate.axes == (("tasks", (3, 4)), ("block", (10, 20)))
    assert float(estimate.at(tasks=4, block=10).value) == 2.0
    assert estimate.at(tasks=[4, 3]).value.tolist() == [[2.0, 2.0], [1.0, 1.0]]
    assert estimate.at(tasks=[4, 3]).at(tasks=3).mean.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"tasks = 2: must be one of \(3, 4\)"):
        estimate.at(tasks=2)
    with pytest.raises(ValueError, match=r"axis = 'step': there is no such axis\. Did you mean"):
        estimate.at(step=1)


def test_a_name_that_was_not_measured_is_no_attribute():
    numbers = Numbers(loss=exact(1.0))
    assert numbers.loss is numbers["loss"]
    with pytest.raises(AttributeError, match="time"):
        _ = numbers.time


def test_conditions_survive_pickling():
    import pickle

    assert pickle.loads(pickle.dumps((Numbers(a=exact(1.0)), Condition(True, ("x",)))))[1] == Condition(True, ("x",))


def missed(estimates, truth):
    """In which shares of cases a number lies below the interval, and above it."""
    return np.mean([truth < e.low for e in estimates]), np.mean([truth > e.high for e in estimates])


def samples(values):
    return xr.DataArray(values, dims=("seed", *"ab"[: np.ndim(values) - 1]))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "covered"), [(10, 0.90), (30, 0.93)])
def test_bootstrap_of_a_mean_covers_as_its_docstring_says(count, covered):
    random = np.random.default_rng(count)
    below, above = missed([mean(samples(random.normal(size=count))) for _ in range(400)], truth=0.0)
    assert 1 - below - above == pytest.approx(covered, abs=0.035)


@pytest.mark.slow
def test_a_mean_misses_the_few_that_differ_in_kind_and_a_median_does_not_care():
    random = np.random.default_rng(0)
    drawn = [random.normal(size=30) + 30 * (random.random(30) < 0.02) for _ in range(300)]
    below, above = missed([mean(samples(values)) for values in drawn], truth=0.6)
    assert below < 0.02
    assert above == pytest.approx(0.5, abs=0.08)
    middle = stats.norm.ppf(0.5 / 0.98)
    assert sum(missed([median(samples(values)) for values in drawn], middle)) < 0.06


@pytest.mark.slow
def test_rank_correlations_come_out_too_low_if_at_all():
    random, truth = np.random.default_rng(0), 6 / np.pi * np.arcsin(0.995 / 2)

    def correlation(pairs):
        ranks = pairs.argsort(0, kind="stable").argsort(0, kind="stable") - (len(pairs) - 1) / 2
        return np.dot(ranks[:, 0], ranks[:, 1]) / np.dot(ranks[:, 0], ranks[:, 0])

    covariance = [[1, 0.995], [0.995, 1]]
    drawn = [random.multivariate_normal([0, 0], covariance, size=100) for _ in range(40)]
    below, above = missed([bootstrap(samples(pairs), correlation) for pairs in drawn], truth)
    assert below == 0
    assert 0.05 < above < 0.4


@pytest.mark.slow
def test_majorities_of_eight_agree_with_a_right_formula_too_rarely_if_at_all():
    random, grid = np.random.default_rng(0), np.add.outer(np.arange(16), np.arange(16)) - 15.3
    drawn = [grid + random.normal(size=(8, 1, 1)) + 0.5 * random.normal(size=(8, 16, 16)) > 0 for _ in range(30)]
    agreement = [
        bootstrap(samples(cells), lambda seeds: np.mean((seeds.mean(0) > 0.5) == (grid > 0))) for cells in drawn
    ]
    below, above = missed(agreement, truth=1.0)
    assert below == 0
    assert above > 0.5
