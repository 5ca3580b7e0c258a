"""The axes named in the types are those of the arrays, checked at run time by beartype."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

RUN = """
import jaxtyping
modules = ["composites", "curricula", "flow", "inputs", "labellings", "networks", "objectives", "observer", "penalties"]
modules += ["record", "reduction", "teachers", "theory", "trunk"]
with jaxtyping.install_import_hook([f"gatedlib.{name}" for name in modules], "beartype.beartype"):
    import gatedlib as gl
    import gatedlib.reduction, gatedlib.theory, gatedlib.trunk
import jax
import numpy as np

penalties = (gl.Nonnegative(0.1), gl.UnitNorm(0.5), gl.UnitNorm(0.5, ord=2))
for teachers in (gl.Orthogonal(tasks=2, d_in=6, d_out=3), gl.Given(0.1 * np.ones((2, 3, 6)))):
    for inputs in (gl.Population(), gl.Sampled(2), gl.Sampled(8)):
        flow = gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.05, penalties=penalties, inputs=inputs)
        curriculum = gl.Sequence(tasks=(0, 1), lengths=(1.0, 2.0))
        gl.simulate(gl.Experiment(teachers, gl.GatedLinear(paths=4), curriculum, flow), seeds=5)
noisy = gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.05, inputs=gl.Noisy(8, 0.1))
gl.simulate(gl.Experiment(gl.Orthogonal(d_in=6, d_out=3), gl.GatedLinear(), gl.Blocked(blocks=1), noisy), 2)
made = gl.RowMixtures(gl.Sums(gl.Orthogonal(tasks=2, d_in=6, d_out=3), [(0.5, 0.5)]), [(0, 1, 2)])
gl.simulate(gl.Experiment(made, gl.NeuronGated(paths=2), gl.Blocked(order=(0, 2, 3), blocks=3), flow), seeds=5)
two = gl.TwoLayer(hidden=7)
flow = gl.Flow(1.3, 0.1, dt=0.05, penalties=(gl.UnitNorm(0.5, ord=2), gl.WeightDecay(0.1)), inputs=inputs)
gl.simulate(gl.Experiment(gl.Orthogonal(tasks=2, d_in=6, d_out=3), two, gl.Blocked(blocks=1), flow), seeds=5)
digits, names = gl.images.load("digits"), gl.Labellings((range(10), range(9, -1, -1)))
seen = gl.Examples(digits.train_images[:50], digits.train_classes[:50], batch=4)
tuned = gl.trunk.FineTuned(gl.trunk.Trunk.draw(jax.random.key(0), 8, 5))
flow = gl.Flow(1.0, 1.0, dt=0.1, inputs=seen)
gl.simulate(gl.Experiment(names, tuned, gl.Blocked(blocks=1), flow), 2, (gl.record.accuracy(seen),), every=5)
teachers = gl.Orthogonal(tasks=2, d_in=6, d_out=3).sample(jax.random.key(0))
for space in (gl.reduction.span(np.asarray(teachers)), gl.reduction.modes(np.asarray(teachers))):
    space.outside(space.lift(space.project(np.ones((5, 3, 6)))))
gl.theory.spreading(np.eye(2), [0, 1], [1.0, 1.0], 1.0, 0.1, np.ones((4, 2)))
gl.theory.Switch(1.0, 0.1).curve(np.linspace(-1, 1, 3))
try:
    gl.Flow(1.0, 1.0).velocity(gl.GatedLinear(), gl.Params(np.ones((2, 3, 6)), np.ones(2)), np.ones(3), None)
except jaxtyping.TypeCheckError:
    print("checked")
"""


def test_axes_are_as_the_types_say():
    ran = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "checked", ran.stderr[-2000:]
