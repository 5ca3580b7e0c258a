"""A seed means one network and one sequence of inputs, whatever is set around it, and wherever a run begins."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib.simulation.runs import read
from tests.examples import ROOT, small

INPUTS = {
    "population": gl.Population(),
    "few samples": gl.Sampled(3),
    "samples": gl.Sampled(20),
    "noisy": gl.Noisy(20, 0.3),
    "noisy, few": gl.Noisy(2, 0.3),
}
KEEP = (gl.record.loss, gl.record.gates)
AROUND = {
    "another generator, and other seeds": {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_RANDOM_SEED_OFFSET": "7"},
    "another layout of bits, and strict rules": {
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_LEGACY_PRNG_KEY": "error",
    },
}
PROGRAM = """
import hashlib, sys
import numpy as np
import gatedlib as gl
from tests.examples import ROOT, small
from tests.laws.test_seeds import INPUTS

for name in ("few samples", "noisy"):
    run = gl.simulate(small(inputs=INPUTS[name], blocks=1), 2, record=(gl.record.loss,))
    teachers, params = small().draw(1)
    arrays = [run[name].values for name in sorted(run)] + [teachers, params.weights]
    print(name, hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest())
gl.sweep(small(), seeds=2, tau_c=[0.1], record=(gl.record.loss,), save=sys.argv[1])
print(gl.trunk.features(gl.images.load("digits"), units=4, steps=3).train.sum())
"""


def told(folder, settings):
    """What another process finds, with some settings of JAX around it."""
    environment = {**os.environ, **settings, "GATEDLIB_CACHE": str(folder / "-".join(["cache", *settings.values()]))}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(folder / "sweep")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_a_seed_is_the_same_network_whatever_generator_jax_was_told_to_use(tmp_path):
    plain = told(tmp_path, {})
    for name, settings in AROUND.items():
        assert told(tmp_path, settings) == plain, name


@pytest.mark.parametrize("inputs", INPUTS)
def test_what_a_step_sees_does_not_depend_on_the_precision(inputs):
    def drawn():
        seen = jax.tree.leaves(INPUTS[inputs].draw(jax.random.key(0), 2, 6))
        return [leaf for leaf in seen if isinstance(leaf, jax.Array)]

    single = drawn()
    with jax.enable_x64(True):
        double = drawn()
    for one, other in zip(single, double, strict=True):
        assert one.dtype == jnp.float32
        assert other.dtype == jnp.float64
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_which_examples_a_step_sees_does_not_depend_on_the_precision():
    examples = gl.Examples(np.eye(50), np.arange(50))
    single = examples.draw(jax.random.key(0), 2, 6)
    with jax.enable_x64(True):
        double = examples.draw(jax.random.key(0), 2, 6)
    np.testing.assert_array_equal(single, double)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["samples", "noisy"])
def test_a_run_is_the_same_in_double_precision_but_for_rounding(inputs):
    experiment = small(inputs=INPUTS[inputs])
    single = gl.simulate(experiment, 3, KEEP)
    with jax.enable_x64(True):
        double = gl.simulate(experiment, 3, KEEP)
    np.testing.assert_allclose(single.loss, double.loss, atol=1e-4)
    np.testing.assert_allclose(single.final_weights, double.final_weights, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "first"), [("population", 2), ("few samples", 1), ("noisy", 2), ("noisy, few", 3)])
def test_two_parts_of_a_run_are_the_whole(inputs, first):
    experiment = small(inputs=INPUTS[inputs])
    whole = gl.simulate(experiment, 3, KEEP)
    order = (0, 1) if first % 2 == 0 else (1, 0)
    begun = gl.simulate(experiment.replace(blocks=first), 3, KEEP)
    steps = int(begun.block_stop[-1])
    rest = experiment.replace(blocks=4 - first, order=order)
    ended = gl.simulate(rest, 3, KEEP, initial=gl.results.final_params(begun), start=steps)
    for name in ("loss", "gates"):
        parts = np.concatenate([begun[name], ended[name]], 1)
        np.testing.assert_allclose(parts, whole[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(ended.final_weights, whole.final_weights, atol=1e-5)
    assert read(ended.settings.values[0]).start == steps
    assert float(ended.time[0]) == 0


def test_a_run_that_goes_on_sees_new_inputs():
    experiment = small(inputs=gl.Sampled(3))
    begun = gl.simulate(experiment, 2)
    again, on = (gl.simulate(experiment, 2, initial=gl.results.final_params(begun), start=start) for start in (0, 200))
    assert (again.loss.values != on.loss.values).mean() > 0.9
    xr.testing.assert_identical(again, gl.simulate(experiment, 2, initial=gl.results.final_params(begun)))


def test_networks_that_adapt_see_new_inputs():
    experiment = small(inputs=gl.Sampled(3), blocks=2)
    known = gl.simulate(experiment, 2)
    sums = gl.Sums(experiment.teachers, [(1.0, 0.0)])
    adapted = gl.transfer.adapt(experiment, known, (1.0, 0.0), 0.2)
    last = experiment.replace(teachers=sums, curriculum=gl.BlockSequence((2,), (0.2,)))
    expected = gl.simulate(last, 2, (gl.record.loss,), initial=gl.results.final_params(known), start=100)
    np.testing.assert_array_equal(adapted.loss, expected.loss)
