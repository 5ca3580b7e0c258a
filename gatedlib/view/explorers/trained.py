"""Explorers of networks that are trained already: new mixtures, a change of mind, gates moved by hand."""

import ipywidgets
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from gatedlib._internal.validation import require, require_instance
from gatedlib.analysis import metrics, transfer
from gatedlib.analysis.requirements import of_seed
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Examples, Population
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, panels, slider


def compose(experiment: Experiment, results: xr.Dataset, seed: int = 0) -> Explorer:
    """Mix a new task from trained ones; see a trained network adapt by its gates alone, and by its weights too.

    Args:
        experiment: what the networks were trained in, one gate per path; its inputs become `Population()`.
        results: its results, with `alignment` recorded and a path for each task.
        seed: which seed of the run.

    Source: paper, Fig. 3C.
    """
    base = experiment.replace(inputs=Population())
    known = experiment.teachers.components
    of_seed(results, seed)
    trained = metrics.reorder_paths(results.sel(seed=[seed]))
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
    (rings,) = right.plot(names, [0.0] * known, "o", color="none", markeredgecolor="#222222", ms=9, animated=True)
    right.set(ylim=(-0.6, 1.6), ylabel="gate of the path", title="gates (bars), asked for (rings)")
    right.axhline(0, color="#999999", linewidth=0.8)

    def update(**mixture: float) -> None:
        weights = [mixture[name] for name in names]
        alone = run(weights, True)
        for curve, after in zip(curves, (alone, run(weights, False)), strict=True):
            curve.set_ydata(after.loss)
        for bar, gate in zip(bars, alone.final_gates.values, strict=False):
            bar.set_height(gate)
        rings.set_ydata(weights)

    def code(**mixture: float) -> str:
        weights = [mixture[name] for name in names]
        return f"""# experiment and results are those that were given to the explorer
trained = gl.metrics.reorder_paths(results.sel(seed=[{seed}]))
base = experiment.replace(inputs=gl.Population())
alone = gl.transfer.adapt(base, trained, {weights}, gates_only=True)
with_weights = gl.transfer.adapt(base, trained, {weights}, gates_only=False)
print(alone.final_gates.values, float(alone.loss[0, -1]), float(with_weights.loss[0, -1]))
"""

    return Explorer(figure, update, sliders, code)


def change_of_mind(runs: dict[str, xr.Dataset], examples: Examples, images: np.ndarray) -> Explorer:
    """Step through a switch of labelling; see what some pictures are called by one network and by another.

    Args:
        runs: results by name, with `matrix` recorded at every step since a switch, of one seed.
        examples: the features and classes of the pictures.
        images: the pictures themselves, shape (sample, row, column).

    Source: paper, Fig. 7.
    """
    require(len(runs) > 0, "runs", runs, "must hold at least one", "Write {'flexible': results}")
    require_instance("examples", examples, Examples, "Use features.held_out()")
    count, rule = len(images), "must be one for each of the examples"
    require(len(examples.classes) == count > 0, "number of pictures", count, rule, "Take the same ones of both")
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
            row_words = words[row * count : (row + 1) * count]
            for answer, wanted, word in zip(called, labels, row_words, strict=True):
                mark, color = plotting.judged(answer == wanted)
                word.set_text(f"{answer}{mark}")
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
    trained = of_seed(metrics.reorder_paths(results), seed)
    sizes = trained.sizes["task"], trained.sizes.get("path", 0)
    rule, remedy = "this is about two tasks and two paths", "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
    require(sizes == (2, 2), "tasks and paths", sizes, rule, remedy)
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
trained = gl.metrics.reorder_paths(results).sel(seed={seed})
first, second = trained.final_weights.values
for teacher in trained.teachers.values:
    print((({first} * first + {second} * second - teacher) ** 2).sum() / 2)
"""

    return Explorer(figure, update, sliders, code)
