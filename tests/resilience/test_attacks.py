"""What a hostile reader tried: tiles of other sweeps, data that changed unseen, results that were cut, odd numbers."""

import fractions
import shutil

import jax
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from gatedlib._internal.identity import canonical_repr
from gatedlib_book import dynamics
from gatedlib_book.estimates import fraction, mean, median
from tests.examples import small

GRID = {"tau_c": [0.1, 0.2]}
FACTOR = 1.0


def swept(folder, **settings):
    asked = {"seeds": 2, "measure": metrics.end_loss, **GRID, **settings}
    return gl.sweep(small(), save=folder, memory=1, **asked)


@pytest.fixture(scope="module")
def results():
    return gl.simulate(small(), 3)


@pytest.fixture(scope="module")
def grid():
    return gl.sweep(small(), seeds=3, **GRID)


def test_tiles_that_lost_their_plan_do_not_serve_another_sweep(tmp_path):
    swept(tmp_path)
    (tmp_path / "plan.json").unlink()
    found = swept(tmp_path, tau_c=[0.3, 0.4])
    expected = gl.sweep(small(), seeds=2, tau_c=[0.3, 0.4], measure=metrics.end_loss)
    xr.testing.assert_allclose(found, expected)


def test_tiles_of_another_sweep_are_not_read(tmp_path):
    swept(tmp_path / "one")
    swept(tmp_path / "other", tau_c=[0.3, 0.4])
    for tile in (tmp_path / "other").glob("tile-*.nc"):
        tile.unlink()
    for tile in (tmp_path / "one").glob("tile-*.nc"):
        shutil.copy(tile, tmp_path / "other")
    expected = gl.sweep(small(), seeds=2, tau_c=[0.3, 0.4], measure=metrics.end_loss)
    xr.testing.assert_allclose(swept(tmp_path / "other", tau_c=[0.3, 0.4]), expected)


def test_a_tile_under_the_name_of_another_is_found_out(tmp_path):
    swept(tmp_path)
    first, second, *_ = sorted(tmp_path.glob("tile-*.nc"))
    second.unlink()
    shutil.copy(first, tmp_path / first.name.replace("00000", "00001"))
    with pytest.raises(ValueError, match=r"holds another tile. Remove that file"):
        swept(tmp_path)


@pytest.mark.parametrize("spoil", [lambda text: text.replace("[0]", "[1]", 1), lambda text: "", lambda text: text[:-9]])
def test_a_plan_that_was_changed_is_found_out(tmp_path, spoil):
    swept(tmp_path)
    plan = tmp_path / "plan.json"
    plan.write_text(spoil(plan.read_text()))
    with pytest.raises(ValueError, match="is damaged"):
        swept(tmp_path)


def test_other_held_out_examples_are_another_sweep(tmp_path):
    tasks = gl.Labellings(((0, 1), (1, 0)))
    experiment = small(teachers=tasks, inputs=gl.Examples(np.eye(4), [0, 1, 0, 1], batch=4))

    def last(classes):
        held = gl.record.accuracy(gl.Examples(np.eye(4), classes))
        return gl.sweep(experiment, seeds=1, record=[held], save=tmp_path, tau_w=[1.0])

    last([0, 1, 0, 1])
    with pytest.raises(ValueError, match="differs in record"):
        last([1, 0, 1, 0])


def test_a_measure_that_reads_another_value_of_a_global_is_another_sweep(tmp_path, monkeypatch):
    def scaled(run):
        return run.loss.mean("time") * FACTOR

    swept(tmp_path, measure=scaled)
    swept(tmp_path, measure=scaled)
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    with pytest.raises(ValueError, match="differs in measure"):
        swept(tmp_path, measure=scaled)


def test_a_measure_with_a_jitted_part_is_the_same_in_every_process():
    double = jax.jit(lambda x: 2 * x)
    assert " at 0x" not in canonical_repr(lambda run: double(run.loss.values))


def test_functions_of_the_library_are_known_by_name_and_module_those_of_the_paper_by_their_code():
    assert canonical_repr(metrics.end_loss.__wrapped__).startswith("gatedlib.analysis.switching end_loss")
    assert dynamics.gate_speed_after_switch.__code__.co_code.hex() in canonical_repr(dynamics.gate_speed_after_switch)


def test_another_precision_is_another_sweep(tmp_path):
    swept(tmp_path)
    with jax.enable_x64(True), pytest.raises(ValueError, match="differs in double precision"):
        swept(tmp_path)


def test_measures_keep_the_order_of_seeds():
    with pytest.raises(ValueError, match=r"must keep their order. Sort after the sweep"):
        gl.sweep(small(), seeds=2, measure=lambda run: run.loss.mean("time").sortby("seed", ascending=False), **GRID)


def test_a_measure_may_read_what_is_swept(grid):
    inside = gl.sweep(small(), seeds=3, measure=gl.reduction.gamma, **GRID).gamma
    xr.testing.assert_allclose(inside, gl.reduction.gamma(grid).transpose(*inside.dims), atol=1e-5)


CUT = [
    lambda run: metrics.post_switch_loss(run.isel(time=slice(50, None))),
    lambda run: metrics.end_loss(run.isel(time=slice(0, 170))),
    lambda run: metrics.time_to_criterion(run.isel(time=slice(50, None))),
    lambda run: gl.observer.gate_shares(run.isel(time=slice(0, 100))),
]


@pytest.mark.parametrize("metric", CUT)
def test_metrics_of_blocks_refuse_results_that_were_cut(results, metric):
    with pytest.raises(ValueError, match=r"must be those of the whole run, 0 to 199. Measure or join first"):
        metric(results)


def test_values_of_other_frames_are_refused(results):
    with pytest.raises(ValueError, match="frames of values = 60"):
        metrics.per_block(results.loss.isel(time=slice(0, 60)), results, lambda loss: loss.max(-1))


def test_one_selected_value_of_a_sweep_is_measured_as_its_cell(grid):
    cell = gl.results.cell(grid, tau_c=0.2)
    for metric in (metrics.end_loss, metrics.total_alignment, gl.reduction.gamma):
        xr.testing.assert_allclose(metric(grid.sel(tau_c=0.2)).drop_vars("tau_c"), metric(cell))
    with pytest.raises(ValueError, match="is no result of a sweep"):
        gl.results.cell(grid.isel(tau_c=0), tau_c=0.1)


def test_arguments_that_belong_to_cells_are_taken_in_each(grid):
    reorder_paths = metrics.reorder_paths(grid, metrics.matching(grid))
    xr.testing.assert_allclose(reorder_paths.gates, metrics.reorder_paths(grid).gates)


REFUSED = [
    (lambda run: metrics.alignment_matched(run.drop_vars("alignment")), "must include 'alignment'"),
    (lambda run: metrics.matching(run.mean("seed")), r"they are lost with the axis seed, as after an average"),
    (lambda run: metrics.reorder_paths(run, metrics.matching(run).isel(seed=[0])), "must be those of the results"),
    (lambda run: metrics.reorder_paths(run, 0 * metrics.matching(run)), "must name another path for each task"),
    (lambda run: gl.transfer.loss_with(run, run.final_gates.isel(path=[0])), r"paths of gates = \[0\]"),
    (lambda run: gl.transfer.loss_with(run, run.final_gates.isel(seed=[0])), r"seeds of gates = \[0\]"),
    (lambda run: gl.transfer.loss_with(run, run.final_gates.isel(path=0, drop=True)), "paths of gates = None"),
    (lambda run: gl.transfer.best_gates(run, np.nan * run.teachers), "numbers in targets that are not finite = "),
    (lambda run: gl.transfer.best_gates(run, run.teachers.isel({"in": slice(3)})), r"of targets = \(2, 3\)"),
    (lambda run: gl.transfer.adapt(small(), run, ("a", "b")), "weight = 'a': must be a number"),
    (lambda run: gl.transfer.adapt(small(), run, (1, 0), duration=np.inf), "duration = inf"),
    (lambda run: gl.plotting.recoveries(gl.sweep(small(), seeds=1, **GRID)), "these results hold a sweep"),
    (lambda run: gl.plotting.over_seeds(run.gates, None), "must be seed and one other"),
    (lambda run: small(tau_c=fractions.Fraction(1, 10)), "must be a number above 0"),
    (lambda run: small(tau_w=10**400), "must be a number above 0"),
    (lambda run: small(block_length=1e308), r"a run has below 2\*\*31"),
    (lambda run: small().draw(2**32), r"must be below 2\*\*31"),
    (lambda run: gl.simulate(small(), np.array(3.5)), "must be a number or a list of numbers"),
    (lambda run: gl.UnitNorm(0.9, ord=2.0), "must be 1 or 2"),
    (lambda run: gl.Spectral(values=1.0), "must be a list of singular values"),
    (lambda run: gl.Sums(gl.Labellings(((0, 1), (1, 0))), [(0.5, 0.5)]), "have labels, which do not add up"),
    (lambda run: gl.reduction.kernel(gl.Params(np.ones((3, 2, 2)), np.ones(2)), 1, 1), "one gate per path"),
    (lambda run: gl.theory.gate_divergence(np.eye(2), [0], [1.0], 1.0, 0.1, np.ones(3)), r"apart = \(3,\)"),
    (lambda run: gl.theory.gate_divergence(np.eye(2), [0], [1.0], 1, 0.1, np.ones(2), gates=np.ones(3)),
     r"shape of gates = \(3,\)"),
    (lambda run: gl.record.accuracy(gl.Examples(np.eye(2), [0, 1])) and gl.simulate(
        small(), 1, [gl.record.accuracy(gl.Examples(np.eye(6), range(6)))]), "have no labels to be right about"),
    (lambda run: gl.simulate(small(), 1, [gl.record.Quantity("teachers", (), lambda frame: frame.loss)]),
     "must leave out names that results have already"),
    (lambda run: gl.simulate(small(), 1, [gl.record.Quantity("w", ("path",), lambda frame: frame.params.weights)]),
     r"axes of w = \('path',\): its values have the shape \(2, 2, 6\)"),
    (lambda run: gl.simulate(small(), 1, [gl.record.Quantity("w", ("path",), lambda frame: frame.teachers[0, 0])]),
     r"its values have the shape \(6,\), which should be \(2,\)"),
    (lambda run: gl.simulate(small(), 1, [gl.record.Quantity("none", (), lambda frame: 0.0 * frame.loss / 0.0)]),
     "quantity = 'none': is nan or inf at time 0"),
    (lambda run: mean(run.loss.isel(time=0)), "fewer than 6 would be much too narrow"),
    (lambda run: fraction(run.loss.isel(time=0)), "must be bool"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refused(results, call, words):
    with pytest.raises(ValueError, match=words):
        call(results)


def test_composites_have_no_path_that_gates_could_tell():
    tasks = gl.Sums(gl.Orthogonal(tasks=2, d_in=6, d_out=2), [(0.5, 0.5)])
    experiment = small(teachers=tasks, curriculum=gl.Blocked(blocks=6, order=(0, 1, 2)))
    for paths in (2, 3):
        run = gl.simulate(experiment.replace(paths=paths), 2)
        for metric in (metrics.matching_by_gates, metrics.decoded_task, gl.observer.gate_shares):
            with pytest.raises(ValueError, match="tasks made of others = 1"):
                metric(run)


def test_settings_of_one_number_come_back_from_a_file(tmp_path):
    teachers = gl.Spectral(values=(1.0,), d_in=6, d_out=2)
    experiment = small(teachers=teachers)
    run = gl.simulate(experiment, 2)
    run.to_netcdf(tmp_path / "run.nc")
    again = xr.load_dataset(tmp_path / "run.nc")
    assert again.identical(run)
    assert gl.transfer.adapt(experiment, again, (1.0, 0.0)).sizes["seed"] == 2


def test_beliefs_and_losses_at_their_limits_are_numbers():
    sure = gl.observer.filtered(np.array([[0.0, -1e4], [0.0, -1e4]]), hazard=1)
    np.testing.assert_allclose(sure, [[1, 0], [0, 1]])
    np.testing.assert_allclose(gl.theory.alternation_loss(1.0, 0.03, 1e-9, 0.001), 1e-18 / 8, rtol=1e-6)
    assert np.isnan(gl.theory.next_block(-0.5, -0.5, 1.0, 1.3, 0.06, 2**0.5)).all()


def test_intervals_hold_the_truth_as_often_as_they_say():
    draws = np.random.default_rng(0)

    def held(interval, sample, truth, count):
        kept = [interval(xr.DataArray(sample(count), dims="seed")) for _ in range(300)]
        return sum(bool(each.low <= truth <= each.high) for each in kept) / 300

    assert held(median, draws.standard_cauchy, 0.0, 30) > 0.93
    assert held(mean, draws.standard_normal, 0.0, 30) > 0.91
    for share in (0.5, 0.98):
        assert held(fraction, lambda count, p=share: draws.uniform(size=count) < p, share, 30) > 0.92
    several = fraction(xr.DataArray(np.ones((10, 2), bool), dims=("seed", "at")))
    assert several.low.shape == (2,)
    assert several.low[0] < 0.75
