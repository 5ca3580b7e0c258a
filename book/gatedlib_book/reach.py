"""Reach: how far gates alone generalize, beyond the paper's Fig. 3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record, transfer
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.composition import THETA, trained
from gatedlib_book.estimates import Numbers, bootstrap, exact, median
from gatedlib_book.experiments import LONGER, PAIRS, SEEDS, halves, single
from gatedlib_book.networks import first_seed, networks

KNOWN = single(LONGER)
"""Three tasks in turn, 66 blocks; the last block is one of task C."""

LAST_TASK = (0.0, 0.0, 1.0)
"""Task C as a mixture of A, B and C."""

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
PAIR_NAMES = ("AB", "BC", "CD", "AD", "AC", "BD")
RING = ALL_PAIRS[:4]
"""AB, BC, CD, AD: four pairs that have only three dimensions, for AB - BC + CD - AD = 0."""

TRIANGLE = (*PAIRS, (2, 3))
"""AB, BC, AC, CD: four pairs that have all four dimensions."""


def random_mixtures(count: int = 20) -> np.ndarray:
    """Weights of random convex mixtures of three tasks, uniform over the triangle; others for other networks."""
    return np.random.default_rng(first_seed()).dirichlet(np.ones(3), count)


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
    distances = np.linalg.norm(mixtures - np.array(LAST_TASK), axis=1)
    return np.array([transfer.adaptation_time(d, SIZE, LONGER.flow.tau_c, THETA, spread) for d in distances])


@claim("mixtures", counterfactual={"sigma": 1.0})
def mixtures(count: int = 20, sigma: float | None = None) -> Measured:
    """Any mixture of the three tasks is solved by gates alone, in the time that theory says.

    Random mixtures never seen: zero-shot gap, and time to adapt against its closed form.
    """
    weights, results = random_mixtures(count), trained(LONGER)
    targets = transfer.mixtures(results, weights.tolist())
    best = transfer.best_gates(results, targets, nonnegative=True)
    times, expected = adaptation(weights), predicted_times(weights, sigma)
    n = Numbers(
        zero_shot_gap_mixtures=median(transfer.loss_with(results, best, targets).max("mixture")),
        adaptation_time=median(times),
        adaptation_time_predicted=exact(expected, mixture=range(1, count + 1)),
        rank_correlation=bootstrap(times, lambda values: stats.spearmanr(np.median(values, 0), expected).statistic),
        largest_error=bootstrap(times, lambda values: np.max(np.abs(np.median(values, 0) - expected))),
    )
    return n, {
        "with the best nonnegative gates every mixture costs {}": n.zero_shot_gap_mixtures < 1e-4,
        "every mixture is solved in a time of {}": n.adaptation_time < 0.1,
        "times and the closed form rank alike, with a correlation of {}": n.rank_correlation > 0.95,
        "they differ by {} time units": n.largest_error < 0.005,
    }


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


@claim("simplex", counterfactual={"b": 0.5})
def simplex(b: float = 2.5) -> Measured:
    """Off the simplex the bounded gates fail, by as much as their spring says; weights must help.

    Sums of the three tasks whose weights add up to 0 to 2, or that take away from C: loss after 3 time units.
    """
    by_sum, by_sum_helped = (
        left_over([equal_parts(s) for s in SUMS], gates_only).assign_coords(mixture=list(SUMS)).rename(mixture="sum")
        for gates_only in (True, False)
    )
    by_part = left_over([less_of_c(n) for n in NEGATIVE]).assign_coords(mixture=list(NEGATIVE)).rename(mixture="part")
    expected = np.array([stuck(s, b) for s in SUMS])
    n = Numbers(
        loss_by_sum_gates_only=median(by_sum),
        loss_by_sum_predicted=exact(expected, sum=SUMS),
        largest_error=bootstrap(by_sum, lambda values: np.max(np.abs(np.median(values, 0) - expected))),
        loss_by_sum_weights_too=median(by_sum_helped),
        loss_left_by_weights=median((by_sum_helped / by_sum).sel(sum=[s for s in SUMS if s != 1])),
        loss_by_negative_part_gates_only=median(by_part),
    )
    return n, {
        "on the simplex the loss is {}": n.loss_by_sum_gates_only.at(sum=1.0) < 1e-4,
        "at sums of 0.5 and 1.5 it is {}, the criterion": n.loss_by_sum_gates_only.at(sum=[0.5, 1.5]) > THETA,
        "theory and measurement differ by {} at all sums": n.largest_error < 0.002,
        "with 0.4 of C taken away the loss is {} too": n.loss_by_negative_part_gates_only.at(part=0.4) > THETA,
        "weights that learn leave {} times as much of it in 3 time units": n.loss_left_by_weights < 0.5,
    }


def of_pairs(pairs: Sequence[tuple[int, int]] | None = None) -> gl.Experiment:
    """Four paths trained on four single tasks, or on the means of some pairs of them, 22 blocks of each."""
    teachers = FOUR if pairs is None else gl.Sums(FOUR, halves(pairs, 4))
    count, first = (4, 0) if pairs is None else (len(pairs), 4)
    order = tuple(range(first, first + count))
    return LONGER.replace(teachers=teachers, paths=4, curriculum=gl.Blocked(blocks=22 * count, order=order))


@cached
def pair_gaps(pairs: tuple[tuple[int, int], ...] | None, nonnegative: bool, seeds: int = SEEDS) -> xr.DataArray:
    """The loss on the mean of each of the six pairs with the best gates, dims seed and pair."""
    results = gl.simulate(of_pairs(pairs), networks(seeds), (record.loss,), every=1000)
    targets = transfer.mixtures(results, halves(ALL_PAIRS, 4))
    loss = transfer.loss_with(results, transfer.best_gates(results, targets, nonnegative=nonnegative), targets)
    return loss.rename(mixture="pair").assign_coords(pair=list(PAIR_NAMES))


@claim("pairs", counterfactual={"singles": TRIANGLE})
def pairs(singles: tuple[tuple[int, int], ...] | None = None) -> Measured:
    """Four tasks give all six pairs; four pairs give the other two with negative gates or not at all.

    Loss on the mean of each pair with the best gates that are not negative, by what the network was trained on.
    """
    n = Numbers(
        gap_singles=median(pair_gaps(singles, nonnegative=True)),
        gap_ring=median(pair_gaps(RING, nonnegative=True)),
        gap_ring_any_sign=median(pair_gaps(RING, nonnegative=False)),
        # AC is (1, 0, 1, 0) / 2, which is 1/2 away from all that the ring spans: half of q (1/2)^2
        # and so far is the nearest point of the cone from AD and BD, for paths that are AB, BC, AC and CD
        gap_predicted_if_paths_were_pairs=exact(FOUR_SIZE / 8),
        gap_triangle=median(pair_gaps(TRIANGLE, nonnegative=True)),
        gap_triangle_any_sign=median(pair_gaps(TRIANGLE, nonnegative=False)),
    )
    ring, ring_any_sign = (
        gap.at(pair=["AC", "BD"]) / n.gap_predicted_if_paths_were_pairs for gap in (n.gap_ring, n.gap_ring_any_sign)
    )
    return n, {
        "trained on A, B, C, D: all six cost {}": n.gap_singles < 1e-3,
        "trained on AB, BC, CD, AD: AC and BD cost {} times what theory says with gates of any sign": (
            ring_any_sign.within(0.95, 1.05)
        ),
        "and {} times that with gates that are not negative": ring > 0.95,
        "trained on AB, BC, AC, CD: AD and BD cost {} with gates of any sign": (
            n.gap_triangle_any_sign.at(pair=["AD", "BD"]) < 1e-3
        ),
        "and {}, the criterion, with gates that are not negative": n.gap_triangle.at(pair=["AD", "BD"]) > THETA,
    }
