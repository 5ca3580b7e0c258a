"""Fits to choices against other ways to compute them, and the data."""

import dataclasses

import numpy as np
import pytest
from scipy import optimize

import gatedlib as gl
from gatedlib_book import choices, people


def simulated(learner="fictitious", tau_c=0.6, weights=(8.0, 1.0), people_count=1):
    right = np.resize(people.reversals().right.values - 1, (people_count, 3, 200))
    settings = {"tau_c": np.full(people_count, tau_c)}
    return choices.simulate(choices.LEARNERS[learner], settings, np.tile(weights, (people_count, 1)), right, seed=3)


def one_by_one(series, tau_c, steepness, repeat, b):
    """The surprise of the first unit, trial by trial as the equations read."""
    total = 0.0
    for chosen, outcome in zip(series.chosen[0], series.outcome[0], strict=True):
        gates, before = np.full(2, 0.5), None
        for choice, reward in zip(chosen, outcome, strict=True):
            drive = steepness * gates
            if before is not None:
                drive[before] += repeat
            total += np.log(np.exp(drive).sum()) - drive[choice]
            gates = gl.trials.gates_after(gates, np.eye(2)[choice], reward, tau_c, b)
            before = choice
    return total


def test_the_fit_is_the_best_that_a_search_over_all_numbers_finds():
    series = simulated().each(lambda array: array[:, :1, :120])
    fitted = choices.fit(choices.LEARNERS["fictitious"], series)
    (tau_c,), (weights,) = fitted.settings["tau_c"], fitted.weights
    assert one_by_one(series, tau_c, *weights, choices.RIGID) == pytest.approx(fitted.loss[0], abs=1e-6)

    def surprise(numbers):
        return one_by_one(series, np.exp(numbers[0]), *numbers[1:], choices.RIGID)

    found = optimize.minimize(surprise, [0.0, 5.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4})
    assert fitted.loss[0] == pytest.approx(found.fun, abs=0.02)
    np.testing.assert_allclose([np.log(tau_c), *weights / 10], [found.x[0], *found.x[1:] / 10], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gates", "observer", "forgetting"])
def test_no_search_from_several_starts_finds_a_better_fit(name):
    learner, series = choices.LEARNERS[name], people.reversal_series().each(lambda array: array[1:2, 1:2])
    fitted = choices.fit(learner, series)
    low, high = np.log(list(learner.ranges.values())).T

    def surprise(numbers):
        inside = np.clip(numbers[: len(low)], low, high)
        settings = dict(zip(learner.ranges, np.exp(inside)[:, None], strict=True))
        found = choices.Fitted(settings, numbers[None, len(low) :], np.zeros(1))
        return choices.losses(learner, found, series).sum() + np.abs(numbers[: len(low)] - inside).sum()

    assert surprise(np.concatenate([np.log([v[0] for v in fitted.settings.values()]), fitted.weights[0]])) == (
        pytest.approx(fitted.loss[0], abs=1e-6)
    )
    starts = [np.concatenate([low + share * (high - low), [5.0, 0.0]]) for share in (0.3, 0.6)]
    allowed = {"maxfev": 250}
    best = min(optimize.minimize(surprise, start, method="Nelder-Mead", options=allowed).fun for start in starts)
    assert fitted.loss[0] < best + 0.3


def test_the_observer_is_that_of_the_library():
    series = simulated()
    hazard, slip = 0.07, 0.2
    settings = {"hazard": np.array([hazard]), "slip": np.array([slip])}
    prior = choices.beliefs(choices.LEARNERS["observer"], series, settings)[0]
    agrees = np.eye(2)[series.chosen[0]] == series.outcome[0][..., None]
    posterior = gl.observer.filtered(np.log(np.where(agrees, 1 - slip, slip)), hazard)
    expected = (1 - hazard) * posterior + hazard * (1 - posterior)
    np.testing.assert_allclose(prior[:, 1:], expected[:, :-1], rtol=1e-9)


def test_a_session_that_is_left_out_teaches_nothing():
    series = simulated(people_count=2)
    learner = choices.LEARNERS["independent"]
    before = choices.held_out(learner, series)
    series.outcome[1, 2] = 1 - series.outcome[1, 2]
    after = choices.held_out(learner, series)
    np.testing.assert_allclose(before[0], after[0])
    assert (abs(before[1] - after[1]) > 1).any()
    rest = series.each(lambda array: array[1:, :2])
    fitted = choices.fit(learner, rest)
    last = series.each(lambda array: array[1:, 2:])
    assert choices.losses(learner, fitted, last)[0, 0] == pytest.approx(after[1, 2], abs=1e-6)


def test_trials_that_do_not_count_change_no_fit():
    series = people.card_series()
    learner = choices.LEARNERS["gates"]
    fitted = choices.fit(learner, series)
    longer = series.each(lambda array: np.concatenate([array, np.zeros_like(array[:, :, :5])], 2))
    np.testing.assert_allclose(choices.fit(learner, longer).loss, fitted.loss)


def test_nobody_is_fitted_without_trials():
    series = simulated()
    none = dataclasses.replace(series, counted=np.zeros_like(series.counted))
    with pytest.raises(ValueError, match=r"counted trials = 0: there is none to fit\. Count some\."):
        choices.fit(choices.LEARNERS["gates"], none)


def test_the_reversals_are_those_described():
    data = people.reversals()
    assert dict(data.sizes) == {"person": 3, "session": 3, "trial": 200}
    for name, values in (("right", {1, 2}), ("chosen", {1, 2}), ("rewarded", {0, 1})):
        assert set(np.unique(data[name])) == values
    assert int((people.since_reversal(data.right.values) == 1).sum()) == 160
    good = (data.chosen == data.right).values
    assert data.rewarded.values[good].mean() == pytest.approx(0.8, abs=0.01)
    assert data.rewarded.values[~good].mean() == pytest.approx(0.2, abs=0.03)
    assert int(data.milliseconds.min()) > 0


def test_cards_are_rewarded_by_the_rule_in_force():
    table = people.card_sorting()
    counts = table.groupby("person").size()
    assert (len(counts), counts.min(), counts.max()) == (10, 83, 128)
    rule = people.rule_in_force(table)
    asked = table[[f"by_{name}" for name in people.RULES]].to_numpy()[np.arange(len(table)), rule % 3]
    assert ((table.chosen == asked) == (table.rewarded == 1)).all()


def test_trials_since_a_reversal_are_counted_from_one_in_each_series():
    right = np.array([[0, 0, 1, 1, 0], [1, 1, 1, 1, 1]])
    assert people.since_reversal(right).tolist() == [[0, 0, 1, 2, 1], [0, 0, 0, 0, 0]]
