"""Labellings: tasks on a data set, which differ in the labels of its classes."""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.validation import refusal, require_integer
from gatedlib.model.fields import checked
from gatedlib.model.teachers import Teachers


def _require_labels(name: str, labels: Any) -> None:
    """Require one row of labels for every task, all of one length."""
    remedy = "Write ((0, 1), (1, 0)) for two tasks that name two classes"
    if not isinstance(labels, tuple) or not all(isinstance(row, tuple) for row in labels):
        raise refusal(name, labels, "must be one list of labels for every task", remedy)
    lengths = sorted({len(row) for row in labels})
    if len(lengths) != 1 or lengths[0] == 0:
        rule = "must be one number: as many labels in each task as there are classes"
        raise refusal(f"numbers of {name}", lengths, rule, remedy)
    for label in itertools.chain(*labels):
        require_integer("label", label, 0, remedy)


class Labellings(Teachers):
    r"""The labels of the classes of a data set, one row of labels for every task.

    .. math::

        W^*_{m, i k} = 1 \text{ if class } k \text{ has the label } i \text{ on task } m, \text{ else } 0

    They are the same for every seed. The student does not see the class, but features of examples (`Examples`).

    Args:
        labels: for every task, the label of every class; whole numbers from 0.

    Raises:
        ValueError: if there is no task, tasks label different numbers of classes, or a label is no whole number from 0.

    Example:
        >>> tasks = gl.Labellings(((0, 1, 2), (1, 2, 0)))            # three classes, labelled in two ways
        >>> tasks.shape, tasks.sample(jax.random.key(0))[1].argmax(0).tolist()
        ((2, 3, 3), [1, 2, 0])

    Source: paper, Fig. 7 and A.15.
    """

    dims: ClassVar[tuple[str, ...]] = ("task", "out", "class")

    labels: Sequence[Sequence[int]] | np.ndarray = checked(_require_labels, static=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.labels), 1 + max(map(max, self.labels)), len(self.labels[0])

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out other"]:
        return jnp.moveaxis(jax.nn.one_hot(np.asarray(self.labels), self.shape[1]), -1, 1)
