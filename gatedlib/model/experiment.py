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
from gatedlib._internal.validation import refusal, require_integer, require_member
from gatedlib.model import checks
from gatedlib.model.curricula import Curriculum, Schedule, checked_schedule
from gatedlib.model.fields import Part, instance_of
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty
from gatedlib.model.teachers import Teachers


class Experiment(Part):
    """Everything that defines a run but its seeds: the tasks, the student, the order of the tasks, the learning rule.

    Args:
        teachers: the tasks.
        network: the student.
        curriculum: which task is on when.
        flow: the learning rule, with its penalties and its inputs.

    Raises:
        ValueError: if a part is of the wrong kind, the curriculum names a task without a teacher or does not say which
            of more than two (composites aside) are on, a block is no whole number of steps, inputs and teachers do not
            go together, or dt is too long for the stiffness of the penalties.

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

    teachers: Teachers = instance_of(Teachers)
    network: Network = instance_of(Network)
    curriculum: Curriculum = instance_of(Curriculum)
    flow: Flow = instance_of(Flow)

    def __check_init__(self) -> None:
        require_whole(self, "an experiment")
        _require_numeric_leaves(self)
        forget_if_changed(code_of(self))  # before the first trace, or an older one would answer
        for part in parts_of(self.teachers):
            checks.require_teachers(part)
        _require_known_tasks(self)
        self.flow.inputs.check(self.teachers)
        shapes = self.network.shapes(*self.sizes)
        checks.require_network(self.network, *self.sizes)
        checks.require_inputs(self.flow.inputs, self.network, self.sizes, self.teachers.shape[2])
        for part in parts_of(self.flow):
            if isinstance(part, Penalty):
                checks.require_penalty(part, shapes)
        _require_stable_gates(self.flow, shapes["gates"])

    def schedule(self) -> Schedule:
        """The curriculum in whole steps of this experiment's dt."""
        return checked_schedule(self.curriculum, float(self.flow.dt))

    @fixed_jax_settings()
    def draw(self, seed: int | Array | np.ndarray) -> tuple[Float[Array, "task out in"], Params]:
        """The teachers and the initial parameters that a seed draws, as `simulate` does up to rounding."""
        if not isinstance(seed, jax.core.Tracer):
            seed = require_integer("seed", seed, 0, "Seeds are 0, 1, …")
        return _drawn(self.teachers, self.network, seed, self.sizes)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of outputs and of inputs of the student."""
        _, d_out, d_in = self.teachers.shape
        return d_out, self.flow.inputs.width(d_in)

    def replace(self, **settings: Any) -> Experiment:
        """The same experiment with other values of the settings of these names, in whichever part they stand.

        Raises:
            ValueError: if no part has a setting of that name, if more than one has, if the part that has it is replaced
                in the same call, or if the new value is refused.
        """
        check_settings(self, settings)
        return _with_settings(self, settings)


def require_whole(experiment: Experiment, what: str) -> None:
    """Require an experiment whose fields JAX sees, all of them, and whose numbers are not traced."""
    for part in parts_of(experiment):
        checks.require_fields(part)
    checks.require_concrete(experiment, what)


def code_of(experiment: Experiment) -> list[Any]:
    """The classes that a user wrote for this experiment, and the functions that these hold."""
    parts = [part for part in parts_of(experiment) if not checks.is_ours(type(part))]
    values = [value for part in parts for value in vars(part).values()]
    classes = dict.fromkeys(map(type, parts))  # once each, in their order
    return [*classes, *(value for value in values if callable(value) and not isinstance(value, eqx.Module))]


def _require_known_tasks(experiment: Experiment) -> None:
    """Require a curriculum that gives the same plan each time, of tasks that have teachers."""
    plan, tasks = experiment.schedule(), experiment.teachers.shape[0]
    ours = all(checks.is_ours(type(part)) for part in parts_of(experiment.curriculum))
    # Four comparisons, for a shuffle of few blocks may come out the same.
    if not ours and not all(all(map(np.array_equal, plan, experiment.schedule())) for _ in range(4)):
        rule = "gives another plan each time it is asked, so nobody could say which task was on when"
        remedy = "Shuffle with a generator made anew in schedule: numpy.random.default_rng(self.seed)"
        raise refusal("curriculum", type(experiment.curriculum).__name__, rule, remedy)
    unknown = sorted(set(plan.block_tasks.tolist()) - set(range(tasks)))
    if unknown:
        rule = f"there are {tasks} teachers, so tasks run from 0 to {tasks - 1}"
        raise refusal("tasks in the curriculum", unknown, rule, "Add teachers, or name these tasks only")
    for part in parts_of(experiment.curriculum):
        if isinstance(part, Curriculum):
            part.check(experiment.teachers)


def _require_stable_gates(flow: Flow, gates: tuple[int, ...]) -> None:
    """Require a step that is short enough for the penalties on gates of this shape."""
    stiffness = sum(float(penalty.stiffness(gates)) for penalty in flow.penalties)
    # Where the cost has the second derivative s, an explicit Euler step multiplies a deviation by 1 - dt s / tau_c.
    # Below -1 the deviation changes its sign and grows in each step.
    longest = 2 * float(flow.tau_c) / stiffness if stiffness > 0 else np.inf
    if float(flow.dt) >= longest:
        rule = f"gates under these penalties are stable only for dt < 2 tau_c / stiffness = {longest:.3g}"
        raise refusal("dt", float(flow.dt), rule, "Reduce dt, weaken the penalty, or slow the gates")


@partial(jax.jit, static_argnames="sizes")  # without jit each operation would be compiled by itself
def _drawn(teachers: Teachers, network: Network, seed: Array | int, sizes: tuple[int, int]) -> tuple[Array, Params]:
    return draw_initial(teachers, network, seed, sizes)


def draw_initial(
    teachers: Teachers, network: Network, seed: Array | int, sizes: tuple[int, int]
) -> tuple[Array, Params]:
    """The teachers and the initial parameters of a seed, for a student of these sizes."""
    teacher_key, network_key, _ = split_seed(seed)
    return teachers.sample(teacher_key), network.init(network_key, *sizes)


def weight_penalties(experiment: Experiment) -> list[Penalty]:
    """The penalties that act on the weights."""
    return [penalty for penalty in experiment.flow.penalties if penalty.acts_on_weights]


def require_penalties_on_gates(experiment: Experiment, rule: str, remedy: str) -> None:
    """Require that no penalty acts on the weights."""
    for penalty in weight_penalties(experiment):
        raise refusal("penalty", penalty, rule, remedy)


def _require_numeric_leaves(experiment: Experiment) -> None:
    """Require numbers and arrays in all settings that JAX computes with."""
    parts = {"teachers": experiment.teachers, "network": experiment.network, "flow": experiment.flow}
    for path, leaf in jax.tree_util.tree_leaves_with_path(parts):
        if not isinstance(leaf, jax.Array) and np.asarray(leaf).dtype.kind not in "biuf":
            name, field = jax.tree_util.keystr(path, simple=True, separator="."), str(path[1]).lstrip(".")
            remedy = f"Declare it as {field}: … = equinox.field(static=True) in its class"
            raise refusal(name, leaf, "is no number and no array to compute with", remedy)


def split_seed(seed: int | Array) -> Array:
    """The keys with which a seed draws its teachers, its initial parameters and its inputs."""
    return jax.random.split(random_key(seed), 3)


def check_settings(experiment: Experiment, names: Iterable[str]) -> None:
    """Require names of settings that stand in one part only, and not within a part that is named too."""
    names = list(names)
    counts = Counter(field.name for part in parts_of(experiment) for field in dataclasses.fields(part))
    kept = {field.name for part in parts_of(experiment, names) for field in dataclasses.fields(part)}
    for name in names:
        require_member(name, counts, "setting")
        if counts[name] > 1:
            raise refusal("setting", name, "stands in more than one part", "Replace that part whole")
        if name not in kept:
            rule = "stands in a part that is replaced in the same call"
            raise refusal("setting", name, rule, "Give it to the new part")


def setting(experiment: Experiment, name: str) -> Any:
    """The value of the setting of that name, of the first part that has it.

    Raises:
        ValueError: if no part has a setting of that name.
    """
    parts = reversed(list(parts_of(experiment)))  # the first part that has it is entered last, and stays
    part_of_setting = {field.name: part for part in parts for field in dataclasses.fields(part)}
    require_member(name, part_of_setting, "setting")
    return getattr(part_of_setting[name], name)


def parts_of(part: eqx.Module, without: Collection[str] = ()) -> Iterator[eqx.Module]:
    """The part and all parts within it, except in fields of these names."""
    yield part
    for name, value in vars(part).items():  # getattr would take ten times as long
        children = () if name in without else value if isinstance(value, tuple) else (value,)
        for child in children:
            if isinstance(child, eqx.Module):
                yield from parts_of(child, without)


def _with_settings(part: Any, settings: dict[str, Any]) -> Any:
    """The same part, or tuple of parts, with these settings; a part in which nothing changes stays the same object."""
    if isinstance(part, tuple):
        children = tuple(_with_settings(child, settings) for child in part)
        return part if all(new is old for new, old in zip(children, part, strict=True)) else children
    if not isinstance(part, eqx.Module):
        return part
    old = vars(part)
    new = {name: settings[name] if name in settings else _with_settings(value, settings) for name, value in old.items()}
    changes = any(name in settings or new[name] is not old[name] for name in old)
    return type(part)(**new) if changes else part
