"""Random numbers that depend on a seed, and on nothing else that is set around the library.

A seed means the same network whatever the precision, the generator that JAX was told to use
(`JAX_DEFAULT_PRNG_IMPL`), and the way in which that one lays out its bits (`JAX_THREEFRY_PARTITIONABLE`).
"""

import contextlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

GENERATOR = "threefry2x32"
"""The generator of JAX whose numbers for a run do not depend on the runs beside it."""


def key(seed: int | Array) -> Key[Array, ""]:
    """The key that a seed stands for."""
    return jax.random.key(seed, impl=GENERATOR)


def own_bits() -> contextlib.AbstractContextManager:
    """Let all numbers drawn in this context have the bits that a seed means here, whatever JAX was told."""
    partitionable = getattr(jax, "threefry_partitionable", None)  # a later JAX may know this layout only
    return contextlib.nullcontext() if partitionable is None else partitionable(True)


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal numbers, drawn in single precision: a seed is the same network in double precision too."""
    return jax.random.normal(key, shape, jnp.float32).astype(float)
