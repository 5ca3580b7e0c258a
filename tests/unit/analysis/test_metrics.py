"""Metrics on data made by hand, and against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import gatedlib as gl
from gatedlib import metrics
from gatedlib.analysis.matching import best_assignment
from tests.examples import by_hand


def handmade(losses, **variables):
    """Results of one seed with two blocks of four steps of 0.5, and teachers for whom no answer costs 8."""
    teachers = ("task", "out", "in"), np.full((variables.pop("tasks", 2), 1, 4), 2.0)
    data = {"loss": (("time",), np.array(losses, float)), "teachers": teachers, **variables}
    coordinates = {
        "step": ("time", np.arange(8)),
        "time": np.arange(8) * 0.5,
        "active_task": ("time", np.repeat([0, 1], 4)),
        "block": [1, 2],
        "block_start": ("block", [0, 4]),
        "block_stop": ("block", [4, 8]),
        "block_task": ("block", [0, 1]),
    }
    return by_hand(data, steps=8, coordinates=coordinates)


def test_time_to_criterion():
    # met at the third step and lost again; never met, so the block's length
    results = handmade([1.0, 0.5, 0.05, 0.5, 1.0, 1.0, 0.2, 0.1])
    np.testing.assert_allclose(metrics.time_to_criterion(results, theta=0.1).sel(seed=0), [1.0, 2.0])
    np.testing.assert_allclose(metrics.time_to_criterion(results, theta=2.0).sel(seed=0), [0.0, 0.0])
    np.testing.assert_allclose(metrics.time_to_criterion(results, theta=0.11).sel(seed=0), [1.0, 1.5])


def test_losses_at_the_switch_and_at_the_end():
    results = handmade([4.0, 3.0, 2.0, 1.0, 8.0, 7.0, 6.0, 5.0])
    np.testing.assert_allclose(metrics.switch_loss(results).sel(seed=0), [4, 8])
    np.testing.assert_allclose(metrics.end_loss(results).sel(seed=0), [1, 5])
    np.testing.assert_allclose(metrics.end_of_block(results.loss, results, 0.5).sel(seed=0), [1.5, 5.5])


def aligned(scores):
    """Results of one seed with constant alignments of the given shape (task, path)."""
    constant = np.broadcast_to(np.asarray(scores, float), (8, *np.shape(scores)))
    gates = ("time", "path"), np.zeros((8, constant.shape[2]))
    return handmade(np.ones(8), tasks=len(scores), alignment=(("time", "task", "path"), constant), gates=gates)


@settings(max_examples=50)
@given(tasks=st.integers(1, 4), paths=st.integers(1, 4), seed=st.integers(0, 999))
def test_matching_is_the_best_of_all_assignments(tasks, paths, seed):
    scores = np.random.default_rng(seed).uniform(-1, 1, (tasks, paths))
    results = aligned(scores)
    chosen = metrics.matching(results).values[0]
    pairs = [(task, path) for task, path in enumerate(chosen) if path >= 0]
    assert len({path for _, path in pairs}) == len(pairs) == min(tasks, paths)
    if tasks <= paths:
        best = max(sum(scores[range(tasks), p]) for p in itertools.permutations(range(paths), tasks))
    else:
        best = max(sum(scores[t, range(paths)]) for t in itertools.permutations(range(tasks), paths))
    np.testing.assert_allclose(sum(scores[pair] for pair in pairs), best)
    np.testing.assert_allclose(metrics.alignment_matched(results), best / len(pairs))
    if scores.size > len(pairs):
        np.testing.assert_allclose(
            metrics.alignment_crossed(results), (scores.sum() - best) / (scores.size - len(pairs))
        )


def test_matching_survives_a_three_cycle():
    # paths 1, 2, 0 serve tasks 0, 1, 2: swapping pairs greedily would not find it
    cycle = [[0.1, 0.9, 0.2], [0.2, 0.1, 0.9], [0.9, 0.2, 0.1]]
    np.testing.assert_array_equal(metrics.matching(aligned(cycle)).values, [[1, 2, 0]])


def test_gates_on_and_off_follow_the_task():
    results = aligned([[0.0, 1.0], [1.0, 0.0]])  # path 1 serves task 0
    gates = np.zeros((1, 8, 2))
    gates[:, :4, 1] = 0.9
    gates[:, 4:, 0] = 0.8
    gates[:, 4:, 1] = 0.3
    results["gates"] = (("seed", "time", "path"), gates)
    np.testing.assert_allclose(metrics.gate_on(results).values[0], np.repeat([0.9, 0.8], 4))
    np.testing.assert_allclose(metrics.gate_off(results).values[0], np.repeat([0.0, 0.3], 4))


@pytest.fixture(scope="module")
def trained():
    experiment = gl.Experiment(
        gl.Orthogonal(tasks=3, d_in=12, d_out=3),
        gl.GatedLinear(paths=3, weight_scale=0.3),
        gl.Blocked(blocks=3, order=(0, 1, 2)),
        gl.Flow(tau_w=0.5, tau_c=0.1, dt=0.02),
    )
    return gl.simulate(experiment, seeds=4, record=(*gl.record.DEFAULT, gl.record.weights))


def test_recorded_alignment_is_the_row_cosine(trained):
    late = trained.isel(time=-1)
    for seed, task, path in itertools.product(range(4), range(3), range(3)):
        teacher, student = late.teachers.values[seed, task], late.weights.values[seed, path]
        cosines = [t @ s / np.sqrt((t @ t) * (s @ s)) for t, s in zip(teacher, student, strict=True)]
        np.testing.assert_allclose(late.alignment.values[seed, task, path], np.mean(cosines), atol=1e-5)


def test_specialization_is_the_distance_of_paths_over_that_of_teachers(trained):
    def spread(matrices):
        pairs = itertools.combinations(matrices, 2)
        return np.mean([((first - second) ** 2).sum() for first, second in pairs])

    got = metrics.specialization(trained).isel(time=-1)
    for seed in range(4):
        expected = spread(trained.weights.values[seed, -1]) / spread(trained.teachers.values[seed])
        np.testing.assert_allclose(got[seed], expected, rtol=1e-4)


def test_total_alignment_is_one_for_perfect_students_in_any_order(trained):
    perfect = trained.assign(final_weights=(("seed", "path", "out", "in"), 2 * trained.teachers.values[:, [1, 2, 0]]))
    scores = np.broadcast_to(np.eye(3)[:, [1, 2, 0]], trained.alignment.shape)
    perfect = perfect.assign(alignment=(trained.alignment.dims, scores))
    np.testing.assert_allclose(metrics.total_alignment(perfect), 1.0, rtol=1e-5)
    assert (metrics.total_alignment(trained) < 1).all()


def test_a_record_that_misses_switches_is_refused():
    experiment = gl.Experiment(
        gl.Orthogonal(), gl.GatedLinear(), gl.BlockSequence((0, 1), (0.5, 1.5)), gl.Flow(1.3, 0.03, dt=0.1)
    )
    with pytest.raises(ValueError, match=r"every = 2: there must be a frame at the first step of each block"):
        metrics.switch_loss(gl.simulate(experiment, seeds=1, every=2))


def test_a_metric_says_which_quantity_it_misses():
    with pytest.raises(ValueError, match="must include 'alignment'"):
        metrics.matching(handmade(np.ones(8)))


@pytest.mark.parametrize(
    ("module", "old", "new"), [(metrics, "task_read", "decoded_task"), (gl.theory, "spreading", "gate_divergence")]
)
def test_an_old_name_says_the_new_one(module, old, new):
    with pytest.raises(AttributeError, match=f"{old} is now called {new}"):
        getattr(module, old)
    assert callable(getattr(module, new))


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_assignments_are_those_of_scipy(seed, rows, columns):
    scores = np.random.default_rng(seed).normal(size=(3, rows, columns))
    for matrix, found in zip(scores, best_assignment(scores), strict=True):
        expected = np.full(rows, -1)
        assigned, to = linear_sum_assignment(matrix, maximize=True)
        expected[assigned] = to
        np.testing.assert_array_equal(found, expected)
