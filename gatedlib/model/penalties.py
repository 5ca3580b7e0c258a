"""Penalties that make gates behave like gates; each has one visible coefficient, and they add up."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gatedlib._internal.validation import require, require_nonnegative, to_plain, to_real
from gatedlib.model.networks import Params


class Penalty(eqx.Module):
    r"""A cost on the parameters, added to the loss: its `value` says all there is to know.

    Its gradient is derived. A penalty on gates alone says so (`acts_on_weights`); where its derivative jumps as a gate
    passes zero, it gives the derivatives on both sides itself (`slope`).

    Example:
        >>> class Together(gl.Penalty):               # gates that resist being apart
        ...     strength: float
        ...     def value(self, params):
        ...         return self.strength / 2 * jnp.var(params.gates)
        >>> flow = gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01, penalties=(Together(0.1),))
        >>> gl.simulate(experiment.replace(flow=flow), seeds=3).sizes["seed"]
        3
    """

    @abc.abstractmethod
    def value(self, params: Params) -> Float[Array, ""]:
        """The cost."""

    @property
    def acts_on_weights(self) -> bool:
        """Whether it pulls on weights, and not on gates alone; true unless a penalty says that it does not."""
        return True

    def stiffness(self, shape: tuple[int, ...]) -> float:
        """The largest second derivative along gates of this shape, which limits the step; 0 unless there is one."""
        return 0.0

    def slope(self, gates: Any, side: Any) -> Any:
        """The derivative along each gate of a penalty on gates, on this side of zero where it jumps there.

        `side` is 1 above, -1 below, and 0 at zero itself, for each gate.
        """
        try:
            return jax.grad(lambda gates: self.value(Params(None, gates)))(gates)
        except (AttributeError, TypeError) as failure:
            rule = f"says that it does not act on weights, and its value needs them ({failure})"
            raise ValueError(f"penalty {type(self).__name__}: {rule}. Leave acts_on_weights out.") from failure

    def gradient(self, params: Params) -> Params:
        """Its gradient; a scalar 0 stands for weights that it leaves alone."""
        if self.acts_on_weights:
            return jax.grad(self.value)(params)
        return Params(weights=jnp.zeros(()), gates=self.slope(params.gates, jnp.sign(params.gates)))


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

    a: float = eqx.field(converter=to_real)

    def __check_init__(self) -> None:
        require_nonnegative("a", self.a, "The paper's Fig. 2 has 0.0909; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.a * jnp.sum(jnp.maximum(-params.gates, 0.0))

    def slope(self, gates: Any, side: Any) -> Any:
        return -self.a * (side < 0)


class UnitNorm(_OnGates):
    r"""A spring that holds the norm of the gates at one: a bounded activity that the gates compete for.

    .. math::

        R = \frac b2 (\|c\|_k - 1)^2, \qquad
        \frac{\partial R}{\partial c_p} = b\,(\|c\|_1 - 1)\,\mathrm{sign}(c_p)
        \quad\text{or}\quad b\,(\|c\|_2 - 1)\, c_p / \|c\|_2

    Args:
        b: the stiffness of the spring.
        ord: k, which norm is held: 1 (sum of absolute values) or 2 (length).
        per_neuron: where there is a gate per path and output neuron (`NeuronGated`), hold the norm of each neuron's
            gates with a spring of its own, and not that of all gates together. With one gate per path the two agree.

    Raises:
        ValueError: if b is negative or not finite, k is neither 1 nor 2, or `per_neuron` is neither true nor false.

    Example:
        >>> params = gl.Params(weights=jnp.zeros((2, 1, 1)), gates=jnp.array([1.0, 1.0]))
        >>> float(gl.UnitNorm(0.5).value(params))
        0.25
        >>> neurons = gl.Params(weights=jnp.zeros((2, 2, 1)), gates=jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> float(gl.UnitNorm(0.5).value(neurons)), float(gl.UnitNorm(0.5, per_neuron=True).value(neurons))
        (0.25, 0.0)

    Source: paper, section 2; b is the effective coefficient. The released code holds all gates together.
    """

    b: float = eqx.field(converter=to_real)
    ord: int = eqx.field(static=True, converter=to_plain, default=1)
    per_neuron: bool = eqx.field(static=True, converter=to_plain, default=False)

    def __check_init__(self) -> None:
        require_nonnegative("b", self.b, "The paper's Fig. 2 has 0.909; 0 switches the penalty off")
        known = isinstance(self.ord, int) and self.ord in (1, 2)
        require(known, "ord", self.ord, "must be 1 or 2", "Use 1, as in the paper's Fig. 2")
        either, remedy = "must be True or False", "Use False for one norm of all gates, as in the released code"
        require(isinstance(self.per_neuron, bool), "per_neuron", self.per_neuron, either, remedy)

    def value(self, params: Params) -> Float[Array, ""]:
        return self.b / 2 * jnp.sum((_norm(jnp.asarray(params.gates), self.ord, self.per_neuron) - 1) ** 2)

    def slope(self, gates: Any, side: Any) -> Any:
        norm = _norm(gates, self.ord, self.per_neuron)
        if self.ord == 1 or math.prod(_held_together(gates.shape, self.per_neuron)) == 1:
            return self.b * (norm - 1) * side  # the length of one gate is its size
        # for k = 2 the norm has no direction at c = 0; the derivative there is taken as 0
        return self.b * (norm - 1) * (gates / gates.__array_namespace__().where(norm > 0, norm, 1.0))

    def stiffness(self, shape: tuple[int, ...]) -> float:
        return self.b * (math.prod(_held_together(shape, self.per_neuron)) if self.ord == 1 else 1)


def _norm(gates: Any, ord: int, per_neuron: bool) -> Any:
    """The norm of gates in an array of jax, or of numpy, where the solver computes.

    Not linalg.norm: it flattens nothing, and gates per neuron have two axes.
    """
    over = 0 if per_neuron else None
    return abs(gates).sum(over) if ord == 1 else gates.__array_namespace__().sqrt((gates**2).sum(over))


def _held_together(shape: tuple[int, ...], per_neuron: bool) -> tuple[int, ...]:
    """The shape of the gates that share one norm."""
    return shape[:1] if per_neuron else shape


class WeightCost(Penalty):
    r"""A cost on every column of the weights, whatever its direction: columns that earn nothing shrink to zero.

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

    column_cost: float = eqx.field(converter=to_real)

    def __check_init__(self) -> None:
        require_nonnegative(
            "column_cost", self.column_cost, "The paper's Fig. A.3 has 0.194; 0 switches the penalty off"
        )

    def value(self, params: Params) -> Float[Array, ""]:
        return self.column_cost * jnp.mean(jnp.sqrt(jnp.sum(params.weights**2, -2)))

    def gradient(self, params: Params) -> Params:
        lengths = jnp.sqrt(jnp.sum(params.weights**2, -2, keepdims=True))
        # a column of length 0 has no direction; the gradient there is taken as 0
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

    weight_decay: float = eqx.field(converter=to_real)

    def __check_init__(self) -> None:
        require_nonnegative("weight_decay", self.weight_decay, "Use 0.01; 0 switches the penalty off")

    def value(self, params: Params) -> Float[Array, ""]:
        return self.weight_decay / 2 * jnp.sum(params.weights**2)


class Scaled(Penalty):
    r"""Some penalties made stronger or weaker together, by one number.

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

    strength: float = eqx.field(converter=to_real)
    penalties: Sequence[Penalty] = eqx.field(converter=to_plain)

    def __check_init__(self) -> None:
        require_nonnegative("strength", self.strength, "1 leaves the penalties as they are, 0 switches them off")
        check_penalties(self.penalties)

    def value(self, params: Params) -> Float[Array, ""]:
        return self.strength * sum((p.value(params) for p in self.penalties), jnp.zeros(()))

    @property
    def acts_on_weights(self) -> bool:
        return any(penalty.acts_on_weights for penalty in self.penalties)

    def slope(self, gates: Any, side: Any) -> Any:
        return self.strength * sum(penalty.slope(gates, side) for penalty in self.penalties)

    def gradient(self, params: Params) -> Params:
        gradients = [penalty.gradient(params) for penalty in self.penalties]
        zero = jnp.zeros(())
        return Params(
            weights=self.strength * sum((g.weights for g in gradients), zero),
            gates=self.strength * sum((g.gates for g in gradients), zero),
        )

    def stiffness(self, shape: tuple[int, ...]) -> float:
        return self.strength * sum(penalty.stiffness(shape) for penalty in self.penalties)


def check_penalties(penalties: object) -> None:
    """Require a tuple of penalties."""
    require(
        isinstance(penalties, tuple) and all(isinstance(p, Penalty) for p in penalties),
        "penalties",
        penalties,
        "must be a tuple of penalties",
        "Write (Nonnegative(0.0909), UnitNorm(0.909)), or () for none",
    )
