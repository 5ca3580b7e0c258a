"""Checks of the shapes and types that a user's own parts return, found by tracing them: nothing is run on a device.

Parts of this library are known to return the right ones. With a part that does not, a run would compute something else
or fail far from the cause.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gatedlib._internal.identity import ADDRESS
from gatedlib._internal.numerics import cached_by_shapes, random_key
from gatedlib._internal.validation import refusal
from gatedlib.model.inputs import Inputs
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty
from gatedlib.model.teachers import Teachers


def is_ours(kind: type) -> bool:
    """Whether a class is one of this library."""
    return kind.__module__.split(".")[0] == "gatedlib"


def require_concrete(tree: Any, what: str) -> None:
    """Require numbers, where a caller's own jit, grad or vmap would trace them."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.core.Tracer):
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            remedy = (
                "Call it outside; use gatedlib.sweep for many values, and flow.velocity and flow.step, which can be "
                "traced, for gradients through learning"
            )
            raise refusal(name, "traced", f"is traced by jax.jit, grad or vmap, and {what} needs its number", remedy)


@functools.cache
def _cached_properties(kind: type) -> list[str]:
    """The names of those that a class has."""
    members = ((name, value) for base in kind.__mro__ for name, value in vars(base).items())
    return [name for name, value in members if isinstance(value, functools.cached_property)]


def require_fields(part: eqx.Module) -> None:
    """Require a part of which JAX sees the fields: static ones that can be compared, and all others as leaves."""
    kind, fields, values = type(part), dataclasses.fields(part), vars(part)
    if cached := _cached_properties(kind):
        rule = "keeps its value in the object, which is another one for JAX then"
        raise refusal(f"cached_property of {kind.__name__}", cached, rule, "Use property in its place")
    # Equinox keeps the fields of a class beside it, and cloudpickle does not send them along: JAX would take objects of
    # the class that arrives for empty.
    dynamic = {field.name: values[field.name] for field in fields if not field.metadata.get("static")}
    if len(jax.tree.leaves(part)) != len(jax.tree.leaves(list(dynamic.values()))):
        rule = (
            "JAX sees other fields than these, as in a class that was sent to another process by its text (cloudpickle)"
        )
        remedy = f"Put class {kind.__name__} into a module that this process can import"
        raise refusal(f"fields of {kind.__name__}", sorted(dynamic), rule, remedy)
    for field in fields:
        leaves = jax.tree.leaves(values[field.name]) if field.name not in dynamic else []
        if any(isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves):
            rule = "static fields are compared by JAX, which arrays cannot be"
            remedy = "Leave static=True out, or use a tuple of numbers"
            raise refusal(f"{kind.__name__}.{field.name}", "an array in a static field", rule, remedy)


def require_teachers(teachers: Any) -> None:
    """Require that teachers draw what their shape says."""
    if not is_ours(type(teachers)):
        _check_teachers(teachers)


@cached_by_shapes
def _check_teachers(teachers: Teachers) -> None:
    name, shape = type(teachers).__name__, tuple(teachers.shape)
    drawn = _trace_twice(f"{name}.sample", lambda teachers, key: teachers.sample(key), teachers)
    rule = f"must be {shape}, which its shape says: tasks, outputs, inputs"
    _require_shape(f"shape of what {name}.sample draws", drawn, shape, rule, "Compare sample and shape")
    _require_real(f"what {name}.sample draws", drawn)


def require_network(network: Network, d_out: int, d_in: int) -> None:
    """Require that a network draws its parameters from its key alone, as real numbers."""
    if not is_ours(type(network)):
        _check_network(network, d_out, d_in)


@cached_by_shapes
def _check_network(network: Network, d_out: int, d_in: int) -> None:
    name = type(network).__name__
    drawn = _trace_twice(f"{name}.init", lambda network, key: network.init(key, d_out, d_in), network)
    for field, leaf in drawn._asdict().items():
        _require_real(f"{field} of {name}", leaf)
    for leaf in jax.tree.leaves(_student(network, drawn)):
        _require_real(f"matrix of {name}", leaf)


def _student(network: Network, params: Any) -> Any:
    """The shape of the matrix that a network makes of its parameters, or of what its inputs take in place of one."""
    return jax.eval_shape(lambda network, params: network.effective(params), network, params)


def require_inputs(inputs: Inputs, network: Network, matrix_shape: tuple[int, int], d_in: int) -> None:
    """Require inputs whose batch and loss have the shapes of their task and of the student."""
    if not is_ours(type(inputs)):
        _check_inputs((inputs, network), matrix_shape, d_in)


@cached_by_shapes
def _check_inputs(parts: tuple[Inputs, Network], matrix_shape: tuple[int, int], d_in: int) -> None:
    inputs, network = parts
    name, (d_out, width) = type(inputs).__name__, matrix_shape
    batch = _trace_twice(f"{name}.draw", lambda inputs, key: inputs.draw(key, d_out, d_in), inputs)
    if type(inputs).loss is Inputs.loss and batch is not None:
        shape: tuple = getattr(batch, "shape", ())
        if len(shape) != 2 or shape[0] != width:
            rule, remedy = f"must be ({width}, rank): L with L @ L.T = S", "Transpose it, or write loss for it too"
            raise refusal(f"shape of what {name}.draw draws", _shape(batch), rule, remedy)
    teacher = jax.ShapeDtypeStruct((d_out, d_in), jnp.zeros(()).dtype)
    params = jax.eval_shape(lambda network, key: network.init(key, *matrix_shape), network, random_key(0))
    student = _student(network, params)
    pair = jax.eval_shape(lambda inputs, *args: inputs.loss(*args), inputs, student, teacher, batch)
    remedy = "Return loss, gradient"
    if not isinstance(pair, tuple) or len(pair) != 2:
        rule = "must be the loss and its gradient with respect to the matrix"
        raise refusal(f"{name}.loss", _shape(pair), rule, remedy)
    for what, expected, value in zip(("loss", "gradient"), (jnp.zeros(()), student), pair, strict=True):
        if _shape(value) != _shape(expected):
            raise refusal(f"{what} of {name}.loss", _shape(value), f"must be {_shape(expected)}", remedy)
        for leaf in jax.tree.leaves(value):
            _require_real(f"{what} of {name}.loss", leaf)


def require_penalty(penalty: Penalty, shapes: dict[str, tuple[int, ...]]) -> None:
    """Require a penalty that is one real number, with a gradient of the shapes of the parameters."""
    if not is_ours(type(penalty)):
        _check_penalty(penalty, tuple(shapes["weights"]), tuple(shapes["gates"]))


@cached_by_shapes
def _check_penalty(penalty: Penalty, weights: tuple[int, ...], gates: tuple[int, ...]) -> None:
    name, real = type(penalty).__name__, jnp.zeros(()).dtype
    params = Params(jax.ShapeDtypeStruct(weights, real), jax.ShapeDtypeStruct(gates, real))
    value = jax.eval_shape(lambda penalty, params: penalty.value(params), penalty, params)
    remedy = "Add it up: jnp.sum(...), in floating point"
    _require_shape(f"value of {name}", value, (), "must be one real number", remedy)
    _require_real(f"value of {name}", value)
    gradient = jax.eval_shape(lambda penalty, params: penalty.gradient(params), penalty, params)
    if not isinstance(gradient, Params) or not all(
        getattr(leaf, "shape", None) in ((), shape) for leaf, shape in zip(gradient, (weights, gates), strict=True)
    ):
        rule = f"must be Params of shapes {weights} and {gates}"
        remedy = "Leave gradient and one_sided_gradient out: they are derived"
        raise refusal(f"gradient of {name}", _shape(gradient), rule, remedy)


def _trace_twice(name: str, draw: Any, part: Any) -> Any:
    """The shapes of what a part draws; two traces must be equal, which numbers of numpy.random or a clock are not."""

    def trace() -> tuple[Any, Any]:  # of a new function each time, or JAX would return the first trace again
        return jax.make_jaxpr(lambda *args: draw(*args), return_shape=True)(part, random_key(0))

    (first, drawn), (second, _) = trace(), trace()
    # Numbers that were drawn while tracing stand in the trace as constants; functions stand with their addresses.
    same = ADDRESS.sub("", str(first)) == ADDRESS.sub("", str(second)) and all(
        np.array_equal(_plain(a), _plain(b)) for a, b in zip(first.consts, second.consts, strict=True)
    )
    if not same:
        rule = "draws other numbers each time it is asked, so all seeds would be one network"
        remedy = "Draw with jax.random from the key, not numpy"
        raise refusal(name, "numbers that are not those of its key", rule, remedy)
    return drawn


def _plain(constant: Any) -> Any:
    """A constant of a trace as numbers, keys among them."""
    return jax.random.key_data(constant) if jnp.issubdtype(constant.dtype, jax.dtypes.prng_key) else constant


def _require_shape(what: str, value: Any, expected: tuple[int, ...], rule: str, remedy: str) -> None:
    if getattr(value, "shape", None) != expected:
        raise refusal(what, _shape(value), rule, remedy)


def _require_real(what: str, value: Any) -> None:
    kind = np.dtype(value.dtype)
    if kind not in (np.float32, np.float64):
        rule = "must be real numbers of 32 or 64 bits"
        raise refusal(f"type of {what}", str(kind), rule, "Convert it: x.astype(float)")


def _shape(value: Any) -> Any:
    """The shape of a traced array, or the shapes in a tree of such."""
    return jax.tree.map(lambda leaf: tuple(leaf.shape), value)
