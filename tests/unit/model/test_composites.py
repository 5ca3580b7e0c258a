"""Tasks made of others, gates for each output, and what gates alone can do with them."""

import itertools

import jax
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import metrics, transfer
from gatedlib.model.curricula import Curriculum
from tests.examples import CONSTRAINTS, by_hand, small

pytestmark = pytest.mark.slow

THREE = gl.Orthogonal(tasks=3, d_in=9, d_out=3)
HALVES = ((0.5, 0.5, 0.0), (0.0, 0.5, 0.5))
WEIGHT = st.floats(-2, 2, allow_nan=False, width=32)


@settings(max_examples=30)
@given(weights=st.tuples(WEIGHT, WEIGHT, WEIGHT), seed=st.integers(0, 99))
def test_a_sum_is_what_paths_that_are_its_parts_compute_with_its_weights_as_gates(weights, seed):
    """Composing teachers and taking the effective matrix commute."""
    drawn = gl.Sums(THREE, [weights]).sample(jax.random.key(seed))
    network = gl.GatedLinear(paths=3)
    made = network.effective(gl.Params(drawn[:3], np.array(weights, np.float32)))
    np.testing.assert_allclose(drawn[3], made, atol=1e-6)
    np.testing.assert_array_equal(drawn[:3], THREE.sample(jax.random.key(seed)))


@given(rows=st.tuples(*[st.integers(0, 2)] * 3), seed=st.integers(0, 99))
def test_a_row_mixture_is_what_one_hot_gates_per_neuron_compute(rows, seed):
    drawn = gl.RowMixtures(THREE, [rows]).sample(jax.random.key(seed))
    gates = np.eye(3)[:, list(rows)]
    made = gl.NeuronGated(paths=3).effective(gl.Params(drawn[:3], gates))
    np.testing.assert_allclose(drawn[3], made, atol=1e-6)


def test_composites_of_composites_count_only_the_tasks_at_the_bottom():
    teachers = gl.RowMixtures(gl.Sums(THREE, HALVES), [(0, 3, 4)])
    assert (teachers.shape, teachers.components) == ((6, 3, 9), 3)
    drawn = teachers.sample(jax.random.key(0))
    np.testing.assert_allclose(drawn[5][1], (drawn[0][1] + drawn[1][1]) / 2, atol=1e-7)


def test_weights_may_come_as_an_array_and_leave_the_experiment_hashable():
    teachers = gl.Sums(THREE, np.array(HALVES))
    assert teachers == gl.Sums(THREE, HALVES)
    hash(gl.Experiment(teachers, gl.GatedLinear(), gl.Blocked(blocks=1, order=(0,)), gl.Flow(1.0, 1.0, dt=0.5)))


PLANS = st.sampled_from(
    [gl.Blocked(blocks=3, order=(0, 1)), gl.BlockSequence((2, 0), (1.0, 3.0)), gl.RandomSwitches(6.0)]
)


@given(phases=st.lists(PLANS, min_size=1, max_size=4))
def test_phases_follow_each_other(phases: list[Curriculum]):
    plan, parts = gl.Phases(tuple(phases)).schedule(0.5), [phase.schedule(0.5) for phase in phases]
    np.testing.assert_array_equal(plan.tasks, np.concatenate([part.tasks for part in parts]))
    assert len(plan.start) == sum(len(part.start) for part in parts)
    np.testing.assert_array_equal(plan.tasks[plan.start], plan.block_tasks)
    np.testing.assert_array_equal(plan.start[1:], plan.stop[:-1])
    assert plan.stop[-1] == len(plan.tasks)


def neurons(**settings):
    """A small experiment with gates for each output, which are held to length one neuron by neuron."""
    held = (gl.Nonnegative(0.0909), gl.UnitNorm(0.909, per_neuron=True))
    return small(network=gl.NeuronGated(paths=2, weight_scale=0.3), penalties=held).replace(**settings)


def test_each_neuron_is_a_gated_network_of_its_own():
    """With norms held neuron by neuron nothing couples the outputs: each learns as if it were alone."""
    together = gl.simulate(neurons(), seeds=3, record=(gl.record.loss, gl.record.gates))
    losses = 0.0
    for seed in range(3):
        teachers, params = neurons().draw(seed)
        for row in range(2):
            own = slice(row, row + 1)
            alone = small(teachers=gl.Given(teachers[:, own]), penalties=CONSTRAINTS)
            start = gl.Params(params.weights[:, own], params.gates[:, row])
            results = gl.simulate(alone, seeds=1, initial=start)
            np.testing.assert_allclose(results.gates[0], together.gates[seed, :, :, row], atol=2e-5)
            losses += results.loss.values[0]
    np.testing.assert_allclose(together.loss.sum("seed"), losses, atol=1e-4)


def test_one_norm_for_all_gates_couples_the_neurons():
    held_together = neurons(per_neuron=False)
    changed = gl.simulate(held_together, seeds=1).gates - gl.simulate(neurons(), seeds=1).gates
    assert float(abs(changed).max()) > 0.1


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("penalties", [(), (gl.UnitNorm(0.3), gl.Nonnegative(0.1))])
def test_every_row_conserves_its_pair_invariant_while_its_gates_are_positive(penalties):
    """In proportion to dt, for rows whose gates the penalties push alike."""

    def drift(dt):
        brief = neurons(dt=dt, penalties=penalties, block_length=0.2, weight_scale=0.05)
        results = gl.simulate(brief, seeds=3)
        assert float(results.gates.min()) > 0
        invariant = gl.reduction.pair_invariant(results)
        assert dict(invariant.sizes) == {**results.gates.sizes, "other_path": 2}
        return float(abs(invariant - invariant.isel(time=0)).max())

    coarse, fine = drift(0.02), drift(0.002)
    assert 7 < coarse / fine < 13


def aligned(scores):
    """Results of one seed at one time, with alignments (task, path, out)."""
    alignment = ("time", "task", "path", "out"), np.asarray(scores)[None]
    teachers = ("task", "out", "in"), np.ones((len(scores), np.shape(scores)[-1], 2))
    frame = {"time": [0.0], "step": ("time", [0]), "active_task": ("time", [0])}
    return by_hand({"alignment": alignment, "teachers": teachers}, "out", coordinates=frame)


@settings(max_examples=40)
@given(tasks=st.integers(1, 3), outs=st.integers(1, 4), seed=st.integers(0, 999))
def test_each_neuron_is_matched_by_itself_and_best(tasks, outs, seed):
    scores = np.random.default_rng(seed).uniform(-1, 1, (tasks, 3, outs))
    results = aligned(scores)
    chosen = metrics.matching(results).transpose("task", "out", "seed").values[..., 0]
    for out in range(outs):
        best = max(sum(scores[range(tasks), list(p), out]) for p in itertools.permutations(range(3), tasks))
        np.testing.assert_allclose(scores[range(tasks), chosen[:, out], out].sum(), best)
    turned = metrics.reorder_paths(results)
    np.testing.assert_array_equal(metrics.matching(turned).values[0], np.tile(np.arange(tasks)[:, None], outs))
    np.testing.assert_allclose(
        metrics.alignment_matched(turned), metrics.alignment_matched(results), rtol=1e-12, atol=1e-12
    )


def test_relabelling_neuron_by_neuron_moves_gates_and_weights_together():
    results = gl.simulate(neurons(), seeds=4)
    turned = metrics.reorder_paths(results)
    assert (metrics.matching(turned) == metrics.matching(turned).task).all()
    for data in (results, turned):
        effective = (data.final_gates * data.final_weights).sum("path")
        np.testing.assert_allclose(effective, (results.final_gates * results.final_weights).sum("path"), atol=1e-6)
    np.testing.assert_allclose(metrics.specialization(turned), metrics.specialization(results), rtol=1e-5)
    np.testing.assert_allclose(metrics.total_alignment(turned), metrics.total_alignment(results), rtol=1e-5)


@gl.record.quantity("path")
def weight_size(frame):
    return (frame.params.weights**2).sum((1, 2))


def test_a_quantity_of_paths_is_not_reordered_output_by_output():
    results = gl.simulate(neurons(), seeds=2, record=(gl.record.alignment, weight_size))
    with pytest.raises(ValueError, match=r"weight_size = .*: paths are reordered for each output"):
        metrics.reorder_paths(results)


def composed(**settings):
    """Three tasks in turn, and then a sum of two of them."""
    single, new = gl.Blocked(blocks=6, order=(0, 1, 2)), gl.Blocked(blocks=1, order=(3,))
    experiment = gl.Experiment(
        gl.Sums(THREE, [(0.5, 0.5, 0.0)]),
        gl.GatedLinear(paths=3, weight_scale=0.3),
        gl.Phases((single, new)),
        gl.Flow(tau_w=0.5, tau_c=0.1, dt=0.02, penalties=CONSTRAINTS),
    )
    return experiment.replace(**settings)


def test_composites_have_no_path_of_their_own():
    results = gl.simulate(composed(), seeds=4)
    assert results.component.values.tolist() == [1, 1, 1, 0]
    matched = metrics.matching(results)
    assert (matched.isel(task=3) == -1).all()
    assert (np.sort(matched.isel(task=slice(3)), axis=-1) == [0, 1, 2]).all()
    # the composite changes no measure of who does what, and its gates are neither on nor off
    alone = metrics.components(results)
    for measure in (metrics.alignment_matched, metrics.alignment_crossed, metrics.total_alignment):
        np.testing.assert_allclose(measure(results), measure(alone), atol=1e-6)
    np.testing.assert_allclose(metrics.specialization(results), metrics.specialization(alone), atol=1e-6)
    for gate in (metrics.gate_on(results), metrics.gate_off(results)):
        assert (np.isnan(gate) == (results.active_task == 3)).all()
    assert (metrics.matching(metrics.reorder_paths(results)).isel(seed=0) == [0, 1, 2, -1]).all()


def test_a_sweep_over_the_size_of_tasks_keeps_what_is_composite():
    grid = gl.sweep(composed(), scale=[0.2, 0.4], seeds=2, record=(gl.record.alignment,))
    cell = gl.results.cell(grid, scale=0.4)
    assert cell.component.values.tolist() == [1, 1, 1, 0]
    assert (metrics.matching(cell).isel(task=3) == -1).all()


def test_parts_are_the_weights_of_sums_row_by_row_if_rows_have_gates():
    random = np.random.default_rng(0)
    for network in (gl.GatedLinear(paths=2), gl.NeuronGated(paths=2)):
        own = ("out",) if isinstance(network, gl.NeuronGated) else ()
        experiment = gl.Experiment(THREE, network, gl.Blocked(blocks=1, order=(0,)), gl.Flow(np.inf, np.inf, dt=0.5))
        shares = xr.DataArray(random.normal(size=(2, 3, 3)[: 2 + len(own)]), dims=("path", "task", *own))
        teachers = xr.DataArray(np.asarray(experiment.draw(0)[0]), dims=("task", "out", "in"))
        paths = (shares * teachers).sum("task").transpose("path", "out", "in").values
        start = gl.Params(paths, np.ones(network.shapes(3, 9)["gates"]))
        made = transfer.parts(gl.simulate(experiment, seeds=1, initial=start))
        np.testing.assert_allclose(made.sel(seed=0).transpose(*shares.dims), shares, atol=1e-5)


STUDENTS = [gl.GatedLinear(paths=3, weight_scale=1.0), gl.NeuronGated(paths=3, weight_scale=1.0)]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("network", STUDENTS, ids=lambda network: type(network).__name__)
def test_descent_on_gates_alone_ends_at_the_least_squares_optimum(network):
    frozen = gl.Flow(tau_w=np.inf, tau_c=0.1, dt=0.02)
    long = gl.Experiment(gl.Sums(THREE, HALVES), network, gl.BlockSequence((3,), (400.0,)), frozen)
    results = gl.simulate(long, seeds=3, record=(gl.record.loss,), every=1000)
    best = transfer.best_gates(results).sel(task=3)
    np.testing.assert_allclose(best, results.final_gates, atol=1e-5)
    losses = transfer.loss_with(results, transfer.best_gates(results))
    np.testing.assert_allclose(losses.sel(task=3), results.loss.isel(time=-1), atol=1e-7)


@settings(max_examples=20)
@given(neuron=st.booleans(), seed=st.integers(0, 999))
def test_nonnegative_gates_cannot_be_improved(neuron, seed):
    """Slopes are zero where gates are open and upward where they are shut: the optimum of a convex problem."""
    random = np.random.default_rng(seed)
    gate_dims = ("path", "out") if neuron else ("path",)
    results = by_hand({
        "final_weights": (("path", "out", "in"), random.normal(size=(3, 2, 5))),
        "teachers": (("task", "out", "in"), random.normal(size=(4, 2, 5))),
        "final_gates": (gate_dims, np.ones((3, 2)[: len(gate_dims)])),
    }, *gate_dims[1:])  # fmt: skip
    gates = transfer.best_gates(results, nonnegative=True)
    error = (gates * results.final_weights).sum("path") - results.teachers
    slopes = (error * results.final_weights).sum([dim for dim in ("out", "in") if dim not in gate_dims])
    assert (gates >= 0).all()
    assert (slopes > -1e-8).all()
    assert (abs(slopes.where(gates > 0, 0)) < 1e-8).all()
    free = transfer.loss_with(results, transfer.best_gates(results))
    assert (transfer.loss_with(results, gates) > free - 1e-9).all()


@pytest.mark.parametrize("spread", [1.0, 1.5])
def test_gates_alone_take_the_time_that_theory_says(spread):
    """Paths spread about the middle of the teachers, gates that add up to one: from A to (B + C) / 2."""
    teachers = gl.Sums(gl.Orthogonal(tasks=3, d_in=20, d_out=6), [(0, 0.5, 0.5)])
    flow = gl.Flow(tau_w=np.inf, tau_c=0.03, dt=1e-4, penalties=(gl.Nonnegative(0.5), gl.UnitNorm(2.5)))
    experiment = gl.Experiment(teachers, gl.GatedLinear(paths=3), gl.BlockSequence((3,), (0.5,)), flow)
    teachers = experiment.draw(0)[0][:3]
    paths = teachers.mean(0) + spread * (teachers - teachers.mean(0))
    gates = 1 / 3 + (np.array([1.0, 0.0, 0.0]) - 1 / 3) / spread  # so that the network is teacher A
    start = gl.Params(paths, gates)
    results = gl.simulate(experiment, seeds=[0], initial=start)
    np.testing.assert_allclose(metrics.specialization(results), spread**2, rtol=1e-3)
    measured = metrics.time_to_criterion(results, theta=0.02).item()
    expected = transfer.adaptation_time(1.5**0.5, size=0.3, tau_c=0.03, theta=0.02, specialization=spread**2)
    assert abs(measured / expected - 1) < 0.01
    assert transfer.adaptation_time(0.1, size=0.3, tau_c=0.03, theta=0.02) == 0.0
