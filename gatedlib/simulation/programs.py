"""The compiled programs of a run, each compiled for what it depends on and for nothing else.

========  ==================================================  ============================================
draw      teachers and initial parameters of all seeds        kinds and shapes of teachers and network
project   their coordinates, where few of them suffice        shapes
inputs    what a chunk of steps sees                          kind of inputs, sizes
learn     a chunk of steps, keeping a state for every frame   network, penalties, kind of inputs, sizes
observe   the recorded quantities of these frames             quantities, sizes
lift      all weights, from coordinates                       shapes
========  ==================================================  ============================================

The numbers of an experiment, of its steps and of its seeds are arguments of all of them, so that none is compiled for
these. All arrays of runs begin with the axes (seed, cell), after that of steps or frames where there is one; the
numbers of teachers, network and flow have a cell axis, but for those of the inputs.
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
from jaxtyping import Array, Int

from gatedlib.model.experiment import draw_initial, split_seed
from gatedlib.model.inputs import Inputs
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import record as rec
from gatedlib.simulation import subspace
from gatedlib.simulation.subspace import Subspace

FRAMES_TOGETHER = 8
"""At most so many frames are observed together, to fill the vector units: fewer where each is large."""

NUMBERS_TOGETHER = 2**17
"""About how many numbers of frames are observed together."""

PROGRAMS: list[Callable[[str], Any]] = []
"""All programs, by the kind of device that they are compiled for."""


class Frames(NamedTuple):
    """The states before some steps, and the rates of change and the losses of these."""

    params: Params
    velocity: Params
    loss: Any


def cell_axis_mask(flow: Flow) -> Any:
    """Which numbers of a flow have a cell axis in front: all but those of the inputs, which may be a whole data set."""
    everything = jax.tree.map(lambda _: True, flow)
    return eqx.tree_at(lambda of: jax.tree.leaves(of.inputs), everything, replace_fn=lambda _: False)


def over_runs(function: Callable[..., Any], *axes: Any, cells: int | None = None) -> Callable[..., Any]:
    """Map a function of cells and runs over seeds and cells; `axes` are those of its arguments in (seed, cell).

    How many `cells` there are must be said where it may be that no argument has numbers of its own in each.
    """
    by_seed, by_cell = zip(*axes, strict=True)
    return jax.vmap(jax.vmap(function, in_axes=by_cell, axis_size=cells), in_axes=by_seed)


def program(
    *static: str, donated: str | None = None, quick: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the devices that there are; if need be not `quick`, but into the fastest code."""

    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def compiled(backend: str) -> Any:
            options = _options(quick) if backend == "cpu" else {}
            return jax.jit(function, static_argnames=static, donate_argnames=donated, compiler_options=options)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return compiled(jax.default_backend())(*args, **kwargs)

        PROGRAMS.append(compiled)
        return call

    return make


@functools.cache
def _options(quick: bool) -> dict[str, Any]:
    """How XLA compiles for a CPU in a third of the time.

    LLVM's first level makes loops that are no slower than those of the others; programs in one part cost less than many
    small ones; and of the two code generators, the older compiles faster. New versions of jaxlib may lack a choice.
    """
    known: dict[str, int | bool] = {"xla_backend_optimization_level": 1, "xla_cpu_parallel_codegen_split_count": 1}
    wanted: dict[str, Any] = {**known, "xla_cpu_use_fusion_emitters": not quick}
    for name, value in wanted.items():
        try:
            jax.jit(lambda: 0).lower().compile(compiler_options={name: value})
            known[name] = value
        except RuntimeError:
            known.pop(name, None)
    return known


def count() -> int:
    """How many compiled programs there are."""
    return sum(compiled(jax.default_backend())._cache_size() for compiled in PROGRAMS)


@program("sizes", "cells")
def draw(
    teachers: Teachers, network: Network, seeds: Array, sizes: tuple[int, int], cells: int
) -> tuple[Array, Params]:
    """The teachers and the initial parameters of every seed in every cell, for a student of these sizes."""
    draw_all = over_runs(partial(draw_initial, sizes=sizes), (None, 0), (None, 0), (0, None), cells=cells)
    return draw_all(teachers, network, seeds)


@program()
def project(teachers: Array, params: Params) -> tuple[Array, Params, Subspace]:
    """Teachers and parameters of all runs in the coordinates of their subspace, and that."""
    return jax.vmap(jax.vmap(subspace.project))(teachers, params)


@program()
def lift(params: Params, space: Subspace) -> Params:
    """The parameters of all runs, from coordinates."""
    return jax.vmap(jax.vmap(lambda params, space: space.full_params(params)))(params, space)


@program("sizes", "chunk", quick=False)  # most of the time of a run goes into these
def inputs(inputs: Inputs, seeds: Array, start: Array, sizes: tuple[int, int], chunk: int) -> Any:
    """The batches of the steps of a chunk, with axes (step, seed); the first step has this number."""
    of_seeds = jax.vmap(lambda seed: split_seed(seed)[2])(seeds)

    def draw_one(step: Array, key: Array) -> Any:
        return inputs.draw(jax.random.fold_in(key, step), *sizes)

    # seeds stay an axis of their own, which may lie over several devices
    return jax.vmap(jax.vmap(draw_one, in_axes=(None, 0)), in_axes=(0, None))(start + jnp.arange(chunk), of_seeds)


@program(donated="buffer")
def learn(
    network: Network,
    flow: Flow,
    targets: Array,
    params: Params,
    tasks: Int[Array, "chunk cell"],
    batches: Any,
    buffer: Frames,
    start: Array,
    steps: Array,
    every: Array,
) -> tuple[Params, Frames, Array]:
    """Learn for so many steps, the first of which has this number, and keep the state before every so many of them.

    Returns:
        The parameters, the frames in the buffer, and whether the parameters are all finite.
    """
    own = jax.tree.map(lambda own: 0 if own else None, cell_axis_mask(flow))

    def learn_one(network: Network, flow: Flow, target: Array, params: Params, task: Array, batch: Any) -> Any:
        loss, velocity = flow.velocity(network, params, target[task], batch)
        return flow.step(params, velocity), Frames(params, velocity, loss)

    learn_all = over_runs(learn_one, (None, 0), (None, own), (0, 0), (0, 0), (None, 0), (0, None))
    frames_before = -(-start // every)

    def advance(index: Array, state: tuple[Params, Frames]) -> tuple[Params, Frames]:
        params, frames = state
        task, batch = jax.tree.map(lambda leaf: leaf[index], (tasks, batches))
        params, frame = learn_all(network, flow, targets, params, task, batch)
        step = start + index

        def store(frames: Frames) -> Frames:
            return jax.tree.map(lambda all_, new: all_.at[step // every - frames_before].set(new), frames, frame)

        return params, jax.lax.cond(step % every == 0, store, lambda frames: frames, frames)

    params, frames = jax.lax.fori_loop(0, steps, advance, (params, buffer))
    return params, frames, _all_finite(params)


def _all_finite(tree: Any) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


@program("record")
def observe(
    network: Network,
    inputs: Inputs,
    teachers: Array,
    space: Subspace | None,
    frames: Frames,
    tasks: Int[Array, "chunk cell"],
    batches: Any,
    start: Array,
    every: Array,
    count: Array,
    record: tuple[rec.Quantity, ...],
) -> tuple[dict[str, Array], Array]:
    """The quantities of the first so many frames of a chunk, and whether they are all finite."""

    def observe_one(network: Network, teachers: Array, space: Any, state: Frames, task: Array, batch: Any) -> Any:
        return rec.evaluate(record, rec.Frame(*state, task, teachers, network, inputs, batch, space))

    observe_all = over_runs(observe_one, (None, 0), (0, 0), (0, 0), (0, 0), (None, 0), (0, None))
    length = len(frames.loss)
    numbers = sum(leaf[0].size for leaf in jax.tree.leaves(frames))
    together = min(length, 2 ** int(math.log2(max(1, min(FRAMES_TOGETHER, NUMBERS_TOGETHER // numbers)))))
    frames_before = -(-start // every)

    @jax.jit  # so that it is traced once
    def some(index: Array) -> tuple[dict[str, Array], Array]:
        places = index * together + jnp.arange(together)
        states = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, index * together, together), frames)
        steps = (frames_before + places) * every - start
        task, batch = jax.tree.map(lambda leaf: leaf.at[steps].get(mode="clip"), (tasks, batches))
        values = jax.vmap(lambda *frame: observe_all(network, teachers, space, *frame))(states, task, batch)
        # frames beyond the count hold what an earlier chunk left in the buffer
        used = jax.tree.map(lambda value: jnp.where(_along(places < count, value), value, 0), values)
        return values, _all_finite(used)

    def put(index: Array, done: tuple[dict[str, Array], Array]) -> tuple[dict[str, Array], Array]:
        values, finite = some(jnp.int32(index))
        return jax.tree.map(lambda all_, new: all_.at[index].set(new), done[0], values), done[1] & finite

    shapes = jax.eval_shape(some, jnp.int32(0))[0]
    empty = jax.tree.map(lambda leaf: jnp.zeros((length // together, *leaf.shape), leaf.dtype), shapes)
    values, finite = jax.lax.fori_loop(0, -(-count // together), put, (empty, jnp.bool_(True)))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), values), finite


def _along(first: Array, array: Array) -> Array:
    """A vector along the first axis of an array."""
    return first.reshape(-1, *(1,) * (array.ndim - 1))
