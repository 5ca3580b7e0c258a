"""Experiments that several chapters share: each name means one experiment in the whole book."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import gatedlib as gl
from gatedlib_book.forms import GATE_SPREAD, earlier

FLEXIBLE = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20, block_length=1.0),
    flow=gl.Flow(
        tau_w=1.3,
        tau_c=0.03,
        dt=1e-3,
        penalties=(gl.Nonnegative(a=0.0909), gl.UnitNorm(b=0.909, ord=1)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fast, nonnegative, bounded gates: the settings of the paper's Fig. 2."""

FORGETFUL = FLEXIBLE.replace(tau_c=1.3, a=0.0, b=0.0)
"""The same network with gates as slow as its weights, and unconstrained."""

FLEXIBLE_AND_FORGETFUL = (FLEXIBLE, FORGETFUL)
"""What most claims on Fig. 2 exchange to be false."""

SEEDS = 30
"""How many networks are usual."""

SPECIALIZED = 0.5
"""A network counts as specialized once its paths are half as far apart as the teachers (squared)."""

CONSERVED = FLEXIBLE.replace(inputs=gl.Population())
"""The flexible network, learning from all inputs at once, as theory has it."""

REGULAR = FLEXIBLE.replace(inputs=gl.Population(), dt=5e-3, curriculum=gl.Blocked(duration=40.0))
"""The flexible network of Fig. 2 for 40 time units, learning from all inputs at once, in steps of 0.005."""

LEARNER = REGULAR.replace(curriculum=gl.Blocked(blocks=20))
"""The same for 20 blocks, as in Fig. 2."""

PLAIN = LEARNER.replace(tau_c=1.3, penalties=())
"""LEARNER with gates as slow as its weights, and no penalties."""

FAMILY = gl.Orthogonal(tasks=8, d_in=32, d_out=4, scale=8**-0.5)
"""Eight tasks of squared length 1/2, as in Fig. 2: A and B are practised, the others are new."""

CORRELATIONS = (0.0, 0.5, 0.8)
"""How alike two tasks are, where the chapters on minds compare learners: the cosines of their teachers."""

TOY = gl.Experiment(
    teachers=gl.Given(np.eye(2)[:, :, None]),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20, block_length=1.0),
    flow=gl.Flow(tau_w=1.3, tau_c=0.06, penalties=(gl.Nonnegative(a=0.1818), gl.UnitNorm(b=1.818))),
)
"""Fig. 2 in one mode: teachers of length 1, so that what acts on gates is twice as large as there, and tau_c too."""

SPECIALIST = gl.Params(weights=np.eye(2)[:, :, None], gates=np.array([0.0, 1.0]))
"""Each path is a teacher, and the gate of the second is open: a trained network just before a switch to the first."""

BY_SPEED_RELEASED = FLEXIBLE.replace(curriculum=gl.Blocked(duration=7.0), tau_w=0.1, tau_c=0.02, a=0.5, b=2.5)
"""Fig. 5A as the released notebook has it: block length against the time constant of the gates."""

BY_SPEED = earlier(BY_SPEED_RELEASED, GATE_SPREAD)
"""Fig. 5A in the form that drew it."""

PAIRS = ((0, 1), (1, 2), (2, 0))
"""A and B, B and C, C and A: what composites are made of."""

SINGLE, NEW = 23, 7
"""Blocks of single tasks and of composites: three quarters of 30, as in the released runs, and the rest."""

NEW_ORDER = (5, 3, 4)
"""(C + A) / 2 comes first: it holds nothing of B, the last single task."""


def halves(pairs: Sequence[tuple[int, int]] = PAIRS, tasks: int = 3) -> tuple[tuple[float, ...], ...]:
    """Half of one task and half of another, for each pair, as weights of a sum.

    Example:
        >>> from gatedlib_book.experiments import halves
        >>> halves([(0, 1)])
        ((0.5, 0.5, 0.0),)
    """
    return tuple(tuple(0.5 if task in pair else 0.0 for task in range(tasks)) for pair in pairs)


def phases(single: int = SINGLE, new: int = NEW) -> gl.Phases:
    """Three tasks in turn, and then three composites in turn."""
    return gl.Phases((gl.Blocked(blocks=single, order=(0, 1, 2)), gl.Blocked(blocks=new, order=NEW_ORDER)))


THREE = gl.Orthogonal(tasks=3, d_in=20, d_out=6)

TASKS = gl.Experiment(
    teachers=gl.Sums(THREE, weights=halves()),
    network=gl.GatedLinear(paths=3),
    curriculum=phases(),
    flow=gl.Flow(
        tau_w=0.2,
        tau_c=0.03,
        penalties=(gl.Nonnegative(a=0.5), gl.UnitNorm(b=2.5)),
        inputs=gl.Sampled(batch=200),
    ),
)
"""Fig. 3C: new tasks that are the mean of two known ones."""

TASKS_EARLIER = earlier(TASKS)
"""Fig. A.12 in the form that drew it."""

LONGER = TASKS_EARLIER.replace(dt=2e-3, inputs=gl.Population(), curriculum=phases(66, 9))
"""The earlier form, learning from all inputs at once: 66 blocks of single tasks, the last of them C, then 9 mixed."""


def single(experiment: gl.Experiment) -> gl.Experiment:
    """An experiment of two phases without its second one, the composites."""
    assert isinstance(experiment.curriculum, gl.Phases)
    return experiment.replace(curriculum=experiment.curriculum.phases[0])
