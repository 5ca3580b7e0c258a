"""The model of the pages is the library's: whole trajectories, metrics and formulas, from the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gatedlib as gl
from gatedlib import metrics, observer, record, theory
from gatedlib.analysis import matching
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
        const learn = all.learn, layers = all.learnTwoLayers
        const sampleOf = (seen, width) => t => ({ x: seen[t].slice(0, width), noise: seen[t].slice(width) })
        all.learnSeen = (start, flow, tasks, seen, width) => {
            const run = learn(start, flow, tasks, { sample: sampleOf(seen, width) })
            const [P, R, D] = run.size, size = R * D, final = [...run.final], gates = final.slice(P * size)
            const weights = Array.from({ length: P }, (_, p) => final.slice(p * size, (p + 1) * size))
            return [[...run.seen], [...run.loss], run.gates.map((one, n) => [...one, gates[n]]), weights]
        }
        all.layersSeen = (start, flow, tasks, seen, width) => {
            const run = layers(start, flow, tasks, { sample: sampleOf(seen, width) })
            return [[...run.loss], [...run.weights], [...run.gates]]
        }
        all.teachersSeen = (targets, tasks, seen, width) =>
            all.teacherLosses(targets, tasks, sampleOf(seen, width)).map(each => [...each])
        all.layersAt = (start, flow, tasks, frames) => {
            const kept = [], watch = (t, w, c) => frames.includes(t) && kept.push([...c])
            const run = layers(start, flow, tasks, { watch })
            return [[...run.loss], [...kept, [...run.gates]]]
        }
        all.observed = (losses, noise, hazard) => all.posterior(losses, noise, hazard).map(each => [...each])
        all.readOff = (start, flow, tasks) => {
            const run = all.learn(start, flow, tasks, { keepWeights: true })
            const times = all.recoveries(run.loss, tasks, flow.dt)
            return [times, all.alignment(start, run.final), [...all.invariant(run, flow)]]
        }
        window.model = all
    }"""
    page.evaluate(exported, joined("model.js", "matching.js", "theory.js"))

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
        ours = model("learn", start, flow, tasks, then="r => [[...r.loss], r.gates.map(g => [...g]), [...r.final]]")
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
        frames = [0, len(tasks) // 2]
        loss, layers = model("layersAt", start, flow_of(experiment), tasks, frames)
        np.testing.assert_allclose(loss, results.loss, **CLOSE, err_msg=str(draw))
        expected = [results.gates[0], results.gates[frames[1]], results.final_gates]
        np.testing.assert_allclose(layers, np.reshape(expected, (3, -1)), **CLOSE, err_msg=str(draw))


@record.quantity("number")
def sample(frame):
    """What a step of one noisy sample sees: the input, then the noise."""
    factor, noise, _ = frame.batch
    return jnp.concatenate([factor[:, 0], noise[:, 0]])


def in_one_row(matrices):
    """Whole matrices where each path has one gate: one row of coordinates, in which outputs follow one another."""
    return plain(np.reshape(matrices, (len(matrices), 1, -1)))


def one_sample_experiment(random, network, **also):
    flow = gl.Flow(
        random.uniform(0.3, 2),
        random.uniform(0.1, 1),
        0.01,
        (gl.Nonnegative(random.uniform(0, 0.5)), gl.UnitNorm(random.uniform(0, 1.0), **also)),
        gl.Noisy(1, random.uniform(0.1, 1)),
    )
    return gl.Experiment(gl.Orthogonal(2, d_in=9, d_out=3), network, curriculum(random, 2, 0.01), flow)


def test_single_samples_are_learned_as_in_the_library_and_the_observer_is_the_same(model):
    """From the very samples that the library draws."""
    random = np.random.default_rng(2)
    kept = (record.loss, record.gates, record.population_loss, record.teacher_losses, sample)
    for draw in range(20):
        experiment = one_sample_experiment(random, gl.GatedLinear(paths=2, weight_scale=0.3))
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            results = gl.simulate(same, [draw], kept, initial=params)
        one = results.isel(seed=0)
        tasks, seen = one.active_task.values.tolist(), plain(one["sample"])
        start = {
            "targets": in_one_row(teachers),
            "weights": in_one_row(params.weights),
            "gates": plain(params.gates[:, None]),
        }
        ours = dict(
            zip(
                ("loss", "clean", "gates", "weights"),
                model("learnSeen", start, flow_of(experiment), tasks, seen, 9),
                strict=True,
            )
        )
        ours["teacher losses"] = model("teachersSeen", plain(teachers), tasks, seen, 9)
        for name, theirs in (
            ("loss", one.loss),
            ("clean", one.population_loss),
            ("gates", np.append(one.gates, one.final_gates.values[None], 0).T),
            ("teacher losses", one.teacher_losses.transpose("task", "time")),
            ("weights", one.final_weights.values.reshape(2, -1)),
        ):
            np.testing.assert_allclose(ours[name], theirs, **CLOSE, err_msg=f"{name} {draw}")
        belief = model("observed", ours["teacher losses"], experiment.flow.inputs.noise, 0.02)
        np.testing.assert_allclose(belief, observer.posterior(results, 0.02)[0].transpose("task", "time"), **CLOSE)


def test_outputs_with_gates_of_their_own_and_two_layers_learn_from_single_samples_too(model):
    random = np.random.default_rng(5)
    kept = (record.population_loss, record.gates, sample)
    for draw in range(10):
        layers = bool(draw % 2)
        network = (
            gl.TwoLayer(hidden=6, weight_scale=0.3, gate_spread=0.3)
            if layers
            else gl.NeuronGated(paths=3, weight_scale=0.3, gate_spread=0.1)
        )
        experiment = one_sample_experiment(random, network, ord=2)
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            one = gl.simulate(same, [draw], kept, initial=params).isel(seed=0)
        start = {"targets": plain(teachers), "weights": plain(params.weights), "gates": plain(params.gates)}
        given = start, flow_of(experiment), one.active_task.values.tolist(), plain(one["sample"]), 9
        if layers:
            clean, weights, gates = model("layersSeen", *given)
        else:
            _, clean, series, weights = model("learnSeen", *given)
            gates = [each[-1] for each in series]
        np.testing.assert_allclose(clean, one.population_loss, **CLOSE, err_msg=str(draw))
        np.testing.assert_allclose(np.ravel(gates), one.final_gates.values.ravel(), **CLOSE, err_msg=str(draw))
        np.testing.assert_allclose(np.ravel(weights), one.final_weights.values.ravel(), **CLOSE, err_msg=str(draw))


def test_the_best_assignment_is_the_best_of_all(model):
    random = np.random.default_rng(6)
    for rows, columns in ((1, 1), (2, 2), (2, 5), (5, 2), (4, 4), (20, 20), (20, 31), (31, 20)):
        scores = random.normal(size=(rows, columns)).round(1)  # some are equal
        ours = np.array(model("assignment", scores.tolist()))
        best = matching.best_assignment(scores)
        taken = ours[ours >= 0]
        assert len(set(taken)) == len(taken) == min(rows, columns)
        sums = [scores[of >= 0, of[of >= 0]].sum() for of in (ours, best)]
        assert sums[0] == pytest.approx(sums[1])


@pytest.mark.parametrize("kind", ["paths", "matrices", "neurons", "hidden"])
def test_paths_and_units_are_matched_as_in_the_library(model, kind):
    """At the end; the library's matching is of the last tenth, which now and then is another one."""
    random, same_matching = np.random.default_rng(7), 0
    for draw in range(12):
        experiment = drawn(random, "paths" if kind == "matrices" else kind)
        tasks = tuple(range(experiment.teachers.shape[0]))
        experiment = experiment.replace(curriculum=gl.Blocked(blocks=6, block_length=0.4, order=tasks))
        with jax.enable_x64(True):
            teachers, params, same = begun(experiment, draw)
            results = gl.simulate(same, [draw], (record.alignment,), initial=params)
            theirs, expected = metrics.matching(results)[0].values, float(metrics.total_alignment(results)[0])
            start = coordinates(teachers, params) if kind == "paths" else {}
        final = results.final_weights.values[0]
        if kind == "hidden":
            found = model("alignmentOfUnits", plain(teachers), plain(final.ravel()))
            order = found["units"]
        else:
            if kind == "paths":
                order = results.active_task.values.tolist()
                final = model("learn", start, flow_of(experiment), order, then="r => [...r.final]")
            elif kind == "matrices":
                start = {"targets": in_one_row(teachers), "weights": in_one_row(params.weights), "outputs": 3}
            else:
                start = {"targets": plain(teachers), "weights": plain(params.weights)}
            found = model("alignment", start, plain(np.ravel(final)))
            order = (
                np.squeeze(np.transpose(found["orders"]), -1) if kind != "neurons" else np.transpose(found["orders"])
            )
        if np.array_equal(order, theirs):
            same_matching += 1
            assert found["cosine"] == pytest.approx(expected, abs=1e-6), draw
    assert same_matching >= 9


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


def test_the_ratchet_is_the_librarys(model):
    random = np.random.default_rng(8)
    for draw in range(12):
        tasks, paths = int(random.integers(2, 4)), int(random.integers(2, 4))
        experiment = FLEXIBLE.replace(
            teachers=gl.Correlated(tasks, 18, 6, correlation=float(random.uniform(0, 0.5))),
            network=gl.GatedLinear(paths=paths, weight_scale=0.05),
            curriculum=gl.Blocked(duration=12.0, order=tuple(range(tasks))),
            inputs=gl.Population(),
            tau_c=float(random.uniform(0.02, 0.2)),
            b=float(random.uniform(0.2, 3)),
        )
        with jax.enable_x64(True):
            teachers, params = experiment.draw(draw)
            start = coordinates(teachers, params)
        targets = np.array([task[0][:tasks] for task in start["targets"]])
        weights = np.array([path[0][:tasks] for path in start["weights"]])
        flow, length = flow_of(experiment), float(random.uniform(0.2, 1.5))
        given = flow["tau_w"], flow["tau_c"], length, 12.0, flow["b"]
        theirs = theory.ratchet(targets, gl.Params(weights, np.ravel(start["gates"])), *given)
        ours = model("ratchet", start, flow, length, 12.0)
        assert [ours["zero"] or np.inf, ours["specialized"] or np.inf] == pytest.approx(
            [float(theirs.zero), float(theirs.specialized)], rel=1e-6
        )


def test_a_run_of_20000_steps_computes_the_same_whether_weights_are_kept_or_not(model):
    experiment = FLEXIBLE.replace(inputs=gl.Population())
    given = coordinates(*experiment.draw(0)), flow_of(experiment), experiment.schedule().tasks.tolist()
    ends = [model("learn", *given, {"keepWeights": keep}, then="r => [...r.final]") for keep in (False, True)]
    assert ends[0] == ends[1]
