"""Gram-Schmidt. Not LAPACK's QR: large batches of it on two CPU devices at once wait for each other for ever."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.jit  # else its loop is compiled at every call from outside of a program
def orthonormal(rows: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Rows of length one at right angles to each other, with the span of the given ones; a row that adds nothing is 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from gatedlib._orthonormal import orthonormal
        >>> orthonormal(jnp.array([[2.0, 0.0], [3.0, 0.0], [1.0, 1.0]])).tolist()
        [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    rounding = 10 * jnp.finfo(rows.dtype).eps

    def add(index: Array, done: Array) -> Array:
        row = rows[index]
        least = rounding * jnp.sqrt(jnp.sum(row**2))
        for _ in range(2):  # once leaves what rounding did; twice is enough
            row = row - (done @ row) @ done
        length = jnp.sqrt(jnp.sum(row**2))
        return done.at[index].set(jnp.where(length > least, row / jnp.where(length > 0, length, 1.0), 0.0))

    return jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows))
