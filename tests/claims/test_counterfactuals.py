"""Claims have teeth: each is false where what it rests on is taken away."""

import pytest

from gatedlib_book import dynamics, experiments
from gatedlib_book.claims import registry
from tests.examples import need

pytestmark = [pytest.mark.slow, pytest.mark.claims]


# Backwards: another worker judges the claims in their order, and each finds what the other has computed already.
@pytest.mark.parametrize("claim", registry()[::-1], ids=lambda claim: claim.id)
def test_claim_fails_where_it_must(claim):
    """Each claim is false where what it rests on is taken away."""
    need(claim)
    assert claim.counterfactual
    assert not all(claim.outcome(**claim.counterfactual).conditions.values())


@pytest.mark.parametrize("broken", [{"b": 0.0}, {"tau_c": 1.3}])
def test_recovery_does_not_speed_up_without_the_bound_or_with_slow_gates(broken):
    outcome = dynamics.recovery.outcome(flexible=experiments.FLEXIBLE.replace(**broken))
    assert not all(outcome.conditions.values())
