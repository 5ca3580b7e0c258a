"""Students: networks whose weights and gates are both learned.

A student is linear in its input, so it is one matrix `A(params)`. It says how it starts and what that matrix is; the
learning step is written once, in `learning`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.identity import cache_of_traces
from gatedlib._internal.numerics import normal, random_key, shapes_of, with_shapes
from gatedlib._internal.validation import require, require_integer, require_nonnegative, to_plain, to_real


class Params(NamedTuple):
    """What a student learns: slow `weights` and fast `gates`. Gradients and velocities have this form too."""

    weights: Any  # an array of jax or of numpy
    gates: Any


class Network(eqx.Module):
    r"""A student, which is one matrix A of its parameters: `init` and `effective` say all there is to know.

    .. math::

        y = A(W, c)\, x, \qquad
        \frac{\partial L}{\partial W_k} = \Big\langle \frac{\partial A}{\partial W_k},\, G \Big\rangle, \quad
        \frac{\partial L}{\partial c_k} = \Big\langle \frac{\partial A}{\partial c_k},\, G \Big\rangle, \qquad
        G = \frac{\partial L}{\partial A}

    Attributes:
        gate_dims: the axes of the gates in results: first the unit that a gate belongs to, such as `path`, then `out`
            if each output has gates of its own.
        weight_dims: the axes of the weights; those that begin with the unit and end with `in` can be aligned with
            teachers.

    Example:
        >>> class Plain(gl.Network):                   # a network without gates: one weight matrix
        ...     def init(self, key, d_out, d_in):
        ...         return gl.Params(0.01 * jax.random.normal(key, (1, d_out, d_in)), jnp.ones(1))
        ...     def effective(self, params):
        ...         return params.weights[0]
        >>> results = gl.simulate(experiment.replace(network=Plain()), seeds=3)
        >>> bool((results.final_gates == 1).all())
        True
    """

    gate_dims: ClassVar[tuple[str, ...]] = ("path",)
    weight_dims: ClassVar[tuple[str, ...]] = ("path", "out", "in")

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "effective" in vars(cls) and "pullback" not in vars(cls):
            # not one that was written by hand for another matrix
            cls.pullback = Network.pullback  # type: ignore[method-assign]

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], d_out: int, d_in: int) -> Params:
        """Draw the initial parameters."""

    @abc.abstractmethod
    def effective(self, params: Params) -> Float[Array, "out in"]:
        """The one matrix A that this network amounts to."""

    def pullback(self, params: Params, g: Float[Array, "out in"]) -> Params:
        """The gradient with respect to the parameters, given the gradient `g` with respect to A."""
        return jax.vjp(self.effective, params)[1](g)[0]

    def respond(self, params: Params, x: Float[Array | np.ndarray, "sample in"]) -> Float[Array, "sample out"]:
        """The outputs for some inputs."""
        matrix = self.effective(params)
        rule, remedy = f"must be (sample, {matrix.shape[1]})", "Give features of the kind that the network learned from"
        require(x.ndim == 2 and x.shape[1] == matrix.shape[1], "shape of the inputs", x.shape, rule, remedy)
        return jnp.asarray(x) @ matrix.T

    def shapes(self, d_out: int, d_in: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `weights` and `gates` for a task of this size."""
        return _shapes(*shapes_of(self), d_out, d_in)


@cache_of_traces
def _shapes(structure: Any, shapes: tuple, d_out: int, d_in: int) -> dict[str, tuple[int, ...]]:
    """Found by tracing: nothing is drawn."""
    traced = with_shapes(structure, shapes)
    drawn = jax.eval_shape(lambda network: network.init(random_key(0), d_out, d_in), traced)
    arrays = isinstance(drawn, Params) and all(hasattr(leaf, "shape") for leaf in drawn)
    rule, remedy = "must be Params of two arrays", "Return Params(weights, gates), each stacked into one array"
    require(arrays, "what init draws", jax.tree.structure(drawn), rule, remedy)
    found = {name: leaf.shape for name, leaf in drawn._asdict().items()}
    for name, dims in (("weights", traced.weight_dims), ("gates", traced.gate_dims)):
        rule = f"must name the axes of the {name}, whose shape is {found[name]}"
        remedy = f"Write {name[:-1]}_dims = (...) in the class of the network, one name per axis"
        require(len(dims) == len(found[name]), f"{name[:-1]}_dims", dims, rule, remedy)
    matrix = jax.eval_shape(lambda network, params: network.effective(params), traced, drawn)
    if hasattr(matrix, "shape"):  # inputs with a loss of their own may take something else than a matrix
        rule, remedy = f"must be ({d_out}, {d_in}), outputs by inputs", "Compare the equation of A"
        require(matrix.shape == (d_out, d_in), "shape of the effective matrix", matrix.shape, rule, remedy)
    return found


class GatedLinear(Network):
    r"""P linear paths in parallel, each scaled by one gate.

    .. math::

        y = \sum_p c_p W_p x, \qquad A = \sum_p c_p W_p, \qquad
        \frac{\partial L}{\partial W_p} = c_p G, \quad \frac{\partial L}{\partial c_p} = \langle W_p, G \rangle

    At the start the weights are small, :math:`W_{p,ij} \sim N(0, \sigma^2 / d_\mathrm{in})`, and the gates are
    `gate_init`, each with a deviation of its own if there is a spread: :math:`c_p \sim N(c_0, s^2)`.

    Args:
        paths: number of paths P.
        gate_init: :math:`c_0`, the mean of the gates at the start.
        weight_scale: :math:`\sigma`, the size of the initial weights.
        gate_spread: s, the standard deviation of the gates at the start; 0 for gates that begin equal.

    Raises:
        ValueError: if there is no path, or a number is negative or not finite.

    Example:
        >>> network = gl.GatedLinear(paths=2)
        >>> params = network.init(jax.random.key(0), d_out=10, d_in=20)
        >>> params.weights.shape, params.gates.shape, network.effective(params).shape
        ((2, 10, 20), (2,), (10, 20))

    Source: paper, section 2 and Fig. 1B.
    """

    paths: int = eqx.field(static=True, converter=to_plain, default=2)
    gate_init: float = eqx.field(converter=to_real, default=0.5)
    weight_scale: float = eqx.field(converter=to_real, default=0.01)
    gate_spread: float = eqx.field(converter=to_real, default=0.0)

    def __check_init__(self) -> None:
        require_integer("paths", self.paths, 1, "Use one path per task, 2 in the paper's Fig. 2")
        require_nonnegative("gate_init", self.gate_init, "The paper uses 0.5")
        require_nonnegative("weight_scale", self.weight_scale, "The paper uses 0.01")
        require_nonnegative("gate_spread", self.gate_spread, "Use 0 for gates that begin equal")

    def init(self, key: Key[Array, ""], d_out: int, d_in: int) -> Params:
        weights = self.weight_scale / np.sqrt(d_in) * normal(key, (self.paths, d_out, d_in))
        # a key of their own, so that a seed's weights are the same whatever the spread of its gates
        deviations = normal(jax.random.fold_in(key, 1), self._gate_shape(d_out))
        return Params(weights, self.gate_init + self.gate_spread * deviations)

    def _gate_shape(self, d_out: int) -> tuple[int, ...]:
        """The shape of the gates: one for each path."""
        return (self.paths,)

    def effective(self, params: Params) -> Float[Array, "out in"]:
        return jnp.einsum("p,pij->ij", params.gates, params.weights)

    def pullback(self, params: Params, g: Float[Array, "out in"]) -> Params:  # a run takes 15 % longer if derived
        return Params(
            weights=params.gates[:, None, None] * g,
            gates=jnp.einsum("pij,ij->p", params.weights, g),
        )


class NeuronGated(GatedLinear):
    r"""P linear paths in parallel with a gate for every path and output neuron.

    .. math::

        y_i = \sum_p c_{pi} (W_p x)_i, \qquad A_{i\cdot} = \sum_p c_{pi} W_{p,i\cdot}, \qquad
        \frac{\partial L}{\partial W_{p,i\cdot}} = c_{pi} G_{i\cdot}, \quad
        \frac{\partial L}{\partial c_{pi}} = \langle W_{p,i\cdot}, G_{i\cdot} \rangle

    Each output neuron is a gated network of its own with one output; they meet in the inputs, and in a penalty that
    holds the norm of all gates together. So each may use the paths in an order of its own.

    Args:
        paths: number of paths P.
        gate_init: the mean of the gates at the start.
        weight_scale: :math:`\sigma`, the size of the initial weights, as in `GatedLinear`.
        gate_spread: the standard deviation of the gates at the start; 0 for gates that begin equal.

    Raises:
        ValueError: if there is no path, or a number is negative or not finite.

    Example:
        >>> params = gl.NeuronGated(paths=3).init(jax.random.key(0), d_out=6, d_in=20)
        >>> params.weights.shape, params.gates.shape
        ((3, 6, 20), (3, 6))

    Source: paper, Fig. 3D.
    """

    gate_dims: ClassVar[tuple[str, ...]] = ("path", "out")

    def _gate_shape(self, d_out: int) -> tuple[int, ...]:
        """The shape of the gates: one for each path and output."""
        return self.paths, d_out

    def effective(self, params: Params) -> Float[Array, "out in"]:
        return jnp.einsum("pi,pij->ij", params.gates, params.weights)


class TwoLayer(Network):
    r"""A fully connected network with one hidden layer, whose second layer plays the part of the gates.

    .. math::

        y_i = \sum_h c_{hi}\, w_h \cdot x, \qquad A = c^\top w, \qquad
        \frac{\partial L}{\partial w_h} = \sum_i c_{hi} G_{i\cdot}, \quad
        \frac{\partial L}{\partial c_{hi}} = \langle w_h, G_{i\cdot} \rangle

    with :math:`w` the first layer (usually written :math:`W_1`) and :math:`c` the second (:math:`W_2^\top`). Nothing
    says which hidden unit belongs to which task, or that a weight of the second layer should act as a gate; `tau_w`,
    `tau_c` and penalties on gates are those of the first and the second layer.

    Args:
        hidden: number of hidden units; to hold M tasks at once, M times the number of outputs.
        gate_spread: the standard deviation of the second layer at the start; with 0.07, twenty hidden units and ten
            outputs, that layer has the norm one that `UnitNorm(b, ord=2)` asks for.
        weight_scale: :math:`\sigma`, the size of the first layer at the start, as in `GatedLinear`.

    Raises:
        ValueError: if there is no hidden unit, or a number is negative or not finite.

    Example:
        >>> network = gl.TwoLayer(hidden=20)
        >>> params = network.init(jax.random.key(0), d_out=10, d_in=20)
        >>> params.weights.shape, params.gates.shape, network.effective(params).shape
        ((20, 20), (20, 10), (10, 20))

    Source: paper, Fig. 6.
    """

    weight_dims: ClassVar[tuple[str, ...]] = ("hidden", "in")
    gate_dims: ClassVar[tuple[str, ...]] = ("hidden", "out")

    hidden: int = eqx.field(static=True, converter=to_plain, default=20)
    gate_spread: float = eqx.field(converter=to_real, default=0.07)
    weight_scale: float = eqx.field(converter=to_real, default=0.01)

    def __check_init__(self) -> None:
        require_integer("hidden", self.hidden, 1, "The paper's Fig. 6 has 20")
        require_nonnegative("gate_spread", self.gate_spread, "Use 0.07")
        require_nonnegative("weight_scale", self.weight_scale, "The paper uses 0.01")

    def init(self, key: Key[Array, ""], d_out: int, d_in: int) -> Params:
        first, second = jax.random.split(key)
        return Params(
            self.weight_scale / np.sqrt(d_in) * normal(first, (self.hidden, d_in)),
            self.gate_spread * normal(second, (self.hidden, d_out)),
        )

    def effective(self, params: Params) -> Float[Array, "out in"]:
        return params.gates.T @ params.weights

    def pullback(self, params: Params, g: Float[Array, "out in"]) -> Params:  # a run takes 15 % longer if derived
        return Params(weights=params.gates @ g, gates=params.weights @ g.T)
