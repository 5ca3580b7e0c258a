"""Plots draw what results hold, where it belongs."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import plotting
from gatedlib_book import experiments, reduction
from tests.examples import small

mpl.use("Agg")


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
    np.testing.assert_allclose(mesh.get_array(), values.sortby(list(values.dims)))
    assert diagram.get_xscale() == "log"
    plt.close(figure)


def test_cells_of_a_phase_diagram_have_equal_room_on_logarithmic_axes():
    axes = {"tau_w": [1.0, 0.01, 0.1], "tau_c": [0.1, 0.3]}
    values = xr.DataArray(np.arange(6.0).reshape(3, 2), axes, ("tau_w", "tau_c"))
    figure, ax = plt.subplots()
    plotting.phase_diagram(values, ax, log="xy")
    (mesh,) = ax.collections
    across, up = np.moveaxis(mesh.get_coordinates(), -1, 0)
    np.testing.assert_allclose(up[:, 0], 10.0 ** np.array([-2.5, -1.5, -0.5, 0.5]))
    np.testing.assert_allclose(across[0, 1], 0.03**0.5)
    np.testing.assert_allclose(mesh.get_array(), values.values[[1, 2, 0]])  # in the order of the settings
    plt.close(figure)
    for bad, log, words in (
        (values.assign_coords(tau_c=[0.0, 0.1]), "x", "must be above 0 on a logarithmic axis"),
        (values.assign_coords(tau_c=[0.1, 0.1]), "", "must be different numbers"),
        (values.assign_coords(tau_c=["a", "b"]), "", "must be different numbers"),
        (values, "z", "must be '', 'x', 'y' or 'xy'"),
    ):
        with pytest.raises(ValueError, match=words):
            plotting.phase_diagram(bad, log=log)
    plt.close("all")


def test_a_line_of_many_points_is_that_of_their_quantiles():
    values = xr.DataArray(np.random.default_rng(0).normal(size=(7, 50)), dims=("seed", "time"))
    for each in (values, values.where(values < 1)):
        figure, ax = plt.subplots()
        plotting.over_seeds(each, ax)
        np.testing.assert_allclose(ax.lines[0].get_ydata(), np.nanmedian(each, 0), rtol=1e-12)
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
    results = gl.simulate(small(teachers=rows, network=gl.NeuronGated(paths=3), order=range(3)), seeds=1)
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
    experiment = small(teachers=three, network=gl.GatedLinear(paths=3), tau_w=np.inf, order=range(3))
    teachers = np.asarray(experiment.draw(0)[0])
    start = gl.Params(np.stack([teachers[0], teachers[1], teachers.mean(0)]), np.ones(3))
    results = gl.simulate(experiment, seeds=1, initial=start)
    figure, ax = plt.subplots()
    plotting.mixture_plane(results, ax)
    paths = next(line for line in ax.lines if line.get_label() == "paths").get_xydata()
    np.testing.assert_allclose(paths, [[0, 1], [0.75**0.5, -0.5], [0, 0]], atol=1e-5)
    plt.close(figure)


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
    results = reduction.one_switch(experiments.TOY, experiments.SPECIALIST)
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


def test_marks_below_pictures_say_what_is_right():
    figure, axes = plt.subplots(1, 3)
    for ax, right, told in zip(axes, (None, True, False), ("7", "7 ✓", "7 ✗"), strict=True):
        assert plotting.answer(np.ones((2, 2)), "7", right, ax).get_xlabel() == told
    plt.close(figure)


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


def test_more_tasks_than_letters_have_names_of_their_own():
    names = [plotting.task_name(task) for task in range(60)]
    assert names[:3] == ["A", "B", "C"]
    assert names[25:28] == ["Z", "A2", "B2"]
    assert len(set(names)) == 60
    assert all(name[0].isupper() and (name[1:].isdigit() or not name[1:]) for name in names)


def test_the_style_is_that_of_the_book_whatever_was_set_before():
    before = mpl.rcParams.copy()
    try:
        mpl.rcdefaults()
        plotting.use_style()
        expected = dict(mpl.rcParams)
        settings = {"text.usetex": True, "axes.formatter.use_locale": True, "font.size": 40.0, "lines.linewidth": 9.0}
        mpl.rcParams.update({**settings, "axes.facecolor": "black", "figure.autolayout": True})
        plotting.use_style()
        assert dict(mpl.rcParams) == expected
    finally:
        mpl.rcParams.update(before)
