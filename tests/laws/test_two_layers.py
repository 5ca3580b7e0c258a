"""Laws of networks with two layers, and what their metrics say of layers made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book import depth
from tests.examples import small

pytestmark = pytest.mark.slow

HIDDEN, OUT, IN = 4, 2, 6


def two(**changes) -> gl.Experiment:
    """A small network with two layers: 4 hidden units for 2 tasks with 2 outputs."""
    held = (gl.Nonnegative(0.1), gl.UnitNorm(0.3, ord=2))
    experiment = small(network=gl.TwoLayer(hidden=HIDDEN, gate_spread=0.3, weight_scale=0.5), penalties=held)
    return experiment.replace(**changes)


def test_it_learns_as_a_plain_loop_over_two_matrices_does():
    experiment = two()
    results = gl.simulate(experiment, seeds=[3])
    teachers, start = experiment.draw(3)
    first, second = np.asarray(start.weights, float), np.asarray(start.gates, float).T
    flow, losses = experiment.flow, []
    for task in experiment.schedule().tasks:
        error = second @ first - np.asarray(teachers[task], float)
        losses.append(np.sum(error**2) / 2)
        length = np.sqrt(np.sum(second**2))
        push = -0.1 * (second < 0) + 0.3 * (length - 1) * second / length
        first, second = (
            first - flow.dt / flow.tau_w * second.T @ error,
            second - flow.dt / flow.tau_c * (error @ first.T + push),
        )
    np.testing.assert_allclose(results.loss[0], losses, atol=1e-5)
    np.testing.assert_allclose(results.final_gates[0], second.T, atol=1e-4)


def test_a_hidden_unit_is_a_path_whose_row_all_outputs_share():
    params = two().draw(0)[1]
    shared = gl.Params(jnp.repeat(params.weights[:, None], OUT, 1), params.gates)
    np.testing.assert_allclose(
        two().network.effective(params), gl.NeuronGated(paths=HIDDEN).effective(shared), atol=1e-6
    )


def test_without_penalties_neighbouring_layers_stay_balanced_but_for_the_step():
    def drift(dt):
        free = two(penalties=(), dt=dt)
        results = gl.simulate(free, 3, (record.gates, record.weight_products), every=round(0.02 / dt))
        gamma = gl.reduction.gamma(results)
        assert gamma.dims == ("seed", "time", "hidden", "other_hidden")
        return float(abs(gamma - gamma.isel(time=0)).max())

    coarse, fine = drift(2e-2), drift(1e-2)
    assert 0 < fine < 0.6 * coarse


def turned(params, turn):
    """The same function with the hidden layer turned, and the second layer turned with it."""
    return gl.Params(turn @ params.weights, turn @ params.gates)


@pytest.mark.parametrize("bounded", [True, False])
def test_only_nonnegativity_notices_a_turn_of_the_hidden_layer(bounded):
    experiment = two(penalties=(gl.UnitNorm(0.3, ord=2) if bounded else gl.Nonnegative(0.3),))
    _, start = experiment.draw(0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(HIDDEN, HIDDEN)))[0]
    as_is, other = (gl.simulate(experiment, [0], initial=p) for p in (start, turned(start, turn)))
    if bounded:
        np.testing.assert_allclose(as_is.loss, other.loss, atol=1e-5)
        np.testing.assert_allclose(turn @ as_is.final_gates[0].values, other.final_gates[0], atol=1e-4)
    else:
        assert abs(as_is.loss - other.loss).max() > 1e-2


@settings(max_examples=20)
@given(order=st.permutations(range(HIDDEN)))
def test_hidden_units_may_be_numbered_in_any_order(order):
    _, start = two().draw(0)
    renumbered = jax.tree.map(lambda leaf: leaf[jnp.asarray(order)], start)
    as_is, other = (gl.simulate(two(), [0], initial=p) for p in (start, renumbered))
    np.testing.assert_allclose(as_is.loss, other.loss, atol=1e-5)
    np.testing.assert_allclose(metrics.total_alignment(as_is), metrics.total_alignment(other), atol=1e-5)


def planted(order, noise=0.0):
    """Results in which unit `order[task * OUT + out]` holds the teacher's row, and the second layer picks it."""
    experiment = two(curriculum=gl.Blocked(blocks=2, block_length=0.2), penalties=(), tau_w=np.inf, tau_c=np.inf)
    teachers, _ = experiment.draw(0)
    rows = np.asarray(teachers).reshape(-1, IN)
    weights, gates = np.zeros((HIDDEN, IN)), np.full((2, HIDDEN, OUT), noise)
    for number, unit in enumerate(order):
        weights[unit] = rows[number]
        gates[number // OUT, unit, number % OUT] = 1.0
    results = gl.simulate(experiment, [0], initial=gl.Params(weights, gates[0]))
    on_task = xr.DataArray(gates, dims=("task", "hidden", "out")).isel(task=results.active_task)
    return results.assign(gates=on_task.expand_dims("seed").transpose(*results.gates.dims))


@settings(max_examples=20)
@given(order=st.permutations(range(HIDDEN)))
def test_planted_gates_are_found_in_any_order(order):
    results = planted(order)
    np.testing.assert_array_equal(metrics.matching(results)[0].values.ravel(), order)
    np.testing.assert_allclose(metrics.total_alignment(results), 1, atol=1e-6)
    np.testing.assert_allclose(metrics.gate_like(results), 1, atol=1e-6)
    np.testing.assert_allclose(metrics.gate_on(results), 1)
    np.testing.assert_allclose(metrics.gate_off(results), 0)
    np.testing.assert_allclose(metrics.alignment_matched(results), 1, atol=1e-6)
    reorder_paths = metrics.reorder_paths(results)
    np.testing.assert_array_equal(metrics.matching(reorder_paths)[0].values.ravel(), range(HIDDEN))
    np.testing.assert_allclose(reorder_paths.gates[0, 0].values, np.eye(HIDDEN)[:, :OUT])


def test_the_gate_like_fraction_is_a_share_of_squares():
    results = planted(range(HIDDEN), noise=0.5)
    # each output has 1 and 0.5 on its task's two units, and 0.5 on both others
    np.testing.assert_allclose(metrics.gate_like(results), (1 + 0.25) / (1 + 0.75))


def layers(seed, task_gates=None):
    draw = np.random.default_rng(seed)
    gates = draw.normal(size=(1, HIDDEN, OUT, 2)) if task_gates is None else task_gates
    weights = xr.DataArray(draw.normal(size=(1, HIDDEN, IN)), dims=("seed", "hidden", "in"))
    return weights.assign_coords(seed=[0]), xr.DataArray(gates, {"seed": [0]}, ("seed", "hidden", "out", "task"))


@given(seed=st.integers(0, 10_000))
def test_no_two_layers_are_smaller_than_the_sum_of_singular_values_allows(seed):
    assert depth.excess(*layers(seed)).item() >= 1


@given(seed=st.integers(0, 10_000))
def test_the_smallest_layers_are_gates_if_weights_are_not_negative(seed):
    """Least norms for given columns, by the pseudo-inverse: 1 for gates, above for other nonnegative layers."""
    draw = np.random.default_rng(seed)
    rows = np.linalg.qr(draw.normal(size=(IN, IN)))[0][: 2 * OUT]

    def least(columns):
        weights = xr.DataArray(np.linalg.pinv(columns.T) @ rows, dims=("hidden", "in")).expand_dims(seed=[0])
        gates = columns.reshape(HIDDEN, 2, OUT).transpose(0, 2, 1)
        return depth.excess(weights, layers(0, gates[None])[1]).item()

    one_each = np.eye(HIDDEN)[draw.permutation(HIDDEN)]
    np.testing.assert_allclose(least(one_each), 1, atol=1e-9)
    assert least(one_each + draw.uniform(0.05, 1, size=(HIDDEN, HIDDEN))) > 1.001


def test_a_first_layer_that_holds_one_task_only_lacks_the_other():
    results = planted(range(HIDDEN))
    gates = (
        results.gates.isel(time=[0, -1]).rename(time="task").drop_vars(("task", "active_task", "step"), errors="ignore")
    )
    gates = gates.assign_coords(task=[0, 1])
    whole = results.final_weights
    np.testing.assert_allclose(depth.missing(whole, gates, results.teachers), 0, atol=1e-12)
    np.testing.assert_allclose(depth.missing(whole.where(whole.hidden < OUT, 0.0), gates, results.teachers), 0.5)
    again = gates.sel(task=[0, 0]).assign_coords(task=[0, 1])  # what a free network does, task A's answers on both
    np.testing.assert_allclose(depth.missing(whole, again, results.teachers), 1, atol=1e-6)


def test_overlap_and_single_units_of_layers_made_by_hand():
    same = xr.DataArray(np.eye(HIDDEN)[:, :OUT], dims=("hidden", "out"))
    other = xr.DataArray(np.eye(HIDDEN)[:, OUT:], dims=("hidden", "out"))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(HIDDEN, HIDDEN)))[0]
    for seen in (same, same.copy(data=turn @ same.values)):
        np.testing.assert_allclose(depth.overlap(seen, seen), 1)
    np.testing.assert_allclose(depth.overlap(same, other), 0)
    turned_pair = (same.copy(data=turn @ each.values) for each in (same, other))
    np.testing.assert_allclose(depth.overlap(*turned_pair), 0, atol=1e-12)
    assert depth.one_unit(same).item() == 1
    np.testing.assert_allclose(depth.one_unit(xr.ones_like(same)), 1 / HIDDEN)


def test_what_holds_for_paths_only_is_refused():
    results = gl.simulate(two(), 2, (*record.DEFAULT, record.weights))
    calls = (gl.transfer.best_gates, gl.transfer.parts, metrics.specialization)
    for call in (*calls, gl.reduction.accelerators, gl.reduction.pair_invariant):
        with pytest.raises(ValueError, match=r"'hidden in': this is about paths"):
            call(results)
    with pytest.raises(ValueError, match="hidden units = 3"):
        metrics.reorder_paths(gl.simulate(two(hidden=3), 2))
