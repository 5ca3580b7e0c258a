"""Sensitivity: do headline numbers depend on what no claim names: precision, step, seeds, batches, size?"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.model.experiment import setting
from gatedlib.simulation.results import final_params
from gatedlib_book import composition, depth, experiments
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, along, exact, median, resampled
from gatedlib_book.experiments import FLEXIBLE, FORGETFUL, REGULAR, SEEDS
from gatedlib_book.networks import networks

Change = Callable[[gl.Experiment], gl.Experiment]


def at_once(experiment: gl.Experiment) -> gl.Experiment:
    """All inputs at once, in place of batches."""
    return experiment.replace(inputs=gl.Population())


def in_steps_of(share: float) -> Change:
    """All inputs at once, in steps of a share of dt."""
    return lambda experiment: at_once(experiment).replace(dt=share * float(experiment.flow.dt))


def twice_as_large(experiment: gl.Experiment) -> gl.Experiment:
    """All inputs at once, twice as many inputs, outputs and hidden units; the teachers as long as before."""
    sizes = {name: 2 * setting(experiment, name) for name in ("d_in", "d_out")}
    length = setting(experiment, "scale")
    if length is not None:
        sizes["scale"] = length / math.sqrt(2)
    if isinstance(experiment.network, gl.TwoLayer):
        sizes |= {"hidden": 2 * experiment.network.hidden, "gate_spread": experiment.network.gate_spread / 2}
    return at_once(experiment).replace(**sizes)


class Variant(NamedTuple):
    """What is changed in every experiment, where the seeds begin, and whether numbers have double precision."""

    change: Change = at_once
    first: int = 0
    precise: bool = False


BASE = "all inputs at once"

VARIANTS = {
    "as in the figure": Variant(lambda experiment: experiment),
    BASE: Variant(),
    "double precision": Variant(precise=True),
    "dt / 2": Variant(in_steps_of(1 / 2)),
    "dt / 4": Variant(in_steps_of(1 / 4)),
    "other seeds": Variant(first=1000),
    "yet others": Variant(first=2000),
    "and others": Variant(first=3000),
    "twice as large": Variant(twice_as_large),
}
"""All but the first see all inputs at once, so that each differs from the second in one thing."""


def _switching(change: Change, seeds: Sequence[int]) -> dict[str, xr.DataArray]:
    keep = (record.loss, record.weight_products)
    flexible, forgetful = (gl.simulate(change(e), seeds, keep) for e in (FLEXIBLE, FORGETFUL))
    unbounded = gl.simulate(change(FLEXIBLE.replace(b=0.0)), seeds, (record.weight_products,))
    return {
        "2F: recovery at block 20, flexible": metrics.time_to_criterion(flexible).isel(block=-1),
        "2F: the same, forgetful": metrics.time_to_criterion(forgetful).isel(block=-1),
        "2A: first error of block 20, flexible": metrics.switch_loss(flexible).isel(block=-1),
        "2A: end loss of block 20, forgetful": metrics.end_loss(forgetful).isel(block=-1),
        "specialization, flexible": metrics.specialization(flexible).isel(time=-1),
        "specialization without the bound": metrics.specialization(unbounded).isel(time=-1),
    }


def _composing(change: Change, seeds: Sequence[int]) -> dict[str, xr.DataArray]:
    def first_composite(experiment: gl.Experiment) -> xr.DataArray:
        asked = change(experiment).replace(curriculum=experiments.phases(new=1))
        loss = gl.simulate(asked, seeds, (record.loss,))
        return metrics.time_to_criterion(loss, composition.THETA).isel(block=-1)

    return {
        "3C: time for a new task, flexible": first_composite(experiments.TASKS),
        "3C: the same, forgetful": first_composite(composition.TASKS_FORGETFUL),
    }


def _earlier(change: Change, seeds: Sequence[int]) -> dict[str, xr.DataArray]:
    border = change(experiments.BY_SPEED.replace(block_length=0.8, tau_c=0.06))
    aligned = metrics.total_alignment(gl.simulate(border, seeds, (record.alignment,), every=100))
    asked = change(experiments.TASKS_EARLIER).replace(curriculum=experiments.phases(new=1))
    gates = composition.composite_gates(gl.simulate(asked, seeds, (record.gates, record.alignment)))
    return {
        "5A: total alignment, blocks of 0.8, tau_c 0.06": aligned,
        "A.12: gate for A on the first new task": gates.isel(path=0),
    }


def _two_layers(change: Change, seeds: Sequence[int]) -> dict[str, xr.DataArray]:
    held, free = (change(e) for e in (depth.REGULARIZED, depth.UNREGULARIZED))
    aligned = [metrics.total_alignment(gl.simulate(e, seeds, (record.alignment,), every=5)) for e in (held, free)]
    loss = gl.simulate(held, seeds, (record.loss,))
    return {
        "6: alignment of two layers, penalties": aligned[0],
        "6: the same, free": aligned[1],
        "A.4: recovery of two layers, penalties": metrics.last(metrics.time_to_criterion(loss), 4),
    }


TABLE_SEEDS = 15
"""How many networks each number of the table is measured in."""

STUDIES = (_switching, _composing, _earlier, _two_layers)


@cached
def measured(name: str) -> xr.DataArray:
    """Every headline number of each network under one variant, dims number and seed."""
    changed, first, precise = VARIANTS[name]
    with jax.enable_x64(True) if precise else contextlib.nullcontext():
        samples = [study(changed, networks(TABLE_SEEDS, skip=first)) for study in STUDIES]
    numbers = {name: values.reset_coords(drop=True) for study in samples for name, values in study.items()}
    return xr.Dataset(numbers).to_dataarray("number")


def change(numbers: xr.DataArray, base: xr.DataArray) -> Estimate:
    r"""How far the median of each number is from what it is in other networks, as a share of that.

    .. math::

        \frac{\operatorname{median}_s x_s}{\operatorname{median}_s b_s} - 1

    With bootstrap intervals. If both have the same seeds each network is drawn together with itself, so that how
    networks differ does not hide what has changed in all of them.

    Args:
        numbers: numbers of each network, dims number and seed.
        base: the same of those to compare with.

    Example:
        >>> import xarray as xr
        >>> from gatedlib_book.sensitivity import change
        >>> base = xr.DataArray([[1.0, 2.0, 3.0]], {"number": ["n"], "seed": range(3)})
        >>> share = change(1.5 * base, base)
        >>> share.value.tolist(), share.low.tolist(), share.high.tolist()
        ([0.5], [0.5], [0.5])
    """
    after, before = (samples.transpose("seed", "number").values for samples in (numbers, base))

    def share(now: np.ndarray, then: np.ndarray) -> np.ndarray:
        return np.median(now, axis=0) / np.median(then, axis=0) - 1

    if numbers.seed.equals(base.seed):
        return resampled(lambda both: share(both[:, 0], both[:, 1]), np.stack([after, before], axis=1))
    return resampled(share, after, before)


def table(variants: Iterable[str] = VARIANTS) -> xr.Dataset:
    """All headline numbers under the variants named, dims number and variant.

    Returns:
        Medians as `value`, `low` and `high`; how far they are from those with all inputs at once as `change`,
        `change_low` and `change_high`.
    """
    columns = []
    for name in variants:
        samples = measured(name)
        typical, moved = median(samples), change(samples, measured(BASE))
        values = {end: getattr(typical, end) for end in ("value", "low", "high")}
        values |= {"change": moved.value, "change_low": moved.low, "change_high": moved.high}
        columns.append(xr.Dataset({key: ("number", of) for key, of in values.items()}, {"number": samples.number}))
    return xr.concat(columns, xr.Variable("variant", list(variants))).transpose("number", "variant")


WEAK = REGULAR.replace(a=0.02, b=0.2)
"""The flexible network with penalties less than a quarter as strong, so that the loss is as stiff as they are."""

SHORT_STEP, LONG_STEP = 1 / 200, 1 / 32
"""Steps of networks that are compared; gates under the bound of Fig. 2 are stable below 1/30."""

ONE_SWITCH_STEPS = (1 / 200, 1 / 50, 1 / 20)
"""Steps in which trained networks go through one switch without penalties."""


SPARE_SEEDS = 100
"""How many networks have spare paths: they differ in how many of these they use."""


def trained_in_steps(experiment: gl.Experiment, dt: float) -> xr.DataArray:
    """The specialization of networks that were trained in steps of dt, dims seed."""
    results = gl.simulate(experiment.replace(dt=dt), networks(SEEDS), (record.weight_products,), every=round(1 / dt))
    return metrics.specialization(results).isel(time=-1, drop=True)


@cached
def lost_at_switch(experiment: gl.Experiment) -> xr.DataArray:
    r"""What one switch takes from the difference that learning conserves, over what theory says, dims step and seed.

    .. math::

        J = \tau_w \|W_1 - W_2\|^2 - \tau_c (c_1 - c_2)^2, \qquad
        -\Delta J = \frac{D^2\, dt}{1 - D^2 dt / 4 \tau_c}

    Networks trained in short steps go through a switch in steps of other lengths, without penalties.
    """
    results = gl.simulate(experiment, networks(SEEDS), (record.loss,))
    last = int(experiment.schedule().block_tasks[-1])
    tau_w, tau_c = (setting(experiment, name) for name in ("tau_w", "tau_c"))

    def distance(of: xr.Dataset) -> xr.DataArray:
        weights = of.final_weights
        return ((weights.isel(path=0) - weights.isel(path=1)) ** 2).sum(("out", "in"))

    def conserved(of: xr.Dataset) -> xr.DataArray:
        gates = of.final_gates
        return tau_w * distance(of) - tau_c * (gates.isel(path=0) - gates.isel(path=1)) ** 2

    shares = []
    for dt in ONE_SWITCH_STEPS:
        switch = experiment.replace(penalties=(), dt=dt, curriculum=gl.Blocked(blocks=1, order=(1 - last,)))
        after = gl.simulate(switch, networks(SEEDS), (record.loss,), initial=final_params(results))
        expected = distance(results) * dt / (1 - distance(results) * dt / (4 * tau_c))
        shares.append((conserved(results) - conserved(after)) / expected)
    return along("step", ONE_SWITCH_STEPS, shares)


@claim("large-steps", counterfactual={"weak": REGULAR})
def large_steps(weak: gl.Experiment = WEAK, strong: gl.Experiment = REGULAR) -> Measured:
    """Large steps bring the paths of a trained network nearer to each other, unless the bound is strong.

    Specialization after 40 blocks in steps of 1/32 over that in steps of 1/200; and what a switch takes, by step.
    """

    def ratio(experiment: gl.Experiment) -> xr.DataArray:
        return trained_in_steps(experiment, LONG_STEP) / trained_in_steps(experiment, SHORT_STEP)

    n = Numbers(
        step=exact(ONE_SWITCH_STEPS),
        loss_at_switch_over_theory=median(lost_at_switch(strong)),
        specialization_weak_bound=median(trained_in_steps(weak, SHORT_STEP)),
        specialization_long_over_short_step=median(ratio(weak)),
        specialization_long_over_short_step_strong_bound=median(ratio(strong)),
    )
    return n, {
        "what a switch takes from the conserved difference is {} times what theory says": (
            n.loss_at_switch_over_theory.within(0.97, 1.05)
        ),
        "a weak bound: in long steps paths end {} times as far apart (squared)": n.specialization_long_over_short_step
        < 0.92,
        "with the bound of Fig. 2 {} times": n.specialization_long_over_short_step_strong_bound.within(0.97, 1.03),
    }


def paths_sharing(dt: float) -> Estimate:
    """How many of four paths serve a task after 40 blocks, in steps of dt, by the participation ratio of the gates."""
    results = gl.simulate(WEAK.replace(network=gl.GatedLinear(paths=4), dt=dt), networks(SPARE_SEEDS), (record.gates,))
    gates = abs(metrics.end_of_block(results.gates, results))
    return median(metrics.last(gates.sum("path") ** 2 / (gates**2).sum("path"), 6))
