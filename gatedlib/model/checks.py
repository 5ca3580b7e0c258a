"""What parts that a user wrote must give, found by tracing them once: no number is drawn, nothing runs.

Parts of this library are known to keep to it. A part of a user's that does not would be learned as something else, or
fail far from its cause.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gatedlib._internal.identity import ADDRESS, cache_of_traces
from gatedlib._internal.numerics import random_key, shapes_of, with_shapes
from gatedlib._internal.validation import require
from gatedlib.model.inputs import Inputs
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty


def is_ours(kind: type) -> bool:
    """Whether a class is one of this library."""
    return kind.__module__.split(".")[0] == "gatedlib"


def require_concrete(tree: Any, what: str) -> None:
    """Require numbers, where a caller's own jit, grad or vmap would trace them."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        rule = f"is traced by jax.jit, grad or vmap, and {what} needs its number"
        remedy = (
            "Call it outside; use gatedlib.sweep for many values, and flow.velocity and flow.step, which can be "
            "traced, for gradients through learning"
        )
        require(not isinstance(leaf, jax.core.Tracer), name, "traced", rule, remedy)


def require_fields(part: eqx.Module) -> None:
    """Require a part of which JAX sees the fields: static ones that can be compared, and all others as leaves."""
    kind, fields = type(part), dataclasses.fields(part)
    cached = [name for each in kind.__mro__ for name, value in vars(each).items()
              if isinstance(value, functools.cached_property)]  # fmt: skip
    rule, remedy = "keeps its value in the object, which is another one for JAX then", "Use property in its place"
    require(not cached, f"cached_property of {kind.__name__}", cached, rule, remedy)
    dynamic = {field.name: getattr(part, field.name) for field in fields if not field.metadata.get("static")}
    rule = "JAX sees other fields than these, as in a class that was sent to another process by its text (cloudpickle)"
    remedy = f"Put class {kind.__name__} into a module that this process can import"
    seen = len(jax.tree.leaves(part)) == len(jax.tree.leaves(list(dynamic.values())))
    require(seen, f"fields of {kind.__name__}", sorted(dynamic), rule, remedy)
    for field in fields:
        held = jax.tree.leaves(getattr(part, field.name)) if field.name not in dynamic else []
        rule = "static fields are compared by JAX, which arrays cannot be"
        remedy = "Leave static=True out, or use a tuple of numbers"
        arrays = any(isinstance(leaf, np.ndarray | jax.Array) for leaf in held)
        require(not arrays, f"{kind.__name__}.{field.name}", "an array in a static field", rule, remedy)


def require_teachers(teachers: Any) -> None:
    """Require that teachers draw what their shape says."""
    if not is_ours(type(teachers)):
        _check_teachers(*shapes_of(teachers))


@cache_of_traces
def _check_teachers(structure: Any, shapes: tuple) -> None:
    teachers = with_shapes(structure, shapes)
    name = type(teachers).__name__
    drawn = _traced_twice(f"{name}.sample", lambda teachers, key: teachers.sample(key), teachers)
    asked = tuple(teachers.shape)
    rule, remedy = f"must be {asked}, which its shape says: tasks, outputs, inputs", "Compare sample and shape"
    require(getattr(drawn, "shape", None) == asked, f"shape of what {name}.sample draws", _form(drawn), rule, remedy)
    _require_real(f"what {name}.sample draws", drawn)


def require_network(network: Network, d_out: int, d_in: int) -> None:
    """Require that a network draws its parameters from its key alone, as real numbers."""
    if not is_ours(type(network)):
        _check_network(*shapes_of(network), d_out, d_in)


@cache_of_traces
def _check_network(structure: Any, shapes: tuple, d_out: int, d_in: int) -> None:
    network = with_shapes(structure, shapes)
    name = type(network).__name__
    drawn = _traced_twice(f"{name}.init", lambda network, key: network.init(key, d_out, d_in), network)
    for part, leaf in drawn._asdict().items():
        _require_real(f"{part} of {name}", leaf)
    for leaf in jax.tree.leaves(_student(network, drawn)):  # one matrix, or what its inputs take in place of it
        _require_real(f"matrix of {name}", leaf)


def _student(network: Network, params: Any) -> Any:
    """The matrix that a network makes of its parameters, in shapes."""
    return jax.eval_shape(lambda network, params: network.effective(params), network, params)


def require_inputs(inputs: Inputs, network: Network, matrix: tuple[int, int], d_in: int) -> None:
    """Require inputs whose batch and loss have the shapes of their task and of what the network makes."""
    if not is_ours(type(inputs)):
        _check_inputs(*shapes_of((inputs, network)), matrix, d_in)


@cache_of_traces
def _check_inputs(structure: Any, shapes: tuple, matrix: tuple[int, int], d_in: int) -> None:
    inputs, network = with_shapes(structure, shapes)
    name = type(inputs).__name__
    batch = _traced_twice(f"{name}.draw", lambda inputs, key: inputs.draw(key, matrix[0], d_in), inputs)
    if type(inputs).loss is Inputs.loss and batch is not None:
        shape: tuple = getattr(batch, "shape", ())
        rule, remedy = f"must be ({matrix[1]}, rank): L with L @ L.T = S", "Transpose it, or write loss for it too"
        fits = len(shape) == 2 and shape[0] == matrix[1]
        require(fits, f"shape of what {name}.draw draws", _form(batch), rule, remedy)
    teacher = jax.ShapeDtypeStruct((matrix[0], d_in), jnp.zeros(()).dtype)
    student = _student(network, jax.eval_shape(lambda network, key: network.init(key, *matrix), network, random_key(0)))
    found = jax.eval_shape(lambda inputs, *given: inputs.loss(*given), inputs, student, teacher, batch)
    pair = isinstance(found, tuple) and len(found) == 2
    rule, remedy = "must be the loss and its gradient with respect to the matrix", "Return loss, gradient"
    require(pair, f"{name}.loss", _form(found), rule, remedy)
    wanted = {"loss": jax.ShapeDtypeStruct((), teacher.dtype), "gradient": student}
    for (told, form), value in zip(wanted.items(), found, strict=True):
        fits = _form(value) == _form(form)
        require(fits, f"{told} of {name}.loss", _form(value), f"must be {_form(form)}", remedy)
        for leaf in jax.tree.leaves(value):
            _require_real(f"{told} of {name}.loss", leaf)


def require_penalty(penalty: Penalty, shapes: dict[str, tuple[int, ...]]) -> None:
    """Require a penalty that is one real number, with a gradient of the shapes of the parameters."""
    if not is_ours(type(penalty)):
        _check_penalty(*shapes_of(penalty), tuple(shapes["weights"]), tuple(shapes["gates"]))


@cache_of_traces
def _check_penalty(structure: Any, shapes: tuple, weights: tuple[int, ...], gates: tuple[int, ...]) -> None:
    penalty = with_shapes(structure, shapes)
    name, real = type(penalty).__name__, jnp.zeros(()).dtype
    params = Params(jax.ShapeDtypeStruct(weights, real), jax.ShapeDtypeStruct(gates, real))
    value = jax.eval_shape(lambda penalty, params: penalty.value(params), penalty, params)
    rule, remedy = "must be one real number", "Add it up: jnp.sum(...), in floating point"
    require(getattr(value, "shape", None) == (), f"value of {name}", _form(value), rule, remedy)
    _require_real(f"value of {name}", value)
    gradient = jax.eval_shape(lambda penalty, params: penalty.gradient(params), penalty, params)
    shaped = isinstance(gradient, Params) and all(
        getattr(leaf, "shape", None) in ((), shape) for leaf, shape in zip(gradient, (weights, gates), strict=True)
    )
    rule, remedy = f"must be Params of shapes {weights} and {gates}", "Leave gradient and slope out: they are derived"
    require(shaped, f"gradient of {name}", _form(gradient), rule, remedy)


def _traced_twice(name: str, draw: Any, part: Any) -> Any:
    """What a part draws, in shapes; two traces must be the same, which numbers from numpy.random or a clock are not."""

    def traced() -> tuple[Any, Any]:  # of a new function each time, or JAX would give the first trace again
        return jax.make_jaxpr(lambda *given: draw(*given), return_shape=True)(part, random_key(0))

    traces = traced(), traced()
    (first, drawn), (second, _) = traces
    same = ADDRESS.sub("", str(first)) == ADDRESS.sub("", str(second)) and all(
        np.array_equal(_plain(a), _plain(b)) for a, b in zip(first.consts, second.consts, strict=True)
    )
    rule = "draws other numbers each time it is asked, so all seeds would be one network"
    require(same, name, "numbers that are not those of its key", rule, "Draw with jax.random from the key, not numpy")
    return drawn


def _plain(constant: Any) -> Any:
    """A constant of a trace as numbers, keys among them."""
    return jax.random.key_data(constant) if jnp.issubdtype(constant.dtype, jax.dtypes.prng_key) else constant


def _require_real(what: str, value: Any) -> None:
    kind = np.dtype(value.dtype)
    rule, remedy = "must be real numbers of 32 or 64 bits", "Convert it: x.astype(float)"
    require(kind in (np.float32, np.float64), f"type of {what}", str(kind), rule, remedy)


def _form(value: Any) -> Any:
    """The shape of a traced value; what it is where it has none."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    return jax.tree.map(lambda leaf: tuple(leaf.shape), value)
