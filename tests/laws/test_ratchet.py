"""When gates reach zero and paths specialize, against equations solved by scipy; and the closed form of one turn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import gatedlib as gl
from gatedlib.analysis import ratchet as module
from gatedlib.analysis.theory import crossing, ratchet

FLEXIBLE = {"tau_w": 1.3, "tau_c": 0.06, "block_length": 1.0, "b": 3.0}


def start(random, paths=2, modes=2, networks=(), scale=0.02):
    """Small weights, and gates that are nearly equal."""
    weights = scale * random.normal(size=(*networks, paths, modes))
    return gl.Params(weights, (1 + 0.05 * random.normal(size=(*networks, paths))) / paths)


def shorten_steps(monkeypatch):
    """Let `ratchet` take steps a quarter as long."""
    for name in ("TURN", "RATE"):
        monkeypatch.setattr(module, name, getattr(module, name) / 4)


def mean_squared_distance(matrices):
    one, other = np.triu_indices(len(matrices), 1)
    return np.mean(np.sum((matrices[one] - matrices[other]) ** 2, -1))


def solved(targets, initial, tau_w, tau_c, block_length, duration, b):
    """The same two times by scipy, which stops where a gate closes or opens and goes on with the others."""
    paths, half = len(initial.gates), mean_squared_distance(targets) / 2
    closed, zero, now = np.zeros(paths, bool), np.inf, 0.0
    state = np.concatenate([np.ravel(initial.weights), initial.gates])

    def push(state, target):
        weights, gates = state[:-paths].reshape(paths, -1), state[-paths:]
        error = target - gates @ weights
        return weights @ error - b * (gates.sum() - 1), np.outer(gates, error)

    while now < duration - 1e-9:
        block = int((now + 1e-9) / block_length)
        target, end = targets[block % len(targets)], min((block + 1) * block_length, duration)
        closed &= push(state, target)[0] <= 0

        def flow(_, state, target=target, closed=closed):
            on_gates, on_weights = push(state, target)
            return np.concatenate([on_weights.ravel() / tau_w, np.where(closed, 0.0, on_gates) / tau_c])

        def far(_, state):
            return mean_squared_distance(state[:-paths].reshape(paths, -1)) - half

        def changes(_, state, gate, target=target, closed=closed):
            return push(state, target)[0][gate] if closed[gate] else -state[gate - paths]

        far.direction = 1
        events = [far]
        for gate in range(paths):
            events.append(lambda time, state, gate=gate, changes=changes: changes(time, state, gate))
            events[-1].direction = 1
        for event in events:
            event.terminal = True
        run = solve_ivp(flow, (now, end), state, "LSODA", rtol=1e-8, atol=1e-10, events=events, max_step=0.05)
        now, state = run.t[-1], run.y[:, -1]
        if len(run.t_events[0]):
            return zero, now
        for gate in range(paths):
            if len(run.t_events[1 + gate]):
                if not closed[gate]:
                    zero, state[gate - paths] = min(zero, now), 0.0
                closed = closed ^ (np.arange(paths) == gate)
    return zero, np.inf


def drawn(paths, tasks, seed, similar=False):
    """Settings and a start at which paths specialize within 30 time units."""
    random = np.random.default_rng(seed)
    targets = np.eye(tasks)
    if similar:
        targets[1] = np.array([0.8, 0.6, 0.0][:tasks])
    times = {"tau_w": random.uniform(0.8, 1.5), "tau_c": random.uniform(0.02, 0.06), "b": random.uniform(1.0, 10.0)}
    return targets, start(random, paths, tasks), {**times, "block_length": random.uniform(1.0, 1.5)}


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize(("paths", "tasks"), [(2, 2), (3, 2), (3, 3)])
def test_times_are_those_of_the_flow_solved_by_scipy(paths, tasks, seed, monkeypatch):
    shorten_steps(monkeypatch)  # late networks depend on the step
    targets, initial, times = drawn(paths, tasks, seed)
    zero, specialized = solved(targets, initial, duration=40.0, **times)
    found = ratchet(targets, initial, duration=40.0, **times)
    assert specialized < 40.0
    np.testing.assert_allclose(found, [zero, specialized], rtol=0.03)


@pytest.mark.parametrize("seed", range(6))
def test_similar_teachers_need_no_other_steps(seed):
    """The first error is as long as a teacher, which similar teachers' distance is not."""
    targets, initial, times = drawn(2, 2, seed, similar=True)
    zero, specialized = solved(targets, initial, duration=60.0, **times)
    found = ratchet(targets, initial, duration=60.0, **times)
    np.testing.assert_allclose(found, [zero, specialized], rtol=0.05)


def test_networks_with_settings_of_their_own_are_followed_as_each_alone():
    initial, tau_c = start(np.random.default_rng(2), networks=(3,)), np.array([[0.03], [0.3]])
    together = ratchet(np.eye(2), initial, duration=12.0, **{**FLEXIBLE, "tau_c": tau_c})
    assert together.zero.shape == (2, 3)
    for row, column in np.ndindex(2, 3):
        one = gl.Params(initial.weights[column], initial.gates[column])
        alone = ratchet(np.eye(2), one, duration=12.0, **{**FLEXIBLE, "tau_c": tau_c[row, 0]})
        np.testing.assert_array_equal([each[row, column] for each in together], alone)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"targets": np.eye(2)[:1]}, r"shape of targets = \(1, 2\): must be \(task, mode\), with two tasks or more"),
        ({"targets": np.ones((2, 2))}, r"targets = .*: must differ"),
        ({"initial": gl.Params(np.eye(2), np.array([-0.1, 1.0]))}, r"initial gates = -0\.1: must be 0 or above"),
        ({"initial": gl.Params(np.eye(2), np.zeros(2))}, r"initial gates = 0\.0: must be 0 or above, and one of"),
        ({"initial": gl.Params(np.full((2, 2), np.nan), np.ones(2))}, "initial weights that are not finite = 4"),
        ({"tau_c": 0.0}, r"tau_c = 0\.0: must be above 0 throughout"),
        ({"b": -1.0}, r"b = -1\.0: must be above 0 throughout"),
        ({"duration": 0.0}, r"duration = 0\.0: must be a number above 0"),
        ({"tau_w": np.ones(3), "tau_c": np.ones(2)}, "shapes of settings = .*: must broadcast"),
    ],
)
def test_bad_input_of_the_ratchet_is_refused(changed, rule):
    good = {"targets": np.eye(2), "initial": gl.Params(0.01 * np.eye(2), np.full(2, 0.5)), "duration": 2.0, **FLEXIBLE}
    with pytest.raises(ValueError, match=rule):
        ratchet(**{**good, **changed})


@settings(max_examples=30)
@given(tau_w=st.floats(0.3, 3), tau_c=st.floats(0.01, 0.5), length=st.floats(0.2, 4), more=st.floats(0.05, 0.95))
def test_crossing_is_its_formula_with_the_time_found_by_a_root_finder(tau_w, tau_c, length, more):
    distance, kappa = 2**0.5, tau_c / (2 * tau_w)
    phi, q = 2 / np.sqrt(kappa) * np.tanh(length / (4 * tau_w)), np.exp(-length / (2 * tau_w))
    spread = np.exp(more * phi)

    def passed(time):
        return 1 - np.exp(-time / (2 * tau_w)) - (1 - q) * (1 - np.log(spread) / phi)

    time = brentq(passed, 0, length, xtol=1e-14)
    learned = np.exp(-time / (2 * tau_w)) / (1 + q) * (1 - np.exp(-(length - time) / tau_w))
    expected = (2 * np.sqrt(kappa) * learned + learned**2) / kappa * np.sinh(phi / 2) ** 2
    np.testing.assert_allclose(crossing(spread, length, tau_w, tau_c, distance), expected, rtol=1e-6)


@pytest.mark.parametrize("length", [0.3, 1.0, 3.0, 300.0, np.inf])
def test_crossing_rises_with_the_spread_from_nothing(length):
    values = crossing(np.linspace(0, 60, 241), length, 1.3, 0.06, 2**0.5)
    assert np.isfinite(values).all()
    assert (values[:4] == 0).all()
    assert (np.diff(values) >= 0).all()
    np.testing.assert_allclose(crossing(1.0, length, 1.3, 0.06, 2**0.5), 0, atol=1e-9)


def assert_nearly_all_equal(found, expected, within):
    """Times of nine in ten networks differ by no more than this; a network near the border may be late by a block."""
    for one, other in zip(found, expected, strict=True):
        assert np.quantile(np.abs(one / other - 1), 0.9) < within


@pytest.mark.parametrize("b", [3.0, 1e4, np.inf])
def test_halving_the_step_changes_little_and_a_stiff_bound_needs_no_shorter_one(b, monkeypatch):
    settings_of_all = {**FLEXIBLE, "b": b, "duration": 40.0}
    initial = start(np.random.default_rng(0), networks=(40,))
    once = ratchet(np.eye(2), initial, **settings_of_all)
    shorten_steps(monkeypatch)
    finer = ratchet(np.eye(2), initial, **settings_of_all)
    assert np.isfinite(finer.specialized).all()
    assert_nearly_all_equal(once, finer, 0.02)


def test_a_very_stiff_bound_is_a_rigid_one():
    initial = start(np.random.default_rng(1), networks=(20,))
    stiff, rigid = (ratchet(np.eye(2), initial, **{**FLEXIBLE, "b": b}, duration=40.0) for b in (1e6, np.inf))
    assert_nearly_all_equal(stiff, rigid, 0.01)


@pytest.mark.parametrize("b", [0.2, 0.05])
def test_a_network_whose_gates_all_close_waits_until_the_bound_or_the_error_opens_one(b):
    """Opposite tasks and a weak bound: both gates rest at zero for a while, and nothing is lost or divided by zero."""
    targets = np.array([[1.0], [-1.0]])
    initial = gl.Params(np.array([[0.02], [0.01]]), np.array([0.5, 0.5]))
    times = {"tau_w": 1.0, "tau_c": 0.05, "block_length": 3.0, "b": b}
    with np.errstate(all="raise", under="ignore"):
        found = ratchet(targets, initial, duration=40.0, **times)
    expected = solved(targets, initial, duration=40.0, **times)
    np.testing.assert_allclose(found, expected, rtol=0.03)
