"""Switch and mixing costs against closed forms and by hand."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib.analysis.theory import alternation_loss
from tests.examples import small


def decaying(heights, rates, floor=0.0, steps=400, dt=0.02):
    """Results whose loss decays exponentially in each block, from some height at some rate."""
    run = gl.simulate(small(curriculum=gl.Blocked(blocks=len(heights), block_length=steps * dt)), 2, (record.loss,))
    since = np.arange(steps) * dt
    loss = np.concatenate([floor + height * np.exp(-rate * since) for height, rate in zip(heights, rates, strict=True)])
    return run.assign(loss=run.loss.copy(data=np.tile(loss, (2, 1))))


@given(st.floats(0.1, 2.0), st.floats(5.0, 20.0), st.floats(0.0, 1.0))
def test_duration_of_a_decay_is_its_time_constant(height, rate, floor):
    # of a sum in steps of dt: dt / (1 - exp(-rate dt))
    results = decaying([height], [rate], floor)
    expected = 0.02 / (1 - np.exp(-rate * 0.02))
    np.testing.assert_allclose(metrics.switch_duration(results).values, expected, rtol=1e-3)
    np.testing.assert_allclose(metrics.switch_cost(results, steps=1).values, height, rtol=1e-3)


def test_the_whole_cost_is_depth_times_duration():
    results = decaying([0.5, 0.2, 0.8], [8.0, 3.0, 15.0])
    whole = metrics.switch_cost(results, steps=None) * 400 * 0.02
    product = metrics.switch_cost(results, steps=1) * metrics.switch_duration(results)
    np.testing.assert_allclose(whole, product, rtol=1e-4)


def test_a_block_that_begins_no_worse_than_it_ends_has_no_duration():
    assert np.isnan(metrics.switch_duration(decaying([-0.1], [5.0], floor=0.3)).values).all()


def test_post_switch_loss_is_the_loss_at_these_steps():
    results = gl.simulate(small(curriculum=gl.BlockSequence((0, 1, 0), (0.2, 0.1, 0.3))), 3, (record.loss,))
    after = metrics.post_switch_loss(results, steps=4)
    for block, start in enumerate(results.block_start.values):
        np.testing.assert_array_equal(
            after.isel(block=block).transpose("seed", "step_since"), results.loss[:, start : start + 5]
        )
    np.testing.assert_array_equal(after.sel(step_since=0), metrics.switch_loss(results))


def test_switch_costs_in_a_sweep_are_those_of_its_cells():
    grid = gl.sweep(small(), tau_c=[0.1, 0.3], seeds=2, record=(record.loss,))
    cost = metrics.switch_cost(grid)
    assert set(cost.dims) == {"tau_c", "seed", "block"}
    alone = metrics.switch_cost(gl.results.cell(grid, tau_c=0.3))
    np.testing.assert_array_equal(cost.sel(tau_c=0.3).transpose(*alone.dims), alone)


def test_mixing_cost_by_hand_and_of_a_run_with_itself():
    results = gl.simulate(small(), 3, (record.loss,))
    np.testing.assert_array_equal(metrics.mixing_cost(results, results), 0)
    worse = results.assign(loss=results.loss + xr.DataArray(np.arange(results.sizes["time"]), dims="time"))
    steps = int(results.block_stop[0])
    expected = [np.arange(start + 7, start + steps).mean() for start in results.block_start.values]
    np.testing.assert_allclose(metrics.mixing_cost(worse, results, skip=7).mean("seed"), expected, rtol=1e-6)


def test_the_last_blocks_are_those_of_the_end():
    results = gl.simulate(small(curriculum=gl.Blocked(blocks=4, block_length=0.2)), 3, (record.loss,))
    losses = metrics.end_loss(results)
    np.testing.assert_allclose(metrics.last(losses, 2), (losses[:, 2] + losses[:, 3]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(metrics.last(losses, 1), losses[:, 3])


def test_last_refuses_what_has_not_so_many_blocks():
    long, short = (
        metrics.end_loss(gl.simulate(small(curriculum=gl.Blocked(blocks=blocks, block_length=0.2)), 3, (record.loss,)))
        for blocks in (4, 3)
    )
    with pytest.raises(ValueError, match=r"^blocks = 5: there are only 4"):
        metrics.last(long, 5)
    with pytest.raises(ValueError, match=r"^blocks = 0: must be a whole number, 1 or above"):
        metrics.last(long, 0)
    with pytest.raises(ValueError, match=r"^dims of values = \('seed',\): must have block"):
        metrics.last(long.mean("block"), 1)
    side_by_side = xr.concat([long, short], "length", coords="different", compat="equals", join="outer")
    with pytest.raises(ValueError, match=r"^numbers of blocks = 'unequal'"):
        metrics.last(side_by_side, 2)


def test_blocks_that_are_too_short_have_no_number():
    results = gl.simulate(
        small(curriculum=gl.BlockSequence((0, 1, 0), (0.2, 0.06, 0.04))), 3, (record.loss,)
    )  # 10, 3, 2
    after = metrics.post_switch_loss(results, steps=4)
    assert np.isnan(after).any("seed").sum("step_since").values.tolist() == [0, 2, 3]
    assert np.isnan(metrics.switch_cost(results, 3)).any("seed").values.tolist() == [False, False, True]
    assert np.isnan(metrics.mixing_cost(results, results, skip=2)).any("seed").values.tolist() == [False, False, True]


def test_refusals():
    results = gl.simulate(small(), 2, (record.loss,))
    coarse = gl.simulate(small(), 2, (record.loss,), every=2)
    steps = int(results.block_stop[0])
    for call, part in (
        (lambda: metrics.post_switch_loss(coarse), "every = 2"),
        (lambda: metrics.post_switch_loss(results, steps), f"takes blocks of {steps + 1} steps"),
        (lambda: metrics.post_switch_loss(results, 0), "steps = 0"),
        (lambda: metrics.switch_cost(results, steps + 1), "Use fewer steps"),
        (lambda: metrics.mixing_cost(results, gl.simulate(small(), 3, (record.loss,))), "seeds of the single task"),
        (lambda: metrics.mixing_cost(coarse, coarse), "every = 2"),
        (lambda: metrics.mixing_cost(results, coarse), "times of the single task = .*must be those of the other run"),
        (lambda: metrics.mixing_cost(results, results, skip=steps), "skip"),
        (lambda: alternation_loss([1.0, 0.0], 0.1, 1.0, 0.01), "run_length"),
        (lambda: alternation_loss(1.0, 0.001, 1.0, 0.01), "gates overshoot"),
    ):
        with pytest.raises(ValueError, match=part):
            call()


@given(st.floats(0.01, 10.0), st.floats(0.05, 1.0), st.floats(0.2, 2.0))
def test_in_small_steps_alternation_has_its_limit(run, tau_c, distance):
    # never worse than the mean of the tasks, nor than a full switch for each run
    loss = float(alternation_loss(run, tau_c, distance, dt=1e-6))
    np.testing.assert_allclose(loss, tau_c / (2 * run) * np.tanh(distance**2 * run / (4 * tau_c)), rtol=1e-3)
    assert loss <= distance**2 / 8 * (1 + 1e-3)
    assert loss <= tau_c / (2 * run) * (1 + 1e-3)


@pytest.mark.parametrize("run", [0.01, 0.02, 0.2, 1.0])
def test_alternation_loss_is_that_of_a_network_whose_paths_are_the_tasks(run):
    experiment = small(
        dt=0.01,
        tau_w=np.inf,
        tau_c=0.05,
        penalties=(),
        curriculum=gl.Blocked(blocks=2 * round(4 / run), block_length=run),
    )
    teachers = np.asarray(experiment.draw(0)[0])
    start = gl.Params(teachers, np.array([1.0, 0.0]))
    results = gl.simulate(experiment, [0], (record.loss,), initial=start)
    late = float(results.loss.isel(time=slice(results.sizes["time"] // 2, None)).mean())
    expected = alternation_loss(run, 0.05, np.linalg.norm(teachers[0] - teachers[1]), dt=0.01)
    assert abs(late / expected - 1) < 1e-3
