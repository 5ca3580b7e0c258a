"""Reach: how far gates alone generalize, beyond the paper's Fig. 3."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib_book.cache import cached
from gatedlib_book.composition import THETA, trained
from gatedlib_book.experiments import LONGER, PAIRS, halves, single
from gatedlib_book.experiments import SEEDS
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import bootstrap, exact, median

KNOWN = single(LONGER)
"""Three tasks in turn, 66 blocks; the last block is one of task C."""

LAST = (0.0, 0.0, 1.0)

SIZE = 1.0
"""The squared length of a teacher in LONGER: six rows of squared length 1/6."""

SUMS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""What the weights of equal parts of A, B and C add up to."""

NEGATIVE = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""How much of C is taken away from the mean of A and B, which is raised so that the sum stays 1."""

FOUR = gl.Orthogonal(tasks=4, d_in=24, d_out=6, scale=10**-0.5)
FOUR_SIZE = 0.6
"""The squared length of a teacher in FOUR: six rows of squared length 1/10."""

ALL_PAIRS = ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3))
RING = ALL_PAIRS[:4]
"""AB, BC, CD, DA: four pairs that have only three dimensions, for AB - BC + CD - DA = 0."""

TRIANGLE = (*PAIRS, (2, 3))
"""AB, BC, CA, CD: four pairs that have all four dimensions."""


def random_mixtures(count: int = 20) -> np.ndarray:
    """Weights of random convex mixtures of three tasks, uniform over the triangle; always the same."""
    return np.random.default_rng(0).dirichlet(np.ones(3), count)


@functools.lru_cache(maxsize=128)
@cached
def adapted(weights: tuple[float, ...], gates_only: bool, duration: float = 1.0) -> xr.Dataset:
    """The trained networks on a new mixture."""
    return transfer.adapt(KNOWN, trained(LONGER), weights, duration, gates_only=gates_only)


def adaptation(mixtures: np.ndarray, gates_only: bool = True) -> xr.DataArray:
    """Time to a loss of 0.02 on each mixture, dims seed and mixture."""
    times = [metrics.time_to_criterion(adapted(tuple(w), gates_only), THETA).sel(block=1) for w in mixtures.tolist()]
    return xr.concat(times, "mixture")


def predicted_times(mixtures: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """The same in closed form, for paths as far apart as those of the median network, or as sigma says."""
    spread = metrics.specialization(trained(LONGER)).isel(time=-1).median("seed").item() if sigma is None else sigma
    distances = np.linalg.norm(mixtures - np.array(LAST), axis=1)
    return np.array([transfer.adaptation_time(d, SIZE, LONGER.flow.tau_c, THETA, spread) for d in distances])


@claim(
    "mixtures",
    "beyond",
    "Any mixture of the three tasks is solved by gates alone, in the time that theory says.",
    counterfactual={"sigma": 1.0},
)
def mixtures(count: int = 20, sigma: float | None = None) -> Outcome:
    """Random mixtures never seen: zero-shot gap, and time to adapt against its closed form."""
    weights, results = random_mixtures(count), trained(LONGER)
    targets = transfer.mixtures(results, weights.tolist())
    best = transfer.best_gates(results, targets, nonnegative=True)
    gap = median(transfer.loss_with(results, best, targets).max("mixture"))
    times, expected = adaptation(weights), predicted_times(weights, sigma)
    typical = median(times)
    correlation = bootstrap(times, lambda some: stats.spearmanr(np.median(some, 0), expected).statistic)
    error = bootstrap(times, lambda some: np.max(np.abs(np.median(some, 0) - expected)))
    return Outcome(
        {
            "zero_shot_gap_mixtures": gap,
            "adaptation_time": typical,
            "adaptation_time_predicted": exact(expected, mixture=range(1, count + 1)),
            "rank_correlation": correlation,
            "largest_error": error,
        },
        {
            "no mixture costs more than 0.0001 with the best nonnegative gates": gap.high < 1e-4,
            "every mixture is solved within 0.1 time units": (typical.high < 0.1).all(),
            "times and the closed form rank alike: correlation above 0.95": correlation.low > 0.95,
            "and agree to 0.005 time units": error.high < 0.005,
        },
    )


def equal_parts(total: float) -> tuple[float, ...]:
    """Equal parts of the three tasks whose weights add up to a number."""
    return (total / 3,) * 3


def less_of_c(part: float) -> tuple[float, ...]:
    """The mean of A and B with a part of C taken away, and the sum kept at 1."""
    return ((1 + part) / 2, (1 + part) / 2, -part)


def stuck(total: float, b: float = 2.5, size: float = SIZE, paths: int = 3) -> float:
    r"""The loss that bounded gates are left with on equal parts that add up to s, if the weights stand still.

    .. math::

        L = \frac{q P \lambda^2}{2}, \qquad \lambda = \frac{b\,(s - 1)}{q + b P}

    the first term of :math:`\tfrac q2 \|c - w\|^2 + \tfrac b2 (\sum_p c_p - 1)^2` at the gates that make it least.
    """
    excess = b * (total - 1) / (size + b * paths)
    return size * paths * excess**2 / 2


def left_over(weights: Sequence[tuple[float, ...]], gates_only: bool = True, duration: float = 3.0) -> xr.DataArray:
    """The loss after some time on each of some sums, dims seed and mixture."""
    ends = [metrics.end_loss(adapted(w, gates_only, duration)).sel(block=1) for w in weights]
    return xr.concat(ends, "mixture")


@claim(
    "simplex",
    "beyond",
    "Off the simplex the bounded gates fail, by as much as their spring says; weights must help.",
    counterfactual={"b": 0.5},
)
def simplex(b: float = 2.5) -> Outcome:
    """Sums of the three tasks whose weights add up to 0 to 2, or that take away from C: loss after 3 time units."""
    by_sum, by_sum_helped = (
        left_over([equal_parts(s) for s in SUMS], gates_only).assign_coords(mixture=list(SUMS)).rename(mixture="sum")
        for gates_only in (True, False)
    )
    by_part = left_over([less_of_c(n) for n in NEGATIVE]).assign_coords(mixture=list(NEGATIVE)).rename(mixture="part")
    expected = np.array([stuck(s, b) for s in SUMS])
    error = bootstrap(by_sum, lambda some: np.max(np.abs(np.median(some, 0) - expected)))
    sums, parts = median(by_sum), median(by_part)
    helped = median(by_sum_helped)
    off = np.array(SUMS) != 1
    return Outcome(
        {
            "loss_by_sum_gates_only": sums,
            "loss_by_sum_predicted": exact(expected, sum=SUMS),
            "largest_error": error,
            "loss_by_sum_weights_too": helped,
            "loss_by_negative_part_gates_only": parts,
        },
        {
            "on the simplex: below 0.0001": sums.high[~off].max() < 1e-4,
            "at sums of 0.5 and 1.5: above the criterion, 0.02": sums.low[[2, 6]].min() > THETA,
            "theory and measurement agree to 0.002 at all sums": error.high < 0.002,
            "with 0.4 of C taken away: above the criterion too": parts.low[NEGATIVE.index(0.4)] > THETA,
            "weights that learn remove more than half of it in 3 time units": (
                helped.high[off] < sums.low[off] / 2
            ).all(),
        },
    )


def of_pairs(pairs: Sequence[tuple[int, int]] | None = None) -> gl.Experiment:
    """Four paths trained on four single tasks, or on the means of some pairs of them, 22 blocks of each."""
    teachers = FOUR if pairs is None else gl.Sums(FOUR, halves(pairs, 4))
    count, first = (4, 0) if pairs is None else (len(pairs), 4)
    order = tuple(range(first, first + count))
    return LONGER.replace(teachers=teachers, paths=4, curriculum=gl.Blocked(blocks=22 * count, order=order))


@functools.lru_cache(maxsize=8)
@cached
def pair_gaps(pairs: tuple[tuple[int, int], ...] | None, nonnegative: bool, seeds: int = SEEDS) -> xr.DataArray:
    """The loss on the mean of each of the six pairs with the best gates, dims seed and mixture."""
    results = gl.simulate(of_pairs(pairs), seeds, (record.loss,), every=1000)
    targets = transfer.mixtures(results, halves(ALL_PAIRS, 4))
    return transfer.loss_with(results, transfer.best_gates(results, targets, nonnegative=nonnegative), targets)


@claim(
    "pairs",
    "beyond",
    "Four tasks give all six pairs; four pairs give the other two with negative gates or not at all.",
    counterfactual={"singles": TRIANGLE},
)
def pairs(singles: tuple[tuple[int, int], ...] | None = None) -> Outcome:
    """Loss on the mean of each pair with the best gates that are not negative, by what the network was trained on."""
    alone, ring, triangle = (median(pair_gaps(some, True)) for some in (singles, RING, TRIANGLE))
    ring_free, triangle_free = (median(pair_gaps(some, False)) for some in (RING, TRIANGLE))
    seen = [pair in TRIANGLE or pair[::-1] in TRIANGLE for pair in ALL_PAIRS]
    unseen = ~np.array(seen)
    # AC is (1, 0, 1, 0) / 2, which is 1/2 away from all that the ring spans: half of q (1/2)^2
    # and so far is the nearest point of the cone from AD and BD, for paths that are AB, BC, CA and CD
    missing = FOUR_SIZE / 8
    return Outcome(
        {
            "gap_singles": alone,
            "gap_ring": ring,
            "gap_ring_any_sign": ring_free,
            "gap_predicted_if_paths_were_pairs": exact(missing),
            "gap_triangle": triangle,
            "gap_triangle_any_sign": triangle_free,
        },
        {
            "trained on A, B, C, D: all six below 0.001": alone.high.max() < 1e-3,
            "trained on AB, BC, CD, DA: AC and BD cost what theory says, to 1 %, whatever the gates": (
                abs(ring_free.value[4:] / missing - 1) < 0.01
            ).all()
            and (ring.low[4:] > 0.99 * missing).all(),
            "trained on AB, BC, CA, CD: the other two cost less than 0.001 with gates of any sign": (
                triangle_free.high[unseen] < 1e-3
            ).all(),
            "and more than the criterion, 0.02, with gates that are not negative": (triangle.low[unseen] > THETA).all(),
        },
    )
