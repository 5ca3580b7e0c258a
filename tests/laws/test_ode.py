"""The solver is where ever smaller steps go, keeps gates pinned at the kinks, and agrees with closed forms."""

import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import record
from gatedlib.analysis.theory import Switch
from gatedlib_book.experiments import SPECIALIST, TOY
from tests.examples import CONSTRAINTS, small

pytestmark = pytest.mark.slow

KEEP = (record.loss, record.gates, record.weights)
EASY = small(blocks=3, dt=0.02, penalties=())


def simulated(experiment, dt, every):
    return gl.simulate(experiment.replace(dt=dt), 2, KEEP, every)


@pytest.mark.parametrize("settings", [{}, {"paths": 3}, {"penalties": (gl.UnitNorm(0.5, ord=2),)}])
def test_steps_go_where_the_solver_is_in_proportion_to_dt(x64, settings):
    experiment = EASY.replace(**settings)
    exact = gl.solve(experiment, 2, KEEP)
    coarse, fine = simulated(experiment, 2e-3, 10), simulated(experiment, 1e-3, 20)
    for name in ("gates", "weights", "loss"):
        errors = [float(abs(run[name] - exact[name]).max()) for run in (coarse, fine)]
        assert 1.8 < errors[0] / errors[1] < 2.2
        assert float(abs(2 * fine[name] - coarse[name] - exact[name]).max()) < 2e-4


@pytest.mark.parametrize(
    "penalties", [CONSTRAINTS, (gl.UnitNorm(0.909),), (gl.Scaled(0.5, (gl.Nonnegative(0.3), gl.UnitNorm(2.0))),)]
)
def test_steps_go_where_the_solver_is_though_gates_are_pinned(x64, penalties):
    """At a kink steps jitter by dt times the push over tau_c; that goes to zero with dt as well."""
    experiment = small(blocks=8, penalties=penalties, tau_c=0.05)
    exact = gl.solve(experiment, 2, KEEP)
    assert (exact.gates == 0).any()
    errors = [
        float(abs(simulated(experiment, dt, round(0.02 / dt)).gates - exact.gates).max()) for dt in (2e-3, 2.5e-4)
    ]
    assert errors[1] < errors[0] / 4
    assert errors[1] < 0.02


def test_pinned_gates_rest_and_the_rest_learns():
    results = gl.solve(TOY, 1, (record.gates, record.weights, record.gate_speed), every=20)
    gates = results.gates.values[0]
    held = (gates[:-1] == 0) & (gates[1:] == 0)
    assert 0.2 < held.any(1).mean() < 1
    weights = results.weights.values[0, ..., 0]
    moved = np.abs(np.diff(weights, axis=0)).max(-1)
    assert moved[held].max() < 1e-12  # a path whose gate is zero learns nothing
    assert moved[~held].max() > 1e-3


def test_two_gates_can_be_pinned_at_once():
    weights = np.array([[0.0, 0.8], [1.0, 0.0], [1.0, 0.0]])[:, :, None]
    start = gl.Params(weights, np.array([0.2, 0.4, 0.4]))
    experiment = TOY.replace(paths=3, curriculum=gl.BlockSequence((1,), (2.0,)))
    gates = gl.solve(experiment, 1, KEEP, initial=start).gates.values[0]
    np.testing.assert_allclose(gates[:, 1], gates[:, 2])
    assert (gates[-1, 1:] == 0).all()


def test_a_gate_drawn_below_zero_goes_there():
    weights = np.array([[0.0, 1.0], [-1.0, -1.0]])[:, :, None]
    start = gl.Params(weights, np.array([1.0, 0.3]))
    experiment = TOY.replace(a=0.01, b=0.05, tau_w=100.0, curriculum=gl.BlockSequence((0,), (2.0,)))
    exact = gl.solve(experiment, 1, KEEP, initial=start)
    steps = gl.simulate(experiment, 1, KEEP, initial=start)
    assert exact.gates.values[0, -1, 1] < -0.1
    np.testing.assert_allclose(exact.gates, steps.gates, atol=0.02)


@settings(max_examples=10)
@given(tau_w=st.floats(0.3, 3), tau_c=st.floats(0.02, 0.5), specialization=st.floats(0.8, 1.0))
def test_the_symmetric_model_is_one_gated_number_and_switches_as_the_closed_form_says(tau_w, tau_c, specialization):
    """One path with targets 1 and -1, tau_w doubled, is the symmetric model of two teachers of length 1."""
    alone = gl.Experiment(
        gl.Given(np.array([[[1.0]], [[-1.0]]])),
        gl.GatedLinear(paths=1),
        gl.BlockSequence((0,), (1.0,)),
        gl.Flow(tau_w=2 * tau_w, tau_c=tau_c, dt=0.01),
    )
    start = gl.Params(np.array([[[specialization]]]), np.array([-1.0]))
    results = gl.solve(alone, 1, KEEP, initial=start)
    gates, weights = Switch(tau_w, tau_c).course(results.time.values, specialization)
    np.testing.assert_allclose(results.gates.values[0, :, 0], gates, atol=1e-7)
    np.testing.assert_allclose(results.weights.values[0, :, 0, 0, 0], weights, atol=1e-7)


def test_frames_do_not_depend_on_how_many_are_kept():
    experiment = TOY.replace(curriculum=gl.BlockSequence((0, 1, 0), (0.3, 0.7, 0.5)))
    often, rarely = gl.solve(experiment, 1, KEEP), gl.solve(experiment, 1, KEEP, every=500)
    np.testing.assert_allclose(rarely.gates, often.gates.isel(time=slice(None, None, 500)), atol=1e-7)
    np.testing.assert_allclose(rarely.final_weights, often.final_weights, atol=1e-7)


def test_results_have_the_form_of_simulated_ones():
    exact, steps = gl.solve(small(), 2), gl.simulate(small(), 2)
    assert exact.sizes == steps.sizes
    assert set(exact.variables) == set(steps.variables)
    assert exact.attrs == steps.attrs
    assert gl.results.settings(exact) == gl.results.settings(steps)
    assert exact.gates.dtype == np.float64
    np.testing.assert_allclose(exact.teachers, steps.teachers, atol=1e-6)
    np.testing.assert_allclose(exact.gate_speed[:, 0], steps.gate_speed[:, 0], rtol=1e-5)


def test_a_seed_does_not_depend_on_its_company():
    np.testing.assert_array_equal(gl.solve(small(), [3]).loss[0], gl.solve(small(), [1, 3]).loss[1])


class Row(gl.GatedLinear):
    """Another network."""


class OnGates(gl.Penalty):
    """A derived penalty, smooth or with a kink, on gates alone."""

    strength: float
    cost: Callable = eqx.field(static=True)

    def value(self, params):
        return self.strength * jnp.sum(self.cost(params.gates))

    @property
    def acts_on_weights(self):
        return False


def test_a_derived_penalty_is_solved_as_it_is_simulated(x64):
    experiment = EASY.replace(penalties=(OnGates(0.3, jnp.square),))
    exact, coarse, fine = gl.solve(experiment, 2, KEEP), *(simulated(experiment, 1e-3 / n, 20 * n) for n in (1, 2))
    assert float(abs(2 * fine.gates - coarse.gates - exact.gates).max()) < 1e-5


@pytest.mark.parametrize("whole", [lambda kink: kink, lambda kink: gl.Scaled(0.5, (kink,))])
def test_a_kink_at_zero_that_no_slope_tells_of_is_refused(whole):
    penalty = whole(OnGates(0.1, jnp.abs))
    with pytest.raises(ValueError, match=r"penalties = .* where a gate is zero, and its one_sided_gradient does not"):
        gl.solve(EASY.replace(penalties=(penalty,)), 1)


def test_a_kink_elsewhere_ends_the_solver_with_words():
    penalty = OnGates(0.1, lambda gates: jnp.abs(gates - 0.4))
    with pytest.raises(RuntimeError, match=r"hardly gets on at time .* kink at a place other than zero"):
        gl.solve(small(tau_c=0.03, penalties=(penalty,)), 1)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"inputs": gl.Sampled(5)}, r"inputs = 'Sampled': only Population can be solved. Use Population\(\)"),
        ({"network": Row()}, "network = 'Row': only GatedLinear can be solved"),
        ({"penalties": (gl.WeightCost(0.1),)}, "acts on weights, and only those on gates can be solved"),
    ],
)
def test_what_cannot_be_solved_is_refused(settings, refusal):
    with pytest.raises(ValueError, match=refusal):
        gl.solve(small(**settings), 1)


@pytest.mark.parametrize("rtol", [0.0, -1.0, 0.5, 1e-15, "small"])
def test_tolerances_that_are_none_are_refused(rtol):
    with pytest.raises(ValueError, match=r"rtol = .* Use 1e-9"):
        gl.solve(small(), 1, rtol=rtol)


def test_draw_is_what_a_run_draws():
    teachers, params = small().draw(3)
    results = gl.simulate(small(), [3], (record.weights,))
    np.testing.assert_allclose(results.teachers[0], teachers, rtol=1e-5)
    np.testing.assert_allclose(results.weights[0, 0], params.weights, rtol=1e-6)


RESTING = {
    "a perfect network on its own task": (TOY, SPECIALIST),
    "frozen gates": (TOY.replace(tau_c=math.inf), SPECIALIST),
    "a path that is dead": (
        TOY.replace(b=0.0),
        gl.Params(np.array([[0.0, 0.5], [0.0, 0.0]])[:, :, None], np.array([1.0, 0.0])),
    ),
}


@pytest.mark.parametrize(("experiment", "start"), RESTING.values(), ids=RESTING)
def test_gates_that_nothing_pushes_stay_at_zero(experiment, start):
    experiment = experiment.replace(curriculum=gl.BlockSequence((1,), (0.5,)))
    gates = gl.solve(experiment, 1, KEEP, initial=start).gates.values[0]
    np.testing.assert_array_equal(gates[:, np.argmin(start.gates)], 0)
    np.testing.assert_allclose(gates, gl.simulate(experiment, 1, KEEP, initial=start).gates.values[0], atol=0.01)


@pytest.mark.parametrize("towards", [-1, 1])
def test_a_gate_at_zero_that_is_pushed_from_both_sides_goes_where_it_is_drawn(towards):
    """With a small sum the bound pushes away from zero; what decides is the path's own push."""
    weights = np.array([[0.3 * towards, 0.2 * towards], [0.2, 0.9]])[:, :, None]
    start = gl.Params(weights, np.array([0.0, 0.5]))
    experiment = TOY.replace(curriculum=gl.BlockSequence((0,), (0.1,)), dt=1e-4)
    exact, steps = (run(experiment, 1, KEEP, initial=start).gates.values[0] for run in (gl.solve, gl.simulate))
    assert exact[-1, 0] * towards > 0.05
    np.testing.assert_allclose(exact, steps, atol=0.01)


@pytest.mark.parametrize("k", [1, 2])
def test_one_gate_has_one_norm(k):
    start = gl.Params(np.array([[[0.5]]]), np.array([0.3]))
    penalties = (gl.Nonnegative(0.8), gl.UnitNorm(0.5, ord=k))
    experiment = gl.Experiment(
        gl.Given(np.array([[[-1.0]]])),
        gl.GatedLinear(paths=1),
        gl.BlockSequence((0,), (1.0,)),
        gl.Flow(1.0, 0.1, 1e-4, penalties),
    )
    exact, steps = (run(experiment, 1, KEEP, initial=start).gates.values for run in (gl.solve, gl.simulate))
    np.testing.assert_allclose(exact, steps, atol=0.01)
