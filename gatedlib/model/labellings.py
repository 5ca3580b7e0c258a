"""Labellings: tasks on a data set, each a way to call its classes."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.validation import require, require_integer, to_plain
from gatedlib.model.teachers import Teachers


class Labellings(Teachers):
    r"""What each class of a data set is to be called, a different name in every task.

    .. math::

        W^*_{m, i k} = 1 \text{ if class } k \text{ is called } i \text{ on task } m, \text{ else } 0

    They are the same for every seed. The student does not see the class, but features of examples (`Examples`).

    Args:
        labels: for every task, the label of every class; whole numbers from 0.

    Raises:
        ValueError: if there is no task, tasks do not name equally many classes, or a label is no whole number from 0.

    Example:
        >>> tasks = gl.Labellings(((0, 1, 2), (1, 2, 0)))            # three classes, called in two ways
        >>> tasks.shape, tasks.sample(jax.random.key(0))[1].argmax(0).tolist()
        ((2, 3, 3), [1, 2, 0])

    Source: paper, Fig. 7 and A.15.
    """

    dims: ClassVar[tuple[str, ...]] = ("task", "out", "class")

    labels: Sequence[Sequence[int]] | np.ndarray = eqx.field(static=True, converter=to_plain)

    def __check_init__(self) -> None:
        remedy = "Write ((0, 1), (1, 0)) for two tasks that name two classes"
        table = isinstance(self.labels, tuple) and all(isinstance(row, tuple) for row in self.labels)
        require(table, "labels", self.labels, "must be one list of labels for every task", remedy)
        lengths = sorted({len(row) for row in self.labels})
        rule = "must be one number: as many labels in each task as there are classes"
        require(len(lengths) == 1 and lengths[0] > 0, "numbers of labels", lengths, rule, remedy)
        for row in self.labels:
            for label in row:
                require_integer("label", label, 0, remedy)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.labels), 1 + max(map(max, self.labels)), len(self.labels[0])

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out other"]:
        return jnp.moveaxis(jax.nn.one_hot(np.asarray(self.labels), self.shape[1]), -1, 1)
