"""Objects that people pass around: to other processes, into files, into functions of their own."""

import _thread
import collections
import copy
import dataclasses
import multiprocessing
import os
import pickle
import signal
import types
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib._internal.identity import canonical_repr
from gatedlib.simulation import simulate
from tests.examples import small


@gl.record.quantity("path")
def largest_weight(frame):
    return abs(frame.params.weights).max((1, 2))


def first_gate(frame):
    return frame.params.gates[0]


called = gl.record.quantity()(first_gate)
PUBLIC = [thing for thing in vars(gl.record).values() if isinstance(thing, gl.record.Quantity)]


@pytest.mark.parametrize("quantity", [*PUBLIC, largest_weight, called], ids=lambda quantity: quantity.name)
def test_a_quantity_comes_back_from_another_process_as_the_same(quantity):
    again = pickle.loads(pickle.dumps(quantity))
    assert again == quantity
    assert hash(again) == hash(quantity)  # so nothing is compiled anew
    assert copy.deepcopy(quantity) == quantity
    assert pickle.loads(pickle.dumps(first_gate)) is first_gate


def test_a_sweep_is_the_same_whether_its_record_was_passed_on_or_not(tmp_path):
    asked = {"seeds": 1, "save": tmp_path, "tau_c": [0.1], "record": (largest_weight, gl.record.gate_speed)}
    saved = gl.sweep(small(), **asked)
    asked["record"] = pickle.loads(pickle.dumps(asked["record"]))
    assert gl.sweep(small(), **asked).identical(saved)


def test_the_default_record_and_accuracy_can_be_passed_on():
    assert pickle.loads(pickle.dumps(gl.record.DEFAULT)) == gl.record.DEFAULT
    tasks, examples = gl.Labellings(((0, 1), (1, 0))), gl.Examples(np.eye(2), [0, 1], batch=4)
    experiment = small(teachers=tasks, inputs=examples)
    passed = pickle.loads(pickle.dumps(gl.record.accuracy(examples)))
    run = gl.simulate(experiment, 1, [passed])
    assert run.identical(gl.simulate(experiment, 1, [gl.record.accuracy(examples)]))


@pytest.mark.slow
def test_a_pool_of_other_processes_runs_what_it_is_given():
    asked = {"record": (gl.record.loss, largest_weight), "seeds": 2}
    experiments = [small(tau_c=tau_c) for tau_c in (0.1, 0.2)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(partial(gl.simulate, **asked), experiments)
    for run, experiment in zip(found, experiments, strict=True):
        assert run.identical(gl.simulate(experiment, **asked))


@pytest.mark.parametrize(
    "thing",
    [
        small(),
        gl.Sums(gl.Orthogonal(), [(0.5, 0.5)]),
        gl.Given(np.ones((2, 1, 3))),
        gl.Examples(np.eye(2), [0, 1]),
        gl.theory.Switch(1.0, 0.1),
        gl.Params(np.ones((2, 1, 1)), np.ones(2)),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_parts_can_be_passed_on(thing):
    again = pickle.loads(pickle.dumps(thing))
    same = jax.tree.map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(thing))
    assert all(same)
    assert jax.tree.structure(again) == jax.tree.structure(thing)


def test_a_divergence_can_be_passed_on():
    error = pickle.loads(pickle.dumps(gl.DivergenceError("loss = nan")))
    assert isinstance(error, gl.DivergenceError)


def twice(rows):
    return 2 * rows


class Mine(gl.Orthogonal):
    """Teachers with settings of every kind."""

    how: Callable = eqx.field(static=True, default=twice)
    named: dict | None = eqx.field(static=True, default=None)
    listed: list | None = eqx.field(static=True, default=None)
    numbers: dict | None = None

    def sample(self, key):
        return self.how(super().sample(key)) * (1.0 if self.numbers is None else self.numbers["scale"])


@dataclasses.dataclass
class Way:
    """A way to do something, with a function in it."""

    how: Callable
    often: int = 2


class Slotted:
    """An object whose text tells nothing."""

    __slots__ = ("how",)

    def __init__(self, how):
        self.how = how


SETTINGS = {
    "a function": {},
    "a lambda": {"how": lambda rows: 3 * rows},
    "a dict": {"named": {"scale": 2.0, "of": "rows"}},
    "a list": {"listed": [1, 2]},
    "an uneven list": {"listed": [[1], [2, 3]]},
    "words": {"listed": ["a", None, b"c"]},
    "functions in a dict": {"named": {"how": twice, "and": [abs, np.sum]}},
    "nothing": {"named": {}, "listed": []},
    "numbers to compute with": {"numbers": {"scale": 0.5}},
    "a set": {"named": {"of": {1, 2}}},
    "a dataclass": {"named": {"way": Way(twice)}},
    "a namespace": {"named": {"way": types.SimpleNamespace(how=twice)}},
    "a queue": {"listed": [collections.deque([twice])]},
    "slots": {"listed": [Slotted(twice)]},
    "other slots": {"listed": [Slotted(abs)]},
    "half precision": {"numbers": {"scale": np.float16(0.5)}},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_teachers_of_one_s_own_are_saved_whatever_their_settings(tmp_path, kind):
    experiment = small(teachers=Mine(d_in=6, d_out=2, **SETTINGS[kind]))
    run = gl.simulate(experiment, 2, (gl.record.loss,))
    run.to_netcdf(tmp_path / "run.nc")
    again = xr.load_dataset(tmp_path / "run.nc")
    assert again.identical(run)
    asked = {"seeds": 1, "record": (gl.record.loss,), "save": tmp_path / "sweep", "tau_c": [0.1, 0.2]}
    saved = gl.sweep(experiment, **asked)
    assert gl.sweep(experiment, **asked).identical(saved)
    saved.to_netcdf(tmp_path / "sweep.nc")
    assert gl.transfer.adapt(experiment, again, (1.0, 0.0), 0.02).sizes["seed"] == 2


def test_settings_that_differ_are_told_apart(tmp_path):
    said = [str(gl.results.settings(Mine(d_in=6, d_out=2, **settings))) for settings in SETTINGS.values()]
    assert len(set(said)) == len(said)
    assert not any(" at 0x" in canonical_repr(settings) for settings in SETTINGS.values())
    asked = {"seeds": 1, "record": (gl.record.loss,), "save": tmp_path, "tau_c": [0.1]}
    gl.sweep(small(teachers=Mine(d_in=6, d_out=2)), **asked)
    with pytest.raises(ValueError, match=r"differs in teachers\.how"):
        gl.sweep(small(teachers=Mine(d_in=6, d_out=2, **SETTINGS["a lambda"])), **asked)


def test_matrices_in_half_precision_are_as_good_as_others(tmp_path):
    run = gl.simulate(small(teachers=gl.Given(np.ones((2, 2, 6), np.float16) / 4)), 1, (gl.record.loss,))
    run.to_netcdf(tmp_path / "run.nc")
    assert run.identical(gl.simulate(small(teachers=gl.Given(np.ones((2, 2, 6)) / 4)), 1, (gl.record.loss,)))


def test_a_draw_too_large_for_a_file_is_kept_as_text(tmp_path):
    experiment = small(curriculum=gl.RandomSwitches(1.0, draw=2**63 - 1))
    gl.simulate(experiment, 1, (gl.record.loss,)).to_netcdf(tmp_path / "run.nc")


# Waiting


@pytest.fixture
def _ctrl_c():
    """Programs that are begun in the background hear of no Ctrl-C; these tests do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_ends_a_run_after_the_chunk_that_it_meets(monkeypatch):
    expected, learn, chunks = gl.simulate(small(), 1), simulate.programs.learn, []

    def watched(*args):
        chunks.append(args)
        if len(chunks) == 3:
            _thread.interrupt_main()
        return learn(*args)

    monkeypatch.setattr(simulate.programs, "learn", watched)
    with pytest.raises(KeyboardInterrupt):
        gl.simulate(small(blocks=4000), 1)
    assert len(chunks) < 6  # of some fifty
    again = gl.simulate(small(), 1)
    xr.testing.assert_identical(again, expected)


def test_a_run_that_takes_long_says_so(monkeypatch, capsys):
    if os.environ.get("TQDM_DISABLE"):  # read once, when tqdm is imported
        pytest.skip("who set TQDM_DISABLE wants no progress")
    gl.simulate(small(), 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(simulate, "PROGRESS_AFTER", 0.0)
    gl.simulate(small(), 2)
    assert "simulating 2 seeds × 200 steps: " in capsys.readouterr().err
