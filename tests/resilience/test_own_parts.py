"""Parts that users write: what they read is what runs, and what they give is checked in words before it does."""

import functools
import subprocess
import sys
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from tests.examples import small

FACTOR = 1.0

SETTINGS = types.ModuleType("settings_of_a_user")
"""A module of constants, as a user would have beside a notebook."""
SETTINGS.FACTOR = 1.0
SETTINGS.__file__ = "settings_of_a_user.py"


@jax.jit
def scaled(x):
    return FACTOR * x


@gl.record.quantity()
def own_loss(frame):
    return FACTOR * frame.loss


@gl.record.quantity()
def through_jit(frame):
    return scaled(frame.loss)


@gl.record.quantity()
def through_module(frame):
    return SETTINGS.FACTOR * frame.loss


class Pull(gl.Penalty):
    strength: float = 0.1
    factor = 1.0

    @property
    def acts_on_weights(self):
        return False

    def value(self, params):
        return FACTOR * self.factor * self.strength * jnp.sum(params.gates**2)


class Drawn(gl.GatedLinear):
    def init(self, key, d_out, d_in):
        weights, gates = super().init(key, d_out, d_in)
        return gl.Params(FACTOR * weights, gates)


class Wide(gl.GatedLinear):
    def init(self, key, d_out, d_in):
        return gl.Params(0.3 * jax.random.normal(key, (int(2 * FACTOR), d_out, d_in)), jnp.ones(int(2 * FACTOR)))


class Asked(gl.Orthogonal):
    def sample(self, key):
        return FACTOR * super().sample(key)


class Told(gl.Population):
    def loss(self, matrix, teacher, batch):
        loss, gradient = super().loss(matrix, teacher, batch)
        return FACTOR * loss, FACTOR * gradient


def quantity(kept):
    return lambda: gl.simulate(small(blocks=1), 1, [kept])[kept.name]


def part(**settings):
    return lambda: gl.simulate(small(blocks=1, **settings), 1).loss


READERS = {
    "quantity": quantity(own_loss),
    "quantity, through jit": quantity(through_jit),
    "quantity made anew": lambda: quantity(gl.record.Quantity("x", (), lambda frame: scaled(frame.loss)))(),
    "penalty": part(penalties=(Pull(),)),
    "scaled penalty": part(penalties=(gl.Scaled(0.5, (Pull(),)),)),
    "network": part(network=Drawn(weight_scale=0.3)),
    "shapes of a network": lambda: gl.simulate(small(blocks=1, network=Wide()), 1).gates.sum("path"),
    "teachers": part(teachers=Asked(tasks=2, d_in=6, d_out=2)),
    "teachers within others": part(teachers=gl.Sums(Asked(tasks=2, d_in=6, d_out=2), [(0.5, 0.5)])),
    "inputs": part(inputs=Told()),
    "equation": lambda: gl.solve(small(blocks=1, penalties=(Pull(),)), 1).loss,
    "sweep": lambda: gl.sweep(small(blocks=1), seeds=1, tau_c=[0.1], record=[own_loss]).own_loss,
    "measure": lambda: gl.sweep(small(blocks=1), seeds=1, tau_c=[0.1], measure=lambda run: FACTOR * run.loss).loss,
}


@pytest.mark.parametrize("name", READERS)
def test_a_constant_that_changed_is_read_anew(monkeypatch, name):
    before = READERS[name]()
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    changed = READERS[name]()
    assert not np.allclose(changed, before)
    monkeypatch.setitem(globals(), "FACTOR", 1.0)
    np.testing.assert_array_equal(READERS[name](), before)


def test_constants_of_classes_and_of_other_modules_are_read_anew(monkeypatch):
    for read, owner, name in (
        (part(penalties=(Pull(),)), Pull, "factor"),
        (quantity(through_module), SETTINGS, "FACTOR"),
    ):
        before = read()
        monkeypatch.setattr(owner, name, 3.0)
        assert not np.allclose(read(), before)
        monkeypatch.setattr(owner, name, 1.0)
        np.testing.assert_array_equal(read(), before)


def test_a_function_that_is_in_no_module_is_told_from_another():
    def run(factor):
        names = {}
        exec(f"def twice(frame):\n    return {factor} * frame.loss", names)
        assert names["twice"].__module__ is None
        return gl.simulate(small(blocks=1), 1, [gl.record.Quantity("twice", (), names["twice"])]).twice

    np.testing.assert_allclose(run(3.0), 1.5 * run(2.0), rtol=1e-6)


def test_a_saved_sweep_holds_the_numbers_that_its_plan_names(monkeypatch, tmp_path):
    def swept(**save):
        return gl.sweep(small(blocks=1), seeds=1, tau_c=[0.1], record=[own_loss], **save).own_loss.values

    one = swept(save=tmp_path / "one")
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    np.testing.assert_allclose(swept(save=tmp_path / "two"), 2 * one)
    with pytest.raises(ValueError, match="differs in record"):
        swept(save=tmp_path / "one")


def test_nothing_is_compiled_anew_while_nothing_changes(monkeypatch):
    traces, evaluate = [], gl.record.evaluate
    monkeypatch.setattr(gl.record, "evaluate", lambda *asked: traces.append(1) or evaluate(*asked))
    kept = gl.record.Quantity("mine", (), lambda frame: FACTOR * frame.loss)
    for tau_c in (0.1, 0.2, 0.3):
        gl.simulate(small(blocks=1, penalties=(Pull(),), tau_c=tau_c), 1, [kept])
    assert len(traces) == 1


class Shuffled(gl.Curriculum):
    def schedule(self, dt):
        return gl.Schedule.of_blocks(np.random.permutation(np.arange(8) % 2), [1.0] * 8, dt)  # noqa: NPY002


class Listed(gl.Curriculum):
    def schedule(self, dt):
        return [0, 0, 1, 1]


class Loose(gl.Curriculum):
    change: object = eqx.field(static=True)

    def schedule(self, dt):
        return gl.Schedule.of_tasks([0, 0, 1, 1])._replace(**self.change())


class OwnTeachers(gl.Teachers):
    draw: object = eqx.field(static=True)

    @property
    def shape(self):
        return 3, 2, 6

    def sample(self, key):
        return self.draw(jax.random.normal(key, (3, 2, 6)))


class OwnNetwork(gl.Network):
    draw: object = eqx.field(static=True)

    def init(self, key, d_out, d_in):
        return self.draw(0.1 * jax.random.normal(key, (2, d_out, d_in)), jnp.ones(2) / 2)

    def effective(self, params):
        return jnp.einsum("p,pij->ij", params.gates, params.weights)


class OwnPenalty(gl.Penalty):
    give: object = eqx.field(static=True)

    def value(self, params):
        return self.give(params)


class OwnGradient(OwnPenalty):
    def gradient(self, params):
        return params.gates


class OwnInputs(gl.Inputs):
    give: object = eqx.field(static=True)

    def draw(self, key, d_out, d_in):
        return self.give(jax.random.normal(key, (d_in, 3)))


class OwnLoss(OwnInputs):
    def draw(self, key, d_out, d_in):
        return None

    def loss(self, matrix, teacher, batch):
        return self.give(matrix)


class Fixed(gl.GatedLinear):
    table: object = eqx.field(static=True, default=())


class Kept(Pull):
    @functools.cached_property
    def twice(self):
        return 2 * self.strength


def numpys(x):
    return jnp.asarray(np.random.normal(size=x.shape))  # noqa: NPY002


PARTS = {
    "curriculum that shuffles": (lambda: {"curriculum": Shuffled()}, "gives another plan each time it is asked"),
    "in phases": (lambda: {"curriculum": gl.Phases((gl.Blocked(blocks=1), Shuffled()))}, "gives another plan"),
    "curriculum of a list": (lambda: {"curriculum": Listed()}, "Listed.schedule = 'list': must give a Schedule"),
    "list in phases": (lambda: {"curriculum": gl.Phases((Listed(),))}, "must give a Schedule"),
    "lists in a schedule": (
        lambda: {"curriculum": Loose(lambda: {"tasks": [0, 0, 1, 1]})},
        "must give arrays of whole",
    ),
    "halves in a schedule": (lambda: {"curriculum": Loose(lambda: {"start": np.array([0.0, 2.0])})}, "arrays of whole"),
    "gaps in a schedule": (lambda: {"curriculum": Loose(lambda: {"stop": np.array([1, 4])})}, "must cut its 4 steps"),
    "other tasks": (
        lambda: {"curriculum": Loose(lambda: {"block_tasks": np.array([1, 0])})},
        "must name the same task",
    ),
    "fewer teachers": (lambda: {"teachers": OwnTeachers(lambda x: x[:2])}, r"= \(2, 2, 6\): must be \(3, 2, 6\)"),
    "turned teachers": (lambda: {"teachers": OwnTeachers(lambda x: x.swapaxes(1, 2))}, r"must be \(3, 2, 6\)"),
    "teachers in parts": (lambda: {"teachers": OwnTeachers(list)}, "shape of what OwnTeachers.sample draws"),
    "complex teachers": (lambda: {"teachers": OwnTeachers(lambda x: 1j * x)}, "'complex64': must be real numbers"),
    "half teachers": (lambda: {"teachers": OwnTeachers(lambda x: x.astype(jnp.float16))}, "'float16': must be real"),
    "teachers of numpy": (lambda: {"teachers": OwnTeachers(numpys)}, "draws other numbers each time it is asked"),
    "network of numpy": (lambda: {"network": OwnNetwork(lambda w, c: gl.Params(numpys(w), c))}, "other numbers each"),
    "whole gates": (lambda: {"network": OwnNetwork(lambda w, c: gl.Params(w, c.astype(int)))}, "gates of OwnNetwork"),
    "half weights": (lambda: {"network": OwnNetwork(lambda w, c: gl.Params(w.astype(jnp.float16), c))}, "'float16'"),
    "complex weights": (lambda: {"network": OwnNetwork(lambda w, c: gl.Params(w + 0j, c))}, "'complex64'"),
    "a tuple": (lambda: {"network": OwnNetwork(lambda w, c: (w, c))}, "must be Params of two arrays"),
    "cost that is a vector": (lambda: {"penalties": (OwnPenalty(lambda p: p.gates),)}, "must be one real number"),
    "cost that is whole": (lambda: {"penalties": (OwnPenalty(lambda p: 3),)}, "'int32': must be real numbers"),
    "no cost": (lambda: {"penalties": (OwnPenalty(lambda p: None),)}, "value of OwnPenalty = None: must be one"),
    "half a cost": (lambda: {"penalties": (OwnPenalty(lambda p: jnp.float16(1)),)}, "'float16'"),
    "within others": (lambda: {"penalties": (gl.Scaled(1.0, (OwnPenalty(lambda p: p.gates),)),)}, "one real number"),
    "gradient": (lambda: {"penalties": (OwnGradient(lambda p: jnp.sum(p.gates)),)}, "gradient of OwnGradient"),
    "inputs turned": (lambda: {"inputs": OwnInputs(lambda x: x.T)}, r"= \(3, 6\): must be \(6, rank\)"),
    "inputs of numpy": (lambda: {"inputs": OwnInputs(numpys)}, "other numbers each time"),
    "no gradient": (lambda: {"inputs": OwnLoss(jnp.sum)}, "must be the loss and its gradient"),
    "loss of rows": (lambda: {"inputs": OwnLoss(lambda a: (a.sum(0), a))}, r"loss of OwnLoss.loss = \(6,\)"),
    "gradient turned": (lambda: {"inputs": OwnLoss(lambda a: (a.sum(), a.T))}, r"gradient of OwnLoss.loss = \(6, 2\)"),
    "static array": (lambda: {"network": Fixed(table=(np.ones(3),))}, "Fixed.table = 'an array in a static field'"),
    "cached property": (lambda: {"penalties": (Kept(),)}, r"cached_property of Kept = \['twice'\]"),
}


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")  # equinox says so, and goes on
@pytest.mark.parametrize("name", PARTS)
def test_what_a_part_gives_is_checked_when_the_experiment_is_made(name):
    make, words = PARTS[name]
    with pytest.raises(ValueError, match=words):
        small(**make())


def test_parts_that_give_what_they_should_are_taken():
    fine = small(
        teachers=OwnTeachers(lambda x: x),
        network=OwnNetwork(gl.Params),
        penalties=(OwnPenalty(lambda p: jnp.sum(p.gates**2)),),
        inputs=OwnInputs(lambda x: x),
        curriculum=Loose(dict),
    )
    assert gl.simulate(fine, 2).sizes["time"] == 4
    key = jax.random.key(5)  # a constant of the trace

    def layered(weights, gates):
        shaken = weights + 1e-3 * jax.random.normal(key, weights.shape)
        return gl.Params(jax.nn.silu(jax.nn.relu(shaken)), jax.nn.softmax(gates))

    assert gl.simulate(small(network=OwnNetwork(layered)), 2, every=50).sizes["seed"] == 2
    # the same for each seed is not random
    constant = small(teachers=OwnTeachers(lambda x: jnp.ones((3, 2, 6))), order=range(3))
    assert gl.simulate(constant, 2, every=50).sizes["seed"] == 2


def loss_of(experiment, **settings):
    return gl.simulate(experiment.replace(**settings), 1).loss.values.sum()


TRACED = {
    "jit": lambda: jax.jit(lambda tau_c: loss_of(small(), tau_c=tau_c))(0.1),
    "grad": lambda: jax.grad(lambda tau_c: loss_of(small(), tau_c=tau_c))(0.1),
    "vmap": lambda: jax.vmap(lambda tau_c: loss_of(small(), tau_c=tau_c))(jnp.array([0.1, 0.2])),
    "an experiment": lambda: jax.jit(loss_of)(small()),
    "simulate": lambda: jax.jit(lambda experiment: gl.simulate(experiment, 1).loss.values)(small()),
    "sweep": lambda: jax.jit(lambda experiment: gl.sweep(experiment, tau_c=[0.1]).loss.values)(small()),
    "solve": lambda: jax.jit(lambda experiment: gl.solve(experiment, 1).loss.values)(small()),
    "seeds": lambda: jax.jit(lambda seeds: gl.simulate(small(), seeds).loss.values)(3),
    "initial": lambda: jax.grad(lambda w: gl.simulate(small(), 1, initial=gl.Params(w, jnp.ones(2))))(
        jnp.ones((2, 2, 6))
    ),
}


@pytest.mark.parametrize("name", TRACED)
def test_what_a_caller_traces_is_refused_with_what_can_be_done(name):
    with pytest.raises(ValueError, match=r"is traced by jax.jit, grad or vmap.*gatedlib.sweep.*flow.step"):
        TRACED[name]()


def test_gradients_through_learning_are_had_from_its_steps():
    """What the refusal of a traced setting names."""
    experiment = small()
    teachers, params = experiment.draw(0)

    def last_loss(tau_c):
        flow = gl.Flow(1.3, tau_c, dt=0.02)

        def step(params, _):
            loss, velocity = flow.velocity(experiment.network, params, teachers[0], None)
            return flow.step(params, velocity), loss

        return jax.lax.scan(step, params, length=20)[1][-1]

    slope = (last_loss(0.1 + 1e-2) - last_loss(0.1 - 1e-2)) / 2e-2
    np.testing.assert_allclose(jax.grad(last_loss)(0.1), slope, rtol=0.05)


def compared(run):
    """A measure that looks at all seeds of a cell."""
    mean = run.loss.mean("time")
    return mean - mean.mean("seed")


def test_a_measure_sees_the_seeds_of_its_cell_and_no_others():
    experiment, axes = small(blocks=1), {"tau_c": [0.05, 0.1, 0.2]}
    found = gl.sweep(experiment, seeds=4, measure=compared, **axes).loss
    for tau_c in axes["tau_c"]:
        alone = compared(gl.simulate(experiment.replace(tau_c=tau_c), 4))
        np.testing.assert_allclose(found.sel(tau_c=tau_c), alone, atol=1e-6)
    few_cells = gl.sweep(experiment, seeds=4, measure=compared, memory=1e5, **axes).loss
    np.testing.assert_allclose(few_cells, found, atol=1e-6)
    with pytest.raises(ValueError, match=r"compares seeds, and a tile of this memory does not hold all seeds"):
        gl.sweep(experiment, seeds=4, measure=compared, memory=1, **axes)


def test_a_measure_of_single_seeds_does_not_depend_on_memory():
    asked = {"seeds": 4, "tau_c": [0.05, 0.1, 0.2], "measure": lambda run: run.loss.max("time")}
    whole = gl.sweep(small(blocks=1), **asked)
    for memory in (1, 1e5):
        xr.testing.assert_allclose(gl.sweep(small(blocks=1), memory=memory, **asked), whole)


SENT = """
import sys

import cloudpickle
import jax.numpy as jnp

import gatedlib as gl
from tests.examples import small


class Pull(gl.Penalty):
    strength: float = 0.0

    def value(self, params):
        return self.strength * jnp.sum(params.gates**2)


sys.stdout.buffer.write(cloudpickle.dumps(small(penalties=(Pull(0.5),))))
"""
ARRIVED = """
import sys

import cloudpickle

import gatedlib as gl

experiment = cloudpickle.loads(sys.stdin.buffer.read())
for call in (
    lambda: gl.simulate(experiment, 1),
    lambda: gl.sweep(experiment, seeds=1, tau_c=[0.1]),
    lambda: experiment.replace(tau_c=0.2),
):
    try:
        call()
    except ValueError as refusal:
        print(refusal)
"""


SENT_QUANTITY = """
import sys

import cloudpickle

import gatedlib as gl


@gl.record.quantity()
def mine(frame):
    return 2 * frame.loss


sys.stdout.buffer.write(cloudpickle.dumps(mine))
"""
ARRIVED_QUANTITY = """
import sys

import cloudpickle

import gatedlib as gl
from tests.examples import small

run = gl.simulate(small(blocks=1), 1, [gl.record.loss, cloudpickle.loads(sys.stdin.buffer.read())])
print(bool((run.mine == 2 * run.loss).all()))
"""


def test_a_quantity_of_a_script_travels_by_value():
    sent = subprocess.run([sys.executable, "-c", SENT_QUANTITY], capture_output=True, check=True).stdout
    arrived = subprocess.run([sys.executable, "-c", ARRIVED_QUANTITY], input=sent, capture_output=True, check=True)
    assert arrived.stdout.decode().strip() == "True"


def test_a_class_that_lost_its_fields_on_the_way_is_refused():
    """As a class of a notebook does that is sent to a worker by value (equinox 0.13.8, cloudpickle 3.1)."""
    sent = subprocess.run([sys.executable, "-c", SENT], capture_output=True, check=True).stdout
    told = subprocess.run([sys.executable, "-c", ARRIVED], input=sent, capture_output=True, check=True).stdout.decode()
    assert told.count("fields of Pull = ['strength']: JAX sees other fields") == 3
    assert told.count("Put class Pull into a module that this process can import.") == 3
