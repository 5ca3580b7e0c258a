"""Random numbers that depend on a seed, and on nothing else that is set around the library.

A seed means the same network whatever the precision, the generator that JAX was told to use
(`JAX_DEFAULT_PRNG_IMPL`), and the way in which that one lays out its bits (`JAX_THREEFRY_PARTITIONABLE`).
"""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

GENERATOR = "threefry2x32"
"""The generator of JAX whose numbers for a run do not depend on the runs beside it."""


def key(seed: int | Array) -> Key[Array, ""]:
    """The key that a seed stands for, which `jax.random.key` would shift by `JAX_RANDOM_SEED_OFFSET`."""
    data = jnp.stack([jnp.uint32(0), jnp.asarray(seed).astype(jnp.uint32)])
    return jax.random.wrap_key_data(data, impl=GENERATOR)


SETTINGS = {"threefry_partitionable": True, "numpy_rank_promotion": "allow", "numpy_dtype_promotion": "standard"}
"""Settings of JAX on which the bits of a seed, or the way this library writes its sums, depend."""


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Let a seed mean here what it always means, whatever JAX was told."""
    with contextlib.ExitStack() as settings:
        for name, value in SETTINGS.items():
            if hasattr(jax, name):  # a later JAX may leave no choice
                settings.enter_context(getattr(jax, name)(value))
        yield


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal numbers, drawn in single precision: a seed is the same network in double precision too."""
    return jax.random.normal(key, shape, jnp.float32).astype(float)
