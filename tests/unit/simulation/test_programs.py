"""What is compiled when: the numbers of an experiment, its length and its seeds never compile anything anew."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gatedlib as gl
from gatedlib._internal.numerics import random_key
from gatedlib.simulation import programs, simulate, subspace
from tests.examples import CONSTRAINTS, small

COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **__: COMPILED.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
)

INPUTS = [gl.Population(), gl.Sampled(20), gl.Noisy(3, 0.2)]


@contextlib.contextmanager
def compiling(programs):
    """So many programs are compiled here, or found among those that were compiled before."""
    before = len(COMPILED)
    yield
    assert len(COMPILED) - before == programs


@pytest.mark.parametrize("inputs", INPUTS)
def test_nothing_is_compiled_for_another_number(inputs):
    experiment = small(inputs=inputs)
    first = gl.simulate(experiment, seeds=2)
    again = gl.results.final_params(first)
    other = gl.Params(1.1 * again.weights, again.gates)
    gl.simulate(experiment, seeds=2, initial=again)
    with compiling(0):
        gl.simulate(experiment.replace(blocks=7), seeds=2)  # another length
        gl.simulate(experiment.replace(block_length=0.4), seeds=2, every=5)
        gl.simulate(experiment.replace(blocks=400), seeds=2, every=100)  # more than a chunk
        gl.simulate(experiment.replace(curriculum=gl.RandomSwitches(2.0)), seeds=2)  # another plan
        gl.simulate(experiment.replace(tau_c=0.2, tau_w=1.0, dt=0.01, b=0.5, weight_scale=0.1), seeds=2)
        gl.simulate(experiment, seeds=[5, 2**31 - 1])
        gl.simulate(experiment, seeds=2, initial=other, start=100)


def test_a_new_penalty_and_a_new_quantity_compile_one_program_each():
    gl.simulate(small(), seeds=2)
    with compiling(1):
        gl.simulate(small(penalties=(*CONSTRAINTS, gl.Scaled(0.5, CONSTRAINTS))), seeds=2)

    @gl.record.quantity("path")
    def largest(frame):
        return jnp.abs(frame.params.weights).max((1, 2))

    with compiling(1):
        gl.simulate(small(), seeds=2, record=(gl.record.loss, largest))


def test_cells_of_other_durations_share_their_programs():
    experiment = small()
    record = {"seeds": 2, "record": (gl.record.loss,), "measure": gl.metrics.end_loss}
    gl.sweep(experiment, tau_c=[0.1, 0.2], block_length=[1.0], **record)
    with compiling(0):
        gl.sweep(experiment, tau_c=[0.1, 0.2], block_length=[0.5, 2.0, 30.0], **record)


@pytest.mark.parametrize("inputs", INPUTS)
def test_a_sweep_runs_the_programs_of_a_single_run(inputs):
    experiment = small(inputs=inputs)
    gl.simulate(experiment, seeds=2)
    with compiling(0):
        gl.sweep(experiment, tau_c=[0.2], seeds=2)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("every", [1, 7, 700])
def test_chunks_change_nothing(monkeypatch, inputs, every):
    """Frames that end with a chunk, begin within one, or are longer than one."""
    experiment = small(inputs=inputs, blocks=28)
    whole = gl.simulate(experiment, seeds=2, every=every)
    for most in (8, 64):
        monkeypatch.setattr(simulate, "CHUNKS", (8, most, most))
        cut = gl.simulate(experiment, seeds=2, every=every)
        for name in whole.data_vars:
            np.testing.assert_allclose(cut[name], whole[name], atol=2e-6, err_msg=name)


def test_a_run_that_diverges_ends_with_the_chunk_in_which_it_does(monkeypatch):
    monkeypatch.setattr(simulate, "CHUNKS", (8, 8, 8))
    chunks, learn = [], programs.learn
    monkeypatch.setattr(programs, "learn", lambda *args: chunks.append(args) or learn(*args))
    with pytest.raises(gl.DivergenceError) as refusal:
        gl.simulate(small(tau_w=0.003, tau_c=0.003, b=0.0, blocks=100), seeds=2)
    step = int(str(refusal.value).split("(step ")[1].split(",")[0])
    assert len(chunks) <= step // 8 + 3  # one may be noticed in the chunk after, while the next one is begun


def test_the_generator_is_that_of_jax_bit_for_bit():
    ours = random_key(7)
    with jax.threefry_partitionable(True):
        theirs = jax.random.wrap_key_data(jax.random.key_data(ours), impl="threefry2x32")
        for draw in (
            lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
            lambda key: jax.random.key_data(jax.random.fold_in(key, 12345)),
            lambda key: jax.random.normal(key, (7, 3)),
            lambda key: jax.random.uniform(key),
            lambda key: jax.random.randint(key, (9,), 0, 77, jnp.int32),
            lambda key: jax.random.permutation(key, 20),
            *(lambda key, kind=kind: jax.random.bits(key, (5,), kind) for kind in ("uint8", "uint16", "uint32")),
        ):
            np.testing.assert_array_equal(draw(ours), draw(theirs))
        with jax.enable_x64(True):
            np.testing.assert_array_equal(*(jax.random.normal(key, (5,), float) for key in (ours, theirs)))


def test_inner_products_are_the_same_from_coordinates_and_from_weights(x64):
    """The Gram matrices of the basis, against whole matrices."""
    del x64
    rng = np.random.default_rng(0)
    teachers = rng.normal(size=(3, 4, 5))
    params = gl.Params(rng.normal(size=(2, 4, 5)), rng.uniform(size=2))
    targets, inside, space = subspace.project(jnp.asarray(teachers), params)
    moved = gl.Params(inside.weights + 0.1 * rng.normal(size=inside.weights.shape), inside.gates)
    rest = (inside, jnp.zeros(()), jnp.int32(0), jnp.asarray(teachers), gl.GatedLinear(2), gl.Population(), None)
    quick = gl.record.Frame(moved, *rest, space)
    slow = gl.record.Frame(space.full_params(moved), space.full_velocity(inside), *rest[1:])
    for name in ("row_products", "weight_lengths", "teacher_row_products"):
        np.testing.assert_allclose(getattr(quick, name)(), getattr(slow, name)(), atol=1e-12, err_msg=name)
    for name, value in gl.record.evaluate(gl.record.DEFAULT, quick).items():
        np.testing.assert_allclose(value, gl.record.evaluate(gl.record.DEFAULT, slow)[name], atol=1e-12, err_msg=name)
    np.testing.assert_allclose(jnp.einsum("mxk,kij->mij", targets, space.basis), teachers, atol=1e-12)
