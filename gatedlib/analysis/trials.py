r"""Trials: what gates learn from single choices and their outcomes, solved exactly, to be fitted to people and animals.

In experiments on reversals and on rules that change without a cue, each trial has a choice and an outcome. Paths that
hold the tasks already each predict the outcome of that choice, and only the gates learn: between two choices their
equation is linear, and has a closed solution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from gatedlib._internal.validation import as_float_array, refusal, require, require_finite


def gates_after(
    gates: ArrayLike,
    predictions: ArrayLike,
    outcome: ArrayLike,
    tau_c: ArrayLike,
    b: ArrayLike = 0.0,
) -> Float[np.ndarray, "*other path"]:
    r"""The gates after one trial, of a network whose paths hold the tasks, from its outcome.

    .. math::

        \tau_c \dot c = v\,(r - v \cdot c) - b\,\big(\textstyle\sum_p c_p - 1\big) \mathbf 1

    for one time unit, with v what the paths predict for the choice that was made and r its outcome: descent on
    :math:`\tfrac12 (r - v \cdot c)^2` and on `UnitNorm(b)`. Gates move in the plane of v and :math:`\mathbf 1` only,
    where this is solved exactly. Those that would end below zero are put at zero at the end of the trial.

    With b = 0 and paths that each predict one option it is the rule of Rescorla and Wagner, with learning rate
    :math:`1 - e^{-1/\tau_c}`. With two paths and a bound that is rigid (b large) what one gate wins the other loses,
    at the rate :math:`1 - e^{-1/2\tau_c}`: every outcome counts for both options.

    All arguments may be arrays, for many series of trials or many settings at once; their shapes are broadcast.

    Args:
        gates: c before the trial, shape (…, path); 1 in a gate and 0 elsewhere is certainty of a task.
        predictions: v, shape (…, path): 1 if a path's task calls the choice right and 0 if wrong, or any other number.
        outcome: r, shape (…): 1 for right or rewarded, 0 for wrong, or any number between.
        tau_c: time constant of the gates, in trials; a number, or shape (…).
        b: strength of the bound on the sum of the gates; 0 for none, 1e6 for one that does not give way.

    Returns:
        The gates after the trial, in the shape that all arguments broadcast to.

    Raises:
        ValueError: if a number is not finite, a gate or b is negative, tau_c is not above 0, or shapes do not agree.

    Example:
        The first of two options is chosen three times; it is rewarded twice, then not.

        >>> gates = np.array([0.5, 0.5])
        >>> for rewarded in (1, 1, 0):
        ...     gates = gl.trials.gates_after(gates, [1, 0], rewarded, tau_c=0.5, b=1e6)
        ...     print(gates.round(3))
        [0.816 0.184]
        [0.932 0.068]
        [0.343 0.657]

    Source: this library, from the learning rule of the paper, section 2.
    """
    c, v = _checked(gates, predictions)
    r, tau, bound = (as_float_array(name, x) for name, x in (("outcome", outcome), ("tau_c", tau_c), ("b", b)))
    for name, values in (("outcome", r), ("tau_c", tau), ("b", bound)):
        require_finite(name, values)
    require(bool(np.all(tau > 0)), "smallest tau_c", _least(tau), "must be above 0", "Use 1 for one trial")
    require(bool(np.all(bound >= 0)), "smallest b", _least(bound), "must not be negative", "Use 0 for no bound")
    # The errors e of v . c and of the sum obey  tau de/dt = -K e,  K = [[v.v, b s], [s, b n]],  with s the sum of v.
    square, s, n = np.sum(v * v, -1), np.sum(v, -1), c.shape[-1]
    error, excess = np.sum(v * c, -1) - r, np.sum(c, -1) - 1
    root = np.hypot(square - bound * n, 2 * np.sqrt(bound) * s)
    fast = (square + bound * n + root) / 2
    with np.errstate(divide="ignore", invalid="ignore"):  # of what is not taken
        slow = np.where(fast > 0, bound * (n * square - s * s) / fast, 0.0)  # no difference of large numbers
        slow = np.maximum(slow, 0.0)  # which Cauchy and Schwarz say it is, but for rounding
        at_slow, at_fast = _integral(slow, tau), _integral(fast, tau)
        # the integral of exp(-K t / tau) over the trial, from its values at the eigenvalues of K
        slope = np.where(root > 0, (at_fast - at_slow) / root, 0.0)
    along = at_slow * error + slope * ((square - slow) * error + bound * s * excess)
    across = at_slow * excess + slope * (s * error + (bound * n - slow) * excess)
    return np.maximum(c - v * along[..., None] - (bound * across)[..., None], 0.0)


def _checked(gates: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gates and predictions as arrays whose last axes agree."""
    c, v = as_float_array("gates", gates), as_float_array("predictions", predictions)
    if c.ndim == 0 or v.ndim == 0 or c.shape[-1] != v.shape[-1]:
        rule = f"must end with as many numbers as the gates, whose shape is {c.shape}"
        raise refusal("shape of predictions", v.shape, rule, "Give one number for each path in the last axis")
    for name, values in (("gates", c), ("predictions", v)):
        require_finite(name, values)
    require(bool(np.all(c >= 0)), "lowest gate", _least(c), "must not be negative", "Use np.maximum(gates, 0)")
    return c, v


def _least(values: np.ndarray) -> float:
    return float(values.min(initial=np.inf))


def _integral(rate: np.ndarray, tau: np.ndarray) -> np.ndarray:
    r"""The integral of exp(-rate t / tau) over one time unit, divided by tau."""
    return np.where(rate > 0, -np.expm1(-rate / tau) / rate, 1 / tau)
