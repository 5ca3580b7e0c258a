"""Explorers of networks that are trained already: gates moved by hand, one switch, new mixtures, a change of mind."""

from __future__ import annotations

import base64
import io

import numpy as np
import xarray as xr
from matplotlib.image import imsave

from gatedlib._internal.numerics import ceil_div
from gatedlib._internal.validation import refusal, require_instance
from gatedlib.analysis import metrics, transfer
from gatedlib.analysis.requirements import of_seed
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Examples
from gatedlib.model.networks import Params
from gatedlib.simulation.results import final_params
from gatedlib.simulation.runs import require_recorded, single_run
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, coordinates, flow_of, in_population, panels, require_two, rounded

FRAMES = 200
"""The largest number of frames that an explorer shows of a run."""


def gates_by_hand(results: xr.Dataset, seed: int = 0) -> Explorer:
    """Turn the two gates of a trained network by hand; see what it computes and the loss on both tasks.

    Args:
        results: a trained run with two paths and `alignment` recorded.
        seed: which seed of the run.

    Source: paper, Fig. 1B.
    """
    run = single_run(results)
    require_recorded(run, "teachers", "final_weights")
    trained = of_seed(metrics.reorder_paths(run), seed)
    require_two(trained.sizes["task"], trained.sizes.get("path", 0))
    teachers, weights = trained.teachers.values, trained.final_weights.values
    figure, (left, right) = panels(2)
    plotting.network(2, left, gates=[1.0, 0.0])
    loss = [np.sum((weights[0] - teacher) ** 2) / 2 for teacher in teachers]
    right.bar(["task A", "task B"], loss, color=[plotting.task_color(0), plotting.task_color(1)])
    right.set(ylim=(0, 0.6), ylabel="loss", title="loss on each task")
    code = f"""import gatedlib as gl

# results are those that were given to the explorer
trained = gl.metrics.reorder_paths(results).sel(seed={seed})
first, second = trained.final_weights.values
for teacher in trained.teachers.values:
    print((({{first}} * first + {{second}} * second - teacher) ** 2).sum() / 2)
"""
    start = coordinates(teachers, Params(weights, np.ones(2)))
    alt = "A network diagram with gate 1 fully open and gate 2 shut, beside bars of the loss on task A and on task B."
    return Explorer("gates_by_hand", {"start": start, "code": code}, figure, alt, heights=(30, 52))


def switch(flexible: xr.Dataset, forgetful: xr.Dataset) -> Explorer:
    """Step through one switch of task in the plane of the teachers, in a flexible and a forgetful network.

    Args:
        flexible: a run of one block with two outputs and one input, `gates` and `weights` recorded.
        forgetful: the same of the other network, on the same times.

    Source: paper, Fig. 4A-D.
    """
    flexible, forgetful = (single_run(results, "gates", "weights", "teachers") for results in (flexible, forgetful))
    figure, both = panels(2)
    end, runs = float(flexible.time[-1]), []
    for ax, results, title in zip(both, (flexible, forgetful), ("flexible", "forgetful"), strict=True):
        plotting.plane(results, ax, 0.1 * end)
        ax.set_title(title)
        thinned = results.isel(seed=0, time=slice(None, None, ceil_div(results.sizes["time"], FRAMES)))
        runs.append({"name": title, "gates": rounded(thinned.gates, 5), "weights": rounded(thinned.weights[..., 0], 5)})
    state = {
        "runs": runs,
        "teachers": rounded(flexible.teachers.values[0, ..., 0], 6),
        "times": rounded(thinned.time.values, 6),
        "task": int(flexible.active_task[0]),
        "code": """import gatedlib as gl
import matplotlib.pyplot as plt

# flexible and forgetful are those that were given to the explorer
fig, both = plt.subplots(1, 2)
gl.plotting.plane(flexible, both[0], time={time})
gl.plotting.plane(forgetful, both[1], time={time})
""",
    }
    alt = "The plane of the two teachers soon after a switch, in the flexible and in the forgetful network."
    return Explorer("switch", state, figure, alt, heights=(27, 46))


def compose(experiment: Experiment, results: xr.Dataset, seed: int = 0) -> Explorer:
    """Mix a new task from trained ones; see a trained network adapt by its gates alone, and by its weights too.

    Args:
        experiment: the experiment in which the networks were trained, one gate per path. Its inputs become
            `Population()`.
        results: its results, with `alignment` recorded and a path for each task.
        seed: which seed of the run.

    Source: paper, Fig. 3C.
    """
    base, tasks = in_population(experiment), experiment.teachers.components
    run = single_run(results)
    require_recorded(run, "teachers", "final_weights", "final_gates")
    of_seed(run, seed)
    trained = metrics.reorder_paths(run.sel(seed=[seed]))
    weights = [0.5, 0.5, *[0.0] * tasks][:tasks]
    figure, (left, right) = panels(2)
    for gates_only, color, line, label in (
        (True, plotting.FLEXIBLE["color"], "-", "gates alone"),
        (False, "#222222", "--", "weights too"),
    ):
        after = transfer.adapt(base, trained, weights, gates_only=gates_only).isel(seed=0)
        left.plot(after.time, after.loss, color=color, linestyle=line, label=label)
        if gates_only:
            names = [plotting.task_name(task) for task in range(tasks)]
            colors = [plotting.task_color(task) for task in range(tasks)]
            right.bar(names, after.final_gates, color=colors, alpha=0.7, width=0.6)
            right.plot(names, weights, "o", color="none", markeredgecolor="#222222", ms=9)
    left.set(xlabel="time since the switch", ylabel="loss")
    left.legend()
    right.set(ylabel="gate of the path", title="gates (bars), asked for (rings)")
    params = final_params(trained)
    state = {
        "start": coordinates(trained.teachers.values[0, :tasks], Params(params.weights[0], params.gates[0])),
        "flow": flow_of(base),
        "mixture": weights,
        "code": f"""import gatedlib as gl

# experiment and results are those that were given to the explorer
trained = gl.metrics.reorder_paths(results.sel(seed=[{seed}]))
base = experiment.replace(inputs=gl.Population())
alone = gl.transfer.adapt(base, trained, {{mixture}}, gates_only=True)
with_weights = gl.transfer.adapt(base, trained, {{mixture}}, gates_only=False)
print(alone.final_gates.values, float(alone.loss[0, -1]), float(with_weights.loss[0, -1]))
""",
    }
    alt = "Loss after a switch to a new mixture, gates alone and weights too, and the gates beside the mixture."
    return Explorer("compose", state, figure, alt, heights=(30, 54))


def change_of_mind(runs: dict[str, xr.Dataset], examples: Examples, images: np.ndarray) -> Explorer:
    """Step through a switch of labelling; see which labels pictures get from one network and from another.

    Args:
        runs: results by name, with `matrix` recorded at every step since a switch, of one seed.
        examples: the features and classes of the pictures.
        images: the pictures themselves, shape (sample, row, column), 0 to 1.

    Source: paper, Fig. 7.
    """
    if not runs:
        raise refusal("runs", runs, "must hold at least one", "Write {'flexible': results}")
    require_instance("examples", examples, Examples, "Use features.held_out()")
    count = len(images)
    if count == 0 or len(examples.classes) != count:
        rule, remedy = "must be one for each of the examples", "Take the same ones of both"
        raise refusal("number of pictures", count, rule, remedy)
    runs = {name: single_run(results, "matrix", "teachers").isel(seed=0) for name, results in runs.items()}
    steps = min(run.sizes["time"] for run in runs.values())
    first = min(5, steps - 1)
    figure, axes = panels(count, len(runs))
    states = []
    for row, (name, run) in zip(axes.reshape(-1, count), runs.items(), strict=True):
        matrices = run.matrix.isel(time=slice(steps)).values
        answers = np.argmax(np.einsum("tij,sj->tsi", matrices, np.asarray(examples.features)), -1)
        task = run.teachers.sel(task=int(run.active_task[0])).values
        labels = np.argmax(examples.labels(task), -1)
        states.append({"name": name, "called": answers.tolist(), "wanted": labels.tolist()})
        for ax, image, answer, label in zip(row, images, answers[first], labels, strict=True):
            plotting.answer(image, str(answer), bool(answer == label), ax=ax)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    state = {
        "runs": states,
        "pictures": [_picture(image) for image in images],
        "step": first,
        "code": """# runs and examples are those that were given to the explorer
for name, results in runs.items():
    now = results.isel(time={step})
    print(name, (examples.features @ now.matrix.values.T).argmax(-1))
""",
    }
    alt = "Rows of pictures with the labels that each network gives them a few steps after a switch."
    return Explorer("change_of_mind", state, figure, alt, heights=(34, 61))


def _picture(image: np.ndarray) -> str:
    """A picture as a data URL, black on white."""
    file = io.BytesIO()
    imsave(file, image, format="png", cmap="gray_r", vmin=0, vmax=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
