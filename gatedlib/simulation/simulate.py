"""Running an experiment: a loop over chunks of steps on the host, each computed by compiled programs.

All cells of a run (experiments that differ in numbers only) share their inputs, and a seed draws them once for all.
While a chunk is learned, the inputs of the next one are drawn, and the frames of the one before are moved out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils
from jaxtyping import Array
from tqdm import tqdm

from gatedlib._internal.identity import cache_of_traces, forget_if_changed
from gatedlib._internal.numerics import bytes_of, fixed_jax_settings, shapes_of, with_current_settings, with_shapes
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment, require_whole, split_seed
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import programs, subspace
from gatedlib.simulation import record as rec
from gatedlib.simulation.arguments import (
    Seeds,
    checked_initial,
    checked_record,
    checked_seeds,
    checked_start,
    code_to_run,
)
from gatedlib.simulation.divergence import Fault, first_nonfinite, raise_divergence, raise_nonfinite
from gatedlib.simulation.programs import Frames
from gatedlib.simulation.results import label

MAX_PROGRAMS = 1000
"""Keeps the compiled programs below the kernel's limit on memory maps (vm.max_map_count): each takes some 20."""

CHUNKS = 8, 512, 2048
"""The fewest and the most steps of a chunk where inputs are drawn, and the most where they are not.

Ctrl-C is heard after each, and what is recorded of it should stay in a cache.
"""

CHUNK_BYTES = 2**24
"""About how many bytes of inputs and frames make up a chunk between these bounds."""

PROGRESS_AFTER = 2.0
"""Seconds after which a run shows how far it is."""

Place = Callable[..., Any]
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
        initial: parameters to start from instead of random ones, of the shapes that `network.shapes(d_out, d_in)` names
            or with a leading seed axis, as `gatedlib.results.final_params` gives them.
        start: how many steps were taken before, by the runs that `initial` comes from: a seed's inputs go on from
            there. With 0 a run that goes on sees the first inputs again. Time is counted from this run's own start.

    Returns:
        A dataset with dims seed, time, task, path, …, of the recorded quantities, `teachers`, `final_weights`,
        `final_gates`, the table of blocks (`block_start` and `block_stop` in steps, `block_task`), and in the
        coordinate `settings` a text for each seed that says what its run is, as `gatedlib.results.settings` reads it:
        select, join and thin as you like, metrics take what is left or say why not. `gatedlib.results.save` and `load`
        keep all of it. For a table, take one quantity: `results.loss.to_series()`; `results.to_dataframe()` has a row
        for every combination of all axes, here of weights and times too.

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
    require_whole(experiment, "simulate")
    schedule = experiment.schedule()
    chosen = checked_seeds(seeds)
    record, every = checked_record(record, every, len(schedule.tasks))
    start = checked_start(start, len(schedule.tasks))
    begin = None if initial is None else checked_initial(initial, experiment, chosen)
    forget_if_changed(code_to_run(experiment, record))
    title = f"simulating {len(chosen)} seeds × {len(schedule.tasks)} steps"
    request = Request(chosen, record, every, lambda seed, _: f"seed {chosen[seed]}", title, begin, start)
    teachers, final, frames = jax.tree.map(lambda leaf: leaf[:, 0], run([experiment], [schedule], request))
    return label([experiment], schedule, chosen, record, every, teachers, final, frames, initial=begin, start=start)


class Request(NamedTuple):
    """What a run of some cells is to do."""

    seeds: np.ndarray
    record: tuple[rec.Quantity, ...]
    every: int
    run_name: Callable[[int, int], str]
    """What the run is called that has this seed and this cell, both counted from 0."""
    title: str | None = None
    """What the progress bar says; None for no bar."""
    initial: Params | None = None
    start: int = 0


class Chunk(NamedTuple):
    """Some steps of a run, the first of which has this number, and the frames that begin within them."""

    start: int
    steps: int
    every: int

    @property
    def stop(self) -> int:
        return self.start + self.steps

    @property
    def frames(self) -> range:
        return range(-(-self.start // self.every), -(-self.stop // self.every))


def on_one_device(array: np.ndarray, *axes: str | None) -> Array:
    """Put an array on the device that JAX would take; its axes do not matter."""
    return jax.device_put(array)


def run(
    experiments: Sequence[Experiment], schedules: Sequence[Schedule], request: Request, place: Place = on_one_device
) -> tuple[np.ndarray, Params, dict[str, np.ndarray]]:
    """Run some experiments of one structure and number of steps, which differ in numbers only and share their inputs.

    Args:
        experiments: the cells.
        schedules: the plan of each.
        request: for which seeds, and what to record.
        place: where arrays lie; by default all on one device.

    Returns:
        Teachers, final parameters and frames, whose first axes are (seed, cell), then (frame,) in the frames.

    Raises:
        DivergenceError: at the end of the chunk in which parameters cease to be finite.
        ValueError: at the end, if only a quantity was not finite.
    """
    if programs.count() >= MAX_PROGRAMS:
        jax.clear_caches()
    one, every = experiments[0], request.every
    tasks = np.stack([schedule.tasks for schedule in schedules], 1)
    kinds, network, flow = stacked(experiments, place)
    seeds = place(request.seeds, "seed")
    teachers, params = programs.draw(kinds, network, seeds, one.sizes, len(experiments))
    if request.initial is not None:
        params = jax.tree.map(partial(_for_all_cells, len(experiments), place), request.initial)
    targets, space = teachers, None
    if subspace.suffices(one):
        targets, params, space = programs.project(teachers, params)
    length = _chunk_length(one, len(request.seeds), params)
    chunks = [Chunk(start, min(length, len(tasks) - start), every) for start in range(0, len(tasks), length)]
    buffers = [_buffer(length, params, place) for _ in chunks[:2]]  # one is filled while the other is read
    recorder = _Recorder(request, len(tasks), float(one.flow.dt))
    pending: tuple | None = None

    def draw(chunk: Chunk) -> Any:
        return programs.inputs(flow.inputs, seeds, request.start + chunk.start, one.teachers.shape[1:], length)

    bar = {"disable": True} if request.title is None else {}  # else TQDM_DISABLE decides
    with tqdm(
        desc=request.title, total=len(tasks), unit=" steps", leave=False, delay=PROGRESS_AFTER, **bar
    ) as progress:
        for chunk, batches in zip(chunks, _ahead(draw, chunks), strict=True):
            padding = (0, length - chunk.steps), (0, 0)
            active = place(np.pad(tasks[chunk.start : chunk.stop], padding), None, "cell")
            state = targets, params, active, batches, buffers.pop(0)
            params, frames, finite = programs.learn(network, flow, *state, *chunk)
            buffers.append(frames)
            observed: Any = {}, True
            if chunk.frames:
                moments = frames, active, batches, chunk.start, every, len(chunk.frames)
                observed = programs.observe(network, flow.inputs, teachers, space, *moments, record=request.record)
            if pending is not None:  # read the chunk before while the device works on this one
                recorder.add(*pending)
            pending = chunk, observed, params, finite
            progress.update(chunk.steps)
        if pending is not None:
            recorder.add(*pending)
    recorder.check()
    final = params if space is None else programs.lift(params, space)
    return _fetched(teachers), jax.tree.map(_fetched, final), recorder.frames


def _ahead(draw: Callable[[Chunk], Any], chunks: Sequence[Chunk]) -> Iterator[Any]:
    """The batches of each chunk, drawn while the chunk before is learned.

    That takes another thread: what one thread asks for is computed one after the other.
    """
    draw = with_current_settings(draw)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(draw, chunks[0])
        for chunk in chunks[1:]:
            batches = waiting.result()
            if jax.tree.leaves(batches):  # else there is nothing to draw
                waiting = pool.submit(draw, chunk)
            yield batches
        yield waiting.result()


def _for_all_cells(cells: int, place: Place, leaf: np.ndarray) -> Array:
    return place(np.repeat(leaf[:, None], cells, 1), "seed", "cell")


class _Recorder:
    """What is recorded of a run, on the host, and the first value in it that is not finite."""

    def __init__(self, request: Request, steps: int, dt: float) -> None:
        self.request, self.dt, self.length = request, dt, steps // request.every
        self.frames: dict[str, np.ndarray] = {}
        self.fault: Fault | None = None

    def add(self, chunk: Chunk, observed: tuple[dict[str, Any], Any], params: Params, finite: Any) -> None:
        """Take the quantities of a chunk that ends with these parameters; say so if a number is not finite."""
        values, values_finite = observed
        first, end = chunk.frames.start, chunk.frames.stop
        new = {name: np.moveaxis(_fetched(value)[: end - first], 0, 2) for name, value in values.items()}
        for name, value in new.items():
            if first == 0:
                self.frames[name] = np.empty((*value.shape[:2], self.length, *value.shape[3:]), value.dtype)
            self.frames[name][:, :, first:end] = value
        if self.fault is None and not _fetched(values_finite):
            found = first_nonfinite(new)
            self.fault = found and found._replace(when=(first + found.when) * self.request.every)
        if not _fetched(finite):
            ends = {name: _fetched(leaf)[:, :, None] for name, leaf in params._asdict().items()}
            found = first_nonfinite(ends)
            fault = self.fault or (found and found._replace(when=chunk.stop))
            assert fault is not None
            raise_divergence(fault, self.dt, self.request.run_name(*fault.run))

    def check(self) -> None:
        """Refuse a value that is not finite, where parameters always were."""
        if self.fault is not None:
            raise_nonfinite(self.fault, self.dt, self.request.run_name(*self.fault.run))


def _fetched(array: Any) -> np.ndarray:
    """An array of all devices of all processes, on the host."""
    return np.asarray(multihost_utils.process_allgather(array, tiled=True) if jax.process_count() > 1 else array)


def _chunk_length(experiment: Experiment, seeds: int, params: Params) -> int:
    """How many steps make a chunk: a power of two, which does not depend on how many there are."""
    drawn, stored = seeds * batch_bytes(experiment), 2 * bytes_of(params)
    least, with_batches, most = CHUNKS
    fitting = 2 ** int(math.log2(max(1, CHUNK_BYTES / (drawn + stored))))
    return max(least, min(with_batches if drawn else most, fitting))


def batch_bytes(experiment: Experiment) -> int:
    """How many bytes of inputs a step of one seed takes, 0 if all at once; found by tracing, without drawing any."""
    return _batch_bytes(*shapes_of(experiment.flow.inputs), experiment.teachers.shape[1:])


@cache_of_traces
def _batch_bytes(structure: Any, shapes: tuple, sizes: tuple[int, ...]) -> int:
    return bytes_of(
        jax.eval_shape(lambda inputs: inputs.draw(split_seed(0)[2], *sizes), with_shapes(structure, shapes))
    )


def _buffer(steps: int, params: Params, place: Place) -> Frames:
    """Room for a frame of every step."""
    runs = params.gates.shape[:2]
    frame = Frames(params, params, jax.ShapeDtypeStruct(runs, params.gates.dtype))
    return jax.tree.map(lambda leaf: place(np.zeros((steps, *leaf.shape), leaf.dtype), None, "seed", "cell"), frame)


def stacked(experiments: Sequence[Experiment], place: Place) -> tuple[Teachers, Network, Flow]:
    """The parts of some experiments with a cell axis on every number but those of the inputs, which they share."""
    parts = [(each.teachers, each.network, each.flow) for each in experiments]
    teachers, network, flow = parts[0]
    own = *jax.tree.map(lambda _: True, (teachers, network)), programs.cell_axis_mask(flow)

    def stack(own: bool, *cells: Any) -> Any:
        return place(np.stack([np.asarray(each) for each in cells]), "cell") if own else place(np.asarray(cells[0]))

    return jax.tree.map(stack, own, *parts)
