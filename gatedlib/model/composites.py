"""Composites: tasks made of other tasks, by weighted sums or row by row.

A composite teacher set consists of base tasks, its *components*, followed by the tasks made of them. Metrics that match
paths to tasks match them to components only.
"""

import abc
import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.renamed import renamed
from gatedlib._internal.validation import is_number, refusal, require_integer, to_plain
from gatedlib.model.fields import checked
from gatedlib.model.teachers import Teachers

Rows = Sequence[Sequence[int]] | np.ndarray
Weights = Sequence[Sequence[float]] | np.ndarray


def _require_table(name: str, table: Any, width: int, entries: str, remedy: str) -> None:
    """Require a table with at least one row, all of this width."""
    if not isinstance(table, tuple) or not table:
        raise refusal(name, table, "must list at least one composite", remedy)
    for row in table:
        if not isinstance(row, tuple) or len(row) != width:
            raise refusal(f"composite in {name}", row, f"must have {width} entries, {entries}", remedy)


def _require_matrices(name: str, teachers: object) -> None:
    """Require teachers that are matrices, not labels."""
    if not isinstance(teachers, Teachers):
        remedy = "Give the tasks that composites are made of first"
        raise refusal(name, teachers, "must be teachers, such as Orthogonal(tasks=3)", remedy)
    if "class" in teachers.dims:
        remedy = "Use teachers that are matrices, such as Orthogonal(tasks=3)"
        raise refusal(name, type(teachers).__name__, "have labels, which do not add up", remedy)


class _Composite(Teachers):
    """Tasks, and further tasks that are made of them."""

    base: Teachers = checked(_require_matrices, convert=None)

    @property
    @abc.abstractmethod
    def composites(self) -> int:
        """How many tasks are made of the others."""

    @property
    def shape(self) -> tuple[int, int, int]:
        tasks, d_out, d_in = self.base.shape
        return tasks + self.composites, d_out, d_in

    @property
    def components(self) -> int:
        return self.base.components


renamed(_Composite, {"of": "base"})


class Sums(_Composite):
    r"""Tasks, and weighted sums of them as further tasks.

    .. math::

        W^*_{M+k} = \sum_{m=1}^M w_{km} W^*_m

    Weights on the simplex (nothing negative, adding up to one) are mixtures, which gates that are nonnegative and
    bounded can express once every path is a task; other weights are not refused.

    Args:
        base: the tasks that are added up, M of them; they come first.
        weights: one row of M numbers for each composite.

    Raises:
        ValueError: if there is no composite, or a row has not one finite number for each task.

    Example:
        >>> teachers = gl.Sums(gl.Orthogonal(tasks=3, d_in=20, d_out=6), weights=[(0.5, 0.5, 0), (0, 0.5, 0.5)])
        >>> teachers.shape, teachers.components
        ((5, 6, 20), 3)
        >>> drawn = teachers.sample(jax.random.key(0))
        >>> bool(abs(drawn[3] - (drawn[0] + drawn[1]) / 2).max() < 1e-6)
        True

    Source: paper, Fig. 3C (task composition).
    """

    weights: Weights = eqx.field(converter=to_plain)

    def __check_init__(self) -> None:
        remedy = "Write for instance [(0.5, 0.5, 0)] for half of A and half of B, of three tasks"
        _require_table("weights", self.weights, self.base.shape[0], "one weight for each task", remedy)
        for weight in itertools.chain(*self.weights):
            if not isinstance(weight, jax.core.Tracer) and not (is_number(weight) and np.isfinite(weight)):
                raise refusal("weight", weight, "must be a finite number", remedy)

    @property
    def composites(self) -> int:
        return len(self.weights)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        tasks = self.base.sample(key)
        # Entry by entry, since a sweep or a gradient may have put an array in the place of one weight.
        weights = jnp.stack([jnp.stack([jnp.asarray(w, float) for w in row]) for row in self.weights])
        return jnp.concatenate([tasks, jnp.einsum("km,mij->kij", weights, tasks)])


class RowMixtures(_Composite):
    r"""Tasks, and further tasks that take each row, that is each output, from one of them.

    .. math::

        W^*_{M+k,\, i\cdot} = W^*_{\mathtt{rows}[k][i],\, i\cdot}

    One gate per path cannot express such a mixture; one per path and output can (`NeuronGated`).

    Args:
        base: the tasks that rows are taken from; they come first.
        rows: for each composite, the task of each row, `d_out` of them.

    Raises:
        ValueError: if there is no composite, a row has no task or one too many, or there is no such task.

    Example:
        >>> teachers = gl.RowMixtures(gl.Orthogonal(tasks=2, d_in=6, d_out=3), rows=[(0, 1, 0)])
        >>> first, second, mixture = teachers.sample(jax.random.key(0))
        >>> bool((mixture[0] == first[0]).all()), bool((mixture[1] == second[1]).all())
        (True, True)

    Source: paper, Fig. 3D (subtask composition).
    """

    rows: Rows = eqx.field(static=True, converter=to_plain)

    def __check_init__(self) -> None:
        remedy = "Write for instance [(0, 1, 0, 1)] for four rows that alternate between A and B"
        tasks, d_out, _ = self.base.shape
        _require_table("rows", self.rows, d_out, "the task of each row", remedy)
        for task in itertools.chain(*self.rows):
            require_integer("task in rows", task, 0, "Tasks are counted from 0")
            if task >= tasks:
                rule = f"there are {tasks} tasks, so they run from 0 to {tasks - 1}"
                raise refusal("task in rows", task, rule, "Name these tasks only")

    @property
    def composites(self) -> int:
        return len(self.rows)

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        tasks = self.base.sample(key)
        _, d_out, _ = tasks.shape
        return jnp.concatenate([tasks, tasks[np.asarray(self.rows), np.arange(d_out)]])
