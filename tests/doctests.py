"""What the examples of docstrings share: the names `gl`, `np`, `jax` and `jnp`, an experiment and results of it."""

import functools

import pytest


@functools.cache
def shared():
    """These names, a short forgetful experiment, its results for three seeds, and results on noisy samples."""
    import jax  # not before pytest has prepared what is imported
    import jax.numpy as jnp
    import numpy as np

    import gatedlib as gl

    experiment = gl.Experiment(
        gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
    )
    noisy = experiment.replace(inputs=gl.Noisy(batch=1, noise=0.1))
    return {
        **{"gl": gl, "jax": jax, "jnp": jnp, "np": np},
        "experiment": experiment,
        "results": gl.simulate(experiment, seeds=3),
        "noisy": gl.simulate(noisy, seeds=3, record=[gl.record.teacher_losses]),
    }


@pytest.fixture(autouse=True)
def _names_of_examples(request, doctest_namespace):
    if isinstance(request.node, pytest.DoctestItem):
        doctest_namespace.update(shared())
