"""Students: networks whose weights and gates are both learned.

A student is linear in its input, so it is one matrix `A(params)`. A network defines how its parameters start and what
that matrix is; the learning step is written once, in `learning`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.numerics import cached_by_shapes, normal, random_key
from gatedlib._internal.validation import refusal
from gatedlib.model.fields import Part, integer, nonnegative


class Params(NamedTuple):
    """The parameters of a student: slow `weights` and fast `gates`. Gradients and velocities have this form too."""

    weights: Any  # an array of jax or of numpy
    gates: Any


class Network(Part):
    r"""A student, which is one matrix A of its parameters; a subclass defines `init` and `effective`.

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
        # A class with a matrix of its own must not inherit a pullback that was written by hand for another matrix.
        if "effective" in vars(cls) and "pullback" not in vars(cls):
            cls.pullback = Network.pullback  # type: ignore[method-assign]

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], d_out: int, d_in: int) -> Params:
        """Draw the initial parameters."""

    @abc.abstractmethod
    def effective(self, params: Params) -> Float[Array, "out in"]:
        """The matrix A of this network, by which it maps inputs to outputs."""

    def pullback(self, params: Params, g: Float[Array, "out in"]) -> Params:
        """The gradient with respect to the parameters, given the gradient `g` with respect to A."""
        return jax.vjp(self.effective, params)[1](g)[0]

    def respond(self, params: Params, x: Float[Array | np.ndarray, "sample in"]) -> Float[Array, "sample out"]:
        """The outputs for inputs x."""
        matrix = self.effective(params)
        if x.ndim != 2 or x.shape[1] != matrix.shape[1]:
            remedy = "Give features of the kind that the network learned from"
            raise refusal("shape of the inputs", x.shape, f"must be (sample, {matrix.shape[1]})", remedy)
        return jnp.asarray(x) @ matrix.T

    def shapes(self, d_out: int, d_in: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `weights` and `gates` for a task of this size."""
        return _shapes(self, d_out, d_in)


@cached_by_shapes
def _shapes(network: Network, d_out: int, d_in: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters, by tracing `init`; it allocates nothing. The names of axes are checked."""
    params = jax.eval_shape(lambda network: network.init(random_key(0), d_out, d_in), network)
    if not isinstance(params, Params) or not all(hasattr(leaf, "shape") for leaf in params):
        remedy = "Return Params(weights, gates), each stacked into one array"
        raise refusal("what init draws", jax.tree.structure(params), "must be Params of two arrays", remedy)
    shapes = {name: leaf.shape for name, leaf in params._asdict().items()}
    for name, dims in (("weights", network.weight_dims), ("gates", network.gate_dims)):
        if len(dims) != len(shapes[name]):
            rule = f"must name the axes of the {name}, whose shape is {shapes[name]}"
            remedy = f"Write {name[:-1]}_dims = (...) in the class of the network, one name per axis"
            raise refusal(f"{name[:-1]}_dims", dims, rule, remedy)
    matrix = jax.eval_shape(lambda network, params: network.effective(params), network, params)
    # Inputs with a loss of their own may take something else than a matrix, such as a trunk and its readout.
    if hasattr(matrix, "shape") and matrix.shape != (d_out, d_in):
        rule = f"must be ({d_out}, {d_in}), outputs by inputs"
        raise refusal("shape of the effective matrix", matrix.shape, rule, "Compare the equation of A")
    return shapes


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

    paths: int = integer(at_least=1, default=2, remedy="Use one path per task, 2 in the paper's Fig. 2")
    gate_init: float = nonnegative(default=0.5, remedy="The paper uses 0.5")
    weight_scale: float = nonnegative(default=0.01, remedy="The paper uses 0.01")
    gate_spread: float = nonnegative(default=0.0, remedy="Use 0 for gates that begin equal")

    def init(self, key: Key[Array, ""], d_out: int, d_in: int) -> Params:
        weights = self.weight_scale / np.sqrt(d_in) * normal(key, (self.paths, d_out, d_in))
        # A key of their own, so that a seed's weights are the same whatever the spread of its gates.
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

    Every output neuron is a gated network with one output. They share only the inputs, and a penalty on the norm of all
    gates, so that neurons may assign the paths to tasks in different orders.

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

    with :math:`w` the first layer (usually written :math:`W_1`) and :math:`c` the second (:math:`W_2^\top`). No hidden
    unit belongs to a task by construction, and no weight of the second layer is made to act as a gate; `tau_w` is the
    time constant of the first layer, and `tau_c` and penalties on gates are those of the second.

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

    hidden: int = integer(at_least=1, default=20, remedy="The paper's Fig. 6 has 20")
    gate_spread: float = nonnegative(default=0.07, remedy="Use 0.07")
    weight_scale: float = nonnegative(default=0.01, remedy="The paper uses 0.01")

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
