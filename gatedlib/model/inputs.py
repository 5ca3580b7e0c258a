"""Inputs: the batch that a learning step sees, and its loss.

On Gaussian inputs the loss is the squared error, and a linear student depends on them only through their second moment
:math:`S`. It is drawn as a factor L with :math:`S = L L^T`, or None where S is the identity. On the examples of a data
set the loss is the cross-entropy of their labels.
"""

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from gatedlib._internal.numerics import chi_quantile, normal
from gatedlib._internal.validation import as_jax_array, refusal, require_finite
from gatedlib.model.fields import Part, checked, integer, positive
from gatedlib.model.teachers import Teachers

Matrix = Float[Array | np.ndarray, "out other"]


class Inputs(Part):
    """The inputs of a learning step, by default Gaussian with a second moment that `draw` gives."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], d_out: int, d_in: int) -> Any:
        """The batch of one step, for tasks of this size: by default L with `L @ L.T = S`, or None for S = I."""

    def loss(self, matrix: Matrix, teacher: Matrix, batch: Any) -> tuple[Float[Array, ""], Float[Array, "out in"]]:
        """The loss of a student that is this matrix on a batch, and its gradient: by default squared error."""
        return quadratic_loss(matrix - teacher, batch)

    def width(self, d_in: int) -> int:
        """The number of inputs of the student: that of its teachers, unless it sees something else than they do."""
        return d_in

    def check(self, teachers: Teachers) -> None:
        """Raise a ValueError if these inputs do not go with these teachers."""
        if "class" in teachers.dims:
            remedy = "Use Examples(features, classes)"
            raise refusal("inputs", type(self).__name__, "labels are learned from examples", remedy)


class Population(Inputs):
    r"""All inputs at once: the deterministic limit of an infinite batch.

    .. math::

        S = E[x x^\top] = I

    Example:
        >>> gl.Population().draw(jax.random.key(0), d_out=2, d_in=3) is None
        True

    Source: paper, appendix on the reduction, which works in this limit.
    """

    def draw(self, key: Key[Array, ""], d_out: int, d_in: int) -> Any:
        return None


class Sampled(Inputs):
    r"""A fresh minibatch of Gaussian inputs at every step, drawn from its exact distribution.

    .. math::

        S = \frac 1B \sum_{b=1}^B x_b x_b^\top, \qquad B S \sim \mathrm{Wishart}(B, I)

    For `batch >= d_in` the Cholesky factor of that Wishart matrix is drawn directly (Bartlett: independent normals
    below the diagonal, roots of chi-squares on it), which costs the same for every batch size; for smaller batches
    the inputs themselves are drawn.

    Args:
        batch: number of inputs per step, B.

    Raises:
        ValueError: if the batch is no whole number above 0.

    Example:
        >>> [gl.Sampled(batch).draw(jax.random.key(0), d_out=2, d_in=3).shape for batch in (200, 2)]
        [(3, 3), (3, 2)]

    Source: paper, section 2 (batch 200). Bartlett decomposition: M. S. Bartlett, 1933.
    """

    batch: int = integer(
        at_least=1, default=200, remedy="The paper uses 200; Population() is the limit of large batches"
    )

    def draw(self, key: Key[Array, ""], d_out: int, d_in: int) -> Any:
        if self.batch < d_in:
            return normal(key, (d_in, self.batch)) / np.sqrt(self.batch)
        below_key, diagonal_key = jax.random.split(key)
        # Bartlett: the squares on the diagonal are chi-square with B, B - 1, ..., B - d_in + 1 degrees of freedom.
        roots = chi_quantile(normal(diagonal_key, (d_in,)), self.batch - np.arange(d_in))
        below = normal(below_key, (d_in * (d_in - 1) // 2,))
        return _lower_triangle(roots, below) / np.sqrt(self.batch)


class Noisy(Sampled):
    r"""A fresh minibatch at every step, with noise on the outputs of the teacher.

    .. math::

        y^* = W^*_m x + \sigma \xi, \qquad \xi \sim N(0, I)

    so that a single sample no longer tells which task is on. As for `Sampled`, only numbers are drawn that loss and
    gradient depend on: with :math:`S = L L^\top` and Z of independent normals,

    .. math::

        L_B = \tfrac12 \Big\| (A - W^*) L - \tfrac{\sigma}{\sqrt B} Z \Big\|_F^2 + \tfrac{\sigma^2}{2B} \chi^2, \qquad
        G = \Big[ (A - W^*) L - \tfrac{\sigma}{\sqrt B} Z \Big] L^\top

    where :math:`\chi^2`, of :math:`d_\mathrm{out} (B - \mathrm{rank}\, L)` degrees of freedom, is the noise outside of
    the span of the inputs.

    Args:
        batch: number of inputs per step, B.
        noise: :math:`\sigma`, the standard deviation of the noise on each output. A teacher of Fig. 2 has outputs of
            standard deviation 0.22.

    Raises:
        ValueError: if the batch is no whole number above 0, or the noise is not above 0.

    Example:
        >>> inputs, teacher = gl.Noisy(batch=1000, noise=0.5), np.ones((2, 3))
        >>> batch = inputs.draw(jax.random.key(0), d_out=2, d_in=3)
        >>> loss, g = inputs.loss(teacher, teacher, batch)
        >>> 0.23 < float(loss) < 0.27                # 0.25: half the variance of the noise for each of two outputs
        True

    Source: this library; the paper's targets have no noise.
    """

    noise: float = positive(default=0.1, remedy="Use Sampled(batch) for targets without noise")

    def draw(self, key: Key[Array, ""], d_out: int, d_in: int) -> Any:
        inputs_key, noise_key, residual_key = jax.random.split(key, 3)
        factor = super().draw(inputs_key, d_out, d_in)
        rank = factor.shape[1]
        noise = self.noise / np.sqrt(self.batch) * normal(noise_key, (d_out, rank))
        # The noise outside of the span of the inputs adds to the loss of any student: B - rank numbers for each output.
        residual_dof = d_out * (self.batch - rank)
        root = chi_quantile(normal(residual_key, (1,)), np.array([residual_dof]))[0] if residual_dof > 0 else 0.0
        return factor, noise, self.noise**2 / (2 * self.batch) * root**2

    def loss(self, matrix: Matrix, teacher: Matrix, batch: Any) -> tuple[Float[Array, ""], Float[Array, "out in"]]:
        factor, noise, residual = batch
        error = (matrix - teacher) @ factor - noise
        return jnp.sum(error**2) / 2 + residual, error @ factor.T


def _as_classes(values: Any) -> Any:
    """Classes as an array of jax; values that are no integers pass, for the rule of the field to refuse."""
    if isinstance(values, jax.Array):
        return values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of unequal length, or an object that is no array
        array = np.asarray(None)
    # JAX would wrap an integer of 2**31 or more to another class without a word.
    representable = array.dtype in (bool, np.float16, np.float32, np.float64)
    representable = representable or (array.dtype.kind in "iu" and array.max(initial=0) < 2**31)
    return jnp.asarray(array) if representable else array


def _require_classes(name: str, classes: Any) -> None:
    """Require integers from 0 on, below 2**31."""
    remedy = "Use whole numbers 0, 1, …"
    if not jnp.issubdtype(classes.dtype, jnp.integer):
        raise refusal(f"type of {name}", str(classes.dtype), "must be a type of whole numbers", remedy)
    if classes.size == 0 or isinstance(classes, jax.core.Tracer):
        return
    smallest, largest = int(np.min(classes)), int(np.max(classes))
    if smallest < 0:
        raise refusal("smallest class", smallest, "must not be below 0", remedy)
    if largest >= 2**31:
        raise refusal("largest class", largest, "must be below 2**31", remedy)


def _as_features(values: object) -> Array:
    return as_jax_array("features", values, "Give one row of numbers per example")


def _require_features(name: str, features: Array) -> None:
    """Require finite numbers in an array with one row for each example."""
    if features.ndim < 2 or features.size == 0:
        remedy = "Give one row per example"
        raise refusal(f"shape of {name}", features.shape, "must be (sample, in), with samples", remedy)
    require_finite(name, features)


class Examples(Inputs):
    r"""A fresh minibatch of a data set at every step, learned by cross-entropy.

    .. math::

        L = -\frac 1B \sum_b \log \mathrm{softmax}(A x_b)_{y_b}, \qquad y_b = \text{label of class } k_b
        \text{ under the task that is on}

    The student sees the features :math:`x_b`; the tasks give the labels of their classes (`Labellings`).

    Args:
        features: the features of every example, shape (sample, in).
        classes: the class of every example, whole numbers from 0, shape (sample,).
        batch: number of examples per step, B, drawn with replacement.

    Raises:
        ValueError: if there are no examples, not as many classes as features, a class is no whole number from 0,
            a feature is not finite, or the batch is no whole number above 0.

    Example:
        >>> examples = gl.Examples(np.eye(3), classes=[0, 1, 2], batch=5)
        >>> loss, g = examples.loss(np.zeros((3, 3)), np.eye(3), batch=np.array([0, 0, 1, 2, 2]))
        >>> round(float(loss), 3), g.shape                                        # log 3
        (1.099, (3, 3))
        >>> digits = gl.trunk.features(gl.images.load("digits"))
        >>> digits.examples(batch=100).features.shape                            # the same from a trained trunk
        (1437, 64)

    Source: paper, Fig. 7.
    """

    features: Float[Array | np.ndarray, "sample *in"] = checked(_require_features, convert=_as_features)
    classes: Any = checked(_require_classes, convert=_as_classes)  # an array of integers, shape (sample,)
    batch: int = integer(at_least=1, default=100, remedy="The paper's Fig. 7 has 100")

    def __check_init__(self) -> None:
        samples = self.features.shape[:1]
        if self.classes.shape != samples:
            rule = f"must be {samples}, one class per example"
            raise refusal("shape of classes", self.classes.shape, rule, "Give as many classes as features")

    def draw(self, key: Key[Array, ""], d_out: int, d_in: int) -> Int[Array, " batch"]:
        """The indices of the examples that one step sees."""
        return jax.random.randint(key, (self.batch,), 0, len(self.classes), jnp.int32)  # in any precision

    def loss(self, matrix: Matrix, teacher: Matrix, batch: Any) -> tuple[Float[Array, ""], Float[Array, "out in"]]:
        if self.features.ndim != 2:
            remedy = "Flatten them, or use gatedlib.trunk.features"
            raise refusal("shape of features", self.features.shape, "a linear network sees rows of numbers", remedy)
        x = self.features[batch]
        loss, logit_gradient = cross_entropy(x @ matrix.T, self.labels(teacher, batch))
        return loss, logit_gradient.T @ x

    def labels(
        self, teacher: Matrix, batch: Int[Array | np.ndarray, " batch"] | slice = slice(None)
    ) -> Float[Array, "sample out"]:
        """The labels that a teacher gives to examples, by default to all: one row for each."""
        return jnp.asarray(teacher).T[self.classes[batch]]

    def width(self, d_in: int) -> int:
        return self.features.shape[-1]

    def check(self, teachers: Teachers) -> None:
        if "class" not in teachers.dims:
            remedy = "Use Labellings(((0, 1), (1, 0))) for two tasks on two classes"
            raise refusal("teachers", type(teachers).__name__, "examples have labels", remedy)
        require_labelled(int(np.max(self.classes)), teachers.shape[2])


def require_labelled(largest: int, classes: int) -> None:
    """Require that the largest class of examples is one of the classes that tasks label."""
    if largest >= classes:
        rule = f"the tasks name {classes} classes, from 0 to {classes - 1}"
        raise refusal("largest class", largest, rule, "Name all classes in Labellings")


def quadratic_loss(
    error: Float[Array | np.ndarray, "out in"], factor: Float[Array, "in rank"] | None
) -> tuple[Float[Array, ""], Float[Array, "out in"]]:
    r"""The squared error of a linear student and its gradient with respect to the student's matrix.

    .. math::

        L = \tfrac12 \mathrm{tr}[(A - W^*)\, S\, (A - W^*)^\top], \qquad G = (A - W^*)\, S

    Args:
        error: :math:`A - W^*`.
        factor: L with :math:`S = L L^\top`, or None for S = I.

    Returns:
        The loss and G.

    Example:
        >>> from gatedlib.model.inputs import quadratic_loss
        >>> loss, g = quadratic_loss(jnp.array([[3.0, 4.0]]), None)
        >>> float(loss)
        12.5

    Source: paper, section 2.
    """
    if factor is None:
        return jnp.sum(error**2) / 2, jnp.asarray(error)
    on_batch = jnp.asarray(error) @ factor
    return jnp.sum(on_batch**2) / 2, on_batch @ factor.T


def cross_entropy(
    logits: Float[Array, "sample out"], labels: Float[Array, "sample out"]
) -> tuple[Float[Array, ""], Float[Array, "sample out"]]:
    r"""The cross-entropy of a softmax, averaged over samples, and its gradient with respect to the logits.

    .. math::

        L = -\frac 1B \sum_b \sum_i y_{bi} \log q_{bi}, \qquad q_b = \mathrm{softmax}(z_b), \qquad
        \frac{\partial L}{\partial z_b} = \frac{q_b - y_b}{B}

    Args:
        logits: :math:`z`.
        labels: :math:`y`, the probability of every label; a single one where the label is certain.

    Returns:
        The loss and its gradient.

    Example:
        >>> from gatedlib.model.inputs import cross_entropy
        >>> loss, gradient = cross_entropy(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
        >>> round(float(loss), 4), gradient.tolist()
        (0.6931, [[-0.5, 0.5]])

    Source: paper, Fig. 7.
    """
    loss = -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), -1))
    return loss, (jax.nn.softmax(logits) - labels) / len(logits)


def _lower_triangle(diagonal: Float[Array, " n"], below: Float[Array, " m"]) -> Float[Array, "n n"]:
    """The lower triangular matrix with these entries, by one gather."""
    n = len(diagonal)
    index = np.full((n, n), n + len(below))  # above the diagonal: the zero that is appended
    index[np.diag_indices(n)] = np.arange(n)
    index[np.tril_indices(n, -1)] = n + np.arange(len(below))
    return jnp.concatenate([diagonal, below, jnp.zeros(1)])[index]
