"""Eigenspace reduction: the experiments and the claims of the paper's Fig. 4 and of its appendix on the reduction."""

from __future__ import annotations

import functools

import jax
import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, reduction
from gatedlib.paper.claims import Estimate, Outcome, claim, exact, fraction, median
from gatedlib.paper.dynamics import FLEXIBLE, SEEDS
from gatedlib.theory import Switch

TOY = gl.Experiment(
    teachers=gl.Given(np.eye(2)[:, :, None]),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20, block_length=1.0),
    flow=gl.Flow(tau_w=1.3, tau_c=0.06, penalties=(gl.Nonnegative(a=0.1818), gl.UnitNorm(b=1.818))),
)
"""Fig. 2 in one mode: teachers of length 1, so that what acts on gates is twice as large as there, and tau_c too."""

SPECIALIST = gl.Params(weights=np.eye(2)[:, :, None], gates=np.array([0.0, 1.0]))
"""Each path is a teacher, and the gate of the second is open: a trained network just before a switch to the first."""

OVERWRITER = gl.Params(weights=np.array([[[0.0], [1.0]]] * 2), gates=np.array([0.5, 0.5]))
"""Both paths are the second teacher: a forgetful network just before a switch to the first task."""

CURVES = (0.1, 10**-0.75, 10**-0.5, 10**-0.25, 1.0)
"""The gate time constants of Fig. 4H."""

RANKS = (1, 2, 4, 8, 15)
BLOCK_LENGTHS = (0.125, 0.25, 0.5, 1.0, 2.0)


def eigenspaces(results: xr.Dataset) -> list[reduction.Eigenspace]:
    """The span of the teachers of each seed."""
    return [reduction.span(teachers) for teachers in results.teachers.values]


@functools.lru_cache(maxsize=4)
def beside(experiment: gl.Experiment, seeds: int, on_mode: bool) -> tuple[xr.Dataset, xr.Dataset]:
    """A run of the full network and of its reduction to one coordinate per teacher, from the same start.

    Args:
        experiment: the full network; its teachers are orthogonal and of one length.
        seeds: how many.
        on_mode: start the full network inside the eigenspace, as the reduction does, or with all of its weights.
    """
    teachers, start = jax.vmap(experiment.draw)(np.arange(seeds))
    spaces = [reduction.span(each) for each in np.asarray(teachers)]
    inside = [space.project(weights) for space, weights in zip(spaces, start.weights, strict=True)]
    narrow = gl.Params(np.stack(inside), start.gates)
    if on_mode:
        lifted = [space.lift(weights) for space, weights in zip(spaces, inside, strict=True)]
        start = gl.Params(np.stack(lifted), start.gates)
    keep = (record.loss, record.gates, record.weight_products)
    full = gl.simulate(experiment, seeds, keep, every=10, initial=start)
    return full, gl.simulate(spaces[0].reduce(experiment), seeds, keep, every=10, initial=narrow)


@claim("A.1", "A.1", "Four weights and two gates behave like the full network, from the first step to the last.")
def reduced(experiment: gl.Experiment = FLEXIBLE, tau_c: float | None = None) -> Outcome:
    """Root mean square difference of the gates over the whole run, full network (batches of 200) against reduction."""

    def rmse(on_mode: bool) -> xr.DataArray:
        full, small = beside(experiment, SEEDS, on_mode)
        if tau_c is not None:
            _, small = beside(experiment.replace(tau_c=tau_c), SEEDS, on_mode)
        return np.sqrt(((full.gates - small.gates) ** 2).mean(("time", "path")))

    same, whole = median(rmse(True)), median(rmse(False))
    return Outcome(
        {"reduced_vs_full_gate_rmse": whole, "reduced_vs_full_gate_rmse_on_mode": same},
        {
            "from the same start: below 0.01": same.high < 0.01,
            "with all weights at the start: below 0.1": whole.high < 0.1,
        },
    )


RANKED = FLEXIBLE.replace(tau_c=0.06, inputs=gl.Population())
"""Fig. A.2: with teachers of rank 1 and penalties to match this is the toy, but for its many weights."""


def crossing_time(results: xr.Dataset) -> xr.DataArray:
    """Time from the first step of a block until both gates are equal, between steps by a straight line."""
    apart = results.gates.isel(path=0) - results.gates.isel(path=1)
    dt = float(results.attrs["flow.dt"])

    def crossing(values: np.ndarray) -> np.ndarray:
        values = values * np.sign(values[..., :1])
        after = np.argmax(values <= 0, -1)[..., None]
        before, beyond = (np.take_along_axis(values, at, -1)[..., 0] for at in (np.maximum(after - 1, 0), after))
        steps = after[..., 0] - 1 + before / np.where(before > beyond, before - beyond, 1.0)
        return np.where(after[..., 0] > 0, steps * dt, np.nan)

    return metrics.per_block(apart, results, crossing)


@functools.lru_cache(maxsize=4)
def crossings(experiment: gl.Experiment, dts: tuple[float, ...], seeds: int = 10) -> xr.DataArray:
    """Crossing time after training, for teachers of each rank and steps of each length; penalties grow with rank."""
    by_rank = []
    for rank in RANKS:
        values = (1.0,) * rank + (0.0,) * (max(RANKS) - rank)  # of one number throughout: compiled once
        trained = experiment.replace(teachers=gl.Spectral(values), a=0.1818 * rank, b=1.818 * rank)
        start = gl.results.final_params(gl.simulate(trained, seeds, (record.gates,), every=1000))
        once = trained.replace(curriculum=gl.Blocked(blocks=1, block_length=0.2))
        by_dt = [crossing_time(gl.simulate(once.replace(dt=dt), seeds, (record.gates,), initial=start)) for dt in dts]
        by_rank.append(xr.concat([each.isel(block=0, drop=True) for each in by_dt], "dt"))
    return xr.concat(by_rank, "rank").assign_coords(rank=list(RANKS), dt=list(dts))


@claim("A.2", "A.2", "The speed of trained gates is proportional to the sum of the teachers' squared singular values.")
def gate_speed(experiment: gl.Experiment = RANKED, dt: float = 1e-4) -> Outcome:
    """Slope of the gates' speed (1 over the time until they cross) against the sum of s squared, both logarithmic."""
    times = crossings(experiment, (dt,)).isel(dt=0, drop=True)
    switches = times.notnull().all("rank")  # a few networks never become flexible, and their gates do not cross
    speeds = 1 / times.sel(seed=switches).transpose("rank", "seed").values
    enough = speeds.shape[1] >= 6
    slopes = np.polyfit(np.log(RANKS), np.log(speeds), 1)[0] if enough else []
    slope = median(xr.DataArray(slopes, dims="seed")) if enough else exact(np.nan)
    return Outcome(
        {"gate_speed_slope": slope, "networks_that_switch": fraction(switches)},
        {
            "at least 6 of 10 networks switch by their gates at every rank": enough,
            "slope 1, to 0.1": slope.low > 0.9 and slope.high < 1.1,
        },
    )


def one_switch(experiment: gl.Experiment, start: gl.Params) -> xr.Dataset:
    """The block that follows a switch to the first task, from trained parameters."""
    keep = (record.loss, record.gates, record.weights, record.weight_products)
    return gl.simulate(experiment.replace(curriculum=gl.Blocked(blocks=1)), seeds=1, record=keep, initial=start)


FORGETFUL_TOY = TOY.replace(tau_c=1.3, penalties=())


@claim("4", "4", "In one switch the flexible network turns its gates, and the forgetful one drags its weights.")
def switch(flexible: gl.Experiment = TOY, forgetful: gl.Experiment = FORGETFUL_TOY) -> Outcome:
    """How far gates turn (1: from one to the other) and weights go (1: from teacher to teacher) in the 20th block."""

    def moved(experiment: gl.Experiment) -> tuple[Estimate, Estimate]:
        results = gl.simulate(experiment, SEEDS, (record.gates, record.weights), every=10)
        last = results.sel(time=slice(19 - 1e-6, None))
        first, final = last.isel(time=0), last.isel(time=-1)
        turned = abs((final.gates - first.gates).diff("path")).isel(path=0) / 2
        went = np.sqrt(((final.weights - first.weights) ** 2).sum(("out", "in")).mean("path") / 2)
        return median(turned), median(went)

    (turned, went), (turned_slow, went_slow) = moved(flexible), moved(forgetful)
    return Outcome(
        {
            "gates_turned_flexible": turned,
            "gates_turned_forgetful": turned_slow,
            "weights_moved_flexible": went,
            "weights_moved_forgetful": went_slow,
        },
        {
            "flexible: gates turn by more than 0.9": turned.low > 0.9,
            "forgetful: gates turn by less than 0.1": turned_slow.high < 0.1,
            "the forgetful network's weights go more than 5 times as far": went_slow.low > 5 * went.high,
        },
    )


def course(results: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """The difference of two gates, and the distance of two paths relative to that of the teachers."""
    return results.gates.isel(path=0) - results.gates.isel(path=1), np.sqrt(metrics.specialization(results))


@claim("4H", "4", "Within a block gates and specialization keep to one curve, known in closed form.")
def curves(tau_w: float = 1.0, formula: float = 1.0) -> Outcome:
    """Largest distance of simulated switches from the curve, extrapolated to steps of no length."""
    errors = []
    for tau_c in CURVES:
        block = gl.Blocked(blocks=1, block_length=5.0)
        experiment = TOY.replace(tau_w=tau_w, tau_c=tau_c, penalties=(), curriculum=block)
        off = []
        for dt, every in ((1e-3, 10), (5e-4, 20)):
            with jax.enable_x64(True):
                keep = (record.gates, record.weight_products)
                results = gl.simulate(experiment.replace(dt=dt), 1, keep, every, initial=SPECIALIST)
            gates, apart = course(results)
            off.append(apart.values - Switch(formula * tau_w, tau_c).curve(gates.values))
        errors.append(np.abs(2 * off[1] - off[0]).max())
    return Outcome(
        {"analytic_curve_max_error": exact(max(errors)), "analytic_curve_error_by_tau_c": exact(errors)},
        {"at most 0.001 at every tau_c": max(errors) <= 1e-3},
    )


CYCLE = TOY.replace(tau_w=2.0, tau_c=0.02, blocks=100)


def cycle_distances(results: xr.Dataset) -> np.ndarray:
    """The largest distance of weights and gates from where they were a period (two blocks) before, for each period."""
    weights = results.weights.values.reshape(results.sizes["time"], -1)
    states = np.concatenate([results.gates.values[0], weights], -1)
    periods = states.reshape(results.sizes["block"] // 2, -1, states.shape[-1])
    return np.sqrt(np.sum(np.diff(periods, axis=0) ** 2, -1)).max(1)


@claim("4F", "4", "Training ends in a limit cycle: each pair of blocks repeats the last, ever more exactly.")
def cycle(experiment: gl.Experiment = CYCLE) -> Outcome:
    """Distance between successive periods, solved without steps: simulated gates jitter about zero and hide it."""
    distances = cycle_distances(gl.solve(experiment, 1, (record.gates, record.weights), every=100))
    halving = -np.log(2) / np.polyfit(np.arange(20, len(distances)), np.log(distances[20:]), 1)[0]
    return Outcome(
        {"cycle_distance": exact(distances), "periods_to_halve": exact(halving)},
        {
            "the last distance is below 0.0001": distances[-1] < 1e-4,
            "it shrinks from period 20 to 30 and from 30 to 40": distances[20] > distances[30] > distances[40],
        },
    )


EQUAL_TIME = FLEXIBLE.replace(curriculum=gl.Blocked(duration=20.0), inputs=gl.Population())


@claim("4E", "4", "At equal total time, the longer the blocks the further the paths specialize.")
def block_lengths(experiment: gl.Experiment = EQUAL_TIME) -> Outcome:
    """Specialization at the end of 20 time units."""
    grid = gl.sweep(
        experiment,
        seeds=SEEDS,
        record=(record.weight_products,),
        every=50,
        measure=lambda results: metrics.specialization(results).isel(time=-1),
        block_length=BLOCK_LENGTHS,
    )
    by_length = median(grid.specialization)
    return Outcome(
        {"specialization_by_block_length": by_length, "block_length": exact(BLOCK_LENGTHS)},
        {
            "it rises from each length to the next": (np.diff(by_length.value) > 0).all(),
            "below 0.1 at 0.25, above 0.8 at 1": by_length.high[1] < 0.1 and by_length.low[3] > 0.8,
        },
    )


def first_blocks(block_length: float, apart: float = 0.5, penalties: tuple[gl.Penalty, ...] = ()) -> xr.Dataset:
    """Two blocks of the toy from equal gates and paths partly apart, solved without steps, 1000 frames a block."""
    mean, aside = np.full(2, 0.5), np.array([0.5, -0.5]) * apart
    start = gl.Params(np.stack([mean + aside, mean - aside])[:, :, None], np.full(2, 0.5))
    blocks = gl.Blocked(blocks=2, block_length=block_length)
    experiment = TOY.replace(penalties=penalties, curriculum=blocks, dt=block_length / 1000)
    return gl.solve(experiment, 1, (record.gates, record.weight_products), initial=start)


def kept_after(results: xr.Dataset) -> tuple[float, float]:
    """What the first of two blocks adds to the distance of the paths, and what is left when gates are equal again."""
    gates, apart = (values.isel(seed=0).values for values in course(results))
    middle = len(gates) // 2
    crossed = np.flatnonzero(gates[middle:] <= 0)
    if not len(crossed):
        return apart[middle] - apart[0], np.nan
    around = middle + crossed[0] - np.array([0, 1])
    return apart[middle] - apart[0], np.interp(0.0, gates[around], apart[around]) - apart[0]


@claim("A.9", "A.9", "From equal gates a block parts paths, to second order in its length; the next one takes it back.")
def orders(
    block_lengths: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04, 0.5),
    start: float = 0.5,
    penalties: tuple[gl.Penalty, ...] = (),
) -> Outcome:
    """The order of the gain of the short blocks, its size against the formula, and what is left of all of them."""
    gained, kept = np.transpose([kept_after(first_blocks(length, start, penalties)) for length in block_lengths])
    tau_w, tau_c = float(TOY.flow.tau_w), float(TOY.flow.tau_c)
    predicted = start * np.square(block_lengths) / (4 * tau_w * tau_c)
    short = np.array(block_lengths) < 0.1
    order = np.polyfit(np.log(block_lengths)[short], np.log(gained[short]), 1)[0] if short.sum() > 1 else np.nan
    share = np.abs(kept / gained).max()
    return Outcome(
        {"gain_order": exact(order), "gain_over_formula": exact(gained / predicted), "gain_kept_share": exact(share)},
        {
            "the gain of short blocks grows as the length to the power 2, to 0.2": abs(order - 2) < 0.2,
            "for the shortest block it is that of the formula, to 10 %": abs(gained[0] / predicted[0] - 1) < 0.1,
            "less than 0.1 % of it is left when the gates are equal again, at any length": share < 1e-3,
        },
    )


@claim("A.8", "A.8", "The tangent kernel, alignment plus selectivity, says how the output moves.")
def tangent_kernel(experiment: gl.Experiment = TOY, without: float = 0.0) -> Outcome:
    """Kernel times error against one minute simulated step without penalties, from 200 moments of a training run."""
    training = gl.simulate(experiment, 1, (record.gates, record.weights, record.weight_products), every=100)
    moments = gl.Params(training.weights.values[0], training.gates.values[0])
    dt = 1e-7
    step = experiment.replace(penalties=(), dt=dt, curriculum=gl.Blocked(blocks=1, block_length=dt))
    with jax.enable_x64(True):
        moved = gl.results.final_params(gl.simulate(step, len(moments.gates), initial=moments))
        before, after = (np.einsum("sp,spoi->so", p.gates, p.weights) for p in (moments, moved))
    off = []
    for number, (start, end) in enumerate(zip(before.astype(float), after, strict=True)):
        params = gl.Params(moments.weights[number].astype(float), moments.gates[number].astype(float))
        alignment, selectivity = reduction.kernel(params, float(experiment.flow.tau_w), float(experiment.flow.tau_c))
        start = np.einsum("p,poi->o", params.gates, params.weights)
        velocity, predicted = (end - start) / dt, ((1 - without) * alignment + selectivity) @ (np.eye(2)[0] - start)
        off.append(np.abs(velocity - predicted).max() / np.abs(velocity).max())
    return Outcome({"ntk_max_error": exact(max(off))}, {"relative error at most 0.00001": max(off) <= 1e-5})


def outside(results: xr.Dataset) -> xr.DataArray:
    r"""How far the toy's paths are from the symmetric subspace, relative to the teachers' distance.

    There they are :math:`\tfrac12 (1 \pm \bar w, 1 \mp \bar w)`: the mean of both teachers, plus and minus.

    Args:
        results: a run of the toy with `weights` and `alignment` recorded.

    Returns:
        The root mean square over both paths, dims seed and time.
    """
    weights = metrics.relabelled(results).weights.values[..., 0]
    axis = np.array([0.5, -0.5])
    along = (weights[:, :, 0] - weights[:, :, 1]) @ axis
    symmetric = 0.5 + along[..., None, None] * np.stack([axis, -axis])
    rest = np.sqrt(np.sum((weights - symmetric) ** 2, (-2, -1)) / 2) / np.sqrt(2)
    return xr.DataArray(rest, {"seed": results.seed, "time": results.time}, ("seed", "time"))


@claim("A.10", "A.10", "Training carries weights into the symmetric subspace, and keeps them near it.")
def subspace(experiment: gl.Experiment = TOY) -> Outcome:
    """Largest distance from the symmetric subspace in each block."""
    results = gl.simulate(experiment, SEEDS, (record.gates, record.weights, record.alignment), every=10)
    largest = median(metrics.per_block(outside(results), results, lambda values: values.max(-1)))
    shrinks = all(largest.high[late] < largest.low[early] for early, late in ((0, 4), (4, 9), (9, 19)))
    return Outcome(
        {"outside_subspace": largest},
        {
            "smaller at block 5 than 1, at 10 than 5, at 20 than 10": shrinks,
            "below 0.05 at block 20": largest.high[19] < 0.05,
        },
    )
