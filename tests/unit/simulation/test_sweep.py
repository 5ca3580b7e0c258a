"""`sweep` gives what `simulate` gives, cell by cell, however it is cut, stopped, saved and laid over devices."""

import functools
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import metrics
from gatedlib._internal.identity import code_digest, fingerprint
from gatedlib.simulation import checkpoints, grid, sweep
from gatedlib.simulation.spec import Cell, RunSpec
from tests.examples import CONSTRAINTS, small

GRID = {"tau_c": [0.05, 0.1, 0.3], "b": [0.3, 0.9]}
KEEP = (gl.record.loss, gl.record.alignment)
TWO_RUNS = 2.5e4
"""The memory of a tile that holds two runs of `timed`, each of 200 steps with these quantities."""


def timed(**settings):
    """Four blocks within a duration."""
    return small(curriculum=gl.Blocked(duration=4.0), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [gl.Population(), gl.Sampled(3), gl.Sampled(40)])
def test_every_cell_is_its_own_simulation(inputs):
    experiment = timed(inputs=inputs)
    grid = gl.sweep(experiment, seeds=[4, 1], every=10, **GRID)
    assert dict(grid.sizes) == dict(grid.sizes) | {"tau_c": 3, "b": 2, "seed": 2, "time": 20}
    for tau_c in GRID["tau_c"]:
        for b in GRID["b"]:
            where = {"tau_c": tau_c, "b": b}
            alone = gl.simulate(experiment.replace(**where), seeds=[4, 1], every=10)
            taken = gl.results.cell(grid, **where)
            xr.testing.assert_allclose(taken, alone, atol=2e-5)
            assert taken.attrs == alone.attrs


@pytest.mark.slow
def test_of_cells_of_unequal_shape_something_is_measured():
    axes = {"paths": [2, 3], "dt": [0.02, 0.04], "block_length": [0.4, 0.8]}
    experiment = timed()
    grid = gl.sweep(experiment, seeds=2, record=KEEP, measure=metrics.total_alignment, **axes).total_alignment
    for paths, dt in ((2, 0.02), (3, 0.04), (2, 0.04)):
        where = {"paths": paths, "dt": dt, "block_length": 0.8}
        alone = metrics.total_alignment(gl.simulate(experiment.replace(**where), seeds=2, record=KEEP))
        xr.testing.assert_allclose(grid.sel(where, drop=True), alone, atol=2e-5)


@pytest.mark.parametrize(
    ("axes", "differ"),
    [
        ({"paths": [2, 3]}, "weights and gates"),
        ({"dt": [0.02, 0.04]}, "steps"),
        ({"blocks": [2, 4]}, "steps and blocks"),
    ],
)
def test_cells_of_unequal_shape_are_refused_unless_measured(monkeypatch, axes, differ):
    monkeypatch.setattr(sweep, "run_tile", None)
    with pytest.raises(ValueError, match=f"measure = None: cells differ in their {differ}, .* Say what to keep"):
        gl.sweep(small(block_length=0.4), seeds=2, tau_c=[0.1, 0.2], **axes)


@pytest.mark.parametrize("inputs", [gl.Population(), gl.Sampled(3)])
def test_every_cell_begins_where_it_is_told(inputs, tmp_path):
    experiment = timed(inputs=inputs)
    begin = gl.results.final_params(gl.simulate(experiment, seeds=3))
    asked = {"seeds": 3, "record": KEEP, "initial": begin, "save": tmp_path, "memory": 1e4, **GRID}
    grid = gl.sweep(experiment, **asked)
    for tau_c in GRID["tau_c"]:
        alone = gl.simulate(experiment.replace(tau_c=tau_c, b=0.3), 3, KEEP, initial=begin)
        np.testing.assert_allclose(grid.loss.sel(tau_c=tau_c, b=0.3), alone.loss, atol=2e-5)
    xr.testing.assert_identical(gl.sweep(experiment, **asked), grid)
    with pytest.raises(ValueError, match="holds another sweep, which differs in initial"):
        gl.sweep(experiment, **{**asked, "initial": None})
    with pytest.raises(ValueError, match=r"in the cell tau_c = .*shape of initial gates = \(3,\): must be"):
        gl.sweep(experiment, seeds=2, initial=gl.Params(begin.weights[0], np.ones(3)), tau_c=[0.1])


@pytest.mark.parametrize("metric", [metrics.time_to_criterion, metrics.total_alignment, metrics.gate_on])
def test_to_measure_in_the_sweep_or_after_it_is_the_same(metric):
    record = (*KEEP, gl.record.gates)
    inside = gl.sweep(timed(), seeds=3, record=record, measure=metric, **GRID)
    after = metric(gl.sweep(timed(), seeds=3, record=record, **GRID))
    xr.testing.assert_allclose(inside[after.name], after.transpose(*inside[after.name].dims), atol=2e-5)


def test_a_measure_sees_the_swept_settings():
    grid = gl.sweep(timed(), seeds=2, measure=lambda results: results.tau_c + 0 * results.loss[:, 0], **GRID)
    np.testing.assert_allclose(grid.value.isel(seed=1, b=0), GRID["tau_c"])


@pytest.mark.slow
@pytest.mark.parametrize("runs", [0, 1, 2, 4, 7])
def test_the_cut_into_tiles_changes_nothing(runs):
    """Down to a run at a time, with cells and with seeds that do not divide evenly."""
    whole = gl.sweep(timed(), seeds=3, record=KEEP, every=50, **GRID)
    cut = gl.sweep(
        timed(), seeds=3, record=KEEP, every=50, memory=max(1, 2600 * runs), **GRID
    )  # a run takes 2560 bytes
    xr.testing.assert_allclose(cut, whole, atol=2e-5)
    assert str(cut.attrs) == str(whole.attrs)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.sampled_from([1e2, 1e5, 1e9]))
def test_tiles_cover_every_run_once(cells, seeds, runs, memory):
    experiment = small()
    all_cells = tuple(Cell(experiment, experiment.schedule()) for _ in range(cells))
    tiles = grid.tiles_of(RunSpec(all_cells, np.arange(seeds), KEEP, 50), memory, runs)
    covered = [(cell, seed) for tile in tiles for cell in tile.cells for seed in tile.seeds]
    assert sorted(covered) == [(cell, seed) for cell in range(cells) for seed in range(seeds)]
    for tile in tiles:
        assert tile.places == tiles[0].places  # one shape, compiled once
        assert len(tile.cells) <= tile.places[0]
        assert len(tile.seeds) <= tile.places[1]
        assert tile.places[0] * tile.places[1] <= max(1, runs)


def test_a_tile_stays_within_its_memory(monkeypatch):
    seen = []
    run = sweep.run_tile

    def watched(*settings):
        out = run(*settings)
        seen.append(sum(leaf.nbytes for leaf in (out[0], *out[1], *out[2].values())))
        return out

    monkeypatch.setattr(sweep, "run_tile", watched)
    gl.sweep(timed(), seeds=10, memory=2e5, **GRID)
    assert len(seen) > 3
    assert max(seen) < 2e5


@pytest.mark.slow
def test_a_sweep_is_traced_once_for_every_shape(monkeypatch):
    traces, evaluate = [], gl.record.evaluate
    monkeypatch.setattr(gl.record, "evaluate", lambda *asked: traces.append(asked) or evaluate(*asked))
    counted = gl.record.Quantity("counted", (), lambda frame: frame.loss)  # which no other test has compiled
    # one trace finds out the size of a frame, the other is compiled
    gl.sweep(timed(), seeds=2, record=(counted,), memory=1e5, **GRID)
    assert len(traces) == 2
    gl.sweep(
        timed(),
        seeds=2,
        record=(counted,),
        every=10,
        measure=lambda results: results.counted,
        paths=[2, 3],
        b=[0.1, 0.2, 0.3],
    )
    assert len(traces) == 2 + 3  # of two paths the size is known


CHILD = """
import sys
import gatedlib as gl
from gatedlib.simulation import checkpoints, grid, sweep
from tests.unit.simulation.test_sweep import GRID, KEEP, TWO_RUNS, timed
gl.sweep(timed(inputs=gl.Sampled(5)), seeds=2, record=KEEP, memory=TWO_RUNS, save=sys.argv[1], **GRID)
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_with_the_same_numbers(tmp_path):
    experiment = timed(inputs=gl.Sampled(5))
    expected = gl.sweep(experiment, seeds=2, record=KEEP, memory=TWO_RUNS, **GRID)
    folder = tmp_path / "new" / "sweep"
    child = subprocess.Popen([sys.executable, "-c", CHILD, folder], stderr=subprocess.DEVNULL)
    while not list(folder.glob("tile-*.nc")):  # killed as soon as something is finished
        assert child.poll() is None
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("tile-*.nc")}
    resumed = gl.sweep(experiment, seeds=2, record=KEEP, memory=TWO_RUNS, save=folder, **GRID)
    xr.testing.assert_identical(resumed, expected)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())


def test_a_finished_sweep_is_read_and_not_run(tmp_path, monkeypatch):
    first = gl.sweep(timed(), seeds=2, measure=metrics.total_alignment, save=tmp_path / "s", **GRID)
    monkeypatch.setattr(sweep, "run_tile", None)
    again = gl.sweep(timed(), seeds=2, measure=metrics.total_alignment, save=tmp_path / "s", **GRID)
    xr.testing.assert_identical(again, first)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": 3}, "seeds"),
        ({"tau_c": [0.05, 0.1, 0.2]}, "grid"),
        ({"every": 2}, "every"),
        ({"measure": metrics.end_loss}, "measure"),
        ({"record": (gl.record.loss,)}, "record"),
        ({"experiment": timed(tau_w=1.2)}, "flow.tau_w"),
    ],
)
def test_a_folder_with_another_sweep_is_refused(tmp_path, change, named):
    call = {"experiment": timed(), "seeds": 2, "record": KEEP, "measure": metrics.switch_loss, **GRID}
    gl.sweep(**call, save=tmp_path)
    with pytest.raises(
        ValueError, match=rf"holds another sweep, which differs in {named} \(.* there, .* here\). Choose another path"
    ):
        gl.sweep(**{**call, **change}, save=tmp_path)


def test_other_teachers_are_another_sweep(tmp_path):
    first, second = (timed(teachers=gl.Given(np.eye(6)[None, :2] * np.array([[[1.0]], [[k]]]))) for k in (2, 3))
    gl.sweep(first, seeds=2, save=tmp_path, **GRID)
    with pytest.raises(ValueError, match=r"differs in teachers.matrices"):
        gl.sweep(second, seeds=2, save=tmp_path, **GRID)


class Doubled(gl.Network):
    """A student of one's own."""

    def init(self, key, d_out, d_in):
        return gl.Params(0.3 * jax.random.normal(key, (2, d_out, d_in)), jnp.full(2, 0.5))

    def effective(self, params):
        return 1.1 * jnp.einsum("p,pij->ij", params.gates, params.weights)


def test_another_engine_or_another_student_of_one_s_own_is_another_sweep(tmp_path, monkeypatch):
    call = {"seeds": 2, "record": KEEP, "save": tmp_path, **GRID}
    gl.sweep(timed(network=Doubled()), **call)
    monkeypatch.setattr(checkpoints, "ENGINE", checkpoints.ENGINE + 1)
    with pytest.raises(ValueError, match="differs in engine"):
        gl.sweep(timed(network=Doubled()), **call)
    monkeypatch.undo()
    monkeypatch.setattr(Doubled, "effective", lambda self, params: 3 * params.gates[0] * params.weights[0])
    with pytest.raises(ValueError, match="differs in classes"):
        gl.sweep(timed(network=Doubled()), **call)


def test_comments_and_docstrings_of_the_library_do_not_count(tmp_path, monkeypatch):
    """Nor do plots: a week's sweep goes on after they were changed."""
    code = "def double(x):\n    return 2 * x\n"
    digests = []
    for number, text in enumerate((code, f'"""What it is."""\n# how\n{code}', code.replace("2", "3"))):
        (tmp_path / f"module_{number}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        digests.append(code_digest(f"module_{number}"))
    assert digests[0] == digests[1] != digests[2]

    def one(x):
        """A double."""
        return 2 * x

    def other(x):
        """Twice as much."""
        return 2 * x

    other.__qualname__ = one.__qualname__
    assert fingerprint(one) == fingerprint(other)


def test_fingerprints_tell_code_apart():
    def one(x):
        return [x + 1 for _ in range(2)]

    def other(x):
        return [x + 2 for _ in range(2)]

    other.__qualname__ = one.__qualname__
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def above(threshold):
    return lambda results: metrics.total_alignment(results) > threshold


class Above:
    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, results):
        return metrics.total_alignment(results) > self.threshold


def test_fingerprints_tell_apart_what_functions_hold():
    for make in (above, Above, lambda t: lambda r, t=t: r > t, lambda t: functools.partial(max, t)):
        assert fingerprint(make(0.1)) != fingerprint(make(0.9))
        assert fingerprint(make(0.1)) == fingerprint(make(0.1))
    assert fingerprint(metrics.end_loss) != fingerprint(metrics.switch_loss)


def test_functions_that_call_themselves_have_fingerprints_too():
    def down(step):
        def count(left):
            return 0 if left < 1 else step + count(left - step)

        return count

    assert fingerprint(down(1)) != fingerprint(down(2))
    assert fingerprint(down(1)) == fingerprint(down(1))


def test_a_quantity_with_other_axes_is_another_sweep(tmp_path):
    def named(*dims):
        return gl.record.Quantity("pair", dims, lambda frame: frame.params.gates)

    gl.sweep(timed(), seeds=2, record=[named("path")], save=tmp_path, **GRID)
    with pytest.raises(ValueError, match="differs in record"):
        gl.sweep(timed(), seeds=2, record=[named("gate")], save=tmp_path, **GRID)


@pytest.mark.slow
def test_fingerprints_are_the_same_in_every_process():
    code = (
        "from functools import partial; from gatedlib import metrics; "
        "from gatedlib._internal.identity import code_digest, fingerprint; "
        "print(fingerprint(partial(lambda r, f: f(r) in {'a', 'b', 'c', 'd'}, f=metrics.end_loss)))"
    )
    told = {
        subprocess.check_output([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for seed in (1, 2, 3)
    }
    assert len(told) == 1


def test_two_penalties_of_one_kind_are_both_told():
    experiment = timed(penalties=(gl.UnitNorm(0.1), gl.UnitNorm(0.5, ord=2)))
    told = gl.results.settings(experiment)
    assert told["flow.penalties.UnitNorm.b"] == 0.1
    assert told["flow.penalties.UnitNorm2.b"] == 0.5


def test_a_diverging_cell_is_named_and_what_was_finished_stays(tmp_path):
    wild = small(b=0.0, tau_c=0.003)
    with pytest.raises(gl.DivergenceError, match=r"seed \d of the cell tau_w = 0.003\).*Reduce dt"):
        gl.sweep(wild, seeds=2, record=KEEP, memory=TWO_RUNS, save=tmp_path, tau_w=[1.3, 0.003])
    assert len(list(tmp_path.glob("tile-*.nc"))) == 1


ON_DEVICES = """
import sys
import jax
import gatedlib as gl
from tests.unit.simulation.test_sweep import GRID, KEEP, timed
coordinator, processes, number, to = sys.argv[1:]
if int(processes) > 1:
    jax.distributed.initialize(coordinator, int(processes), int(number))
assert jax.device_count() == 2
for name, experiment in (("population", timed()), ("sampled", timed(inputs=gl.Sampled(5)))):
    for seeds in (3, 9):  # once the cells are laid over the devices, once the seeds, with places left over
        axes = GRID if seeds == 3 else {"tau_c": GRID["tau_c"]}
        saved = f"{to}/saved-{name}-{seeds}" if seeds == 3 else None
        grid = gl.sweep(experiment, seeds=seeds, record=KEEP, every=10, memory=2e4, save=saved, **axes)
        again = gl.sweep(experiment, seeds=seeds, record=KEEP, every=10, memory=2e4, save=saved, **axes)
        assert grid.identical(again)
        grid.to_netcdf(f"{to}/{name}-{seeds}-{number}.nc")
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_two_devices_give_the_numbers_of_one(tmp_path, processes):
    """Two devices of one process, and two processes with one each that talk over loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={2 // processes}"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ON_DEVICES), coordinator, str(processes), str(number), tmp_path],
            env={**os.environ, "XLA_FLAGS": flags, "TQDM_DISABLE": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for child in children:
        _, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors
    for name, experiment in (("population", timed()), ("sampled", timed(inputs=gl.Sampled(5)))):
        for seeds, axes in ((3, GRID), (9, {"tau_c": GRID["tau_c"]})):
            expected = gl.sweep(experiment, seeds=seeds, record=KEEP, every=10, **axes)
            for number in range(processes):
                given = xr.load_dataset(tmp_path / f"{name}-{seeds}-{number}.nc")
                xr.testing.assert_allclose(given, expected, atol=2e-5)


BAD = [
    ({}, "grid = {}", "at least one setting", "tau_c=[0.02, 0.1]"),
    ({"tau_c": []}, "tau_c = []", "at least one value", "Write tau_c=[…]"),
    ({"tau_cc": [1.0]}, "setting = 'tau_cc'", "no such setting", "Did you mean tau_c"),
    ({"tau_c": 0.1}, "tau_c = 0.1", "must be a list of numbers", "Write tau_c=[…]"),
    ({"tau_c": "0.1"}, "tau_c = '0.1'", "must be a list of numbers", "Write tau_c=[…]"),
    ({"tau_c": [[0.1]]}, "tau_c = [0.1]", "must be a number", "numbers only"),
    ({"tau_c": [0.1, "fast"]}, "tau_c = 'fast'", "must be a number", "numbers only"),
    ({"tau_c": [0.1, True]}, "tau_c = True", "must be a number", "numbers only"),
    ({"tau_c": [0.1, 0.1]}, "tau_c = [0.1, 0.1]", "must not repeat", "Leave repeats out"),
    ({"penalties": [1, 2]}, "setting = 'penalties'", "no number", "with a loop"),
    ({"order": [1, 2]}, "in the cell order = 1", "must be a list of tasks", "to alternate two tasks"),
    ({"inputs": [1, 2]}, "setting = 'inputs'", "no number", "with a loop"),
    ({"tau_w": [1.0, 2.0], "tau_c": [0.1, -1.0]}, "in the cell tau_w = 1, tau_c = -1: tau_c = -1.0", "above 0", "0.03"),
    ({"block_length": [1.0, 0.333]}, "in the cell block_length = 0.333", "whole number of steps", "Use 0.32 or 0.34"),
    ({"b": [0.1, 10.0]}, "in the cell b = 10: dt = 0.02", "stable only for", "Reduce dt"),
    ({"tau_c": [[0.1], [0.1, 0.2]]}, "tau_c = [0.1]", "must be a number", "numbers only"),
    ({"tau_c": np.ones((2, 2))}, "tau_c = an array of shape (2, 2)", "must be a list of numbers", "Write tau_c=[…]"),
    ({"tau_c": np.array(0.1)}, "tau_c = array(0.1)", "must be a list of numbers", "Write tau_c=[…]"),
    ({"tau_c": np.float64(0.1)}, "tau_c = np.float64(0.1)", "must be a list of numbers", "Write tau_c=[…]"),
    ({"blocks": [2, 3], "every": 40}, "in the cell blocks = 2: every = 40", "must divide", "Use 25 or 50"),
    ({"tau_c": [0.1], "seeds": 0}, "seeds = 0", "1 or above", "Ask for a number"),
    ({"tau_c": [0.1], "memory": 0}, "memory = 0", "above 0", "2**30"),
]


@pytest.mark.parametrize(("call", "value", "rule", "remedy"), BAD)
def test_bad_grids_fail_before_anything_runs(monkeypatch, call, value, rule, remedy):
    monkeypatch.setattr(sweep, "run_tile", None)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        gl.sweep(small(), **call)
    for part in (value, rule, remedy):
        assert part in str(refusal.value), refusal.value


def test_other_bad_calls(tmp_path):
    with pytest.raises(ValueError, match=r"dims of loss = \{\}: must keep the dim seed, of size 2"):
        gl.sweep(timed(), seeds=2, measure=lambda results: results.loss.mean(), tau_c=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="measure's value = 'float': must give a DataArray"):
        gl.sweep(timed(), seeds=2, measure=lambda results: 1.0, tau_c=[0.1])
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"is a file; a sweep is saved in a folder. Choose another path"):
        gl.sweep(timed(), seeds=2, save=tmp_path / "file", tau_c=[0.1])
    grid = gl.sweep(timed(), seeds=2, every=10, **GRID)
    with pytest.raises(ValueError, match=r"tau_c = 0.2: was not swept over. Use one of \[0.05, 0.1, 0.3\]"):
        gl.results.cell(grid, tau_c=0.2, b=0.9)
    with pytest.raises(ValueError, match=r"settings left out = \['b'\]"):
        gl.results.cell(grid, tau_c=0.1)
    with pytest.raises(ValueError, match="is no result of a sweep"):
        gl.results.cell(gl.simulate(timed(), seeds=1))
    with pytest.raises(ValueError, match=r"results = \['tau_c', 'b'\]: these results hold a sweep"):
        metrics.end_of_block(grid.loss, grid)


def test_penalties_can_be_swept_together():
    experiment = timed(penalties=(gl.Scaled(1.0, CONSTRAINTS),))
    grid = gl.sweep(experiment, seeds=2, record=KEEP, strength=[0.0, 0.5])
    for strength in (0.0, 0.5):
        alone = gl.simulate(timed(a=0.0909 * strength, b=0.909 * strength), seeds=2, record=KEEP)
        np.testing.assert_allclose(grid.loss.sel(strength=strength), alone.loss, atol=2e-5)


class Loud(gl.Inputs):
    """Inputs with a number of their own, which may differ from cell to cell."""

    loudness: float

    def draw(self, key, d_out, d_in):
        return self.loudness * jax.random.normal(key, (d_in, 3)) / 3**0.5


def test_inputs_with_numbers_of_their_own_are_drawn_for_each_cell():
    experiment = timed(inputs=Loud(1.0))
    grid = gl.sweep(experiment, seeds=2, record=KEEP, loudness=[0.5, 1.0])
    for loudness in (0.5, 1.0):
        alone = gl.simulate(experiment.replace(loudness=loudness), seeds=2, record=KEEP)
        np.testing.assert_allclose(grid.loss.sel(loudness=loudness), alone.loss, atol=2e-5)
