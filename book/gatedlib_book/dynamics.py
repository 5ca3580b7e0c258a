"""Learning dynamics: the claims of the paper's Fig. 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim, sparse
from gatedlib_book.estimates import Numbers, along, fraction, mean, median
from gatedlib_book.experiments import CONSERVED, FLEXIBLE_AND_FORGETFUL, SEEDS, SPECIALIZED
from gatedlib_book.networks import networks

MANY = 1000
"""How many networks are counted, where a few in a hundred differ."""

PATIENCE = 1000
"""For how many blocks those are followed that have not specialized within the blocks of their experiment."""


@cached
def run(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """Results of an experiment, computed once and shared by the claims and figures that read them."""
    return gl.simulate(experiment, networks(seeds))


@claim(
    "2A",
    "2",
    swap=FLEXIBLE_AND_FORGETFUL,
    reference={"end_loss_forgetful": sparse(20, {20: 0.062})},
)
def end_of_blocks(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """Late in training the flexible network ends every block without error; the forgetful one does not.

    End loss over blocks; the mean over seeds too, which the few networks that are late to specialize dominate.
    """
    samples = metrics.end_loss(run(flexible))
    n = Numbers(
        end_loss_flexible=median(samples),
        end_loss_forgetful=median(metrics.end_loss(run(forgetful))),
        end_loss_flexible_mean=mean(samples),
    )
    return n, {
        "the flexible network ends block 20 with a loss of {}": n.end_loss_flexible.at(block=20) < 0.001,
        "the forgetful one with {}": n.end_loss_forgetful.at(block=20) > 0.05,
    }


@claim(
    "2A-switch",
    "2",
    swap=FLEXIBLE_AND_FORGETFUL,
    reference={
        "switch_loss_flexible": sparse(20, {1: 0.25, 20: 0.49}),
        "switch_loss_forgetful": sparse(20, {20: 0.21}),
    },
)
def switches(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """The first error after a switch grows with training in the flexible network only.

    Loss at the first step of each block, and that of block 20 over that of block 5 in each network.
    """
    fast, slow = (metrics.switch_loss(run(experiment)) for experiment in (flexible, forgetful))
    n = Numbers(
        switch_loss_flexible=median(fast),
        switch_loss_forgetful=median(slow),
        switch_loss_growth_flexible=median(fast.sel(block=20) / fast.sel(block=5)),
        switch_loss_growth_forgetful=median(slow.sel(block=20) / slow.sel(block=5)),
    )
    return n, {
        "flexible: it is {} times as large at block 20 as at block 5": n.switch_loss_growth_flexible > 1.5,
        "forgetful: {} times": n.switch_loss_growth_forgetful.within(0.8, 1.2),
    }


def _late(values: xr.DataArray, results: xr.Dataset) -> xr.DataArray:
    """The mean of some values over the ends of the last four blocks."""
    return metrics.last(metrics.end_of_block(values, results), 4)


@claim("2B", "2", swap=FLEXIBLE_AND_FORGETFUL)
def gates(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """The gates of the flexible network become one-hot and alternate with the task.

    Gates of the path that serves the active task, and of the other, at the end of the last four blocks.
    """
    fast, slow = run(flexible), run(forgetful)
    on, off = (_late(gate(slow), slow) for gate in (metrics.gate_on, metrics.gate_off))
    n = Numbers(
        gate_on=median(_late(metrics.gate_on(fast), fast)),
        gate_off=median(_late(metrics.gate_off(fast), fast)),
        gate_on_forgetful=median(on),
        gate_off_forgetful=median(off),
        gate_difference_forgetful=median(on - off),
    )
    return n, {
        "flexible: the gate that is on lies {}": n.gate_on.within(0.9, 1.1),
        "flexible: the gate that is off lies {}": n.gate_off.within(-0.1, 0.1),
        "forgetful: the first is larger than the second by {}": n.gate_difference_forgetful < 0.1,
    }


@claim("2C", "2", swap=FLEXIBLE_AND_FORGETFUL)
def alignment(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """Each path of the flexible network aligns with one teacher; the forgetful network stays mixed.

    Matched and crossed alignment over the last tenth of the run, and how many networks specialized at all.
    """

    def late(experiment: gl.Experiment, metric: Callable[[xr.Dataset], xr.DataArray]) -> xr.DataArray:
        values = metric(run(experiment))
        return values.isel(time=slice(-values.sizes["time"] // 10, None)).mean("time")

    matched, crossed = (late(forgetful, m) for m in (metrics.alignment_matched, metrics.alignment_crossed))
    n = Numbers(
        alignment_matched=median(late(flexible, metrics.alignment_matched)),
        alignment_crossed=median(late(flexible, metrics.alignment_crossed)),
        alignment_matched_forgetful=median(matched),
        alignment_crossed_forgetful=median(crossed),
        alignment_difference_forgetful=median(matched - crossed),
        specialized_fraction=fraction(late(flexible, metrics.specialization) > SPECIALIZED),
    )
    return n, {
        "flexible: matched alignment is {}": n.alignment_matched > 0.95,
        "flexible: crossed alignment lies {}": n.alignment_crossed.within(-0.1, 0.1),
        "forgetful: matched alignment is larger than crossed alignment by {}": n.alignment_difference_forgetful < 0.1,
    }


@claim("2D", "2", swap=FLEXIBLE_AND_FORGETFUL)
def weight_change(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """Late in training a switch hardly moves the weights of the flexible network.

    Speed of the weights in the second half of blocks 11 to 20, and in all of them, flexible over forgetful.
    """

    def late(experiment: gl.Experiment, share: float) -> xr.DataArray:
        results = run(experiment)
        return metrics.last(metrics.end_of_block(results.weight_speed, results, share), 10)

    second, whole = (median(late(flexible, share) / late(forgetful, share)) for share in (0.5, 1.0))
    n = Numbers(weight_change_ratio=second, weight_change_ratio_whole_block=whole)
    return n, {
        "its weights move {} times as fast as the forgetful network's": n.weight_change_ratio_whole_block < 0.3,
        "and {} times in the second half of a block": n.weight_change_ratio < 0.2,
    }


def gate_speed_after_switch(results: xr.Dataset) -> xr.DataArray:
    """Mean speed of the gates in the first 5 % of each block, dims seed and block."""
    return metrics.per_block(results.gate_speed, results, lambda speed: speed[..., : speed.shape[-1] // 20].mean(-1))


def weight_size_at_switch(results: xr.Dataset) -> xr.DataArray:
    """Length of all weights together at the first step of each block, dims seed and block."""
    squares = results.weight_products.where(results.path == results.other_path).sum(("path", "other_path"))
    return metrics.per_block(np.sqrt(squares), results, lambda size: size[..., 0])


@claim("2E", "2", swap=FLEXIBLE_AND_FORGETFUL)
def gate_speed(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """After a switch the gates move faster the larger the weights have grown.

    Speed of the gates in the first 5 % of a block: blocks 16 to 20 over blocks 2 to 5, and against weight size.
    """

    def growth(results: xr.Dataset) -> xr.DataArray:
        speed = gate_speed_after_switch(results)
        return speed.sel(block=slice(16, 20)).mean("block") / speed.sel(block=slice(2, 5)).mean("block")

    results = run(flexible)
    n = Numbers(
        gate_speed_growth=median(growth(results)),
        gate_speed_growth_forgetful=median(growth(run(forgetful))),
        gate_speed_weight_correlation=median(
            xr.corr(gate_speed_after_switch(results), weight_size_at_switch(results), "block")
        ),
    )
    return n, {
        "flexible: the gates move {} times as fast late as early": n.gate_speed_growth > 2,
        "flexible: over blocks, the correlation of gate speed and weight size is {}": n.gate_speed_weight_correlation
        > 0.8,
    }


@claim(
    "2F",
    "2",
    swap=FLEXIBLE_AND_FORGETFUL,
    reference={
        "time_to_criterion_flexible_mean": sparse(20, {1: 0.97, 2: 0.92, 5: 0.48, 10: 0.138, 15: 0.066, 20: 0.050}),
        "time_to_criterion_forgetful_mean": sparse(20, {1: 0.99, 2: 0.99, 5: 0.56, 10: 0.59, 15: 0.59, 20: 0.58}),
    },
)
def recovery(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """The flexible network recovers from a switch ever faster with training; the forgetful one does not.

    Time from a switch until the loss first falls below 0.1; also the mean over seeds, which the reference is.
    """
    fast, slow = (metrics.time_to_criterion(run(experiment)) for experiment in (flexible, forgetful))
    n = Numbers(
        time_to_criterion_flexible=median(fast),
        time_to_criterion_forgetful=median(slow),
        time_to_criterion_flexible_mean=mean(fast),
        time_to_criterion_forgetful_mean=mean(slow),
    )
    flexible_times, forgetful_times = n.time_to_criterion_flexible, n.time_to_criterion_forgetful
    return n, {
        "flexible: the time falls from block 2 to 5, to 10 and to 20": flexible_times.at(block=[2, 5, 10, 20]).falls(),
        "flexible: it is {} at block 20": flexible_times.at(block=20) < 0.1,
        "forgetful: no shorter at block 20 than at block 5": forgetful_times.at(block=20)
        >= forgetful_times.at(block=5),
    }


def first_time(happens: xr.DataArray) -> xr.DataArray:
    """When something is first true, over time; infinite for networks in which it never is."""
    return happens.time[happens.argmax("time")].where(happens.any("time"), np.inf).reset_coords(drop=True)


@cached
def first_specialized(experiment: gl.Experiment, count: int = MANY, blocks: int = PATIENCE) -> xr.DataArray:
    """When networks specialize, dims seed: looked at twice in a time unit; infinite if they have not within `blocks`.

    All are trained as the experiment says, and those that are late once more, for as many blocks as are given here.
    """
    every = round(0.5 / float(experiment.flow.dt))

    def first(experiment: gl.Experiment, seeds: Sequence[int]) -> xr.DataArray:
        results = gl.simulate(experiment, seeds, (record.weight_products,), every=every)
        return first_time(metrics.specialization(results) > SPECIALIZED)

    when = first(experiment, networks(count))
    late = when.seed[np.isinf(when)].values.tolist()
    if late:
        when.loc[{"seed": late}] = first(experiment.replace(blocks=blocks), late)
    return when.rename("first_specialized")


@claim("late", counterfactual={"experiment": CONSERVED.replace(dt=5e-3)})
def late(experiment: gl.Experiment = CONSERVED) -> Measured:
    """A few networks in a hundred are late to become flexible, and most of these do so in the end.

    The share of 1000 networks that have specialized by some times, and, of those late at 20, by 1000.
    """
    when, times = first_specialized(experiment), (20, 60, 220, 1000)
    n = Numbers(
        specialized_by=fraction(along("time", times, [when <= time for time in times])),
        late_ones_specialized=fraction(when[when > 20] <= PATIENCE),
    )
    return n, {
        "by time 20 the share that has specialized is {}": n.specialized_by.at(time=20).within(0.94, 0.99),
        "of those that have not, {} specialize by time 1000": n.late_ones_specialized > 0.7,
    }
