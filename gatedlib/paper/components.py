"""Components: the experiments and the claims of the paper's Fig. A.14, and what decides them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.paper.claims import Outcome, bootstrap, claim, exact, fraction, median
from gatedlib.paper.composition import TASKS

SEEDS = 50

HIDDEN = TASKS.replace(
    tau_w=0.05,
    a=0.333,
    b=1.667,
    dt=2e-3,
    curriculum=gl.Blocked(blocks=50, order=(3, 4, 5)),
    inputs=gl.Population(),
)
"""Fig. A.14: trained on (A + B) / 2, (B + C) / 2 and (C + A) / 2 only."""

FOUND = HIDDEN.replace(scale=6**-0.5, tau_w=0.2)
"""The same with teachers of length 1/sqrt(d_out), as in the published picture, and the tau_w of Fig. 3C."""

GRID: dict[str, Any] = {"scale": (20**-0.5, 10**-0.5, 6**-0.5), "tau_w": (0.05, 0.2, 1.0), "tau_c": (0.01, 0.03)}
"""Lengths of the teachers' rows and time constants over which components are looked for."""

ABOVE = 0.9
"""Components count as found if the matched alignment is above this, as it is in the published picture."""

SOLVED = 1e-3
"""A network has learned its composites if it ends their last blocks below this loss."""


def found(results: xr.Dataset) -> xr.Dataset:
    """Alignment with components and with composites at the end, spread, and end loss of the last three blocks."""
    late = results.isel(time=slice(-1, None))
    exchanged = late.assign_coords(component=1 - late.component)
    return xr.Dataset({
        "matched": metrics.alignment_matched(late).isel(time=0, drop=True),
        "crossed": metrics.alignment_crossed(late).isel(time=0, drop=True),
        "with_composites": metrics.alignment_matched(exchanged).isel(time=0, drop=True),
        "spread": metrics.specialization(late).isel(time=0, drop=True),
        "end_loss": metrics.end_loss(results).isel(block=slice(-3, None)).mean("block"),
    })  # fmt: skip


@functools.lru_cache(maxsize=4)
def run(experiment: gl.Experiment = HIDDEN, seeds: int = SEEDS) -> xr.Dataset:
    """Loss, alignment and spread, every 0.05 time units."""
    return gl.simulate(experiment, seeds, (record.loss, record.alignment, record.weight_products), every=25)


@functools.lru_cache(maxsize=4)
def everywhere(experiment: gl.Experiment = HIDDEN, seeds: int = SEEDS) -> xr.Dataset:
    """`found` in every cell of the grid, and `speed`: how many times as fast as weights gates are."""
    keep = (record.loss, record.alignment, record.weight_products)
    grid = gl.sweep(experiment, seeds=seeds, record=keep, every=25, measure=found, **GRID)
    return grid.assign(speed=speed(grid.scale, grid.tau_w, grid.tau_c))


def speed(scale: Any, tau_w: Any, tau_c: Any) -> Any:
    r"""How many times as fast as the weights the gates of such a network are, once it has learned.

    .. math::

        v = \frac{\|W^*\|_F^2 / \tau_c}{1 / \tau_w} = \frac{\tau_w\, s^2 d_\mathrm{out}}{\tau_c}
    """
    return TASKS.teachers.shape[1] * scale**2 * tau_w / tau_c


def on_the_way(spread: np.ndarray) -> np.ndarray:
    r"""The alignment of paths with components if every composite lies on an edge of the triangle of paths.

    .. math::

        \cos = \sqrt{\frac{1 + 2 \sigma}{3}}, \qquad \tfrac14 \le \sigma \le 1

    with :math:`\sigma` the squared distance of paths relative to that of components: 1/4 for paths that are the
    composites (0.707), 1 for paths that are the components (1).
    """
    return np.sqrt((1 + 2 * np.asarray(spread)) / 3)


def _hidden(experiment: gl.Experiment) -> Outcome:
    ends = found(run(experiment))
    matched, crossed = median(ends.matched), median(ends.crossed)
    often = fraction(ends.matched > ABOVE)
    return Outcome(
        {
            "component_alignment_matched": matched,
            "component_alignment_crossed": crossed,
            "found_fraction": often,
            "end_loss": median(ends.end_loss),
        },
        {
            "matched alignment above 0.9 in the typical network": matched.low > ABOVE,
            "crossed alignment below 0.2": crossed.high < 0.2,
            "found in at least three networks of four": often.value >= 0.75,
        },
    )


@claim("A.14", "A.14", "Trained on composites only, the network finds their hidden components.")
def hidden(experiment: gl.Experiment = HIDDEN) -> Outcome:
    """Alignment of paths with A, B and C after 50 blocks of their means, at the settings of the figure."""
    return _hidden(experiment)


@claim("A.14-faster", "A.14", "With longer teachers and slower weights, gates are faster and the components are found.")
def hidden_faster(experiment: gl.Experiment = FOUND) -> Outcome:
    """The same with teachers of length 1/sqrt(d_out) and tau_w 0.2: gates 13 times as fast as in the figure."""
    return _hidden(experiment)


@claim(
    "A.14-speed",
    "A.14",
    "Components are found most often where gates are 5 to 13 times as fast as weights, never below 2.",
)
def by_speed(experiment: gl.Experiment = HIDDEN) -> Outcome:
    """Over a grid of settings, of those in which the typical network has learned its composites."""
    grid = everywhere(experiment).stack(cell=tuple(GRID)).transpose("seed", "cell")
    grid = grid.isel(cell=np.flatnonzero(grid.end_loss.median("seed") < SOLVED)).sortby("speed")
    ratio, often = grid.speed.values, grid.matched > ABOVE
    slow, right = ratio < 2, (ratio >= 5) & (ratio < 13)
    others = ~slow & ~right
    parted = grid.where(grid.spread > 0.25)
    error = bootstrap(
        parted[["matched", "spread"]].to_array("which").transpose("seed", "which", "cell"),
        lambda some: np.nanmedian(np.abs(some[:, 0] - on_the_way(some[:, 1]))),
    )
    matched = median(grid.matched)
    return Outcome(
        {
            "speed": exact(ratio),
            "component_alignment_by_speed": matched,
            "composite_alignment_by_speed": median(grid.with_composites),
            "found_fraction_by_speed": exact(often.mean("seed")),
            "error_of_alignment_by_spread": error,
        },
        {
            "less than 2 times as fast: found in no network": not often.values[:, slow].any(),
            "5 to 13 times: found by the typical network in every setting": (matched.low[right] > ABOVE).all(),
            "elsewhere: by fewer than half, over all settings": often.values[:, others].mean() < 0.5,
            "where paths have parted, their spread tells the alignment to 0.05": error.high < 0.05,
        },
    )
