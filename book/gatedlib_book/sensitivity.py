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
from gatedlib_book import composition, depth, dynamics, experiments
from gatedlib_book.cache import cached
from gatedlib_book.estimates import Estimate, median, resampled
from gatedlib_book.experiments import FLEXIBLE, FORGETFUL, SEEDS
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
    """What is changed in every experiment, where the 30 seeds begin, and whether numbers have double precision."""

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


def _run(experiment: gl.Experiment, seeds: Sequence[int], keep: Sequence[record.Quantity]) -> xr.Dataset:
    """A run of *Learning dynamics*, or one of other networks."""
    known = seeds == networks(SEEDS) and experiment in (FLEXIBLE, FORGETFUL)
    return dynamics.run(experiment) if known else gl.simulate(experiment, seeds, keep)


def _switching(change: Change, seeds: Sequence[int]) -> dict[str, xr.DataArray]:
    keep = (record.loss, record.weight_products)
    flexible, forgetful = (_run(change(e), seeds, keep) for e in (FLEXIBLE, FORGETFUL))
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


STUDIES = (_switching, _composing, _earlier, _two_layers)


@cached
def measured(name: str) -> xr.DataArray:
    """Every headline number of each network under one variant, dims number and seed."""
    changed, first, precise = VARIANTS[name]
    with jax.enable_x64(True) if precise else contextlib.nullcontext():
        samples = [study(changed, networks(SEEDS, skip=first)) for study in STUDIES]
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
