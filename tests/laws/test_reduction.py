"""Projections keep lengths, the reduced system is the full one, and what learning conserves is conserved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import record, reduction
from tests.examples import small

pytestmark = pytest.mark.slow

SETS = {
    "orthogonal": gl.Orthogonal(tasks=3, d_in=12, d_out=3),
    "unequal singular values": gl.Spectral(values=(2.0, 1.0, 0.3), tasks=3, d_in=12, d_out=5),
    "of low rank": gl.Spectral(values=(1.0,), tasks=2, d_in=6, d_out=4),
    "correlated": gl.Correlated(tasks=3, d_in=12, d_out=3, correlation=0.6),
    "of unequal length": gl.Given(np.stack([np.eye(3, 8), 2 * np.eye(3, 8, 4)])),
}
KEEP = (record.gates, record.weights, record.weight_products)


def each_space():
    for name, teachers in SETS.items():
        matrices = np.asarray(teachers.sample(jax.random.key(1)), float)
        yield pytest.param(matrices, reduction.teacher_span(matrices), id=f"span, {name}")
        if name != "correlated":
            yield pytest.param(matrices, reduction.modes(matrices), id=f"modes, {name}")


SPACES = list(each_space())


@pytest.mark.parametrize(("teachers", "space"), SPACES)
def test_projection_is_an_isometry_on_the_span(teachers, space):
    mixed = np.einsum("pm,moi->poi", np.random.default_rng(0).normal(size=(5, len(teachers))), teachers)
    there = space.project(mixed)
    np.testing.assert_allclose(np.einsum("poi,qoi->pq", mixed, mixed), there[..., 0] @ there[..., 0].T, atol=1e-5)
    np.testing.assert_allclose(space.lift(there), mixed, atol=1e-5)
    np.testing.assert_allclose(space.outside(mixed), 0, atol=1e-5)
    np.testing.assert_allclose(space.targets, space.project(teachers)[..., 0], atol=1e-5)
    np.testing.assert_allclose(np.einsum("koi,loi->kl", space.basis, space.basis), np.eye(len(space.basis)), atol=1e-5)


def test_what_is_outside_has_the_length_that_pythagoras_says():
    teachers = np.asarray(SETS["orthogonal"].sample(jax.random.key(1)))
    space, weights = reduction.teacher_span(teachers), np.random.default_rng(0).normal(size=(4, 3, 12))
    inside = np.sum(space.project(weights) ** 2, (1, 2))
    np.testing.assert_allclose(inside + space.outside(weights) ** 2, np.sum(weights**2, (1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("teachers", "space"), SPACES)
def test_reduced_system_is_the_full_one(x64, teachers, space):
    """From a start in the eigenspace, for three paths, with penalties."""
    tasks = len(teachers)
    order = tuple(range(tasks))
    full = small(
        teachers=gl.Given(teachers), paths=3, tau_c=1.0, curriculum=gl.Blocked(blocks=4, block_length=0.5, order=order)
    )
    weights = 0.3 * np.einsum("pm,moi->poi", np.random.default_rng(2).normal(size=(3, tasks)), teachers)
    gates = np.array([0.7, 0.2, 0.4])
    # solved, not simulated: the engine would reduce the full network on its own
    whole = gl.solve(full, 1, KEEP, initial=gl.Params(weights, gates))
    reduced = gl.solve(space.reduce(full), 1, KEEP, initial=gl.Params(space.project(weights), gates))
    np.testing.assert_allclose(reduced.gates, whole.gates, atol=1e-6)
    np.testing.assert_allclose(reduced.weight_products, whole.weight_products, atol=1e-6)
    np.testing.assert_allclose(space.lift(reduced.weights.values), whole.weights, atol=1e-6)


def test_teachers_that_share_modes_have_no_modes_but_a_span():
    teachers = SETS["correlated"].sample(jax.random.key(0))
    with pytest.raises(ValueError, match=r"share modes.*reduction\.teacher_span"):
        reduction.modes(teachers)
    assert reduction.teacher_span(teachers).targets.shape == (3, 3)


def test_span_refuses_teachers_that_others_add_up_to():
    first, second = SETS["of unequal length"].matrices
    with pytest.raises(ValueError, match="dimensions = 2: must be the number of teachers, 3"):
        reduction.teacher_span(np.stack([first, second, first + second]))


def test_reduce_refuses_what_other_coordinates_change():
    space = reduction.teacher_span(SETS["orthogonal"].sample(jax.random.key(0)))
    costly = small(penalties=(gl.WeightCost(0.1),))
    with pytest.raises(ValueError, match="cost on the weights"):
        space.reduce(costly)

    class Other(gl.GatedLinear):
        pass

    with pytest.raises(ValueError, match="Use GatedLinear"):
        space.reduce(small(network=Other()))


def random_run(seed, paths, tasks, batch, penalties=(), dt=0.01, lowest=0.2):
    """A run of random blocks from random parameters, gates between the lowest and 0.9, in double precision."""
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        blocks = gl.BlockSequence(tuple(rng.integers(tasks, size=4).tolist()), (0.2,) * 4)
        inputs = gl.Population() if batch is None else gl.Sampled(batch)
        flow = gl.Flow(tau_w=rng.uniform(0.5, 2), tau_c=rng.uniform(0.1, 2), dt=dt, penalties=penalties, inputs=inputs)
        experiment = gl.Experiment(
            gl.Given(rng.normal(size=(tasks, 2, 5)) / 3), gl.GatedLinear(paths=paths), blocks, flow
        )
        start = gl.Params(rng.normal(size=(paths, 2, 5)) / 3, rng.uniform(lowest, 0.9, paths))
        return experiment, gl.simulate(experiment, 1, KEEP, initial=start)


RANDOM = {
    "seed": st.integers(0, 10**6),
    "paths": st.sampled_from([2, 3]),
    "tasks": st.sampled_from([1, 3]),
    "batch": st.sampled_from([None, 2, 9]),
}


def second_order(experiment, results):
    """What one step of dt changes in gamma though learning conserves it: dt squared times the product of speeds."""
    tau_c, tau_w = float(experiment.flow.tau_c), float(experiment.flow.tau_w)
    c, w = (np.diff(results[name].values[0], axis=0) for name in ("gates", "weights"))
    return tau_c * np.einsum("tp,tq->tpq", c, c) - tau_w * np.einsum("tpoi,tqoi->tpq", w, w)


@settings(max_examples=15)
@given(**RANDOM)
def test_gamma_is_conserved_but_for_the_step(seed, paths, tasks, batch):
    """For any tasks and any inputs each step changes gamma at second order only, by exactly this much."""
    experiment, results = random_run(seed, paths, tasks, batch)
    steps = np.diff(reduction.gamma(results).values[0], axis=0)
    np.testing.assert_allclose(steps, second_order(experiment, results), atol=1e-12)


def pairs(whole):
    own = np.einsum("...pp->...p", whole)
    return own[..., None] + own[..., None, :] - 2 * whole


@settings(max_examples=15)
@given(**RANDOM)
def test_pairs_are_conserved_under_the_paper_s_penalties_while_both_gates_are_positive(seed, paths, tasks, batch):
    experiment, results = random_run(seed, paths, tasks, batch, (gl.Nonnegative(0.3), gl.UnitNorm(0.8)))
    steps = np.diff(reduction.pair_invariant(results).values[0], axis=0) - pairs(second_order(experiment, results))
    positive = results.gates.values[0, :-1] > 0
    both = positive[:, :, None] & positive[:, None, :]
    np.testing.assert_allclose(steps[both], 0, atol=1e-12)
    assert both.any()


@settings(max_examples=20)
@given(
    a=st.floats(0, 1),
    b=st.floats(0.1, 3),
    dt=st.sampled_from([0.01, 0.005, 0.002]),
    **(RANDOM | {"paths": st.sampled_from([2, 4]), "tasks": st.sampled_from([2, 4])}),
)
def test_pairs_never_rise_but_for_the_step(seed, paths, tasks, batch, a, b, dt):
    """A step raises a pair's invariant by the second order of the step at most, and a run so by a term of order dt.

    The exception is a gate below zero while the gates' sum is below 1 - a / 2b: the penalties then drive it on.
    """
    penalties = (gl.Nonnegative(a), gl.UnitNorm(b))
    experiment, results = random_run(seed, paths, tasks, batch, penalties, dt, lowest=0.02)
    invariant, gates = reduction.pair_invariant(results).values[0], results.gates.values[0, :-1]
    driven_on = (gates.min(-1) < 0) & (np.abs(gates).sum(-1) < 1 - a / (2 * b))
    first_order = np.diff(invariant, axis=0) - pairs(second_order(experiment, results))
    assert (first_order[~driven_on] <= 1e-12).all()
    if not driven_on.any():
        steps = np.diff(results.gates.values[0], axis=0)
        bound = float(experiment.flow.tau_c) * np.sum((steps[:, :, None] - steps[:, None]) ** 2, 0)
        assert (invariant - np.minimum.accumulate(invariant) <= bound + 1e-12).all()


@pytest.mark.parametrize(("paths", "tasks"), [(2, 2), (3, 3), (4, 2)])
def test_what_pairs_rise_by_halves_with_the_step(x64, paths, tasks):
    """From the same start with the same inputs, for a bound on the sum of gates; not so for one on their length."""
    teachers = np.eye(tasks, 2 * tasks).reshape(tasks, 2, tasks)
    start = gl.Params(
        np.random.default_rng(0).normal(size=(paths, 2, tasks)) / 10, np.linspace(0.9, 1.1, paths) / paths
    )

    def rise(k, dt):
        experiment = small(
            teachers=gl.Given(teachers),
            paths=paths,
            tau_c=0.05,
            tau_w=1.0,
            dt=dt,
            curriculum=gl.Blocked(blocks=12, order=tuple(range(tasks))),
            penalties=(gl.Nonnegative(0.5), gl.UnitNorm(3.0, ord=k)),
        )
        invariant = reduction.pair_invariant(gl.simulate(experiment, 1, KEEP, initial=start)).values[0]
        return np.max(invariant - np.minimum.accumulate(invariant))

    assert 1.7 < rise(1, 0.002) / rise(1, 0.001) < 2.3
    assert rise(2, 0.002) / rise(2, 0.001) < 1.3


@settings(max_examples=15)
@given(k=st.sampled_from([1, 2]), **RANDOM)
def test_the_law_of_gamma_under_any_penalty(seed, paths, tasks, batch, k):
    """Each step changes gamma by what the penalties push, gates times pushes, and by the second order of the step."""
    penalties = (gl.Nonnegative(0.3), gl.UnitNorm(0.8, ord=k))
    experiment, results = random_run(seed, paths, tasks, batch, penalties)
    gates = results.gates.values[0, :-1]
    with jax.enable_x64(True):
        weights = jnp.zeros((paths, 1, 1))
        pushes = np.stack([sum(p.gradient(gl.Params(weights, jnp.asarray(c))).gates for p in penalties) for c in gates])
    pushed = -float(experiment.flow.dt) * np.einsum("tp,tq->tpq", gates, pushes)
    steps = np.diff(reduction.gamma(results).values[0], axis=0)
    expected = pushed + pushed.swapaxes(1, 2) + second_order(experiment, results)
    np.testing.assert_allclose(steps, expected, atol=1e-12)


def test_pair_invariant_is_what_its_formula_says():
    experiment, results = random_run(0, 3, 2, None)
    c, w = results.gates.values[0], results.weights.values[0]
    apart = np.sum((w[:, :, None] - w[:, None]) ** 2, (-2, -1))
    formula = float(experiment.flow.tau_c) * (c[:, :, None] - c[:, None]) ** 2 - float(experiment.flow.tau_w) * apart
    np.testing.assert_allclose(reduction.pair_invariant(results)[0], formula, atol=1e-12)


def test_invariants_of_a_sweep_use_each_cell_s_time_constant():
    grid = gl.sweep(small(), tau_c=[0.1, 1.0], seeds=2, record=KEEP)
    whole = reduction.gamma(grid)
    for tau_c in (0.1, 1.0):
        alone = reduction.gamma(gl.simulate(small(tau_c=tau_c), 2, KEEP))
        np.testing.assert_allclose(whole.sel(tau_c=tau_c), alone, atol=1e-6)


def test_kernel_is_that_of_the_jacobian(x64):
    rng = np.random.default_rng(0)
    params = gl.Params(jnp.asarray(rng.normal(size=(3, 2, 4))), jnp.asarray(rng.normal(size=3)))
    jacobian = jax.jacobian(gl.GatedLinear(paths=3).effective)(params)
    weights, gates = (np.reshape(leaf, (8, -1)) for leaf in jacobian)
    alignment, selectivity = reduction.kernel(params, tau_w=1.3, tau_c=0.2)
    np.testing.assert_allclose(alignment, gates @ gates.T / 0.2, atol=1e-12)
    np.testing.assert_allclose(selectivity, weights @ weights.T / 1.3, atol=1e-12)


def test_accelerators_are_the_kernel_along_the_error():
    experiment, results = random_run(3, 2, 3, None)
    rates = reduction.accelerators(results)
    for frame in (0, 20, 79):
        now = results.isel(seed=0, time=frame)
        error = now.teachers.values[int(now.active_task)] - np.einsum("p,poi->oi", now.gates, now.weights)
        parts = reduction.kernel(
            gl.Params(now.weights.values, now.gates.values), float(experiment.flow.tau_w), float(experiment.flow.tau_c)
        )
        unit = error.ravel() / np.linalg.norm(error)
        for name, part in zip(("alignment", "selectivity"), parts, strict=True):
            np.testing.assert_allclose(rates[name][0, frame], unit @ part @ unit, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda: reduction.modes(np.zeros((2, 3, 4))), r"teachers that are zero = \[0, 1\]: must be none"),
        (lambda: reduction.modes(np.ones((3, 4))), r"shape of matrices = \(3, 4\): must be \(task, out, in\)"),
        (lambda: reduction.teacher_span(np.full((1, 2, 2), np.nan)), "entries that are not finite = 4"),
        (
            lambda: reduction.teacher_span(np.eye(2)[None]).project(np.ones((2, 3))),
            r"shape of weights = \(2, 3\): must end with \(2, 2\)",
        ),
        (lambda: reduction.kernel(gl.Params(np.ones((1, 1, 1)), np.ones(1)), 1.0, 0.0), r"tau_c = 0\.0: must be"),
    ],
)
def test_bad_input_is_refused(call, refusal):
    with pytest.raises(ValueError, match=refusal):
        call()
