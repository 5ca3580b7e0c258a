"""The two normalisations: the earlier form, written out, learns what `forms.earlier` says."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib_book import forms
from tests.examples import small


def written_out(experiment, teachers, weights, gates):
    """Losses and gates of the earlier form step by step: rows of length one, the loss a mean over outputs, Euler steps.

    Args:
        experiment: of the released form; its time constants, penalties and blocks are those of the earlier form too.
        teachers: with rows of length one.
        weights: at the start.
        gates: at the start.
    """
    flow, schedule = experiment.flow, experiment.schedule()
    dt, outputs = float(flow.dt), teachers.shape[1]
    (a, b) = (float(flow.penalties[0].a), float(flow.penalties[1].b)) if flow.penalties else (0.0, 0.0)
    told = []
    for task, start, stop in zip(schedule.block_tasks, schedule.start, schedule.stop, strict=True):
        for _ in range(start, stop):
            error = np.einsum("p,pij->ij", gates, weights) - teachers[task]
            told.append((np.sum(error**2) / (2 * outputs), gates, weights))
            slope = error / outputs
            pull = np.einsum("pij,ij->p", weights, slope)
            pull = pull - a * (gates < 0) + b * np.sign(gates) * (np.sum(np.abs(gates)) - 1)
            weights = weights - dt / float(flow.tau_w) * gates[:, None, None] * slope
            gates = gates - dt / float(flow.tau_c) * pull
    return [np.array(each) for each in zip(*told, strict=True)]


@settings(max_examples=20)
@given(
    sizes=st.sampled_from([(6, 2), (12, 6)]),
    spread=st.floats(0.0, 0.3),
    tau_w=st.floats(0.02, 1.0),
    tau_c=st.floats(0.02, 1.0),
    held=st.booleans(),
)
def test_the_earlier_form_written_out_learns_the_same(sizes, spread, tau_w, tau_c, held):
    d_in, d_out = sizes
    released = small(
        teachers=gl.Orthogonal(tasks=2, d_in=d_in, d_out=d_out),
        network=gl.GatedLinear(paths=2),
        curriculum=gl.Blocked(blocks=4, block_length=0.5),
        flow=gl.Flow(tau_w, tau_c, dt=0.005, penalties=(gl.Nonnegative(0.5), gl.UnitNorm(1.5)) if held else ()),
    )
    with jax.enable_x64(True):
        experiment = forms.earlier(released, spread)
        record = (gl.record.population_loss, gl.record.gates, gl.record.weights)
        drawn, start = experiment.draw(0)
        same = experiment.replace(teachers=gl.Given(np.asarray(drawn)))  # simulate draws them up to rounding
        ours = gl.simulate(same, seeds=1, record=record, initial=start)
        root, began = np.sqrt(d_out), np.asarray(start.weights)
        teachers = root * np.asarray(drawn)
        np.testing.assert_allclose(np.linalg.norm(teachers, axis=-1), 1, rtol=1e-6)
        loss, gates, weights = written_out(released, teachers, root * began, np.asarray(start.gates))
    np.testing.assert_allclose(ours.population_loss[0], loss, rtol=1e-5)
    np.testing.assert_allclose(ours.gates[0].transpose("time", "path"), gates, atol=1e-5)
    np.testing.assert_allclose(root * ours.weights[0].transpose("time", ...), weights, atol=1e-5)


def test_the_earlier_form_has_the_weights_of_the_same_seed_but_smaller():
    released = small()
    (_, before), (_, after) = released.draw(3), forms.earlier(released, 0.1).draw(3)
    np.testing.assert_allclose(after.weights * released.sizes[0] ** 0.5, before.weights, rtol=1e-5)
    assert np.ptp(before.gates) == 0 < np.ptp(after.gates)


@pytest.mark.parametrize("network", [gl.GatedLinear, gl.NeuronGated])
def test_gates_begin_with_the_spread_that_is_asked_for(network):
    def start(seeds=4000, **settings):
        drawn = jax.vmap(small(network=network(paths=2, **settings)).draw)(np.arange(seeds))
        return drawn[1]

    equal, apart = start(), start(gate_spread=0.1, gate_init=0.4)
    assert (equal.gates == 0.5).all()
    np.testing.assert_array_equal(equal.weights, apart.weights)  # the same seed is the same network
    count = apart.gates.size
    assert abs(float(apart.gates.mean()) - 0.4) < 4 * 0.1 / count**0.5
    assert abs(float(apart.gates.std()) / 0.1 - 1) < 4 / (2 * count) ** 0.5
    flat = np.asarray(apart.gates).reshape(len(apart.gates), -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(flat.shape[1])).max() < 0.07
    firsts = np.asarray(apart.weights).reshape(len(flat), -1)[:, :1]
    assert abs(np.corrcoef(firsts[:, 0], flat[:, 0])[0, 1]) < 0.07  # and gates know nothing of weights


def test_what_is_no_spread_is_refused():
    with pytest.raises(ValueError, match=r"gate_spread = -0\.1: must be a finite number, 0 or above\. Use 0 for gates"):
        gl.GatedLinear(gate_spread=-0.1)


def test_what_has_no_earlier_form_is_refused():
    released = small()
    for other, message in (
        (forms.earlier(released), r"scale = 0\.7071.*must be left out: in the earlier form it is 1/sqrt\(d_out\)"),
        (released.replace(network=gl.TwoLayer(hidden=4)), "network = TwoLayer.*must be a GatedLinear"),
        (released.replace(penalties=(gl.WeightCost(0.1),)), "penalty = WeightCost.*acts on weights"),
    ):
        with pytest.raises(ValueError, match=message):
            forms.earlier(other)


def test_an_experiment_without_one_of_these_settings_has_no_earlier_form():
    with pytest.raises(ValueError, match="setting = 'scale': there is no such setting"):
        forms.earlier(small(teachers=gl.Spectral(values=(1.0,), d_in=6, d_out=3)))
