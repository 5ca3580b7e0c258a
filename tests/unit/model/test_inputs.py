"""`Sampled` has the exact law of a minibatch, whichever way it is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gatedlib as gl
from benchmarks import naive
from gatedlib._internal.numerics import FARTHEST, chi_quantile, normal

DRAWS = 40_000


def second_moments(batch, d_in, raw=False):
    def draw(key):
        if raw:
            x = jax.random.normal(key, (batch, d_in))
            return x.T @ x / batch
        factor = gl.Sampled(batch).draw(key, 2, d_in)
        return factor @ factor.T

    return np.asarray(jax.vmap(draw)(jax.random.split(jax.random.key(int(raw)), DRAWS)), float)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 4, 5, 12, 200])
def test_moments_of_s_are_those_of_a_minibatch(batch):
    # E[S] = I, Var[S_ii] = 2/B, Var[S_ij] = 1/B, and the same for raw samples; 5 standard errors elementwise
    d_in = 4
    mine, raw = second_moments(batch, d_in), second_moments(batch, d_in, raw=True)
    variance = (1 + np.eye(d_in)) / batch
    error = np.sqrt(variance / DRAWS)
    assert (abs(mine.mean(0) - np.eye(d_in)) < 5 * error).all()
    assert (abs(mine.mean(0) - raw.mean(0)) < 5 * np.sqrt(2) * error).all()
    spread = np.sqrt(((raw - np.eye(d_in)) ** 2).var(0) / DRAWS)
    assert (abs(((mine - np.eye(d_in)) ** 2).mean(0) - variance) < 5 * spread).all()
    assert (abs(mine.var(0) - raw.var(0)) < 5 * np.sqrt(2) * spread).all()


@pytest.mark.slow
@pytest.mark.parametrize("batch", [4, 5, 12])
def test_determinant_of_s_has_the_law_of_a_minibatch(batch):
    # a nonlinear function of all entries: the moments above do not fix it
    mine, raw = (np.linalg.det(second_moments(batch, 4, raw)) for raw in (False, True))
    assert stats.ks_2samp(mine[:10_000], raw[:10_000]).pvalue > 1e-3


DEGREES = np.array([1.0, 2.0, 3.0, 9.0, 10.0, 49.0, 50.0, 181.0, 200.0, 1e6 - 1, 1e6, 1e9])


@pytest.mark.parametrize("k", DEGREES)
def test_a_chi_variable_is_the_quantile_of_its_normal_number(k):
    z = np.linspace(-FARTHEST, FARTHEST, 1001)
    # in each half the smaller of the two probabilities, which tells more digits
    exact = np.where(z > 0, stats.chi(k).isf(stats.norm.sf(z)), stats.chi(k).ppf(stats.norm.cdf(z)))
    right = (z > -4) | (k < 1e7)  # far down, scipy's own distribution of very many degrees is wrong
    with jax.enable_x64(True):
        found = np.asarray(jax.vmap(lambda z: chi_quantile(z[None], np.array([k]))[0])(z))
    np.testing.assert_allclose(found[right], exact[right], atol=3e-6, rtol=0)
    assert (np.diff(found) > -1e-9).all()


def test_no_normal_number_in_single_precision_lies_farther_out():
    largest = jnp.float32(1) - jnp.finfo(jnp.float32).eps / 2  # below which uniform numbers are
    assert 5 < np.sqrt(2) * jax.scipy.special.erfinv(largest) < FARTHEST


def test_chi_square_law():
    keys = jax.random.split(jax.random.key(5), 20_000)
    drawn = np.asarray(jax.vmap(lambda key: chi_quantile(normal(key, DEGREES.shape), DEGREES))(keys)) ** 2
    for column, k in zip(drawn.T, DEGREES, strict=True):
        assert stats.kstest(column, stats.chi2(k).cdf).pvalue > 1e-3
    correlation = np.corrcoef(drawn.T) - np.eye(len(DEGREES))
    assert abs(correlation).max() < 5 / np.sqrt(len(drawn))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 10])
def test_loss_after_some_steps_is_distributed_as_with_raw_minibatches(batch):
    """Two samples of 1500 runs, one drawn by gatedlib and one by the naive reference, from the same start."""
    seeds, d_in, d_out = 1500, 6, 2
    teachers, (weights, gates) = naive.start(jax.random.key(7), d_in=d_in, d_out=d_out)
    experiment = gl.Experiment(
        gl.Given(teachers),
        gl.GatedLinear(),
        gl.Blocked(blocks=2, block_length=0.4),
        gl.Flow(tau_w=0.2, tau_c=0.1, dt=0.02, inputs=gl.Sampled(batch)),
    )
    start = gl.Params(50 * weights, gates)
    mine = gl.simulate(experiment, seeds, record=(gl.record.loss,), every=10, initial=start)
    tasks = jnp.asarray(experiment.schedule().tasks)

    def run(key):
        losses, _, _ = naive.run(key, teachers, tuple(start), tasks, tau_w=0.2, tau_c=0.1, dt=0.02, batch=batch)
        return losses

    raw = np.asarray(jax.vmap(run)(jax.random.split(jax.random.key(11), seeds)))
    for step in (0, 10, 30):
        assert stats.ks_2samp(mine.loss.sel(time=step * 0.02), raw[:, step]).pvalue > 1e-3


@pytest.mark.slow
def test_large_batches_tend_to_the_population_limit():
    """The distance to the deterministic run falls like 1/sqrt(B)."""
    experiment = gl.Experiment(
        gl.Orthogonal(d_in=6, d_out=2), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=0.3, tau_c=0.1, dt=0.02)
    )
    limit = gl.simulate(experiment, seeds=40).final_weights

    def distance(batch):
        sampled = gl.simulate(experiment.replace(inputs=gl.Sampled(batch)), seeds=40).final_weights
        return float(np.sqrt(((sampled - limit) ** 2).sum(("path", "out", "in")).mean()))

    small, large = distance(10**3), distance(10**5)
    assert large < 0.02
    assert 7 < small / large < 14  # sqrt(100) = 10
