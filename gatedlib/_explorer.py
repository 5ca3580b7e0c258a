"""What an explorer is: sliders above a picture that follows them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gatedlib import plotting

MARGINS = {"left": 0.08, "right": 0.985, "bottom": 0.17, "top": 0.86, "wspace": 0.22}


DT = 5e-3
"""The step of explorers, in time units: coarse enough to answer at once, fine enough to look the same."""


class Explorer:
    """Sliders above a picture; every move of a slider redraws the picture.

    Args:
        figure: the picture. If some of its artists are animated, only these are drawn again.
        update: called with the value of every slider by name; changes what is drawn in the figure.
        sliders: the sliders by name.
    """

    def __init__(self, figure: Figure, update: Callable[..., None], sliders: dict[str, ipywidgets.Widget]) -> None:
        self.figure, self.update, self.sliders = figure, update, sliders
        self._image = ipywidgets.Image(format="png")
        self._canvas = FigureCanvasAgg(figure)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)
        self._moving = [
            (axes, artist) for axes in figure.axes for artist in axes.get_children() if artist.get_animated()
        ]
        for slider in sliders.values():
            slider.observe(lambda _: self.redraw(), names="value")
        self.redraw()

    def redraw(self) -> None:
        """Draw the picture for the values that the sliders have now."""
        self.update(**{name: slider.value for name, slider in self.sliders.items()})
        if self._moving:
            self._canvas.restore_region(self._background)
            for axes, artist in self._moving:
                axes.draw_artist(artist)
        else:
            self._canvas.draw()
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())).save(buffer, format="png", compress_level=1)
        self._image.value = buffer.getvalue()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        widget = ipywidgets.VBox([*self.sliders.values(), self._image])
        still = {"image/png": base64.b64encode(self._image.value).decode()}
        return {**(widget._repr_mimebundle_(**options) or {}), **still}


def panels(columns: int) -> tuple[Figure, Any]:
    """A figure with panels side by side."""
    plotting.use_style()
    figure = Figure(figsize=(7.2, 2.8))
    figure.set_layout_engine("none")  # a layout engine would draw everything twice
    return figure, figure.subplots(1, columns, gridspec_kw=MARGINS)


def slider(kind: type, text: str, **settings: Any) -> ipywidgets.Widget:
    """A slider, or another widget with a value, and what it is called."""
    style, layout = {"description_width": "10em"}, ipywidgets.Layout(width="32em")
    return kind(description=text, style=style, layout=layout, **settings)
