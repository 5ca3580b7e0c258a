"""Gates on trials: the closed form against integration, against the rules that it becomes, and against `simulate`."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import gatedlib as gl
from gatedlib_book import people

PATHS = st.integers(1, 4)


def numbers(low, high):
    return PATHS.flatmap(lambda n: hnp.arrays(float, n, elements=st.floats(low, high)))


@settings(max_examples=60, deadline=None)
@given(
    pair=PATHS.flatmap(
        lambda n: st.tuples(
            hnp.arrays(float, n, elements=st.floats(0, 1.5)),
            hnp.arrays(float, n, elements=st.sampled_from([0.0, 1.0, -0.5, 0.3])),
        )
    ),
    outcome=st.floats(0, 1),
    tau_c=st.floats(0.3, 20),
    b=st.sampled_from([0.0, 0.1, 1.0, 20.0]),
)
def test_a_trial_is_the_solution_of_the_equation_of_gates(pair, outcome, tau_c, b):
    gates, v = pair

    def rate(_, c):
        return (v * (outcome - v @ c) - b * (c.sum() - 1)) / tau_c

    integrated = solve_ivp(rate, (0, 1), gates, method="LSODA", rtol=1e-9, atol=1e-11).y[:, -1]
    found = gl.trials.gates_after(gates, v, outcome, tau_c, b)
    np.testing.assert_allclose(found, np.maximum(integrated, 0), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(value=st.floats(0, 1), outcome=st.floats(0, 1), tau_c=st.floats(0.05, 50))
def test_no_bound_is_rescorla_and_wagner_a_rigid_one_updates_both_options(value, outcome, tau_c):
    free = gl.trials.gates_after([value, 1 - value], [1, 0], outcome, tau_c)
    rate = 1 - math.exp(-1 / tau_c)
    np.testing.assert_allclose(free, [value + rate * (outcome - value), 1 - value], atol=1e-12)
    rigid = gl.trials.gates_after([value, 1 - value], [1, 0], outcome, tau_c, b=1e9)
    rate = 1 - math.exp(-1 / (2 * tau_c))
    now = value + rate * (outcome - value)
    np.testing.assert_allclose(rigid, [now, 1 - now], atol=1e-7)


def test_many_series_and_settings_at_once_are_the_same_as_one_by_one():
    random = np.random.default_rng(0)
    gates, v = random.uniform(0, 1, (3, 1, 2)), np.eye(2)[random.integers(0, 2, 4)]
    outcome, tau_c, b = random.integers(0, 2, 4), random.uniform(0.1, 3, (3, 1)), np.array([[0.0], [1.0], [1e6]])
    together = gl.trials.gates_after(gates, v, outcome, tau_c, b)
    assert together.shape == (3, 4, 2)
    for one, many in np.ndindex(3, 4):
        single = gl.trials.gates_after(gates[one, 0], v[many], outcome[many], tau_c[one, 0], b[one, 0])
        np.testing.assert_allclose(together[one, many], single, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("b", [0.0, 0.909, 20.0])
def test_it_is_what_a_network_does_whose_weights_are_the_tasks(b):
    """A session of a person, as `simulate` learns from it in small steps."""
    first = people.reversals().isel(person=0, session=0)
    chosen, outcome = first.chosen.values - 1, first.rewarded.values
    student = people.GATES_ONLY.replace(tau_c=0.5, a=50.0, b=b)
    experiment = people.on_trials(chosen, outcome, 1.0, student, steps=500)
    results = gl.simulate(experiment, [0], (gl.record.gates,), every=500, initial=people.TASKS_KNOWN)
    gates = np.full(2, 0.5)
    for trial, seen in enumerate(results.gates.isel(seed=0).values):
        np.testing.assert_allclose(seen, gates, atol=3e-3)
        gates = gl.trials.gates_after(gates, np.eye(2)[chosen[trial]], outcome[trial], 0.5, b)
