"""An explorer: a module of JavaScript, the data that it needs, and a still picture for where no script runs."""

from __future__ import annotations

import base64
import functools
import html
import io
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import traitlets
import xarray as xr
from IPython.display import display
from matplotlib.figure import Figure

from gatedlib._internal.validation import refusal, require_instance
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Population
from gatedlib.model.networks import Params
from gatedlib.model.penalties import Nonnegative, UnitNorm, WeightDecay
from gatedlib.simulation import subspace
from gatedlib.simulation.record import Quantity
from gatedlib.view import plotting

KNOWN_PENALTIES = (Nonnegative, UnitNorm, WeightDecay)

PLACE = """<div class="explorer-place" data-explorer="{name}" \
style="--room: {heights[0]}rem; --room-phone: {heights[1]}rem">\
<script type="application/json">{state}</script>\
<img class="still" alt="{alt}" src="data:image/png;base64,{still}"></div>"""

VIEW = "application/vnd.jupyter.widget-view+json"

NO_STILL = "\n:is(.explorer-place, .jp-OutputArea-child:has(.explorer-place)) { display: none; }\n"
"""What the widget's style adds: where there is a widget, no still picture, and in JupyterLab no empty line for it."""


def read(name: str) -> str:
    """A file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def needed(name: str) -> list[str]:
    """The files of a module: those that it imports from, each after those that it needs itself, and its own."""
    imported = [file for other in re.findall(r'from "\./(\w+\.js)"', read(name)) for file in needed(other)]
    return list(dict.fromkeys([*imported, name]))


def joined(*names: str) -> str:
    """Modules as one: without their imports from each other; only the last may export, and by default."""
    # all names are then in one scope, so that what was imported is there, and what was exported needs no word for it
    sources = "".join(map(read, names))
    return re.sub(r"(?m)^import [^;]*;\n|^export (?!default)", "", sources)


@functools.cache
def source(name: str) -> str:
    """The whole source of an explorer as one module, for a notebook as for a page."""
    return joined(*needed(f"{name}.js"))


class Explorer(anywidget.AnyWidget):
    """An interactive figure, without a kernel, in notebooks and in pages.

    In a notebook it is a widget. In a page its place holds the same data, and the page's script starts it; where no
    script runs, or there is no widget manager, the still picture is shown.

    Args:
        name: the module of JavaScript, a file beside this one.
        state: the data of the module: plain numbers, lists and texts.
        still: the picture before a reader has moved anything.
        alt: a description of the picture, for readers who cannot see it.
        heights: the height that a page reserves for it, on a desktop and on a phone, in rem.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self, name: str, state: dict[str, Any], still: Figure, alt: str, heights: tuple[float, float] = (33, 50)
    ) -> None:
        super().__init__(_esm=source(name), _css=read("explorers.css") + NO_STILL, state=state)
        picture = io.BytesIO()
        still.savefig(picture, format="png", dpi=110)
        encoded = base64.b64encode(picture.getvalue()).decode()
        # a "<" in the data could end the element of the page in which they stand
        data = json.dumps({"state": state}, separators=(",", ":")).replace("<", "\\u003c")
        self.page = PLACE.format(name=name, state=data, alt=html.escape(alt), still=encoded, heights=heights)

    def _ipython_display_(self) -> None:
        """Show its place with the still picture, and then the widget, whose style hides the place.

        These are two outputs: of one that holds both, nbconvert takes the widget alone. And ipywidgets 7 shows what
        this method shows, without a look at `_repr_mimebundle_`.
        """
        display({"text/plain": object.__repr__(self), "text/html": self.page}, raw=True)
        bundle = self.comm and super()._repr_mimebundle_()
        if bundle:  # the widget was not closed
            data, metadata = bundle
            display({VIEW: data[VIEW]}, metadata=metadata, raw=True)


def rounded(values: Any, digits: int = 10) -> Any:
    """Nested lists of numbers, rounded to this number of digits; None for nan and inf, which JSON has not."""
    if isinstance(values, np.ndarray | np.generic) or hasattr(values, "__array__"):
        values = np.asarray(values, float).tolist()
    if isinstance(values, list):
        return [rounded(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if np.isfinite(values) else None


def coordinates(teachers: Any, params: Params) -> dict[str, Any]:
    """A network with one gate per path, and its teachers, in the few coordinates in which it learns."""
    # a browser then steps through a few numbers, of which it needs no others to know the loss of the whole network
    targets, start, space = subspace.project(teachers, params)
    gates = np.asarray(params.gates)[:, None]
    state = {"targets": targets, "weights": start.weights, "gates": gates, "gram": space.gram}
    return {name: rounded(value) for name, value in state.items()}


def start_of(experiment: Experiment, seed: int) -> dict[str, Any]:
    """The coordinates that a seed starts from."""
    return coordinates(*experiment.draw(seed))


def flow_of(experiment: Experiment) -> dict[str, float]:
    """The settings of learning, under the names that they have in model.js."""
    flow = experiment.flow
    settings = {"tau_w": flow.tau_w, "tau_c": flow.tau_c, "dt": flow.dt, "a": 0.0, "b": 0.0, "k": 1}
    for penalty in flow.penalties:
        require_instance("penalty", penalty, KNOWN_PENALTIES, "An explorer's model knows no others")
        names = {"a": "a", "b": "b", "ord": "k", "weight_decay": "weight_decay"}
        settings |= {to: getattr(penalty, name) for name, to in names.items() if hasattr(penalty, name)}
    # k, the order of a norm, stays a whole number; settings that are leaves of a pytree may be arrays of jax
    return {name: value if isinstance(value, int) else float(value) for name, value in settings.items()}


def in_population(experiment: Experiment) -> Experiment:
    """The same experiment on all inputs at once, from which most explorers learn."""
    return experiment.replace(inputs=Population())


def duration_of(experiment: Experiment) -> float:
    """How long an experiment lasts, in time units."""
    return round(len(experiment.schedule().tasks) * float(experiment.flow.dt), 9)


def require_two_tasks(experiment: Experiment) -> None:
    """Require an experiment of two tasks and two paths."""
    require_two(experiment.teachers.shape[0], *experiment.network.shapes(*experiment.sizes)["gates"])


def require_two(*tasks_and_paths: int) -> None:
    """Require two tasks and two paths."""
    if tasks_and_paths != (2, 2):
        remedy = "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
        raise refusal("tasks and paths", tasks_and_paths, "this is about two tasks and two paths", remedy)


def panels(columns: int, rows: int = 1, height: float = 2.8) -> tuple[Figure, Any]:
    """A figure with panels side by side, row after row."""
    plotting.use_style()
    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def over_time(results: xr.Dataset, loss: Any, gates: Any) -> None:
    """The still picture of a run: loss and gates over time, with the blocks in the background."""
    plotting.loss(results, loss, color="#222222", linewidth=1)
    plotting.gates(results, gates)
    for ax in (loss, gates):
        ax.set(xlabel="time", xlim=(0, float(results.time[-1])))
        plotting.shade_blocks(results, ax, names=False)


def run_code(experiment: Experiment, seed: int, keep: Sequence[Quantity], show: str, **settings: str) -> str:
    """The Python code that runs an experiment with changed settings, and shows the results.

    Settings stand there as `{name}`, for the explorer to fill in; arrays are left for the reader to put in.
    """
    # equinox prints an array as its type and shape, such as f32[2,10,20]
    text, arrays = re.subn(r"\b[a-z]+\d+\[[\d,]*\](\(numpy\))?", "...", repr(experiment))
    hint = "# put your own arrays where ... stands\n" if arrays else ""
    prefixed = re.sub(r"\b([A-Z]\w+)\(", r"gl.\1(", text)
    indented = re.sub(r"(?m)^ +", lambda spaces: 2 * spaces[0], prefixed)  # to four spaces from equinox's two
    quantities = ", ".join(f"gl.record.{quantity.name}" for quantity in keep)
    changes = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"""import gatedlib as gl

{hint}experiment = {indented}
experiment = experiment.replace({changes})
keep = [{quantities}]
results = gl.simulate(experiment, seeds=[{seed}], record=keep)
{show}
"""
