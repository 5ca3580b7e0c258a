"""Regimes: the experiments and the claims of the paper's Fig. 5."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.paper.claims import Outcome, claim
from gatedlib.paper.dynamics import SEEDS
from gatedlib.paper.estimates import bootstrap, mean, median
from gatedlib.paper.keeping import kept

ABOVE = 0.95
"""A network counts as flexible if its final total alignment is above this."""

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
"""Total alignment as the authors' code gives it, rows TAU_B, columns TAU_C: what ours is compared with."""

BY_SPEED = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(duration=7.0),
    flow=gl.Flow(
        tau_w=0.1,
        tau_c=0.02,
        penalties=(gl.Nonnegative(a=0.5), gl.UnitNorm(b=2.5)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. 5A as its settings are given: block length against the time constant of the gates."""

BY_SPEED_LONGER = BY_SPEED.replace(scale=10**-0.5, tau_w=1.3, duration=14.0)
"""Fig. 5A with teachers of length 1/sqrt(d_out), the weights of Fig. 2 and twice the time."""

BY_PENALTY = BY_SPEED.replace(
    tau_c=0.005,
    penalties=(gl.Scaled(0.1, (gl.Nonnegative(a=1.667), gl.UnitNorm(b=8.333))),),
)
"""Fig. 5B: block length against the strength of both penalties."""


@functools.lru_cache(maxsize=16)
@kept
def alignment_grid(experiment: gl.Experiment, seeds: int = SEEDS, every: int = 100, **axes: Any) -> xr.DataArray:
    """Final total alignment over a grid, computed once and shared by claims and figures."""
    keep = (record.alignment,)
    grid = gl.sweep(experiment, seeds=seeds, record=keep, every=every, measure=metrics.total_alignment, **axes)
    return grid.total_alignment


def agreeing(grid: np.ndarray) -> np.ndarray:
    """In how many cells the mean over seeds is flexible, or is not, as in the published grid."""
    return ((grid.mean(0) > ABOVE) == (PUBLISHED_5A > ABOVE)).sum()


def _grid_5a(experiment: gl.Experiment) -> Outcome:
    samples = alignment_grid(experiment, block_length=TAU_B, tau_c=TAU_C)
    agree = bootstrap(samples.transpose("seed", "block_length", "tau_c"), agreeing)
    return Outcome(
        {"grid_block_by_tau_c": mean(samples), "cells_agreeing": agree},
        {"at least 23 of 25 cells agree with the paper on being flexible": agree.value >= 23},
    )


@claim(
    "5A",
    "5",
    "At the settings given with the figure, the flexible cells are those of the paper.",
    reference={"grid_block_by_tau_c": PUBLISHED_5A},
    note="No cell becomes flexible at these settings; as many would agree if nothing ever did. See 5A-longer.",
)
def published_grid(experiment: gl.Experiment = BY_SPEED) -> Outcome:
    """Mean total alignment over block length and tau_c, and the number of cells that agree."""
    return _grid_5a(experiment)


@claim(
    "5A-longer",
    "5",
    "With longer teachers, tau_w as in Fig. 2 and twice the time, the flexible cells are those of the paper.",
    reference={"grid_block_by_tau_c": PUBLISHED_5A},
    as_given=False,
    note="These settings were found by searching for the published grid.",
)
def published_grid_longer(experiment: gl.Experiment = BY_SPEED_LONGER) -> Outcome:
    """The same grid with teachers of length 1/sqrt(d_out), tau_w 1.3 and duration 14."""
    return _grid_5a(experiment)


@claim("5A-needs", "5", "Flexibility needs long blocks and fast gates: either alone is not enough.", as_given=False)
def needs(experiment: gl.Experiment = BY_SPEED) -> Outcome:
    """Total alignment at the settings given with the figure, for tau_c 0.01 (below all published cells) and 0.1."""
    samples = alignment_grid(experiment, block_length=(0.1, 1.0), tau_c=(0.01, 0.1))
    both, fast, slow, neither = (
        median(samples.sel(block_length=length, tau_c=tau_c))
        for length, tau_c in ((1.0, 0.01), (0.1, 0.01), (1.0, 0.1), (0.1, 0.1))
    )
    return Outcome(
        {
            "alignment_long_fast": both,
            "alignment_short_fast": fast,
            "alignment_long_slow": slow,
            "alignment_short_slow": neither,
        },
        {
            "long blocks and fast gates: above 0.95": both.low > ABOVE,
            "short blocks and fast gates: below 0.9": fast.high < 0.9,
            "long blocks and slow gates: below 0.9": slow.high < 0.9,
            "short blocks and slow gates: below 0.9": neither.high < 0.9,
        },
    )


@claim("5B", "5", "With gates fast enough it is the penalty that makes networks flexible.")
def penalty(experiment: gl.Experiment = BY_PENALTY) -> Outcome:
    """Mean total alignment over block length and the strength of both penalties."""
    samples = alignment_grid(experiment, block_length=TAU_B, strength=STRENGTHS)
    grid = mean(samples)
    return Outcome(
        {"grid_block_by_penalty": grid},
        {
            "without a penalty no cell is flexible": (grid.high[:, 0] < ABOVE).all(),
            "at strengths of 0.1 and more and blocks of 0.4 and more all are": (grid.low[:4, 2:] > ABOVE).all(),
        },
    )
