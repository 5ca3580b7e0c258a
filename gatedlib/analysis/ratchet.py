"""When gates first reach zero and when paths specialize, for many networks with settings of their own, at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gatedlib._internal.numerics import fixed_jax_settings
from gatedlib._internal.validation import (
    as_float_array,
    as_real_array,
    refusal,
    require_finite,
    require_instance,
    require_positive,
)
from gatedlib.analysis.requirements import Given, Numbers, positive_array
from gatedlib.model.networks import Params

TURN, RATE = 0.1, 0.4
"""A step is at most this share of the time of a hyperbolic turn by 1, and of the shortest time constant of a switch."""


class Emergence(NamedTuple):
    """When it happens, in time units; infinite for networks in which it does not within the duration.

    Attributes:
        zero: when a gate first reaches zero.
        specialized: when the paths' mean squared distance first exceeds half of the teachers'.
    """

    zero: Numbers
    specialized: Numbers


class _Networks(NamedTuple):
    """Some networks under way, all arrays with them as the last axis: sums over few paths then add long rows."""

    weights: Float[Array, "path mode n"]
    gates: Float[Array, "path n"]
    tau_w: Float[Array, " n"]
    tau_c: Float[Array, " n"]
    b: Float[Array, " n"]
    step: Float[Array, " n"]


@fixed_jax_settings()
def ratchet(
    targets: Float[np.ndarray, "task mode"],
    initial: Params,
    tau_w: Given,
    tau_c: Given,
    block_length: Given,
    duration: float,
    b: Given = np.inf,
) -> Emergence:
    r"""When gates reach zero and paths specialize, if gates never go below zero and weights stay among the teachers.

    .. math::

        \tau_w \dot W_p = c_p E, \qquad
        \tau_c \dot c_p = \langle W_p, E \rangle - b\,(s - 1) \;\text{ or }\; \dot c_p = 0 \text{ at zero},
        \qquad s = \sum_p c_p, \quad E = W^* - \sum_p c_p W_p

    Tasks take turns in blocks of equal length. A gate rests at zero while :math:`\langle W_p, E \rangle \le b(s - 1)`.
    While gates p and q are open their pair is turned hyperbolically, and the distance
    :math:`\tau_w \|W_p - W_q\|^2 - \tau_c (c_p - c_q)^2` stays; while one of them rests it grows or stays, and it never
    shrinks: a ratchet. With an infinite b the bound is rigid, s = 1. A bound of finite strength gives way after each
    switch, and lets more networks specialize.

    The flow is followed in alternating substeps: weights at constant gates, exactly; gates at constant weights, their
    sum exactly up to gates that close; so that steps need to be short beside the turn, not beside the bound. What is
    left out of the whole network: weights outside the span of the teachers, gates below zero, the steps of learning.

    Args:
        targets: the teachers in the coordinates of `reduction.teacher_span`, in the order of the blocks.
        initial: weights in the same coordinates, (…, path, mode), and gates, (…, path), of one network or many.
        tau_w: time constant of the weights; one for all networks, or one for each, as are the next two and b.
        tau_c: time constant of the gates.
        block_length: the length of a block, in time units.
        duration: how long tasks take turns, in time units.
        b: the strength of the bound on the gates' sum; infinite for a rigid one.

    Raises:
        ValueError: if there are fewer than two tasks or paths, shapes do not go together, a gate is below zero, no gate
            of a network is open, or a time or b is not above 0.

    Example:
        >>> from gatedlib.analysis.theory import ratchet
        >>> start = gl.Params(np.array([[0.01, 0.0], [0.0, 0.01]]), np.array([0.5, 0.5]))
        >>> soon = ratchet(np.eye(2), start, tau_w=1.3, tau_c=[0.06, 0.6], block_length=1.0, duration=20.0)
        >>> soon.zero.round(1).tolist(), soon.specialized.round(1).tolist()
        ([1.6, inf], [7.3, inf])

    Source: this library.
    """
    targets = _checked_targets(targets)
    weights, gates = _checked_initial(initial, targets.shape[1])
    rates = {"tau_w": tau_w, "tau_c": tau_c, "block_length": block_length}
    settings = {name: positive_array(name, value, "Use that of the experiment") for name, value in rates.items()}
    for name, numbers in settings.items():
        require_finite(f"numbers in {name}", numbers)
    settings["b"] = positive_array("b", b, "Use that of the experiment")
    shape, settings = _broadcast(gates.shape[:-1], settings)
    duration = require_positive("duration", duration, "Use that of the experiment")

    if np.all(targets == targets[0]):
        raise refusal("targets", targets.tolist(), "must differ", "Use the targets of reduction.teacher_span")
    # the first error is as long as a teacher, those after a switch at most as the distance of two
    error = max(float(np.linalg.norm(one - other)) for one in targets for other in (*targets, np.zeros_like(one)))
    longest = np.minimum(
        TURN * np.sqrt(settings["tau_w"] * settings["tau_c"]) / error, RATE * settings["tau_c"] / error**2
    )
    steps_of_block = np.ceil(settings["block_length"] / longest - 1e-9).astype(int)
    step = settings["block_length"] / steps_of_block
    weights, gates = (
        np.moveaxis(np.broadcast_to(values, (*shape, *own)).reshape(-1, *own), 0, -1)
        for values, own in ((weights, weights.shape[-2:]), (gates, gates.shape[-1:]))
    )
    b = settings["b"].ravel()
    gates = np.where(np.isinf(b), gates / gates.sum(0), gates)
    own = weights, gates, settings["tau_w"].ravel(), settings["tau_c"].ravel(), b, step.ravel()
    with jax.enable_x64(True):
        networks = _Networks(*map(jnp.asarray, own))
        times = _follow(networks, targets, steps_of_block.ravel(), np.round(duration / step).astype(int).ravel())
        return Emergence(*(np.asarray(each).reshape(shape) for each in times))


@jax.jit
def _follow(
    networks: _Networks,
    targets: Float[Array, "task mode"],
    steps_of_block: Int[Array, " n"],
    steps: Int[Array, " n"],
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """When gates reach zero and paths specialize, with so many steps in a block and in all for each network."""
    half = _squared_distance(targets) / 2

    def any_goes_on(state: tuple) -> Bool[Array, ""]:
        count, _, zero, specialized = state
        return jnp.any((count < steps) & (jnp.isinf(zero) | jnp.isinf(specialized)))

    def advance(state: tuple) -> tuple:
        count, networks, zero, specialized = state
        networks = _one_step(networks, targets[count // steps_of_block % len(targets)].T)
        now = jnp.where(count < steps, (count + 1) * networks.step, jnp.inf)
        zero = jnp.where(jnp.any(networks.gates <= 0, 0), jnp.minimum(zero, now), zero)
        apart = _squared_distance(networks.weights) > half
        return count + 1, networks, zero, jnp.where(apart, jnp.minimum(specialized, now), specialized)

    never = jnp.full(steps.shape, jnp.inf)
    _, _, zero, specialized = jax.lax.while_loop(any_goes_on, advance, (0, networks, never, never))
    return zero, specialized


def _one_step(some: _Networks, target: Float[Array, "mode n"]) -> _Networks:
    """Half a step of the weights, one of the gates, half a step of the weights."""
    some = some._replace(weights=_learn(some, target))
    some = some._replace(gates=_move_gates(some, target))
    return some._replace(weights=_learn(some, target))


def _error(some: _Networks, target: Float[Array, "mode n"]) -> Float[Array, "mode n"]:
    return target - jnp.sum(some.gates[:, None] * some.weights, 0)


def _learn(some: _Networks, target: Float[Array, "mode n"]) -> Float[Array, "path mode n"]:
    """Weights after half a step at constant gates, in which the error shrinks at the rate of the squared gates."""
    squared = jnp.sum(some.gates**2, 0)
    # where all gates rest at zero, so do the weights
    passed = -jnp.expm1(-squared * some.step / (2 * some.tau_w)) / jnp.where(squared > 0, squared, 1.0)
    return some.weights + (passed * some.gates)[:, None] * _error(some, target)


def _move_gates(some: _Networks, target: Float[Array, "mode n"]) -> Float[Array, "path n"]:
    """Gates after a step at constant weights: their differences follow the error, their sum is pulled by the bound."""
    gates, total, rigid = some.gates, jnp.sum(some.gates, 0), jnp.isinf(some.b)
    push = jnp.sum(some.weights * _error(some, target), 1)
    strength = jnp.where(rigid, 0.0, some.b)

    def change_of_sum(is_open: Bool[Array, "path n"]) -> Float[Array, " n"]:
        """The sum goes exponentially to where the mean push on open gates and the bound balance."""
        mean_weights = jnp.sum(some.weights * (is_open / _count(is_open))[:, None], 0)
        stiffness = strength + jnp.sum(mean_weights**2, 0)
        passed = -jnp.expm1(-jnp.sum(is_open, 0) * stiffness * some.step / some.tau_c)
        gap = (_mean(push, is_open) - strength * (total - 1)) / jnp.where(stiffness > 0, stiffness, 1.0)
        return jnp.where(rigid, 1 - total, gap * passed)

    # what the bound takes from an open gate in the end of the step: a gate at zero that is pushed more than that opens
    above_zero = gates > 0
    held = jnp.where(rigid, _mean(push, above_zero), strength * (total + change_of_sum(above_zero) - 1))
    is_open = above_zero | (push > held)
    shift = change_of_sum(is_open) / _count(is_open)
    apart = some.step / some.tau_c * (push - _mean(push, is_open))
    return jnp.maximum(gates + jnp.where(is_open, apart + shift, 0.0), 0.0)


def _mean(values: Float[Array, "path n"], which: Bool[Array, "path n"]) -> Float[Array, " n"]:
    return jnp.sum(values * which, 0) / _count(which)


def _count(which: Bool[Array, "path n"]) -> Int[Array, " n"]:
    """How many paths it holds for, at least 1, for a mean of none is 0: where all gates rest the bound alone acts."""
    return jnp.maximum(jnp.sum(which, 0), 1)


def _squared_distance(matrices: Float[Array, "path mode *n"]) -> Float[Array, "*n"]:
    """The mean squared distance over all pairs, from the sum of squares and the square of the sum."""
    count = len(matrices)
    squares, total = jnp.sum(matrices**2, (0, 1)), jnp.sum(jnp.sum(matrices, 0) ** 2, 0)
    return 2 * (count * squares - total) / (count * (count - 1))


def _checked_targets(targets: object) -> Float[np.ndarray, "task mode"]:
    array = as_float_array("targets", targets)
    if array.ndim != 2 or len(array) < 2:
        remedy = "Use the targets of reduction.teacher_span"
        raise refusal("shape of targets", array.shape, "must be (task, mode), with two tasks or more", remedy)
    require_finite("targets", array)
    return array


def _checked_initial(initial: object, modes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (…, path, mode) and gates (…, path), of 64 bits."""
    remedy = "Write gatedlib.Params(weights, gates)"
    require_instance("initial", initial, Params, remedy)
    assert isinstance(initial, Params)
    weights, gates = (
        np.asarray(as_real_array(f"initial {name}", getattr(initial, name), remedy), float)
        for name in ("weights", "gates")
    )
    if gates.ndim < 1 or gates.shape[-1] < 2 or weights.shape != (*gates.shape, modes):
        rule = f"must be (…, path, {modes}) with two paths or more, and gates (…, path), not {gates.shape}"
        raise refusal("shape of initial weights", weights.shape, rule, "Use teacher_span(...).project")
    for name, array in (("weights", weights), ("gates", gates)):
        require_finite(f"initial {name}", array)
    if not np.all(gates >= 0) or not np.all(gates.sum(-1) > 0):
        rule = "must be 0 or above, and one of each network above 0"
        raise refusal("initial gates", float(gates.min()), rule, "Begin with gates that are open")
    return weights, gates


def _broadcast(shape: tuple[int, ...], settings: dict[str, Numbers]) -> tuple[tuple[int, ...], dict[str, Numbers]]:
    """The shape to which networks and settings broadcast, and one number of each setting for each network."""
    shapes = {name: array.shape for name, array in settings.items()}
    try:
        shape = np.broadcast_shapes(shape, *shapes.values())
    except ValueError:
        rule = f"must broadcast with each other and with the networks, {shape}"
        raise refusal("shapes of settings", shapes, rule, "Give one for all, or one for each") from None
    return shape, {name: np.broadcast_to(array, shape) for name, array in settings.items()}
