"""An experiment is a value; `simulate` runs it for some seeds and returns labelled results."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gatedlib import _check
from gatedlib import record as rec
from gatedlib.curricula import Curriculum, Schedule
from gatedlib.flow import Flow
from gatedlib.networks import Network, Params
from gatedlib.teachers import Teachers

if TYPE_CHECKING:
    import xarray as xr

# Steps whose random inputs are drawn together: enough to fill the vector units, few enough to stay in the cache.
DRAWN_TOGETHER = 100


class DivergenceError(ValueError):
    """A run left the finite numbers because its step is too long for its time constants."""


class Experiment(eqx.Module):
    """Everything that defines a run but its seeds: which tasks, which student, in which order, learned how.

    Args:
        teachers: the tasks.
        network: the student.
        curriculum: which task is on when.
        flow: how the student learns.

    Raises:
        ValueError: if a part is of the wrong kind, the curriculum names a task without a teacher, a block is no
            whole number of steps, or dt is too long for the stiffness of the penalties.

    Example:
        >>> import gatedlib as gl
        >>> experiment = gl.Experiment(
        ...     teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
        ...     network=gl.GatedLinear(paths=2),
        ...     curriculum=gl.Blocked(blocks=4, block_length=1.0),
        ...     flow=gl.Flow(tau_w=1.3, tau_c=0.03),
        ... )
        >>> experiment.replace(tau_c=0.1).flow.tau_c
        0.1

    Source: paper, section 2.
    """

    teachers: Teachers
    network: Network
    curriculum: Curriculum
    flow: Flow

    def __check_init__(self) -> None:
        kinds = {"teachers": Teachers, "network": Network, "curriculum": Curriculum, "flow": Flow}
        for name, kind in kinds.items():
            part = getattr(self, name)
            _check.require(
                isinstance(part, kind), name, part, f"must be a {kind.__name__}", f"See gatedlib.{kind.__name__}"
            )
        tasks = self.teachers.shape[0]
        unknown = sorted(set(self.schedule().block_tasks.tolist()) - set(range(tasks)))
        _check.require(
            not unknown,
            "tasks in the curriculum",
            unknown,
            f"there are {tasks} teachers, so tasks run from 0 to {tasks - 1}",
            "Add teachers, or name these tasks only",
        )
        _, d_out, d_in = self.teachers.shape
        gates = int(np.prod(self.network.shapes(d_out, d_in)["gates"]))
        curvature = sum(float(penalty.gate_curvature(gates)) for penalty in self.flow.penalties)
        longest = 2 * float(self.flow.tau_c) / curvature if curvature > 0 else np.inf
        _check.require(
            float(self.flow.dt) < longest,
            "dt",
            float(self.flow.dt),
            f"gates under these penalties are stable only for dt < 2 tau_c / curvature = {longest:.3g}",
            "Reduce dt, weaken the penalty, or slow the gates",
        )

    def schedule(self) -> Schedule:
        """The curriculum in whole steps of this experiment's dt."""
        return self.curriculum.schedule(float(self.flow.dt))

    def replace(self, **settings: Any) -> Experiment:
        """The same experiment with some settings changed, each found by its name wherever it stands.

        Raises:
            ValueError: if no part has a setting of that name, or more than one has, or the new value is refused.
        """
        found: dict[str, int] = {}
        for part in _parts(self):
            for field in dataclasses.fields(part):
                found[field.name] = found.get(field.name, 0) + 1
        for name in settings:
            _check.known(name, found, "setting")
            _check.require(found[name] == 1, "setting", name, "stands in more than one part", "Replace that part whole")
        return _rebuilt(self, settings)


def _parts(part: eqx.Module) -> Iterator[eqx.Module]:
    yield part
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, eqx.Module):
                yield from _parts(child)


def _rebuilt(part: Any, settings: dict[str, Any]) -> Any:
    if isinstance(part, tuple):
        return tuple(_rebuilt(child, settings) for child in part)
    if not isinstance(part, eqx.Module):
        return part
    names = [field.name for field in dataclasses.fields(part)]
    fields = {n: settings[n] if n in settings else _rebuilt(getattr(part, n), settings) for n in names}
    return type(part)(**fields)


def simulate(
    experiment: Experiment,
    seeds: int | Sequence[int] = 10,
    record: Sequence[rec.Quantity] = rec.DEFAULT,
    every: int = 1,
    initial: Params | None = None,
) -> xr.Dataset:
    """Run an experiment for some seeds, all at once, and label what comes out.

    A seed draws the teachers, the initial weights and the inputs; what it gives does not depend on its company.

    Args:
        experiment: what to run.
        seeds: how many seeds (0, 1, …), or which.
        record: the quantities to keep; see `gatedlib.record`.
        every: keep one frame every so many steps; must divide the number of steps.
        initial: parameters to start from instead of random ones, shapes (path, out, in) and (path,),
            or with a leading seed axis, as `gatedlib.results.final_params` gives them.

    Returns:
        A dataset with dims seed, time, task, path, …: the recorded quantities, `teachers`, `final_weights`,
        `final_gates`, the table of blocks (`block_start` and `block_stop` in steps, `block_task`), and the settings
        in `attrs`. `results.to_netcdf(path)` and `xarray.load_dataset(path)` keep it without loss.

    Raises:
        ValueError: if there is no seed, a seed is repeated, `every` does not divide the steps, two quantities share
            a name, or `initial` has the wrong shape.
        DivergenceError: (a ValueError) if a number ceases to be finite; the message says when, which, and what to do.

    Example:
        >>> import gatedlib as gl
        >>> experiment = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... )
        >>> results = gl.simulate(experiment, seeds=3)
        >>> dict(results.loss.sizes)
        {'seed': 3, 'time': 200}

    Source: paper, section 2.
    """
    schedule = experiment.schedule()
    chosen = _seeds(seeds)
    record = tuple(record)
    _check_record(record, every, len(schedule.tasks))
    start = None if initial is None else _broadcast(initial, experiment, len(chosen))
    run = _compiled(jax.default_backend())
    teachers, final, frames = run(
        experiment.teachers, experiment.network, experiment.flow, schedule.tasks, chosen, start, record, every
    )

    from gatedlib.results import label  # xarray takes a while to import; `import gatedlib` should not

    return label(experiment, schedule, chosen, record, every, teachers, final, frames)


def _seeds(seeds: int | Sequence[int]) -> np.ndarray:
    remedy = "Ask for a number such as 10, or for a list such as [0, 1, 2]"
    if isinstance(seeds, int | np.integer):
        _check.whole("seeds", seeds, 1, remedy)
        return np.arange(seeds)
    chosen = list(seeds)
    _check.require(len(chosen) > 0, "seeds", chosen, "must hold at least one seed", remedy)
    for seed in chosen:
        _check.whole("seed", seed, 0, remedy)
        _check.require(seed < 2**31, "seed", seed, "must be below 2**31", remedy)
    _check.require(len(set(chosen)) == len(chosen), "seeds", chosen, "must not repeat a seed", remedy)
    return np.asarray(chosen)


def _check_record(record: tuple, every: int, steps: int) -> None:
    for quantity in record:
        _check.require(
            isinstance(quantity, rec.Quantity),
            "record",
            quantity,
            "must be made of quantities",
            "Use those of gatedlib.record, or make one with @gatedlib.record.quantity",
        )
    names = [quantity.name for quantity in record]
    _check.require(len(set(names)) == len(names), "record", names, "must not repeat a name", "Rename one")
    _check.require(len(names) > 0, "record", names, "must keep something", "Leave it out for the default record")
    _check.whole("every", every, 1, "Use 1 to keep every step")
    if steps % every:
        divisors = [n for n in range(1, steps + 1) if steps % n == 0]
        near = sorted(sorted(divisors, key=lambda n: abs(n - every))[:2])
        rule, remedy = f"must divide the number of steps, {steps}", f"Use {' or '.join(map(str, near))}"
        _check.require(False, "every", every, rule, remedy)


def _broadcast(initial: Params, experiment: Experiment, seeds: int) -> Params:
    """Initial parameters with a seed axis, after a check of their shapes."""
    _, d_out, d_in = experiment.teachers.shape
    leaves = {}
    for name, shape in experiment.network.shapes(d_out, d_in).items():
        leaf = jnp.asarray(getattr(initial, name), float)
        _check.require(
            leaf.shape in (shape, (seeds, *shape)),
            f"shape of initial {name}",
            leaf.shape,
            f"must be {shape}, or {(seeds, *shape)} with one set per seed",
            "Compare network.shapes(d_out, d_in)",
        )
        _check.require(bool(jnp.isfinite(leaf).all()), f"initial {name}", "nan or inf", "must be finite", "Mend them")
        leaves[name] = jnp.broadcast_to(leaf, (seeds, *shape))
    return Params(**leaves)


@functools.cache
def _compiled(backend: str) -> Callable:
    # On a CPU, LLVM's first level compiles such a scan in half the time, into code that is no slower.
    options = {"xla_backend_optimization_level": 1} if backend == "cpu" else {}
    return jax.jit(_run, static_argnames=("record", "every"), compiler_options=options)


def _run(
    sampler: Teachers,
    network: Network,
    flow: Flow,
    tasks: Array,
    seeds: Array,
    initial: Params | None,
    record: tuple[rec.Quantity, ...],
    every: int,
) -> tuple[Array, Params, dict[str, Array]]:
    """Teachers, final parameters and frames of all seeds."""
    run = partial(_run_seed, sampler, network, flow, tasks, record=record, every=every)
    return jax.vmap(run)(seeds, initial)


def _run_seed(
    sampler: Teachers,
    network: Network,
    flow: Flow,
    tasks: Array,
    seed: Array,
    initial: Params | None,
    *,
    record: tuple[rec.Quantity, ...],
    every: int,
) -> tuple[Array, Params, dict[str, Array]]:
    teacher_key, network_key, input_key = jax.random.split(jax.random.key(seed), 3)
    teachers = sampler.sample(teacher_key)
    _, d_out, d_in = teachers.shape
    params = network.init(network_key, d_out, d_in) if initial is None else initial

    def draw(step: Array) -> Array | None:
        return flow.inputs.factor(jax.random.fold_in(input_key, step), d_in)

    def advance(params: Params, now: tuple) -> tuple[Params, rec.Frame]:
        task, factor = now
        loss, velocity = flow.velocity(network, params, teachers[task], factor)
        return flow.step(params, velocity), rec.Frame(params, velocity, loss, task, teachers)

    def frame(params: Params, span: tuple) -> tuple[Params, dict[str, Array]]:
        first, rest = jax.tree.map(lambda x: x[0], span), jax.tree.map(lambda x: x[1:], span)
        params, now = advance(params, first)
        if every > 1:  # a scan of no steps would still be compiled
            params, _ = jax.lax.scan(lambda p, x: (advance(p, x)[0], None), params, rest)
        return params, rec.evaluate(record, now)

    def chunk(params: Params, span: tuple) -> tuple[Params, dict[str, Array]]:
        tasks, steps = span
        factors = jax.vmap(jax.vmap(draw))(steps)
        return jax.lax.scan(frame, params, (tasks, factors))

    frames = len(tasks) // every
    together = max(n for n in range(1, max(1, DRAWN_TOGETHER // every) + 1) if frames % n == 0)
    spans = (tasks.reshape(-1, together, every), jnp.arange(len(tasks)).reshape(-1, together, every))
    params, kept = jax.lax.scan(chunk, params, spans)
    return teachers, params, jax.tree.map(lambda x: x.reshape(frames, *x.shape[2:]), kept)
