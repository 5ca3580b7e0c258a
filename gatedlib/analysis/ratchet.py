"""When gates first reach zero and when paths specialize, for many networks with settings of their own, at once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

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

BETWEEN_CHECKS = 64
"""Steps after which networks that are done are left out."""


class Emergence(NamedTuple):
    """When it happens, in time units; infinite for networks in which it does not within the duration.

    Attributes:
        zero: when a gate first reaches zero.
        specialized: when the paths' mean squared distance first exceeds half of the teachers'.
    """

    zero: Numbers
    specialized: Numbers


class _Networks(NamedTuple):
    """Some networks under way, all arrays with them as the first axis."""

    weights: Float[np.ndarray, "n path mode"]
    gates: Float[np.ndarray, "n path"]
    tau_w: Float[np.ndarray, " n"]
    tau_c: Float[np.ndarray, " n"]
    b: Float[np.ndarray, " n"]
    step: Float[np.ndarray, " n"]


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
        np.broadcast_to(values, (*shape, *own)).reshape(-1, *own)
        for values, own in ((weights, weights.shape[-2:]), (gates, gates.shape[-1:]))
    )
    b = settings["b"].ravel()
    gates = np.where(np.isinf(b)[:, None], gates / gates.sum(-1, keepdims=True), gates)
    networks = _Networks(weights, gates, settings["tau_w"].ravel(), settings["tau_c"].ravel(), b, step.ravel())
    times = _follow(networks, targets, steps_of_block.ravel(), np.round(duration / step).astype(int).ravel())
    return Emergence(*(each.reshape(shape) for each in times))


def _follow(
    all_networks: _Networks, targets: Float[np.ndarray, "task mode"], steps_of_block: np.ndarray, steps: np.ndarray
) -> tuple[Numbers, Numbers]:
    """When gates reach zero and paths specialize, with so many steps in a block and in all for each network."""
    half = _squared_distance(targets) / 2
    weights, gates = np.array(all_networks.weights), np.array(all_networks.gates)
    zero, specialized = np.full(len(gates), np.inf), np.full(len(gates), np.inf)
    for done in range(0, int(steps.max()), BETWEEN_CHECKS):
        going = np.flatnonzero((done < steps) & np.isinf(specialized))
        if not len(going):
            break
        some = _Networks(weights[going], gates[going], *(values[going] for values in all_networks[2:]))
        for count in range(done, done + BETWEEN_CHECKS):
            some = _one_step(some, targets[count // steps_of_block[going] % len(targets)])
            now = np.where(count < steps[going], (count + 1) * some.step, np.inf)
            for times, happens in (
                (zero, np.any(some.gates <= 0, -1)),
                (specialized, _squared_distance(some.weights) > half),
            ):
                times[going] = np.minimum(times[going], np.where(happens, now, np.inf))
        weights[going], gates[going] = some.weights, some.gates
    return zero, specialized


def _one_step(some: _Networks, target: Float[np.ndarray, "n mode"]) -> _Networks:
    """Half a step of the weights, one of the gates, half a step of the weights."""
    some = some._replace(weights=_learn(some, target))
    some = some._replace(gates=_move_gates(some, target))
    return some._replace(weights=_learn(some, target))


def _error(some: _Networks, target: Float[np.ndarray, "n mode"]) -> Float[np.ndarray, "n mode"]:
    return target - np.einsum("np,npk->nk", some.gates, some.weights)


def _learn(some: _Networks, target: Float[np.ndarray, "n mode"]) -> Float[np.ndarray, "n path mode"]:
    """Weights after half a step at constant gates, in which the error shrinks at the rate of the squared gates."""
    squared = np.sum(some.gates**2, -1)
    # where all gates rest at zero, so do the weights
    passed = -np.expm1(-squared * some.step / (2 * some.tau_w)) / np.where(squared > 0, squared, 1.0)
    return some.weights + np.einsum("n,np,nk->npk", passed, some.gates, _error(some, target))


def _move_gates(some: _Networks, target: Float[np.ndarray, "n mode"]) -> Float[np.ndarray, "n path"]:
    """Gates after a step at constant weights: their differences follow the error, their sum is pulled by the bound."""
    gates, total, rigid = some.gates, some.gates.sum(-1), np.isinf(some.b)
    push = np.einsum("npk,nk->np", some.weights, _error(some, target))
    strength = np.where(rigid, 0.0, some.b)

    def change_of_sum(is_open: np.ndarray) -> np.ndarray:
        """The sum goes exponentially to where the mean push on open gates and the bound balance."""
        mean_weights = np.einsum("npk,np->nk", some.weights, is_open / _count(is_open)[:, None])
        stiffness = strength + np.sum(mean_weights**2, -1)
        passed = -np.expm1(-is_open.sum(-1) * stiffness * some.step / some.tau_c)
        gap = (_mean(push, is_open) - strength * (total - 1)) / np.where(stiffness > 0, stiffness, 1.0)
        return np.where(rigid, 1 - total, gap * passed)

    # what the bound takes from an open gate in the end of the step: a gate at zero that is pushed more than that opens
    above_zero = gates > 0
    change = change_of_sum(above_zero)
    held = np.where(rigid, _mean(push, above_zero), strength * (total + change - 1))
    is_open = above_zero | (push > held[:, None])
    if np.any(is_open != above_zero):  # in most steps no gate opens
        change = change_of_sum(is_open)
    shift = change / _count(is_open)
    apart = (some.step / some.tau_c)[:, None] * (push - _mean(push, is_open)[:, None])
    return np.maximum(gates + np.where(is_open, apart + shift[:, None], 0.0), 0.0)


def _mean(values: Float[np.ndarray, "n path"], which: np.ndarray) -> Float[np.ndarray, " n"]:
    return np.sum(values * which, -1) / _count(which)


def _count(which: np.ndarray) -> np.ndarray:
    """How many are true in each row, at least 1, for a mean of none is 0: where all gates rest the bound alone acts."""
    return np.maximum(which.sum(-1), 1)


def _squared_distance(matrices: Float[np.ndarray, "*any path mode"]) -> Numbers:
    """The mean squared distance over all pairs, from the sum of squares and the square of the sum."""
    count = matrices.shape[-2]
    squares, total = np.sum(matrices**2, (-2, -1)), np.sum(np.sum(matrices, -2) ** 2, -1)
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
