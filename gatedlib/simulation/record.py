"""What to keep of a run: a quantity is a named function of a frame, with names for its axes.

A frame is the state just before a learning step, with the loss and the rates of change that this step will use.
Write your own in two lines:

    >>> @gl.record.quantity("path")
    ... def largest_weight(frame):
    ...     return jnp.abs(frame.params.weights).max((1, 2))

and pass it in: `gl.simulate(experiment, record=(gl.record.loss, largest_weight), every=10)`. What needs inner products
of rows only (`frame.row_products()` and the two beside it) costs little more than the step itself where the run has a
subspace (`gatedlib.simulation.subspace.suffices`: gated paths, all inputs at once): they come from a few coordinates.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gatedlib._internal.renamed import renamed
from gatedlib._internal.validation import refusal
from gatedlib.model.inputs import Examples, Inputs, quadratic_loss, require_labelled
from gatedlib.model.networks import Network, Params
from gatedlib.simulation.subspace import Subspace


class Frame(NamedTuple):
    """One moment of a run: the state before a step, and what the step does.

    Weights may be learned in the few coordinates of a subspace. `params` and `velocity` give all weights in any case;
    `row_products`, `weight_lengths` and `teacher_row_products` are computed from coordinates, which costs less.

    Attributes:
        state: weights and gates before the step, in coordinates where there is a subspace.
        state_velocity: their rates of change in the step, in the same coordinates.
        loss: the loss on the batch of the step.
        task: the task that is on.
        teachers: all teachers, shape (task, out, in).
        network: the student.
        inputs: the kind of inputs that it learns from.
        batch: the batch of the step, for `inputs.loss`.
        space: the subspace; None if all weights are learned one by one.
    """

    state: Params
    state_velocity: Params
    loss: Float[Array, ""]
    task: Int[Array, ""]
    teachers: Float[Array, "task out in"]
    network: Network
    inputs: Inputs
    batch: Any
    space: Subspace | None = None

    @property
    def params(self) -> Params:
        """Weights and gates before the step."""
        return self.state if self.space is None else self.space.full_params(self.state)

    @property
    def velocity(self) -> Params:
        """Their rates of change in the step."""
        return self.state_velocity if self.space is None else self.space.full_velocity(self.state_velocity)

    def row_products(self) -> Float[Array, "path path out"]:
        """The inner products of the rows of weights, output by output; hidden units have one row for all outputs."""
        if self.space is None:
            rows = self._rows()
            return jnp.einsum("pij,qij->pqi", rows, rows)
        # (path, 1, rank): W_p = sum_k x_pk B_k, and row i of W_p uses row i of each B_k
        coordinates = self.state.weights[:, 0]
        return jnp.einsum("pk,ikl,ql->pqi", coordinates, self.space.gram, coordinates)

    def weight_lengths(self) -> Float[Array, "path out"]:
        """The lengths of the rows of weights."""
        if self.space is None:
            return _length(self._rows())
        coordinates = self.state.weights[:, 0]
        squares = jnp.einsum("pk,ikl,pl->pi", coordinates, self.space.gram, coordinates)
        return jnp.sqrt(jnp.maximum(squares, 0.0))

    def teacher_row_products(self) -> Float[Array, "task path out"]:
        """The inner products of the teachers' rows with those of the weights."""
        if self.space is None:
            return jnp.einsum("mij,pij->mpi", self.teachers, self._rows())
        return jnp.einsum("mik,pk->mpi", self.space.cross, self.state.weights[:, 0])

    def _rows(self) -> Float[Array, "path out in"]:
        weights = self.state.weights
        return weights if "out" in self.network.weight_dims else weights[:, None]


renamed(
    Frame,
    {"rates": "state_velocity", "weight_rows": "row_products", "teacher_rows": "teacher_row_products"},
)

Dims = tuple[str, ...] | Callable[[Network], tuple[str, ...]]


@dataclass(frozen=True)
class Quantity:
    """A named function of a frame; `dims` names the axes of its value, or gives them for a network."""

    name: str
    dims: Dims
    fn: Callable[[Frame], Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.fn.__doc__)  # which help() shows
        object.__setattr__(self, "__module__", self.fn.__module__)  # where pickle looks for its name

    def __reduce__(self) -> str | tuple:
        """Pickle by name, as functions are, if that of the function stands for this quantity in its module.

        There the function itself cannot be found: `@quantity` put the quantity in its place. What a script or notebook
        defines is sent to other processes by value (cloudpickle); there the function gets a name that finds it.
        """
        name = getattr(self.fn, "__qualname__", "")
        named: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            named = getattr(named, part, None)
        if named is self and self.__module__ != "__main__":
            return name
        if named is self:
            self.fn.__qualname__ = f"{name}.fn"
        return Quantity, (self.name, self.dims, self.fn)

    def dims_for(self, network: Network) -> tuple[str, ...]:
        """The names of the axes when this network is recorded."""
        return self.dims(network) if callable(self.dims) else self.dims


def quantity(
    *dims: str, of: Callable[[Network], tuple[str, ...]] | None = None
) -> Callable[[Callable[[Frame], Array]], Quantity]:
    """Make a function of a frame a quantity of the same name, with these axes (or those that `of` gives)."""

    def make(fn: Callable[[Frame], Array]) -> Quantity:
        return Quantity(fn.__name__, of or dims, fn)

    return make


def _length(vectors: Array) -> Array:
    return jnp.sqrt(jnp.sum(vectors**2, -1))


@quantity()
def loss(frame: Frame) -> Array:
    """The loss of the task that is on, without penalties."""
    return frame.loss


@quantity()
def population_loss(frame: Frame) -> Array:
    """The loss of the task that is on for all inputs at once and targets without noise, whatever the step sees."""
    if isinstance(frame.inputs, Examples):
        rule = "have labels, and no matrix to be compared with"
        raise refusal("teachers", "Labellings", rule, "Record loss, or accuracy(examples)")
    return quadratic_loss(frame.network.effective(frame.params) - frame.teachers[frame.task], None)[0]


def _gate_dims(network: Network) -> tuple[str, ...]:
    return network.gate_dims


def _weight_dims(network: Network) -> tuple[str, ...]:
    return network.weight_dims


def _alignment_dims(network: Network) -> tuple[str, ...]:
    return "task", *network.gate_dims


@quantity(of=_gate_dims)
def gates(frame: Frame) -> Array:
    """The gates."""
    return frame.state.gates


@quantity(of=_weight_dims)
def weights(frame: Frame) -> Array:
    """The weights, all of them: large, so best recorded rarely."""
    return frame.params.weights


@quantity("out", "in")
def matrix(frame: Frame) -> Array:
    """The one matrix that a linear student amounts to."""
    return frame.network.effective(frame.params)


@quantity(of=_alignment_dims)
def alignment(frame: Frame) -> Array:
    """The cosine of each teacher with each path's weights, row by row; averaged over rows that share one gate.

    Rows of teachers that are zero have no direction, and are left out of the average.

    In a `TwoLayer` network, of each row of each teacher with the weights of each hidden unit.
    """
    teachers, width = frame.teachers, frame.inputs.width(frame.teachers.shape[-1])
    if teachers.shape[-1] != width:
        rule = f"cannot be aligned with weights on {width} inputs, as labels never can"
        remedy = "Leave alignment out: record=(gl.record.loss, gl.record.gates)"
        raise refusal("inputs of the teachers", teachers.shape[-1], rule, remedy)
    lengths = _length(teachers)[:, None] * frame.weight_lengths()[None]
    cosines = jnp.where(lengths > 0, frame.teacher_row_products() / jnp.where(lengths > 0, lengths, 1.0), 0.0)
    if "out" in frame.network.gate_dims:
        return cosines
    directed = jnp.sum(jnp.any(teachers != 0, -1), -1)[:, None]  # rows of each teacher
    return jnp.mean(cosines, -1) * (teachers.shape[1] / jnp.maximum(directed, 1))


def _products(network: Network) -> tuple[str, ...]:
    unit, *rows = network.gate_dims
    return unit, f"other_{unit}", *(row for row in rows if row in network.weight_dims)


@quantity(of=_products)
def weight_products(frame: Frame) -> Array:
    """The inner products of the paths' weights, squared sizes on the diagonal; row by row if rows have own gates.

    In a `TwoLayer` network, those of the weights of the hidden units.
    """
    if "out" in frame.network.gate_dims and "out" in frame.network.weight_dims:
        return frame.row_products()
    flat = frame.state.weights.reshape(len(frame.state.weights), -1)
    return flat @ flat.T  # the same in orthonormal coordinates


@quantity()
def weight_speed(frame: Frame) -> Array:
    """How fast all weights together change: the length of dW/dt."""
    return _length(frame.state_velocity.weights.ravel())  # the same in orthonormal coordinates


@quantity()
def gate_speed(frame: Frame) -> Array:
    """How fast all gates together change: the length of dc/dt."""
    return _length(frame.state_velocity.gates.ravel())


@quantity("task")
def teacher_losses(frame: Frame) -> Array:
    """The loss that each teacher itself would have on what the step sees: how badly each task explains it."""
    if isinstance(frame.inputs, Examples):
        raise refusal("teachers", "Labellings", "have labels, and no loss of their own", "Record something else")
    true = frame.teachers[frame.task]
    return jax.vmap(lambda teacher: frame.inputs.loss(teacher, true, frame.batch)[0])(frame.teachers)


def accuracy(examples: Examples) -> Quantity:
    """Make a quantity: the part of some examples whose most likely label is the one of the task that is on.

    Args:
        examples: which; best ones that the network does not learn from, with features made in the same way.

    Returns:
        A quantity `accuracy`, to be made once and passed on, since each one is compiled anew.

    Raises:
        ValueError: if these are no `Examples`, or, when it is recorded, no inputs for the network.

    Example:
        >>> examples = gl.Examples(np.eye(3), [0, 1, 2], batch=3)
        >>> experiment = gl.Experiment(
        ...     gl.Labellings(((0, 1, 2), (1, 2, 0))), gl.GatedLinear(), gl.Blocked(blocks=1, block_length=50.0),
        ...     gl.Flow(tau_w=0.1, tau_c=1.0, dt=0.1, inputs=examples),
        ... )
        >>> results = gl.simulate(experiment, seeds=1, record=[gl.record.accuracy(examples)])
        >>> float(results.accuracy[0, -1])
        1.0

    Source: paper, Fig. 7.
    """
    return Quantity("accuracy", (), _Accuracy(examples))


class _Accuracy:
    """The part of some examples that a frame's network calls as the task that is on does."""

    def __init__(self, examples: Examples) -> None:
        self.examples, self.largest = examples, int(jnp.max(examples.classes))

    def __call__(self, frame: Frame) -> Array:
        if not isinstance(frame.inputs, Examples):
            raise refusal("teachers", "no Labellings", "have no labels to be right about", "Use Labellings")
        require_labelled(self.largest, frame.teachers.shape[-1])
        answers = jnp.argmax(frame.network.respond(frame.params, self.examples.features), -1)
        labels = jnp.argmax(self.examples.labels(frame.teachers[frame.task]), -1)
        return jnp.mean(answers == labels)


def evaluate(record: tuple[Quantity, ...], frame: Frame) -> dict[str, Array]:
    """The values of some quantities at a frame, by name.

    Raises:
        ValueError: if a value has other axes than its quantity names.
    """
    network, (tasks, d_out, d_in) = frame.network, frame.teachers.shape
    shapes = network.shapes(d_out, frame.inputs.width(d_in))
    known = {**_sizes(network.weight_dims, shapes["weights"]), **_sizes(network.gate_dims, shapes["gates"])}
    known["task"] = tasks
    values = {}
    for q in record:
        value, dims = jnp.asarray(q.fn(frame)), q.dims_for(network)
        named = {dim: known.get(dim, size) for dim, size in zip(dims, value.shape, strict=False)}
        if len(named) < len(dims) or tuple(named.values()) != value.shape:
            rule = f"its values have the shape {value.shape}, which should be {tuple(named.values())} for these"
            raise refusal(f"axes of {q.name}", dims, rule, "Name one axis for each, as in @quantity('path')")
        values[q.name] = value
    return values


def _sizes(dims: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(dims, shape, strict=True))


DEFAULT = (loss, gates, alignment, weight_products, weight_speed, gate_speed)
"""What `simulate` keeps if no record is given: enough for the paper's Fig. 2."""
