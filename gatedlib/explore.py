"""Explorers: a few sliders and a picture that follows them, for notebooks.

In a running notebook an explorer is a widget. Where nothing runs, as in the published book, it shows its picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets
import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from gatedlib import _check, metrics, plotting, record, transfer
from gatedlib._asked import checked_experiment
from gatedlib._explorer import DT, Explorer, panels, run_code, slider, speeds, two_by_two
from gatedlib._mapping import phase_diagram
from gatedlib._measuring import needs, of_seed
from gatedlib._scheduling import schedule
from gatedlib.curricula import Blocked
from gatedlib.engine import simulate
from gatedlib.experiment import Experiment, setting
from gatedlib.inputs import Examples, Population
from gatedlib.networks import TwoLayer
from gatedlib.penalties import WeightDecay

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
    two_by_two(experiment)
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
        results = metrics.relabelled(simulate(changed(**moved), [seed], keep))
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
        needs(results, "gates", "weights")
    figure, both = panels(2)
    last = float(flexible.time[-1])

    def update(time: float) -> None:
        for ax, results, title in zip(both, (flexible, forgetful), ("flexible", "forgetful"), strict=True):
            ax.clear()
            plotting.plane(results, ax, time)
            ax.set_title(title)

    time = slider(ipywidgets.FloatSlider, "time since the switch", min=0.0, max=last, value=0.1 * last, step=last / 50)
    return Explorer(figure, update, {"time": time}, lambda time: f"gl.plotting.plane(flexible, time={time})")


def compose(experiment: Experiment, results: xr.Dataset, seed: int = 0) -> Explorer:
    """Mix a new task from trained ones; see a trained network adapt by its gates alone, and by its weights too.

    Args:
        experiment: what the networks were trained in, one gate per path; its inputs become `Population()`.
        results: its results, with `alignment` recorded and a path for each task.
        seed: which seed of the run.

    Source: paper, Fig. 3C.
    """
    checked_experiment(experiment)
    base = experiment.replace(inputs=Population())
    known = experiment.teachers.components
    of_seed(results, seed)
    trained = metrics.relabelled(results.sel(seed=[seed]))
    figure, (left, right) = panels(2)
    sliders = {
        plotting.task_name(task): slider(
            ipywidgets.FloatSlider, f"how much of {plotting.task_name(task)}", min=-0.5, max=1.5, value=start, step=0.05
        )
        for task, start in enumerate([0.5, 0.5, *[0.0] * known][:known])
    }

    def run(weights: list[float], gates_only: bool) -> xr.Dataset:
        return transfer.adapt(base, trained, weights, gates_only=gates_only).isel(seed=0)

    first = run([slider.value for slider in sliders.values()], True)
    left.set(xlim=(0, float(first.time[-1])), ylim=(0, 0.8), xlabel="time since the switch", ylabel="loss")
    styles = (("gates alone", plotting.FLEXIBLE["color"], "-"), ("weights too", "#222222", "--"))
    curves = [
        left.plot(first.time, first.loss, color=color, linestyle=line, label=label, animated=True)[0]
        for label, color, line in styles
    ]
    left.legend(handles=curves, loc="upper right")
    names, colors = list(sliders), [plotting.task_color(task) for task in range(known)]
    bars = right.bar(names, [0.0] * known, color=colors, alpha=0.7, width=0.6, animated=True)
    (asked,) = right.plot(names, [0.0] * known, "o", color="none", markeredgecolor="#222222", ms=9, animated=True)
    right.set(ylim=(-0.6, 1.6), ylabel="gate of the path", title="gates (bars), asked for (rings)")
    right.axhline(0, color="#999999", linewidth=0.8)

    def update(**mixture: float) -> None:
        weights = [mixture[name] for name in names]
        alone = run(weights, True)
        for curve, after in zip(curves, (alone, run(weights, False)), strict=True):
            curve.set_ydata(after.loss)
        for bar, gate in zip(bars, alone.final_gates.values, strict=False):
            bar.set_height(gate)
        asked.set_ydata(weights)

    def code(**mixture: float) -> str:
        weights = [mixture[name] for name in names]
        return f"""# experiment and results are those that were given to the explorer
trained = gl.metrics.relabelled(results.sel(seed=[{seed}]))
base = experiment.replace(inputs=gl.Population())
alone = gl.transfer.adapt(base, trained, {weights}, gates_only=True)
with_weights = gl.transfer.adapt(base, trained, {weights}, gates_only=False)
print(alone.final_gates.values, float(alone.loss[0, -1]), float(with_weights.loss[0, -1]))
"""

    return Explorer(figure, update, sliders, code)


def second_layer(experiment: Experiment, seed: int = 0) -> Explorer:
    """Turn the penalties of a network with two layers up and down; see its second layer at the ends of two blocks.

    Args:
        experiment: a `TwoLayer` student with the penalties a and b, and maybe a `WeightDecay`; its inputs become
            `Population()`.
        seed: which teachers and initial weights.

    Source: paper, Fig. 6.
    """
    checked_experiment(experiment)
    _check.kind("network", experiment.network, TwoLayer, "Use TwoLayer(hidden=20)")
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
        matched = metrics.relabelled(results).isel(seed=0)
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
            ("w", "cost on layer 1", 0.02),
        )
    }
    show = "gl.plotting.second_layer(gl.metrics.relabelled(results).gates.isel(seed=0, time=-1))"
    return Explorer(figure, update, sliders, lambda **moved: run_code(base.replace(**moved), seed, keep, show))


def change_of_mind(runs: dict[str, xr.Dataset], examples: Examples, images: np.ndarray) -> Explorer:
    """Step through a switch of labelling; see what some pictures are called by one network and by another.

    Args:
        runs: results by name, with `matrix` recorded at every step since a switch, of one seed.
        examples: the features and classes of the pictures.
        images: the pictures themselves, shape (sample, row, column).

    Source: paper, Fig. 7.
    """
    _check.require(len(runs) > 0, "runs", runs, "must hold at least one", "Write {'flexible': results}")
    _check.kind("examples", examples, Examples, "Use features.held_out()")
    count, rule = len(images), "must be one for each of the examples"
    _check.require(len(examples.classes) == count > 0, "number of pictures", count, rule, "Take the same ones of both")
    plotting.use_style()
    figure = Figure(figsize=(7.2, 1.3 * len(runs) + 0.4))
    figure.set_layout_engine("none")
    margins = {"left": 0.14, "right": 0.99, "bottom": 0.15, "top": 0.92}
    axes = figure.subplots(len(runs), count, gridspec_kw=margins, squeeze=False)
    words = []
    for row, name in zip(axes, runs, strict=True):
        for ax, image in zip(row, images, strict=True):
            plotting.answer(image, "", ax=ax)
            words.append(ax.text(0.5, -0.3, "", ha="center", transform=ax.transAxes, fontsize=11, animated=True))
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")

    def update(step: int) -> None:
        for row, results in enumerate(runs.values()):
            now = results.isel(time=step)
            labels = np.argmax(examples.labels(now.teachers.sel(task=int(now.active_task)).values), -1)
            called = np.argmax(np.asarray(examples.features) @ now.matrix.values.T, -1)
            told = words[row * count : (row + 1) * count]
            for said, wanted, word in zip(called, labels, told, strict=True):
                mark, color = plotting.judged(said == wanted)
                word.set_text(f"{said}{mark}")
                word.set_color(color)

    last = min(results.sizes["time"] for results in runs.values()) - 1
    step = slider(ipywidgets.IntSlider, "steps since the switch", min=0, max=last, value=min(5, last))

    def code(step: int) -> str:
        return f"""# runs and examples are those that were given to the explorer
for name, results in runs.items():
    now = results.isel(time={step})
    print(name, (examples.features @ now.matrix.values.T).argmax(-1))
"""

    return Explorer(figure, update, {"step": step}, code)


def gates_by_hand(results: xr.Dataset, seed: int = 0) -> Explorer:
    """Turn the two gates of a trained network by hand; see what it computes and the loss on both tasks.

    Args:
        results: a trained run with two paths and `alignment` recorded.
        seed: which seed of the run.

    Source: paper, Fig. 1B.
    """
    trained = of_seed(metrics.relabelled(results), seed)
    sizes = trained.sizes["task"], trained.sizes.get("path", 0)
    rule, remedy = "this is about two tasks and two paths", "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
    _check.require(sizes == (2, 2), "tasks and paths", sizes, rule, remedy)
    teachers, weights = trained.teachers.values, trained.final_weights.values
    figure, (left, right) = panels(2)
    bars = right.bar(["task A", "task B"], [0.0, 0.0], color=[plotting.task_color(0), plotting.task_color(1)])
    right.set(ylim=(0, 0.6), ylabel="loss", title="loss on each task")

    def update(first: float, second: float) -> None:
        effective = first * weights[0] + second * weights[1]
        for bar, teacher in zip(bars, teachers, strict=True):
            bar.set_height(np.sum((effective - teacher) ** 2) / 2)
        left.clear()
        plotting.network(2, left, gates=[first, second])

    sliders = {
        "first": slider(ipywidgets.FloatSlider, "gate of path 1", min=0.0, max=1.0, value=1.0, step=0.05),
        "second": slider(ipywidgets.FloatSlider, "gate of path 2", min=0.0, max=1.0, value=0.0, step=0.05),
    }

    def code(first: float, second: float) -> str:
        return f"""# results are those that were given to the explorer
trained = gl.metrics.relabelled(results).sel(seed={seed})
first, second = trained.final_weights.values
for teacher in trained.teachers.values:
    print((({first} * first + {second} * second - teacher) ** 2).sum() / 2)
"""

    return Explorer(figure, update, sliders, code)
