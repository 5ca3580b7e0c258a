"""Curricula: which task is on, and for how long.

Whatever its kind, a curriculum becomes two things: an integer array with the task of every step, and a table
of its blocks. Time is counted in whole steps; `dt` only converts.
"""

import abc
import math
from collections.abc import Sequence as Ordered
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Int

from gatedlib import _check


class Schedule(NamedTuple):
    """A curriculum in whole steps: the task of every step and the table of blocks.

    Attributes:
        tasks: the task that is on at each step, shape (step,).
        start: the first step of each block, shape (block,).
        stop: one past the last step of each block, shape (block,).
        block_tasks: the task of each block, shape (block,).
    """

    tasks: Int[np.ndarray, "step"]
    start: Int[np.ndarray, "block"]
    stop: Int[np.ndarray, "block"]
    block_tasks: Int[np.ndarray, "block"]


def schedule(tasks: Ordered[int], lengths: Ordered[float], dt: float) -> Schedule:
    """Lay blocks of the given tasks and lengths (in time units) out on whole steps of `dt`.

    Raises:
        ValueError: if a length is no whole number of steps; the nearest lengths that are stand in the message.

    Example:
        >>> from gatedlib.curricula import schedule
        >>> schedule([0, 1], [0.2, 0.3], dt=0.1).tasks
        array([0, 0, 1, 1, 1], dtype=int32)
    """
    steps = np.rint(np.asarray(lengths, float) / dt).astype(int)
    for length, count in zip(lengths, steps, strict=True):
        # a relative 1e-6 forgives 0.3 / 0.1 = 2.9999..., and float32 settings
        if count < 1 or abs(length / dt - count) > 1e-6 * count:
            below, above = max(1, math.floor(length / dt)), math.floor(length / dt) + 1
            raise ValueError(
                f"block_length = {length!r} with dt = {dt!r}: a block must be a whole number of steps, "
                f"this one has {length / dt:.6g}. Use {below * dt:.6g} or {above * dt:.6g}, or another dt."
            )
    stop = np.cumsum(steps)
    block_tasks = np.asarray(tasks, np.int32)
    return Schedule(np.repeat(block_tasks, steps), stop - steps, stop, block_tasks)


def _check_tasks(name: str, tasks: tuple[int, ...]) -> None:
    _check.require(len(tasks) > 0, name, tasks, "must name at least one task", "Use (0, 1) to alternate two tasks")
    for task in tasks:
        _check.whole(f"task in {name}", task, 0, "Tasks are counted from 0")


class Curriculum(eqx.Module):
    """A plan of which task is on when."""

    @abc.abstractmethod
    def schedule(self, dt: float) -> Schedule:
        """The plan in whole steps of `dt`."""


class Blocked(Curriculum):
    r"""Tasks in turn, each on for a block of the same length: A, B, A, B, …

    .. math::

        m(t) = \mathtt{order}[\lfloor t / \tau_B \rfloor \bmod |\mathtt{order}|]

    Args:
        blocks: number of blocks.
        block_length: :math:`\tau_B`, how long each task stays on, in time units.
        order: the tasks of one round, repeated for as long as there are blocks.

    Raises:
        ValueError: if there is no block, the length is not above 0, or a task is no whole number from 0 on.

    Example:
        >>> import gatedlib as gl
        >>> gl.Blocked(blocks=4, block_length=2.0).schedule(dt=1.0).tasks
        array([0, 0, 1, 1, 0, 0, 1, 1], dtype=int32)

    Source: paper, section 2 and Fig. 1A.
    """

    blocks: int = eqx.field(static=True, default=20)
    block_length: float = 1.0
    order: tuple[int, ...] = eqx.field(static=True, default=(0, 1), converter=tuple)

    def __check_init__(self) -> None:
        _check.whole("blocks", self.blocks, 1, "The paper's Fig. 2 has 20")
        _check.positive("block_length", self.block_length, "The paper's Fig. 2 has 1.0")
        _check_tasks("order", self.order)

    def schedule(self, dt: float) -> Schedule:
        tasks = [self.order[block % len(self.order)] for block in range(self.blocks)]
        return schedule(tasks, [float(self.block_length)] * self.blocks, dt)


class Sequence(Curriculum):
    r"""Any tasks for any lengths, written out block by block.

    .. math::

        m(t) = \mathtt{tasks}[k] \quad\text{for}\quad \textstyle\sum_{l<k} \tau_l \le t < \sum_{l\le k} \tau_l

    Args:
        tasks: the task of each block.
        lengths: the length of each block, in time units.

    Raises:
        ValueError: if the two differ in number, a length is not above 0, or a task is no whole number from 0 on.

    Example:
        >>> import gatedlib as gl
        >>> gl.Sequence(tasks=(0, 1, 0), lengths=(1.0, 2.0, 1.0)).schedule(dt=1.0).tasks
        array([0, 1, 1, 0], dtype=int32)

    Source: this library; unequal exposure is not in the paper.
    """

    tasks: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    lengths: tuple[float, ...] = eqx.field(converter=tuple)

    def __check_init__(self) -> None:
        _check_tasks("tasks", self.tasks)
        _check.require(
            len(self.lengths) == len(self.tasks),
            "number of lengths",
            len(self.lengths),
            f"must be the number of tasks, {len(self.tasks)}",
            "Give one length per block",
        )
        for length in self.lengths:
            _check.positive("length", length, "Give each block a length in time units")

    def schedule(self, dt: float) -> Schedule:
        return schedule(self.tasks, [float(length) for length in self.lengths], dt)
