"""The learning step, all of it: joint gradient descent on weights and gates, each with its own time constant."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Array, Float

from gatedlib._internal.validation import refusal
from gatedlib.model.fields import Part, checked, positive
from gatedlib.model.inputs import Inputs, Population
from gatedlib.model.networks import Network, Params
from gatedlib.model.penalties import Penalty, require_penalties


def _require_inputs(name: str, inputs: object) -> None:
    if not isinstance(inputs, Inputs):
        rule = "must be Population(), Sampled(batch), Noisy(…) or Examples(…)"
        remedy = "Write Sampled(200) for batches of 200, or features.examples(batch=100) of a data set"
        raise refusal(name, inputs, rule, remedy)


class Flow(Part):
    r"""The learning rule: gradient descent on weights and gates at once, with different time constants.

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

    tau_w: float = positive(infinite=True, remedy="The paper's Fig. 2 has 1.3; math.inf freezes the weights")
    tau_c: float = positive(infinite=True, remedy="The paper's Fig. 2 has 0.03; math.inf freezes the gates")
    dt: float = positive(default=1e-3, remedy="The paper's Fig. 2 has 0.001")
    penalties: Sequence[Penalty] = checked(require_penalties, default=())
    inputs: Inputs = checked(_require_inputs, convert=None, accepts=Inputs, default=Population())

    def velocity(
        self,
        network: Network,
        params: Params,
        teacher: Float[Array, "out in"],
        batch: Any,
    ) -> tuple[Float[Array, ""], Params]:
        r"""The loss on a batch, without penalties, and the rates of change that loss and penalties cause.

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
            gradient = penalty.gradient(params)
            weights, gates = weights + gradient.weights, gates + gradient.gates
        return loss, Params(-weights / self.tau_w, -gates / self.tau_c)

    def step(self, params: Params, velocity: Params) -> Params:
        r"""One Euler step along a velocity.

        .. math::

            W \leftarrow W + dt\, \dot W, \qquad c \leftarrow c + dt\, \dot c
        """
        return Params(params.weights + self.dt * velocity.weights, params.gates + self.dt * velocity.gates)
