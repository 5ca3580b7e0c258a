import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib.curricula import schedule

BLOCKS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), min_size=1, max_size=12)


@given(blocks=BLOCKS, dt=st.sampled_from([1e-3, 0.01, 0.03, 0.1, 1 / 3]))
def test_the_table_and_the_array_say_the_same(blocks, dt):
    tasks, steps = zip(*blocks, strict=True)
    plan = schedule(tasks, [count * dt for count in steps], dt)
    assert len(plan.tasks) == sum(steps)
    assert plan.start[0] == 0
    assert plan.stop[-1] == len(plan.tasks)
    np.testing.assert_array_equal(plan.start[1:], plan.stop[:-1])
    for start, stop, task, count in zip(plan.start, plan.stop, tasks, steps, strict=True):
        assert stop - start == count
        assert (plan.tasks[start:stop] == task).all()


def test_a_time_unit_holds_exactly_a_thousand_steps():
    # 1.0 // 1e-3 is 999: the released code loses a step in every block
    assert len(gl.Blocked(blocks=20, block_length=1.0).schedule(1e-3).tasks) == 20_000


def test_blocked_goes_round_in_order():
    plan = gl.Blocked(blocks=5, block_length=1.0, order=(0, 2, 1)).schedule(1.0)
    np.testing.assert_array_equal(plan.tasks, [0, 2, 1, 0, 2])


@pytest.mark.parametrize(("length", "dt"), [(1.0, 0.03), (0.25, 0.1), (0.05, 0.1), (1.0005, 1e-3)])
def test_a_refused_block_names_lengths_that_are_accepted(length, dt):
    with pytest.raises(ValueError, match="whole number of steps") as refusal:
        schedule([0], [length], dt)
    named = str(refusal.value).split("Use ")[1].split(",")[0].split(" or ")
    nearest = [float(text) for text in named]
    for candidate in nearest:
        schedule([0], [candidate], dt)
    assert min(abs(candidate - length) for candidate in nearest) <= max(dt / 2, dt - length) * 1.001
