"""Regimes: the experiments and the claims of the paper's Fig. 5."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Condition, Numbers, bootstrap, mean, median
from gatedlib_book.experiments import BY_SPEED, BY_SPEED_RELEASED, SEEDS
from gatedlib_book.forms import GATE_SPREAD, earlier
from gatedlib_book.networks import networks

FLEXIBLE_ALIGNMENT = 0.95
"""A network counts as flexible if its final total alignment is above this."""

GRID_SEEDS = 10
"""How many networks in all grids but those of Fig. 5A: with ten, the claims on them hold in five sets of fresh ones."""

TAU_B = (1.0, 0.8, 0.6, 0.4, 0.1)
TAU_C = (0.02, 0.04, 0.06, 0.08, 0.1)
STRENGTHS = (0.0, 0.05, 0.1, 0.15, 0.2)

PUBLISHED_5A = np.array(
    [
        [0.9998, 0.9944, 0.9928, 0.9171, 0.9193],
        [0.9987, 0.9968, 0.9870, 0.9187, 0.7426],
        [0.9988, 0.9846, 0.9197, 0.6247, 0.6423],
        [0.9939, 0.5950, 0.6397, 0.6643, 0.6836],
        [0.6954, 0.7024, 0.7055, 0.7061, 0.7060],
    ]
)
"""Total alignment in the published picture, rows TAU_B, columns TAU_C."""

PUBLISHED_5B = np.array(
    [
        [0.5463, 0.4156, 0.9999, 1.000, 0.9999],
        [0.5003, 0.6978, 1.000, 1.000, 0.9999],
        [0.5038, 1.000, 1.000, 1.000, 0.9999],
        [0.5691, 0.9079, 0.9966, 0.9951, 0.9876],
        [0.6620, 0.6855, 0.6225, 0.6375, 0.6421],
    ]
)
"""The same for Fig. 5B, columns STRENGTHS."""

RERUN_5A = np.full((5, 5), np.nan)
"""What the released code gives at the settings of its notebook, where that is known; nowhere is it above 0.95."""
RERUN_5A[[0, 0, 1, 3, 4, 4], [0, 4, 2, 0, 0, 4]] = 0.5199, 0.5207, 0.5255, 0.6706, 0.6867, 0.6866


BY_PENALTY_RELEASED = BY_SPEED_RELEASED.replace(
    tau_c=0.005,
    penalties=(gl.Scaled(0.1, (gl.Nonnegative(a=1.667), gl.UnitNorm(b=8.333))),),
)
"""Fig. 5B likewise: block length against the strength of both penalties."""


BY_PENALTY = earlier(BY_PENALTY_RELEASED, GATE_SPREAD)
"""Fig. 5B in the form that drew it."""


@cached
def alignment_grid(experiment: gl.Experiment, seeds: int = GRID_SEEDS, every: int = 100, **axes: Any) -> xr.DataArray:
    """Final total alignment over a grid, computed once and shared by claims and figures."""
    keep = (record.alignment,)
    measure = metrics.total_alignment
    grid = gl.sweep(experiment, seeds=networks(seeds), record=keep, every=every, measure=measure, **axes)
    return grid.total_alignment


def agreeing(grid: np.ndarray, published: np.ndarray) -> np.ndarray:
    """In how many cells the mean over seeds is flexible, or is not, as in a published grid, whose numbers are means."""
    return ((grid.mean(0) > FLEXIBLE_ALIGNMENT) == (published > FLEXIBLE_ALIGNMENT)).sum()


def _numbers(samples: xr.DataArray, columns: str, published: np.ndarray) -> Numbers:
    """The grid, how many of its cells are flexible, and how many are, or are not, as published."""
    grid = samples.transpose("seed", "block_length", ...)
    return Numbers(
        {
            f"grid_block_by_{columns}": mean(grid),
            f"median_block_by_{columns}": median(grid),
            f"flexible_cells_by_{columns}": bootstrap(
                grid, lambda networks: (networks.mean(0) > FLEXIBLE_ALIGNMENT).sum()
            ),
            "cells_agreeing": bootstrap(grid, functools.partial(agreeing, published=published)),
        }
    )


def _as_published(numbers: Numbers) -> dict[str, Condition]:
    return {
        "the number of cells of 25 that agree with the picture on being flexible is {}": numbers.cells_agreeing >= 20
    }


@claim(
    "5A",
    "5",
    published={
        "grid_block_by_tau_c": PUBLISHED_5A,
        "flexible_cells_by_tau_c": (PUBLISHED_5A > FLEXIBLE_ALIGNMENT).sum(),
    },
    form="earlier",
    note="If nothing ever were flexible 16 cells would agree. The spread of the gates, 0.1, was found by search.",
    counterfactual={"experiment": BY_SPEED_RELEASED},
)
def published_grid(experiment: gl.Experiment = BY_SPEED) -> Measured:
    """In the form that drew the figure, the flexible cells are those of the paper.

    Mean total alignment over block length and tau_c, and the number of cells that agree.
    """
    n = _numbers(alignment_grid(experiment, SEEDS, block_length=TAU_B, tau_c=TAU_C), "tau_c", PUBLISHED_5A)
    return n, _as_published(n)


@claim(
    "5A-released",
    "5",
    reference={"grid_block_by_tau_c": RERUN_5A, "flexible_cells_by_tau_c": 0},
    counterfactual={"experiment": BY_SPEED},
)
def released_grid(experiment: gl.Experiment = BY_SPEED_RELEASED) -> Measured:
    """In the released form no cell is flexible, as the released code itself finds.

    The same in the released form; of the released code's grid six cells are known.
    """
    samples = alignment_grid(experiment, SEEDS, block_length=TAU_B, tau_c=TAU_C)
    n = _numbers(samples, "tau_c", PUBLISHED_5A)
    rows, columns = (xr.DataArray(places, dims="cell") for places in np.nonzero(~np.isnan(RERUN_5A)))
    known = samples.isel(block_length=rows, tau_c=columns).drop_vars(["block_length", "tau_c"])
    n["difference_from_released_code"] = mean(known - xr.DataArray(RERUN_5A[rows, columns], dims="cell"))
    return n, {
        "in every cell total alignment of the typical network is {}": n.median_block_by_tau_c < FLEXIBLE_ALIGNMENT,
        "where the released code's mean is known, ours differs from it by a number {}": (
            n.difference_from_released_code.within(-0.1, 0.1)
        ),
    }


@claim(
    "5A-needs",
    "5",
    as_given=False,
    form="earlier",
    note="Given ten times as long, either alone is enough.",
    counterfactual={"experiment": BY_SPEED.replace(duration=70.0, dt=5e-3, inputs=gl.Population())},
)
def needs(experiment: gl.Experiment = BY_SPEED) -> Measured:
    """Within the time of the figure flexibility needs long blocks and fast gates: either alone is not enough.

    Total alignment in the form that drew the figure, for blocks of 0.1 and 1 and tau_c 0.02 and 0.2.
    """
    samples = alignment_grid(experiment, block_length=(0.1, 1.0), tau_c=(0.02, 0.2))
    n = Numbers(
        alignment_long_fast=median(samples.sel(block_length=1.0, tau_c=0.02)),
        alignment_short_fast=median(samples.sel(block_length=0.1, tau_c=0.02)),
        alignment_long_slow=median(samples.sel(block_length=1.0, tau_c=0.2)),
        alignment_short_slow=median(samples.sel(block_length=0.1, tau_c=0.2)),
    )
    return n, {
        "long blocks and fast gates: total alignment is {}": n.alignment_long_fast > FLEXIBLE_ALIGNMENT,
        "short blocks and fast gates: {}": n.alignment_short_fast < 0.9,
        "long blocks and slow gates: {}": n.alignment_long_slow < 0.9,
        "short blocks and slow gates: {}": n.alignment_short_slow < 0.9,
    }


@claim(
    "5B",
    "5",
    published={
        "grid_block_by_penalty": PUBLISHED_5B,
        "flexible_cells_by_penalty": (PUBLISHED_5B > FLEXIBLE_ALIGNMENT).sum(),
    },
    form="earlier",
    note="If nothing ever were flexible 12 cells would agree.",
    counterfactual={"experiment": BY_PENALTY.replace(a=0.0, b=0.0)},
)
def penalty(experiment: gl.Experiment = BY_PENALTY) -> Measured:
    """In the form that drew the figure, it is the penalty that makes networks flexible, in the cells of the paper.

    Mean total alignment over block length and the strength of both penalties, and the number of cells that agree.
    """
    n = _numbers(alignment_grid(experiment, block_length=TAU_B, strength=STRENGTHS), "penalty", PUBLISHED_5B)
    without = n.median_block_by_penalty.at(strength=0.0) < FLEXIBLE_ALIGNMENT
    return n, {"without a penalty total alignment in every cell is typically {}": without} | _as_published(n)


@claim("5B-released", "5", counterfactual={"experiment": BY_PENALTY_RELEASED.replace(tau_c=0.1)})
def released_penalty(experiment: gl.Experiment = BY_PENALTY_RELEASED) -> Measured:
    """In the released form too it is the penalty that makes networks flexible, if gates are fast.

    The same in the released form.
    """
    n = _numbers(alignment_grid(experiment, block_length=TAU_B, strength=STRENGTHS), "penalty", PUBLISHED_5B)
    strong = n.median_block_by_penalty.at(strength=[0.1, 0.15, 0.2], block_length=[0.4, 0.6, 0.8, 1.0])
    return n, {
        "without a penalty total alignment in every cell is typically {}": (
            n.median_block_by_penalty.at(strength=0.0) < FLEXIBLE_ALIGNMENT
        ),
        "at strengths of 0.1 and more and blocks of 0.4 and more it is typically {} in every cell": strong
        > FLEXIBLE_ALIGNMENT,
    }


def on_one_path(results: xr.Dataset) -> xr.DataArray:
    """Total alignment if both tasks are given the same path, for each path; dims seed and path."""
    directions = results.final_weights / np.sqrt((results.final_weights**2).sum("in"))
    cosines = (directions * results.teachers / np.sqrt((results.teachers**2).sum("in"))).sum("in")
    # the cosine of a row that stands twice with both tasks' rows, which are of one length
    return cosines.mean("task").mean("out")
