"""Closed forms against differential equations solved by scipy and by the solver."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import gatedlib as gl
from gatedlib import record
from gatedlib.analysis.theory import Switch, gate_divergence, next_block, steady_spread
from gatedlib_book import emergence
from gatedlib_book.experiments import TOY

SETTINGS = {
    "tau_w": st.floats(0.3, 3),
    "tau_c": st.floats(0.01, 1),
    "distance": st.floats(0.5, 2),
    "specialization": st.floats(0.05, 1.0),
}


@settings(max_examples=40)
@given(**SETTINGS)
def test_switch_is_the_solution_of_its_equations(tau_w, tau_c, distance, specialization):
    switch = Switch(tau_w, tau_c, distance)
    times = np.linspace(0, 3 * tau_c, 20)

    def learn(_, state):
        gates, weights = state
        error = 1 - gates * weights
        return distance**2 / 2 * weights * error / tau_c, gates * error / (2 * tau_w)

    def crosses(_, state):
        return state[0] - 0.3

    crosses.direction = 1
    solved = solve_ivp(learn, (0, 50), [-1, specialization], "DOP853", rtol=1e-11, atol=1e-13, events=crosses)
    by_gates = specialization**2 > switch.kappa
    if by_gates and specialization**2 - switch.kappa > 1e-3:
        seen = solve_ivp(learn, (0, times[-1]), [-1, specialization], "DOP853", t_eval=times, rtol=1e-11, atol=1e-13)
        gates, weights = switch.course(times, specialization)
        np.testing.assert_allclose(gates, seen.y[0], atol=1e-7)
        np.testing.assert_allclose(weights, seen.y[1], atol=1e-7)
        np.testing.assert_allclose(switch.curve(gates, specialization), weights, atol=1e-9)
        np.testing.assert_allclose(switch.time(gates, specialization), times, atol=1e-7)
        if len(solved.t_events[0]):
            np.testing.assert_allclose(switch.time(0.3, specialization), solved.t_events[0][0], rtol=1e-5)
    elif not by_gates:
        assert not len(solved.t_events[0])  # the gates never turn over: the weights change their sign
        assert solved.y[1, -1] < 0
        assert switch.time(0.3, specialization) == np.inf
        assert np.isnan(switch.curve(0.0, specialization))


def test_switches_get_faster_as_paths_specialize():
    times = Switch(1.3, 0.06).time(gates=0.0, apart=np.linspace(0.2, 1.0, 9))
    assert (np.diff(times) < 0).all()


def test_a_switch_that_does_not_happen_has_no_course():
    with pytest.raises(ValueError, match=r"apart = 0.1: must be above sqrt\(kappa\) = 0.2236"):
        Switch(1.0, 0.1).course(np.linspace(0, 1, 5), apart=0.1)


@pytest.mark.parametrize("name", ["tau_w", "tau_c", "distance"])
def test_switch_refuses_constants_that_are_none(name):
    with pytest.raises(ValueError, match=f"{name} = 0.0: must be a number above 0"):
        Switch(**{"tau_w": 1.0, "tau_c": 0.1, "distance": 1.0, name: 0.0})


TURNS = {"seed": st.integers(0, 10**6), "tau_w": st.floats(0.3, 3), "tau_c": st.floats(0.05, 1)}


@settings(max_examples=15)
@given(**TURNS)
def test_gate_divergence_solves_the_linear_equations_of_nearly_equal_paths(seed, tau_w, tau_c):
    rng = np.random.default_rng(seed)
    targets, apart, mean, gates = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4), rng.normal()
    tasks, lengths = rng.integers(3, size=4), rng.uniform(0.1, 0.5, 4)
    told = gate_divergence(targets, tasks, lengths, tau_w, tau_c, apart, mean, gates)
    state, seen = np.concatenate([[gates], apart, mean]), []
    for task, length in zip(tasks, lengths, strict=True):

        def learn(_, state, target=targets[task]):
            error = target - state[5:]
            return np.concatenate([[state[1:5] @ error / tau_c], state[0] * error / tau_w, error / (2 * tau_w)])

        state = solve_ivp(learn, (0, length), state, "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        seen.append(abs(state[0]))
    np.testing.assert_allclose(told, seen, rtol=1e-5)


def test_gate_divergence_takes_many_seeds_at_once():
    apart = np.random.default_rng(0).normal(size=(6, 2))
    told = gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, apart)
    assert told.shape == (6, 3)
    np.testing.assert_allclose(told[2], gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, apart[2]))
    np.testing.assert_allclose(gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, 3 * apart), 3 * told)
    gates = np.linspace(-0.1, 0.1, 6)
    told = gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, apart, gates=gates)
    np.testing.assert_allclose(
        told[2], gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, apart[2], gates=gates[2])
    )
    speeds = np.array([0.03, 0.1, 0.3, 1.0])
    told = gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, speeds, apart[:4])
    np.testing.assert_allclose(told[1], gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.0, 0.1, apart[1]))


@settings(max_examples=25)
@given(length=st.floats(0.1, 6), tau_w=st.floats(0.3, 3), tau_c=st.floats(0.05, 1))
def test_in_the_steady_state_every_other_block_turns_back(length, tau_w, tau_c):
    axis = np.array([1.0, -1.0]) / np.sqrt(2)
    first_error = np.sqrt(2) / (1 + np.exp(-length / (2 * tau_w)))
    steady = 0.5 + (np.sqrt(2) / 2 - first_error) * axis
    told = gate_divergence(np.eye(2), [0, 1] * 3, [length] * 6, tau_w, tau_c, 0.01 * axis, steady)
    one = steady_spread(length, tau_w, tau_c, np.sqrt(2), 0.01)
    np.testing.assert_allclose(told[::2], one, rtol=1e-6)
    np.testing.assert_allclose(told[1::2], 0, atol=1e-6 * one)
    begun = gate_divergence(np.eye(2), [0, 1] * 3, [length] * 6, tau_w, tau_c, 0.01 * axis, steady, gates=0.1)
    further = steady_spread(length, tau_w, tau_c, np.sqrt(2), 0.01, gates=0.1)
    np.testing.assert_allclose(begun[::2], further, rtol=1e-6)
    np.testing.assert_allclose(begun[1::2], 0.1, atol=1e-6 * further)


def test_spread_gates_spread_further():
    with_gates = steady_spread(1.0, 1.0, 0.1, 1.0, 0.01, gates=0.1)
    assert with_gates > steady_spread(1.0, 1.0, 0.1, 1.0, 0.01)
    assert with_gates > 0.1


def test_gate_divergence_is_that_of_a_network_whose_gates_sum_is_held_at_one():
    """The one assumption, made true by a stiff bound: then a tiny difference grows as told."""
    apart = 1e-4 * np.array([0.6, 0.8])
    start = gl.Params(np.stack([apart, -apart])[:, :, None] / 2, np.full(2, 0.5))
    experiment = TOY.replace(b=500.0, a=0.0, tau_c=0.3, curriculum=gl.Blocked(blocks=3), dt=5e-4)
    gates = gl.solve(experiment, 1, (record.gates,), initial=start).gates[0].isel(time=[1999, 3999, -1])
    told = gate_divergence(np.eye(2), [0, 1, 0], [1.0] * 3, 1.3, 0.3, apart)
    np.testing.assert_allclose(abs(gates.diff("path"))[:, 0], told, rtol=0.02)


def test_gate_divergence_needs_a_length_for_every_task():
    with pytest.raises(ValueError, match="number of lengths = 1: must be the number of tasks, 2"):
        gate_divergence(np.eye(2), [0, 1], [1.0], 1.0, 0.1, np.ones(2))
    with pytest.raises(ValueError, match=r"length = 0\.0: must be a number above 0"):
        gate_divergence(np.eye(2), [0, 1], [1.0, 0.0], 1.0, 0.1, np.ones(2))


@pytest.mark.parametrize(("new", "old", "length"), [(0.5, 0.5, 1.0), (0.8, 0.6, 0.7), (0.9, 0.95, 2.0)])
def test_next_block_is_what_a_network_with_a_stiff_bound_does(new, old, length):
    axis = np.array([0.5, -0.5])
    start = gl.Params(np.stack([0.5 + new * axis, 0.5 - old * axis])[:, :, None], np.array([0.0, 1.0]))
    experiment = TOY.replace(b=100.0, dt=5e-4, curriculum=gl.BlockSequence((0,), (length,)))
    weights = gl.solve(experiment, 1, (record.gates,), every=100, initial=start).final_weights.values[0, ..., 0]
    told = next_block(new, old, length, 1.3, 0.06, np.sqrt(2))
    np.testing.assert_allclose([weights[0] @ [1, -1], weights[1] @ [-1, 1]], told[:2], atol=2e-3)


def test_next_block_is_silent_where_gates_do_not_arrive():
    assert np.isnan(next_block(0.5, 0.5, 0.1, 1.3, 0.06, np.sqrt(2))).all()  # too short
    assert np.isnan(next_block(0.1, 0.1, 1.0, 1.3, 0.06, np.sqrt(2))).all()  # too alike


def test_blocks_until_done_counts_blocks():
    one = (1.0, 1.3, 0.06, np.sqrt(2))
    assert emergence.blocks_until(0.5, 0.5, *one) == 1
    assert emergence.blocks_until(0.8, 0.5, *one) > emergence.blocks_until(0.7, 0.5, *one) > 1
    assert emergence.blocks_until(0.8, 0.1, *one) == np.inf


def test_at_the_fixed_point_a_switch_never_ends():
    for tau_c in (0.05, 0.1, 0.2, 0.3):
        assert Switch(1.0, tau_c).time(1.0, 1.0) == np.inf  # gates that answer right have no error left to move them
        assert Switch(1.0, tau_c).time(1.0, 0.9) < np.inf


def test_every_seed_may_have_a_start_of_its_own():
    rng = np.random.default_rng(0)
    apart, start = rng.normal(size=(2, 5, 2))
    together = gate_divergence(np.eye(2), [0, 1], [1.0, 1.0], 1.0, 0.1, apart, start)
    alone = [gate_divergence(np.eye(2), [0, 1], [1.0, 1.0], 1.0, 0.1, *each) for each in zip(apart, start, strict=True)]
    np.testing.assert_allclose(together, alone)


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda: steady_spread(1.0, 1.0, 0.0, 1.0, 0.01), r"tau_c = 0\.0: must be above 0"),
        (lambda: steady_spread(-1.0, 1.0, 0.1, 1.0, 0.01), r"block_length = -1\.0: must be above 0"),
        (lambda: next_block(0.5, 0.5, -1.0, 1.0, 0.1, 1.0), r"block_length = -1\.0: must be a number above 0"),
        (lambda: next_block(0.5, 0.5, 1.0, 1.0, 0.0, 1.0), r"tau_c = 0\.0: must be a number above 0"),
        (
            lambda: gate_divergence(np.eye(2), [], [], 1.0, 0.1, np.ones(2)),
            r"tasks = \[\]: must name at least one task",
        ),
        (lambda: gate_divergence(np.eye(2), [2], [1.0], 1.0, 0.1, np.ones(2)), "task = 2: there are 2 targets"),
        (lambda: gate_divergence(np.eye(2), [0], [1.0], 1.0, 0.0, np.ones(2)), "tau_c = 0.0: must be a number above 0"),
        (
            lambda: gate_divergence(np.eye(2), [0], [1.0], 1.0, True, np.ones(2)),
            "tau_c = True: must be a number above 0",
        ),
        (
            lambda: gate_divergence(np.eye(2), [0], [1.0], 1.0, [0.1, 0.0], np.eye(2)),
            "must be a number above 0, and finite",
        ),
        (lambda: gate_divergence(np.eye(2), [0], [1.0], 1.0, np.ones(3), np.ones(2)), "shape of tau_c"),
        (lambda: gate_divergence(np.eye(2), [-1], [1.0], 1.0, 0.1, np.ones(2)), "task = -1: must be a whole number"),
        (lambda: Switch(1.0, 0.1).course(np.ones(1), apart=-1.0), r"apart = -1\.0: must be a number above 0"),
        (lambda: Switch(1.0, 0.1).course(np.ones(1), apart="far"), "apart = 'far': must be a number above 0"),
    ],
)
def test_bad_input_is_refused(call, refusal):
    with pytest.raises(ValueError, match=refusal):
        call()


def test_a_block_may_begin_with_paths_that_are_whole_numbers():
    rest = {"block_length": 1.0, "tau_w": 1.3, "tau_c": 0.06, "distance": 2**0.5}
    assert next_block(1, 1, **rest) == next_block(1.0, 1.0, **rest)
