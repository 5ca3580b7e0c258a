"""The model of the pages is the library's: whole trajectories, metrics and formulas, from the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gatedlib as gl
from gatedlib import metrics, observer, record, theory
from gatedlib.view.explorers.explorer import coordinates, flow_of, joined
from gatedlib_book.experiments import FLEXIBLE

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture(scope="module")
def model(browser):
    """The functions of the model in a page, called by their names."""
    page = browser.new_page()
    exported = """async source => {
        const names = [...source.matchAll(/^function (\\w+)/gm)].map(found => found[1])
        const module = new Blob([source, `export { ${names} }`], { type: 'text/javascript' })
        const all = { ...await import(URL.createObjectURL(module)) }
        all.learnSeen = (start, flow, tasks, seen) => {
            const width = start.targets[0][0].length
            const sample = t => ({ x: seen[t].slice(0, width), noise: seen[t].slice(width) })
            const run = all.learnSamples(start, flow, tasks, sample)
            const series = [run.gates, run.teacherLosses].map(each => each.map(one => [...one]))
            return [[...run.loss], [...run.clean], ...series, run.weights]
        }
        all.observed = (losses, noise, hazard) => all.posterior(losses, noise, hazard).map(each => [...each])
        all.readOff = (start, flow, tasks) => {
            const run = all.learn(start, flow, tasks, true)
            const times = all.recoveries(run.loss, tasks, flow.dt)
            return [times, all.alignment(start, run.final), [...all.invariant(run, flow)]]
        }
        window.model = all
    }"""
    page.evaluate(exported, joined("model.js"))

    def call(name, *given, then="result => result"):
        return page.evaluate(f"([name, given]) => ({then})(window.model[name](...given))", [name, list(given)])

    yield call
    page.close()


def plain(values):
    return np.asarray(values, float).tolist()


def rows(teachers, params):
    """The coordinates of each output by itself, where each has gates of its own."""
    parts = [
        coordinates(teachers[:, i : i + 1], gl.Params(params.weights[:, i : i + 1], params.gates[:, i]))
        for i in range(teachers.shape[1])
    ]
    return {name: plain(np.concatenate([part[name] for part in parts], 1)) for name in ("targets", "weights", "gates")}


def begun(experiment, seed):
    """What a seed draws, and the experiment with these very teachers: `simulate` draws them up to rounding."""
    teachers, params = experiment.draw(seed)
    return teachers, params, experiment.replace(teachers=gl.Given(np.asarray(teachers)))


def curriculum(random, tasks, dt):
    """One of each kind: in turn, unequal, at random moments, interleaved."""
    steps = int(random.integers(1, 40))
    return [
        gl.Blocked(duration=300 * dt, block_length=steps * dt, order=tuple(range(tasks))),
        gl.BlockSequence(random.integers(0, tasks, 6), random.integers(1, 60, 6) * dt),
        gl.RandomSwitches(duration=300 * dt, mean_length=20 * dt, tasks=tasks, draw=int(random.integers(9))),
        gl.Blocked(duration=300 * dt, block_length=dt, order=tuple(range(tasks))),
    ][int(random.integers(4))]


def drawn(random, kind):
    """An experiment at random: sizes, speeds, penalties, schedule."""
    tasks, paths, dt = int(random.integers(2, 4)), int(random.integers(1, 4)), 0.01
    b, a, order = random.uniform(0, 1.5), random.uniform(0, 0.5), int(random.integers(1, 3))
    per_neuron = kind == "neurons" and bool(random.integers(2))
    penalties = (gl.Nonnegative(a), gl.UnitNorm(b, ord=order, per_neuron=per_neuron))
    network = {
        "paths": gl.GatedLinear(paths=paths, weight_scale=0.3, gate_spread=0.3),
        "neurons": gl.NeuronGated(paths=paths, weight_scale=0.3, gate_spread=0.3),
        "hidden": gl.TwoLayer(hidden=6, weight_scale=0.3, gate_spread=0.3),
    }[kind]
    if kind == "hidden":
        penalties = (*penalties, gl.WeightDecay(random.uniform(0, 0.1)))
    flow = gl.Flow(random.uniform(0.1, 2), random.uniform(0.1, 1), dt, penalties)
    return gl.Experiment(gl.Orthogonal(tasks, d_in=9, d_out=3), network, curriculum(random, tasks, dt), flow)


@pytest.mark.parametrize("kind", ["paths", "neurons"])
def test_paths_learn_as_in_the_library(model, kind):
    random = np.random.default_rng(0)
    for draw in range(20):
        experiment = drawn(random, kind)
        (penalty,) = (p for p in experiment.flow.penalties if isinstance(p, gl.UnitNorm))
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            start = (coordinates if kind == "paths" else rows)(teachers, params)
            results = gl.simulate(same, [draw], (record.loss, record.gates), initial=params).isel(seed=0)
        flow = {**flow_of(experiment), "per_neuron": penalty.per_neuron}
        tasks = results.active_task.values.tolist()
        ours = model(
            "learn", start, flow, tasks, True, then="r => [[...r.loss], r.gates.map(g => [...g]), [...r.final]]"
        )
        assert np.ptp(results.loss.values) > 0, draw
        np.testing.assert_allclose(ours[0], results.loss, **CLOSE, err_msg=str(draw))
        gates = results.gates.values.reshape(len(tasks), -1).T
        np.testing.assert_allclose(ours[1], gates, **CLOSE, err_msg=str(draw))
        size = np.shape(start["weights"])
        final = np.reshape(ours[2][: np.prod(size)], size)
        products = np.einsum("prd,qrd->pq", final, final)
        whole = results.final_weights.values
        np.testing.assert_allclose(products, np.einsum("pij,qij->pq", whole, whole), **CLOSE, err_msg=str(draw))


def test_two_layers_learn_as_in_the_library(model):
    random = np.random.default_rng(1)
    for draw in range(20):
        experiment = drawn(random, "hidden")
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            results = gl.simulate(same, [draw], (record.loss, record.gates), initial=params).isel(seed=0)
        start = {"targets": plain(teachers), "weights": plain(params.weights), "gates": plain(params.gates)}
        tasks = results.active_task.values.tolist()
        frames = [0, len(tasks) // 2, len(tasks)]
        then = "r => [[...r.loss], r.frames]"
        loss, layers = model("learnTwoLayers", start, flow_of(experiment), tasks, frames, then=then)
        np.testing.assert_allclose(loss, results.loss, **CLOSE, err_msg=str(draw))
        expected = [results.gates[0], results.gates[frames[1]], results.final_gates]
        np.testing.assert_allclose(layers, expected, **CLOSE, err_msg=str(draw))


@record.quantity("number")
def sample(frame):
    """What a step of one noisy sample sees: the input, then the noise."""
    factor, noise, _ = frame.batch
    return jnp.concatenate([factor[:, 0], noise[:, 0]])


def test_single_samples_are_learned_as_in_the_library_and_the_observer_is_the_same(model):
    """From the very samples that the library draws."""
    random = np.random.default_rng(2)
    kept = (record.loss, record.gates, record.population_loss, record.teacher_losses, sample)
    for draw in range(20):
        dt, noise = 0.01, random.uniform(0.1, 1)
        penalties = (gl.Nonnegative(random.uniform(0, 0.5)), gl.UnitNorm(random.uniform(0, 1.5)))
        flow = gl.Flow(random.uniform(0.3, 2), random.uniform(0.1, 1), dt, penalties, gl.Noisy(1, noise))
        network = gl.GatedLinear(paths=2, weight_scale=0.3)
        experiment = gl.Experiment(gl.Orthogonal(2, d_in=9, d_out=3), network, curriculum(random, 2, dt), flow)
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            results = gl.simulate(same, [draw], kept, initial=params)
        one = results.isel(seed=0)
        start = {"targets": plain(teachers), "weights": plain(params.weights), "gates": plain(params.gates)}
        given = start, flow_of(experiment), one.active_task.values.tolist(), plain(one["sample"])
        names = ("loss", "clean", "gates", "teacherLosses", "weights")
        ours = dict(zip(names, model("learnSeen", *given), strict=True))
        for name, theirs in (
            ("loss", one.loss),
            ("clean", one.population_loss),
            ("gates", np.append(one.gates, one.final_gates.values[None], 0).T),
            ("teacherLosses", one.teacher_losses.transpose("task", "time")),
            ("weights", one.final_weights.values.reshape(2, -1)),
        ):
            np.testing.assert_allclose(ours[name], theirs, **CLOSE, err_msg=f"{name} {draw}")
        belief = model("observed", ours["teacherLosses"], noise, 0.02)
        np.testing.assert_allclose(belief, observer.posterior(results, 0.02)[0].transpose("task", "time"), **CLOSE)


def test_what_is_read_off_a_run_is_what_the_library_reads_off(model):
    random = np.random.default_rng(3)
    for draw in range(20):
        length = float(random.choice([0.2, 0.5, 1.0, 2.0]))
        experiment = FLEXIBLE.replace(
            inputs=gl.Population(), tau_c=float(random.uniform(0.02, 0.3)), block_length=length, blocks=8, dt=2e-3
        )
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            start = coordinates(teachers, params)
            kept = (record.loss, record.gates, record.alignment, record.weight_products)
            results = gl.simulate(same, [draw], kept, initial=params)
        flow, tasks = flow_of(experiment), results.active_task.values.tolist()
        times, found, conserved = model("readOff", start, flow, tasks)
        np.testing.assert_allclose(times, metrics.time_to_criterion(results)[0], **CLOSE)
        np.testing.assert_allclose(
            conserved, gl.reduction.pair_invariant(results)[0, :, 0, 1] / flow["tau_c"], atol=1e-5
        )
        if found["order"] == metrics.matching(results)[0].values.tolist():  # at the end, and over the last tenth
            np.testing.assert_allclose(found["cosine"], metrics.total_alignment(results)[0], **CLOSE)
        assert found["cosine"] == pytest.approx(float(metrics.total_alignment(results)[0]), abs=0.05)


def test_the_formulas_of_the_border_are_the_librarys(model):
    random = np.random.default_rng(4)
    for draw in range(20):
        experiment = FLEXIBLE.replace(tau_w=float(random.uniform(0.1, 3)), gate_spread=0.01, gate_init=0.5)
        tau_w, tau_c = float(experiment.flow.tau_w), float(random.uniform(0.01, 0.3))
        blocks, length, last = int(random.integers(2, 9)), *random.uniform(0.1, 2, 2).tolist()
        with jax.enable_x64(True):
            teachers, params = experiment.draw(draw)
            start = coordinates(teachers, params)
        apart = np.subtract(*(np.asarray(path[0][:2]) for path in start["weights"]))
        middle = np.mean([path[0][:2] for path in start["weights"]], 0)
        targets = np.array([task[0][:2] for task in start["targets"]])
        gates = float(np.subtract(*np.ravel(start["gates"])))
        order, lengths = [n % 2 for n in range(blocks)], [length] * (blocks - 1) + [last]
        expected = theory.gate_divergence(targets, order, lengths, tau_w, tau_c, apart, middle, gates).max()
        ours = model("spreading", start, {"tau_w": tau_w, "tau_c": tau_c}, length, blocks, last)
        assert ours == pytest.approx(float(expected), rel=1e-6)
        distance = float(np.linalg.norm(targets[0] - targets[1]))
        for spread in (0.5, 1.0, ours, 1.0 + ours, 1e6):
            across = model("crossing", spread, start, {"tau_w": tau_w, "tau_c": tau_c}, length)
            expected = theory.crossing(spread, length, tau_w, tau_c, distance)
            assert across == pytest.approx(float(expected), rel=1e-6)


def test_a_run_of_20000_steps_computes_the_same_whether_weights_are_kept_or_not(model):
    experiment = FLEXIBLE.replace(inputs=gl.Population())
    given = coordinates(*experiment.draw(0)), flow_of(experiment), experiment.schedule().tasks.tolist()
    ends = [model("learn", *given, keep, then="r => [...r.final]") for keep in (False, True)]
    assert ends[0] == ends[1]
