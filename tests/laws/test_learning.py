"""Laws of the learning flow: gradients, order of the integrator, conserved quantities."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib.model.inputs import quadratic_loss
from tests.examples import CONSTRAINTS, small

pytestmark = pytest.mark.slow

SIZES = st.sampled_from([(1, 1, 1), (3, 2, 5)])  # each is compiled once


@settings(max_examples=30)
@given(
    sizes=SIZES,
    batch=st.sampled_from([None, 1, 3, 50]),
    ord=st.sampled_from([1, 2]),
    student=st.sampled_from([gl.GatedLinear, gl.NeuronGated, gl.TwoLayer]),
    per_neuron=st.booleans(),
    seed=st.integers(0, 999),
)
def test_hand_written_gradients_equal_autodiff(sizes, batch, ord, student, per_neuron, seed):
    paths, d_out, d_in = sizes
    keys = jax.random.split(jax.random.key(seed), 4)
    network = student(paths)
    shapes = network.shapes(d_out, d_in)
    params = gl.Params(*(jax.random.normal(keys[n], shapes[name]) for n, name in enumerate(("weights", "gates"))))
    teacher = jax.random.normal(keys[2], (d_out, d_in))
    factor = None if batch is None else gl.Sampled(batch).draw(keys[3], 2, d_in)
    some = gl.Scaled(0.8, (gl.UnitNorm(0.6, ord, per_neuron), gl.WeightCost(0.5)))
    flow = gl.Flow(tau_w=0.7, tau_c=0.2, penalties=(gl.Nonnegative(0.3), some))

    def objective(params):
        loss, _ = quadratic_loss(network.effective(params) - teacher, factor)
        return loss + sum(penalty.value(params) for penalty in flow.penalties)

    expected = jax.grad(objective)(params)
    _, velocity = flow.velocity(network, params, teacher, factor)
    np.testing.assert_allclose(-0.7 * velocity.weights, expected.weights, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(-0.2 * velocity.gates, expected.gates, rtol=1e-5, atol=1e-5)


def test_the_loss_is_half_the_mean_squared_error_of_the_batch():
    key = jax.random.key(0)
    error, inputs = jax.random.normal(key, (3, 5)), jax.random.normal(jax.random.key(1), (4, 5))
    loss, g = quadratic_loss(error, inputs.T / 2)
    np.testing.assert_allclose(loss, jnp.mean(jnp.sum((inputs @ error.T) ** 2, 1)) / 2, rtol=1e-6)
    np.testing.assert_allclose(g, jnp.einsum("ij,bj,bk->ik", error, inputs, inputs) / 4, rtol=1e-5)


def test_a_column_of_no_length_is_not_pulled():
    gradient = gl.WeightCost(1.0).gradient(gl.Params(jnp.zeros((2, 3, 4)), jnp.zeros(2)))
    assert (gradient.weights == 0).all()


def test_unit_norm_has_no_direction_at_zero():
    params = gl.Params(jnp.zeros((2, 1, 1)), jnp.zeros(2))
    assert (gl.UnitNorm(1.0, ord=2).gradient(params).gates == 0).all()


@pytest.mark.usefixtures("x64")
def test_euler_is_of_first_order():
    """Halving dt halves the distance to the limit: the distances of successive halvings have ratio 2."""
    smooth = small().replace(flow=gl.Flow(tau_w=1.3, tau_c=0.1, penalties=(gl.UnitNorm(0.5, ord=2),)))
    ends = [gl.simulate(smooth.replace(dt=dt), seeds=3).final_weights for dt in (0.02, 0.01, 0.005, 0.0025)]
    steps = [float(abs(coarse - fine).max()) for coarse, fine in itertools.pairwise(ends)]
    orders = np.log2(np.array(steps[:-1]) / steps[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


def charges(results):
    """tau_c c_p^2 - tau_w ||W_p||^2 for each path, over time."""
    squares = results.weight_products.where(results.path == results.other_path).sum("other_path")
    told = gl.results.settings(results)
    return told["flow.tau_c"] * results.gates**2 - told["flow.tau_w"] * squares


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("inputs", [gl.Population(), gl.Sampled(8)])
def test_each_path_conserves_its_charge_across_task_switches(inputs):
    """Exact in continuous time, so Euler's drift falls in proportion to dt; a penalty breaks the law."""
    free = small().replace(flow=gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.02, inputs=inputs))

    def drift(experiment):
        charge = charges(gl.simulate(experiment, seeds=5))
        return float(abs(charge - charge.isel(time=0)).max())

    coarse, fine, finest = (drift(free.replace(dt=dt)) for dt in (0.02, 0.002, 0.0002))
    assert 8 < coarse / fine < 12
    assert 8 < fine / finest < 12
    assert finest < 1e-3
    constrained = free.replace(flow=gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.002, penalties=CONSTRAINTS, inputs=inputs))
    assert drift(constrained) > 10 * fine


def test_infinite_time_constants_freeze():
    frozen = gl.simulate(small(tau_w=np.inf, tau_c=np.inf), seeds=2, record=(gl.record.weights, gl.record.gates))
    for quantity in (frozen.weights, frozen.gates):
        assert (quantity == quantity.isel(time=0)).all()
    moved = gl.simulate(small(tau_w=np.inf), seeds=2)
    assert (moved.weight_products == moved.weight_products.isel(time=0)).all()
    assert float(abs(moved.gates - 0.5).max()) > 0.1


class Competing(gl.GatedLinear):
    """Paths that compete for gates that add up to one, whatever the parameters behind them."""

    def effective(self, params):
        return super().effective(gl.Params(params.weights, jax.nn.softmax(params.gates)))


class Resisting(gl.Penalty):
    """A cost on gates that are apart, without a kink."""

    strength: float

    @property
    def acts_on_weights(self):
        return False

    def value(self, params):
        return self.strength / 2 * jnp.var(params.gates)


def test_the_gradient_of_a_student_that_changes_another_is_its_own(x64):
    """A hand-written gradient is not inherited by who changes the matrix."""
    del x64
    network, rng = Competing(paths=3), np.random.default_rng(0)
    params = gl.Params(jnp.asarray(rng.normal(size=(3, 2, 4))), jnp.asarray(rng.normal(size=3)))
    g = jnp.asarray(rng.normal(size=(2, 4)))
    expected = jax.grad(lambda params: jnp.sum(network.effective(params) * g))(params)
    for found, wanted in zip(network.pullback(params, g), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_penalty_of_one_s_own_is_its_value():
    experiment = small(penalties=(*CONSTRAINTS, Resisting(0.2)))
    params = gl.Params(jnp.ones((2, 1, 1)), jnp.array([0.2, 0.6]))
    gradient = Resisting(0.2).gradient(params)
    np.testing.assert_allclose(gradient.gates, [-0.02, 0.02], atol=1e-7)
    assert gradient.weights.shape == ()
    steps, exact = gl.simulate(experiment.replace(dt=1e-3), 2, every=20), gl.solve(experiment, 2)
    np.testing.assert_allclose(steps.gates, exact.gates.isel(time=slice(None)), atol=0.01)


class Misdeclared(Resisting):
    """It says that it leaves the weights alone, and does not."""

    def value(self, params):
        return self.strength * jnp.sum(params.weights**2)


def test_a_penalty_that_acts_on_weights_and_denies_it_fails():
    refusal = "penalty Misdeclared: says that it does not act on weights, .* Leave acts_on_weights out"
    with pytest.raises(ValueError, match=refusal):
        gl.simulate(small(penalties=(Misdeclared(0.2),)), 1)
