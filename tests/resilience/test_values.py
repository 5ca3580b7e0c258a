"""Whatever value is given: it is taken for what it is, or refused in words that name it."""

import contextlib
import dataclasses
import decimal
import fractions
import math

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from tests.examples import small

WHOLE = {
    "numpy": np.int64(3),
    "unsigned": np.uint8(3),
    "array": np.array(3),
    "jax": jnp.array(3),
    "xarray": xr.DataArray(3),
}
LISTS = {
    "list": [0, 1],
    "range": range(2),
    "numpy": np.array([0, 1]),
    "scalars": [np.int64(0), np.int64(1)],
    "jax": jnp.array([0, 1]),
    "xarray": xr.DataArray([0, 1], dims="task"),
    "pandas": pd.Series([0, 1]),
}
ODD = [
    None, True, np.bool_(False), -1, 0, 2**31, 10**400, 0.5, math.nan, math.inf, -math.inf, 1j, "", "a", b"a",
    np.float32(0.5), np.array(0.5), np.array([0.5, 0.5]), np.array(["a"]), np.array([None]), np.array(1j),
    np.datetime64("2020-01-01"), np.timedelta64(3, "ns"), np.longdouble("nan"),
    jnp.array(0.5), jnp.array([0.5]), jnp.bfloat16(0.5), xr.DataArray(0.5),
    xr.DataArray([0.5, 0.5], dims="a"), pd.Series([0.5]), pd.DataFrame([[0, 1], [1, 0]]), pd.NA, [], (), {}, {0, 1},
    {"a": 1}, [[0, 1], [1, 0]], [[0], [1, 0]], [(0.5, 0.5)], object(), print, int, fractions.Fraction(1, 2),
    decimal.Decimal("0.5"), gl, gl.Orthogonal(), gl.GatedLinear(), gl.UnitNorm(1.0), [gl.UnitNorm(1.0)],
    gl.Blocked(blocks=2), [gl.Blocked(blocks=2)], gl.Population(), gl.Params(1, 2), gl.record.loss, [gl.record.loss],
    slice(3), memoryview(b"ab"),
]  # fmt: skip
PARTS = [
    gl.Orthogonal(), gl.Correlated(), gl.Spectral(values=(1.0,)), gl.Given(np.ones((2, 2, 6))), gl.Labellings([[0, 1]]),
    gl.Sums(gl.Orthogonal(), [(0.5, 0.5)]), gl.RowMixtures(gl.Orthogonal(tasks=2, d_in=6, d_out=2), [(0, 1)]),
    gl.GatedLinear(), gl.NeuronGated(), gl.TwoLayer(), gl.Blocked(), gl.BlockSequence((0, 1), (1.0, 1.0)),
    gl.Phases([gl.Blocked(blocks=2)]), gl.RandomSwitches(2.0), gl.Flow(1.3, 0.1, dt=0.02), gl.Sampled(), gl.Noisy(),
    gl.Examples(np.ones((2, 6)), [0, 1]), gl.Nonnegative(0.1), gl.UnitNorm(0.1), gl.WeightCost(0.1),
    gl.WeightDecay(0.1), gl.Scaled(0.1, [gl.UnitNorm(0.1)]), small(),
]  # fmt: skip
ROLES = {gl.Teachers: "teachers", gl.Network: "network", gl.Curriculum: "curriculum", gl.Penalty: "penalties"}


@contextlib.contextmanager
def taken_or_refused(name):
    """Nothing is raised but a ValueError that says what was given under which name, and what to do."""
    try:
        yield
    except ValueError as refusal:
        told = str(refusal)
        assert " = " in told, told
        assert ": " in told, told
        assert len(told) < 1000, told
    except (TypeError, AttributeError, OverflowError, IndexError, KeyError, RuntimeError, Warning) as raw:
        pytest.fail(f"{name}: {type(raw).__name__}: {raw}")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_any_value_of_any_setting_is_taken_or_refused_in_words(part):
    settings = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    if "duration" in settings and isinstance(part, gl.Blocked):
        settings.pop("blocks")
    for name in settings:
        for value in ODD:
            with taken_or_refused(f"{name} = {value!r}"):
                made = type(part)(**{**settings, name: value})
                for kind, role in ROLES.items():
                    if isinstance(made, kind):
                        gl.results.settings(small(**{role: (made,) if role == "penalties" else made}))


@pytest.fixture(scope="module")
def run():
    return gl.simulate(small(), 2)


@pytest.fixture(scope="module")
def grid():
    return gl.sweep(small(), seeds=2, tau_c=[0.1, 0.2])


EYE, ONES = np.eye(2), [1.0, 1.0]
CALLS = {
    "record": lambda value, run, grid: gl.simulate(small(blocks=1), 1, value),
    "every": lambda value, run, grid: gl.simulate(small(blocks=1), 1, every=value),
    "start": lambda value, run, grid: gl.simulate(small(blocks=1), 1, start=value),
    "initial weights": lambda value, run, grid: gl.simulate(small(blocks=1), 1, initial=gl.Params(value, np.ones(2))),
    "seeds": lambda value, run, grid: gl.simulate(small(blocks=1), value),
    "grid": lambda value, run, grid: gl.sweep(small(blocks=1), seeds=1, tau_c=value, record=(gl.record.loss,)),
    "grid value": lambda value, run, grid: gl.sweep(small(blocks=1), seeds=1, tau_c=[value], record=[gl.record.loss]),
    "memory": lambda value, run, grid: gl.sweep(small(blocks=1), seeds=1, tau_c=[0.1], memory=value),
    "rtol": lambda value, run, grid: gl.solve(small(blocks=1), 1, rtol=value),
    "draw": lambda value, run, grid: small().draw(value),
    "replace": lambda value, run, grid: small().replace(tau_c=value),
    "data set": lambda value, run, grid: gl.images.load(value),
    "folder": lambda value, run, grid: gl.images.load("mnist", folder=value) if value is not None else None,
    "theta": lambda value, run, grid: metrics.time_to_criterion(run, value),
    "fraction": lambda value, run, grid: metrics.end_of_block(run.loss, run, value),
    "cell": lambda value, run, grid: gl.results.cell(grid, tau_c=value),
    "axis": lambda value, run, grid: gl.record.quantity(value),
    "span": lambda value, run, grid: gl.reduction.teacher_span(value),
    "modes": lambda value, run, grid: gl.reduction.modes(value),
    "project": lambda value, run, grid: gl.reduction.teacher_span(run.teachers[0].values).project(value),
    "lift": lambda value, run, grid: gl.reduction.teacher_span(run.teachers[0].values).lift(value),
    "kernel": lambda value, run, grid: gl.reduction.kernel(gl.Params(np.ones((2, 2, 2)), np.ones(2)), value, 1.0),
    "mixtures": lambda value, run, grid: gl.transfer.mixtures(run, value),
    "duration": lambda value, run, grid: gl.transfer.adapt(small(), run, (0.5, 0.5), value),
    "distance": lambda value, run, grid: gl.transfer.adaptation_time(value, 0.3, 0.03, 0.02),
    "size": lambda value, run, grid: gl.transfer.adaptation_time(1.0, value, 0.03, 0.02),
    "switch": lambda value, run, grid: gl.theory.Switch(value, 0.1).curve(0.0),
    "curve": lambda value, run, grid: gl.theory.Switch(1.0, 0.1).curve(value),
    "time": lambda value, run, grid: gl.theory.Switch(1.0, 0.1).time(value),
    "course": lambda value, run, grid: gl.theory.Switch(1.0, 0.1).course(value),
    "tasks": lambda value, run, grid: gl.theory.gate_divergence(EYE, value, ONES, 1.0, 0.1, np.ones(2)),
    "lengths": lambda value, run, grid: gl.theory.gate_divergence(EYE, [0, 1], value, 1.0, 0.1, np.ones(2)),
    "gate_divergence": lambda value, run, grid: gl.theory.gate_divergence(EYE, [0, 1], ONES, value, 0.1, np.ones(2)),
    "apart": lambda value, run, grid: gl.theory.gate_divergence(EYE, [0, 1], ONES, 1.0, 0.1, value),
    "aims": lambda value, run, grid: gl.theory.gate_divergence(value, [0, 1], ONES, 1.0, 0.1, np.ones(2)),
    "start of": lambda value, run, grid: gl.theory.gate_divergence(EYE, [0, 1], ONES, 1.0, 0.1, np.ones(2), value),
    "steady": lambda value, run, grid: gl.theory.steady_spread(value, 1.0, 0.1, 1.0, 0.01),
    "new": lambda value, run, grid: gl.theory.next_block(value, 0.5, 1.0, 1.3, 0.06, 1.4),
    "block_length": lambda value, run, grid: gl.theory.next_block(0.5, 0.5, value, 1.3, 0.06, 1.4),
    "run_length": lambda value, run, grid: gl.theory.alternation_loss(value, 0.03, 1.0, 0.001),
    "tau_c": lambda value, run, grid: gl.theory.alternation_loss(1.0, value, 1.0, 0.001),
    "log_likelihood": lambda value, run, grid: gl.observer.filtered(value, 0.1),
    "hazard": lambda value, run, grid: gl.observer.filtered(np.zeros((3, 2)), value),
    "task": lambda value, run, grid: gl.plotting.task_name(value),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # of numbers near the largest there are
@pytest.mark.parametrize("argument", CALLS)
def test_any_value_of_any_argument_is_taken_or_refused_in_words(argument, run, grid):
    for value in ODD:
        with taken_or_refused(f"{argument} = {value!r}"):
            CALLS[argument](value, run, grid)


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_numbers_of_any_kind_are_taken(kind):
    three = WHOLE[kind]
    assert gl.GatedLinear(three) == gl.GatedLinear(3)
    assert gl.Blocked(blocks=three) == gl.Blocked(blocks=3)
    assert gl.Orthogonal(tasks=three, d_in=60) == gl.Orthogonal(tasks=3, d_in=60)
    assert gl.Sampled(three) == gl.Sampled(3)
    assert gl.TwoLayer(three) == gl.TwoLayer(3)
    assert gl.RandomSwitches(2.0, tasks=three, draw=three) == gl.RandomSwitches(2.0, tasks=3, draw=3)
    assert type(gl.GatedLinear(three).paths) is int
    asked = {"record": (gl.record.loss,)}
    assert gl.simulate(small(), three, **asked).identical(gl.simulate(small(), 3, **asked))
    every = gl.simulate(small(blocks=3), 1, every=three, **asked)
    assert every.identical(gl.simulate(small(blocks=3), 1, every=3, **asked))
    assert gl.plotting.task_name(three) == "D"


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_any_kind_are_taken(kind, run):
    both = LISTS[kind]
    assert gl.Blocked(order=both) == gl.Blocked(order=(0, 1))
    assert gl.BlockSequence(both, [1.0, 1.0]) == gl.BlockSequence((0, 1), (1.0, 1.0))
    assert gl.Labellings([both, [1, 0]]) == gl.Labellings(((0, 1), (1, 0)))
    assert gl.Sums(gl.Orthogonal(), [both]) == gl.Sums(gl.Orthogonal(), ((0, 1),))
    teachers = gl.Orthogonal(tasks=2, d_in=6, d_out=2)
    assert gl.RowMixtures(teachers, [both]) == gl.RowMixtures(teachers, ((0, 1),))
    assert gl.simulate(small(), both).identical(run)
    assert gl.transfer.adapt(small(), run, both, 0.02).identical(gl.transfer.adapt(small(), run, (0, 1), 0.02))
    grid = gl.sweep(small(), tau_w=np.asarray(both) + 1, seeds=both, record=(gl.record.loss,))
    assert grid.identical(gl.sweep(small(), tau_w=[1, 2], seeds=2, record=(gl.record.loss,)))
    np.testing.assert_array_equal(
        *(gl.theory.gate_divergence(EYE, each, ONES, 1.0, 0.1, ONES) for each in (both, [0, 1]))
    )


def test_numbers_come_out_of_results_and_go_in_again(grid):
    """What a cell of a sweep was measured at is a setting again."""
    assert small(tau_c=grid.tau_c[1]) == small(tau_c=0.2)
    assert gl.results.settings(gl.results.cell(grid, tau_c=grid.tau_c[1]))["flow.tau_c"] == 0.2
    assert gl.Nonnegative(np.longdouble(0.25)).a == gl.Nonnegative(np.float16(0.25)).a == 0.25
    assert gl.Nonnegative(xr.DataArray(0.25)).a == gl.Nonnegative(jnp.array(0.25)).a == 0.25


def test_settings_that_jax_traces_stay_traced():
    def end(tau_c, values):
        teachers = gl.Spectral(values, d_in=6, d_out=2).sample(jax.random.key(0))
        return gl.Flow(1.3, tau_c).tau_c + jnp.sum(teachers)

    gradient = jax.grad(end)(0.1, jnp.array([1.0, 0.5]))
    assert float(gradient) == 1.0


def test_functions_to_compute_with_must_be_static():
    class Mine(gl.Orthogonal):
        scaled: object = abs

    with pytest.raises(ValueError, match=r"teachers.scaled = <built-in function abs>: is no number and no array"):
        small(teachers=Mine(d_in=6, d_out=2))
