"""Claims have teeth: each is false where what it rests on is taken away."""

import numpy as np
import pytest

import gatedlib as gl
from gatedlib.paper import (
    cognition,
    components,
    composition,
    cycle,
    depth,
    dynamics,
    invariant,
    observing,
    predictions,
    problems,
    reach,
    reduction,
    regimes,
    robustness,
)
from gatedlib.paper.claims import registry
from tests.test_claims import need

pytestmark = [pytest.mark.slow, pytest.mark.claims]


def calm(experiment):
    """No penalties: what no network becomes flexible with."""
    return experiment.replace(penalties=())


def uneven():
    """As many blocks as in the limit cycle and as much time, but no two periods alike."""
    return gl.Sequence((0, 1) * 50, np.random.default_rng(0).permutation([0.5, 1.5] * 50).tolist())


BREAKS = {
    "5A": lambda c: c.measure(regimes.BY_SPEED_RELEASED),
    "5A-released": lambda c: c.measure(regimes.BY_SPEED),
    "5A-needs": lambda c: c.measure(regimes.BY_SPEED.replace(duration=70.0, dt=5e-3, inputs=gl.Population())),
    "5B": lambda c: c.measure(regimes.BY_PENALTY.replace(a=0.0, b=0.0)),
    "5B-released": lambda c: c.measure(regimes.BY_PENALTY_RELEASED.replace(tau_c=0.1)),
    "A.3": lambda c: c.measure(robustness.COSTLY, robustness.FREE),
    "A.13": lambda c: c.measure(robustness.ALIKE_RELEASED),
    "A.13-released": lambda c: c.measure(robustness.ALIKE),
    "A.13-flexible": lambda c: c.measure(calm(robustness.ALIKE_FLEXIBLE)),
    "A.16": lambda c: c.measure(robustness.FEW_SHOT_FORGETFUL, robustness.FEW_SHOT),
    "tasks": lambda c: c.measure(rounds=3),
    "switches": lambda c: c.measure(robustness.REGULAR, calm(robustness.RANDOM)),
    "paths": lambda c: c.measure(tasks=2),
    "exposure": lambda c: c.measure(share=0.5),
    "A.1": lambda c: c.measure(tau_c=0.1),
    "A.2": lambda c: c.measure(reduction.RANKED.replace(tau_c=0.6)),
    "4": lambda c: c.measure(reduction.FORGETFUL_TOY, reduction.TOY),
    "4H": lambda c: c.measure(formula=1.1),
    "4F": lambda c: c.measure(cycle.CYCLE.replace(curriculum=uneven())),
    "4E": lambda c: c.measure(cycle.EQUAL_TIME.replace(b=0.0)),
    "A.9": lambda c: c.measure(block_lengths=(0.5, 1.0, 2.0), penalties=reduction.TOY.flow.penalties),
    "A.8": lambda c: c.measure(without=1.0),
    "A.10": lambda c: c.measure(calm(reduction.TOY)),
    "invariant": lambda c: c.measure(invariant.CONSERVED.replace(ord=2)),
    "penalties": lambda c: c.measure(invariant.CONSERVED.replace(tau_c=1.3)),
    "norm": lambda c: c.measure(orders=(1, 1)),
    "when": lambda c: c.measure(shuffled=True),
    "boundary": lambda c: c.measure(scale=10.0),
    "3C": lambda c: c.measure(composition.TASKS_FORGETFUL, composition.TASKS),
    "3C-gates": lambda c: c.measure(composition.TASKS),
    "3C-gates-released": lambda c: c.measure(composition.TASKS_EARLIER),
    "3D": lambda c: c.measure(composition.ROWS_FORGETFUL, composition.ROWS),
    "zero-shot": lambda c: c.measure((composition.TASKS_FORGETFUL,) * 2, (composition.TASKS,) * 2),
    "neurons": lambda c: c.measure(tuple(composition.NORMS)[::-1]),
    "mixtures": lambda c: c.measure(sigma=1.0),
    "simplex": lambda c: c.measure(b=0.5),
    "pairs": lambda c: c.measure(singles=reach.TRIANGLE),
    "A.14": lambda c: c.measure(components.HIDDEN_RELEASED),
    "A.14-released": lambda c: c.measure(components.HIDDEN),
    "A.14-clock": lambda c: c.measure(ord=2),
    "6": lambda c: c.measure(depth.FREE, depth.REGULARIZED),
    "A.4": lambda c: c.measure(depth.FREE, depth.REGULARIZED),
    "A.7": lambda c: c.measure(depth.BY_PENALTY.replace(b=0.0)),
    "bound": lambda c: c.measure(depth.NONNEGATIVE, depth.BOUNDED),
    "kick": lambda c: c.measure((0.01,), cost=0.05),
    "decay": lambda c: c.measure(depth.COSTLESS, depth.COSTLY),
    "7": lambda c: c.measure(("forgetful", "flexible")),
    "7-digits": lambda c: c.measure(("forgetful", "flexible")),
    "7-scale": lambda c: c.measure(power=0.0),
    "7-fashion": lambda c: c.measure(("forgetful", "flexible")),
    "A.15": lambda c: c.measure(("forgetful", "flexible")),
    "fastest": lambda c: c.measure("forgetful"),
    "read-out": lambda c: c.measure("forgetful"),
    "labellings": lambda c: c.measure(rounds=1),
    "fine-tuned": lambda c: c.measure(kinds=(False, True)),
    "8B": lambda c: c.measure(cognition.FORGETFUL, cognition.PRACTISED),
    "8B-depth": lambda c: c.measure(cognition.PLAIN, cognition.LEARNER),
    "mixing": lambda c: c.measure(cognition.FORGETFUL, cognition.PRACTISED),
    "blocks": lambda c: c.measure(cognition.PLAIN, cognition.LEARNER),
    "similar": lambda c: c.measure(cognition.PLAIN),
    "runs": lambda c: c.measure(cognition.LEARNER.replace(tau_c=0.3)),
    "early-late": lambda c: c.measure(cognition.PLAIN),
    "learning-set": lambda c: c.measure(calm(problems.PROBLEMS).replace(tau_c=1.3)),
    "composing": lambda c: c.measure(calm(problems.PROBLEMS).replace(tau_c=1.3)),
    "reversal": lambda c: c.measure(problems.REVERSED_PLAIN, problems.REVERSED),
    "observer": lambda c: c.measure(speeds=observing.SPEEDS[4:]),
    "batch": lambda c: c.measure(batches=(1, 1)),
    "slow-gates": lambda c: c.measure(slower=(1.0, 2.0, 4.0, 8.0, 1.0, 1.0)),
    "scaffold": lambda c: c.measure(penalized=True),
    "predict-practice": lambda c: c.measure(predictions.SUBJECT.replace(order=(0, 0))),
    "predict-blocks": lambda c: c.measure(short=1.0, long=0.1),
    "predict-transfer": lambda c: c.measure(better="interleaved", worse="blocked"),
    "return-map": lambda c: c.measure(slower=3.0),
}


# Backwards: another worker judges the claims in their order, and each finds what the other has computed already.
@pytest.mark.parametrize("claim", [c for c in registry()[::-1] if c.figure != "2"], ids=lambda claim: claim.id)
def test_claim_fails_where_it_must(claim):
    """Each claim is false where what it rests on is taken away."""
    need(claim)
    assert not all(BREAKS[claim.id](claim).conditions.values())


@pytest.mark.parametrize("claim", registry("2"), ids=lambda claim: claim.id)
def test_claim_of_fig_2_fails_where_it_must(claim):
    """With the two networks exchanged every claim about their difference is false."""
    outcome = claim.measure(flexible=dynamics.FORGETFUL, forgetful=dynamics.FLEXIBLE)
    assert not all(outcome.conditions.values())


@pytest.mark.parametrize("broken", [{"b": 0.0}, {"tau_c": 1.3}])
def test_recovery_does_not_speed_up_without_the_bound_or_with_slow_gates(broken):
    outcome = dynamics.recovery.measure(flexible=dynamics.FLEXIBLE.replace(**broken))
    assert not all(outcome.conditions.values())
