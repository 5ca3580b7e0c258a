import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gatedlib as gl

BLOCKS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), min_size=1, max_size=12)


@given(blocks=BLOCKS, dt=st.sampled_from([1e-3, 0.01, 0.03, 0.1, 1 / 3]))
def test_the_table_and_the_array_say_the_same(blocks, dt):
    tasks, steps = zip(*blocks, strict=True)
    plan = gl.Schedule.of_blocks(tasks, [count * dt for count in steps], dt)
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
        gl.Schedule.of_blocks([0], [length], dt)
    named = str(refusal.value).split("Use ")[1].split(",")[0].split(" or ")
    nearest = [float(text) for text in named]
    for candidate in nearest:
        gl.Schedule.of_blocks([0], [candidate], dt)
    assert min(abs(candidate - length) for candidate in nearest) <= max(dt / 2, dt - length) * 1.001


@given(steps=st.integers(1, 60), length=st.integers(1, 20), tasks=st.integers(1, 4))
def test_blocks_of_a_fixed_duration_fill_it_exactly(steps, length, tasks):
    plan = gl.Blocked(duration=steps * 0.1, block_length=length * 0.1, order=range(tasks)).schedule(0.1)
    assert len(plan.tasks) == steps
    lengths = plan.stop - plan.start
    assert (lengths[:-1] == length).all()
    assert 1 <= lengths[-1] <= length
    np.testing.assert_array_equal(plan.block_tasks, np.arange(len(plan.start)) % tasks)
    np.testing.assert_array_equal(np.repeat(plan.block_tasks, lengths), plan.tasks)


def test_blocked_alone_is_the_paper_s_twenty_blocks():
    assert len(gl.Blocked().schedule(0.1).start) == 20


@given(mean_length=st.integers(1, 50), tasks=st.integers(2, 5), draw=st.integers(0, 999))
def test_random_switches_always_change_the_task(mean_length, tasks, draw):
    plan = gl.RandomSwitches(500.0, float(mean_length), tasks, draw).schedule(1.0)
    assert plan.start[0] == 0
    assert plan.stop[-1] == len(plan.tasks) == 500
    assert set(plan.tasks) <= set(range(tasks))
    assert (np.diff(plan.block_tasks) != 0).all()
    np.testing.assert_array_equal(np.repeat(plan.block_tasks, plan.stop - plan.start), plan.tasks)


def test_random_blocks_are_geometric():
    # 200 000 steps of hazard 1/20: lengths have mean 20, standard deviation 19.5, and are memoryless
    lengths = np.diff(gl.RandomSwitches(200_000.0, 20.0, tasks=3, draw=1).schedule(1.0).start)
    assert abs(lengths.mean() - 20) < 5 * 19.5 / np.sqrt(len(lengths))
    for age in (1, 10, 30):
        left = lengths[lengths > age] - age
        assert abs(left.mean() - 20) < 5 * 19.5 / np.sqrt(len(left))


def test_random_switches_go_to_all_other_tasks_alike():
    tasks = gl.RandomSwitches(50_000.0, 2.0, tasks=4, draw=2).schedule(1.0).block_tasks
    jumps = np.bincount(np.diff(tasks) % 4, minlength=4)
    assert jumps[0] == 0
    assert (abs(jumps[1:] - jumps.sum() / 3) < 5 * np.sqrt(jumps.sum() * 2 / 9)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: gl.Schedule.of_blocks([0, 1, 0], [1.0, 1.0], 1.0),
            "number of lengths = 2: must be the number",
        ),
        (lambda: gl.Schedule.of_blocks([], [], 1.0), "must name at least one task"),
        (lambda: gl.Schedule.of_blocks([0], [-3.0], 1.0), "length = -3.0: must be a number above 0"),
        (lambda: gl.Schedule.of_blocks([0.5], [1.0], 1.0), "task in tasks = 0.5: must be a whole number"),
        (lambda: gl.Schedule.of_tasks([]), "must be whole numbers from 0 on, one for every step"),
        (lambda: gl.Schedule.of_tasks([0, -1]), "must be whole numbers from 0 on"),
        (lambda: gl.Schedule.of_tasks([0.0, 1.0]), "must be whole numbers from 0 on"),
    ],
)
def test_schedules_that_are_none_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
