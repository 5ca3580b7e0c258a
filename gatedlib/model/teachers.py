"""Teachers: the tasks that a student has to learn, each a matrix from inputs to targets.

A teacher set draws one array `W*[m, i, j]` (task, out, in) per seed. On task m the target of an input x is `W*[m] x`.
Teachers of your own are subclasses of `Teachers`.
"""

import abc
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.numerics import normal, orthonormal
from gatedlib._internal.validation import as_jax_array, refusal, require_finite, require_nonnegative
from gatedlib.model.fields import Part, checked, integer, nonnegative, positive


class Teachers(Part):
    """A distribution over sets of teacher matrices, one set per seed; `dims` names their axes in results."""

    dims: ClassVar[tuple[str, ...]] = ("task", "out", "in")

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Number of tasks, outputs and inputs: `(m, i, j)`."""

    @property
    def components(self) -> int:
        """The number of tasks that are not made of others, which come first: all, unless there are composites."""
        return self.shape[0]

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        """Draw one set of teachers."""


class Orthogonal(Teachers):
    r"""Random teachers without overlap: disjoint rows of one random orthogonal matrix.

    .. math::

        W^*_m = s\, Q_{[m d_\mathrm{out} : (m+1) d_\mathrm{out}]}, \qquad Q^\top Q = I

    so that :math:`\langle W^*_m, W^*_n \rangle = 0` and :math:`\|W^*_m\|_F^2 = s^2 d_\mathrm{out}`. With the standard
    scale :math:`s = 1/\sqrt{d_\mathrm{in}}`, the loss of a student without output is
    :math:`d_\mathrm{out} / 2 d_\mathrm{in}`, and that of a student that answers the other task is twice as large.

    Args:
        tasks: number of tasks M.
        d_in: number of inputs; at least `tasks * d_out`, or there are not enough orthogonal rows.
        d_out: number of outputs.
        scale: length of every row, s; `1 / sqrt(d_in)` unless given.

    Raises:
        ValueError: if a size is no whole number above 0, if there are too few inputs, or if the scale is not above 0.

    Example:
        >>> teachers = gl.Orthogonal(tasks=2, d_in=20, d_out=10)
        >>> teachers.sample(jax.random.key(0)).shape
        (2, 10, 20)

    Source: paper, section 2 and appendix on the settings of Fig. 2.
    """

    tasks: int = integer(at_least=1, default=2, remedy="Use 2 for the paper's alternating tasks")
    d_in: int = integer(at_least=1, default=20, remedy="The paper uses 20")
    d_out: int = integer(at_least=1, default=10, remedy="The paper uses 10")
    scale: float | None = positive(default=None, remedy="Leave it out for 1 / sqrt(d_in)")

    def __check_init__(self) -> None:
        needed = self.tasks * self.d_out
        if self.d_in < needed:
            rule = f"orthogonal teachers need d_in >= tasks * d_out = {self.tasks} * {self.d_out} = {needed}"
            raise refusal("d_in", self.d_in, rule, f"Use d_in = {needed} or more, or fewer tasks or outputs")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.tasks, self.d_out, self.d_in

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        rows = orthonormal(normal(key, (self.tasks * self.d_out, self.d_in)))
        scale = 1 / math.sqrt(self.d_in) if self.scale is None else self.scale
        return scale * rows.reshape(self.shape)


class Correlated(Orthogonal):
    r"""Random teachers of which every pair has the same correlation, exactly and row by row.

    .. math::

        W^*_m = \sqrt{1 - \rho}\, O_m + \frac{\sqrt{1 - \rho + M \rho} - \sqrt{1 - \rho}}{M} \sum_n O_n

    with :math:`O` orthogonal teachers of length s, so that :math:`\cos(W^*_{m,i\cdot}, W^*_{n,i\cdot}) = \rho` and
    all lengths stay s. At :math:`\rho = 0` these are the orthogonal teachers of the same seed.

    Args:
        tasks: number of tasks M.
        d_in: number of inputs; at least `tasks * d_out`.
        d_out: number of outputs.
        scale: length of every row, s; `1 / sqrt(d_in)` unless given.
        correlation: :math:`\rho`, from 0 (nothing in common) to 1 (all the same).

    Raises:
        ValueError: as for `Orthogonal`, or if the correlation is not between 0 and 1.

    Example:
        >>> first, second = gl.Correlated(correlation=0.5).sample(jax.random.key(0))
        >>> round(float((first[0] @ second[0]) / (first[0] @ first[0])), 5)
        0.5

    Source: paper, Fig. A.13.
    """

    correlation: float = nonnegative(default=0.0, remedy="Use 0 for orthogonal teachers")

    def __check_init__(self) -> None:
        if not isinstance(self.correlation, jax.core.Tracer) and self.correlation > 1:
            raise refusal("correlation", self.correlation, "must be 1 or below", "Use 1 for equal teachers")

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        orthogonal = super().sample(key)
        own = jnp.sqrt(1 - self.correlation)
        # So 2 own shared + M shared² = rho, which is the product of rows of two tasks (for O of length one), and with
        # own² = 1 - rho it adds up to 1, the squared length of a row.
        shared = (jnp.sqrt(1 - self.correlation + self.tasks * self.correlation) - own) / self.tasks
        return own * orthogonal + shared * orthogonal.sum(0)


def _require_singular_values(name: str, values: Any) -> None:
    """Require numbers of zero or above, at least one of them above zero."""
    if not isinstance(values, tuple):
        raise refusal(name, values, "must be a list of singular values", "Use (1.0,)")
    for value in values:
        require_nonnegative("singular value", value, "Use 0 for none")
    if not any(isinstance(value, jax.core.Tracer) or value > 0 for value in values):
        raise refusal(name, values, "must hold at least one singular value above 0", "Use (1.0,)")


class Spectral(Teachers):
    r"""Random teachers with singular values that you choose, and no mode in common.

    .. math::

        W^*_m = \sum_\alpha s_\alpha\, u_{m\alpha} v_{m\alpha}^\top, \qquad
        \langle u_{m\alpha}, u_{m\beta} \rangle = \delta_{\alpha\beta}, \qquad
        \langle v_{m\alpha}, v_{n\beta} \rangle = \delta_{mn} \delta_{\alpha\beta}

    so that :math:`\|W^*_m\|_F^2 = \sum_\alpha s_\alpha^2`. Teachers are orthogonal because they depend on different
    directions of the input; their outputs may overlap.

    Args:
        values: the singular values of every teacher; those above 0 are its rank.
        tasks: number of tasks M.
        d_in: number of inputs; at least `tasks * len(values)`.
        d_out: number of outputs; at least `len(values)`.

    Raises:
        ValueError: if a size is no whole number above 0, there is no value above 0 or one below, or there are too few
            inputs or outputs.

    Example:
        >>> first, second = gl.Spectral(values=(2.0, 1.0), d_in=20, d_out=10).sample(jax.random.key(0))
        >>> np.linalg.svd(first, compute_uv=False)[:3].round(4)
        array([2., 1., 0.], dtype=float32)

    Source: paper, Fig. A.2.
    """

    values: Sequence[float] | np.ndarray = checked(_require_singular_values)
    tasks: int = integer(at_least=1, default=2, remedy="Use 2 for the paper's alternating tasks")
    d_in: int = integer(at_least=1, default=30, remedy="The paper's Fig. A.2 has 30")
    d_out: int = integer(at_least=1, default=30, remedy="The paper's Fig. A.2 has 30")

    def __check_init__(self) -> None:
        rank = len(self.values)
        for name, size, needed in (("d_in", self.d_in, self.tasks * rank), ("d_out", self.d_out, rank)):
            if size < needed:
                rule = f"{self.tasks} teachers with {rank} singular values need {name} >= {needed}"
                raise refusal(name, size, rule, f"Use {name} = {needed} or more, or fewer values")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.tasks, self.d_out, self.d_in

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        left_key, right_key = jax.random.split(key)
        rank = len(self.values)
        # Right singular vectors are orthonormal across all tasks, left ones within each.
        right = orthonormal(normal(right_key, (self.tasks * rank, self.d_in))).reshape(self.tasks, rank, self.d_in)
        left = jax.vmap(orthonormal)(normal(left_key, (self.tasks, rank, self.d_out)))
        return jnp.einsum("k,mko,mki->moi", jnp.asarray(self.values), left, right)


def _as_matrices(value: object) -> Array:
    matrices = as_jax_array("matrices", value, "Stack one matrix per task: np.stack([first, second])")
    return matrices if matrices.dtype in (jnp.float32, jnp.float64) else matrices.astype(float)


def _require_stack(name: str, matrices: Array) -> None:
    """Require finite matrices in an array of three axes, none of them empty."""
    remedy = "Stack one matrix per task: np.stack([first, second])"
    if matrices.ndim != 3:
        raise refusal(f"shape of {name}", matrices.shape, "must be (task, out, in), three axes", remedy)
    if matrices.size == 0:
        raise refusal(f"shape of {name}", matrices.shape, "must have no empty axis", remedy)
    require_finite("entries", matrices)


class Given(Teachers):
    r"""Teachers that you bring yourself, the same for every seed.

    .. math::

        W^*_m = \mathtt{matrices}[m]

    Args:
        matrices: one matrix per task, shape (task, out, in).

    Raises:
        ValueError: if the array has not three axes, has an empty one, or holds values that are not finite.

    Example:
        >>> gl.Given(np.eye(2)[:, None, :]).shape      # two tasks, one output, two inputs
        (2, 1, 2)

    Source: the toy tasks of paper Fig. 4 are of this kind.
    """

    matrices: Float[Array | np.ndarray, "task out in"] = checked(_require_stack, convert=_as_matrices)

    @property
    def shape(self) -> tuple[int, int, int]:
        tasks, d_out, d_in = self.matrices.shape
        return tasks, d_out, d_in

    def sample(self, key: Key[Array, ""]) -> Float[Array, "task out in"]:
        return jnp.asarray(self.matrices)
