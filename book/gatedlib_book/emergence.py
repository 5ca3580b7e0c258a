"""Emergence: at which settings, in which networks and after how many blocks paths specialize. Not in the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record, theory
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, along, bootstrap, exact, fraction, median, stacked
from gatedlib_book.experiments import BY_SPEED, BY_SPEED_RELEASED, CONSERVED, SEEDS, SPECIALIZED, TOY
from gatedlib_book.invariant import least_gate
from gatedlib_book.networks import networks
from gatedlib_book.reduction import drawn

Starts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def starts(experiment: gl.Experiment, seeds: int) -> Starts:
    """Targets, and of each seed's two paths at the start: difference and mean in the teachers' span, and of gates."""
    spaces, start, inside = drawn(experiment, seeds)
    gates = np.asarray(start.gates)
    return spaces[0].targets, (inside[:, 0] - inside[:, 1])[..., 0], inside.mean(1)[..., 0], gates[:, 0] - gates[:, 1]


def predicted_spread(experiment: gl.Experiment, begin: Starts, tau_c: Sequence[float] | None = None) -> xr.DataArray:
    """How far the gates of each seed part by each block, from its initial parameters alone.

    Args:
        experiment: which.
        begin: its initial parameters.
        tau_c: time constants of the gates; only the experiment's own unless given.

    Returns:
        The spread, dims tau_c (if given), seed and block.
    """
    targets, *start = begin
    plan, tau_w = experiment.schedule(), float(experiment.flow.tau_w)
    lengths = (plan.stop - plan.start) * float(experiment.flow.dt)
    speeds = np.array([float(experiment.flow.tau_c)] if tau_c is None else tau_c)
    difference, mean, gates = (np.repeat(values[None], len(speeds), 0) for values in start)
    by_seed = np.repeat(speeds[:, None], len(gates[0]), 1)
    values = theory.gate_divergence(targets, plan.block_tasks, lengths, tau_w, by_seed, difference, mean, gates)
    spread = xr.DataArray(values, {"tau_c": speeds, "seed": networks(len(gates[0]))}, ("tau_c", "seed", "block"))
    return spread.isel(tau_c=0, drop=True) if tau_c is None else spread


@cached
def first_zeros(experiment: gl.Experiment, seeds: int) -> xr.DataArray:
    """When a gate first reaches zero; infinite for seeds in which none does."""
    reached = gl.simulate(experiment, networks(seeds), (least_gate,)).least_gate <= 0
    return reached.time[reached.argmax("time")].where(reached.any("time"), np.inf)


def blocks_of(when: xr.DataArray, spread: xr.DataArray, experiment: gl.Experiment) -> np.ndarray:
    """For each seed the block, from 1, in which a gate reaches zero, and that in which theory says so: (seed, 2)."""
    stops = experiment.schedule().stop * float(experiment.flow.dt)
    measured = np.where(when < np.inf, 1 + np.searchsorted(stops, when.values, side="right"), np.inf)
    over = (spread >= 1).transpose("seed", "block").values
    return np.stack([measured, np.where(over.any(1), 1 + over.argmax(1), np.inf)], 1)


@claim("when", counterfactual={"shuffled": True})
def when_zero(experiment: gl.Experiment = CONSERVED, seeds: int = 100, shuffled: bool = False) -> Measured:
    """In which order networks come to have a gate at zero can be told from their initial weights.

    Rank correlation of the largest predicted spread of the gates with the time at which one reaches zero.
    """
    begin = starts(experiment, seeds)
    spread, when = predicted_spread(experiment, begin), first_zeros(experiment, seeds)
    if shuffled:
        spread = spread.copy(data=np.random.default_rng(0).permutation(spread.values))

    def correlation(guess: np.ndarray) -> Estimate:
        both = xr.DataArray(np.stack([-guess, when.values], -1), dims=("seed", "what"))
        return bootstrap(both, lambda values: np.asarray(stats.spearmanr(values[:, 0], values[:, 1])[0]))

    blocks, reached = blocks_of(when, spread, experiment), when < np.inf
    near = xr.DataArray(np.abs(np.diff(blocks[reached.values], axis=1)[:, 0]) <= 1, dims="seed")
    n = Numbers(
        rank_correlation=correlation(spread.max("block").values),
        rank_correlation_of_first_teacher_alone=correlation(np.abs(begin[1][:, 0])),
        block_right_to_one=fraction(near),
        reached_zero=fraction(reached),
    )
    return n, {
        "the rank correlation is {}": n.rank_correlation > 0.95,
        "it is larger than that of the paths' difference along the first teacher": (
            n.rank_correlation > n.rank_correlation_of_first_teacher_alone
        ),
    }


GRID: dict[str, Any] = {
    "block_length": tuple(np.linspace(0.0625, 1.0, 16).round(3)),
    "tau_c": tuple(np.geomspace(0.003, 0.1, 16).round(5)),
}
"""256 cells over the ranges of the maps in *Regimes*."""

GRID_GIVEN_TIME: dict[str, Any] = {
    "block_length": tuple(np.linspace(0.06, 1.02, 16).round(3)),
    "tau_c": tuple(np.geomspace(0.01, 1.0, 16).round(4)),
}

GIVEN_TIME = BY_SPEED.replace(duration=100.0, dt=2e-3)
"""Fig. 5A in the form that drew it, with time enough for most networks to be done."""

TOY_LENGTHS = tuple((np.geomspace(0.1, 6.0, 15) / 0.02).round() * 0.02)
TOY_SPEEDS = tuple(np.geomspace(0.01, 0.6, 15).round(4))
TOY_DIFFERENCE = 0.01
STEADY = TOY.replace(tau_w=1.0, dt=2e-3, curriculum=gl.Blocked(duration=60.0))


KEEP: dict[str, Any] = {"record": (least_gate, record.weight_products), "every": 10}


def _done(results: xr.Dataset) -> xr.Dataset:
    """Whether a gate reached zero, and whether paths specialized."""
    specialized = metrics.specialization(results).isel(time=-1) > SPECIALIZED
    return xr.Dataset({"reached": results.least_gate.min("time") <= 0, "specialized": specialized})


@cached
def diagram(experiment: gl.Experiment, seeds: int = 8, **axes: Any) -> xr.Dataset:
    """The predicted spread of each run of a grid, whether a gate reached zero, and whether paths specialized."""
    of_all_inputs = experiment.replace(inputs=gl.Population())
    grid = gl.sweep(of_all_inputs, seeds=networks(seeds), measure=_done, **KEEP, **axes)
    begin = starts(experiment, seeds)
    rows = [
        predicted_spread(experiment.replace(block_length=length), begin, axes["tau_c"]).max("block").values
        for length in axes["block_length"]
    ]
    return grid.assign(spread=(("block_length", "tau_c", "seed"), np.stack(rows)))


def share_of_cells(
    runs: xr.Dataset, share: Callable[[np.ndarray, np.ndarray], float], done: str = "specialized", scale: float = 1.0
) -> Estimate:
    """A share of the cells of a diagram, with its interval over seeds.

    Args:
        runs: a diagram.
        share: of the cells in which theory says that most seeds come to have a gate at zero, and of those in which most
            seeds did something in simulation, both of dims tau_c and block_length.
        done: what they did, `reached` or `specialized`.
        scale: how many times as large as they are the theory takes the initial differences to be.
    """
    both = along("source", ("theory", "simulation"), [scale * runs.spread >= 1, runs[done]])
    samples = both.transpose("seed", "source", "tau_c", "block_length")
    return bootstrap(samples, lambda values: np.asarray(share(*(values.mean(0) > 0.5))))


def agreement(predicted: np.ndarray, simulated: np.ndarray) -> float:
    """The share of cells in which theory and simulation agree."""
    return np.mean(predicted == simulated)


def agreement_by_tau_c(predicted: np.ndarray, simulated: np.ndarray) -> float:
    """What the best threshold on tau_c alone gets right, fitted to the very cells that it is tested on."""
    speeds = np.arange(len(simulated))
    guesses = speeds < np.arange(len(speeds) + 1)[:, None]
    return np.max(np.mean(guesses[:, :, None] == simulated, (1, 2)))


def gained_on_tau_c(predicted: np.ndarray, simulated: np.ndarray) -> float:
    """How much more the theory gets right than that threshold."""
    return agreement(predicted, simulated) - agreement_by_tau_c(predicted, simulated)


def missed(predicted: np.ndarray, simulated: np.ndarray) -> float:
    """The share of cells that specialized though theory said that no gate would reach zero."""
    return np.mean(simulated & ~predicted)


@cached
def toy_diagram() -> xr.Dataset:
    """The same for the toy, which begins in the steady state of a forgetful network; dims block_length and tau_c."""
    axis, distance, tau_w = np.array([1.0, -1.0]) / np.sqrt(2), np.sqrt(2), float(STEADY.flow.tau_w)
    rows = []
    for length in TOY_LENGTHS:
        first_error = distance / (1 + np.exp(-length / (2 * tau_w)))
        mean = 0.5 + (distance / 2 - first_error) * axis
        paths = np.stack([mean + TOY_DIFFERENCE / 2 * axis, mean - TOY_DIFFERENCE / 2 * axis])
        start = gl.Params(paths[:, :, None], np.array([0.5, 0.5]))
        experiment = STEADY.replace(block_length=length)
        rows.append(gl.sweep(experiment, seeds=networks(1), measure=_done, initial=start, tau_c=TOY_SPEEDS, **KEEP))
    cells = xr.concat(rows, xr.Variable("block_length", list(TOY_LENGTHS)))
    lengths, speeds = np.array(TOY_LENGTHS)[:, None], np.array(TOY_SPEEDS)
    spread = theory.steady_spread(lengths, tau_w, speeds, distance, TOY_DIFFERENCE)
    return cells.isel(seed=0, drop=True).assign(spread=(("block_length", "tau_c"), spread))


@claim(
    "boundary",
    note="In the form that drew Fig. 5A its 7 time units are not enough: the formula gives every cell a gate at zero, "
    "and nearly all have one, but not all have specialized.",
    counterfactual={"scale": 10.0},
)
def boundary(scale: float = 1.0) -> Measured:
    """A formula without free parameters says at which settings abstractions emerge, given time.

    Share of cells right: the toy; Fig. 5A in the released form; in the earlier one, with more time too.
    """
    toy, released, time = toy_diagram(), diagram(BY_SPEED_RELEASED, **GRID), diagram(GIVEN_TIME, **GRID_GIVEN_TIME)
    earlier = diagram(BY_SPEED, **GRID)
    maps = {"released": released, "earlier": earlier, "given time": time}
    by_tau_c, not_predicted = (
        stacked([share_of_cells(runs, share) for runs in maps.values()], map=list(maps))
        for share in (agreement_by_tau_c, missed)
    )
    n = Numbers(
        boundary_cells_right=share_of_cells(released, agreement, scale=scale),
        boundary_cells_right_beyond_tau_c_alone=share_of_cells(released, gained_on_tau_c, scale=scale),
        boundary_cells_right_toy=exact(((scale * toy.spread >= 1) == toy.specialized).mean()),
        boundary_cells_right_earlier=share_of_cells(earlier, agreement, scale=scale),
        boundary_cells_reached_right_earlier=share_of_cells(earlier, agreement, "reached", scale),
        boundary_cells_right_given_time=share_of_cells(time, agreement, scale=scale),
        boundary_cells_reached_right_given_time=share_of_cells(time, agreement, "reached", scale),
        cells_right_by_tau_c_alone=by_tau_c,
        cells_specialized_though_not_predicted=not_predicted,
    )
    return n, {
        "toy: the share of 225 cells that the formula gets right is {}": n.boundary_cells_right_toy >= 0.9,
        "full network, Fig. 5A in the released form (256 cells): {}": n.boundary_cells_right >= 0.9,
        "that share less that of the best threshold on tau_c, fitted to the cells, is {}": (
            n.boundary_cells_right_beyond_tau_c_alone > 0
        ),
        "in the form that drew it, given 100 time units (256 cells): {}": n.boundary_cells_right_given_time >= 0.85,
        "in both, the share of cells that specialized though that was not predicted is {}": (
            n.cells_specialized_though_not_predicted.at(map=["released", "given time"]) <= 0.01
        ),
    }


def progress(results: xr.Dataset) -> np.ndarray:
    """How far each path is from the mean of both teachers (0) to its own (1), at each frame: (seed, time, path)."""
    matched = metrics.reorder_paths(results)
    first, second = (matched.teachers.isel(task=task) for task in (0, 1))
    difference = first - second
    position = ((matched.weights - (first + second) / 2) * difference).sum(("out", "in"))
    signed = 2 * position / (difference**2).sum(("out", "in"))
    return signed.transpose("seed", "time", "path").values * np.array([1.0, -1.0])


@cached
def return_maps(experiment: gl.Experiment, seeds: int = SEEDS, slower: float = 1.0) -> xr.Dataset:
    """Progress at the end of each block, and as theory has it from that a block before: dims seed, block, path.

    nan where theory says nothing: the block is too short for the gates, or the paths are still too alike.
    """
    dt = float(experiment.flow.dt)
    every = int(experiment.schedule().stop[0])
    results = gl.simulate(experiment, networks(seeds), (record.alignment, record.weights), every=every)
    measured = progress(results)
    distance = float(np.sqrt(((results.teachers[0, 0] - results.teachers[0, 1]) ** 2).sum()))
    constants = every * dt, slower * float(experiment.flow.tau_w), float(experiment.flow.tau_c), distance
    predicted = np.full_like(measured, np.nan)
    for seed, block in np.ndindex(measured.shape[0], measured.shape[1] - 1):
        path = results.block_task.values[block]
        new, old, _ = theory.next_block(measured[seed, block, path], measured[seed, block, 1 - path], *constants)
        predicted[seed, block + 1, [path, 1 - path]] = new, old
    dims = ("seed", "block", "path")
    return xr.Dataset({"measured": (dims, measured), "predicted": (dims, predicted)})


def blocks_until(done: float, start: float, block_length: float, tau_w: float, tau_c: float, distance: float) -> float:
    """How many blocks the theory gives paths that are both at `start` until both together are at `done` in the mean."""
    new = old = start
    for block in range(1, 200):
        new, old, _ = theory.next_block(new, old, block_length, tau_w, tau_c, distance)
        if (new + old) / 2 >= done:
            return block
        new, old = old, new
    return np.inf


def blocks_measured(experiment: gl.Experiment, done: float, start: float) -> float:
    """The same, solved: the toy from paths at `start` and the gate of the old task open."""
    difference = np.array([0.5, -0.5]) * start
    weights = np.stack([0.5 + difference, 0.5 - difference])[:, :, None]
    every = int(experiment.schedule().stop[0])
    initial = gl.Params(weights, np.array([0.0, 1.0]))
    results = gl.solve(experiment, networks(1), (record.alignment, record.weights), every, initial, rtol=1e-7)
    mean = progress(results)[0].mean(-1)[1:]
    return float(np.argmax(mean >= done) + 1) if (mean >= done).any() else np.inf


MAP_STARTS, MAP_LENGTHS, MAP_DONE = (0.3, 0.5, 0.7), (0.75, 1.0, 1.5), 0.85
MAP_FROM = 0.3
"""The map is judged from where both paths together are this far."""


@claim("return-map", counterfactual={"slower": 3.0})
def return_map(experiment: gl.Experiment = CONSERVED, slower: float = 1.0) -> Measured:
    """A map from block to block says how far paths specialize, and when they are done.

    Error of the map over the blocks of the full network, and blocks until done in the toy, by theory and solved.
    """
    runs = return_maps(experiment, SEEDS, slower)
    counted = runs.measured.mean("path").shift(block=1) > MAP_FROM
    some = np.flatnonzero(counted.any("block"))  # a network that is late has no block to judge
    runs, counted = runs.isel(seed=some), counted.isel(seed=some)
    silent = (counted & runs.predicted.isnull().any("path")).sum("block") / counted.sum("block")
    error = abs(runs.predicted - runs.measured).where(counted).mean(("block", "path"))
    change = abs(runs.measured - runs.measured.shift(block=1)).where(counted).mean(("block", "path"))
    toy = TOY.replace(blocks=30, dt=1e-2)
    predicted, measured = [], []
    for length in MAP_LENGTHS:
        constants = length, slower * float(TOY.flow.tau_w), float(TOY.flow.tau_c), np.sqrt(2)
        predicted.append([blocks_until(MAP_DONE, start, *constants) for start in MAP_STARTS])
        measured.append([blocks_measured(toy.replace(block_length=length), MAP_DONE, start) for start in MAP_STARTS])
    n = Numbers(
        return_map_error=median(error),
        change_in_a_block=median(change),
        return_map_error_over_change=median(error / change),
        blocks_without_prediction=median(silent),
        blocks_until_done_predicted=exact(predicted, block_length=MAP_LENGTHS, start=MAP_STARTS),
        blocks_until_done_measured=exact(measured, block_length=MAP_LENGTHS, start=MAP_STARTS),
        blocks_until_done_error=exact(np.abs(np.subtract(predicted, measured)).max()),
    )
    return n, {
        "full network: the error is {} times what a block changes": n.return_map_error_over_change < 0.1,
        "toy: the number of blocks until done is off by {}": n.blocks_until_done_error <= 2,
    }
