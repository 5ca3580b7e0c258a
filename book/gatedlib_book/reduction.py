"""Eigenspace reduction: the experiments and the claims of the paper's Fig. 4 and of its appendix on the reduction."""

from __future__ import annotations

import jax
import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, reduction
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Numbers, along, exact, fraction, median
from gatedlib_book.experiments import FLEXIBLE, SEEDS, TOY
from gatedlib_book.networks import networks

OVERWRITER = gl.Params(weights=np.array([[[0.0], [1.0]]] * 2), gates=np.array([0.5, 0.5]))
"""Both paths are the second teacher: a forgetful network just before a switch to the first task."""

RANKS = (1, 2, 4, 8, 15)


def drawn(experiment: gl.Experiment, seeds: int) -> tuple[list[reduction.Eigenspace], gl.Params, np.ndarray]:
    """For each seed the span of its teachers, its initial parameters, and its initial weights in that span."""
    teachers, start = jax.vmap(experiment.draw)(np.array(networks(seeds)))
    spaces = [reduction.teacher_span(matrices) for matrices in np.asarray(teachers)]
    inside = [space.project(weights) for space, weights in zip(spaces, start.weights, strict=True)]
    return spaces, start, np.stack(inside)


@cached
def full_and_reduced_runs(experiment: gl.Experiment, seeds: int, on_mode: bool) -> tuple[xr.Dataset, xr.Dataset]:
    """A run of the full network and of its reduction to one coordinate per teacher, from the same start.

    Args:
        experiment: the full network; its teachers are orthogonal and of one length.
        seeds: how many.
        on_mode: start the full network inside the eigenspace, as the reduction does, or with all of its weights.
    """
    spaces, start, inside = drawn(experiment, seeds)
    narrow = gl.Params(inside, start.gates)
    if on_mode:
        lifted = [space.lift(weights) for space, weights in zip(spaces, inside, strict=True)]
        start = gl.Params(np.stack(lifted), start.gates)
    full = gl.simulate(experiment, networks(seeds), (record.gates,), every=10, initial=start)
    reduced = spaces[0].reduce(experiment)
    return full, gl.simulate(reduced, networks(seeds), (record.gates,), every=10, initial=narrow)


@claim("A.1", "A.1", counterfactual={"tau_c": 0.1})
def reduced(experiment: gl.Experiment = FLEXIBLE, tau_c: float | None = None) -> Measured:
    """Four weights and two gates behave like the full network, from the first step to the last.

    Root mean square difference of the gates over the whole run, full network (batches of 200) against reduction.
    """

    def rmse(on_mode: bool) -> xr.DataArray:
        full, small = full_and_reduced_runs(experiment, SEEDS, on_mode)
        if tau_c is not None:
            _, small = full_and_reduced_runs(experiment.replace(tau_c=tau_c), SEEDS, on_mode)
        return np.sqrt(((full.gates - small.gates) ** 2).mean(("time", "path")))

    n = Numbers(
        reduced_vs_full_gate_rmse=median(rmse(on_mode=False)),
        reduced_vs_full_gate_rmse_on_mode=median(rmse(on_mode=True)),
    )
    return n, {
        "from the same start the difference is {}": n.reduced_vs_full_gate_rmse_on_mode < 0.01,
        "with all weights at the start it is {}": n.reduced_vs_full_gate_rmse < 0.1,
    }


RANKED = FLEXIBLE.replace(tau_c=0.06, inputs=gl.Population())
"""Fig. A.2: with teachers of rank 1 and penalties to match this is the toy, but for its many weights."""


def crossing_time(results: xr.Dataset) -> xr.DataArray:
    """Time from the first step of a block until both gates are equal, between steps by a straight line."""
    difference = results.gates.isel(path=0) - results.gates.isel(path=1)
    dt = gl.results.settings(results)["flow.dt"]

    def crossing(values: np.ndarray) -> np.ndarray:
        values = values * np.sign(values[..., :1])
        after = np.argmax(values <= 0, -1)[..., None]
        before, beyond = (np.take_along_axis(values, at, -1)[..., 0] for at in (np.maximum(after - 1, 0), after))
        steps = after[..., 0] - 1 + before / np.where(before > beyond, before - beyond, 1.0)
        return np.where(after[..., 0] > 0, steps * dt, np.nan)

    return metrics.per_block(difference, results, crossing)


@cached
def trained(experiment: gl.Experiment, seeds: int) -> gl.Params:
    """The parameters at the end of a run, to time a switch from."""
    return gl.results.final_params(gl.simulate(experiment, networks(seeds), (record.gates,), every=1000))


@cached
def crossings(experiment: gl.Experiment, dts: tuple[float, ...], seeds: int = 10) -> xr.DataArray:
    """Crossing time after training, for teachers of each rank and steps of each length; penalties grow with rank."""
    by_rank = []
    for rank in RANKS:
        values = (1.0,) * rank + (0.0,) * (max(RANKS) - rank)  # of one number throughout: compiled once
        ranked = experiment.replace(teachers=gl.Spectral(values), a=0.1818 * rank, b=1.818 * rank)
        start = trained(ranked, seeds)
        once = ranked.replace(curriculum=gl.Blocked(blocks=1, block_length=0.2))
        runs = [gl.simulate(once.replace(dt=dt), networks(seeds), (record.gates,), initial=start) for dt in dts]
        by_dt = [crossing_time(results) for results in runs]
        by_rank.append(along("dt", dts, [times.isel(block=0, drop=True) for times in by_dt]))
    return along("rank", RANKS, by_rank)


@claim("A.2", "A.2", counterfactual={"experiment": RANKED.replace(tau_c=0.6)})
def gate_speed(experiment: gl.Experiment = RANKED, dt: float = 1e-4) -> Measured:
    """The speed of trained gates is proportional to the sum of the teachers' squared singular values.

    Slope of the gates' speed (1 over the time until they cross) against the sum of s squared, both logarithmic.
    """
    times = crossings(experiment, (dt,)).isel(dt=0, drop=True)
    # a few networks are late to become flexible, and until then their gates do not cross
    switches = times.notnull().all("rank")
    speeds = 1 / times.sel(seed=switches).transpose("rank", "seed").values
    enough = speeds.shape[1] >= 6
    slopes = np.polyfit(np.log(RANKS), np.log(speeds), 1)[0] if enough else []
    n = Numbers(
        gate_speed_slope=median(xr.DataArray(slopes, dims="seed")) if enough else exact(np.nan),
        networks_that_switch=fraction(switches),
    )
    return n, {
        "the fraction of networks that switch by their gates at every rank is {}": n.networks_that_switch > 0.5,
        "the slope is {}": n.gate_speed_slope.within(0.9, 1.1),
    }


def one_switch(experiment: gl.Experiment, start: gl.Params) -> xr.Dataset:
    """The block that follows a switch to the first task, from trained parameters."""
    keep = (record.gates, record.weights)
    once = experiment.replace(curriculum=gl.Blocked(blocks=1))
    return gl.simulate(once, networks(1), keep, initial=start)


FORGETFUL_TOY = TOY.replace(tau_c=1.3, penalties=())
"""The forgetful network in one mode: slow gates that nothing bounds."""


@claim("4", "4", swap=(TOY, FORGETFUL_TOY))
def switch(flexible: gl.Experiment, forgetful: gl.Experiment) -> Measured:
    """In one switch the flexible network turns its gates, and the forgetful one drags its weights.

    How far gates turn (1: from one to the other) and weights go (1: from teacher to teacher) in the 20th block.
    """

    def moved(experiment: gl.Experiment) -> tuple[xr.DataArray, xr.DataArray]:
        results = gl.simulate(experiment, networks(SEEDS), (record.gates, record.weights), every=10)
        last = results.sel(time=slice(19 - 1e-6, None))
        change = last.isel(time=-1) - last.isel(time=0)
        turned = abs(change.gates.diff("path")).isel(path=0) / 2
        return turned, np.sqrt((change.weights**2).sum(("out", "in")).mean("path") / 2)

    (turned, went), (turned_forgetful, went_forgetful) = moved(flexible), moved(forgetful)
    n = Numbers(
        gates_turned_flexible=median(turned),
        gates_turned_forgetful=median(turned_forgetful),
        weights_moved_flexible=median(went),
        weights_moved_forgetful=median(went_forgetful),
        weights_moved_ratio=median(went_forgetful / went),
    )
    return n, {
        "flexible: gates turn by {}": n.gates_turned_flexible > 0.9,
        "forgetful: gates turn by {}": n.gates_turned_forgetful < 0.1,
        "the forgetful network's weights go {} times as far": n.weights_moved_ratio > 5,
    }


@claim("A.8", "A.8", counterfactual={"without": 1.0})
def tangent_kernel(experiment: gl.Experiment = TOY, without: float = 0.0) -> Measured:
    """The tangent kernel, alignment plus selectivity, says how the output moves.

    Kernel times error against one minute simulated step without penalties, from 200 moments of a training run.
    """
    training = gl.simulate(experiment, networks(1), (record.gates, record.weights), every=100)
    moments = gl.Params(training.weights.values[0], training.gates.values[0])
    dt = 1e-7
    step = experiment.replace(penalties=(), dt=dt, curriculum=gl.Blocked(blocks=1, block_length=dt))
    with jax.enable_x64(True):
        moved = gl.results.final_params(gl.simulate(step, networks(len(moments.gates)), initial=moments))
        after = np.einsum("sp,spoi->so", moved.gates, moved.weights)
    errors = []
    for number, end in enumerate(after):
        params = gl.Params(moments.weights[number].astype(float), moments.gates[number].astype(float))
        alignment, selectivity = reduction.kernel(params, float(experiment.flow.tau_w), float(experiment.flow.tau_c))
        start = np.einsum("p,poi->o", params.gates, params.weights)
        velocity, predicted = (end - start) / dt, ((1 - without) * alignment + selectivity) @ (np.eye(2)[0] - start)
        errors.append(np.abs(velocity - predicted).max() / np.abs(velocity).max())
    n = Numbers(ntk_max_error=exact(max(errors)))
    return n, {"the relative error is {}": n.ntk_max_error <= 1e-5}
