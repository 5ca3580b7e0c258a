"""Explorers redraw when a slider moves, are widgets where a kernel runs and pictures where none does."""

import base64

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import gatedlib as gl
from gatedlib import explore, plotting
from tests.examples import small

mpl.use("Agg")

EXPLORERS = {
    "regimes": lambda: explore.regimes(small(dt=0.01)),
    "gates_by_hand": lambda: explore.gates_by_hand(gl.simulate(small(), seeds=1)),
}


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
        slider.value = slider.value * 0.5 + 0.1
        assert picture() != before
        slider.value = was
        assert picture() == before
    plt.close("all")


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


def test_loss_is_drawn_as_the_median_over_seeds(results):
    figure, ax = plt.subplots()
    plotting.loss(results, ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), results.loss.median("seed"), rtol=1e-5)
    plt.close(figure)


def test_relabelled_paths_serve_the_task_of_their_number(results):
    turned = gl.metrics.relabelled(results)
    served = gl.metrics.matching(turned).values
    np.testing.assert_array_equal(served, np.tile([0, 1], (4, 1)))
    for seed in range(4):
        order = gl.metrics.matching(results).values[seed]
        np.testing.assert_array_equal(turned.gates.values[seed], results.gates.values[seed][:, order])
        products = results.weight_products.values[seed][:, order][:, :, order]
        np.testing.assert_array_equal(turned.weight_products.values[seed], products)
