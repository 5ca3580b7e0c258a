"""The ideal observer against brute force, and noisy inputs against raw samples."""

import itertools

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, observer, record
from tests.examples import small

pytestmark = pytest.mark.slow

RECORD = (record.loss, record.gates, record.alignment, record.teacher_losses)


def by_enumeration(evidence, hazard):
    """The posterior of the last task: all sequences of tasks, one by one, with their probabilities."""
    steps, tasks = evidence.shape
    total = np.zeros(tasks)
    for sequence in itertools.product(range(tasks), repeat=steps):
        chance = 1 / tasks
        for before, after in itertools.pairwise(sequence):
            chance *= 1 - hazard if before == after else hazard / (tasks - 1)
        total[sequence[-1]] += chance * np.exp(sum(evidence[step, task] for step, task in enumerate(sequence)))
    return total / total.sum()


@settings(max_examples=40)
@given(
    evidence=st.tuples(st.integers(1, 6), st.integers(2, 3)).flatmap(
        lambda shape: hnp.arrays(float, shape, elements=st.floats(-5, 5))
    ),
    hazard=st.floats(0.001, 1.0),
)
def test_filter_is_the_posterior_over_all_sequences(evidence, hazard):
    beliefs = observer.filtered(evidence, hazard)
    for step in range(len(evidence)):
        np.testing.assert_allclose(beliefs[step], by_enumeration(evidence[: step + 1], hazard), atol=1e-9)


@given(st.floats(-3, 3), st.integers(0, 99))
def test_filter_ignores_what_is_the_same_for_all_tasks(shift, seed):
    evidence = np.random.default_rng(seed).normal(size=(2, 7, 3))
    moved = evidence + shift * np.arange(7)[:, None]
    np.testing.assert_allclose(observer.filtered(evidence, 0.1), observer.filtered(moved, 0.1), atol=1e-9)


def test_filter_survives_overwhelming_evidence():
    sure = np.array([[0.0, -1e6], [-1e6, 0.0], [0.0, -1e6]])
    np.testing.assert_allclose(observer.filtered(sure, 0.01), [[1, 0], [0, 1], [1, 0]], atol=1e-6)


def test_a_switch_at_every_step_is_known_without_looking():
    # two tasks and hazard 1: after one clear sample all others are predicted
    evidence = np.zeros((4, 2))
    evidence[0] = [0.0, -50.0]
    np.testing.assert_allclose(observer.filtered(evidence, 1.0)[:, 0], [1, 0, 1, 0], atol=1e-9)


def raw(key, matrix, teacher, batch, noise):
    """Loss and gradient on samples that are really drawn."""
    first, second = jax.random.split(key)
    x = jax.random.normal(first, (batch, teacher.shape[1]))
    y = x @ teacher.T + noise * jax.random.normal(second, (batch, teacher.shape[0]))
    error = x @ matrix.T - y
    return jnp.sum(error**2) / (2 * batch), error.T @ x / batch


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_noisy_inputs_have_the_law_of_noisy_samples(batch):
    """Loss, one entry of the gradient, and their product, over many draws, above and below d_in = 3."""
    matrix, teacher = jnp.array([[0.5, 0.0, -0.2], [0.1, 0.3, 0.0]]), jnp.array([[0.0, 0.4, 0.1], [0.2, -0.3, 0.3]])
    inputs, draws = gl.Noisy(batch, 0.7), 8000

    def mine(key):
        return inputs.loss(matrix, teacher, inputs.draw(key, 2, 3))

    losses, pulls = jax.vmap(mine)(jax.random.split(jax.random.key(0), draws))
    others, theirs = jax.vmap(lambda key: raw(key, matrix, teacher, batch, 0.7))(
        jax.random.split(jax.random.key(1), draws)
    )
    for a, b in (
        (losses, others),
        (pulls[:, 0, 1], theirs[:, 0, 1]),
        (losses * pulls[:, 1, 2], others * theirs[:, 1, 2]),
    ):
        assert stats.ks_2samp(np.asarray(a), np.asarray(b)).pvalue > 1e-3


def test_evidence_is_the_likelihood_of_raw_samples():
    """The difference of two teachers' losses has the mean and the variance of a log likelihood ratio."""
    # each of B samples gives D^2 / (2 noise^2) nats in the mean
    first, second = jnp.array([[0.6, 0.0]]), jnp.array([[0.0, 0.8]])
    inputs = gl.Noisy(batch=4, noise=2.0)

    def ratio(key):
        seen = inputs.draw(key, 1, 2)
        wrong, right = (inputs.loss(matrix, first, seen)[0] for matrix in (second, first))
        return 4 / 2.0**2 * (wrong - right)

    nats = np.asarray(jax.vmap(ratio)(jax.random.split(jax.random.key(0), 20_000)), float)
    expected = 4 * 1.0 / (2 * 4.0)
    assert abs(nats.mean() - expected) < 5 * nats.std() / np.sqrt(len(nats))
    # under the true task the likelihood ratio of the wrong one has mean 1
    odds = np.exp(-nats)
    assert abs(odds.mean() - 1) < 5 * odds.std() / np.sqrt(len(nats))


def noisy(**changes):
    return small(inputs=gl.Noisy(1, 0.5), curriculum=gl.Blocked(blocks=4)).replace(**changes)


def test_posterior_is_calibrated_and_beaten_by_nothing_seen():
    """Of the steps on which it says 70 to 80 %, it is right on about as many; gates are wrong more often."""
    experiment = small(inputs=gl.Noisy(1, 1.0), curriculum=gl.RandomSwitches(duration=40.0, mean_length=0.4))
    said, right, wrong = [], [], []
    for draw in range(12):  # all seeds of a run see the same switches
        results = gl.simulate(experiment.replace(draw=draw), 10, RECORD)
        belief = observer.posterior(results, hazard=0.02 / 0.4)
        said.append(belief.values[..., 0])
        right.append(np.broadcast_to(results.active_task.values == 0, said[-1].shape))
        others = observer.gate_shares(results), observer.posterior(results, hazard=0.5)
        wrong.append([float(observer.error_rate(each, results).mean()) for each in (belief, *others)])
    said, right = np.concatenate(said), np.concatenate(right)
    for low in (0.1, 0.3, 0.5, 0.7):
        within = (said >= low) & (said < low + 0.1)
        assert abs(right[within].mean() - said[within].mean()) < 0.05
    best, gates, restless = np.mean(wrong, axis=0)
    assert best < gates
    assert best < restless


def test_shares_are_those_of_the_gates_after_the_step():
    results = gl.simulate(noisy(), 3, RECORD)
    shares, matched = observer.gate_shares(results), metrics.reorder_paths(results)
    gates = matched.gates.transpose("seed", "time", "path").clip(min=0).values
    np.testing.assert_allclose(shares.values[:, :-1], (gates / gates.sum(-1, keepdims=True))[:, 1:], atol=1e-6)
    last = np.clip(matched.final_gates.values, 0, None)
    np.testing.assert_allclose(shares.values[:, -1], last / last.sum(-1, keepdims=True), atol=1e-6)


def test_steps_and_errors_by_hand():
    results = gl.simulate(noisy(curriculum=gl.BlockSequence((0, 1, 0), (0.06, 0.08, 0.04))), 1, RECORD)
    on = np.array([0.5, 0.95, 0.2, 0.1, 0.3, 0.89, 0.9, 0.1, 0.1])  # belief in the task that is on
    first = np.where(results.active_task.values == 0, on, 1 - on)
    belief = xr.DataArray(np.stack([first, 1 - first], -1)[None], dims=("seed", "time", "task"))
    assert observer.steps_to_certainty(belief, results).values.tolist() == [[2, 4, 2]]
    np.testing.assert_array_equal(observer.errors(belief, results), [[0.5, 0, 1, 1, 1, 0, 0, 1, 1]])
    np.testing.assert_allclose(observer.error_rate(belief, results), [(0.5 + 5) / 9])


def test_without_noise_there_is_nothing_to_observe():
    results = gl.simulate(small(), 2, RECORD)
    for call, part in (
        (lambda: observer.posterior(results), "must be Noisy"),
        (lambda: observer.posterior(gl.simulate(noisy(), 2, RECORD, every=2)), "every = 2"),
        (lambda: observer.posterior(gl.simulate(noisy(), 2, (record.loss,))), "teacher_losses"),
        (lambda: observer.gate_shares(gl.simulate(noisy(paths=3), 2, RECORD)), "number of paths = 3"),
        (lambda: observer.filtered(np.zeros((3, 1)), 0.1), "number of tasks = 1"),
        (lambda: observer.filtered(np.full((3, 2), np.nan), 0.1), "must be 0"),
        (lambda: observer.filtered(np.zeros((3, 2)), 1.5), "hazard = 1.5"),
        (lambda: observer.filtered(np.zeros((3, 2)), 0.0), "hazard = 0.0"),
        (
            lambda: observer.steps_to_certainty(results.loss, results),
            "tasks of belief = None: must be all of the run, 0 to 1",
        ),
        (lambda: observer.steps_to_certainty(results.loss, results, level=1.0), "level = 1.0"),
        (lambda: gl.Noisy(1, 0.0), "noise = 0.0"),
        (lambda: observer.error_rate(observer.gate_shares(results)[:, 9:], results), "Cut the results too"),
    ):
        with pytest.raises(ValueError, match=part.replace("(", r"\(")):
            call()


def test_labels_have_no_teacher_losses():
    examples = gl.Examples(np.eye(3), [0, 1, 2], batch=2)
    names = gl.Labellings(((0, 1, 2), (1, 2, 0)))
    experiment = gl.Experiment(names, gl.GatedLinear(), gl.Blocked(blocks=1), gl.Flow(1.0, 1.0, 0.1, inputs=examples))
    with pytest.raises(ValueError, match="have labels"):
        gl.simulate(experiment, 1, (record.teacher_losses,))


def test_teacher_losses_are_the_same_in_any_company():
    experiment = noisy()
    alone = gl.simulate(experiment, [3], RECORD)
    grid = gl.sweep(experiment, tau_c=[0.1, 0.2], seeds=[1, 3], record=RECORD)
    for tau_c in (0.1, 0.2):
        found = grid.teacher_losses.sel(tau_c=tau_c, seed=3).values
        np.testing.assert_allclose(found, alone.teacher_losses.sel(seed=3).values, rtol=1e-5, atol=1e-6)
