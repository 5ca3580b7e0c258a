"""Emergence: at which settings, in which networks and after how many blocks paths specialize. Not in the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, record, theory
from gatedlib.model.experiment import setting
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.dynamics import first_time
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
    return first_time(gl.simulate(experiment, networks(seeds), (least_gate,)).least_gate <= 0)


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

    def correlation(guess: np.ndarray) -> Estimate:  # near 1 its interval lies too low, never too high
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


TOY_LENGTHS = tuple((np.geomspace(0.1, 6.0, 15) / 0.02).round() * 0.02)
TOY_SPEEDS = tuple(np.geomspace(0.01, 0.6, 15).round(4))
TOY_DIFFERENCE = 0.01
STEADY = TOY.replace(tau_w=1.0, dt=2e-3, curriculum=gl.Blocked(duration=60.0))

GRID: dict[str, Any] = {
    "block_length": tuple(np.linspace(0.0625, 1.0, 16).round(3)),
    "tau_c": tuple(np.geomspace(0.003, 0.1, 16).round(5)),
}
"""256 cells over the ranges of the maps in *Regimes*."""

GRID_GIVEN_TIME: dict[str, Any] = {
    "block_length": tuple(np.linspace(0.06, 1.05, 12).round(3)),
    "tau_c": tuple(np.geomspace(0.01, 1.0, 12).round(4)),
}

GIVEN_TIME = BY_SPEED.replace(duration=100.0)
"""Fig. 5A in the form that drew it, with time enough for most networks to be done."""

BY_SPEED_IN_FORM = {"released": BY_SPEED_RELEASED, "earlier": BY_SPEED}


def _stratified(low: float, high: float, count: int, random: np.random.Generator) -> np.ndarray:
    """Numbers drawn at random, one from each of so many equal parts of a range, all on a logarithmic scale."""
    return low * (high / low) ** ((np.arange(count) + random.uniform(size=count)) / count)


def fresh_axes(tasks: int) -> dict[str, Any]:
    """Settings drawn at random from given ranges: 200 cells for two tasks, 72 for three; others for each first seed."""
    random = np.random.default_rng(networks(1)[0])
    counts = (5, 5, 4) if tasks == 2 else (3, 4, 3)
    ranges = {"block_length": (0.15, 1.5), "tau_c": (0.015, 0.3), "tau_w": (0.12, 2.5)}
    drawn_values = {
        name: _stratified(*ends, count, random) for (name, ends), count in zip(ranges.items(), counts, strict=True)
    }
    axes = {name: tuple(values.round(3).tolist()) for name, values in drawn_values.items()}
    return {**axes, "b": (0.5, 6.0)}


KEEP: dict[str, Any] = {"record": (least_gate, record.weight_products), "every": 10}


def _done(results: xr.Dataset) -> xr.Dataset:
    """Whether a gate reached zero, when paths specialized (infinite if they did not), and whether they end so."""
    over = metrics.specialization(results) > SPECIALIZED
    return xr.Dataset(
        {
            "reached": results.least_gate.min("time") <= 0,
            "when": first_time(over),
            "specialized": over.isel(time=-1),
        }
    )


def _own_or_swept(experiment: gl.Experiment, axes: dict[str, Any], name: str) -> xr.DataArray:
    """A setting as it is swept, along an axis of its own, or else as the experiment has it."""
    if name in axes:
        return xr.DataArray(list(axes[name]), {name: list(axes[name])}, (name,))
    return xr.DataArray(float(setting(experiment, name)))


@cached
def specialized_at(experiment: gl.Experiment, seeds: int, *, rigid: bool = False, **axes: Any) -> xr.DataArray:
    """When paths of each network of a grid specialize by `theory.ratchet`, from its initial parameters alone.

    Args:
        experiment: what the grid is of.
        seeds: how many networks in each cell.
        rigid: whether the bound is rigid in place of as strong as it is.
        **axes: the grid, by the names of settings.
    """
    spaces, start, inside = drawn(experiment, seeds)
    initial = gl.Params(inside[..., 0], np.maximum(np.asarray(start.gates), 0.0))  # a gate below zero is closed
    names = ("tau_w", "tau_c", "block_length", "b")
    of_seeds = xr.DataArray(np.zeros(seeds), {"seed": networks(seeds)}, ("seed",))
    cells = xr.broadcast(*(_own_or_swept(experiment, axes, name) for name in names), of_seeds)
    *own_values, of_cells = (cell.transpose(*axes, "seed") for cell in cells)
    own = {name: values.values for name, values in zip(names, own_values, strict=True)}
    if rigid:
        own["b"] = np.array(np.inf)
    times = theory.ratchet(spaces[0].targets, initial, duration=float(setting(experiment, "duration")), **own)
    return of_cells.copy(data=times.specialized)


def closed_form(experiment: gl.Experiment, seeds: int, **axes: Any) -> xr.Dataset:
    """The largest spread of the gates of each network of a grid, and how far the block after the first zero carries."""
    begin = starts(experiment, seeds)
    spread = _spread(experiment, begin, axes)
    own = [_own_or_swept(experiment, axes, name) for name in ("block_length", "tau_w", "tau_c")]
    distance = float(np.linalg.norm(begin[0][0] - begin[0][1]))
    return xr.Dataset({"spread": spread, "crossing": xr.apply_ufunc(theory.crossing, spread, *own, distance)})


def _spread(experiment: gl.Experiment, begin: Starts, axes: dict[str, Any]) -> xr.DataArray:
    """The largest predicted spread of each network of a grid over tau_c, block_length and perhaps tau_w."""
    slow = axes.get("tau_w", (setting(experiment, "tau_w"),))
    rows = [
        along(
            "block_length",
            axes["block_length"],
            [
                predicted_spread(experiment.replace(block_length=length, tau_w=tau_w), begin, axes["tau_c"]).max(
                    "block"
                )
                for length in axes["block_length"]
            ],
        )
        for tau_w in slow
    ]
    return along("tau_w", slow, rows) if "tau_w" in axes else rows[0]


@cached
def diagram(experiment: gl.Experiment, seeds: int, **axes: Any) -> xr.Dataset:
    """What theory says of each network of a grid, and what it did when simulated."""
    of_all_inputs = experiment.replace(inputs=gl.Population())
    grid = gl.sweep(of_all_inputs, seeds=networks(seeds), measure=_done, **KEEP, **axes)
    found = grid.assign(ratchet=specialized_at(experiment, seeds, **axes))
    if setting(experiment, "tasks") > 2:
        return found
    # the linear theory knows nothing of b, and says the same for all
    of_cells = closed_form(experiment, seeds, **axes).broadcast_like(found.specialized)
    return found.merge(of_cells.transpose(*found.specialized.dims))


def fresh(form: str, tasks: int = 2) -> tuple[gl.Experiment, int, dict[str, Any]]:
    """An experiment, a number of networks and a grid: settings drawn at random, as many paths as tasks, 24 units."""
    own = {"paths": tasks, "d_in": 10 * tasks, "gate_init": 1 / tasks, "duration": 24.0}
    return BY_SPEED_IN_FORM[form].replace(tasks=tasks, order=range(tasks), **own), 6, fresh_axes(tasks)


def all_maps() -> dict[str, tuple[gl.Experiment, int, dict[str, Any]]]:
    """Where theory is judged, the chapter's maps and fresh ones: experiment, number of networks and grid of each."""
    return {
        "released": (BY_SPEED_RELEASED, 8, GRID),
        "earlier": (BY_SPEED, 8, GRID),
        "given time": (GIVEN_TIME, 8, GRID_GIVEN_TIME),
        "fresh, released": fresh("released"),
        "fresh, earlier": fresh("earlier"),
        "three tasks, released": fresh("released", 3),
        "three tasks, earlier": fresh("earlier", 3),
    }


def map_of(name: str) -> xr.Dataset:
    """One of `all_maps`, computed: see `diagram`."""
    experiment, seeds, axes = all_maps()[name]
    return diagram(experiment, seeds, **axes)


def share_of_cells(says: xr.DataArray, did: xr.DataArray, share: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
    """A share of the cells of a grid, with its interval over seeds.

    A share near 1 comes out too low, never too high: see `bootstrap`.

    Args:
        says: what theory says of each network.
        did: what each network did.
        share: of the cells in which theory says so of most networks, and of those in which most networks did so.
    """
    both = along("source", ("theory", "simulation"), [says, did]).transpose("seed", "source", ...)
    return bootstrap(both, lambda values: np.asarray(share(*(values.mean(0) > 0.5))))


def agreement(says: np.ndarray, did: np.ndarray) -> float:
    """The share of cells in which theory and simulation agree."""
    return np.mean(says == did)


def agreement_by_tau_c(says: np.ndarray, did: np.ndarray) -> float:
    """What the best threshold on tau_c alone gets right in a map, fitted to the very cells that it is tested on."""
    guesses = np.arange(did.shape[1]) < np.arange(did.shape[1] + 1)[:, None]
    return np.max(np.mean(guesses[:, None, :] == did, (1, 2)))


def gained_on_tau_c(says: np.ndarray, did: np.ndarray) -> float:
    """How much more the theory gets right than that threshold."""
    return agreement(says, did) - agreement_by_tau_c(says, did)


def only_simulated(says: np.ndarray, did: np.ndarray) -> float:
    """The share of cells that did it though theory says that they do not."""
    return np.mean(did & ~says)


def only_predicted(says: np.ndarray, did: np.ndarray) -> float:
    """The share of cells that did not do it though theory says that they do."""
    return np.mean(says & ~did)


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
    crossing = theory.crossing(spread, lengths, tau_w, speeds, distance)
    dims = ("block_length", "tau_c")
    return cells.isel(seed=0, drop=True).assign(spread=(dims, spread), crossing=(dims, crossing))


TWO = ("released", "earlier", "given time", "fresh, released", "fresh, earlier")
"""The maps of two tasks."""


@claim(
    "boundary",
    note="Of the map in the form that drew Fig. 5A, after its 7 time units, the closed form is right in fewer cells: "
    "there paths that will specialize had no time to.",
    counterfactual={"scale": 0.01},
)
def boundary(scale: float = 1.0) -> Measured:
    """Two numbers in closed form say in most settings whether paths specialize, given time.

    Share of cells right: the largest predicted difference of the gates is 1 or more, and so is how far one block then
    carries them. The toy; Fig. 5A in the released form; in the earlier one, given time; settings drawn at random.
    """
    toy, runs = toy_diagram(), {name: map_of(name) for name in TWO}

    def right(by: str, share: Callable[[np.ndarray, np.ndarray], float] = agreement) -> Estimate:
        cells = [share_of_cells(scale * each[by] >= 1, each.specialized, share) for each in runs.values()]
        return stacked(cells, map=list(runs))

    n = Numbers(
        cells_right=right("crossing"),
        cells_right_by_spread_alone=right("spread"),
        cells_specialized_though_not_predicted=right("crossing", only_simulated),
        cells_right_toy=exact(((scale * toy.crossing >= 1) == toy.specialized).mean()),
        cells_right_toy_by_spread_alone=exact(((scale * toy.spread >= 1) == toy.specialized).mean()),
        cells_right_beyond_tau_c_alone=share_of_cells(
            scale * runs["released"].crossing >= 1, runs["released"].specialized, gained_on_tau_c
        ),
    )
    return n, {
        "toy: the share of 225 cells that the two numbers get right is {}": n.cells_right_toy >= 0.9,
        "full network, Fig. 5A in the released form (256 cells): {}": n.cells_right.at(map="released") >= 0.95,
        "in the form that drew it, given 100 time units (144 cells): {}": n.cells_right.at(map="given time") >= 0.75,
        "in 200 cells with settings drawn at random: released form {}": n.cells_right.at(map="fresh, released") >= 0.9,
        "and earlier form {}": n.cells_right.at(map="fresh, earlier") >= 0.8,
    }


def ratio_of_times(times: dict[str, xr.DataArray], quantile: float) -> Estimate:
    """A quantile over all cells of predicted over simulated times of specialization, with its interval over seeds."""
    ratios = []
    for name, predicted in times.items():
        when = map_of(name).when
        ratio = (predicted / when).where(np.isfinite(predicted) & np.isfinite(when)).isel(seed=slice(6))
        ratios.append(ratio.stack(cell=[dim for dim in ratio.dims if dim != "seed"]).transpose("seed", "cell").values)
    samples = xr.DataArray(np.concatenate(ratios, 1), dims=("seed", "cell"))
    return bootstrap(samples, lambda values: np.asarray(np.nanquantile(values, quantile)))


@claim("ratchet-map", counterfactual={"faster": 2.0})
def ratchet_map(faster: float = 1.0) -> Measured:
    """Learning among the tasks alone, with no number fitted, says where and when paths specialize.

    Share of cells right in all maps, of Fig. 5A and of settings drawn at random, with two and three tasks; time until
    paths have specialized, predicted over simulated, the middle 80 % of all networks that specialize in both.
    """
    times, cells = {}, {}
    for name, (experiment, seeds, axes) in all_maps().items():
        runs = map_of(name)
        if faster != 1.0:
            axes = {**axes, "tau_c": tuple(faster * value for value in axes["tau_c"])}
            predicted = specialized_at(experiment, seeds, **axes)
            runs = runs.assign(ratchet=(predicted.dims, predicted.values))
        cells[name] = share_of_cells(np.isfinite(runs.ratchet), runs.specialized, agreement)
        times[name] = runs.ratchet
    three = [name for name in cells if "three" in name]
    n = Numbers(
        cells_right=stacked(list(cells.values()), map=list(cells)),
        early_predicted_over_simulated_time=ratio_of_times(times, 0.1),
        predicted_over_simulated_time=ratio_of_times(times, 0.5),
        late_predicted_over_simulated_time=ratio_of_times(times, 0.9),
    )
    return n, {
        "in each of five maps of two tasks the share of cells right is {}": n.cells_right.at(map=list(TWO)) > 0.9,
        "and in two of three tasks {}": n.cells_right.at(map=three) > 0.8,
        "of the times, predicted over simulated, the lowest tenth ends at {}": (
            n.early_predicted_over_simulated_time > 0.85
        ),
        "and the highest begins at {}": n.late_predicted_over_simulated_time < 1.15,
    }


@claim("gives-way", counterfactual={"rigid": False})
def gives_way(*, rigid: bool = True) -> Measured:
    """A bound that gives way lets networks specialize that with a rigid one would not.

    Share of cells in which most networks specialize, though with a rigid bound most would not, and the reverse; in the
    form that drew Fig. 5A, given time.
    """
    experiment, seeds, axes = all_maps()["given time"]
    runs = map_of("given time")
    free = specialized_at(experiment, seeds, rigid=rigid, **axes) < np.inf
    n = Numbers(
        cells_freed=share_of_cells(free, runs.specialized, only_simulated),
        cells_held=share_of_cells(free, runs.specialized, only_predicted),
    )
    return n, {
        "specialized, and stuck with a rigid bound: the share of cells is {}": n.cells_freed > 0.02,
        "the reverse: {}": n.cells_held < 0.02,
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
