"""The axes named in the types are those of the arrays: with `--jaxtyping-packages` beartype checks them at each call.

Tests of refusals are not for this, since a wrong type is refused before the library can say what to do.
"""

import jax
import numpy as np
import pytest

import gatedlib as gl
from gatedlib_book.pictures import FineTuned, Pictures

PENALTIES = (gl.Nonnegative(0.1), gl.UnitNorm(0.5), gl.UnitNorm(0.5, ord=2), gl.Scaled(0.5, (gl.WeightCost(0.1),)))
TEACHERS = {
    "drawn": gl.Orthogonal(tasks=2, d_in=6, d_out=3),
    "given": gl.Given(0.1 * np.ones((2, 3, 6))),
    "with singular values": gl.Spectral(values=(1.0, 0.5), d_in=6, d_out=3),
    "alike": gl.Correlated(d_in=6, d_out=3, correlation=0.5),
}
INPUTS = {"all": gl.Population(), "few": gl.Sampled(2), "many": gl.Sampled(8), "noisy": gl.Noisy(8, 0.1)}


@pytest.fixture(autouse=True)
def _checked(request):
    if not request.config.getoption("--jaxtyping-packages"):
        pytest.skip("types are checked with --jaxtyping-packages=gatedlib,beartype.beartype")


def learned(teachers, network, curriculum, **flow):
    flow = gl.Flow(**{"tau_w": 1.3, "tau_c": 0.1, "dt": 0.05, **flow})
    return gl.simulate(gl.Experiment(teachers, network, curriculum, flow), seeds=5)


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("teachers", TEACHERS)
def test_tasks_and_inputs(teachers, inputs):
    curriculum = gl.BlockSequence(tasks=(0, 1), lengths=(1.0, 2.0))
    network = gl.GatedLinear(paths=4)
    results = learned(TEACHERS[teachers], network, curriculum, penalties=PENALTIES, inputs=INPUTS[inputs])
    assert results.gates.shape == (5, 60, 4)


def test_students():
    tasks = gl.Orthogonal(tasks=2, d_in=6, d_out=3)
    made = gl.RowMixtures(gl.Sums(tasks, [(0.5, 0.5)]), [(0, 1, 2)])
    learned(made, gl.NeuronGated(paths=2), gl.Blocked(order=(0, 2, 3), blocks=3), penalties=PENALTIES)
    penalties = (gl.UnitNorm(0.5, ord=2), gl.WeightDecay(0.1))
    learned(tasks, gl.TwoLayer(hidden=7), gl.Blocked(blocks=1), penalties=penalties)


def test_pictures():
    digits, labels = gl.images.load("digits"), gl.Labellings((range(10), range(9, -1, -1)))
    seen = Pictures(digits.train_images[:50], digits.train_classes[:50], batch=4)
    tuned = FineTuned(gl.trunk.Trunk.draw(jax.random.key(0), 8, 5))
    experiment = gl.Experiment(labels, tuned, gl.Blocked(blocks=1), gl.Flow(1.0, 1.0, dt=0.1, inputs=seen))
    accuracy = gl.simulate(experiment, 2, (gl.record.accuracy(seen),), every=5).accuracy
    assert accuracy.shape == (2, 2)


def test_reduction_and_theory():
    teachers = np.asarray(gl.Orthogonal(tasks=2, d_in=6, d_out=3).sample(jax.random.key(0)))
    for space in (gl.reduction.teacher_span(teachers), gl.reduction.modes(teachers)):
        assert space.outside(space.lift(space.project(np.ones((5, 3, 6))))).shape == (5,)
    assert gl.theory.gate_divergence(np.eye(2), [0, 1], [1.0, 1.0], 1.0, 0.1, np.ones((4, 2))).shape == (4, 2)
    assert gl.theory.Switch(1.0, 0.1).curve(np.linspace(-1, 1, 3)).shape == (3,)


def test_wrong_axes_are_found():
    from jaxtyping import TypeCheckError

    params = gl.Params(np.ones((2, 3, 6)), np.ones(2))
    with pytest.raises(TypeCheckError):
        gl.Flow(1.0, 1.0).velocity(gl.GatedLinear(), params, np.ones(3), None)
