"""What an explorer is: sliders above a picture that follows them, and the code that makes it."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import Javascript
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gatedlib._internal.validation import require
from gatedlib.model.experiment import Experiment
from gatedlib.simulation.record import Quantity
from gatedlib.view import plotting

MARGINS = {"left": 0.08, "right": 0.985, "bottom": 0.17, "top": 0.86, "wspace": 0.22}


DT = 5e-3
"""The step of explorers, in time units: coarse enough to answer at once, fine enough to look the same."""


class Explorer:
    """Sliders above a picture; every move of a slider redraws the picture.

    Args:
        figure: the picture. If some of its artists are animated, only these are drawn again.
        update: called with the value of every slider by name; changes what is drawn in the figure.
        sliders: the sliders by name.
        code: called with the same values; the Python that makes what the picture shows.
    """

    def __init__(
        self,
        figure: Figure,
        update: Callable[..., None],
        sliders: dict[str, ipywidgets.Widget],
        code: Callable[..., str],
    ) -> None:
        self.figure, self.update, self.sliders = figure, update, sliders
        self._code, self._first = code, {name: slider.value for name, slider in sliders.items()}
        self._image = ipywidgets.Image(format="png")
        self._canvas = FigureCanvasAgg(figure)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)
        self._moving = [
            (axes, artist) for axes in figure.axes for artist in axes.get_children() if artist.get_animated()
        ]
        self._source, self._clipboard = ipywidgets.HTML(), ipywidgets.Output()
        for slider in sliders.values():
            slider.observe(self._follow, names="value")
        self.redraw()

    @property
    def values(self) -> dict[str, Any]:
        """What the sliders say, by name; numbers to six digits, so that code can spell them out."""
        values = {name: slider.value for name, slider in self.sliders.items()}
        return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}

    @property
    def code(self) -> str:
        """Python that makes what the picture shows."""
        return self._code(**self.values)

    def reset(self) -> None:
        """Put every slider back to where it was at first, and draw once."""
        for name, slider in self.sliders.items():
            slider.unobserve(self._follow, names="value")
            slider.value = self._first[name]
            slider.observe(self._follow, names="value")
        self._follow()

    def copy(self) -> None:
        """Show the code below the picture, and put it on the clipboard where the browser allows that."""
        self._source.value = f"<pre>{html.escape(self.code)}</pre>"
        script = f"navigator.clipboard && navigator.clipboard.writeText({json.dumps(self.code)})"
        self._clipboard.clear_output()
        self._clipboard.append_display_data(Javascript(script))

    def _follow(self, _: Any = None) -> None:
        self._source.value = ""
        self.redraw()

    def redraw(self) -> None:
        """Draw the picture for the values that the sliders have now."""
        self.update(**self.values)
        if self._moving:
            self._canvas.restore_region(self._background)
            for axes, artist in self._moving:
                axes.draw_artist(artist)
        else:
            self._canvas.draw()
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())).save(buffer, format="png", compress_level=1)
        self._image.value = buffer.getvalue()

    def widget(self) -> ipywidgets.Widget:
        """Sliders, picture and buttons; the place of the code comes last."""
        buttons = []
        for words, action in (("Reset", self.reset), ("Copy the code that makes this", self.copy)):
            button = ipywidgets.Button(description=words, layout=ipywidgets.Layout(width="auto"))
            button.on_click(lambda _, action=action: action())
            buttons.append(button)
        below = (ipywidgets.HBox(buttons), self._source, self._clipboard)
        return ipywidgets.VBox([*self.sliders.values(), self._image, *below])

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        still = {"image/png": base64.b64encode(self._image.value).decode()}
        return {**(self.widget()._repr_mimebundle_(**options) or {}), **still}


def require_two_tasks(experiment: Experiment) -> None:
    """Require an experiment of two tasks and two paths."""
    sizes = experiment.teachers.shape[0], *experiment.network.shapes(*experiment.sizes)["gates"]
    rule, remedy = "this is about two tasks and two paths", "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
    require(sizes == (2, 2), "tasks and paths", sizes, rule, remedy)


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


def speeds(low: float, high: float, value: float) -> ipywidgets.Widget:
    """A slider for the gate time constant, in equal ratios, which keeps the value that it begins with."""
    places = sorted({float(value), *(float(f"{place:.3g}") for place in np.geomspace(low, high, 41))})
    options = [(f"{place:.3g}", place) for place in places]
    return slider(ipywidgets.SelectionSlider, "gate time constant", options=options, value=float(value))


def run_code(experiment: Experiment, seed: int, keep: Sequence[Quantity], show: str) -> str:
    """Python that runs an experiment and shows something of it; arrays are left for the reader to put in."""
    shown, arrays = re.subn(r"\b[a-z]+\d+\[[\d,]*\](\(numpy\))?", "...", repr(experiment))
    hint = "# put your own arrays where ... stands\n" if arrays else ""
    written = re.sub(r"\b([A-Z]\w+)\(", r"gl.\1(", shown)
    indented = re.sub(r"(?m)^ +", lambda spaces: 2 * spaces[0], written)
    quantities = ", ".join(f"gl.record.{quantity.name}" for quantity in keep)
    return f"""import gatedlib as gl

{hint}experiment = {indented}
keep = [{quantities}]
results = gl.simulate(experiment, seeds=[{seed}], record=keep)
{show}
"""
