"""Explorers: a few sliders and a picture that follows them, for notebooks.

In a running notebook an explorer is a widget. Where nothing runs, as in the published book, it shows its picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets
import xarray as xr
from matplotlib.colors import ListedColormap

from gatedlib._internal.validation import require_instance
from gatedlib.analysis import metrics
from gatedlib.analysis.requirements import require_recorded
from gatedlib.model.curricula import Blocked
from gatedlib.model.experiment import Experiment, setting
from gatedlib.model.inputs import Population
from gatedlib.model.networks import TwoLayer
from gatedlib.model.penalties import WeightDecay
from gatedlib.simulation import record
from gatedlib.simulation.simulate import simulate
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import DT, Explorer, panels, require_two_tasks, run_code, slider, speeds
from gatedlib.view.explorers.phase_diagram import phase_diagram
from gatedlib.view.explorers.schedule import schedule
from gatedlib.view.explorers.trained import change_of_mind, compose, gates_by_hand

__all__ = [
    "Explorer",
    "change_of_mind",
    "compose",
    "gates_by_hand",
    "phase_diagram",
    "regimes",
    "schedule",
    "second_layer",
    "switch",
]


def regimes(experiment: Experiment, seed: int = 0) -> Explorer:
    """Move block length, speed of the gates and strength of their penalties; see loss and gates over the whole run.

    Args:
        experiment: a blocked experiment of two paths with penalties a and b; its inputs become `Population()`, and
            its duration stays the same whatever the length of its blocks.
        seed: which teachers and initial weights.

    Source: paper, Figs. 2 and 5.
    """
    require_two_tasks(experiment)
    duration = len(experiment.schedule().tasks) * float(experiment.flow.dt)
    first_length = float(experiment.schedule().stop[0]) * float(experiment.flow.dt)
    base = experiment.replace(inputs=Population(), dt=DT, curriculum=Blocked(duration=duration))
    figure, (left, right) = panels(2)
    keep = (record.loss, record.gates, record.alignment)

    a, b = setting(experiment, "a"), setting(experiment, "b")

    def changed(block_length: float, tau_c: float, strength: float) -> Experiment:
        return base.replace(block_length=block_length, tau_c=tau_c, a=strength * a, b=strength * b)

    first = simulate(changed(first_length, float(base.flow.tau_c), 1.0), [seed], keep)
    left.set(ylim=(0, 0.6), ylabel="loss")
    right.set(ylim=(-0.3, 1.3), ylabel="gates")
    tints = ListedColormap([plotting.task_color(task) for task in range(2)])
    blocks = []
    for ax in (left, right):
        ax.set(xlim=(0, duration), xlabel="time")
        extent = (0, duration, *ax.get_ylim())
        blocks.append(
            ax.imshow([[0, 1]], tints, aspect="auto", alpha=0.1, extent=extent, vmin=0, vmax=1, animated=True)
        )
    (loss_line,) = left.plot(first.time, first.loss[0], color="#222222", linewidth=1.2, animated=True)
    gate_lines = [
        right.plot(first.time, first.gates[0, :, 0], color=plotting.task_color(task), linewidth=1.2, animated=True)[0]
        for task in range(2)
    ]
    heading = left.text(1.0, 1.02, "", transform=left.transAxes, ha="right", animated=True)

    def update(**moved: float) -> None:
        results = metrics.reorder_paths(simulate(changed(**moved), [seed], keep))
        for tint in blocks:
            tint.set_data(results.active_task.values[None])
        loss_line.set_ydata(results.loss[0])
        for line, path in zip(gate_lines, range(2), strict=True):
            line.set_ydata(results.gates[0, :, path])
        whole = (results.block_stop - results.block_start).values == int(results.block_stop[0])
        recovery = metrics.time_to_criterion(results).isel(seed=0).values[whole][-1]
        heading.set_text(f"last recovery: {recovery:.2f}")

    block_length = slider(
        ipywidgets.FloatSlider, "block length", min=0.05, max=3.0, value=first_length, step=0.05, readout_format=".2f"
    )
    strength = slider(ipywidgets.FloatSlider, "penalty strength", min=0.0, max=1.5, value=1.0, step=0.05)
    sliders = {"block_length": block_length, "tau_c": speeds(0.02, 1.6, base.flow.tau_c), "strength": strength}
    return Explorer(
        figure, update, sliders, lambda **moved: run_code(changed(**moved), seed, keep, "gl.plotting.gates(results)")
    )


def switch(flexible: xr.Dataset, forgetful: xr.Dataset) -> Explorer:
    """Step through one switch of task in the plane of the teachers, in a flexible and a forgetful network.

    Args:
        flexible: a run of one block with two outputs and one input, `gates` and `weights` recorded.
        forgetful: the same of the other network, on the same times.

    Source: paper, Fig. 4A-D.
    """
    for results in (flexible, forgetful):
        require_recorded(results, "gates", "weights")
    figure, both = panels(2)
    last = float(flexible.time[-1])

    def update(time: float) -> None:
        for ax, results, title in zip(both, (flexible, forgetful), ("flexible", "forgetful"), strict=True):
            ax.clear()
            plotting.plane(results, ax, time)
            ax.set_title(title)

    time = slider(ipywidgets.FloatSlider, "time since the switch", min=0.0, max=last, value=0.1 * last, step=last / 50)
    return Explorer(figure, update, {"time": time}, lambda time: f"gl.plotting.plane(flexible, time={time})")


def second_layer(experiment: Experiment, seed: int = 0) -> Explorer:
    """Turn the penalties of a network with two layers up and down; see its second layer at the ends of two blocks.

    Args:
        experiment: a `TwoLayer` student with the penalties a and b, and maybe a `WeightDecay`; its inputs become
            `Population()`.
        seed: which teachers and initial weights.

    Source: paper, Fig. 6.
    """
    require_instance("network", experiment.network, TwoLayer, "Use TwoLayer(hidden=20)")
    penalties = experiment.flow.penalties
    if not any(isinstance(penalty, WeightDecay) for penalty in penalties):
        penalties = (*penalties, WeightDecay(0.0))
    base = experiment.replace(inputs=Population(), penalties=penalties)
    blocks = base.schedule()
    every = int(blocks.stop[0])
    figure, both = panels(2)
    keep = (record.gates, record.alignment, record.loss)
    heading = both[1].text(1.0, -0.26, "", transform=both[1].transAxes, ha="right", fontsize=9, animated=True)

    def ends(results: xr.Dataset) -> Iterator[tuple[int, xr.DataArray]]:
        """The second layer at the ends of the last two blocks."""
        matched = metrics.reorder_paths(results).isel(seed=0)
        return ((back, matched.gates.isel(time=-1 - every * back)) for back in (1, 0))

    for ax, (back, gates) in zip(both, ends(simulate(base, [seed], keep)), strict=True):
        plotting.second_layer(gates, ax)
        ax.images[0].set_animated(True)
        ax.set_title(f"at the end of task {plotting.task_name(int(blocks.block_tasks[-1 - back]))}")

    def update(**strengths: float) -> None:
        results = simulate(base.replace(**strengths), [seed], keep)
        for ax, (_, gates) in zip(both, ends(results), strict=True):
            ax.images[0].set_data(abs(gates).transpose("out", "hidden"))
        share = metrics.end_of_block(metrics.gate_like(results), results).isel(block=slice(-2, None)).mean()
        recovery = metrics.time_to_criterion(results).isel(block=slice(-4, None)).mean()
        heading.set_text(f"recovery {float(recovery):.2f}, on the active task's units {float(share):.0%}")

    sliders = {
        name: slider(
            ipywidgets.FloatSlider,
            text,
            min=0.0,
            max=most,
            value=setting(base, name),
            step=most / 20,
            readout_format=".3f",
        )
        for name, text, most in (
            ("a", "nonnegativity a", 0.3),
            ("b", "bound b", 0.4),
            ("weight_decay", "cost on layer 1", 0.02),
        )
    }
    show = "gl.plotting.second_layer(gl.metrics.reorder_paths(results).gates.isel(seed=0, time=-1))"
    return Explorer(figure, update, sliders, lambda **moved: run_code(base.replace(**moved), seed, keep, show))
