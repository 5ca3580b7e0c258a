"""Running an experiment. Without the speed, this is what every run, of one cell and one seed, computes:

.. code-block:: python

    teachers, params = experiment.draw(seed)
    for step, task in enumerate(experiment.schedule().tasks):
        batch = flow.inputs.draw(fold_in(split_seed(seed)[2], start + step), d_out, d_in)
        loss, velocity = flow.velocity(network, params, teachers[task], batch)
        if step % every == 0:
            frames.append({q.name: q.fn(Frame(params, velocity, loss, ...)) for q in record})
        params = flow.step(params, velocity)

and then names are put on the axes (`results.label`); `d_out` and `d_in` are the teachers' sizes. `benchmarks/naive.py`
writes the usual case out with raw batches and automatic derivatives, and shares nothing with this library; the tests
compare with it.

The rest is for speed. All cells and seeds are learned at once, as axes of the same arrays: a cell is one experiment, of
which `simulate` has one, and a sweep one for each combination of settings. Cells share their inputs. Where a few
coordinates suffice, they are learned in place of all weights (`subspace.py`); of a Gaussian batch only what loss and
gradient depend on is drawn (`model/inputs.py`); the derivatives of the library's students are written by hand
(`pullback`). Steps are run in chunks, by programs that were compiled once (`programs.py`). While the device learns one
chunk, another thread asks for the inputs of the next, and the host takes in what the chunk before recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils
from jaxtyping import Array
from tqdm import tqdm

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import (
    bytes_of,
    cached_by_shapes,
    ceil_div,
    fixed_jax_settings,
    power_of_two_within,
    with_current_settings,
)
from gatedlib.model.experiment import Experiment, require_whole, split_seed
from gatedlib.model.inputs import Inputs
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
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
from gatedlib.simulation.divergence import NonFinite, first_nonfinite, raise_divergence, raise_nonfinite
from gatedlib.simulation.programs import Chunk, Frames
from gatedlib.simulation.results import label
from gatedlib.simulation.spec import Cell, RunArrays, RunSpec

MAX_PROGRAMS = 1000
"""Keeps the compiled programs below the kernel's limit on memory maps (vm.max_map_count): each takes some 20."""

CHUNKS = 8, 512, 2048
"""The fewest steps of a chunk; the most where inputs are drawn; the most where none are.

Python handles Ctrl-C only between chunks, so chunks must be short; and the frames of one should fit in the processor's
cache.
"""

CHUNK_BYTES = 2**24
"""About how many bytes of inputs and frames make up a chunk between these bounds.

Frames are counted as if every step had one, so that the length of a chunk does not depend on `every`.
"""

PROGRESS_AFTER = 2.0
"""Seconds after which a run shows how far it is."""

Placement = Callable[..., Any]
"""Puts an array on devices, given the names of its axes: `place(array, "seed", "cell")`."""


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

    A seed draws the teachers, the initial parameters and the inputs; its results do not depend on which other seeds are
    run with it. A run that takes long shows how far it is. Ctrl-C ends it as soon as the current chunk of steps, or
    program to be compiled, is done: mostly within a fraction of a second.

    Args:
        experiment: what to run.
        seeds: how many seeds (0, 1, …), or which.
        record: the quantities to keep; see `gatedlib.record`.
        every: keep one frame every so many steps; must divide the number of steps. A frame is the state before its
            step; the state after the last step is in `final_weights` and `final_gates`.
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
            a name, `initial` has the wrong shape, `start` is no whole number from 0 on, or a recorded quantity is not
            finite though weights and gates are.
        DivergenceError: (a ValueError) if weights or gates cease to be finite; the message says when, and what to do.

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
    steps = len(schedule.tasks)
    chosen = checked_seeds(seeds)
    record, every = checked_record(record, every, steps)
    start = checked_start(start, steps)
    params = None if initial is None else checked_initial(initial, experiment, chosen)
    forget_if_changed(code_to_run(experiment, record))
    spec = RunSpec((Cell(experiment, schedule),), chosen, record, every, params, start)
    return label(spec, run(spec, title=f"simulating {len(chosen)} seeds × {steps} steps"))


def on_one_device(array: np.ndarray, *axes: str | None) -> Array:
    """Put an array on the device that JAX would take; the names of its axes are ignored."""
    return jax.device_put(array)


def run(spec: RunSpec, place: Placement = on_one_device, title: str | None = None) -> RunArrays:
    """Run experiments of one structure and number of steps, which differ in numbers only and share their inputs.

    Args:
        spec: what to run.
        place: where arrays lie; by default all on one device.
        title: what the progress bar says; None for no bar.

    Raises:
        DivergenceError: a chunk after that in which parameters cease to be finite, at the latest.
        ValueError: at the end, if only a quantity was not finite.
    """
    if programs.compiled_count() >= MAX_PROGRAMS:
        jax.clear_caches()
    template, steps = spec.cells[0].experiment, len(spec.cells[0].schedule.tasks)
    together = _runs_together(template)
    teachers, params = _draw(spec, together)
    if spec.initial is not None:
        params = jax.tree.map(lambda leaf: np.repeat(leaf[:, None], len(spec.cells), 1), spec.initial)
    targets, space = None, None
    if subspace.suffices(template):
        # the same flow in a few coordinates: see the module subspace
        targets, params, space = programs.project(teachers, params, together=together)
    network, flow = stack_cells(spec, place)
    seeds = place(spec.seeds, "seed")
    placed = jax.tree.map(lambda leaf: place(leaf, "seed", "cell"), (teachers, params, space))
    placed_teachers, params, placed_space = placed
    targets = placed_teachers if space is None else place(targets, "seed", "cell")
    length = _chunk_length(template, len(seeds), params)
    # two buffers of frames are enough: `observe` may still read one while `learn` fills the other
    buffers = [_empty_frames(length, params, place) for _ in range(min(2, ceil_div(steps, length)))]
    recorder = _Recorder(spec)

    bar = {"disable": True} if title is None else {}  # else TQDM_DISABLE decides
    with tqdm(desc=title, total=steps, unit=" steps", leave=False, delay=PROGRESS_AFTER, **bar) as progress:
        for chunk in _chunks(spec, flow.inputs, seeds, length, place):
            # learn takes over the memory of the buffer (it is donated), and gives it back as the frames of this chunk
            params, frames, finite = programs.learn(network, flow, targets, params, chunk, buffers.pop(0))
            buffers.append(frames)
            observed: Any = {}, True
            if chunk.frame_count:
                known = network, flow.inputs, placed_teachers, placed_space
                observed = programs.observe(*known, chunk, frames, record=spec.record)
            recorder.add(chunk, observed, params, finite)
            progress.update(chunk.steps)
        recorder.finish()
    final = jax.tree.map(_to_host, params)
    if space is not None:
        final = programs.lift(final, space, together=together)
    # as the recorder did with the frames: from (seed, cell) to (cell, seed)
    teachers, final = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), (teachers, final))
    return RunArrays(teachers, final, recorder.frames)


def _chunks(spec: RunSpec, inputs: Inputs, seeds: Array, length: int, place: Placement) -> Iterator[Chunk]:
    """The chunks of a run; the inputs of each are drawn while the chunk before is learned.

    They are drawn in another thread, since what one thread gives to the device is computed one after the other.
    """
    tasks = np.stack([cell.schedule.tasks for cell in spec.cells], 1)
    sizes = spec.cells[0].experiment.teachers.shape[1:]
    draw = with_current_settings(lambda first: programs.inputs(inputs, seeds, spec.start + first, sizes, length))
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(draw, 0)
        for start in range(0, len(tasks), length):
            batches = drawn.result()
            stop = min(start + length, len(tasks))
            # all inputs at once leave nothing to draw: then the first result serves every chunk
            if stop < len(tasks) and jax.tree.leaves(batches):
                drawn = pool.submit(draw, stop)
            # the last chunk is padded to the length of the others, for which the programs are compiled
            padded = np.pad(tasks[start:stop], ((0, start + length - stop), (0, 0)))
            yield Chunk(start, stop - start, spec.every, place(padded, None, "cell"), batches)


class _Recorder:
    """What is recorded of a run, on the host, and the first value in it that is not finite.

    JAX returns before a device is done, and to read a value waits for it. So what a chunk gives is read one chunk
    later: meanwhile the device has the next one to work on.
    """

    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.length = spec, len(spec.cells[0].schedule.tasks) // spec.every
        self.frames: dict[str, np.ndarray] = {}
        self.nonfinite: NonFinite | None = None
        self.unread: tuple | None = None

    def add(self, *chunk_and_values: Any) -> None:
        """Take a chunk with what `observe` and `learn` gave for it, to be read later; read the one before."""
        if self.unread is not None:
            self._read(*self.unread)
        self.unread = chunk_and_values

    def finish(self) -> None:
        """Read the last chunk; refuse a quantity that is not finite, where parameters always were."""
        if self.unread is not None:
            self._read(*self.unread)
        if self.nonfinite is not None:
            raise_nonfinite(self.nonfinite, self.spec)

    def _read(self, chunk: Chunk, observed: tuple[dict[str, Any], Any], params: Params, finite: Any) -> None:
        quantities, quantities_finite = observed
        first_frame, stop_frame = chunk.first_frame, chunk.first_frame + chunk.frame_count
        # from (frame, seed, cell) to (cell, seed, frame)
        values = {name: _to_host(value)[: chunk.frame_count].swapaxes(0, 2) for name, value in quantities.items()}
        for name, value in values.items():
            if first_frame == 0:
                self.frames[name] = np.empty((*value.shape[:2], self.length, *value.shape[3:]), value.dtype)
            self.frames[name][:, :, first_frame:stop_frame] = value
        if self.nonfinite is None and not _to_host(quantities_finite):
            quantity = first_nonfinite(values)
            # from the number of a frame to that of its step
            self.nonfinite = quantity and quantity._replace(when=(first_frame + quantity.when) * chunk.every)
        if not _to_host(finite):
            ends = {name: _to_host(leaf).swapaxes(0, 1)[:, :, None] for name, leaf in params._asdict().items()}
            parameter = first_nonfinite(ends)
            assert parameter is not None
            parameter = parameter._replace(when=chunk.start + chunk.steps)
            # a quantity tells the time better than the chunk's end, but not one that was nan while parameters were not
            quantity = self.nonfinite
            of_this_chunk = quantity is not None and quantity.when >= max(1, chunk.start)
            raise_divergence(quantity if quantity is not None and of_this_chunk else parameter, self.spec)


def _to_host(array: Any) -> np.ndarray:
    """An array of all devices of all processes, on the host."""
    return np.asarray(multihost_utils.process_allgather(array, tiled=True) if jax.process_count() > 1 else array)


def _chunk_length(experiment: Experiment, seeds: int, params: Params) -> int:
    """The number of steps of a chunk, the same for short runs and long ones.

    A power of two: so few lengths occur in all, and few programs are compiled for them.
    """
    drawn, stored = seeds * batch_bytes(experiment), 2 * bytes_of(params)
    least, most_drawn, most = CHUNKS
    fitting = power_of_two_within(CHUNK_BYTES / (drawn + stored))
    return max(least, min(most_drawn if drawn else most, fitting))


def batch_bytes(experiment: Experiment) -> int:
    """The bytes of inputs that one step of one seed takes, 0 if all are seen at once; traced, and none is drawn."""
    return _batch_bytes(experiment.flow.inputs, experiment.teachers.shape[1:])


@cached_by_shapes
def _batch_bytes(inputs: Inputs, sizes: tuple[int, ...]) -> int:
    return bytes_of(jax.eval_shape(lambda inputs: inputs.draw(split_seed(0)[2], *sizes), inputs))


def _empty_frames(length: int, params: Params, place: Placement) -> Frames:
    """A buffer with a place for a frame of every step of a chunk."""
    frame = Frames(params, params, jax.ShapeDtypeStruct(params.gates.shape[:2], params.gates.dtype))
    return jax.tree.map(lambda leaf: place(np.zeros((length, *leaf.shape), leaf.dtype), None, "seed", "cell"), frame)


def stack_cells(spec: RunSpec, place: Placement) -> tuple[Network, Flow]:
    """Students and learning rules of all cells, with a cell axis on every number but those of the inputs."""
    parts = [(cell.experiment.network, cell.experiment.flow) for cell in spec.cells]
    network, flow = parts[0]
    has_cells = jax.tree.map(lambda _: True, network), programs.cell_axis_mask(flow)

    def stack(has_cells: bool, *leaves: Any) -> Any:
        return place(_stack(*leaves), "cell") if has_cells else place(np.asarray(leaves[0]))

    return jax.tree.map(stack, has_cells, *parts)


def _stack(*leaves: Any) -> np.ndarray:
    return np.stack([np.asarray(leaf) for leaf in leaves])


def _draw(spec: RunSpec, together: int) -> tuple[np.ndarray, Params]:
    """The teachers and the initial parameters of all runs."""
    seeds, cells = len(spec.seeds), len(spec.cells)
    parts = jax.tree.map(_stack, *((cell.experiment.teachers, cell.experiment.network) for cell in spec.cells))
    teachers, network = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (seeds, *leaf.shape)), parts)
    seed = np.broadcast_to(spec.seeds[:, None], (seeds, cells))
    return programs.draw(teachers, network, seed, together=together, sizes=spec.cells[0].experiment.sizes)


def _runs_together(experiment: Experiment) -> int:
    """How many runs are drawn at once: a power of two."""
    parameters = experiment.network.shapes(*experiment.sizes).values()
    numbers = math.prod(experiment.teachers.shape) + sum(map(math.prod, parameters))
    return power_of_two_within(min(programs.RUNS_TOGETHER, programs.NUMBERS_TOGETHER // numbers))
