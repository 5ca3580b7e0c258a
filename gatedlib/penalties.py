"""Penalties that make gates behave like gates; each has one visible coefficient, and they add up."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from gatedlib import _check
from gatedlib.networks import Params


class Penalty(eqx.Module):
    """A cost on the parameters, added to the loss."""

    @abc.abstractmethod
    def value(self, params: Params) -> Float[Array, ""]:
        """The cost."""

    @abc.abstractmethod
    def gradient(self, params: Params) -> Params:
        """Its gradient; a scalar 0 stands for parameters that it leaves alone."""

    def gate_curvature(self, gates: int) -> float:
        """The largest second derivative along the gates, which limits the step; 0 unless a penalty has one."""
        return 0.0


class Nonnegative(Penalty):
    r"""A constant pull on every gate below zero, back to zero.

    .. math::

        R = a \sum_p \max(-c_p, 0), \qquad \partial R / \partial c_p = -a\,[c_p < 0]

    Args:
        a: the strength of the pull.

    Raises:
        ValueError: if a is negative or not finite.

    Example:
        >>> import gatedlib as gl, jax.numpy as jnp
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([0.5, -0.5]))
        >>> float(gl.Nonnegative(0.25).value(params))
        0.125

    Source: paper, section 2; a is the effective coefficient (the released code hides a factor in it).
    """

    a: float

    def __check_init__(self) -> None:
        _check.nonnegative("a", self.a, "The paper's Fig. 2 has 0.0909; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.a * jnp.sum(jnp.maximum(-params.gates, 0.0))

    def gradient(self, params: Params) -> Params:
        return Params(weights=jnp.zeros(()), gates=-self.a * (params.gates < 0))


class UnitNorm(Penalty):
    r"""A spring that holds the norm of all gates at one: a bounded activity that the gates compete for.

    .. math::

        R = \frac b2 (\|c\|_k - 1)^2, \qquad
        \frac{\partial R}{\partial c_p} = b\,(\|c\|_1 - 1)\,\mathrm{sign}(c_p)
        \quad\text{or}\quad b\,(\|c\|_2 - 1)\, c_p / \|c\|_2

    Args:
        b: the stiffness of the spring.
        ord: k, which norm is held: 1 (sum of absolute values) or 2 (length).

    Raises:
        ValueError: if b is negative or not finite, or k is neither 1 nor 2.

    Example:
        >>> import gatedlib as gl, jax.numpy as jnp
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([1.0, 1.0]))
        >>> float(gl.UnitNorm(0.5).value(params))
        0.25

    Source: paper, section 2; b is the effective coefficient.
    """

    b: float
    ord: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        _check.nonnegative("b", self.b, "The paper's Fig. 2 has 0.909; 0 switches the penalty off")
        _check.require(self.ord in (1, 2), "ord", self.ord, "must be 1 or 2", "Use 1, as in the paper's Fig. 2")

    def _norm(self, gates: Array) -> Array:
        # not jnp.linalg.norm: it flattens nothing, and per-neuron gates have two axes
        return jnp.sum(jnp.abs(gates)) if self.ord == 1 else jnp.sqrt(jnp.sum(gates**2))

    def value(self, params: Params) -> Float[Array, ""]:
        return self.b / 2 * (self._norm(params.gates) - 1) ** 2

    def gradient(self, params: Params) -> Params:
        gates = params.gates
        norm = self._norm(gates)
        # for k = 2 the norm has no direction at c = 0; the gradient there is taken as 0
        direction = jnp.sign(gates) if self.ord == 1 else gates / jnp.where(norm > 0, norm, 1.0)
        return Params(weights=jnp.zeros(()), gates=self.b * (norm - 1) * direction)

    def gate_curvature(self, gates: int) -> float:
        return self.b * (gates if self.ord == 1 else 1)
