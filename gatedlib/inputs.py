"""Inputs: how much of the input distribution a learning step sees.

A linear student feels its inputs only through their second moment :math:`S`. It is passed on as a factor L with
:math:`S = L L^T`, or None where S is the identity.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num

from gatedlib import _check


class Inputs(eqx.Module):
    """A law of the input second moment of a learning step, for inputs x ~ N(0, I)."""

    @abc.abstractmethod
    def factor(self, key: Key[Array, ""], d_in: int) -> Float[Array, "in rank"] | None:
        """Draw L with `L @ L.T = S`, or None for S = I."""


class Population(Inputs):
    r"""All inputs at once: the deterministic limit of an infinite batch.

    .. math::

        S = E[x x^\top] = I

    Example:
        >>> import gatedlib as gl, jax
        >>> gl.Population().factor(jax.random.key(0), d_in=3) is None
        True

    Source: paper, appendix on the reduction, which works in this limit.
    """

    def factor(self, key: Key[Array, ""], d_in: int) -> None:
        return None


class Sampled(Inputs):
    r"""A fresh minibatch of Gaussian inputs at every step, in its exact law.

    .. math::

        S = \frac 1B \sum_{b=1}^B x_b x_b^\top, \qquad B S \sim \mathrm{Wishart}(B, I)

    For `batch >= d_in` the Cholesky factor of that Wishart matrix is drawn directly (Bartlett: independent normals
    below the diagonal, roots of chi-squares on it), which costs the same for every batch size; for smaller batches
    the inputs themselves are drawn.

    Args:
        batch: number of inputs per step, B.

    Raises:
        ValueError: if the batch is no whole number above 0.

    Example:
        >>> import gatedlib as gl, jax
        >>> gl.Sampled(200).factor(jax.random.key(0), d_in=3).shape, gl.Sampled(2).factor(jax.random.key(0), 3).shape
        ((3, 3), (3, 2))

    Source: paper, section 2 (batch 200). Bartlett decomposition: M. S. Bartlett, 1933.
    """

    batch: int = eqx.field(static=True, default=200)

    def __check_init__(self) -> None:
        _check.whole("batch", self.batch, 1, "The paper uses 200; Population() is the limit of large batches")

    def factor(self, key: Key[Array, ""], d_in: int) -> Float[Array, "in rank"]:
        if self.batch < d_in:
            return jax.random.normal(key, (d_in, self.batch)) / np.sqrt(self.batch)
        below_key, diagonal_key = jax.random.split(key)
        roots = jnp.sqrt(chi_square(diagonal_key, self.batch - np.arange(d_in)))
        below = jax.random.normal(below_key, (d_in * (d_in - 1) // 2,))
        return _lower_triangle(roots, below) / np.sqrt(self.batch)


def _lower_triangle(diagonal: Float[Array, "n"], below: Float[Array, "m"]) -> Float[Array, "n n"]:
    """The lower triangular matrix with these entries: one gather, and no number drawn to be thrown away."""
    n = len(diagonal)
    place = np.full((n, n), n + len(below))  # above the diagonal: the zero that is appended
    place[np.diag_indices(n)] = np.arange(n)
    place[np.tril_indices(n, -1)] = n + np.arange(len(below))
    return jnp.concatenate([diagonal, below, jnp.zeros(1)])[place]


def chi_square(key: Key[Array, ""], degrees: Num[np.ndarray, "n"]) -> Float[Array, "n"]:
    """Chi-square variables, exact in law, all elements at once (Marsaglia and Tsang's rejection).

    `jax.random.chisquare` works through its elements one by one on a CPU, and the draw of a Wishart factor would
    spend most of its time there. One extra uniform per element makes the method valid from one degree of freedom on.
    """
    boost_key, key = jax.random.split(key)
    d = degrees / 2 + 1 - 1 / 3
    c = 1 / np.sqrt(9 * d)

    def propose(state: tuple) -> tuple:
        attempt, gamma = state
        normal_key, uniform_key = jax.random.split(jax.random.fold_in(key, attempt))
        x = jax.random.normal(normal_key, degrees.shape)
        v = (1 + c * x) ** 3
        log_u = jnp.log(jax.random.uniform(uniform_key, degrees.shape))
        good = (v > 0) & (log_u < x**2 / 2 + d - d * v + d * jnp.log(jnp.where(v > 0, v, 1.0)))
        return attempt + 1, jnp.where((gamma == 0) & good, d * v, gamma)

    # an element is done once it is not 0: a second array of flags could be rounded differently by the compiler
    start = (0, jnp.zeros(degrees.shape))
    _, gamma = jax.lax.while_loop(lambda state: jnp.any(state[1] == 0), propose, start)
    boost = (1 - jax.random.uniform(boost_key, degrees.shape)) ** (2 / degrees)  # 1 - u: never zero
    return 2 * gamma * boost
