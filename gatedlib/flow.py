"""Learning: joint gradient descent on weights and gates, each with its own time constant."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from gatedlib import _check
from gatedlib.inputs import Inputs, Population
from gatedlib.networks import Network, Params
from gatedlib.penalties import Penalty, check_penalties


def quadratic_loss(
    error: Float[Array, "out in"], factor: Float[Array, "in rank"] | None
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
        >>> from gatedlib.flow import quadratic_loss
        >>> loss, g = quadratic_loss(jnp.array([[3.0, 4.0]]), None)
        >>> float(loss)
        12.5

    Source: paper, section 2.
    """
    if factor is None:
        return jnp.sum(error**2) / 2, error
    seen = error @ factor
    return jnp.sum(seen**2) / 2, seen @ factor.T


class Flow(eqx.Module):
    r"""How a student learns: gradient descent on weights and gates at once, at different speeds.

    .. math::

        \tau_w \dot W_p = -\frac{\partial L}{\partial W_p}, \qquad
        \tau_c \dot c_p = -\frac{\partial (L + R)}{\partial c_p}

    in explicit Euler steps of `dt`, that is, with learning rates dt/tau.

    Args:
        tau_w: time constant of the weights, in time units; `math.inf` freezes them.
        tau_c: time constant of the gates; `math.inf` freezes them.
        dt: length of a step, in time units.
        penalties: the costs that add up to R.
        inputs: `Population()` for all inputs at once, or `Sampled(batch)`.

    Raises:
        ValueError: if a time constant or dt is not above 0, a penalty is none, or the inputs are none.

    Example:
        >>> import gatedlib as gl
        >>> gl.Flow(tau_w=1.3, tau_c=0.03, penalties=(gl.Nonnegative(0.0909), gl.UnitNorm(0.909))).dt
        0.001

    Source: paper, section 2.
    """

    tau_w: float
    tau_c: float
    dt: float = 1e-3
    penalties: tuple[Penalty, ...] = ()
    inputs: Inputs = Population()

    def __check_init__(self) -> None:
        _check.positive("tau_w", self.tau_w, "The paper's Fig. 2 has 1.3; math.inf freezes the weights", infinite=True)
        _check.positive("tau_c", self.tau_c, "The paper's Fig. 2 has 0.03; math.inf freezes the gates", infinite=True)
        _check.positive("dt", self.dt, "The paper's Fig. 2 has 0.001")
        check_penalties(self.penalties)
        _check.require(
            isinstance(self.inputs, Inputs),
            "inputs",
            self.inputs,
            "must be Population() or Sampled(batch)",
            "Write Sampled(200) for batches of 200",
        )

    def velocity(
        self,
        network: Network,
        params: Params,
        teacher: Float[Array, "out in"],
        factor: Float[Array, "in rank"] | None,
    ) -> tuple[Float[Array, ""], Params]:
        """The loss on the current task and the rates of change of weights and gates that it causes."""
        loss, g = quadratic_loss(network.effective(params) - teacher, factor)
        weights, gates = network.pullback(params, g)
        for penalty in self.penalties:
            cost = penalty.gradient(params)
            weights, gates = weights + cost.weights, gates + cost.gates
        return loss, Params(-weights / self.tau_w, -gates / self.tau_c)

    def step(self, params: Params, velocity: Params) -> Params:
        """One Euler step along a velocity."""
        return Params(params.weights + self.dt * velocity.weights, params.gates + self.dt * velocity.gates)
