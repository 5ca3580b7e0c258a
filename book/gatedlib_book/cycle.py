"""The virtuous cycle: the claims of the paper's Fig. 4E to H and of its appendix on the symmetric model."""

from __future__ import annotations

import jax
import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.analysis.theory import Switch
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Numbers, exact, median
from gatedlib_book.experiments import FLEXIBLE, SEEDS, SPECIALIST, TOY
from gatedlib_book.networks import networks

CURVES = (0.1, 10**-0.75, 10**-0.5, 10**-0.25, 1.0)
"""The gate time constants of Fig. 4H."""

DOUBLED_LENGTHS = (0.125, 0.25, 0.5, 1.0, 2.0)


def course(results: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """The difference of two gates, and the distance of two paths relative to that of the teachers."""
    return results.gates.isel(path=0) - results.gates.isel(path=1), np.sqrt(metrics.specialization(results))


@claim("4H", "4", counterfactual={"formula": 1.1})
def curves(tau_w: float = 1.0, formula: float = 1.0) -> Measured:
    """Within a block gates and specialization keep to one curve, known in closed form.

    Largest distance of simulated switches from the curve, extrapolated to steps of no length.
    """
    errors = []
    for tau_c in CURVES:
        block = gl.Blocked(blocks=1, block_length=5.0)
        experiment = TOY.replace(tau_w=tau_w, tau_c=tau_c, penalties=(), curriculum=block)
        distances = []
        for dt, every in ((1e-3, 10), (5e-4, 20)):
            with jax.enable_x64(True):
                keep = (record.gates, record.weight_products)
                results = gl.simulate(experiment.replace(dt=dt), networks(1), keep, every, initial=SPECIALIST)
            gates, distance = course(results)
            distances.append(distance.values - Switch(formula * tau_w, tau_c).curve(gates.values))
        errors.append(np.abs(2 * distances[1] - distances[0]).max())
    n = Numbers(
        analytic_curve_max_error=exact(max(errors)),
        analytic_curve_error_by_tau_c=exact(errors, tau_c=CURVES),
    )
    return n, {"the distance is {} at every tau_c": n.analytic_curve_error_by_tau_c <= 1e-3}


CYCLE = TOY.replace(tau_w=2.0, tau_c=0.02, blocks=100)
"""A network in one mode that goes round its two tasks until every round is like the one before."""


def cycle_distances(results: xr.Dataset) -> np.ndarray:
    """The largest distance of weights and gates from where they were a period (two blocks) before, for each period."""
    weights = results.weights.values.reshape(results.sizes["time"], -1)
    states = np.concatenate([results.gates.values[0], weights], -1)
    periods = states.reshape(results.sizes["block"] // 2, -1, states.shape[-1])
    return np.sqrt(np.sum(np.diff(periods, axis=0) ** 2, -1)).max(1)


UNEVEN = gl.BlockSequence((0, 1) * 50, np.random.default_rng(0).permutation([0.5, 1.5] * 50).tolist())
"""As many blocks as in the limit cycle and as much time, of lengths in random order, so that periods do not repeat."""


@claim("4F", "4", counterfactual={"experiment": CYCLE.replace(curriculum=UNEVEN)})
def cycle(experiment: gl.Experiment = CYCLE) -> Measured:
    """Training ends in a limit cycle: each pair of blocks repeats the last, ever more exactly.

    Distance between successive periods, solved without steps: simulated gates jitter about zero and hide it.
    """
    distances = cycle_distances(gl.solve(experiment, networks(1), (record.gates, record.weights), every=100))
    halving = -np.log(2) / np.polyfit(np.arange(20, len(distances)), np.log(distances[20:]), 1)[0]
    periods = range(2, len(distances) + 2)
    n = Numbers(cycle_distance=exact(distances, period=periods), periods_to_halve=exact(halving))
    return n, {
        "the last distance is {}": n.cycle_distance.at(period=periods[-1]) < 1e-4,
        "it shrinks from period 20 to 30 and from 30 to 40": n.cycle_distance.at(period=[20, 30, 40]).falls(),
    }


EQUAL_TIME = FLEXIBLE.replace(curriculum=gl.Blocked(duration=20.0), inputs=gl.Population())
"""The network of Fig. 2 on all inputs at once, for 20 time units whatever the length of its blocks."""


@claim("4E", "4", counterfactual={"experiment": EQUAL_TIME.replace(b=0.0)})
def block_lengths(experiment: gl.Experiment = EQUAL_TIME) -> Measured:
    """At equal total time, the longer the blocks the further the paths specialize.

    Specialization at the end of 20 time units.
    """
    specialization = gl.sweep(
        experiment,
        seeds=networks(SEEDS),
        record=(record.weight_products,),
        every=50,
        measure=lambda results: metrics.specialization(results).isel(time=-1),
        block_length=DOUBLED_LENGTHS,
    ).specialization
    n = Numbers(
        specialization_by_block_length=median(specialization),
        gain_from_shorter_block=median(specialization.diff("block_length")),
        block_length=exact(DOUBLED_LENGTHS),
    )
    return n, {
        "from each length to the next specialization rises by {}": n.gain_from_shorter_block > 0,
        "in blocks of 0.25 it is {}": n.specialization_by_block_length.at(block_length=0.25) < 0.1,
        "in blocks of 1 it is {}": n.specialization_by_block_length.at(block_length=1.0) > 0.8,
    }


def first_blocks(block_length: float, distance: float = 0.5, penalties: tuple[gl.Penalty, ...] = ()) -> xr.Dataset:
    """Two blocks of the toy from equal gates and paths partly apart, solved without steps, 1000 frames a block."""
    mean, aside = np.full(2, 0.5), np.array([0.5, -0.5]) * distance
    start = gl.Params(np.stack([mean + aside, mean - aside])[:, :, None], np.full(2, 0.5))
    blocks = gl.Blocked(blocks=2, block_length=block_length)
    experiment = TOY.replace(penalties=penalties, curriculum=blocks, dt=block_length / 1000)
    return gl.solve(experiment, networks(1), (record.gates, record.weight_products), initial=start)


def kept_after(results: xr.Dataset) -> tuple[float, float]:
    """What the first of two blocks adds to the distance of the paths, and what is left when gates are equal again."""
    gates, distance = (values.isel(seed=0).values for values in course(results))
    middle = len(gates) // 2
    crossed = np.flatnonzero(gates[middle:] <= 0)
    if not len(crossed):
        return distance[middle] - distance[0], np.nan
    around = middle + crossed[0] - np.array([0, 1])
    return distance[middle] - distance[0], np.interp(0.0, gates[around], distance[around]) - distance[0]


@claim("A.9", "A.9", counterfactual={"block_lengths": (0.5, 1.0, 2.0), "penalties": TOY.flow.penalties})
def orders(
    block_lengths: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04, 0.5),
    start: float = 0.5,
    penalties: tuple[gl.Penalty, ...] = (),
) -> Measured:
    """From equal gates a block parts paths, to second order in its length; the next one takes it back.

    The order of the gain of the short blocks, its size against the formula, and what is left of all of them.
    """
    gained, kept = np.transpose([kept_after(first_blocks(length, start, penalties)) for length in block_lengths])
    tau_w, tau_c = float(TOY.flow.tau_w), float(TOY.flow.tau_c)
    predicted = start * np.square(block_lengths) / (4 * tau_w * tau_c)
    short = np.array(block_lengths) < 0.1
    order = np.polyfit(np.log(block_lengths)[short], np.log(gained[short]), 1)[0] if short.sum() > 1 else np.nan
    n = Numbers(
        gain_order=exact(order),
        gain_over_formula=exact(gained / predicted, block_length=block_lengths),
        gain_kept_share=exact(np.abs(kept / gained).max()),
    )
    shortest = n.gain_over_formula.at(block_length=min(block_lengths))
    return n, {
        "the gain of short blocks grows as the length to a power {}": n.gain_order.within(1.8, 2.2),
        "for the shortest block it is {} times that of the formula": shortest.within(0.9, 1.1),
        "the share of it that is left when the gates are equal again, at any length, is {}": n.gain_kept_share < 1e-3,
    }


def outside(results: xr.Dataset) -> xr.DataArray:
    r"""How far the toy's paths are from the symmetric subspace, relative to the teachers' distance.

    There they are :math:`\tfrac12 (1 \pm \bar w, 1 \mp \bar w)`: the mean of both teachers, plus and minus.

    Args:
        results: a run of the toy with `weights` and `alignment` recorded.

    Returns:
        The root mean square over both paths, dims seed and time.
    """
    weights = metrics.reorder_paths(results).weights.values[..., 0]
    axis = np.array([0.5, -0.5])
    along = (weights[:, :, 0] - weights[:, :, 1]) @ axis
    symmetric = 0.5 + along[..., None, None] * np.stack([axis, -axis])
    rest = np.sqrt(np.sum((weights - symmetric) ** 2, (-2, -1)) / 2) / np.sqrt(2)
    return xr.DataArray(rest, {"seed": results.seed, "time": results.time}, ("seed", "time"))


@claim("A.10", "A.10", counterfactual={"experiment": TOY.replace(penalties=())})
def subspace(experiment: gl.Experiment = TOY) -> Measured:
    """Training carries weights into the symmetric subspace, and keeps them near it.

    Largest distance from the symmetric subspace in each block.
    """
    keep = (record.gates, record.weights, record.alignment)
    results = gl.simulate(experiment, networks(SEEDS), keep, every=10)
    n = Numbers(
        outside_subspace=median(metrics.per_block(outside(results), results, lambda distance: distance.max(-1)))
    )
    return n, {
        "it is smaller at block 5 than at 1, at 10 than at 5, at 20 than at 10": (
            n.outside_subspace.at(block=[1, 5, 10, 20]).falls()
        ),
        "it is {} at block 20": n.outside_subspace.at(block=20) < 0.05,
    }
