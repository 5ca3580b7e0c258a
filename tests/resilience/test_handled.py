"""What people do to results: the right number afterwards, or a refusal that says what to do."""

import subprocess
import sys
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from tests.examples import CONSTRAINTS, small


@pytest.fixture(scope="module")
def run():
    return gl.simulate(small(), 3)


@pytest.fixture(scope="module")
def grid():
    return gl.sweep(small(), tau_c=[0.03, 0.3], seeds=2)


@pytest.fixture(scope="module")
def cell():
    return gl.simulate(small(tau_c=0.3), 2)


def joined(*runs, dim="time", **settings):
    settings = {"data_vars": "all", "coords": "different", "compat": "equals", **settings}
    return xr.concat(runs, dim, **settings)


SELECTED = {
    "sel": lambda grid: grid.sel(tau_c=0.3),
    "sel, dropped": lambda grid: grid.sel(tau_c=0.3, drop=True),
    "isel": lambda grid: grid.isel(tau_c=1),
    "squeezed": lambda grid: grid.isel(tau_c=[1]).squeeze("tau_c", drop=True),
    "renamed": lambda grid: grid.rename(tau_c="speed").sel(speed=0.3, drop=True),
}


@pytest.mark.parametrize("select", SELECTED)
@pytest.mark.parametrize("metric", [metrics.end_loss, metrics.total_alignment, gl.reduction.gamma])
def test_a_selected_cell_is_the_run_of_its_settings(grid, cell, select, metric):
    found = metric(SELECTED[select](grid)).drop_vars("tau_c", errors="ignore")
    xr.testing.assert_allclose(found, metric(cell), atol=1e-5)
    assert gl.results.settings(SELECTED[select](grid))["flow.tau_c"] == 0.3


def test_a_renamed_setting_is_measured_under_its_new_name(grid):
    renamed = metrics.end_loss(grid.rename(tau_c="speed"))
    np.testing.assert_array_equal(renamed, metrics.end_loss(grid))
    assert renamed.dims[0] == "speed"


@pytest.mark.parametrize("average", ["mean", "median", "max"])
@pytest.mark.parametrize("dim", ["tau_c", "seed"])
def test_an_average_of_runs_is_no_run_and_is_told_by_its_axis(grid, dim, average):
    with pytest.raises(ValueError, match=f"lost with the axis {dim}, as after an average over runs"):
        metrics.end_loss(getattr(grid, average)(dim))


def test_two_halves_are_the_whole():
    experiment = small(inputs=gl.Sampled(5))
    first = gl.simulate(experiment, 3)
    then = gl.simulate(experiment, 3, initial=gl.results.final_params(first), start=200)
    whole, both = gl.simulate(experiment.replace(blocks=8), 3), gl.results.join(first, then)
    xr.testing.assert_identical(both.drop_vars("settings"), whole.drop_vars("settings"))
    for metric in (metrics.time_to_criterion, metrics.switch_cost, gl.reduction.gamma, metrics.total_alignment):
        xr.testing.assert_identical(metric(both), metric(whole))
    ax = plt.figure().gca()
    assert (np.diff(gl.plotting.loss(both, ax).lines[0].get_xdata()) > 0).all()
    third = gl.simulate(experiment, 3, initial=gl.results.final_params(then), start=400)
    assert gl.results.join(both, third).sizes["block"] == 12


def test_halves_joined_by_hand_are_refused():
    first = gl.simulate(small(), 3)
    then = gl.simulate(small(), 3, initial=gl.results.final_params(first), start=200)
    for both in (joined(first, then), joined(first, first)):
        for read in (metrics.time_to_criterion, gl.plotting.loss):
            with pytest.raises(ValueError, match=r"gatedlib.results.join"):
                read(both)
    with pytest.raises(ValueError, match="must increase from frame to frame"):
        gl.reduction.gamma(first.isel(time=[0, 2, 1]))


def test_what_does_not_go_on_is_not_joined(run):
    end = gl.results.final_params(run)
    goes_on = gl.simulate(small(), 3, initial=end, start=200)
    noisy = small(inputs=gl.Sampled(5))
    first = gl.simulate(noisy, 3)
    again = gl.simulate(noisy, 3, initial=gl.results.final_params(first))
    for pair, words in [
        ((run, run), "must begin with the parameters at the end of first"),
        ((run, gl.simulate(small(tau_c=0.2), 3, initial=end, start=200)), "flow.tau_c = 0.2: was 0.1 in first"),
        ((first, again), "start of then = 0: must be 200"),
        ((run, goes_on.isel(seed=[0])), "seeds of then"),
        ((run, goes_on.drop_vars("loss")), "quantities of then"),
        ((run, metrics.reorder_paths(goes_on)), "paths of then = 'reordered'.*Join first, and reorder what you get"),
        ((run.isel(time=slice(0, 100)), goes_on), "must be those of the whole run"),
        ((run.isel(block=[0]), goes_on), "must be all . of the run"),
        ((run.isel(time=slice(None, None, 2)), goes_on), "equally far apart"),
    ]:
        with pytest.raises(ValueError, match=words):
            gl.results.join(*pair)
    assert gl.results.join(run, gl.simulate(small(), 3, initial=end)).sizes["time"] == 400  # nothing random to go on


def test_thinned_frames_are_those_of_a_coarser_record():
    experiment = small(curriculum=gl.BlockSequence((0, 1, 0), (1.0, 2.0, 1.02)))  # 201 steps
    run = gl.simulate(experiment, 2)
    for every in (2, 5, 10, 50):
        thin = run.isel(time=slice(None, None, every))
        below = run.loss.values[:, ::every] < 0.1
        starts, stops = [0, 50, 150], [50, 150, 201]
        for block, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            inside = below[:, -(-start // every) : -(-stop // every)]
            first = np.where(inside.any(1), inside.argmax(1) * every, stop - start) * 0.02
            np.testing.assert_allclose(metrics.time_to_criterion(thin)[:, block], first, atol=1e-9)
    with pytest.raises(ValueError, match="there must be a frame at the first step of each block, none is at step 50"):
        metrics.switch_loss(run.isel(time=slice(None, None, 20)))
    with pytest.raises(ValueError, match="frames must be equally far apart"):
        metrics.switch_loss(run.isel(time=[0, 1, 50, 150, 200]))


def test_runs_of_two_settings_joined_are_measured_each_by_its_own(run):
    other = gl.simulate(small(tau_c=0.3), 3)
    both = joined(run, other, dim=xr.Variable("tau_c", [0.1, 0.3]))
    for metric in (gl.reduction.gamma, metrics.gate_on, metrics.time_to_criterion):
        xr.testing.assert_allclose(metric(both).sel(tau_c=0.3, drop=True), metric(other))
    with pytest.raises(ValueError, match="these results hold a sweep, or several runs side by side"):
        gl.plotting.shade_blocks(both, plt.figure().gca())
    named = gl.results.settings(both)["flow.tau_c"]
    assert named.dims == ("tau_c",)
    assert named.values.tolist() == [0.1, 0.3]
    xr.testing.assert_identical(gl.results.cell(both, tau_c=0.3), other)


def test_settings_of_any_kind_are_told_where_they_vary(run):
    turned, free = (gl.simulate(small(**change), 3) for change in ({"order": (1, 0)}, {"penalties": ()}))
    told = gl.results.settings(joined(run, turned, free, dim="network"))
    assert told["curriculum.order"].values.tolist() == ["default", [1, 0], "default"]
    assert told["flow.penalties"].values.tolist() == ["Nonnegative + UnitNorm"] * 2 + [""]
    assert told["flow.penalties.UnitNorm.b"].values.tolist() == [0.909, 0.909, None]
    assert told["flow.tau_w"] == 1.3
    per_seed = joined(run.isel(seed=[0]), gl.simulate(small(tau_c=0.3), [5]), dim="seed")
    assert gl.results.settings(per_seed)["flow.tau_c"].to_series().to_dict() == {0: 0.1, 5: 0.3}
    law = gl.reduction.gamma(per_seed)  # each network by its own time constants
    xr.testing.assert_allclose(law.sel(seed=5), gl.reduction.gamma(gl.simulate(small(tau_c=0.3), [5])).sel(seed=5))


def test_runs_joined_without_their_settings_are_refused(run):
    """As `xarray.concat` does with its new defaults, which keep the coordinates of the first."""
    if "use_new_combine_kwarg_defaults" not in xr.get_options():
        pytest.skip("this xarray has the old defaults only")
    with xr.set_options(use_new_combine_kwarg_defaults=True):
        both = xr.concat([run, gl.simulate(small(tau_c=0.3), 3)], xr.Variable("tau_c", [0.1, 0.3]))
    with pytest.raises(ValueError, match=r"'tau_c' is no axis of it in a run.*coords='different'"):
        gl.reduction.gamma(both)


def test_runs_of_noise_joined_are_observed_each_with_its_own():
    quiet, loud = (small(inputs=gl.Noisy(batch=1, noise=noise)) for noise in (0.1, 1.0))
    runs = [gl.simulate(each, 2, [gl.record.teacher_losses]) for each in (quiet, loud)]
    both = joined(*runs, dim=xr.Variable("noise", [0.1, 1.0]))
    for place, each in enumerate(runs):
        xr.testing.assert_allclose(
            gl.observer.posterior(both).isel(noise=place, drop=True), gl.observer.posterior(each)
        )


ONE_SEED = [
    metrics.matching, metrics.matching_by_gates, metrics.decoded_task, gl.reduction.gamma, gl.reduction.pair_invariant,
    gl.transfer.best_gates, gl.transfer.parts, metrics.total_alignment, gl.observer.gate_shares,
    lambda run: gl.transfer.mixtures(run, [(0.5, 0.5)]),
]  # fmt: skip


@pytest.mark.parametrize("metric", ONE_SEED)
def test_one_selected_seed_is_enough(run, metric):
    xr.testing.assert_allclose(metric(run.sel(seed=1)), metric(run).sel(seed=1))


def test_one_selected_seed_is_drawn(run):
    for draw in (gl.plotting.recoveries, gl.plotting.loss, gl.plotting.gates, gl.plotting.shade_blocks):
        ax = draw(run.sel(seed=1), plt.figure().gca())
        assert ax.get_xlabel() or ax.get_ylabel()
    plt.close("all")


def test_nothing_depends_on_attributes(run):
    bare, other = run.drop_attrs(), run.assign_attrs(every=9, **{"flow.tau_c": 9.0, "network.unit": "x"})
    for metric in (metrics.end_loss, gl.reduction.gamma, metrics.time_to_criterion, metrics.gate_like):
        for each in (bare, other):
            xr.testing.assert_identical(metric(each).drop_attrs(), metric(run).drop_attrs())


def test_networks_do_not_go_on_under_the_teachers_of_others():
    others = gl.results.final_params(gl.simulate(small(), [3, 4, 5]))
    with pytest.raises(ValueError, match=r"seeds of initial = \[3, 4, 5\].*Use seeds=\[3, 4, 5\], or initial=gatedlib"):
        gl.simulate(small(), 3, initial=others)
    with pytest.raises(ValueError, match=r"seeds of initial = \[4\]"):
        gl.simulate(small(), 3, initial=gl.results.final_params(gl.simulate(small(), [3, 4]).sel(seed=4)))
    meant = gl.simulate(small(), 3, initial=gl.Params(*others))
    np.testing.assert_array_equal(meant.gates[:, 0], others.gates)
    with pytest.raises(ValueError, match="initial = 3: must be Params"):
        gl.simulate(small(), 3, initial=3)


@pytest.mark.parametrize("dt", [0.01, 0.02, 0.001, 0.1, 0.5, 2.0, 0.03])
def test_times_are_as_people_write_them(dt):
    steps = np.arange(3000)
    written = [float(f"{step * dt:.6g}") for step in steps]
    assert gl.simulation.results.time_labels(steps, dt).tolist() == written
    run = gl.simulate(small(curriculum=gl.Blocked(blocks=1, block_length=100 * dt), dt=dt, tau_c=50 * dt), 1)
    assert float(run.sel(time=float(f"{70 * dt:.6g}")).step) == 70


def test_a_task_that_was_never_on_has_no_path_and_does_not_count():
    flow = gl.Flow(0.3, 0.03, dt=0.01, penalties=CONSTRAINTS)
    experiment = gl.Experiment(
        gl.Orthogonal(tasks=3, d_in=6, d_out=2), gl.GatedLinear(paths=3), gl.Blocked(blocks=30, order=(0, 2)), flow
    )
    run = gl.simulate(experiment, 4)
    matched = metrics.matching(run)
    assert (matched.sel(task=1) == -1).all()
    assert float(metrics.total_alignment(run).min()) > 0.97
    assert float(metrics.alignment_matched(run).isel(time=-1).min()) > 0.97
    turned = metrics.reorder_paths(run)
    assert metrics.matching(turned).values.tolist() == [[0, -1, 2]] * 4  # path 2 serves task 2
    # which tasks a network knows that began with given weights, nobody can say
    assert (metrics.matching(gl.simulate(experiment, 4, initial=gl.results.final_params(run))) >= 0).all()
    only_mixed = experiment.replace(teachers=gl.Sums(gl.Orthogonal(tasks=3, d_in=6, d_out=2), [(0.5, 0.5, 0)]),
                                    order=(3,))  # fmt: skip
    assert metrics.matching(gl.simulate(only_mixed, 2)).values[:, :3].min(0).tolist()[2] == -1


def test_rows_without_direction_are_left_out_of_both_alignments():
    teachers = np.zeros((2, 3, 6))
    teachers[0, 0, 0] = teachers[1, 0, 1] = 1.0
    experiment = gl.Experiment(
        gl.Given(teachers), gl.GatedLinear(), gl.Blocked(blocks=30), gl.Flow(0.3, 0.03, dt=0.01, penalties=CONSTRAINTS)
    )
    run = gl.simulate(experiment, 3)
    assert float(metrics.alignment_matched(run).isel(time=-1).min()) > 0.95
    assert float(metrics.total_alignment(run).min()) > 0.95
    neurons = gl.simulate(experiment.replace(network=gl.NeuronGated(), penalties=()), 3)
    matched = metrics.alignment_matched(neurons).isel(time=-1)  # of paths that share the tasks: a half, not a sixth
    assert float(matched.min()) > 0.45


def test_a_criterion_that_no_answer_meets_is_refused():
    flow = gl.Flow(1.3, 0.03, dt=0.01, penalties=CONSTRAINTS)
    wide = gl.simulate(gl.Experiment(gl.Orthogonal(d_in=200), gl.GatedLinear(), gl.Blocked(blocks=2), flow), 2)
    with pytest.raises(ValueError, match=r"giving no answer at all has a loss of 0.025.*such as 0.01"):
        metrics.time_to_criterion(wide)
    assert float(metrics.time_to_criterion(wide, theta=0.01).min()) > 0
    labels = gl.Labellings(((0, 1), (1, 0)))
    examples = gl.Examples(np.eye(2), [0, 1], batch=4)
    digits = gl.simulate(small(teachers=labels, inputs=examples), 2, [gl.record.loss, gl.record.gates])
    with pytest.raises(ValueError, match=r"has a loss of 0.693"):
        metrics.time_to_criterion(digits, theta=0.7)
    silent = np.zeros((2, 2, 6))
    silent[0, 0, 0] = 1.0  # nothing is asked for on the second task: no answer is the right one
    assert metrics.time_to_criterion(gl.simulate(small(teachers=gl.Given(silent)), 2), theta=0.4).sizes["block"] == 4


def test_a_table_of_losses_is_as_long_as_the_losses(run):
    """`results.to_dataframe()` has a row for every combination of all axes; the docstring of `simulate` says so."""
    assert len(run.loss.to_series()) == run.loss.size
    assert "to_series" in gl.simulate.__doc__


def test_selected_quantities_are_read_or_what_they_lack_is_named(run):
    some = run[["gates", "weight_products"]]
    xr.testing.assert_identical(gl.reduction.gamma(some), gl.reduction.gamma(run))
    with pytest.raises(ValueError, match=r"block_start = 'missing': must be the table of blocks"):
        metrics.switch_loss(run[["loss"]])


def test_a_tree_of_runs_is_read_leaf_by_leaf(run):
    tree = xr.DataTree.from_dict({"slow/a": run, "fast": run})
    with pytest.raises(ValueError, match="Take the nodes that hold runs"):
        metrics.end_loss(tree)
    found = [metrics.end_loss(node.to_dataset()) for node in tree.leaves]
    xr.testing.assert_identical(found[0], metrics.end_loss(run))


ODD = {
    "complex": lambda run: run.loss.mean("time") * 1j,
    "half": lambda run: run.loss.mean("time").astype(np.float16),
    "true or false": lambda run: run.loss.mean("time") > 0.1,
    "slash": lambda run: run.loss.mean("time").rename("loss/mean %2F"),
    "texts": lambda run: xr.DataArray(np.array(["a"] * run.sizes["seed"]), dims="seed"),
    "attributes": lambda run: run.loss.mean("time").assign_attrs(pilot=True, who=None, of={"a": [1]}),
}


@pytest.mark.parametrize("measure", ODD.values(), ids=ODD)
def test_a_sweep_of_any_numbers_is_saved_as_it_is(tmp_path, measure):
    asked = {"tau_c": [0.1, 0.2], "seeds": 2, "measure": measure}
    first, again, fresh = (gl.sweep(small(), **asked, **more) for more in ({"save": tmp_path}, {"save": tmp_path}, {}))
    xr.testing.assert_identical(first, again)
    xr.testing.assert_identical(first, fresh)
    assert {name: each.dtype for name, each in again.items()} == {name: each.dtype for name, each in fresh.items()}


def test_results_of_any_types_come_back_from_a_file(tmp_path, run, grid):
    odd = run.assign_attrs(pilot=True, who=None, told="json:x").assign({"a/b": run.loss * 1j})
    odd["half"] = run.loss.astype(np.float16).assign_attrs(sure=False)
    for number, data in enumerate((run, grid, odd, run.sel(seed=1))):
        path = tmp_path / f"{number}.nc"
        gl.results.save(data, path)
        again = gl.results.load(path)
        xr.testing.assert_identical(again, data)
        assert again.attrs == data.attrs
        assert {name: each.dtype for name, each in again.items()} == {name: each.dtype for name, each in data.items()}
    for name, value in {"objects": np.array([object()] * 3), "mixed": np.array([1, "a", None], object)}.items():
        with pytest.raises(ValueError, match=f"type of {name} = 'object': has no form in a netCDF file"):
            gl.results.save(run.assign({name: ("seed", value)}), tmp_path / "no.nc")
    assert not (tmp_path / "no.nc").exists()


READER = """
import sys, xarray
data = xarray.open_dataset(sys.argv[1])  # which reads nothing yet
print("open", flush=True)
sys.stdin.readline()
print(float(data.loss.sum()))
"""


def test_a_file_that_another_process_has_open_is_replaced_whole(tmp_path, run):
    path = tmp_path / "run.nc"
    gl.results.save(run, path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], **pipes) as reader:
        assert reader.stdout.readline() == "open\n"
        gl.results.save(run.assign(loss=run.loss + 1), path)
        told, _ = reader.communicate("\n")
    np.testing.assert_allclose(float(told), float(run.loss.sum()), rtol=1e-5)
    np.testing.assert_allclose(gl.results.load(path).loss.sum(), (run.loss + 1).sum(), rtol=1e-5)


ELSEWHERE = """
import gatedlib as gl
import jax
from tests.examples import small

jax.config.update("jax_default_matmul_precision", {precision!r})
found = gl.sweep(small(), tau_c=[0.1, 0.2], seeds=2, measure=gl.metrics.end_loss, save={folder!r})
print(found.end_loss.values.tobytes().hex())
"""


def test_a_saved_sweep_does_not_depend_on_the_precision_that_others_set(tmp_path):
    """As importing dynamax does, for the whole process."""
    told = []
    for precision in (None, "float32", "bfloat16"):
        code = textwrap.dedent(ELSEWHERE.format(precision=precision, folder=str(tmp_path)))
        told.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert told[0] == told[1] == told[2]
