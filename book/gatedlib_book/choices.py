"""Choices of people and of simulated learners: what each learner believes trial by trial, and how well it fits.

A learner holds a number for each task, from which follows how good each option is. Choices follow these values through
a softmax. Learners differ in what they learn from an outcome; how steep the softmax is, and how much a choice tends to
be repeated, is fitted for all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import gatedlib as gl
from gatedlib._internal.validation import require

ZOOMS, POINTS = 4, 8
"""On how many grids a setting is tried, of how many points; each lies between the neighbours of the best one before."""

NEWTON_STEPS, FURTHER_STEPS = 10, 4
"""Steps of Newton's method for the weights of choices: on the first grid, and on those that go on from its weights."""


@dataclass(frozen=True)
class Series:
    """Trials, in series that begin anew, for several units such as people, each of which has its own settings.

    Attributes:
        chosen: the option chosen, from 0; axes (unit, series, trial).
        outcome: 1 for rewarded or right, 0 for not; the same axes.
        predictions: 1 where a task calls an option right, else 0; axes (unit, series, trial, option, task).
        counted: whether a trial counts for the fit; axes (unit, series, trial).
        repeats: whether options are the same in all trials, so that a choice can be repeated.
    """

    chosen: np.ndarray
    outcome: np.ndarray
    predictions: np.ndarray
    counted: np.ndarray
    repeats: bool = True

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Series:
        """The same change of all arrays."""
        arrays: dict[str, Any] = {name: change(value) for name, value in vars(self).items() if name != "repeats"}
        return replace(self, **arrays)


@dataclass(frozen=True)
class Learner:
    """How beliefs in the tasks change with an outcome.

    Attributes:
        words: what it is called.
        learn: the beliefs after a trial, from those before, the predictions of the tasks for the choice, the outcome,
            and the settings by name.
        ranges: the settings that are fitted, and the range of each.
    """

    words: str
    learn: Callable[..., np.ndarray]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def observer(
    belief: np.ndarray, predictions: np.ndarray, outcome: np.ndarray, hazard: np.ndarray, slip: np.ndarray
) -> np.ndarray:
    """The belief of a Bayesian observer after an outcome, and after the chance of a switch before the next trial.

    Args:
        belief: the probability of each task, along the last axis.
        predictions: 1 where a task calls the choice right, else 0.
        outcome: 1 or 0.
        hazard: the chance of a switch of task after each trial.
        slip: the chance that the outcome is not what the task says.
    """
    agrees = predictions == np.asarray(outcome)[..., None]
    slip, hazard = (np.asarray(number)[..., None] for number in (slip, hazard))
    after = belief * np.where(agrees, 1 - slip, slip)
    after = after / after.sum(-1, keepdims=True)
    return (1 - hazard) * after + hazard * (1 - after) / (after.shape[-1] - 1)


def forgetting(
    values: np.ndarray, predictions: np.ndarray, outcome: np.ndarray, tau_c: np.ndarray, tau_forget: np.ndarray
) -> np.ndarray:
    """Independent values, of which that of the option not chosen returns to where it began.

    Args:
        values: of each option, along the last axis.
        predictions: 1 for the option chosen, else 0.
        outcome: 1 or 0.
        tau_c: time constant of learning, in trials.
        tau_forget: time constant of forgetting.
    """
    learned = gl.trials.gates_after(values, predictions, outcome, tau_c)
    rest = 1 / values.shape[-1]
    forgotten = rest + (values - rest) * np.exp(-1 / np.asarray(tau_forget))[..., None]
    return np.where(predictions == 1, learned, forgotten)


def two_speeds(
    values: np.ndarray, predictions: np.ndarray, outcome: np.ndarray, tau_reward: np.ndarray, tau_none: np.ndarray
) -> np.ndarray:
    """Independent values that learn from a reward at one speed, and from its absence at another.

    Args:
        values: of each option, along the last axis.
        predictions: 1 for the option chosen, else 0.
        outcome: 1 or 0.
        tau_reward: time constant after a reward, in trials.
        tau_none: time constant after none.
    """
    return gl.trials.gates_after(values, predictions, outcome, np.where(outcome == 1, tau_reward, tau_none))


RIGID = 1e6
"""A bound on the sum of the gates that does not give way."""

RANGE = (0.05, 100.0)
"""Time constants that are tried, in trials."""

SPEEDS = {"tau_c": RANGE}

LEARNERS = {
    "independent": Learner("independent values", partial(gl.trials.gates_after, b=0.0), SPEEDS),
    "fictitious": Learner("fictitious updating", partial(gl.trials.gates_after, b=RIGID), SPEEDS),
    "gates": Learner("gates, bound fitted", gl.trials.gates_after, {**SPEEDS, "b": (0.01, 1e4)}),
    "forgetting": Learner("independent, forgotten", forgetting, {**SPEEDS, "tau_forget": RANGE}),
    "two_speeds": Learner("independent, two speeds", two_speeds, {"tau_reward": RANGE, "tau_none": RANGE}),
    "observer": Learner("Bayesian observer", observer, {"hazard": (1e-3, 0.5), "slip": (1e-3, 0.5)}),
    "nothing": Learner("nothing learned", lambda belief, predictions, outcome: belief),
}
"""Who might have made the choices: gates without a bound, with a rigid one, with one that is fitted, and rivals."""


def beliefs(learner: Learner, series: Series, settings: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a learner believes before each trial: axes (…, unit, series, trial, task), the first those of the settings.

    Args:
        learner: the learner.
        series: the trials.
        settings: for each setting an array that ends with the axis of units.
    """
    tasks = series.predictions.shape[-1]
    taken = np.take_along_axis(series.predictions, series.chosen[..., None, None], -2)[..., 0, :]
    by_series = {name: np.asarray(values)[..., None] for name, values in settings.items()}
    belief = np.full((*taken.shape[:2], tasks), 1 / tasks)
    before = []
    for trial in range(series.chosen.shape[-1]):
        before.append(belief)
        belief = learner.learn(belief, taken[:, :, trial], series.outcome[:, :, trial], **by_series)
    shape = np.broadcast_shapes(*(each.shape for each in before[:2]))
    return np.stack([np.broadcast_to(each, shape) for each in before], -2)


def features(learner: Learner, series: Series, settings: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a choice depends on: how good each option is, and whether it was the choice before.

    Returns:
        Axes (option, feature, …, unit, series, trial): sums over trials, of which there are many, are over the last.
    """
    held = np.moveaxis(beliefs(learner, series, settings), -1, 0)
    calls = np.moveaxis(series.predictions, (-2, -1), (0, 1))  # axes (option, task, unit, series, trial)
    value = [sum(call * belief for call, belief in zip(option, held, strict=True)) for option in calls]
    if not series.repeats:
        return np.stack(value)[:, None]
    before = np.concatenate([np.full_like(series.chosen[..., :1], -1), series.chosen[..., :-1]], -1)
    return np.stack([np.stack(np.broadcast_arrays(good, before == option)) for option, good in enumerate(value)])


def probabilities(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    r"""The probability of each option, a softmax of weighted features; axes (option, …, unit, series, trial).

    .. math::

        p(k) = e^{w \cdot x_k} \Big/ \sum_j e^{w \cdot x_j}
    """
    by_feature = np.moveaxis(weights, -1, 0)[..., None, None]
    logits = sum(weight * given[:, feature] for feature, weight in enumerate(by_feature))
    odds = np.exp(logits - logits.max(0))
    return odds / odds.sum(0)


def surprise(given: np.ndarray, weights: np.ndarray, series: Series) -> np.ndarray:
    """Minus the logarithm of the probability of each counted choice, in nats, and 0 for others."""
    chances = (probabilities(given, weights) * _chosen(given, series)).sum(0)
    return np.where(series.counted, -np.log(np.maximum(chances, np.finfo(float).tiny)), 0.0)


def _chosen(given: np.ndarray, series: Series) -> np.ndarray:
    """Whether each option was the choice; axes as those of probabilities."""
    options = np.arange(len(given)).reshape(-1, *(1,) * (given.ndim - 2))
    return series.chosen == options


def choice_weights(given: np.ndarray, series: Series, start: np.ndarray, steps: int) -> np.ndarray:
    """The weights of features that make the counted choices most likely, for each unit: Newton's method from a start.

    The likelihood has one maximum, for its logarithm is concave.
    """
    kind = given.shape[1]
    # in units of how much features vary, a step of 4 is a long one whatever they are
    scale = given.std((0, -2, -1), keepdims=True) + 1e-9
    given, scale = given / scale, np.moveaxis(scale[0, ..., 0, 0], 0, -1)
    weights = start * scale
    chosen = _chosen(given, series)
    for _ in range(steps):
        odds = probabilities(given, weights)
        centred = given - (odds[:, None] * given).sum(0)
        gradient = np.stack([(series.counted * chosen * centred[:, f]).sum((0, -2, -1)) for f in range(kind)], -1)
        odds *= series.counted
        curvature = [
            [(odds * centred[:, f] * centred[:, g]).sum((0, -2, -1)) for g in range(kind)] for f in range(kind)
        ]
        # a little of the identity: where a feature never varies its weight stays where it is
        by_unit = np.moveaxis(np.array(curvature), (0, 1), (-2, -1)) + 1e-9 * np.eye(kind)
        step = np.linalg.solve(by_unit, gradient[..., None])[..., 0]
        # far from the maximum a whole step can overshoot
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        weights = weights + step * np.minimum(1, 4 / np.maximum(length, 4))
    return weights / scale


class Fitted(NamedTuple):
    """The most likely settings of a learner for each unit, the weights of its choices, and how unlikely these are.

    Attributes:
        settings: by name, one for each unit.
        weights: of the features, axes (unit, feature).
        loss: the negative log-likelihood of all counted choices of a unit.
    """

    settings: dict[str, np.ndarray]
    weights: np.ndarray
    loss: np.ndarray


def fit(learner: Learner, series: Series) -> Fitted:
    """Fit a learner to each unit by maximum likelihood.

    For given settings the weights of choices have one best value. Settings are tried on a grid of equal ratios over
    their whole ranges, and again between the neighbours of the best one, so that the answer does not depend on where a
    search begins.
    """
    require(bool(series.counted.any()), "counted trials", 0, "there is none to fit", "Count some")
    units = len(series.chosen)
    low, high = ({name: np.full(units, np.log(ends[side])) for name, ends in learner.ranges.items()} for side in (0, 1))
    steps, start = np.linspace(0, 1, POINTS), np.zeros(1)
    for zoom in range(ZOOMS):
        shares = np.meshgrid(*[steps] * len(low), indexing="ij")
        grid = {
            name: low[name] + share.reshape(-1, 1) * (high[name] - low[name])
            for name, share in zip(low, shares, strict=True)
        }
        settings = {name: np.exp(values) for name, values in grid.items()}
        given = features(learner, series, settings)
        given = given.reshape(*given.shape[:2], -1, *series.chosen.shape)  # a grid of one where there is no setting
        weights = choice_weights(given, series, start, FURTHER_STEPS if zoom else NEWTON_STEPS)
        loss = surprise(given, weights, series).sum((-2, -1))
        best = loss.argmin(0), np.arange(units)
        start = weights[best]
        for name, values in grid.items():
            step = (high[name] - low[name]) / (POINTS - 1)
            ends = np.log(learner.ranges[name])
            low[name], high[name] = (np.clip(values[best] + way * step, *ends) for way in (-1, 1))
    return Fitted({name: values[best] for name, values in settings.items()}, weights[best], loss[best])


def losses(learner: Learner, fitted: Fitted, series: Series) -> np.ndarray:
    """The negative log-likelihood of the counted choices in each series; axes (unit, series)."""
    given = features(learner, series, fitted.settings)
    return surprise(given, fitted.weights, series).sum(-1)


def held_out(learner: Learner, series: Series) -> np.ndarray:
    """The negative log-likelihood of each series under what was fitted to the unit's others; axes (unit, series)."""
    units, count = series.chosen.shape[:2]
    every = series.each(partial(np.repeat, repeats=count, axis=0))
    left_out = np.tile(np.arange(count), units)[:, None] == np.arange(count)  # (unit and series left out, series)
    fitted = fit(learner, replace(every, counted=every.counted & ~left_out[..., None]))
    return losses(learner, fitted, every)[left_out].reshape(units, count)


def simulate(
    learner: Learner,
    settings: Mapping[str, np.ndarray],
    weights: np.ndarray,
    right: np.ndarray,
    seed: int,
    reward: tuple[float, float] = (0.2, 0.8),
) -> Series:
    """Let learners choose between two options, one of which is rewarded more often.

    Args:
        learner: the learner.
        settings: by name, one for each unit.
        weights: of the value of an option and of repeating a choice; axes (unit, 2).
        right: the better option in each trial; axes (unit, series, trial).
        seed: of choices and rewards.
        reward: how often the worse option is rewarded, and the better one.
    """
    random = np.random.default_rng(seed)
    by_series = {name: np.asarray(values)[:, None] for name, values in settings.items()}
    belief, before = np.full((*right.shape[:2], 2), 0.5), np.zeros(right.shape[:2])
    chosen, outcome = np.empty(right.shape, int), np.empty(right.shape)
    for trial in range(right.shape[-1]):
        # how much better the second option seems, in units of the softmax
        drive = weights[:, :1] * (belief[..., 1] - belief[..., 0]) + weights[:, 1:] * before
        choice = (random.random(drive.shape) < 1 / (1 + np.exp(-drive))).astype(int)
        rewarded = random.random(drive.shape) < np.where(choice == right[..., trial], reward[1], reward[0])
        belief = learner.learn(belief, np.eye(2)[choice], rewarded.astype(float), **by_series)
        chosen[..., trial], outcome[..., trial], before = choice, rewarded, 2.0 * choice - 1
    return two_options(chosen, outcome)


def two_options(chosen: np.ndarray, outcome: np.ndarray) -> Series:
    """Trials with two options, each of which is right in one of two tasks."""
    predictions = np.broadcast_to(np.eye(2), (*chosen.shape, 2, 2))
    return Series(chosen, outcome, predictions, np.ones(chosen.shape, bool))
