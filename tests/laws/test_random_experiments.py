"""Whatever is put together, it runs to finite numbers or is refused in our words; it never gives nan."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl

pytestmark = pytest.mark.slow

ODD = (0, -1.0, 0.5, 3, 10**4, math.inf, math.nan, None, "fast", True)
"""What may stand where a number is wanted."""


OURS = re.compile(r"[^=]+ = .+: .+\. .+[.?]", re.DOTALL)
"""What was passed, the rule, the remedy."""


def mostly(usual):
    """A usual value nearly always, or something odd."""
    return st.integers(0, 39).flatmap(lambda n: st.sampled_from(ODD) if n == 23 else usual)


def rates(low=-3.0, high=1.0):
    """Time constants and strengths over many orders of magnitude."""
    return mostly(st.floats(low, high).map(lambda power: 10.0**power))


def made(kind, **settings):
    """How to make something, for a later try: making it may be refused."""
    return st.fixed_dictionaries(settings).map(lambda chosen: lambda: kind(**chosen))


SIZES = st.sampled_from([(2, 2, 6), (3, 2, 6), (2, 1, 2), (2, 3, 6)])
TEACHERS = SIZES.flatmap(
    lambda size: st.sampled_from(
        [
            lambda: gl.Orthogonal(*(size[0], size[2], size[1])),
            lambda: gl.Correlated(*(size[0], size[2], size[1]), correlation=0.5),
            lambda: gl.Spectral(values=(1.0, 0.5), tasks=size[0], d_in=size[2], d_out=size[1]),
            lambda: gl.Given(np.ones(size)),
            lambda: gl.Sums(gl.Orthogonal(*(size[0], size[2], size[1])), [(0.5,) * size[0]]),
            lambda: gl.Given(np.full(size, 1e18)),
        ]
    )
)
NETWORKS = st.one_of(
    made(gl.GatedLinear, paths=mostly(st.sampled_from([1, 2, 3])), weight_scale=rates(-2.0, 1.0)),
    made(gl.NeuronGated, paths=mostly(st.just(2))),
    made(gl.TwoLayer, hidden=mostly(st.sampled_from([1, 4]))),
)
CURRICULA = st.one_of(
    made(gl.Blocked, blocks=mostly(st.sampled_from([1, 4])), block_length=mostly(st.sampled_from([0.1, 0.4, 0.05]))),
    made(gl.BlockSequence, tasks=st.sampled_from([(0, 1), (1, 0, 7)]), lengths=st.sampled_from([(0.4, 0.2), (1.0,)])),
    made(gl.RandomSwitches, duration=mostly(st.just(0.8)), mean_length=rates(-1.0, 0.0)),
)
PENALTIES = st.lists(
    st.one_of(
        made(gl.Nonnegative, a=rates()),
        made(gl.UnitNorm, b=rates(), ord=mostly(st.sampled_from([1, 2]))),
        made(gl.WeightCost, column_cost=rates()),
        made(gl.WeightDecay, weight_decay=rates()),
    ),
    max_size=3,
)
INPUTS = st.one_of(
    made(gl.Population),
    made(gl.Sampled, batch=mostly(st.sampled_from([1, 20]))),
    made(gl.Noisy, batch=st.just(2), noise=rates()),
)
STEPS, FRAMES = mostly(st.sampled_from([0.01, 0.05])), mostly(st.sampled_from([1, 2]))


def attempt(teachers, network, curriculum, penalties, inputs, tau_w, tau_c, dt, every):
    """Put an experiment together and run it; say how that ended."""
    try:
        flow = gl.Flow(tau_w, tau_c, dt, tuple(penalty() for penalty in penalties), inputs())
        experiment = gl.Experiment(teachers(), network(), curriculum(), flow)
        if len(experiment.schedule().tasks) > 10**5:
            return "long"
        results = gl.simulate(experiment, 2, every=every)
    except gl.DivergenceError as refusal:
        assert "Reduce dt" in str(refusal)  # noqa: PT017
        return "diverged"
    except ValueError as refusal:
        assert OURS.fullmatch(str(refusal)), refusal  # noqa: PT017
        return "refused"
    for name, values in results.data_vars.items():
        assert np.isfinite(values).all(), name
    return "ran"


def test_random_experiments_run_or_are_refused():
    ends = Counter()

    @settings(max_examples=60)
    @given(st.tuples(TEACHERS, NETWORKS, CURRICULA, PENALTIES, INPUTS, rates(), rates(), STEPS, FRAMES))
    def attempts(parts):
        ends[attempt(*parts)] += 1

    attempts()
    assert ends["ran"] >= 10
    assert ends["refused"] >= 10
