"""Depth: the experiments and the claims of the paper's Figs. 6 and A.4 to A.7, and what decides them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book.cache import cached
from gatedlib_book import regimes
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import exact, mean, median, stacked

SEEDS = 20

REGULARIZED = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.TwoLayer(hidden=20),
    curriculum=gl.Blocked(blocks=30),
    flow=gl.Flow(
        tau_w=0.06,
        tau_c=0.01,
        dt=0.01,
        penalties=(gl.Nonnegative(a=0.2), gl.UnitNorm(b=0.2, ord=2)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. 6: two layers, the second one fast, nonnegative and bounded."""

FREE = REGULARIZED.replace(penalties=())
"""The same network without penalties."""

BOUNDED = REGULARIZED.replace(penalties=(gl.UnitNorm(b=0.2, ord=2),))
"""Bounded activity alone."""

NONNEGATIVE = REGULARIZED.replace(penalties=(gl.Nonnegative(a=0.2),))
"""Nonnegativity alone."""

FINE = REGULARIZED.replace(dt=0.002, inputs=gl.Population())
"""Fig. 6 in steps of a fifth, with all inputs at once."""

COSTLY = FINE.replace(
    penalties=(*REGULARIZED.flow.penalties, gl.WeightDecay(weight_decay=0.01)), curriculum=gl.Blocked(blocks=100)
)
"""The same with a small cost on the first layer, for 100 blocks."""

COSTLESS = COSTLY.replace(weight_decay=0.0)
"""And without the cost."""

TAU_B = (1.0, 0.75, 0.5, 0.25, 0.1)
TAU_W2 = (0.01, 0.02, 0.03, 0.045, 0.06)
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 1.5)

BY_PENALTY = REGULARIZED.replace(
    penalties=(gl.Scaled(1.0, REGULARIZED.flow.penalties),), curriculum=gl.Blocked(duration=30.0)
)
"""Fig. A.7: blocks of any length for as long as in Fig. 6, and both penalties scaled together."""

KICKS = (0.02, 0.04, 0.1, 0.2, 0.4)
STEPS = (0.01, 0.005, 0.002)


def one_unit(gates: xr.DataArray) -> xr.DataArray:
    """How much of each output's gates is on a single hidden unit: the largest square over the sum of all."""
    squares = gates**2
    return (squares.max("hidden") / squares.sum("hidden")).mean("out")


def overlap(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    r"""How much two second layers read from the same directions, whatever units span them: 0 from none, 1 from all.

    .. math::

        \frac{\|c_A^\top c_B\|_F^2}{\|c_A^\top c_A\|_F\, \|c_B^\top c_B\|_F}
    """

    def squares(one: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
        return (xr.dot(one, other.rename(out="other_out"), dim="hidden") ** 2).sum(("out", "other_out"))

    return squares(first, second) / np.sqrt(squares(first, first) * squares(second, second))


def excess(first_layer: xr.DataArray, gates: xr.DataArray) -> xr.DataArray:
    r"""How much larger than necessary two layers are for what they compute on all tasks: 1 for the smallest.

    .. math::

        \frac{\|w\|_F^2\, \|C\|_F^2}{\|C^\top w\|_*^2} \ge 1, \qquad C = (c_1, \dots, c_M)

    with :math:`\|\cdot\|_*` the sum of singular values. If all outputs on all tasks are orthogonal and equally long, it
    is 1 only if the columns of C, one for each output on each task, are so too.

    Args:
        first_layer: w, with the dims seed, hidden and in.
        gates: the second layer on each task, with the dims seed, hidden, out and task.
    """
    columns = gates.stack(column=("task", "out")).transpose("seed", "hidden", "column").values
    weights = first_layer.transpose("seed", "hidden", "in").values
    computed = np.linalg.svd(np.swapaxes(columns, 1, 2) @ weights, compute_uv=False).sum(-1)
    sizes = np.sum(columns**2, (1, 2)) * np.sum(weights**2, (1, 2))
    return xr.DataArray(sizes / computed**2, {"seed": gates.seed}, ("seed",))


def missing(first_layer: xr.DataArray, gates: xr.DataArray, teachers: xr.DataArray) -> xr.DataArray:
    r"""How much of all tasks together a first layer cannot serve: 0 if it holds them all, about 1 if only one.

    .. math::

        \frac{\sum_m \|c_m^\top w - W^*_m\|^2}{\sum_m \|W^*_m\|^2}
    """
    over = ("task", "out", "in")
    return ((xr.dot(gates, first_layer, dim="hidden") - teachers) ** 2).sum(over) / (teachers**2).sum(over)


@functools.lru_cache(maxsize=32)
@cached
def measured(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """What all claims on two layers ask for: recovery and gates block by block, and how the last two blocks end."""
    every = round(0.01 / experiment.flow.dt)
    keep = (record.loss, record.gates, record.alignment)
    results = gl.simulate(experiment, seeds, keep, every=every)
    ends = results.gates.isel(time=(results.block_stop.values - 1) // every)
    last = [ends.isel(time=block, drop=True) for block in (-2, -1)]
    both = xr.concat(last, xr.DataArray(results.block_task.values[-2:], dims="task", name="task"))
    return xr.Dataset(
        {
            "time_to_criterion": metrics.time_to_criterion(results),
            "gate_like": metrics.end_of_block(metrics.gate_like(results), results),
            "matched": metrics.end_of_block(metrics.alignment_matched(results), results),
            "total_alignment": metrics.total_alignment(results),
            "one_unit": (one_unit(last[0]) + one_unit(last[1])) / 2,
            "overlap": overlap(*last),
            "excess": excess(results.final_weights, both),
            "missing": missing(results.final_weights, both, results.teachers),
        }
    ).drop_vars(("task", "active_task"), errors="ignore")


def late(values: xr.DataArray, blocks: int = 4) -> xr.DataArray:
    """The mean over the last blocks of each seed."""
    return values.isel(block=slice(-blocks, None)).mean("block")


def alignment_grid(experiment: gl.Experiment, seeds: int = 10, **axes: Any) -> xr.DataArray:
    """Final total alignment over a grid, of units matched to rows as often as blocks may end."""
    return regimes.alignment_grid(experiment, seeds, every=round(0.05 / experiment.flow.dt), **axes)


def by_kick(dt: float, cost: float = 0.0, seeds: int = 30) -> xr.DataArray:
    """Final total alignment by the kick :math:`a\\, dt / \\tau_c` that a negative weight gets in one step.

    Kicked networks are chaotic: ten are too few.
    """
    experiment = FINE.replace(dt=dt)
    if cost:
        experiment = experiment.replace(penalties=(*experiment.flow.penalties, gl.WeightDecay(weight_decay=cost)))
    strengths = [kick * experiment.flow.tau_c / dt for kick in KICKS]
    return alignment_grid(experiment, seeds, a=tuple(strengths)).assign_coords(a=list(KICKS)).rename(a="kick")


@claim(
    "6",
    "6",
    "With fast, nonnegative and bounded weights the second of two layers becomes gate-like.",
    note="It depends on the length of the step and on the size of the network: see kick and decay.",
    counterfactual={"regularized": FREE, "free": REGULARIZED},
)
def gate_like(regularized: gl.Experiment = REGULARIZED, free: gl.Experiment = FREE) -> Outcome:
    """Alignment of hidden units with the teachers' rows, and the gates on the active task's units, late in training."""
    held, loose = measured(regularized), measured(free)
    aligned, unaligned = median(held.total_alignment), median(loose.total_alignment)
    share, chance = median(late(held.gate_like, 2)), median(late(loose.gate_like, 2))
    single, spread = median(held.one_unit), median(loose.one_unit)
    return Outcome(
        {
            "total_alignment_regularized": aligned,
            "total_alignment_free": unaligned,
            "gate_like_fraction": share,
            "gate_like_fraction_free": chance,
            "one_unit_share": single,
            "one_unit_share_free": spread,
        },
        {
            "total alignment above 0.8 with penalties": aligned.low > 0.8,
            "and below 0.4 without": unaligned.high < 0.4,
            "above 0.75 of each output's gates on the units of the active task with penalties": share.low > 0.75,
            "and without no more than by chance, 0.4 to 0.6": chance.low > 0.4 and chance.high < 0.6,
            "of each output above two thirds on one single unit": single.low > 2 / 3,
            "and below a third without": spread.high < 1 / 3,
        },
    )


@claim(
    "A.4",
    "A.4",
    "Two layers with these penalties come to switch fast, without them they slow down.",
    counterfactual={"regularized": FREE, "free": REGULARIZED},
)
def recovery(regularized: gl.Experiment = REGULARIZED, free: gl.Experiment = FREE) -> Outcome:
    """Time to a loss of 0.1 in every block."""
    held, loose = measured(regularized).time_to_criterion, measured(free).time_to_criterion
    first, last = (median(held.sel(block=1)), median(late(held)))
    loose_first, loose_last = (median(loose.sel(block=1)), median(late(loose)))
    return Outcome(
        {
            "time_to_criterion_regularized": median(held),
            "time_to_criterion_free": median(loose),
            "late_time_regularized": last,
            "late_time_free": loose_last,
        },
        {
            "with penalties the last four blocks are ten times as fast as the first": last.high < first.low / 10,
            "without them slower than the first": loose_last.low > loose_first.high,
            "late in training penalties make switches four times as fast": last.high < loose_last.low / 4,
        },
    )


@claim(
    "A.7",
    "A.7",
    "At these a and b, two layers become gate-like with long blocks, a fast second layer, penalties.",
    counterfactual={"experiment": BY_PENALTY.replace(b=0.0)},
)
def grids(experiment: gl.Experiment = BY_PENALTY) -> Outcome:
    """Total alignment over block length and tau of the second layer, and over block length and penalty."""
    speed = alignment_grid(experiment, block_length=TAU_B, tau_c=TAU_W2)
    force = alignment_grid(experiment, block_length=TAU_B, strength=STRENGTHS)
    corner = median(speed.sel(block_length=1.0, tau_c=0.01))
    short = median(speed.sel(block_length=0.1, tau_c=0.01))
    slow = median(speed.sel(block_length=1.0, tau_c=0.06))
    weak = median(force.sel(block_length=1.0, strength=0.0))
    return Outcome(
        {
            "grid_block_by_tau_w2": mean(speed),
            "grid_block_by_penalty_two_layer": mean(force),
            "alignment_all_three": corner,
            "alignment_short_blocks": short,
            "alignment_slow_second_layer": slow,
            "alignment_no_penalty": weak,
        },
        {
            "with all three above 0.8": corner.low > 0.8,
            "with short blocks below 0.7": short.high < 0.7,
            "with a slow second layer below 0.7": slow.high < 0.7,
            "without penalties below 0.4": weak.high < 0.4,
        },
    )


@claim(
    "bound",
    "beyond",
    "Bounded activity alone makes two layers flexible, and leaves nothing that looks like a gate.",
    counterfactual={"bounded": NONNEGATIVE, "nonnegative": BOUNDED},
)
def bound(bounded: gl.Experiment = BOUNDED, nonnegative: gl.Experiment = NONNEGATIVE) -> Outcome:
    """Overlap of the directions that the second layer reads on the two tasks, with one of the penalties each."""
    held, kept = measured(bounded), measured(nonnegative)
    apart, together = median(held.overlap), median(kept.overlap)
    quick, aligned, single = (
        median(late(held.time_to_criterion)),
        median(held.total_alignment),
        median(held.one_unit),
    )
    return Outcome(
        {
            "overlap_bounded": apart,
            "overlap_nonnegative": together,
            "late_time_bounded": quick,
            "total_alignment_bounded": aligned,
            "one_unit_share_bounded": single,
        },
        {
            "bounded: on the two tasks it reads from different directions, overlap below 0.1": apart.high < 0.1,
            "and recovers within 0.05": quick.high < 0.05,
            "and yet total alignment is below 0.5": aligned.high < 0.5,
            "and below a third of each output's gates is on one unit": single.high < 1 / 3,
            "nonnegative: overlap above 0.9": together.low > 0.9,
        },
    )


@claim(
    "kick",
    "beyond",
    "Other things equal, a step makes the second layer gate-like through the size of its kick.",
    counterfactual={"steps": (0.01,), "cost": 0.05},
)
def kick(steps: tuple[float, ...] = STEPS, cost: float = 0.0) -> Outcome:
    """Total alignment by the kick a dt / tau_c that a negative weight gets in one step, for three step lengths."""
    aligned = stacked([median(by_kick(dt, cost)) for dt in steps], dt=steps)
    gap = float(np.ptp(aligned.value, axis=0).max())
    return Outcome(
        {
            "kick": exact(KICKS),
            "dt": exact(steps),
            "alignment_by_kick": aligned,
            "largest_difference_between_steps": exact(gap),
        },
        {
            "kicks of 0.1 and less leave it below 0.75, for every step": (aligned.high[:, :3] < 0.75).all(),
            "kicks of 0.2 take it above 0.75, for every step": (aligned.low[:, 3] > 0.75).all(),
            "kicks of 0.4 break the network, alignment below 0.4, for every step": (aligned.high[:, 4] < 0.4).all(),
            "for equal kicks the step matters by less than 0.1, and kicks for more than 0.4": gap < 0.1
            and float(np.ptp(aligned.value, axis=1).min()) > 0.4,
        },
    )


@claim(
    "decay",
    "beyond",
    "With a small cost on the first layer the second one becomes gate-like in small steps too.",
    counterfactual={"costly": COSTLESS, "costless": COSTLY},
)
def decay(costly: gl.Experiment = COSTLY, costless: gl.Experiment = COSTLESS) -> Outcome:
    """The network of Fig. 6 in steps of a fifth for 100 blocks, with and without a cost on the first layer."""
    paid, free = measured(costly), measured(costless)
    aligned, before = median(paid.total_alignment), median(free.total_alignment)
    share, apart = median(late(paid.gate_like, 2)), median(paid.overlap)
    size, size_before, lacking = median(paid.excess), median(free.excess), median(paid.missing)
    return Outcome(
        {
            "total_alignment_costly": aligned,
            "total_alignment_costless": before,
            "gate_like_fraction_costly": share,
            "overlap_costly": apart,
            "excess_costly": size,
            "excess_costless": size_before,
            "missing_costly": lacking,
        },
        {
            "total alignment above 0.95 with the cost": aligned.low > 0.95,
            "and below 0.75 without": before.high < 0.75,
            "with it above 0.98 of each output's gates are on the active task's units": share.low > 0.98,
            "and the overlap of the two tasks is below 0.02": apart.high < 0.02,
            "the first layer holds both tasks: less than 0.1 of them is missing": lacking.high < 0.1,
            "and the two layers are within 5 % of the smallest for what they compute": size.high < 1.05,
        },
    )
