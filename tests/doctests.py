"""What the examples of docstrings share: the names `gl`, `np`, `jax` and `jnp`, an experiment and results of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gatedlib as gl


@functools.cache
def shared():
    """A short forgetful experiment, its results for three seeds, and results on noisy samples."""
    experiment = gl.Experiment(
        gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
    )
    noisy = experiment.replace(inputs=gl.Noisy(batch=1, noise=0.1))
    return {
        "experiment": experiment,
        "results": gl.simulate(experiment, seeds=3),
        "noisy": gl.simulate(noisy, seeds=3, record=[gl.record.teacher_losses]),
    }


@pytest.fixture(autouse=True)
def _names_of_examples(request, doctest_namespace):
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace.update(gl=gl, np=np, jax=jax, jnp=jnp, **shared())
