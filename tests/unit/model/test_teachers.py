import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib._internal.numerics import orthonormal


@pytest.mark.slow
@settings(max_examples=25)  # each shape is compiled
@given(tasks=st.integers(1, 4), d_out=st.integers(1, 4), spare=st.integers(0, 3), seed=st.integers(0, 99))
def test_orthogonal_teachers_share_nothing_and_have_the_stated_size(tasks, d_out, spare, seed):
    teachers = gl.Orthogonal(tasks=tasks, d_in=tasks * d_out + spare, d_out=d_out)
    flat = np.asarray(teachers.sample(jax.random.key(seed)), float).reshape(tasks * d_out, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(tasks * d_out) / teachers.d_in, atol=1e-6)


def test_costs_of_no_answer_and_of_the_wrong_answer():
    first, second = np.asarray(gl.Orthogonal(d_in=20, d_out=10).sample(jax.random.key(3)))
    assert np.isclose((first**2).sum() / 2, 0.25)
    assert np.isclose(((first - second) ** 2).sum() / 2, 0.5)


def test_orthogonal_teachers_are_uniform_over_rotations():
    # the entries of a random unit vector in n dimensions have mean 0, variance 1/n and fourth moment 3/n(n+2)
    keys = jax.random.split(jax.random.key(0), 4000)
    entries = np.asarray(jax.vmap(gl.Orthogonal(tasks=1, d_in=4, d_out=1, scale=1.0).sample)(keys))[:, 0, 0]
    for power, moment in ((1, 0), (2, 1 / 4), (4, 3 / 24)):
        error = (entries**power).std(0) / np.sqrt(len(keys))
        assert (abs((entries**power).mean(0) - moment) < 5 * error).all()


def test_each_seed_has_teachers_of_its_own_and_given_ones_stay():
    experiment = gl.Experiment(
        gl.Orthogonal(d_in=4, d_out=2), gl.GatedLinear(), gl.Blocked(blocks=1), gl.Flow(tau_w=1, tau_c=1, dt=0.5)
    )
    drawn = gl.simulate(experiment, seeds=2).teachers.values
    assert not np.allclose(drawn[0], drawn[1])
    kept = gl.simulate(experiment.replace(teachers=gl.Given(drawn[0])), seeds=2).teachers.values
    np.testing.assert_array_equal(kept, [drawn[0], drawn[0]])


@pytest.mark.slow
@settings(max_examples=40)
@given(tasks=st.sampled_from([2, 5]), correlation=st.floats(0, 1), seed=st.integers(0, 99))
def test_correlated_teachers_have_exactly_the_stated_correlation_and_size(tasks, correlation, seed):
    teachers = gl.Correlated(tasks=tasks, d_in=3 * tasks, d_out=3, scale=2.0, correlation=correlation)
    drawn = np.asarray(teachers.sample(jax.random.key(seed)), float)
    products = np.einsum("mij,nij->imn", drawn, drawn)
    expected = 4 * ((1 - correlation) * np.eye(tasks) + correlation)
    np.testing.assert_allclose(products, np.broadcast_to(expected, products.shape), atol=1e-5)


def test_uncorrelated_teachers_are_the_orthogonal_ones():
    key = jax.random.key(5)
    np.testing.assert_allclose(gl.Correlated(correlation=0.0).sample(key), gl.Orthogonal().sample(key), atol=1e-7)


@settings(max_examples=30)
@given(n=st.integers(1, 6), d=st.integers(1, 6), rank=st.integers(0, 6), seed=st.integers(0, 999))
def test_gram_schmidt_keeps_the_span_and_only_that(n, d, rank, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, rank)) @ random.normal(size=(rank, d)) * 10 ** random.uniform(-3, 3, size=(n, 1))
    basis = np.asarray(orthonormal(jax.numpy.asarray(rows, float)), float)
    lengths = (basis**2).sum(1)
    assert lengths[lengths > 0.5].size == min(n, d, rank)
    np.testing.assert_allclose(basis @ basis.T, np.diag(lengths.round()), atol=1e-5)
    np.testing.assert_allclose(rows @ basis.T @ basis, rows, atol=1e-5 * max(1.0, abs(rows).max()))


@pytest.mark.parametrize("values", [(1.0,), (2.0, 1.0, 0.5), (1.0, 0.0)])
def test_spectral_teachers_have_the_singular_values_asked_for_and_share_no_mode(values):
    teachers = np.asarray(gl.Spectral(values, tasks=3, d_in=12, d_out=4).sample(jax.random.key(0)), float)
    found = np.linalg.svd(teachers, compute_uv=False)[:, : len(values)]
    np.testing.assert_allclose(found, np.tile(sorted(values, reverse=True), (3, 1)), atol=1e-5)
    np.testing.assert_allclose(np.einsum("moi,noj->mnij", teachers, teachers)[0, 1].trace(), 0, atol=1e-5)
    overlaps = np.einsum("moi,npi->mnop", teachers, teachers)  # no input pattern in common
    np.testing.assert_allclose(overlaps[~np.eye(3, dtype=bool)], 0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"values": ()}, r"values = \(\): must hold at least one singular value above 0"),
        ({"values": (0.0, 0.0)}, "at least one singular value above 0"),
        ({"values": (1.0, -1.0)}, "singular value = -1.0: must be a finite number, 0 or above"),
        ({"values": (1.0,) * 20}, "d_in = 30: 2 teachers with 20 singular values need d_in >= 40"),
        ({"values": (1.0,) * 5, "d_out": 4}, "d_out = 4: 2 teachers with 5 singular values need d_out >= 5"),
    ],
)
def test_spectral_teachers_that_cannot_be_are_refused(settings, refusal):
    with pytest.raises(ValueError, match=refusal):
        gl.Spectral(**settings)
