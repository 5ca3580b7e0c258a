"""Depth: the experiments and the claims of the paper's Figs. 6 and A.4 to A.7, and what decides them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book import regimes
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Numbers, along, bootstrap, exact, fraction, mean, median
from gatedlib_book.networks import networks

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

UNREGULARIZED = REGULARIZED.replace(penalties=())
"""The same network without penalties."""

BOUNDED = REGULARIZED.replace(penalties=(gl.UnitNorm(b=0.2, ord=2),))
"""Bounded activity alone."""

NONNEGATIVE = REGULARIZED.replace(penalties=(gl.Nonnegative(a=0.2),))
"""Nonnegativity alone."""

FINE = REGULARIZED.replace(dt=0.002, inputs=gl.Population())
"""Fig. 6 in steps of a fifth, with all inputs at once."""

WITH_COST = FINE.replace(
    penalties=(*REGULARIZED.flow.penalties, gl.WeightDecay(weight_decay=0.01)), curriculum=gl.Blocked(blocks=100)
)
"""The same with a small cost on the first layer, for 100 blocks."""

COSTLY_SEEDS = 50
"""How many networks with the cost: in one of five the tasks overlap, which twenty do not tell from half of them."""

SEPARATE = 0.02
"""Tasks overlap less than this where the second layer reads them from different directions."""

WITHOUT_COST = WITH_COST.replace(weight_decay=0.0)
"""And without the cost."""

BLOCK_LENGTHS = (1.0, 0.75, 0.5, 0.25, 0.1)
TAU_W2 = (0.01, 0.02, 0.03, 0.045, 0.06)
PENALTY_STRENGTHS = (0.0, 0.25, 0.5, 1.0, 1.5)

TWO_LAYERS = REGULARIZED.replace(
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


TOGETHER = 10
"""How many networks run at once: the gates of all frames of ten are a third of a gigabyte."""


def summary(experiment: gl.Experiment, seeds: int = 20) -> xr.Dataset:
    """What all claims on two layers ask for: recovery and gates block by block, and how the last two blocks end."""
    return xr.concat([_summary_of_ten(experiment, skip) for skip in range(0, seeds, TOGETHER)], "seed")


@cached
def _summary_of_ten(experiment: gl.Experiment, skip: int) -> xr.Dataset:
    """The same of ten networks, the first of which comes after so many."""
    every = round(0.01 / experiment.flow.dt)
    keep = (record.loss, record.gates, record.alignment)
    results = gl.simulate(experiment, networks(TOGETHER, skip), keep, every=every)
    # what is asked of ends of blocks alone is computed there alone
    ends = results.isel(time=(results.block_stop.values - 1) // every)
    last = [ends.gates.isel(time=block, drop=True) for block in (-2, -1)]

    def by_block(values: xr.DataArray) -> xr.DataArray:
        return values.reset_coords(drop=True).rename(time="block").assign_coords(block=results.block)

    both = xr.concat(last, xr.DataArray(results.block_task.values[-2:], dims="task", name="task"))
    return xr.Dataset(
        {
            "time_to_criterion": metrics.time_to_criterion(results),
            "gate_like": by_block(metrics.gate_like(ends)),
            "matched": by_block(metrics.alignment_matched(ends)),
            "total_alignment": metrics.total_alignment(ends),
            "one_unit": (one_unit(last[0]) + one_unit(last[1])) / 2,
            "overlap": overlap(*last),
            "excess": excess(results.final_weights, both),
            "missing": missing(results.final_weights, both, results.teachers),
        }
    ).drop_vars(("task", "active_task"), errors="ignore")


def table(experiments: dict[str, gl.Experiment]) -> Any:
    """What the networks of some experiments end with, the median over seeds: a table with a row for each experiment."""
    rows = []
    for experiment in experiments.values():
        typical = summary(experiment).median("seed")
        late_time = metrics.last(typical.time_to_criterion, 4)
        rows.append([typical.total_alignment, typical.gate_like[-1], typical.one_unit, typical.overlap, late_time])
    columns = ["alignment", "gate-like", "one unit", "overlap", "time"]
    coords = {"network": list(experiments), "median": columns}
    return xr.DataArray([list(map(float, row)) for row in rows], coords, ("network", "median")).to_pandas().round(2)


def alignment_grid(experiment: gl.Experiment, seeds: int = 10, **axes: Any) -> xr.DataArray:
    """Final total alignment over a grid, of units matched to rows as often as blocks may end."""
    return regimes.alignment_grid(experiment, seeds, every=round(0.05 / experiment.flow.dt), **axes)


def by_kick(dt: float, cost: float = 0.0, seeds: int = 20) -> xr.DataArray:
    """Final total alignment by the kick :math:`a\\, dt / \\tau_c` that a negative weight gets in one step.

    Kicked networks are chaotic: ten are too few.
    """
    experiment = FINE.replace(dt=dt)
    if cost:
        experiment = experiment.replace(penalties=(*experiment.flow.penalties, gl.WeightDecay(weight_decay=cost)))
    strengths = [kick * experiment.flow.tau_c / dt for kick in KICKS]
    return alignment_grid(experiment, seeds, a=tuple(strengths)).assign_coords(a=list(KICKS)).rename(a="kick")


REGULARIZED_AND_NOT = (REGULARIZED, UNREGULARIZED)
"""What claims on Fig. 6 exchange to be false."""


@claim(
    "6",
    "6",
    swap=REGULARIZED_AND_NOT,
    note="It depends on the length of the step and on the size of the network: see kick and decay.",
)
def gate_like(regularized: gl.Experiment, free: gl.Experiment) -> Measured:
    """With fast, nonnegative and bounded weights the second of two layers becomes gate-like.

    Alignment of hidden units with the teachers' rows, and the gates on the active task's units, late in training.
    """
    with_penalties, without = summary(regularized), summary(free)
    n = Numbers(
        total_alignment_regularized=median(with_penalties.total_alignment),
        total_alignment_free=median(without.total_alignment),
        gate_like_fraction=median(metrics.last(with_penalties.gate_like, 2)),
        gate_like_fraction_free=median(metrics.last(without.gate_like, 2)),
        one_unit_share=median(with_penalties.one_unit),
        one_unit_share_free=median(without.one_unit),
    )
    return n, {
        "total alignment is {} with penalties": n.total_alignment_regularized > 0.75,
        "and {} without": n.total_alignment_free < 0.4,
        "of each output's gates, a share of {} is on the units of the active task with penalties": n.gate_like_fraction
        > 0.7,
        "and without penalties one as by chance, {}": n.gate_like_fraction_free.within(0.4, 0.6),
        "of each output, a share of {} is on one single unit": n.one_unit_share > 0.6,
        "and {} without penalties": n.one_unit_share_free < 0.3,
    }


@claim("A.4", "A.4", swap=REGULARIZED_AND_NOT)
def recovery(regularized: gl.Experiment, free: gl.Experiment) -> Measured:
    """Two layers with these penalties come to switch fast; without them they slow down.

    Time to a loss of 0.1 in every block, and its ratios, network by network.
    """
    times, times_free = (summary(experiment).time_to_criterion for experiment in (regularized, free))
    late, late_free = metrics.last(times, 4), metrics.last(times_free, 4)
    n = Numbers(
        time_to_criterion_regularized=median(times),
        time_to_criterion_free=median(times_free),
        late_time_regularized=median(late),
        late_time_free=median(late_free),
        first_time_over_late_regularized=median(times.sel(block=1) / late),
        late_time_free_over_regularized=median(late_free / late),
    )
    return n, {
        "with penalties the first block takes {} times as long as the last four": n.first_time_over_late_regularized
        > 10,
        "without them the first block takes less time than the last four": n.time_to_criterion_free.at(block=1)
        < n.late_time_free,
        "late in training a switch takes {} times as long without penalties": n.late_time_free_over_regularized > 4,
    }


@claim("A.7", "A.7", counterfactual={"experiment": TWO_LAYERS.replace(b=0.0)})
def grids(experiment: gl.Experiment = TWO_LAYERS) -> Measured:
    """At these a and b, two layers become gate-like with long blocks, a fast second layer, penalties.

    Total alignment over block length and tau of the second layer, and over block length and penalty.
    """
    speed = alignment_grid(experiment, block_length=BLOCK_LENGTHS, tau_c=TAU_W2)
    force = alignment_grid(experiment, block_length=BLOCK_LENGTHS, strength=PENALTY_STRENGTHS)
    n = Numbers(
        grid_block_by_tau_w2=mean(speed),
        grid_block_by_penalty_two_layer=mean(force),
        alignment_all_three=median(speed.sel(block_length=1.0, tau_c=0.01)),
        alignment_short_blocks=median(speed.sel(block_length=0.1, tau_c=0.01)),
        alignment_slow_second_layer=median(speed.sel(block_length=1.0, tau_c=0.06)),
        alignment_no_penalty=median(force.sel(block_length=1.0, strength=0.0)),
    )
    return n, {
        "with all three total alignment is {}": n.alignment_all_three > 0.75,
        "with short blocks {}": n.alignment_short_blocks < 0.7,
        "with a slow second layer {}": n.alignment_slow_second_layer < 0.7,
        "without penalties {}": n.alignment_no_penalty < 0.4,
    }


@claim("bound", swap=(BOUNDED, NONNEGATIVE))
def bound(bounded: gl.Experiment, nonnegative: gl.Experiment) -> Measured:
    """Bounded activity alone makes two layers flexible, and leaves nothing that looks like a gate.

    Overlap of the directions that the second layer reads on the two tasks, with one of the penalties each.
    """
    results = summary(bounded)
    n = Numbers(
        overlap_bounded=median(results.overlap),
        overlap_nonnegative=median(summary(nonnegative).overlap),
        late_time_bounded=median(metrics.last(results.time_to_criterion, 4)),
        total_alignment_bounded=median(results.total_alignment),
        one_unit_share_bounded=median(results.one_unit),
    )
    return n, {
        "bounded: on the two tasks it reads from different directions, overlap {}": n.overlap_bounded < 0.1,
        "and recovers within a time of {}": n.late_time_bounded < 0.05,
        "and yet total alignment is {}": n.total_alignment_bounded < 0.5,
        "and of each output's gates, a share of {} is on one unit": n.one_unit_share_bounded < 0.3,
        "nonnegative: overlap is {}": n.overlap_nonnegative > 0.9,
    }


@claim("kick", counterfactual={"steps": (0.01,), "cost": 0.05})
def kick(steps: tuple[float, ...] = STEPS, cost: float = 0.0) -> Measured:
    """Other things equal, a step makes the second layer gate-like through the size of its kick.

    Total alignment by the kick a dt / tau_c that a negative weight gets in one step, for three step lengths.
    """
    samples = along("dt", steps, [by_kick(dt, cost) for dt in steps])
    n = Numbers(
        kick=exact(KICKS),
        dt=exact(steps),
        alignment_by_kick=median(samples),
        largest_difference_between_steps=bootstrap(
            samples.transpose("seed", "dt", "kick"), lambda values: np.ptp(np.median(values, 0), 0).max()
        ),
    )
    aligned = n.alignment_by_kick
    return n, {
        "kicks of 0.1 and less leave alignment at {}, for every step": aligned.at(kick=[0.02, 0.04, 0.1]) < 0.75,
        "kicks of 0.2 take alignment to {}, for every step": aligned.at(kick=0.2) > 0.75,
        "kicks of 0.4 break the network, alignment {}, for every step": aligned.at(kick=0.4) < 0.4,
        "for equal kicks alignment differs between steps by {}": n.largest_difference_between_steps < 0.2,
        "and between kicks of 0.2 and 0.4 by {}": aligned.at(kick=0.2) - aligned.at(kick=0.4) > 0.4,
    }


@claim("decay", swap=(WITH_COST, WITHOUT_COST))
def decay(costly: gl.Experiment, costless: gl.Experiment) -> Measured:
    """With a small cost on the first layer the second one becomes gate-like in small steps too.

    The network of Fig. 6 in steps of a fifth for 100 blocks, with and without a cost on the first layer.
    """
    with_cost, without = summary(costly, COSTLY_SEEDS), summary(costless)
    n = Numbers(
        total_alignment_costly=median(with_cost.total_alignment),
        total_alignment_costless=median(without.total_alignment),
        gate_like_fraction_costly=median(metrics.last(with_cost.gate_like, 2)),
        overlap_costly=median(with_cost.overlap),
        separate_fraction_costly=fraction(with_cost.overlap < SEPARATE),
        excess_costly=median(with_cost.excess),
        excess_costless=median(without.excess),
        missing_costly=median(with_cost.missing),
    )
    return n, {
        "total alignment is {} with the cost": n.total_alignment_costly > 0.95,
        "and {} without": n.total_alignment_costless < 0.75,
        "with it a share of {} of each output's gates is on the active task's units": n.gate_like_fraction_costly
        > 0.98,
        f"and the overlap of the two tasks is less than {SEPARATE} in a fraction of {{}} of networks": (
            n.separate_fraction_costly > 0.5
        ),
        "the first layer holds both tasks: of them, a share of {} is missing": n.missing_costly < 0.1,
        "and the two layers are {} times the smallest for what they compute": n.excess_costly < 1.05,
    }
