"""Figures of chapters: a legend covers nothing that is drawn."""

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tests.examples import ROOT

pytestmark = pytest.mark.slow

mpl.use("Agg")


def covered(axes):
    """The lines and bands with a point beneath the legend of their axes."""
    legend = axes.get_legend()
    if legend is None:
        return []
    box = legend.get_window_extent()
    paths = [(line, line.get_path(), line.get_transform()) for line in axes.lines]
    paths += [(band, path, band.get_transform()) for band in axes.collections for path in band.get_paths()]
    return [artist for artist, path, to in paths if box.count_contains(to.transform(path.interpolated(20).vertices))]


def test_legends_of_learning_dynamics_cover_no_line_and_no_band(monkeypatch):
    cells = json.loads((ROOT / "book" / "dynamics.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    last = next(number for number, source in enumerate(sources) if "plotting.alignment" in source)
    monkeypatch.setattr(plt, "show", lambda: None)
    names = {}
    for source in sources[: last + 1]:
        exec(source, names)
    names["fig"].canvas.draw()
    assert [artist for axes in names["axes"].flat for artist in covered(axes)] == []
    plt.close("all")
