"""Objectives: the loss of a student that is one matrix, and the pull of the loss on that matrix."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def quadratic_loss(
    error: Float[Array | np.ndarray, "out in"], factor: Float[Array, "in rank"] | None
) -> tuple[Float[Array, ""], Float[Array, "out in"]]:
    r"""The squared error of a linear student and its gradient with respect to the student's matrix.

    .. math::

        L = \tfrac12 \mathrm{tr}[(A - W^*)\, S\, (A - W^*)^\top], \qquad G = (A - W^*)\, S

    Args:
        error: :math:`A - W^*`.
        factor: L with :math:`S = L L^\top` (see `gatedlib.inputs`), or None for S = I.

    Returns:
        The loss and G.

    Example:
        >>> import jax.numpy as jnp
        >>> from gatedlib.objectives import quadratic_loss
        >>> loss, g = quadratic_loss(jnp.array([[3.0, 4.0]]), None)
        >>> float(loss)
        12.5

    Source: paper, section 2.
    """
    if factor is None:
        return jnp.sum(error**2) / 2, jnp.asarray(error)
    seen = jnp.asarray(error) @ factor
    return jnp.sum(seen**2) / 2, seen @ factor.T


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
        >>> import jax.numpy as jnp
        >>> from gatedlib.objectives import cross_entropy
        >>> loss, gradient = cross_entropy(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
        >>> round(float(loss), 4), gradient.tolist()
        (0.6931, [[-0.5, 0.5]])

    Source: paper, Fig. 7.
    """
    loss = -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), -1))
    return loss, (jax.nn.softmax(logits) - labels) / len(logits)
