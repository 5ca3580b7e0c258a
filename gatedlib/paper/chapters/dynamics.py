"""Learning dynamics: the experiments and the claims of the paper's Fig. 2."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from gatedlib.paper.cache import cached
from gatedlib.paper.claims import Outcome, claim, places
from gatedlib.paper.estimates import fraction, mean, median

FLEXIBLE = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20, block_length=1.0),
    flow=gl.Flow(
        tau_w=1.3,
        tau_c=0.03,
        dt=1e-3,
        penalties=(gl.Nonnegative(a=0.0909), gl.UnitNorm(b=0.909, ord=1)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fast, nonnegative, bounded gates: the settings of the paper's Fig. 2."""

FORGETFUL = FLEXIBLE.replace(tau_c=1.3, a=0.0, b=0.0)
"""The same network with gates as slow as its weights, and unconstrained."""

SEEDS = 30
SPECIALIZED = 0.5
"""A network counts as specialized once its paths are half as far apart as the teachers (squared)."""


@functools.lru_cache(maxsize=4)
@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """Results of an experiment, computed once and shared by the claims and figures that read them."""
    return gl.simulate(experiment, seeds=seeds)


@claim(
    "2A",
    "2",
    "Late in training the flexible network ends every block without error; the forgetful one does not.",
    reference={"end_loss_forgetful": places(20, {20: 0.062})},
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def end_of_blocks(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """End loss over blocks; the mean over seeds too, which the few networks that never specialize dominate."""
    samples = metrics.end_loss(run(flexible))
    fast, slow = median(samples), median(metrics.end_loss(run(forgetful)))
    return Outcome(
        {"end_loss_flexible": fast, "end_loss_forgetful": slow, "end_loss_flexible_mean": mean(samples)},
        {
            "flexible ends block 20 below 0.001": fast.high[-1] < 0.001,
            "forgetful ends block 20 above 0.05": slow.low[-1] > 0.05,
        },
    )


@claim(
    "2A-switch",
    "2",
    "The first error after a switch grows with training in the flexible network only.",
    reference={
        "switch_loss_flexible": places(20, {1: 0.25, 20: 0.49}),
        "switch_loss_forgetful": places(20, {20: 0.21}),
    },
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def switches(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Loss at the first step of each block."""
    fast, slow = (median(metrics.switch_loss(run(e))) for e in (flexible, forgetful))
    return Outcome(
        {"switch_loss_flexible": fast, "switch_loss_forgetful": slow},
        {
            "flexible: more than 1.5 times as large at block 20 as at block 5": fast.low[19] > 1.5 * fast.high[4],
            "forgetful: at block 20 within 20 % of block 5": abs(slow.value[19] / slow.value[4] - 1) < 0.2,
        },
    )


@claim(
    "2B",
    "2",
    "The gates of the flexible network become one-hot and alternate with the task.",
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def gates(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Gates of the path that serves the active task, and of the other, at the end of the last four blocks."""

    def late(experiment: gl.Experiment, gate: str) -> xr.DataArray:
        results = run(experiment)
        values = getattr(metrics, gate)(results)
        return metrics.end_of_block(values, results).isel(block=slice(-4, None)).mean("block")

    on, off = median(late(flexible, "gate_on")), median(late(flexible, "gate_off"))
    on_forgetful, off_forgetful = median(late(forgetful, "gate_on")), median(late(forgetful, "gate_off"))
    return Outcome(
        {"gate_on": on, "gate_off": off, "gate_on_forgetful": on_forgetful, "gate_off_forgetful": off_forgetful},
        {
            "flexible: the gate that is on lies in 0.9 to 1.1": on.low > 0.9 and on.high < 1.1,
            "flexible: the gate that is off lies within 0.1 of zero": off.low > -0.1 and off.high < 0.1,
            "forgetful: the two differ by less than 0.1": on_forgetful.high - off_forgetful.low < 0.1,
        },
    )


@claim(
    "2C",
    "2",
    "Each path of the flexible network aligns with one teacher; the forgetful network stays mixed.",
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def alignment(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Matched and crossed alignment over the last tenth of the run, and how many networks specialized at all."""

    def late(experiment: gl.Experiment, metric: str) -> xr.DataArray:
        values = getattr(metrics, metric)(run(experiment))
        return values.isel(time=slice(-values.sizes["time"] // 10, None)).mean("time")

    matched, crossed = median(late(flexible, "alignment_matched")), median(late(flexible, "alignment_crossed"))
    mixed, mixed_crossed = median(late(forgetful, "alignment_matched")), median(late(forgetful, "alignment_crossed"))
    return Outcome(
        {
            "alignment_matched": matched,
            "alignment_crossed": crossed,
            "alignment_matched_forgetful": mixed,
            "alignment_crossed_forgetful": mixed_crossed,
            "specialized_fraction": fraction(late(flexible, "specialization") > SPECIALIZED),
        },
        {
            "flexible: matched alignment above 0.95": matched.low > 0.95,
            "flexible: crossed alignment within 0.1 of zero": crossed.low > -0.1 and crossed.high < 0.1,
            "forgetful: matched and crossed alignment differ by less than 0.1": mixed.high - mixed_crossed.low < 0.1,
        },
    )


@claim(
    "2D",
    "2",
    "Late in training a switch hardly moves the weights of the flexible network.",
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def weight_change(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Speed of the weights in the second half of blocks 11 to 20, and in all of them, flexible over forgetful."""

    def late(experiment: gl.Experiment, share: float) -> xr.DataArray:
        results = run(experiment)
        return metrics.end_of_block(results.weight_speed, results, share).isel(block=slice(10, None)).mean("block")

    second, whole = (median(late(flexible, share) / late(forgetful, share)) for share in (0.5, 1.0))
    return Outcome(
        {"weight_change_ratio": second, "weight_change_ratio_whole_block": whole},
        {
            "its weights move less than a quarter as fast as the forgetful network's": whole.high < 0.25,
            "in the second half of a block less than an eighth": second.high < 0.125,
        },
    )


def gate_speed_after_switch(results: xr.Dataset) -> xr.DataArray:
    """Mean speed of the gates in the first 5 % of each block, dims seed and block."""
    return metrics.per_block(results.gate_speed, results, lambda speed: speed[..., : speed.shape[-1] // 20].mean(-1))


def weight_size_at_switch(results: xr.Dataset) -> xr.DataArray:
    """Length of all weights together at the first step of each block, dims seed and block."""
    squares = results.weight_products.where(results.path == results.other_path).sum(("path", "other_path"))
    return metrics.per_block(np.sqrt(squares), results, lambda size: size[..., 0])


@claim(
    "2E",
    "2",
    "After a switch the gates move faster the larger the weights have grown.",
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def gate_speed(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Speed of the gates in the first 5 % of a block: blocks 16 to 20 over blocks 2 to 5, and against weight size."""

    def growth(results: xr.Dataset) -> xr.DataArray:
        speed = gate_speed_after_switch(results)
        return speed.isel(block=slice(15, 20)).mean("block") / speed.isel(block=slice(1, 5)).mean("block")

    results = run(flexible)
    correlation = median(xr.corr(gate_speed_after_switch(results), weight_size_at_switch(results), "block"))
    fast, slow = median(growth(results)), median(growth(run(forgetful)))
    return Outcome(
        {
            "gate_speed_growth": fast,
            "gate_speed_growth_forgetful": slow,
            "gate_speed_weight_correlation": correlation,
        },
        {
            "flexible: the gates move more than twice as fast late as early": fast.low > 2,
            "flexible: over blocks, gate speed and weight size correlate above 0.8": correlation.low > 0.8,
        },
    )


@claim(
    "2F",
    "2",
    "The flexible network recovers from a switch ever faster with training; the forgetful one does not.",
    reference={
        "time_to_criterion_flexible_mean": places(20, {1: 0.97, 2: 0.92, 5: 0.48, 10: 0.138, 15: 0.066, 20: 0.050}),
        "time_to_criterion_forgetful_mean": places(20, {1: 0.99, 2: 0.99, 5: 0.56, 10: 0.59, 15: 0.59, 20: 0.58}),
    },
    counterfactual={"flexible": FORGETFUL, "forgetful": FLEXIBLE},
)
def recovery(flexible: gl.Experiment = FLEXIBLE, forgetful: gl.Experiment = FORGETFUL) -> Outcome:
    """Time from a switch until the loss first falls below 0.1; also the mean over seeds, which the reference is."""
    quick, late = (metrics.time_to_criterion(run(e)) for e in (flexible, forgetful))
    fast, slow = median(quick), median(late)
    stages = [1, 4, 9, 19]
    faster = all(fast.high[after] < fast.low[before] for before, after in itertools.pairwise(stages))
    return Outcome(
        {
            "time_to_criterion_flexible": fast,
            "time_to_criterion_forgetful": slow,
            "time_to_criterion_flexible_mean": mean(quick),
            "time_to_criterion_forgetful_mean": mean(late),
        },
        {
            "flexible: faster at block 5 than 2, at 10 than 5, at 20 than 10": faster,
            "flexible: below 0.1 at block 20": fast.high[19] < 0.1,
            "forgetful: no faster at block 20 than at block 5": slow.low[19] >= slow.low[4],
        },
    )
