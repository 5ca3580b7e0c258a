"""Explorers redraw when a slider moves, are widgets where a kernel runs and pictures where none does."""

import base64
import html
import json
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import explore, plotting
from gatedlib.paper.chapters import depth, reduction
from gatedlib.view.explorers import explorer
from tests.examples import small

mpl.use("Agg")


def switched():
    """Two networks after a switch, one whose answers change and one whose answers do not, and four pictures."""
    examples = gl.Examples(np.eye(4), np.arange(4))
    tasks = gl.Labellings(((0, 1, 2, 3), (1, 2, 3, 0)))
    steps = gl.Blocked(blocks=2, block_length=1.0)
    learning = gl.Experiment(tasks, gl.GatedLinear(), steps, gl.Flow(0.03, 0.03, dt=0.01, inputs=examples))
    runs = {"learns": learning, "stands still": learning.replace(tau_w=np.inf, tau_c=np.inf)}
    results = {name: gl.simulate(run, [0], (gl.record.matrix,)).isel(seed=0) for name, run in runs.items()}
    called = results["learns"].isel(time=slice(100, None)).matrix.argmax("out").values
    start = 96 + int((called == [1, 2, 3, 0]).all(1).argmax())  # four steps before all answers are those of task B
    after = {name: each.isel(time=slice(start, start + 30)) for name, each in results.items()}
    return after, examples, np.random.default_rng(0).uniform(size=(4, 3, 3))


COMPOSED = small(
    teachers=gl.Sums(gl.Orthogonal(tasks=2, d_in=6, d_out=2), [(0.5, 0.5)]),
    curriculum=gl.Phases((gl.Blocked(blocks=4), gl.Blocked(blocks=2, order=(2,)))),
)

MAP = xr.DataArray([[0.0, 0.5], [0.5, 1.0]], {"block_length": [0.5, 1.0], "tau_c": [0.05, 0.1]})


def given(name):
    """What the code of an explorer takes for granted: what the explorer was made from."""
    if name == "compose":
        return {"experiment": COMPOSED, "results": gl.simulate(COMPOSED, seeds=2)}
    if name == "gates_by_hand":
        return {"results": gl.simulate(small(), seeds=1)}
    if name == "change_of_mind":
        runs, examples, _ = switched()
        return {"runs": runs, "examples": examples}
    return {"flexible": reduction.one_switch(reduction.TOY, reduction.SPECIALIST)}


EXPLORERS = {
    "regimes": lambda: explore.regimes(small(dt=0.01)),
    "schedule": lambda: explore.schedule(small(tau_c=0.03)),
    "switch": lambda: explore.switch(
        reduction.one_switch(reduction.TOY, reduction.SPECIALIST),
        reduction.one_switch(reduction.FORGETFUL_TOY, reduction.OVERWRITER),
    ),
    "compose": lambda: explore.compose(COMPOSED, gl.simulate(COMPOSED, seeds=2), seed=1),
    "second_layer": lambda: explore.second_layer(depth.COSTLY.replace(dt=0.01, blocks=4)),
    "change_of_mind": lambda: explore.change_of_mind(*switched()),
    "gates_by_hand": lambda: explore.gates_by_hand(gl.simulate(small(), seeds=1)),
    "phase_diagram": lambda: explore.phase_diagram(small(dt=0.01), MAP, log="x"),
}


def moved(slider):
    """Another value that a slider can have."""
    if hasattr(slider, "options"):
        values = [option[-1] if isinstance(option, tuple) else option for option in slider.options]
        return next(value for value in values if value != slider.value)
    return type(slider.value)(slider.value * 0.6 + 0.07)


@pytest.mark.slow
@pytest.mark.parametrize("make", EXPLORERS.values(), ids=EXPLORERS)
def test_every_slider_changes_the_picture_and_moving_back_restores_it(make):
    explorer = make()

    def picture():
        return base64.b64decode(explorer._repr_mimebundle_()["image/png"])

    before = picture()
    assert before.startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()
    for slider in explorer.sliders.values():
        was = slider.value
        slider.value = moved(slider)
        assert picture() != before
        slider.value = was
        assert picture() == before
    plt.close("all")


@pytest.mark.parametrize("name", EXPLORERS)
def test_reset_takes_all_sliders_back_and_draws_once(name):
    explorer = EXPLORERS[name]()
    before, drawn, update = dict(explorer.values), [], explorer.update
    for slider in explorer.sliders.values():
        slider.value = moved(slider)
    assert explorer.values != before
    explorer.update = lambda **values: (drawn.append(values), update(**values))
    explorer.reset()
    assert drawn == [before]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPLORERS)
def test_the_code_that_makes_the_picture_runs(name, capsys):
    explorer = EXPLORERS[name]()
    first = explorer.code
    for slider in explorer.sliders.values():
        slider.value = moved(slider)
    assert explorer.code != first
    known = {"gl": gl, **given(name)}
    exec(explorer.code, known)
    assert plt.get_fignums() or capsys.readouterr().out
    plt.close("all")
    explorer.copy()
    *_, text, clipboard = explorer.widget().children
    assert html.escape(explorer.code) in text.value
    assert json.dumps(explorer.code) in clipboard.outputs[0]["data"]["application/javascript"]


def test_the_code_makes_what_the_picture_shows():
    explorer = EXPLORERS["regimes"]()
    explorer.sliders["block_length"].value, explorer.sliders["tau_c"].index = 0.5, 12
    known = {}
    exec(explorer.code, known)
    loss_line = explorer.figure.axes[0].lines[0]
    np.testing.assert_allclose(loss_line.get_ydata(), known["results"].loss[0], rtol=1e-5)
    plt.close("all")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (MAP[0], "dims of values = ('tau_c',): must be two names of settings, (up, across)"),
        (MAP.rename(tau_c="speed"), "speed"),
    ],
)
def test_the_map_of_an_explorer_is_over_two_settings(values, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        explore.phase_diagram(small(dt=0.01), values)


def test_the_explorer_of_schedules_is_about_two_tasks():
    with pytest.raises(ValueError, match=r"\(3, 2\).*two tasks and two paths"):
        explore.schedule(small(teachers=gl.Orthogonal(tasks=3, d_in=6, d_out=2)))


@pytest.fixture(scope="module")
def results():
    return gl.simulate(small(), seeds=4)


@pytest.mark.parametrize("plot", [plotting.loss, plotting.gates, plotting.alignment, plotting.recoveries])
def test_plots_draw_what_the_results_hold(plot, results):
    figure, ax = plt.subplots()
    assert plot(results, ax) is ax
    drawn = np.concatenate([line.get_ydata() for line in ax.lines])
    assert np.isfinite(drawn).all()
    assert len(drawn) > 0
    plt.close(figure)


def test_maps_and_tables_put_every_cell_in_its_place():
    values = xr.DataArray([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], {"block_length": [1.0, 0.5], "tau_c": [0.01, 0.03, 0.1]})
    values = values.transpose("block_length", "tau_c")
    figure, (table, diagram) = plt.subplots(1, 2)
    plotting.grid(values, table)
    assert [text.get_text() for text in table.texts] == ["0.10", "0.20", "0.30", "0.40", "0.50", "0.60"]
    assert [label.get_text() for label in table.get_yticklabels()] == ["1", "0.5"]
    assert table.get_ylabel() == "block length"
    plotting.phase_diagram(values, diagram, log="x")
    (mesh,) = diagram.collections
    np.testing.assert_allclose(mesh.get_array(), values)
    assert diagram.get_xscale() == "log"
    plt.close(figure)


def test_tables_may_name_their_rows_and_say_how_many_digits():
    values = xr.DataArray([[0.1234, 0.5]], {"task": ["AB"], "path": ["A", "B"]}, ("task", "path"))
    figure, ax = plt.subplots()
    plotting.grid(values, ax, digits=3)
    assert [text.get_text() for text in ax.texts] == ["0.123", "0.500"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["A", "B"]
    plt.close(figure)


def test_composites_are_called_by_their_parts():
    rows = gl.RowMixtures(gl.Orthogonal(tasks=3, d_in=9, d_out=3), [(0, 2, 0), (1, 1, 2)])
    results = gl.simulate(small(teachers=rows, network=gl.NeuronGated(paths=3)), seeds=1)
    assert plotting.task_names(results) == ["A", "B", "C", "AC", "BC"]


def test_gates_of_each_output_are_drawn_one_by_one():
    results = gl.simulate(small(network=gl.NeuronGated(paths=2)), seeds=3)
    figure, ax = plt.subplots()
    plotting.gates(results, ax)
    drawn = np.array([line.get_ydata() for line in ax.lines])
    expected = gl.metrics.reorder_paths(results).gates.median("seed").transpose("path", "out", "time")
    np.testing.assert_allclose(drawn, expected.values.reshape(4, -1))
    assert ax.get_legend_handles_labels()[1] == ["path for A", "path for B"]
    plt.close(figure)


def test_paths_lie_where_their_mixtures_are():
    """Paths that are A, B and the mean of all three lie on two corners and in the middle."""
    three = gl.Orthogonal(tasks=3, d_in=9, d_out=3)
    experiment = small(teachers=three, network=gl.GatedLinear(paths=3), tau_w=np.inf)
    teachers = np.asarray(experiment.draw(0)[0])
    start = gl.Params(np.stack([teachers[0], teachers[1], teachers.mean(0)]), np.ones(3))
    results = gl.simulate(experiment, seeds=1, initial=start)
    figure, ax = plt.subplots()
    plotting.mixture_plane(results, ax)
    paths = next(line for line in ax.lines if line.get_label() == "paths").get_xydata()
    np.testing.assert_allclose(paths, [[0, 1], [0.75**0.5, -0.5], [0, 0]], atol=1e-5)
    plt.close(figure)


def test_the_explorer_of_regimes_tints_the_blocks_it_runs():
    explorer = explore.regimes(small(dt=0.01))
    tint = explorer.figure.axes[0].images[0]
    assert np.diff(np.ma.getdata(tint.get_array())[0]).nonzero()[0].tolist() == [199, 399, 599]  # 4 blocks, dt 5e-3
    explorer.sliders["block_length"].value = 2.0
    assert np.diff(np.ma.getdata(tint.get_array())[0]).nonzero()[0].tolist() == [399]
    plt.close("all")


def test_loss_is_drawn_as_the_median_over_seeds(results):
    figure, ax = plt.subplots()
    plotting.loss(results, ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), results.loss.median("seed"), rtol=1e-5)
    plt.close(figure)


def test_relabelled_paths_serve_the_task_of_their_number(results):
    turned = gl.metrics.reorder_paths(results)
    served = gl.metrics.matching(turned).values
    np.testing.assert_array_equal(served, np.tile([0, 1], (4, 1)))
    for seed in range(4):
        order = gl.metrics.matching(results).values[seed]
        np.testing.assert_array_equal(turned.gates.values[seed], results.gates.values[seed][:, order])
        products = results.weight_products.values[seed][:, order][:, :, order]
        np.testing.assert_array_equal(turned.weight_products.values[seed], products)


def test_the_plane_shows_teachers_paths_and_the_way_of_the_output():
    results = reduction.one_switch(reduction.TOY, reduction.SPECIALIST)
    figure, ax = plt.subplots()
    plotting.plane(results, ax, time=0.1)
    rings = [line.get_xydata()[0].tolist() for line in ax.lines[:2]]
    assert rings == [[1.0, 0.0], [0.0, 1.0]]
    way, dot = (line.get_xydata() for line in ax.lines[2:])
    outputs = (results.gates * results.weights).sum("path")[0, :, :, 0].values
    np.testing.assert_allclose(way, outputs[:101], atol=1e-6)  # frames 0 to 100, a step of 0.001 apart
    np.testing.assert_allclose(dot[0], outputs[100], atol=1e-6)
    arrows = [text.xy for text in ax.texts if text.arrow_patch is not None]
    np.testing.assert_allclose(arrows, results.weights[0, 100, :, :, 0], atol=1e-6)
    plt.close(figure)


def test_the_second_layer_is_drawn_output_by_output():
    gates = xr.DataArray(np.arange(-3.0, 3.0).reshape(2, 3), dims=("out", "hidden")).transpose("hidden", "out")
    figure, ax = plt.subplots()
    plotting.second_layer(gates, ax)
    with pytest.raises(ValueError, match="permuted list"):
        plotting.second_layer(gates.expand_dims("seed"), ax)
    np.testing.assert_allclose(ax.images[0].get_array(), [[3, 2, 1], [0, 1, 2]])
    plt.close(figure)


def test_marks_below_pictures_say_what_is_right_on_the_task_that_is_on():
    explorer = explore.change_of_mind(*switched())
    words = [text for ax in explorer.figure.axes for text in ax.texts]
    explorer.sliders["step"].value = 0
    before = [word.get_text() for word in words]
    assert before[:4] == ["0 ✗", "1 ✗", "2 ✗", "3 ✗"]
    explorer.sliders["step"].value = 29
    after = [word.get_text() for word in words]
    assert after[:4] == ["1 ✓", "2 ✓", "3 ✓", "0 ✓"]
    assert after[4:] == before[4:]
    figure, axes = plt.subplots(1, 3)
    for ax, right, told in zip(axes, (None, True, False), ("7", "7 ✓", "7 ✗"), strict=True):
        assert plotting.answer(np.ones((2, 2)), "7", right, ax).get_xlabel() == told
    plt.close(figure)


def test_one_network_and_one_picture_are_enough_to_change_a_mind():
    runs, examples, images = switched()
    name, results = next(iter(runs.items()))
    one = gl.Examples(examples.features[:1], examples.classes[:1])
    explorer = explore.change_of_mind({name: results}, one, images[:1])
    assert next(text.get_text() for ax in explorer.figure.axes for text in ax.texts) in ("0 ✗", "1 ✓")


def test_code_says_where_arrays_belong():
    code = explorer.run_code(reduction.TOY, 0, [gl.record.loss], "results")
    assert "# put your own arrays where ... stands" in code
    assert "matrices=..." in code
    assert "..." not in explorer.run_code(small(), 0, [gl.record.loss], "results")


def test_gates_of_labellings_are_drawn_in_the_colour_of_the_task_they_serve():
    flow = gl.Flow(1.0, 1.0, dt=0.1, inputs=gl.Examples(np.eye(2), [0, 1]))
    tasks = gl.Labellings(((0, 1), (1, 0)))
    experiment = gl.Experiment(tasks, gl.GatedLinear(), gl.Blocked(blocks=4), flow)
    whole = gl.simulate(experiment, 1, (gl.record.gates,))
    order = whole.active_task.values
    gates = np.stack([order, 1 - order], -1)[None].astype(float)  # path 1 serves task A
    figure, ax = plt.subplots()
    plotting.gates(whole.assign(gates=(whole.gates.dims, gates)), ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1 - order)
    assert ax.lines[0].get_color() == plotting.task_color(0)
    plt.close(figure)
