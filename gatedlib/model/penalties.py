"""Penalties on gates and weights, which add up; the strength of every one is a coefficient that the user sets."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gatedlib._internal.renamed import renamed
from gatedlib._internal.validation import refusal
from gatedlib.model.fields import Part, checked, nonnegative, one_of
from gatedlib.model.networks import Params


class Penalty(Part):
    r"""A cost on the parameters, added to the loss; a subclass defines `value`.

    Its gradient is derived. A penalty on gates alone says so (`acts_on_weights`); where its derivative jumps as a gate
    passes zero, it gives the derivatives on both sides itself (`one_sided_gradient`).

    Example:
        >>> class Together(gl.Penalty):               # gates that resist being apart
        ...     strength: float
        ...     def value(self, params):
        ...         return self.strength / 2 * jnp.var(params.gates)
        >>> flow = gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01, penalties=(Together(0.1),))
        >>> gl.simulate(experiment.replace(flow=flow), seeds=3).sizes["seed"]
        3
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if callable(getattr(cls, "slope", None)):  # the name of version 0.2, which nothing would call
            raise AttributeError(f"{cls.__name__}.slope is now called one_sided_gradient")

    @abc.abstractmethod
    def value(self, params: Params) -> Float[Array, ""]:
        """The cost."""

    @property
    def acts_on_weights(self) -> bool:
        """Whether the cost depends on weights; true unless a penalty on gates alone overrides it."""
        return True

    def stiffness(self, shape: tuple[int, ...]) -> float:
        """The largest second derivative along gates of this shape, which limits the step; 0 unless there is one."""
        return 0.0

    def one_sided_gradient(self, gates: Any, side: Any) -> Any:
        """The gradient of a penalty on gates; where it jumps as a gate passes zero, its value on the given side.

        `side` has one entry per gate: 1 above zero, -1 below, and 0 at zero itself.
        """
        try:
            return jax.grad(lambda gates: self.value(Params(None, gates)))(gates)
        except (AttributeError, TypeError) as failure:
            raise ValueError(
                f"penalty {type(self).__name__}: says that it does not act on weights, and its value needs them "
                f"({failure}). Leave acts_on_weights out."
            ) from failure

    def gradient(self, params: Params) -> Params:
        """The gradient of the cost; a scalar 0 stands for that of weights or gates on which it does not depend."""
        if self.acts_on_weights:
            return jax.grad(self.value)(params)
        # Adding a scalar zero to the gradient of the weights is free; an array of zeros of their size would not be.
        return Params(weights=jnp.zeros(()), gates=self.one_sided_gradient(params.gates, jnp.sign(params.gates)))


renamed(Penalty, {"slope": "one_sided_gradient"})


class _OnGates(Penalty):
    """A penalty on gates alone."""

    @property
    def acts_on_weights(self) -> bool:
        return False


class Nonnegative(_OnGates):
    r"""A constant pull on every gate below zero, back to zero.

    .. math::

        R = a \sum_p \max(-c_p, 0), \qquad \partial R / \partial c_p = -a\,[c_p < 0]

    Args:
        a: the strength of the pull.

    Raises:
        ValueError: if a is negative or not finite.

    Example:
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([0.5, -0.5]))
        >>> float(gl.Nonnegative(0.25).value(params))
        0.125

    Source: paper, section 2; a is the effective coefficient (the released code hides a factor in it).
    """

    a: float = nonnegative(remedy="The paper's Fig. 2 has 0.0909; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.a * jnp.sum(jnp.maximum(-params.gates, 0.0))

    def one_sided_gradient(self, gates: Any, side: Any) -> Any:
        return -self.a * (side < 0)


class UnitNorm(_OnGates):
    r"""A quadratic cost that pulls the norm of the gates to one: the gates compete for a bounded total activity.

    .. math::

        R = \frac b2 (\|c\|_k - 1)^2, \qquad
        \frac{\partial R}{\partial c_p} = b\,(\|c\|_1 - 1)\,\mathrm{sign}(c_p)
        \quad\text{or}\quad b\,(\|c\|_2 - 1)\, c_p / \|c\|_2

    Args:
        b: the strength of the cost.
        ord: k, the norm: 1 (sum of absolute values) or 2 (length).
        per_neuron: for networks with a gate per path and output neuron (`NeuronGated`), whether every neuron's gates
            have a cost on their own norm, and not all gates together one. With one gate per path the two agree.

    Raises:
        ValueError: if b is negative or not finite, k is neither 1 nor 2, or `per_neuron` is neither true nor false.

    Example:
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([1.0, 1.0]))
        >>> float(gl.UnitNorm(0.5).value(params))
        0.25
        >>> neurons = gl.Params(weights=jnp.zeros((2, 2, 1)), gates=jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> float(gl.UnitNorm(0.5).value(neurons)), float(gl.UnitNorm(0.5, per_neuron=True).value(neurons))
        (0.25, 0.0)

    Source: paper, section 2; b is the effective coefficient. The released code takes the norm of all gates together.
    """

    b: float = nonnegative(remedy="The paper's Fig. 2 has 0.909; 0 switches the penalty off")
    ord: int = one_of(1, 2, default=1, remedy="Use 1, as in the paper's Fig. 2")
    per_neuron: bool = one_of(
        True, False, default=False, remedy="Use False for one norm of all gates, as in the released code"
    )

    def value(self, params: Params) -> Float[Array, ""]:
        return self.b / 2 * jnp.sum((_norm(jnp.asarray(params.gates), self.ord, self.per_neuron) - 1) ** 2)

    def one_sided_gradient(self, gates: Any, side: Any) -> Any:
        norm = _norm(gates, self.ord, self.per_neuron)
        if self.ord == 1 or math.prod(_norm_group_shape(gates.shape, self.per_neuron)) == 1:
            return self.b * (norm - 1) * side  # both norms of a single gate are its absolute value
        # For k = 2 the norm has no direction at c = 0; the derivative there is taken as 0.
        return self.b * (norm - 1) * (gates / gates.__array_namespace__().where(norm > 0, norm, 1.0))

    def stiffness(self, shape: tuple[int, ...]) -> float:
        # The second derivative is b s s^T for k = 1, with s the signs of n gates: its largest eigenvalue is b n.
        return self.b * (math.prod(_norm_group_shape(shape, self.per_neuron)) if self.ord == 1 else 1)


def _norm(gates: Any, ord: int, per_neuron: bool) -> Any:
    """The norm of all gates, or of each neuron's, in an array of jax or of numpy, in which `solve` computes."""
    # linalg.norm would take gates per path and neuron for a matrix, and compute a norm of matrices.
    axis = 0 if per_neuron else None
    return abs(gates).sum(axis) if ord == 1 else gates.__array_namespace__().sqrt((gates**2).sum(axis))


def _norm_group_shape(shape: tuple[int, ...], per_neuron: bool) -> tuple[int, ...]:
    """The shape of the gates that share one norm."""
    return shape[:1] if per_neuron else shape


class WeightCost(Penalty):
    r"""A cost on the length of every column of the weights: columns that do not reduce the loss shrink to zero.

    .. math::

        R = \frac{w}{P\, d_\mathrm{in}} \sum_{p,j} \|W_{p,\cdot j}\|, \qquad
        \frac{\partial R}{\partial W_{p,\cdot j}} = \frac{w}{P\, d_\mathrm{in}} \frac{W_{p,\cdot j}}{\|W_{p,\cdot j}\|}

    Args:
        column_cost: the strength w; the cost is w times the mean length of a column.

    Raises:
        ValueError: if it is negative or not finite.

    Example:
        >>> params = gl.Params(weights=jnp.array([[[3.0, 0.0], [4.0, 0.0]]]), gates=jnp.ones(1))
        >>> float(gl.WeightCost(2.0).value(params))
        5.0

    Source: paper, Fig. A.3.
    """

    column_cost: float = nonnegative(remedy="The paper's Fig. A.3 has 0.194; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.column_cost * jnp.mean(jnp.sqrt(jnp.sum(params.weights**2, -2)))

    def gradient(self, params: Params) -> Params:
        lengths = jnp.sqrt(jnp.sum(params.weights**2, -2, keepdims=True))
        # A column of length 0 has no direction; the gradient there is taken as 0, where the derived one would be nan.
        directions = params.weights / jnp.where(lengths > 0, lengths, 1.0)
        return Params(weights=self.column_cost / lengths.size * directions, gates=jnp.zeros(()))


class WeightDecay(Penalty):
    r"""A pull on all weights towards zero, in proportion to their size.

    .. math::

        R = \frac w2 \|W\|_F^2, \qquad \partial R / \partial W = w\, W

    Args:
        weight_decay: the strength w.

    Raises:
        ValueError: if it is negative or not finite.

    Example:
        >>> params = gl.Params(weights=jnp.array([[[3.0, 4.0]]]), gates=jnp.ones(1))
        >>> float(gl.WeightDecay(0.1).value(params))
        1.25

    Source: this library; for what it does to the first of two layers, see the book's *Gating without gates*.
    """

    weight_decay: float = nonnegative(remedy="Use 0.01; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.weight_decay / 2 * jnp.sum(params.weights**2)


def require_penalties(name: str, penalties: object) -> None:
    """Require a tuple of penalties."""
    if not isinstance(penalties, tuple) or not all(isinstance(penalty, Penalty) for penalty in penalties):
        remedy = "Write (Nonnegative(0.0909), UnitNorm(0.909)), or () for none"
        raise refusal(name, penalties, "must be a tuple of penalties", remedy)


class Scaled(Penalty):
    r"""Penalties made stronger or weaker together, by one number.

    .. math::

        R = \lambda \sum_n R_n

    Args:
        strength: :math:`\lambda`; 0 switches all of them off.
        penalties: what is scaled.

    Raises:
        ValueError: if the strength is negative or not finite, or what is scaled are no penalties.

    Example:
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([0.5, -0.5]))
        >>> float(gl.Scaled(0.5, (gl.Nonnegative(0.25), gl.UnitNorm(3.0))).value(params))
        0.0625

    Source: paper, Fig. 5B.
    """

    strength: float = nonnegative(remedy="1 leaves the penalties as they are, 0 switches them off")
    penalties: Sequence[Penalty] = checked(require_penalties)

    def value(self, params: Params) -> Float[Array, ""]:
        return self.strength * sum((p.value(params) for p in self.penalties), jnp.zeros(()))

    @property
    def acts_on_weights(self) -> bool:
        return any(penalty.acts_on_weights for penalty in self.penalties)

    def one_sided_gradient(self, gates: Any, side: Any) -> Any:
        return self.strength * sum(penalty.one_sided_gradient(gates, side) for penalty in self.penalties)

    def gradient(self, params: Params) -> Params:
        gradients = [penalty.gradient(params) for penalty in self.penalties]
        zero = jnp.zeros(())
        return Params(
            weights=self.strength * sum((g.weights for g in gradients), zero),
            gates=self.strength * sum((g.gates for g in gradients), zero),
        )

    def stiffness(self, shape: tuple[int, ...]) -> float:
        return self.strength * sum(penalty.stiffness(shape) for penalty in self.penalties)
