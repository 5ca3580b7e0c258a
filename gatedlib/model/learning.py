"""The learning step, all of it: joint gradient descent on weights and gates, each with its own time constant."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from gatedlib._internal.validation import require, require_positive, to_plain, to_real
from gatedlib.model.inputs import Inputs, Population
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty, check_penalties


class Flow(eqx.Module):
    r"""How a student learns: gradient descent on weights and gates at once, at different speeds.

    .. math::

        \tau_w \dot W_p = -\frac{\partial (L + R)}{\partial W_p}, \qquad
        \tau_c \dot c_p = -\frac{\partial (L + R)}{\partial c_p}

    in explicit Euler steps of `dt`, that is, with learning rates dt/tau.

    Args:
        tau_w: time constant of the weights, in time units; `math.inf` freezes them.
        tau_c: time constant of the gates; `math.inf` freezes them.
        dt: length of a step, in time units.
        penalties: the costs that add up to R.
        inputs: `Population()` for all inputs at once, `Sampled(batch)`, `Noisy(…)`, or `Examples(…)` of a data set.

    Raises:
        ValueError: if a time constant or dt is not above 0, a penalty is none, or the inputs are none.

    Example:
        >>> gl.Flow(tau_w=1.3, tau_c=0.03, penalties=(gl.Nonnegative(0.0909), gl.UnitNorm(0.909))).dt
        0.001

    Source: paper, section 2.
    """

    tau_w: float = eqx.field(converter=to_real)
    tau_c: float = eqx.field(converter=to_real)
    dt: float = eqx.field(converter=to_real, default=1e-3)
    penalties: Sequence[Penalty] = eqx.field(converter=to_plain, default=())
    inputs: Inputs = Population()

    def __check_init__(self) -> None:
        require_positive("tau_w", self.tau_w, "The paper's Fig. 2 has 1.3; math.inf freezes the weights", infinite=True)
        require_positive("tau_c", self.tau_c, "The paper's Fig. 2 has 0.03; math.inf freezes the gates", infinite=True)
        require_positive("dt", self.dt, "The paper's Fig. 2 has 0.001")
        check_penalties(self.penalties)
        require(
            isinstance(self.inputs, Inputs),
            "inputs",
            self.inputs,
            "must be Population(), Sampled(batch), Noisy(…) or Examples(…)",
            "Write Sampled(200) for batches of 200, or features.examples(batch=100) of a data set",
        )

    def velocity(
        self,
        network: Network,
        params: Params,
        teacher: Float[Array, "out in"],
        batch: Any,
    ) -> tuple[Float[Array, ""], Params]:
        r"""The loss on a batch of the current task, and the rates of change of weights and gates that it causes.

        .. math::

            G = \frac{\partial L}{\partial A}, \qquad
            \dot W = -\frac{1}{\tau_w} \Big( \Big\langle \frac{\partial A}{\partial W}, G \Big\rangle
            + \frac{\partial R}{\partial W} \Big), \qquad
            \dot c = -\frac{1}{\tau_c} \Big( \Big\langle \frac{\partial A}{\partial c}, G \Big\rangle
            + \frac{\partial R}{\partial c} \Big)
        """
        matrix = network.effective(params)  # A
        loss, g = self.inputs.loss(matrix, teacher, batch)  # L and dL/dA
        weights, gates = network.pullback(params, g)  # dL/dW and dL/dc
        for penalty in self.penalties:
            cost = penalty.gradient(params)
            weights, gates = weights + cost.weights, gates + cost.gates
        return loss, Params(-weights / self.tau_w, -gates / self.tau_c)

    def step(self, params: Params, velocity: Params) -> Params:
        r"""One Euler step along a velocity.

        .. math::

            W \leftarrow W + dt\, \dot W, \qquad c \leftarrow c + dt\, \dot c
        """
        return Params(params.weights + self.dt * velocity.weights, params.gates + self.dt * velocity.gates)
