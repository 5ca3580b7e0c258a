"""The compiled programs of a run, each compiled for what it depends on and for nothing else.

========  ==================================================  ============================================
draw      teachers and initial parameters of all seeds        kinds and shapes of teachers and network
project   their coordinates, where few of them suffice        shapes
inputs    what a chunk of steps sees                          kind of inputs, sizes
learn     a chunk of steps, keeping a state for every frame   network, penalties, kind of inputs, sizes
observe   the recorded quantities of these frames             quantities, sizes
lift      all weights, from coordinates                       shapes
========  ==================================================  ============================================

The values of settings and of seeds, the number of steps and `every` are arguments of all of them, so that none is
compiled for these. What is done once, draw, project and lift, is done with the host's arrays for a fixed number of runs
at a time, and serves any number of them. For the others another number of seeds, cells or tasks, and another length of
chunks, give arrays of other shapes, for which they are compiled anew. The numbers of network and flow have a cell axis,
but for those of the inputs, which all cells share. On the device, arrays of runs have the axes (step or frame, seed,
cell), or (seed, cell) where there are no steps: a loop over steps reads and writes one contiguous place at a time.
Everywhere else the order is (cell, seed, frame), and the module `simulate` alone changes one into the other. (With
cells before seeds here, the compiler adds up some recorded quantities in another order, and their last digits change.)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from gatedlib._internal.numerics import ceil_div, power_of_two_within
from gatedlib.model.experiment import draw_initial, split_seed
from gatedlib.model.inputs import Inputs
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import record as rec
from gatedlib.simulation import subspace
from gatedlib.simulation.subspace import Subspace

RUNS_TOGETHER, NUMBERS_TOGETHER = 32, 2**20
"""The most runs that are drawn at once; and about the most numbers, for fewer runs where networks are large."""

MAX_BATCH_FRAMES = 8
"""The most frames that are observed at once, to fill the vector units: fewer where frames are large."""

MAX_BATCH_NUMBERS = 2**17
"""About the most numbers in the frames that are observed at once."""

CPU_OPTIONS = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,
}
"""Options of XLA for a CPU, for programs that run often."""

PROGRAMS: list[Any] = []
"""The programs that have run, each for a kind of device."""


class Chunk(NamedTuple):
    """Consecutive steps of a run, and what they need on the device.

    Attributes:
        start: the number of the first step, from 0.
        steps: how many steps.
        every: the steps from one frame to the next.
        tasks: the task at every step; entries beyond `steps` pad it to the compiled length.
        batches: the inputs of every step, with axes (step, seed), padded in the same way.
    """

    start: Any
    steps: Any
    every: Any
    tasks: Int[Array, "length cell"]
    batches: Any

    @property
    def first_frame(self) -> Any:
        """The number of the first frame in this chunk: a frame belongs to every step that `every` divides."""
        return ceil_div(self.start, self.every)

    @property
    def frame_count(self) -> Any:
        """How many frames begin in this chunk."""
        return ceil_div(self.start + self.steps, self.every) - self.first_frame


class Frames(NamedTuple):
    """The states before steps, and the rates of change and the losses in these steps; axes (frame, seed, cell)."""

    params: Params
    velocity: Params
    loss: Any


def cell_axis_mask(flow: Flow) -> Any:
    """Which numbers of a flow have a cell axis in front: all but those of the inputs, which may be a whole data set."""
    everything = jax.tree.map(lambda _: True, flow)
    return eqx.tree_at(lambda of: jax.tree.leaves(of.inputs), everything, replace_fn=lambda _: False)


def vmap_runs(function: Callable[..., Any], *axes: Any) -> Callable[..., Any]:
    """Map a function of single runs over seeds and cells.

    Each of `axes` is the pair (seed axis, cell axis) of one argument, None where it has none; the cell axis is counted
    after the seed axis is removed.
    """
    by_seed, by_cell = zip(*axes, strict=True)
    return jax.vmap(jax.vmap(function, in_axes=by_cell), in_axes=by_seed)


def jit_per_backend(
    *static: str, donated: str | None = None, once: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the devices in use: what runs once in a run is compiled faster, what runs often better."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def compiled(backend: str) -> Any:
            options = _cpu_options(once) if backend == "cpu" else {}
            program = jax.jit(function, static_argnames=static, donate_argnames=donated, compiler_options=options)
            PROGRAMS.append(program)
            return program

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return compiled(jax.default_backend())(*args, **kwargs)

        return call

    return decorate


def _cpu_options(once: bool) -> dict[str, Any]:
    """How XLA compiles for a CPU: what runs often in a third of the usual time, what runs once in less.

    LLVM's first level makes loops that are no slower than those of the others, without any they take twice as long;
    programs in one part cost less than many small ones; and of the two code generators, the older compiles faster. New
    versions of jaxlib may lack a choice.
    """
    wanted = CPU_OPTIONS | {"xla_backend_optimization_level": 0} if once else CPU_OPTIONS
    return wanted if _known(*wanted) else {name: value for name, value in wanted.items() if _known(name)}


@functools.cache
def _known(*names: str) -> bool:
    """Whether this jaxlib has these options: an empty program shows it."""
    options: dict[str, Any] = {name: CPU_OPTIONS[name] for name in names}
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except RuntimeError:
        return False
    return True


def compiled_count() -> int:
    """The number of programs compiled so far."""
    return sum(program._cache_size() for program in PROGRAMS)


def map_over_runs(*static: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function of one run for so many `together`, and call it for all, batch by batch.

    The arrays that it is called with, and those that it returns, are the host's, with the axes (seed, cell).
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @jit_per_backend(*static, once=True)
        def batch_of_runs(*runs: Any, **sizes: Any) -> Any:
            return jax.vmap(partial(function, **sizes))(*runs)

        @functools.wraps(function)
        def call(*runs: Any, together: int, **sizes: Any) -> Any:
            shape = jax.tree.leaves(runs)[0].shape[:2]
            count, parts = math.prod(shape), []
            for first in range(0, count, together):
                # the last batch is filled up with the last run
                places = np.unravel_index(np.minimum(np.arange(first, first + together), count - 1), shape)
                batch = jax.tree.map(lambda leaf, places=places: leaf[places], runs)
                parts.append(jax.device_get(batch_of_runs(*batch, **sizes)))
            whole = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
            return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), whole)

        return call

    return decorate


@map_over_runs("sizes")
def draw(teachers: Teachers, network: Network, seed: Array, sizes: tuple[int, int]) -> tuple[Array, Params]:
    """The teachers and the initial parameters of a run, for a student of these sizes."""
    return draw_initial(teachers, network, seed, sizes)


@map_over_runs()
def project(teachers: Array, params: Params) -> tuple[Array, Params, Subspace]:
    """Teachers and parameters of a run in the coordinates of their subspace, and that."""
    return subspace.project(teachers, params)


@map_over_runs()
def lift(params: Params, space: Subspace) -> Params:
    """The parameters of a run, from coordinates."""
    return space.full_params(params)


@jit_per_backend("sizes", "length")
def inputs(inputs: Inputs, seeds: Array, start: Array, sizes: tuple[int, int], length: int) -> Any:
    """The batches of the steps from `start` on, with axes (step, seed): cells share them."""
    input_keys = jax.vmap(lambda seed: split_seed(seed)[2])(seeds)

    def draw_one(step: Array, key: Array) -> Any:
        # the key of a step depends on its number alone: a run that is cut, or goes on later, draws the same inputs
        return inputs.draw(jax.random.fold_in(key, step), *sizes)

    # seeds stay an axis of their own, which may lie over several devices
    return jax.vmap(jax.vmap(draw_one, in_axes=(None, 0)), in_axes=(0, None))(start + jnp.arange(length), input_keys)


@jit_per_backend(donated="buffer")
def learn(
    network: Network, flow: Flow, targets: Array, params: Params, chunk: Chunk, buffer: Frames
) -> tuple[Params, Frames, Array]:
    """Learn for the steps of a chunk, and keep the state before those that have a frame.

    Returns:
        The parameters, the frames in the buffer, and whether the parameters are all finite.
    """
    flow_axes = jax.tree.map(lambda has_cells: 0 if has_cells else None, cell_axis_mask(flow))

    def learn_one(network: Network, flow: Flow, target: Array, params: Params, task: Array, batch: Any) -> Any:
        loss, velocity = flow.velocity(network, params, target[task], batch)
        return flow.step(params, velocity), Frames(params, velocity, loss)

    learn_all = vmap_runs(learn_one, (None, 0), (None, flow_axes), (0, 0), (0, 0), (None, 0), (0, None))

    def advance(index: Array, state: tuple[Params, Frames]) -> tuple[Params, Frames]:
        params, frames = state
        task, batch = jax.tree.map(lambda leaf: leaf[index], (chunk.tasks, chunk.batches))
        params, frame = learn_all(network, flow, targets, params, task, batch)
        step = chunk.start + index

        def store(frames: Frames) -> Frames:
            at = step // chunk.every - chunk.first_frame
            return jax.tree.map(lambda stored, new: stored.at[at].set(new), frames, frame)

        # cond and not where: steps without a frame touch none of the buffer, where `where` would copy all of it
        return params, jax.lax.cond(step % chunk.every == 0, store, lambda frames: frames, frames)

    params, frames = jax.lax.fori_loop(0, chunk.steps, advance, (params, buffer))
    return params, frames, _all_finite(params)


def _all_finite(tree: Any) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


@jit_per_backend("record")
def observe(
    network: Network,
    inputs: Inputs,
    teachers: Array,
    space: Subspace | None,
    chunk: Chunk,
    frames: Frames,
    record: tuple[rec.Quantity, ...],
) -> tuple[dict[str, Array], Array]:
    """The recorded quantities of a chunk, with axes (frame, seed, cell), and whether they are all finite.

    The frame axis is as long as the buffer; entries beyond the frames of this chunk have no meaning.
    """

    def observe_one(network: Network, teachers: Array, space: Any, state: Frames, task: Array, batch: Any) -> Any:
        return rec.evaluate(record, rec.Frame(*state, task, teachers, network, inputs, batch, space))

    observe_runs = vmap_runs(observe_one, (None, 0), (0, 0), (0, 0), (0, 0), (None, 0), (0, None))
    observe_frames = jax.vmap(lambda *frame: observe_runs(network, teachers, space, *frame))
    length = len(frames.loss)
    numbers = sum(leaf[0].size for leaf in jax.tree.leaves(frames))
    # a power of two, as is the length of the buffer, which batches therefore fill without a rest
    batch = min(length, power_of_two_within(min(MAX_BATCH_FRAMES, MAX_BATCH_NUMBERS // numbers)))

    @jax.jit  # so that it is traced once
    def observe_batch(index: Array) -> tuple[dict[str, Array], Array]:
        frame_numbers = index * batch + jnp.arange(batch)
        states = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, index * batch, batch), frames)
        offsets = (chunk.first_frame + frame_numbers) * chunk.every - chunk.start  # of their steps within the chunk
        task, inputs_seen = jax.tree.map(lambda leaf: leaf.at[offsets].get(mode="clip"), (chunk.tasks, chunk.batches))
        values = observe_frames(states, task, inputs_seen)
        # frames beyond the count are what an earlier chunk left in the buffer, or zeros
        used = jax.tree.map(
            lambda value: jnp.where(_broadcast_trailing(frame_numbers < chunk.frame_count, value), value, 0), values
        )
        return values, _all_finite(used)

    def store_batch(index: Array, done: tuple[dict[str, Array], Array]) -> tuple[dict[str, Array], Array]:
        values, finite = observe_batch(jnp.int32(index))
        return jax.tree.map(lambda stored, new: stored.at[index].set(new), done[0], values), done[1] & finite

    shapes = jax.eval_shape(observe_batch, jnp.int32(0))[0]
    empty = jax.tree.map(lambda leaf: jnp.zeros((length // batch, *leaf.shape), leaf.dtype), shapes)
    batch_count = ceil_div(chunk.frame_count, batch)
    values, finite = jax.lax.fori_loop(0, batch_count, store_batch, (empty, jnp.bool_(True)))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), values), finite


def _broadcast_trailing(vector: Array, value: Array) -> Array:
    """A vector in a shape that goes with a value along its first axis."""
    return vector.reshape(-1, *(1,) * (value.ndim - 1))
