"""Curricula: which task is on, and for how long.

A curriculum of any kind becomes a `Schedule`: an integer array with the task of every step, and a table of its blocks.
Time is counted in whole steps; `dt` only converts.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gatedlib._internal.validation import as_real_array, refusal, require_integer, require_positive, to_plain
from gatedlib.model.fields import Part, checked, integer, positive
from gatedlib.model.teachers import Teachers


class Schedule(NamedTuple):
    """A curriculum in whole steps: the task of every step and the table of blocks.

    Attributes:
        tasks: the task that is on at each step, shape (step,).
        start: the first step of each block, shape (block,).
        stop: one past the last step of each block, shape (block,).
        block_tasks: the task of each block, shape (block,).

    Example:
        >>> gl.Schedule.of_blocks([0, 1], [0.2, 0.3], dt=0.1).tasks
        array([0, 0, 1, 1, 1], dtype=int32)
        >>> gl.Schedule.of_tasks([0, 1, 1, 0]).stop
        array([1, 3, 4])
    """

    tasks: Int[np.ndarray, " step"]
    start: Int[np.ndarray, " block"]
    stop: Int[np.ndarray, " block"]
    block_tasks: Int[np.ndarray, " block"]

    @classmethod
    def of_blocks(cls, tasks: Sequence[int] | np.ndarray, lengths: Sequence[float] | np.ndarray, dt: float) -> Schedule:
        """The schedule of blocks with these tasks and lengths (in time units), in whole steps of `dt`.

        Raises:
            ValueError: if the two differ in number, there are none, a task is no whole number from 0 on, or a length is
                no whole number of steps; the message names the nearest lengths that are.
        """
        tasks, lengths = to_plain(tasks), to_plain(lengths)
        _require_tasks("tasks", tasks)
        _require_lengths("lengths", lengths)
        _require_one_length_per_task(tasks, lengths)
        stop = np.cumsum([whole_steps("block_length", float(length), dt) for length in lengths])
        _require_countable(int(stop[-1]))
        return _schedule(np.repeat(np.asarray(tasks, np.int32), np.diff(stop, prepend=0)), np.append(0, stop[:-1]))

    @classmethod
    def of_tasks(cls, tasks: Sequence[int] | np.ndarray) -> Schedule:
        """The task of every step, with a new block wherever it changes.

        Raises:
            ValueError: if there is no step, or a task is no whole number from 0 on.
        """
        array = np.asarray(as_real_array("tasks", tasks, "Give the task of every step"))
        if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or array.min() < 0:
            rule = "must be whole numbers from 0 on, one for every step"
            raise refusal("tasks", tasks, rule, "Use [0, 0, 1, 1]")
        of_step = np.asarray(array, np.int32)
        return _schedule(of_step, np.flatnonzero(np.append(True, of_step[1:] != of_step[:-1])))


def whole_steps(name: str, length: float, dt: float) -> int:
    """The number of steps of `dt` in a length of time, which must be a whole number.

    Raises:
        ValueError: if it is not; the message names the nearest lengths for which it is.
    """
    if length / dt >= 2**31:
        rule = f"is {length / dt:.3g} steps of dt = {dt!r}, and a run has below 2**31"
        raise refusal(name, length, rule, "Use a shorter time, or longer steps")
    count = round(length / dt)
    # A relative error of 1e-6 is rounding: 0.3 / 0.1 is 2.9999..., and settings may be in single precision.
    if count < 1 or abs(length / dt - count) > 1e-6 * count:
        below, above = max(1, math.floor(length / dt)), math.floor(length / dt) + 1
        nearest = " or ".join(f"{steps * dt:.6g}" for steps in sorted({below, above}))
        raise ValueError(
            f"{name} = {length!r} with dt = {dt!r}: it must be a whole number of steps, "
            f"this one has {length / dt:.6g}. Use {nearest}, or another dt."
        )
    return count


def _schedule(tasks: Int[np.ndarray, " step"], start: Int[np.ndarray, " block"]) -> Schedule:
    """The schedule with these tasks of steps, and blocks that begin at these steps."""
    return Schedule(tasks, start, np.append(start[1:], len(tasks)), tasks[start])


def _require_countable(steps: int) -> None:
    """Require a number of steps that fits into the 32 bits with which a run counts them."""
    if steps >= 2**31:
        raise refusal("steps of all blocks", steps, "must be below 2**31", "Use fewer or shorter blocks")


def _require_tasks(name: str, tasks: Any) -> None:
    """Require a tuple of tasks, not empty."""
    remedy = "Use (0, 1) to alternate two tasks"
    if not isinstance(tasks, tuple):
        raise refusal(name, tasks, "must be a list of tasks", remedy)
    if not tasks:
        raise refusal(name, tasks, "must name at least one task", remedy)
    for task in tasks:
        require_integer(f"task in {name}", task, 0, "Tasks are counted from 0")


def _require_lengths(name: str, lengths: Any) -> None:
    """Require a tuple of lengths of blocks."""
    if not isinstance(lengths, tuple):
        raise refusal(name, lengths, "must be a list of lengths", "Give one length per block")
    for length in lengths:
        require_positive("length", length, "Give each block a length in time units")


def _require_one_length_per_task(tasks: Any, lengths: Any) -> None:
    if len(lengths) != len(tasks):
        rule = f"must be the number of tasks, {len(tasks)}"
        raise refusal("number of lengths", len(lengths), rule, "Give one length per block")


class Curriculum(Part):
    """A plan of which task is on when; a subclass defines `schedule`.

    Example:
        >>> import equinox as eqx
        >>> class Growing(gl.Curriculum):              # two tasks in turn, each block one time unit longer
        ...     blocks: int = eqx.field(static=True)
        ...     def schedule(self, dt):
        ...         return gl.Schedule.of_blocks(np.arange(self.blocks) % 2, 1.0 + np.arange(self.blocks), dt)
        >>> Growing(3).schedule(dt=1.0).tasks
        array([0, 1, 1, 0, 0, 0], dtype=int32)
    """

    @abc.abstractmethod
    def schedule(self, dt: float) -> Schedule:
        """The schedule in whole steps of `dt`."""

    def check(self, teachers: Teachers) -> None:
        """Raise a ValueError if this curriculum does not go with these teachers."""


def _require_named(name: str, value: Any, teachers: Teachers, remedy: str) -> None:
    """Require that a curriculum says which of more than two tasks are on; composites are on where they are named."""
    if value is None and teachers.components > 2:
        rule = f"there are {teachers.components} tasks, and unless told this curriculum alternates two of them"
        raise refusal(name, None, rule, remedy.format(teachers.components))


def checked_schedule(curriculum: Curriculum, dt: float) -> Schedule:
    """The schedule of a curriculum, whose steps and blocks must agree."""
    plan = curriculum.schedule(dt)
    name, remedy = f"{type(curriculum).__name__}.schedule", "Return gatedlib.Schedule.of_blocks(...) or of_tasks(...)"
    if not isinstance(plan, Schedule):
        raise refusal(name, type(plan).__name__, "must give a Schedule", remedy)
    if not all(isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "iu" for array in plan):
        raise refusal(name, plan, "must give arrays of whole numbers", remedy)
    steps = len(plan.tasks)
    # Blocks cover all steps if each begins where the one before it stopped, the first at 0, and none is empty.
    adjacent = len(plan.start) > 0 and np.array_equal(np.append(plan.start[1:], steps), plan.stop)
    if not adjacent or plan.start[0] != 0 or (plan.stop <= plan.start).any():
        raise refusal(name, "start and stop", f"must cut its {steps} steps into blocks", remedy)
    if not np.array_equal(plan.tasks, np.repeat(plan.block_tasks, plan.stop - plan.start)):
        raise refusal(name, "tasks and block_tasks", "must name the same task in each block", remedy)
    return plan


class Blocked(Curriculum):
    r"""Tasks in turn, each on for a block of the same length: A, B, A, B, …

    .. math::

        m(t) = \mathtt{order}[\lfloor t / \tau_B \rfloor \bmod |\mathtt{order}|]

    Args:
        blocks: number of blocks; 20 unless a duration is given.
        block_length: :math:`\tau_B`, the length of a block, in time units.
        order: the tasks of one round, repeated for as long as there are blocks; (0, 1) unless given. With more than two
            tasks, composites aside, it must be given.
        duration: the length of all blocks together, in place of their number; the last one may be cut short.
            Experiments of equal duration can be compared, and swept, over `block_length`.

    Raises:
        ValueError: if there is no block, both their number and a duration are given, a length is not above 0, or a
            task is no whole number from 0 on.

    Example:
        >>> gl.Blocked(blocks=4, block_length=2.0).schedule(dt=1.0).tasks
        array([0, 0, 1, 1, 0, 0, 1, 1], dtype=int32)
        >>> gl.Blocked(duration=5.0, block_length=2.0).schedule(dt=1.0).tasks
        array([0, 0, 1, 1, 0], dtype=int32)

    Source: paper, section 2 and Fig. 1A; equal durations, Fig. 5.
    """

    blocks: int | None = integer(at_least=1, default=None, remedy="The paper's Fig. 2 has 20")
    block_length: float = positive(default=1.0, remedy="The paper's Fig. 2 has 1.0")
    order: Sequence[int] | np.ndarray | None = checked(_require_tasks, static=True, default=None)
    duration: float | None = positive(default=None, remedy="The paper's Fig. 5 has 7.0")

    def __check_init__(self) -> None:
        if self.blocks is not None and self.duration is not None:
            rule = "there is a duration too, and only one can hold"
            raise refusal("blocks", self.blocks, rule, "Leave one of the two out (None)")

    def check(self, teachers: Teachers) -> None:
        _require_named("order", self.order, teachers, "Use order=range({}), or name the tasks that are to be on")

    def schedule(self, dt: float) -> Schedule:
        length = whole_steps("block_length", float(self.block_length), dt)
        if self.duration is None:
            steps = length * (20 if self.blocks is None else self.blocks)
        else:
            steps = whole_steps("duration", float(self.duration), dt)
        _require_countable(steps)
        order = np.asarray((0, 1) if self.order is None else self.order, np.int32)
        return _schedule(order[np.arange(steps) // length % len(order)], np.arange(0, steps, length))


class BlockSequence(Curriculum):
    r"""Any tasks for any lengths, written out block by block.

    .. math::

        m(t) = \mathtt{tasks}[k] \quad\text{for}\quad \textstyle\sum_{l<k} \tau_l \le t < \sum_{l\le k} \tau_l

    Args:
        tasks: the task of each block.
        lengths: the length of each block, in time units.

    Raises:
        ValueError: if the two differ in number, a length is not above 0, or a task is no whole number from 0 on.

    Example:
        >>> gl.BlockSequence(tasks=(0, 1, 0), lengths=(1.0, 2.0, 1.0)).schedule(dt=1.0).tasks
        array([0, 1, 1, 0], dtype=int32)

        A gradual transition is a walk over tasks that are mixtures, here from A over two of them to B:

        >>> mixtures = gl.Sums(gl.Orthogonal(), weights=[(2 / 3, 1 / 3), (1 / 3, 2 / 3)])
        >>> walk = gl.BlockSequence(tasks=(0, 2, 3, 1), lengths=(0.8, 0.1, 0.1, 0.8))
        >>> gl.Experiment(mixtures, gl.GatedLinear(paths=2), walk, gl.Flow(tau_w=1.3, tau_c=0.03)).schedule().stop
        array([ 800,  900, 1000, 1800])

    Source: this library; unequal exposure is not in the paper.
    """

    tasks: Sequence[int] | np.ndarray = checked(_require_tasks, static=True)
    lengths: Sequence[float] | np.ndarray = checked(_require_lengths)

    def __check_init__(self) -> None:
        _require_one_length_per_task(self.tasks, self.lengths)

    def schedule(self, dt: float) -> Schedule:
        return Schedule.of_blocks(self.tasks, self.lengths, dt)


def _require_phases(name: str, phases: Any) -> None:
    """Require a tuple of curricula, not empty."""
    if not isinstance(phases, tuple) or not phases or not all(isinstance(phase, Curriculum) for phase in phases):
        remedy = "Write for instance (Blocked(blocks=9, order=(0, 1, 2)), Blocked(blocks=3, order=(3, 4, 5)))"
        raise refusal(name, phases, "must be curricula, at least one", remedy)


class Phases(Curriculum):
    r"""One curriculum after another.

    .. math::

        m(t) = m_k(t - t_k) \quad\text{in phase } k, \text{ which begins at } t_k

    Args:
        phases: the curricula, in their order.

    Raises:
        ValueError: if there is no phase, or one is no curriculum.

    Example:
        >>> single, new = gl.Blocked(blocks=3, order=(0, 1, 2)), gl.Blocked(blocks=2, order=(3, 4))
        >>> gl.Phases((single, new)).schedule(dt=1.0).tasks
        array([0, 1, 2, 3, 4], dtype=int32)

    Source: paper, Fig. 3C and D: single tasks, then composites.
    """

    phases: Sequence[Curriculum] = checked(_require_phases)

    def schedule(self, dt: float) -> Schedule:
        plans = [checked_schedule(phase, dt) for phase in self.phases]
        _require_countable(sum(len(plan.tasks) for plan in plans))
        first_steps = np.cumsum([0, *(len(plan.tasks) for plan in plans[:-1])])
        starts = [plan.start + first for plan, first in zip(plans, first_steps, strict=True)]
        return _schedule(np.concatenate([plan.tasks for plan in plans]), np.concatenate(starts))


class RandomSwitches(Curriculum):
    r"""At every step the task may change, with the same small chance, to any of the others.

    .. math::

        P(\text{switch at a step}) = dt / \bar\tau_B

    so that the lengths of the blocks are geometric with mean :math:`\bar\tau_B`: many short ones, a few long ones.

    Args:
        duration: the length of the whole curriculum, in time units.
        mean_length: :math:`\bar\tau_B`, the mean length of a block, in time units; at least dt.
        tasks: number of tasks M, two unless given. With more than two, composites aside, it must be given.
        draw: the number of the random sequence, which is the same for all seeds of a run. A sweep over it,
            `sweep(experiment, draw=range(10), …)`, gives each network a sequence of its own.

    Raises:
        ValueError: if a time is not above 0, there are fewer than two tasks, or the draw is no whole number from 0 on.

    Example:
        >>> gl.RandomSwitches(duration=12.0, mean_length=3.0).schedule(dt=1.0).tasks
        array([0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0], dtype=int32)

    Source: this library; random switching is not in the paper.
    """

    duration: float = positive(remedy="Give it in time units, for instance 20.0")
    mean_length: float = positive(default=1.0, remedy="Give it in time units, for instance 1.0")
    tasks: int | None = integer(at_least=2, default=None, remedy="There must be another task to switch to")
    draw: int = integer(at_least=0, below=2**63, static=False, default=0, remedy="Use 0, 1, … for different sequences")

    def check(self, teachers: Teachers) -> None:
        _require_named("tasks", self.tasks, teachers, "Use tasks={}, or tasks=2 for the first two")

    def schedule(self, dt: float) -> Schedule:
        steps = whole_steps("duration", float(self.duration), dt)
        hazard = dt / float(self.mean_length)
        if hazard > 1:
            rule = f"must be at least one step, dt = {dt:g}"
            raise refusal("mean_length", self.mean_length, rule, "Use a longer one, or a shorter dt")
        random = np.random.default_rng(int(self.draw))
        switches = random.random(steps) < hazard
        switches[0] = False
        # A jump of 1 to M - 1, modulo M, leads to each of the other tasks with the same chance, and never to the same.
        tasks = 2 if self.tasks is None else self.tasks
        jumps = np.where(switches, random.integers(1, tasks, steps), 0)
        return Schedule.of_tasks(np.cumsum(jumps) % tasks)
