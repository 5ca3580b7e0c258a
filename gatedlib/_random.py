"""Random numbers that do not depend on the precision in which they are used."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal numbers, drawn in single precision: a seed is the same network in double precision too."""
    return jax.random.normal(key, shape, jnp.float32).astype(float)
