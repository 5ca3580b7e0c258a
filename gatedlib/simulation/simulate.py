"""Running an experiment: a loop over chunks of steps on the host, each computed by compiled programs.

All cells of a run (experiments that differ in numbers only) share their inputs, and a seed draws them once for all.
While a chunk is learned, the inputs of the next one are drawn, and the frames of the one before are moved out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils
from jaxtyping import Array
from tqdm import tqdm

from gatedlib._internal.numerics import fixed_jax_settings, with_current_settings
from gatedlib.model.experiment import Experiment, keys
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import programs, subspace
from gatedlib.simulation import record as rec
from gatedlib.simulation.arguments import (
    Seeds,
    checked_experiment,
    checked_initial,
    checked_record,
    checked_seeds,
    checked_start,
)
from gatedlib.simulation.divergence import Fault, first_nonfinite, raise_divergence, raise_nonfinite
from gatedlib.simulation.programs import Frames
from gatedlib.simulation.results import label

PROGRAMS = 1000
"""Compiled programs that are kept: each takes some 20 memory maps, and Linux ends a process that asks for 65 530."""

CHUNKS = 8, 512, 2048
"""The fewest and the most steps of a chunk where inputs are drawn, and the most where they are not.

Ctrl-C is heard after each, and what is kept of it should stay in a cache.
"""

CHUNK_BYTES = 2**24
"""About how many bytes of inputs and frames make up a chunk between these bounds."""

LONG = 2.0
"""Seconds after which a run shows how far it is."""

Put = Callable[..., Any]
"""Lays an array over devices, given the names of its axes."""


@fixed_jax_settings()
def simulate(
    experiment: Experiment,
    seeds: Seeds = 10,
    record: Iterable[rec.Quantity] = rec.DEFAULT,
    every: int = 1,
    initial: Params | None = None,
    start: int = 0,
) -> xr.Dataset:
    """Run an experiment for some seeds, all at once, and label what comes out.

    A seed draws the teachers, the initial weights and the inputs; what it gives does not depend on its company. A run
    that takes long shows how far it is. Ctrl-C is heard within a fraction of a second, and ends it.

    Args:
        experiment: what to run.
        seeds: how many seeds (0, 1, …), or which.
        record: the quantities to keep; see `gatedlib.record`.
        every: keep one frame every so many steps; must divide the number of steps.
        initial: parameters to start from instead of random ones, shapes (path, out, in) and (path,),
            or with a leading seed axis, as `gatedlib.results.final_params` gives them.
        start: how many steps were taken before, by the runs that `initial` comes from: a seed's inputs go on from
            there. With 0 a run that goes on sees the first inputs again. Time is counted from this run's own start.

    Returns:
        A dataset with dims seed, time, task, path, …, of the recorded quantities, `teachers`, `final_weights`,
        `final_gates`, the table of blocks (`block_start` and `block_stop` in steps, `block_task`), and the settings
        in `attrs`. `results.to_netcdf(path)` and `xarray.load_dataset(path)` keep it without loss.

    Raises:
        ValueError: if there is no seed, a seed is repeated, `every` does not divide the steps, two quantities share
            a name, `initial` has the wrong shape, or `start` is no whole number from 0 on.
        DivergenceError: (a ValueError) if a number ceases to be finite; the message says when, which, and what to do.

    Example:
        >>> experiment = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... )
        >>> results = gl.simulate(experiment, seeds=3)
        >>> dict(results.loss.sizes)
        {'seed': 3, 'time': 200}

        Two halves are the whole, on random inputs too:

        >>> sampled = experiment.replace(inputs=gl.Sampled(5))
        >>> first = gl.simulate(sampled, seeds=3)
        >>> then = gl.simulate(sampled, seeds=3, initial=gl.results.final_params(first), start=200)
        >>> whole = gl.simulate(sampled.replace(blocks=4), seeds=3)
        >>> bool((then.loss.values == whole.loss.values[:, 200:]).all())
        True

    Source: paper, section 2.
    """
    checked_experiment(experiment)
    schedule = experiment.schedule()
    chosen = checked_seeds(seeds)
    record, every = checked_record(record, every, len(schedule.tasks))
    start = checked_start(start, len(schedule.tasks))
    begin = None if initial is None else checked_initial(initial, experiment, len(chosen))
    title = f"simulating {len(chosen)} seeds × {len(schedule.tasks)} steps"
    asked = Asked(chosen, record, every, lambda seed, _: f"seed {chosen[seed]}", title, begin, start)
    teachers, final, frames = jax.tree.map(lambda leaf: leaf[:, 0], run([experiment], asked))

    return label(experiment, schedule, chosen, record, every, teachers, final, frames, start=start)


class Asked(NamedTuple):
    """What is asked of a run of some cells."""

    seeds: np.ndarray
    record: tuple[rec.Quantity, ...]
    every: int
    name: Callable[[int, int], str]
    """What the run is called that has this seed and this cell, both counted from 0."""
    title: str | None = None
    """What is said if it takes long; None for nothing."""
    initial: Params | None = None
    start: int = 0


def on_one_device(array: np.ndarray, *axes: str | None) -> Array:
    """Lay an array over no more than the device that JAX would take; its axes do not matter."""
    return jax.device_put(array)


def run(
    experiments: Sequence[Experiment], asked: Asked, put: Put = on_one_device
) -> tuple[np.ndarray, Params, dict[str, np.ndarray]]:
    """Run some experiments of one structure and number of steps, which differ in numbers only and share their inputs.

    Args:
        experiments: the cells.
        asked: of which seeds, and what to keep.
        put: where arrays lie; by default all on one device.

    Returns:
        Teachers, final parameters and frames, whose first axes are (seed, cell), then (frame,) in the frames.

    Raises:
        DivergenceError: at the end of the chunk in which parameters cease to be finite.
        ValueError: at the end, if only a quantity was not finite.
    """
    if programs.count() >= PROGRAMS:
        jax.clear_caches()
    one, every = experiments[0], asked.every
    tasks = np.stack([each.schedule().tasks for each in experiments], 1)
    sampler, network, flow = stacked(experiments, put)
    seeds = put(asked.seeds, "seed")
    teachers, params = programs.draw(sampler, network, seeds, one.sizes)
    if asked.initial is not None:
        params = jax.tree.map(partial(_for_all_cells, len(experiments), put), asked.initial)
    targets, home = teachers, None
    if subspace.suffices(one):
        targets, params, home = programs.enter(teachers, params)
    chunk = _chunk(one, len(asked.seeds), params)
    firsts = range(0, len(tasks), chunk)
    rooms = [_room(chunk, params, put) for _ in firsts[:2]]  # one is filled while the other is read
    kept = _Kept(asked, len(tasks), float(one.flow.dt))
    waiting: tuple | None = None

    def draw(first: int) -> Any:
        return programs.inputs(flow.inputs, seeds, asked.start + first, one.teachers.shape[1:], chunk)

    silent = {"disable": True} if asked.title is None else {}  # else TQDM_DISABLE decides
    with tqdm(desc=asked.title, total=len(tasks), unit=" steps", leave=False, delay=LONG, **silent) as progress:
        for first, seen in zip(firsts, _ahead(draw, firsts), strict=True):
            steps = min(chunk, len(tasks) - first)
            on = put(np.pad(tasks[first : first + steps], ((0, chunk - steps), (0, 0))), None, "cell")
            state = params, on, seen, rooms.pop(0)
            params, room, finite = programs.learn(network, flow, targets, *state, first, steps, every)
            rooms.append(room)
            frame, end = -(-first // every), -(-(first + steps) // every)
            values: Any = {}, True
            if frame < end:
                moment = on, seen, first, every, end - frame
                values = programs.observe(network, flow.inputs, teachers, home, room, *moment, record=asked.record)
            if waiting is not None:
                kept.add(*waiting)
            waiting = frame, end, *values, first + steps, params, finite
            progress.update(steps)
        if waiting is not None:
            kept.add(*waiting)
    kept.check()
    final = params if home is None else programs.leave(params, home)
    return _fetched(teachers), jax.tree.map(_fetched, final), kept.frames


def _ahead(draw: Callable[[int], Any], firsts: Sequence[int]) -> Iterator[Any]:
    """What each chunk sees, drawn while the one before is learned.

    That takes another thread: what is asked for by one is computed one after the other.
    """
    drawn = with_current_settings(draw)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(drawn, firsts[0])
        for first in firsts[1:]:
            seen = waiting.result()
            if jax.tree.leaves(seen):  # else there is nothing to draw
                waiting = pool.submit(drawn, first)
            yield seen
        yield waiting.result()


def _for_all_cells(cells: int, put: Put, leaf: np.ndarray) -> Array:
    return put(np.repeat(leaf[:, None], cells, 1), "seed", "cell")


class _Kept:
    """What is kept of a run, on the host, and the first value in it that is not finite."""

    def __init__(self, asked: Asked, steps: int, dt: float) -> None:
        self.asked, self.dt, self.length = asked, dt, steps // asked.every
        self.frames: dict[str, np.ndarray] = {}
        self.fault: Fault | None = None

    def add(
        self, first: int, end: int, values: dict[str, Any], right: Any, step: int, params: Params, finite: Any
    ) -> None:
        """Take the frames from `first` to `end`, of a chunk that ends with this step and these parameters."""
        chunk = {}
        for name, value in values.items():
            chunk[name] = np.moveaxis(_fetched(value)[: end - first], 0, 2)
            if first == 0:
                shape = *chunk[name].shape[:2], self.length, *chunk[name].shape[3:]
                self.frames[name] = np.empty(shape, chunk[name].dtype)
            self.frames[name][:, :, first:end] = chunk[name]
        if self.fault is None and not _fetched(right):
            found = first_nonfinite(chunk)
            self.fault = found and found._replace(when=(first + found.when) * self.asked.every)
        if not _fetched(finite):
            ends = {name: _fetched(leaf)[:, :, None] for name, leaf in params._asdict().items()}
            found = first_nonfinite(ends)
            fault = self.fault or (found and found._replace(when=step))
            assert fault is not None
            raise_divergence(fault, self.dt, self.asked.name(*fault.run))

    def check(self) -> None:
        """Refuse a value that is not finite, where parameters always were."""
        if self.fault is not None:
            raise_nonfinite(self.fault, self.dt, self.asked.name(*self.fault.run))


def _fetched(array: Any) -> np.ndarray:
    """An array of all devices of all processes, on the host."""
    return np.asarray(multihost_utils.process_allgather(array, tiled=True) if jax.process_count() > 1 else array)


def _chunk(experiment: Experiment, seeds: int, params: Params) -> int:
    """How many steps make a chunk: a power of two, which does not depend on how many there are."""
    seen, kept = seeds * bytes_seen(experiment), 2 * bytes_of(params)
    least, drawn, most = CHUNKS
    return max(least, min(drawn if seen else most, 2 ** int(math.log2(max(1, CHUNK_BYTES / (seen + kept))))))


def bytes_seen(experiment: Experiment) -> int:
    """How many bytes of inputs a step of one seed sees, 0 if all at once; found by tracing, without drawing any."""
    return _bytes_seen(*shapes_of(experiment.flow.inputs), experiment.teachers.shape[1:])


@functools.lru_cache(maxsize=64)
def _bytes_seen(structure: Any, shapes: tuple, sizes: tuple[int, ...]) -> int:
    return bytes_of(jax.eval_shape(lambda inputs: inputs.draw(keys(0)[2], *sizes), with_shapes(structure, shapes)))


def shapes_of(tree: Any) -> tuple[Any, tuple]:
    """The structure of a tree, and the shapes and types of its leaves, by which a cache may know it."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), jax.dtypes.canonicalize_dtype(jnp.result_type(leaf))) for leaf in leaves)


def with_shapes(structure: Any, shapes: tuple) -> Any:
    """A tree of this structure to be traced with."""
    return jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*each) for each in shapes])


def bytes_of(tree: Any) -> int:
    """How many bytes the arrays of a tree have."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _room(chunk: int, params: Params, put: Put) -> Frames:
    """Room for the frames of a chunk."""
    runs = params.gates.shape[:2]
    frame = Frames(params, params, jax.ShapeDtypeStruct(runs, params.gates.dtype))
    return jax.tree.map(lambda leaf: put(np.zeros((chunk, *leaf.shape), leaf.dtype), None, "seed", "cell"), frame)


def stacked(experiments: Sequence[Experiment], put: Put) -> tuple[Teachers, Network, Flow]:
    """The parts of some experiments with a cell axis on every number but those of the inputs, which they share."""
    parts = [(each.teachers, each.network, each.flow) for each in experiments]
    teachers, network, flow = parts[0]
    own = *jax.tree.map(lambda _: True, (teachers, network)), programs.of_cells(flow)

    def stack(own: bool, *cells: Any) -> Any:
        return put(np.stack([np.asarray(each) for each in cells]), "cell") if own else put(np.asarray(cells[0]))

    return jax.tree.map(stack, own, *parts)
