"""The explorer of phase diagrams: a map of where networks become flexible, and one run at a point of it."""

import ipywidgets
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.analysis import metrics
from gatedlib.model.experiment import Experiment, check_settings
from gatedlib.model.inputs import Population
from gatedlib.simulation import record
from gatedlib.simulation.simulate import simulate
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, panels, require_two_tasks, run_code, slider


def phase_diagram(experiment: Experiment, values: xr.DataArray, seed: int = 0, log: str = "") -> Explorer:
    """Walk over a map of two settings; see the gates of a network that learns at that point.

    Args:
        experiment: what was swept, with two paths for two tasks; its inputs become `Population()`.
        values: the map, a number from 0 to 1 for each point, dims (up, across), both names of settings.
        seed: which teachers and initial weights.
        log: which axes of the map are logarithmic: "", "x", "y" or "xy".

    Raises:
        ValueError: if the map has not two dims, or they are no settings of the experiment.

    Source: paper, Fig. 5.
    """
    require_two_tasks(experiment)
    rule, remedy = "must be two names of settings, (up, across)", 'Average over seeds: values.mean("seed")'
    require(values.ndim == 2, "dims of values", values.dims, rule, remedy)
    check_settings(experiment, map(str, values.dims))
    base = experiment.replace(inputs=Population())
    keep = (record.loss, record.gates, record.alignment)
    figure, (left, right) = panels(2)
    plotting.phase_diagram(values, left, log)
    (here,) = left.plot([], [], "o", ms=9, color="none", markeredgecolor="#222222", markeredgewidth=1.6, animated=True)
    here.set_clip_on(False)  # a point on the map's border is a point
    duration = len(experiment.schedule().tasks) * float(experiment.flow.dt)
    right.set(xlabel="time", ylabel="gates", xlim=(0, duration), ylim=(-0.3, 1.3))
    lines = [right.plot([], [], color=plotting.task_color(task), linewidth=1.0, animated=True)[0] for task in range(2)]
    heading = right.text(1.0, 1.04, "", transform=right.transAxes, ha="right", animated=True)
    up, across = map(str, values.dims)

    def update(**point: float) -> None:
        results = metrics.reorder_paths(simulate(base.replace(**point), [seed], keep))
        for line, path in zip(lines, range(2), strict=True):
            line.set_data(results.time, results.gates[0, :, path])
        here.set_data([point[across]], [point[up]])
        heading.set_text(f"total alignment {float(metrics.total_alignment(results)[0]):.2f}")

    def choice(name: str) -> ipywidgets.Widget:
        places = [float(place) for place in values[name].values]
        middle = places[len(places) // 2]
        words = plotting.setting_name(name).split(" $")[0]
        options = [(f"{place:.3g}", place) for place in places]
        return slider(ipywidgets.SelectionSlider, words, options=options, value=middle)

    show = "gl.plotting.gates(results)"
    return Explorer(
        figure,
        update,
        {across: choice(across), up: choice(up)},
        lambda **point: run_code(base.replace(**point), seed, keep, show),
    )
