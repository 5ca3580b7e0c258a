"""An experiment is a value: everything that defines a run but its seeds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import fixed_jax_settings, random_key
from gatedlib._internal.validation import require, require_instance, require_integer, require_member
from gatedlib.model import checks
from gatedlib.model.curricula import Curriculum, Schedule, checked_schedule
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty
from gatedlib.model.teachers import Teachers


class Experiment(eqx.Module):
    """Everything that defines a run but its seeds: which tasks, which student, in which order, learned how.

    Args:
        teachers: the tasks.
        network: the student.
        curriculum: which task is on when.
        flow: how the student learns.

    Raises:
        ValueError: if a part is of the wrong kind, the curriculum names a task without a teacher, a block is no
            whole number of steps, inputs and teachers do not go together, or dt is too long for the stiffness of the
            penalties.

    Example:
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
            require_instance(name, part, kind, f"See gatedlib.{kind.__name__}")
        require_whole(self, "an experiment")
        _check_leaves(self)
        forget_if_changed(code_of(self))
        for part in parts_of(self.teachers):
            checks.require_teachers(part)
        tasks, _, d_in = self.teachers.shape
        plan = self.schedule()
        _require_steady(self, plan)
        unknown = sorted(set(plan.block_tasks.tolist()) - set(range(tasks)))
        require(
            not unknown,
            "tasks in the curriculum",
            unknown,
            f"there are {tasks} teachers, so tasks run from 0 to {tasks - 1}",
            "Add teachers, or name these tasks only",
        )
        self.flow.inputs.check(self.teachers)
        shapes = self.network.shapes(*self.sizes)
        gates = shapes["gates"]
        checks.require_network(self.network, *self.sizes)
        checks.require_inputs(self.flow.inputs, self.network, self.sizes, d_in)
        for part in parts_of(self.flow):
            if isinstance(part, Penalty):
                checks.require_penalty(part, shapes)
        stiffness = sum(float(penalty.stiffness(gates)) for penalty in self.flow.penalties)
        longest = 2 * float(self.flow.tau_c) / stiffness if stiffness > 0 else np.inf
        require(
            float(self.flow.dt) < longest,
            "dt",
            float(self.flow.dt),
            f"gates under these penalties are stable only for dt < 2 tau_c / stiffness = {longest:.3g}",
            "Reduce dt, weaken the penalty, or slow the gates",
        )

    def schedule(self) -> Schedule:
        """The curriculum in whole steps of this experiment's dt."""
        return checked_schedule(self.curriculum, float(self.flow.dt))

    @fixed_jax_settings()
    def draw(self, seed: int | Array | np.ndarray) -> tuple[Float[Array, "task out in"], Params]:
        """The teachers and the initial parameters that a seed draws, as `simulate` would."""
        if not isinstance(seed, jax.core.Tracer):
            seed = require_integer("seed", seed, 0, "Seeds are 0, 1, …")
        return _drawn(self.teachers, self.network, seed, self.sizes)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of outputs and of inputs of the student."""
        _, d_out, d_in = self.teachers.shape
        return d_out, self.flow.inputs.width(d_in)

    def replace(self, **settings: Any) -> Experiment:
        """The same experiment with some settings changed, each found by its name wherever it stands.

        Raises:
            ValueError: if no part has a setting of that name, more than one has, or one that is replaced in the same
                call has; or if the new value is refused.
        """
        for part in parts_of(self):
            checks.require_fields(part)
        check_settings(self, settings)
        return _rebuilt(self, settings)


def require_whole(experiment: Experiment, what: str) -> None:
    """Require an experiment of which JAX sees all fields, and whose numbers are not traced."""
    for part in parts_of(experiment):
        checks.require_fields(part)
    checks.require_concrete(experiment, what)


def code_of(experiment: Experiment) -> list[Any]:
    """The classes that a user wrote for this experiment, and the functions that these hold."""
    own = [part for part in parts_of(experiment) if not checks.is_ours(type(part))]
    held = [getattr(part, field.name) for part in own for field in dataclasses.fields(part)]
    return [
        *{type(part): None for part in own},
        *(value for value in held if callable(value) and not isinstance(value, eqx.Module)),
    ]


def _require_steady(experiment: Experiment, plan: Schedule) -> None:
    """Require a curriculum of a user's that gives the same plan each time it is asked."""
    if all(checks.is_ours(type(part)) for part in parts_of(experiment.curriculum)):
        return
    for _ in range(4):
        again = experiment.schedule()
        same = all(map(np.array_equal, plan, again))
        rule = "gives another plan each time it is asked, so nobody could say which task was on when"
        remedy = "Shuffle with a generator made anew in schedule: numpy.random.default_rng(self.seed)"
        require(same, "curriculum", type(experiment.curriculum).__name__, rule, remedy)


@partial(jax.jit, static_argnames="sizes")  # else each operation is compiled by itself
def _drawn(teachers: Teachers, network: Network, seed: Array | int, sizes: tuple[int, int]) -> tuple[Array, Params]:
    return draw_initial(teachers, network, seed, sizes)


def draw_initial(
    teachers: Teachers, network: Network, seed: Array | int, sizes: tuple[int, int]
) -> tuple[Array, Params]:
    """The teachers and the initial parameters of a seed, for a student of these sizes."""
    teacher_key, network_key, _ = keys(seed)
    return teachers.sample(teacher_key), network.init(network_key, *sizes)


def acting_on_weights(experiment: Experiment) -> list[Penalty]:
    """The penalties that act on the weights."""
    return [penalty for penalty in experiment.flow.penalties if penalty.acts_on_weights]


def require_penalties_on_gates(experiment: Experiment, rule: str, remedy: str) -> None:
    """Require that no penalty acts on the weights."""
    for penalty in acting_on_weights(experiment):
        require(False, "penalty", penalty, rule, remedy)


def _check_leaves(experiment: Experiment) -> None:
    """Require numbers and arrays in all settings that JAX computes with."""
    parts = {"teachers": experiment.teachers, "network": experiment.network, "flow": experiment.flow}
    for path, leaf in jax.tree_util.tree_leaves_with_path(parts):
        numeric = isinstance(leaf, jax.Array) or np.asarray(leaf).dtype.kind in "biuf"
        name, rule = jax.tree_util.keystr(path, simple=True, separator="."), "is no number and no array to compute with"
        field = str(path[1]).lstrip(".")
        require(numeric, name, leaf, rule, f"Declare it as {field}: … = equinox.field(static=True) in its class")


def keys(seed: int | Array) -> Array:
    """What a seed draws its teachers, its initial parameters and its inputs with."""
    return jax.random.split(random_key(seed), 3)


def check_settings(experiment: Experiment, names: Iterable[str]) -> None:
    """Require that each name is that of one setting, in one part."""
    names = list(names)
    found = Counter(field.name for part in parts_of(experiment) for field in dataclasses.fields(part))
    kept = {field.name for part in parts_of(experiment, names) for field in dataclasses.fields(part)}
    for name in names:
        require_member(name, found, "setting")
        require(found[name] == 1, "setting", name, "stands in more than one part", "Replace that part whole")
        rule, remedy = "stands in a part that is replaced in the same call", "Give it to the new part"
        require(name in kept, "setting", name, rule, remedy)


def setting(experiment: Experiment, name: str) -> Any:
    """The value of the setting of that name, of the first part that has it.

    Raises:
        ValueError: if no part has a setting of that name.
    """
    parts = list(parts_of(experiment))
    found = {field.name: part for part in reversed(parts) for field in dataclasses.fields(part)}
    require_member(name, found, "setting")
    return getattr(found[name], name)


def parts_of(part: eqx.Module, without: Collection[str] = ()) -> Iterator[eqx.Module]:
    """The part and all parts within it, but for those of these names."""
    yield part
    for field in dataclasses.fields(part):
        value = () if field.name in without else getattr(part, field.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, eqx.Module):
                yield from parts_of(child, without)


def _rebuilt(part: Any, settings: dict[str, Any]) -> Any:
    if isinstance(part, tuple):
        return tuple(_rebuilt(child, settings) for child in part)
    if not isinstance(part, eqx.Module):
        return part
    names = [field.name for field in dataclasses.fields(part)]
    fields = {n: settings[n] if n in settings else _rebuilt(getattr(part, n), settings) for n in names}
    return type(part)(**fields)
