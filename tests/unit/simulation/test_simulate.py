"""`simulate` as a whole: symmetries, seeds, records, files, divergence."""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from benchmarks import naive
from gatedlib.simulation import programs, simulate, subspace
from tests.examples import CONSTRAINTS, small


def start(paths, seed=0):
    keys = jax.random.split(jax.random.key(seed))
    return gl.Params(0.3 * jax.random.normal(keys[0], (paths, 2, 6)), jax.random.uniform(keys[1], (paths,)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))  # two of them are 3-cycles
def test_relabelled_paths_give_relabelled_results(order):
    order = list(order)
    experiment, params = small(paths=3, inputs=gl.Sampled(4)), start(3)
    results = gl.simulate(experiment, seeds=2, initial=params)
    turned = gl.simulate(experiment, seeds=2, initial=gl.Params(params.weights[order,], params.gates[order,]))
    for name in ("loss", "gates", "alignment", "final_weights", "final_gates"):
        expected = results[name].isel(path=order) if "path" in results[name].dims else results[name]
        np.testing.assert_allclose(turned[name], expected, atol=2e-6)
    served = gl.metrics.matching(results).values
    np.testing.assert_array_equal(np.asarray(order)[gl.metrics.matching(turned).values], served)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [gl.Population(), gl.Sampled(3), gl.Sampled(40)])
def test_a_seed_alone_is_the_seed_in_company(inputs):
    experiment = small(inputs=inputs)
    together = gl.simulate(experiment, seeds=[0, 5, 2**31 - 1])
    for seed in together.seed.values:
        alone = gl.simulate(experiment, seeds=[int(seed)])
        xr.testing.assert_allclose(alone, together.sel(seed=[seed]), atol=2e-6)


def test_same_call_same_numbers():
    experiment = small(inputs=gl.Sampled(8))
    xr.testing.assert_identical(gl.simulate(experiment, seeds=3), gl.simulate(experiment, seeds=3))


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 40, 200])
def test_a_sparser_record_is_a_thinned_record(every):
    experiment = small(inputs=gl.Sampled(20))
    dense, sparse = (gl.simulate(experiment, seeds=2, every=n) for n in (1, every))
    np.testing.assert_allclose(sparse.time, dense.time[::every])
    np.testing.assert_array_equal(sparse.active_task, dense.active_task[::every])
    for name in ("loss", "gates", "alignment", "weight_products", "weight_speed", "gate_speed"):
        np.testing.assert_allclose(sparse[name], dense[name].isel(time=slice(None, None, every)), atol=2e-6)
    np.testing.assert_allclose(sparse.final_weights, dense.final_weights, atol=2e-6)


def test_an_experiment_is_traced_once_whatever_its_numbers(monkeypatch):
    traces, evaluate = [], gl.record.evaluate

    def counted(*asked):
        traces.append(1)
        return evaluate(*asked)

    monkeypatch.setattr(gl.record, "evaluate", counted)
    keep = (gl.record.Quantity("own", (), lambda frame: frame.loss),)  # which no other test has compiled
    for tau_c in (0.1, 0.2, 0.4):
        for b in (0.0, 0.5):
            gl.simulate(small(tau_c=tau_c, b=b, weight_scale=tau_c), seeds=2, record=keep)
    gl.simulate(small(order=(1, 0)), seeds=[3, 4], record=keep)
    assert len(traces) == 1


@pytest.mark.usefixtures("x64")
def test_population_runs_equal_the_naive_reference():
    experiment = small(tau_c=0.05)
    teachers, params = naive.start(jax.random.key(1), d_in=6, d_out=2)
    params = gl.Params(100 * params[0], jnp.array([0.3, 0.6]))
    mine = gl.simulate(experiment.replace(teachers=gl.Given(teachers)), seeds=1, initial=params)
    constants = {"tau_w": 1.3, "tau_c": 0.05, "dt": 0.02, "a": 0.0909, "b": 0.909}
    tasks = jnp.asarray(experiment.schedule().tasks)
    losses, gates, (weights, _) = naive.run(jax.random.key(0), teachers, tuple(params), tasks, **constants)
    np.testing.assert_allclose(mine.loss[0], losses, rtol=1e-9)
    np.testing.assert_allclose(mine.gates[0], gates, atol=1e-9)
    np.testing.assert_allclose(mine.final_weights[0], weights, atol=1e-9)


class Whole(gl.GatedLinear):
    """The same network under another name, which the engine does not know: it learns all weights one by one."""


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("paths", [1, 2, 3])
@pytest.mark.parametrize("weight_scale", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("teachers", [gl.Orthogonal(2, 6, 2), gl.Correlated(2, 6, 2, correlation=1.0)])
def test_learning_coordinates_is_learning_weights(paths, weight_scale, teachers):
    record = (*gl.record.DEFAULT, gl.record.weights)
    experiment = small(teachers=teachers, blocks=2)
    quick, slow = (
        gl.simulate(experiment.replace(network=kind(paths, 0.5, weight_scale)), seeds=2, record=record)
        for kind in (gl.GatedLinear, Whole)
    )
    for name in quick.data_vars:
        np.testing.assert_allclose(quick[name], slow[name], atol=1e-12, err_msg=name)


def test_coordinates_are_only_used_where_the_flow_stays_in_them():
    assert subspace.suffices(small())
    for change in (
        {"network": Whole(2)},
        {"network": gl.GatedLinear(paths=10)},  # as many coordinates as weights
        {"inputs": gl.Sampled(200)},
        {"penalties": (gl.WeightCost(0.0),)},
        {"penalties": (gl.Scaled(1.0, (gl.WeightCost(0.0),)),)},
    ):
        assert not subspace.suffices(small(**change)), change


def test_frames_hold_the_state_before_the_step():
    results = gl.simulate(small(), seeds=2, record=(gl.record.gates, gl.record.weights, gl.record.loss))
    assert (results.gates.isel(time=0) == 0.5).all()
    first = results.isel(time=0)
    error = (first.gates * first.weights).sum("path") - first.teachers.isel(task=0)
    np.testing.assert_allclose(first.loss, (error**2).sum(("out", "in")) / 2, rtol=1e-5)


def test_a_run_continues_from_where_another_ended():
    whole = gl.simulate(small(), seeds=3)
    half = small(blocks=2)
    first = gl.simulate(half, seeds=3)
    second = gl.simulate(half, seeds=3, initial=gl.results.final_params(first))
    np.testing.assert_allclose(second.final_weights, whole.final_weights, atol=1e-6)
    np.testing.assert_allclose(second.loss, whole.loss[:, 100:], atol=1e-6)


def test_labels_and_settings():
    experiment = small(inputs=gl.Sampled(7), curriculum=gl.BlockSequence((1, 0, 1), (0.2, 0.4, 0.2)))
    results = gl.simulate(experiment, seeds=[3, 1], every=5)
    assert results.gates.dims == ("seed", "time", "path")
    assert results.alignment.dims == ("seed", "time", "task", "path")
    assert results.final_weights.dims == ("seed", "path", "out", "in")
    np.testing.assert_array_equal(results.seed, [3, 1])
    np.testing.assert_allclose(results.time, np.arange(0, 0.8, 0.1))
    np.testing.assert_array_equal(results.active_task, [1, 1, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(results.block, [1, 2, 3])
    np.testing.assert_array_equal(results.block_start, [0, 10, 30])
    np.testing.assert_array_equal(results.block_task, [1, 0, 1])
    expected = {"flow.tau_w": 1.3, "flow.inputs": "Sampled", "flow.inputs.batch": 7, "flow.penalties.UnitNorm.b": 0.909}
    assert expected.items() <= gl.results.settings(results).items()


def test_results_survive_a_file_without_loss(tmp_path):
    results = gl.simulate(small(inputs=gl.Sampled(8)), seeds=2, record=(*gl.record.DEFAULT, gl.record.weights))
    results.to_netcdf(tmp_path / "run.nc")
    loaded = xr.load_dataset(tmp_path / "run.nc")
    xr.testing.assert_identical(results, loaded)
    assert {name: array.dtype for name, array in results.items()} == {n: a.dtype for n, a in loaded.items()}


def test_the_default_record_is_small():
    # 10 seeds x 20 blocks of 1000 steps, without running them: 1 seed, 2 blocks, scaled up
    results = gl.simulate(gl.Experiment(gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(2), gl.Flow(1.3, 0.03)), seeds=1)
    assert 100 * results.nbytes < 50e6


def test_a_custom_quantity_with_axes_of_its_own():
    @gl.record.quantity("path")
    def largest_weight(frame):
        return jnp.abs(frame.params.weights).max((1, 2))

    results = gl.simulate(small(paths=3), seeds=2, record=(largest_weight,), every=100)
    assert dict(results.largest_weight.sizes) == {"seed": 2, "time": 2, "path": 3}


@pytest.mark.parametrize("every", [1, 100])
def test_divergence_raises_with_time_and_quantity(every):
    with pytest.raises(
        gl.DivergenceError, match=r"nan or inf at time [\d.]+ \(step \d+, seed \d\).*Reduce dt \(now 0\.02\)"
    ):
        gl.simulate(small(tau_w=0.003, tau_c=0.003, b=0.0), seeds=2, every=every)


def test_divergence_is_not_blamed_on_a_quantity_that_was_never_finite():
    @gl.record.quantity()
    def never(frame):
        return jnp.nan * frame.loss

    with pytest.raises(gl.DivergenceError, match=r"(weights|gates) = nan or inf at time [1-9]"):
        gl.simulate(small(tau_w=0.003, tau_c=0.003, b=0.0), seeds=2, record=[never])


@settings(max_examples=25)
@given(tau_w=st.floats(1e-3, 10), tau_c=st.floats(1e-3, 10), b=st.floats(0, 50), a=st.floats(0, 50))
def test_never_a_number_that_is_not_finite(tau_w, tau_c, b, a):
    """Any rates either run to finite numbers or are refused."""
    with contextlib.suppress(ValueError):
        results = gl.simulate(small(tau_w=tau_w, tau_c=tau_c, a=a, b=b), seeds=2)
        assert all(np.isfinite(array).all() for array in results.data_vars.values())


def test_replace_finds_settings_wherever_they_stand():
    changed = small().replace(tau_c=0.5, b=0.1, d_in=9, blocks=2)
    assert changed.flow.tau_c == 0.5
    assert changed.flow.penalties[1].b == 0.1
    assert (changed.teachers.d_in, changed.curriculum.blocks) == (9, 2)
    assert changed.flow.penalties[0] == CONSTRAINTS[0]
    assert small().flow.tau_c == 0.1


PROGRAMS_OF_A_RUN = 6


@pytest.mark.slow
def test_compiled_programs_are_forgotten_before_there_are_too_many(monkeypatch):
    """Each takes memory maps; a process that asks for more than the system gives is ended by it."""
    monkeypatch.setattr(simulate, "MAX_PROGRAMS", 2)
    first = gl.simulate(small(), 1)
    for d_in in (7, 8, 9):
        gl.simulate(small(teachers=gl.Orthogonal(tasks=2, d_in=d_in, d_out=2)), 1)
        assert programs.compiled_count() <= 2 + PROGRAMS_OF_A_RUN
    np.testing.assert_array_equal(gl.simulate(small(), 1).loss, first.loss)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"teachers": gl.Spectral(values=(1.0, 0.5), d_in=6, d_out=2)},
        {"network": gl.TwoLayer(hidden=4)},
    ],
)
def test_a_seed_is_the_same_network_in_double_precision(parts):
    experiment = small(**parts)
    single = jax.tree.map(np.asarray, experiment.draw(3))
    with jax.enable_x64(True):
        double = jax.tree.map(np.asarray, experiment.draw(3))
    for one, other in zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True):
        assert (one.dtype, other.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(one, other, atol=1e-5)
