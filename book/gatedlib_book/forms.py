"""The two normalisations of the model: that of the released code, and an earlier one that drew some of the figures."""

from __future__ import annotations

import math

import gatedlib as gl
from gatedlib._internal.validation import require, require_instance
from gatedlib.model.experiment import require_penalties_on_gates, setting

GATE_SPREAD = 0.1
"""The standard deviation of the gates at the start in Figs. 5 and A.14, found by search on Fig. 5: .1 to .3 fit."""


def earlier(experiment: gl.Experiment, gate_spread: float = 0.0) -> gl.Experiment:
    r"""An experiment of the released form as it is in the earlier one, in the units of the released form.

    The released code adds up the loss over outputs, and its teachers have rows of length
    :math:`1/\sqrt{d_\mathrm{in}}`. The earlier form took the mean over outputs and rows of length one,

    .. math::

        L = \frac{1}{2 d_\mathrm{out}} \|(A' - W'^*)\, x\|^2, \qquad
        \tau_w\, \dot W' = -\frac{\partial L}{\partial W'}, \quad
        \tau_c\, \dot c = -\frac{\partial L}{\partial c}

    In the weights :math:`W = W' / \sqrt{d_\mathrm{out}}` that is the sum again:

    .. math::

        L = \tfrac12 \|(A - W^*)\, x\|^2, \qquad
        \tau_w d_\mathrm{out}\, \dot W = -\frac{\partial L}{\partial W}, \quad
        \tau_c\, \dot c = -\frac{\partial L}{\partial c}

    with rows of length :math:`1/\sqrt{d_\mathrm{out}}`, slower weights, and smaller ones at the start.

    Args:
        experiment: an experiment of the released form: gated paths, rows of the standard length, no cost on weights.
        gate_spread: the standard deviation of the gates at the start.

    Raises:
        ValueError: if it is none, because the same change of units would not make it the earlier form.

    Example:
        >>> from gatedlib_book import experiments, forms
        >>> drawn = forms.earlier(experiments.BY_SPEED_RELEASED)
        >>> teachers, _ = drawn.draw(seed=0)
        >>> round(float((teachers[0, 0] ** 2).sum()), 4), drawn.flow.tau_w
        (0.1, 1.0)
    """
    remedy = "Begin with an experiment of the released form"
    require_instance("network", experiment.network, gl.GatedLinear, remedy)
    length = setting(experiment, "scale")
    require(length is None, "scale", length, "must be left out: in the earlier form it is 1/sqrt(d_out)", remedy)
    require_penalties_on_gates(experiment, "acts on weights, whose size differs between the forms", "Leave it out")
    d_out, _ = experiment.sizes
    return experiment.replace(
        scale=d_out**-0.5,
        tau_w=d_out * setting(experiment, "tau_w"),
        weight_scale=setting(experiment, "weight_scale") / math.sqrt(d_out),
        gate_spread=gate_spread,
    )
