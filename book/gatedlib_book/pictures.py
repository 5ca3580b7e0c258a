"""Pictures: the experiments and the claims of the paper's Figs. 7 and A.15, and beyond."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.flatten_util import ravel_pytree

import gatedlib as gl
from gatedlib import images, metrics, record, trunk
from gatedlib._internal.validation import require, require_member
from gatedlib.model.inputs import cross_entropy
from gatedlib_book.cache import cached
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import exact, mean, median, stacked

SEEDS = 10

TRUE = tuple(range(10))
"""Every class is called by its own number."""

ORTHOGONAL = tuple(label // 2 + 5 * (label % 2) for label in range(10))
"""The second labelling: first the even classes, then the odd ones. Two of ten keep their label."""

WARM_COLD = (0, 1, 6, 3, 7, 2, 5, 4, 8, 9)
"""Fig. A.15, the labelling that is not orthogonal: five of ten keep their label."""

THIRD = tuple(3 * label % 10 for label in range(10))
"""A third labelling, for runs with more than two."""

Labels = tuple[tuple[int, ...], ...]

BOTH: Labels = (TRUE, ORTHOGONAL)

DT = 0.1

RELEASED = 1000.0
"""tau_w at the learning rate that was released, 0.001: a step of 1e-4."""

LARGE = 21.3
"""The mean square of the features of the released trunk."""

TUNED = 100 / 3
"""tau_w that serves both data sets with features of mean square 1: a learning rate of 0.03, a step of 0.003."""

OUR_RATE = (
    "Features have a mean square of 1, and the weights a learning rate of ours, chosen on digits. See 7, 7-scale."
)

PENALTIES = (gl.Nonnegative(a=0.5), gl.UnitNorm(b=0.5))


@functools.lru_cache(maxsize=4)
def features(name: str) -> trunk.Features:
    """The features of a data set."""
    return trunk.features(images.load(name))


@functools.lru_cache(maxsize=8)
def sized(name: str, size: float) -> trunk.Features:
    """The same, with this mean square; made once, for a sweep knows a data set by the object that it is."""
    return features(name).scaled(size)


@functools.lru_cache(maxsize=8)
def accuracy(name: str, size: float = 1.0) -> record.Quantity:
    """The accuracy on pictures that nobody learned from, 2000 of them if there are so many."""
    return record.accuracy(sized(name, size).held_out(2000))


def flexible(
    name: str,
    labels: Labels = BOTH,
    tau_w: float = TUNED,
    size: float = 1.0,
    rounds: int = 5,
    steps: int = 1000,
) -> gl.Experiment:
    """Fig. 7: a gated head on the features of a data set, fast gates with penalties; `size` is their mean square."""
    return gl.Experiment(
        teachers=gl.Labellings(labels),
        network=gl.GatedLinear(paths=len(labels)),
        curriculum=gl.Blocked(blocks=rounds * len(labels), block_length=DT * steps, order=tuple(range(len(labels)))),
        flow=gl.Flow(tau_w, tau_c=0.5, dt=DT, penalties=PENALTIES, inputs=sized(name, size).examples(100)),
    )


def unpenalized(name: str, labels: Labels = BOTH, tau_w: float = TUNED, size: float = 1.0) -> gl.Experiment:
    """The same without penalties."""
    return flexible(name, labels, tau_w, size).replace(penalties=())


def forgetful(name: str, labels: Labels = BOTH, tau_w: float = TUNED, size: float = 1.0) -> gl.Experiment:
    """The same without penalties, and gates as slow as weights."""
    return unpenalized(name, labels, tau_w, size).replace(tau_c=tau_w)


KINDS = {"flexible": flexible, "without penalty": unpenalized, "forgetful": forgetful}


@functools.lru_cache(maxsize=32)
@cached
def run(
    kind: str, name: str, labels: Labels = BOTH, tau_w: float = TUNED, size: float = 1.0, seeds: int = SEEDS
) -> xr.Dataset:
    """Accuracy and gates every ten steps, for one of `KINDS`."""
    require_member(kind, KINDS, "kind of network")
    keep = accuracy(name, size), record.gates
    return gl.simulate(KINDS[kind](name, labels, tau_w, size), seeds, keep, every=10)


def after(results: xr.Dataset, steps: int = 10, switches: int = 4) -> xr.DataArray:
    """Accuracy so many steps after a switch, the mean over the last switches of each seed."""
    every = int(results.step[1] - results.step[0])
    rule = f"must be a multiple of {every}, as accuracy was recorded every {every} steps"
    require(steps % every == 0, "steps", steps, rule, f"Use {every * round(steps / every)}")
    starts = results.block_start.values[-switches:] + steps
    return results.accuracy.isel(time=starts // every).mean("time")


def ending(results: xr.Dataset, blocks: int = 4) -> xr.DataArray:
    """Accuracy at the end of blocks, the mean over the last blocks of each seed."""
    return metrics.end_of_block(results.accuracy, results).isel(block=slice(-blocks, None)).mean("block")


def _switch(
    name: str,
    labels: Labels,
    kinds: tuple[str, str],
    tau_w: float = TUNED,
    size: float = 1.0,
    learned: float = 0.05,
) -> Outcome:
    """What claims of Figs. 7 and A.15 measure: accuracy ten steps after a late switch, and at ends of blocks.

    By then the forgetful network must have learned its tasks, to within `learned` of the trunk's accuracy.
    """
    quick, slow = (run(kind, name, labels, tau_w, size) for kind in kinds)
    soon, late = median(after(quick)), median(after(slow))
    end, slow_end, at_switch = median(ending(quick)), median(ending(slow)), median(after(slow, steps=0))
    return Outcome(
        {
            f"accuracy_after_10_steps_flexible_{name}": soon,
            f"accuracy_after_10_steps_forgetful_{name}": late,
            f"accuracy_end_of_block_{name}": end,
            f"accuracy_end_of_block_forgetful_{name}": slow_end,
            f"accuracy_at_switch_forgetful_{name}": at_switch,
            f"accuracy_of_trunk_{name}": exact(features(name).accuracy),
        },
        {
            "flexible: ten steps after a late switch within 0.03 of its accuracy at the end of blocks": soon.low
            > end.value - 0.03,
            "which is within 0.03 of the trunk's own": end.low > features(name).accuracy - 0.03,
            "forgetful: ten steps after a late switch within 0.05 of its accuracy at the switch": late.high
            < at_switch.value + 0.05,
            f"although it has both tasks learned at the end of blocks, within {learned} of the trunk's": slow_end.low
            > features(name).accuracy - learned,
        },
    )


@claim(
    "7",
    "7",
    "At the released rates, with features as large as the released trunk's, a flexible head has changed its mind in "
    "ten steps; a forgetful one has hardly begun.",
    reference={"accuracy_after_10_steps_flexible_digits": 0.97, "accuracy_after_10_steps_forgetful_digits": 0.20},
    note="Pictures and trunk are not those of the released code. The forgetful network, whose gates are as slow as its "
    "weights, learns more slowly here than at our rates: so 0.1 below the trunk's accuracy counts as learned.",
    counterfactual={"kinds": ("forgetful", "flexible")},
)
def released(kinds: tuple[str, str] = ("flexible", "forgetful")) -> Outcome:
    """Digits, features of mean square 21.3, rates 2 (gates) and 0.001 (weights), 10 blocks of 1000 steps of 0.1."""
    return _switch("digits", BOTH, kinds, RELEASED, LARGE, learned=0.1)


@claim(
    "7-digits",
    "7",
    "With features of mean square one and faster weights, a flexible head has changed its mind in ten steps too.",
    as_given=False,
    note=OUR_RATE,
    counterfactual={"kinds": ("forgetful", "flexible")},
)
def digits(kinds: tuple[str, str] = ("flexible", "forgetful")) -> Outcome:
    """The true labels and the orthogonal ones by turns, 10 blocks of 1000 steps."""
    return _switch("digits", BOTH, kinds)


SCALES = (1.0, 4.6, LARGE, 98.0)
"""Mean squares of features, each about as many times as large as the last."""


@claim(
    "7-scale",
    "7",
    "How large features are decides how fast weights learn: their speed goes with the squared size.",
    reference={"accuracy_by_scale": [0.38, np.nan, np.nan, np.nan]},
    as_given=False,
    note="The released code's pictures are other ones than these digits.",
    counterfactual={"power": 0.0},
)
def scale(scales: tuple[float, ...] = SCALES, power: float = 1.0) -> Outcome:
    """Accuracy ten steps after a late switch for four mean squares s: at the rate 0.001, and at 0.0213 / s."""
    at_rate = [median(after(run("flexible", "digits", BOTH, RELEASED, size))) for size in scales]
    made_up = [median(after(run("flexible", "digits", BOTH, RELEASED * (s / LARGE) ** power, s))) for s in scales]
    fixed, equal = stacked(at_rate, mean_square=scales), stacked(made_up, mean_square=scales)
    return Outcome(
        {"mean_square": exact(scales), "accuracy_by_scale": fixed, "accuracy_by_scale_rate_made_up_for": equal},
        {
            "at the released rate: below 0.6 with a mean square of 1": bool(fixed.high[0] < 0.6),
            "above 0.95 with 21.3 and more": bool((fixed.low[2:] > 0.95).all()),
            "rate times mean square held: within 0.02 of each other at all four": bool(np.ptp(equal.value) < 0.02),
        },
    )


@claim(
    "7-fashion",
    "7",
    "On FashionMNIST too.",
    data="fashion",
    as_given=False,
    note=OUR_RATE,
    counterfactual={"kinds": ("forgetful", "flexible")},
)
def fashion(kinds: tuple[str, str] = ("flexible", "forgetful")) -> Outcome:
    """The same with pictures of clothes, which is also the orthogonal order of Fig. A.15."""
    return _switch("fashion", BOTH, kinds)


@claim(
    "A.15",
    "A.15",
    "And with a second label order that shares half of the labels with the first.",
    data="fashion",
    as_given=False,
    note=OUR_RATE,
    counterfactual={"kinds": ("forgetful", "flexible")},
)
def warm_cold(kinds: tuple[str, str] = ("flexible", "forgetful")) -> Outcome:
    """FashionMNIST, the true labels and the order that is not orthogonal."""
    return _switch("fashion", (TRUE, WARM_COLD), kinds)


@functools.lru_cache(maxsize=8)
@cached
def reading(kind: str = "flexible", batch: int = 100, name: str = "digits", seeds: int = SEEDS) -> xr.DataArray:
    """Whether the gates tell which task is on at each step after a switch, dims seed, block and step since."""
    experiment = KINDS[kind](name).replace(batch=batch)
    results = gl.simulate(experiment, seeds, (record.gates,))
    right = metrics.task_read(results) == results.active_task
    blocks = right.values.reshape(seeds, results.sizes["block"], -1)
    return xr.DataArray(blocks, {"seed": results.seed, "block": results.block}, ("seed", "block", "since"))


@claim(
    "read-out",
    "beyond",
    "Late in training the gates tell which task is on after a few pictures of it.",
    counterfactual={"kind": "forgetful"},
)
def read_out(kind: str = "flexible", switches: int = 4) -> Outcome:
    """How often the widest gate is that of the task that is on, by pictures since a late switch, one in each step."""
    right = reading(kind, batch=1).isel(block=slice(-switches, None)).mean("block")
    at = [mean(right.isel(since=steps)) for steps in (0, 1, 3, 5)]
    return Outcome(
        {
            "read_out_at_switch": at[0],
            "read_out_after_1_picture": at[1],
            "read_out_after_3_pictures": at[2],
            "read_out_after_5_pictures": at[3],
        },
        {
            "before the first picture the gates still tell the old task": at[0].high < 0.05,
            "after five they tell the new one in more than nine switches of ten": at[3].low > 0.9,
        },
    )


RATES = (0.3, 1.0, 2.0)
"""Learning rates of forgetful networks at their fastest; at 4 they diverge."""


@functools.lru_cache(maxsize=8)
@cached
def first_steps(kind: str, tau_w: float = TUNED, seeds: int = 6) -> xr.DataArray:
    """Accuracy on digits at each of the first steps after the last four switches, dims seed and since."""
    experiment = KINDS[kind]("digits", tau_w=tau_w)
    results = gl.simulate(experiment, seeds, (accuracy("digits"),))
    steps = [after(results, since).assign_coords(since=since) for since in range(11)]
    return xr.concat(steps, "since")


@claim(
    "fastest",
    "beyond",
    "A flexible head changes its mind in three steps, a forgetful one at no rate.",
    counterfactual={"kind": "forgetful"},
)
def fastest(kind: str = "flexible", rates: tuple[float, ...] = RATES) -> Outcome:
    """Accuracy on digits three and ten steps after a late switch; of forgetful networks at the best of three rates."""
    quick = first_steps(kind)
    rivals = [first_steps("forgetful", 1 / rate) for rate in rates]
    at_3, at_10 = median(quick.sel(since=3)), median(quick.sel(since=10))
    best_3, best_10 = (
        max((median(rival.sel(since=steps)) for rival in rivals), key=lambda each: each.value) for steps in (3, 10)
    )
    return Outcome(
        {
            "accuracy_after_3_steps_flexible": at_3,
            "accuracy_after_3_steps_forgetful_best": best_3,
            "accuracy_after_10_steps_flexible_every_step": at_10,
            "accuracy_after_10_steps_forgetful_best": best_10,
        },
        {
            "flexible: above 0.95 after three steps": at_3.low > 0.95,
            "forgetful at the best of three rates: below 0.6 after three": best_3.high < 0.6,
            "and below the flexible network after ten": best_10.high < at_10.low,
        },
    )


@claim(
    "labellings",
    "beyond",
    "Three labellings find a path each.",
    counterfactual={"rounds": 1},
)
def labellings(labels: Labels = (TRUE, ORTHOGONAL, THIRD), rounds: int = 6) -> Outcome:
    """Digits under three labellings by turns, weights three times as fast as with two."""
    experiment = flexible("digits", labels, TUNED / 10 * 3, rounds=rounds)
    results = gl.simulate(experiment, SEEDS, (accuracy("digits"), record.gates), every=10)
    soon, end = median(after(results, switches=3)), median(ending(results, blocks=3))
    return Outcome(
        {"accuracy_after_10_steps_three": soon, "accuracy_end_of_block_three": end},
        {
            "ten steps after a late switch within 0.03 of the end of blocks": soon.low > end.value - 0.03,
            "which is within 0.03 of the trunk's own": end.low > features("digits").accuracy - 0.03,
        },
    )


class Pictures(gl.Examples):
    """Pictures that are seen through a trunk, which goes on learning: the student is its matrix and its trunk."""

    def loss(self, student: Any, teacher: Any, batch: Any) -> Any:
        def loss(student: tuple[jax.Array, trunk.Trunk]) -> jax.Array:
            matrix, seen_through = student
            return cross_entropy(seen_through(self.features[batch]) @ matrix.T, self.labels(teacher, batch))[0]

        return jax.value_and_grad(loss)(student)


class FineTuned(gl.Network):
    r"""A gated linear head on a trunk that goes on learning with it, on `Pictures`.

    .. math::

        y = \sum_p c_p W_p\, f_\theta(x)

    Its weights are one long vector: those of the paths, then :math:`\theta`. The trunk learns `trunk_rate` times as
    fast as the head; 0 freezes it.
    """

    weight_dims = ("weight",)

    trunk: trunk.Trunk
    trunk_rate: float = 1.0
    head: gl.GatedLinear = gl.GatedLinear()

    def init(self, key: Any, d_out: int, d_in: int) -> gl.Params:
        weights, gates = self.head.init(key, d_out, self.trunk.dense.bias.shape[-1])
        return gl.Params(jnp.concatenate([weights.ravel(), ravel_pytree(self.trunk)[0]]), gates)

    def effective(self, params: gl.Params) -> Any:
        flat, unravel = ravel_pytree(self.trunk)
        of_head = params.weights[: -len(flat)].reshape(self.head.paths, -1, self.trunk.dense.bias.shape[-1])
        return self.head.effective(gl.Params(of_head, params.gates)), unravel(params.weights[-len(flat) :])

    def pullback(self, params: gl.Params, g: Any) -> gl.Params:
        weights, gates = jax.vjp(self.effective, params)[1](g)[0]
        of_trunk = ravel_pytree(self.trunk)[0].size
        return gl.Params(weights.at[-of_trunk:].multiply(self.trunk_rate), gates)

    def respond(self, params: gl.Params, x: Any) -> jax.Array:
        matrix, seen_through = self.effective(params)
        return seen_through(jnp.asarray(x)) @ matrix.T


@functools.lru_cache(maxsize=4)
@cached
def fine_tuned(trunk_rate: float = 1.0, flexibly: bool = True, seeds: int = 6) -> xr.Dataset:
    """Digits with a trunk that goes on learning, 10 blocks of 200 steps: accuracy, gates and the final weights."""
    known = features("digits")
    seen = Pictures(known.pictures.train_images, known.pictures.train_classes)
    unseen = gl.Examples(known.pictures.test_images, known.pictures.test_classes)
    experiment = flexible("digits", steps=200) if flexibly else forgetful("digits").replace(block_length=20.0)
    experiment = experiment.replace(network=FineTuned(known.trunk, trunk_rate=trunk_rate), inputs=seen)
    return gl.simulate(experiment, seeds, (record.accuracy(unseen), record.gates), every=10)


def trunk_moved(results: xr.Dataset) -> xr.DataArray:
    """How far the trunk ends from where it began, relative to its length."""
    start, _ = ravel_pytree(features("digits").trunk)
    ended = results.final_weights.isel(weight=slice(-len(start), None))
    return np.sqrt(((ended - np.asarray(start)) ** 2).sum("weight")) / float(np.linalg.norm(start))


@claim(
    "fine-tuned",
    "beyond",
    "A head stays flexible when the features go on learning with it.",
    counterfactual={"kinds": (False, True)},
)
def fine_tuning(trunk_rate: float = 1.0, kinds: tuple[bool, bool] = (True, False)) -> Outcome:
    """The trunk learns at the rate of the head's weights, throughout."""
    quick, slow = (fine_tuned(trunk_rate, kind) for kind in kinds)
    soon, late, end = median(after(quick)), median(after(slow)), median(ending(quick))
    moved = median(trunk_moved(quick))
    return Outcome(
        {
            "accuracy_after_10_steps_flexible_fine_tuned": soon,
            "accuracy_after_10_steps_forgetful_fine_tuned": late,
            "accuracy_end_of_block_fine_tuned": end,
            "trunk_moved": moved,
        },
        {
            "flexible: ten steps after a late switch within 0.03 of the end of blocks": soon.low > end.value - 0.03,
            "forgetful: below 0.4": late.high < 0.4,
            "the flexible networks' trunks have moved by more than 5 % of their length": moved.low > 0.05,
        },
    )
