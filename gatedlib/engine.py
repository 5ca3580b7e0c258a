"""The engine: one compiled run of many cells (experiments that differ in numbers only) for many seeds.

All cells share their inputs, and a seed draws them once for all. In the population limit a gated linear student
never leaves the span of its teachers and its initial weights; the engine then learns the few coordinates in that
span, which is the same flow at a fraction of the cost.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gatedlib import _random
from gatedlib import record as rec
from gatedlib._asked import Seeds, checked_experiment, checked_initial, checked_record, checked_seeds, checked_start
from gatedlib._orthonormal import orthonormal
from gatedlib.experiment import Experiment, keys
from gatedlib.flow import Flow
from gatedlib.inputs import Population
from gatedlib.networks import GatedLinear, Network, Params
from gatedlib.teachers import Teachers

if TYPE_CHECKING:
    import xarray as xr

# Steps whose random inputs are drawn together: enough to fill the vector units, few enough to stay in the cache.
DRAWN_TOGETHER = 100

PROGRAMS = 60
"""Compiled programs that are kept: each takes some 300 memory maps, and Linux ends a process that asks for 65 530."""

LONG = 2.0
"""Seconds after which a run shows that it is still running."""

Parts = tuple[Teachers, Network, Flow]


class Home(NamedTuple):
    """Where weights that are learned in coordinates live: the basis, and the weights at the start, whole and in it."""

    basis: Float[Array, "rank out in"]
    start: Float[Array, "path out in"]
    first: Float[Array, "path 1 rank"]


@_random.own_settings()
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
    that takes long says so. Ctrl-C is heard at once; what was begun is computed to its end in the background.

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
        >>> import gatedlib as gl
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
    out = compiled()(stacked([experiment]), schedule.tasks[:, None], chosen, begin, start, record=record, every=every)
    wait(out, f"simulating {len(chosen)} seeds × {len(schedule.tasks)} steps")
    teachers, final, frames = jax.tree.map(lambda leaf: np.asarray(leaf)[:, 0], out)

    from gatedlib.results import label  # xarray takes a while to import; `import gatedlib` should not

    return label(experiment, schedule, chosen, record, every, teachers, final, frames, start=start)


def wait(out: Any, title: str | None = None) -> None:
    """Wait for arrays that are being computed, and say so if it takes long and there is a title.

    Who reads such an array hears of no Ctrl-C until it is there; who waits here does at once. What was begun then ends
    in the background, and is dropped.
    """
    from tqdm import tqdm

    begun, nap = time.perf_counter(), 0.0
    silent = {"disable": True} if title is None else {}  # else TQDM_DISABLE decides
    with tqdm(desc=title, bar_format="{desc} … {elapsed}", leave=False, delay=LONG, **silent) as progress:
        while not all(leaf.is_ready() for leaf in jax.tree.leaves(out)):
            time.sleep(nap)
            nap = min(0.1, (time.perf_counter() - begun) / 20)
            progress.update()


def stacked(experiments: Sequence[Experiment]) -> Parts:
    """The parts of some experiments that differ in numbers only and share their inputs; see `of_cells`."""
    parts = [(each.teachers, each.network, each.flow) for each in experiments]
    spec = of_cells(parts[0])
    own = jax.tree.map(lambda *leaves: np.stack(list(map(np.asarray, leaves))), *(eqx.filter(p, spec) for p in parts))
    return eqx.combine(own, jax.tree.map(np.asarray, eqx.filter(parts[0], spec, inverse=True)))


def of_cells(parts: Parts) -> Any:
    """Which numbers have a cell axis in front: all but those of the inputs, which may be a whole data set."""
    everything = jax.tree.map(lambda _: True, parts)
    return eqx.tree_at(lambda of: jax.tree.leaves(of[2].inputs), everything, replace_fn=lambda _: False)


def compiled() -> Callable[..., Any]:
    """The compiled run, for the devices that there are; it forgets all programs before there are too many."""
    function: Any = _compiled(jax.default_backend())
    if function._cache_size() >= PROGRAMS:
        jax.clear_caches()
    return function


@functools.cache
def _compiled(backend: str) -> Callable[..., Any]:
    # On a CPU, LLVM's first level compiles such a scan in half the time, into code that is no slower.
    options = {"xla_backend_optimization_level": 1} if backend == "cpu" else {}
    return jax.jit(run, static_argnames=("record", "every"), compiler_options=options)


def run(
    cells: Parts,
    tasks: Array,
    seeds: Array,
    initial: Params | None,
    start: Array | int = 0,
    *,
    record: tuple[rec.Quantity, ...],
    every: int,
) -> tuple[Array, Params, dict[str, Array]]:
    """Teachers, final parameters and frames of all seeds and cells.

    Args:
        cells: teachers, network and flow, with a cell axis on every number but those of the inputs.
        tasks: the task of every step in every cell, shape (step, cell).
        seeds: shape (seed,).
        initial: parameters with a seed axis, or None to draw them.
        start: how many steps of inputs were drawn before.
        record: what to keep.
        every: how often.

    Returns:
        Arrays whose first axes are (seed, cell), then (frame,) in the frames.
    """
    return jax.vmap(partial(_run_seed, cells, tasks, start, record=record, every=every))(seeds, initial)


def _run_seed(
    cells: Parts,
    tasks: Array,
    start: Array | int,
    seed: Array,
    initial: Params | None,
    *,
    record: tuple[rec.Quantity, ...],
    every: int,
) -> tuple[Array, Params, dict[str, Array]]:
    teacher_key, network_key, input_key = keys(seed)
    inputs, axes = cells[2].inputs, jax.tree.map(lambda own: 0 if own else None, of_cells(cells))

    def begin(cell: Parts) -> tuple[Array, Array, Params, Home | None]:
        sampler, network, flow = cell
        teachers = sampler.sample(teacher_key)
        sizes = teachers.shape[1], inputs.width(teachers.shape[2])
        params = network.init(network_key, *sizes) if initial is None else initial
        basis = span(network, flow, teachers, params)
        if basis is None:
            return teachers, teachers, params, None
        narrow = partial(jnp.einsum, "kij,nij->nk", basis)
        first = narrow(params.weights)[:, None]
        return teachers, narrow(teachers)[:, None], params._replace(weights=first), Home(basis, params.weights, first)

    teachers, targets, params, home = jax.vmap(begin, in_axes=(axes,))(cells)

    def whole(params: Params, home: Home | None) -> Params:
        """All weights again: where they began, and how far they have come, which is exactly nothing if frozen."""
        if home is None:
            return params
        return params._replace(weights=home.start + _widen(params.weights - home.first, home))

    def whole_velocity(velocity: Params, home: Home | None) -> Params:
        return velocity if home is None else velocity._replace(weights=_widen(velocity.weights, home))

    def draw(step: Array) -> Any:
        return inputs.draw(jax.random.fold_in(input_key, step), *teachers.shape[-2:])

    def learn(cell: Parts, target: Array, params: Params, task: Array, seen: Any) -> tuple[Params, Any]:
        _, network, flow = cell
        loss, velocity = flow.velocity(network, params, target[task], seen)
        return flow.step(params, velocity), (params, velocity, loss, task)

    learn_all = jax.vmap(learn, in_axes=(axes, 0, 0, 0, None))

    def advance(params: Params, now: tuple) -> tuple[Params, Any]:
        return learn_all(cells, targets, params, *now)

    def keep(network: Network, teachers: Array, home: Home | None, state: tuple, seen: Any) -> dict[str, Array]:
        params, velocity, loss, task = state
        moved = whole_velocity(velocity, home)
        frame = rec.Frame(whole(params, home), moved, loss, task, teachers, network, inputs, seen)
        return rec.evaluate(record, frame)

    keep_all = jax.vmap(keep, in_axes=(0, 0, 0, 0, None))

    def frame(params: Params, of_frame: tuple) -> tuple[Params, dict[str, Array]]:
        first, rest = jax.tree.map(lambda x: x[0], of_frame), jax.tree.map(lambda x: x[1:], of_frame)
        params, state = advance(params, first)
        if every > 1:  # a scan of no steps would still be compiled
            params, _ = jax.lax.scan(lambda p, x: (advance(p, x)[0], None), params, rest)
        return params, keep_all(cells[1], teachers, home, state, first[1])

    def chunk(params: Params, of_chunk: tuple) -> tuple[Params, dict[str, Array]]:
        tasks, steps = of_chunk
        return jax.lax.scan(frame, params, (tasks, jax.vmap(jax.vmap(draw))(steps)))

    frames = len(tasks) // every
    together = max(n for n in range(1, max(1, DRAWN_TOGETHER // every) + 1) if frames % n == 0)
    steps = start + jnp.arange(len(tasks))
    spans = (tasks.reshape(-1, together, every, tasks.shape[1]), steps.reshape(-1, together, every))
    params, kept = jax.lax.scan(chunk, params, spans)
    frames_first = jax.tree.map(lambda x: x.reshape(frames, *x.shape[2:]), kept)
    return teachers, jax.vmap(whole)(params, home), jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), frames_first)


def _widen(weights: Float[Array, "path 1 rank"], home: Home) -> Float[Array, "path out in"]:
    return jnp.einsum("pk,kij->pij", weights[:, 0], home.basis)


def span(
    network: Network, flow: Flow, teachers: Float[Array, "task out in"], params: Params
) -> Float[Array, "rank out in"] | None:
    r"""An orthonormal basis of all that the weights can become, or None where that may be anything.

    .. math::

        G = \sum_p c_p W_p - W^*_m \quad\Rightarrow\quad
        W_p(t) \in \mathrm{span}\{W^*_1, \dots, W^*_M, W_1(0), \dots, W_P(0)\}

    if all inputs are seen at once (S = I), every path has one gate, and no penalty acts on the weights. Inner
    products are the same in its coordinates, so loss, gradients and gates are too.
    """
    free = not any(penalty.acts_on_weights(params) for penalty in flow.penalties)
    if type(network) is not GatedLinear or type(flow.inputs) is not Population or not free:
        return None
    vectors = jnp.concatenate([teachers, params.weights]).reshape(len(teachers) + len(params.weights), -1)
    if vectors.shape[0] >= vectors.shape[1]:
        return None
    return orthonormal(vectors).reshape(-1, *teachers.shape[1:])
