"""Explorers of networks that are trained already: gates moved by hand, one switch, new mixtures, a change of mind."""

from __future__ import annotations

import base64
import io

import numpy as np
import xarray as xr
from matplotlib.image import imsave

from gatedlib._internal.validation import require, require_instance
from gatedlib.analysis import metrics, transfer
from gatedlib.analysis.requirements import of_seed
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Examples
from gatedlib.model.networks import Params
from gatedlib.simulation.results import final_params
from gatedlib.simulation.runs import require_recorded, single_run
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, coordinates, flow_of, in_population, panels, rounded

FRAMES = 200
"""How many moments of a run an explorer shows at most."""


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
    sizes = trained.sizes["task"], trained.sizes.get("path", 0)
    rule, remedy = "this is about two tasks and two paths", "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
    require(sizes == (2, 2), "tasks and paths", sizes, rule, remedy)
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
    words = "A network diagram with gate 1 fully open and gate 2 shut, beside bars of the loss on task A and on task B."
    return Explorer("gates_by_hand", {"start": start, "code": code}, figure, words, room=(30, 52))


def switch(flexible: xr.Dataset, forgetful: xr.Dataset) -> Explorer:
    """Step through one switch of task in the plane of the teachers, in a flexible and a forgetful network.

    Args:
        flexible: a run of one block with two outputs and one input, `gates` and `weights` recorded.
        forgetful: the same of the other network, on the same times.

    Source: paper, Fig. 4A-D.
    """
    flexible, forgetful = (single_run(results, "gates", "weights", "teachers") for results in (flexible, forgetful))
    figure, both = panels(2)
    last, runs = float(flexible.time[-1]), []
    for ax, results, title in zip(both, (flexible, forgetful), ("flexible", "forgetful"), strict=True):
        plotting.plane(results, ax, 0.1 * last)
        ax.set_title(title)
        shown = results.isel(seed=0, time=slice(None, None, -(-results.sizes["time"] // FRAMES)))
        runs.append({"name": title, "gates": rounded(shown.gates, 5), "weights": rounded(shown.weights[..., 0], 5)})
    state = {
        "runs": runs,
        "teachers": rounded(flexible.teachers.values[0, ..., 0], 6),
        "times": rounded(shown.time.values, 6),
        "task": int(flexible.active_task[0]),
        "code": """import gatedlib as gl
import matplotlib.pyplot as plt

# flexible and forgetful are those that were given to the explorer
fig, both = plt.subplots(1, 2)
gl.plotting.plane(flexible, both[0], time={time})
gl.plotting.plane(forgetful, both[1], time={time})
""",
    }
    words = "The plane of the two teachers soon after a switch, in the flexible and in the forgetful network."
    return Explorer("switch", state, figure, words, room=(27, 46))


def compose(experiment: Experiment, results: xr.Dataset, seed: int = 0) -> Explorer:
    """Mix a new task from trained ones; see a trained network adapt by its gates alone, and by its weights too.

    Args:
        experiment: what the networks were trained in, one gate per path; its inputs become `Population()`.
        results: its results, with `alignment` recorded and a path for each task.
        seed: which seed of the run.

    Source: paper, Fig. 3C.
    """
    base, known = in_population(experiment), experiment.teachers.components
    run = single_run(results)
    require_recorded(run, "teachers", "final_weights", "final_gates")
    of_seed(run, seed)
    trained = metrics.reorder_paths(run.sel(seed=[seed]))
    weights = [0.5, 0.5, *[0.0] * known][:known]
    figure, (left, right) = panels(2)
    for gates_only, color, line, label in (
        (True, plotting.FLEXIBLE["color"], "-", "gates alone"),
        (False, "#222222", "--", "weights too"),
    ):
        after = transfer.adapt(base, trained, weights, gates_only=gates_only).isel(seed=0)
        left.plot(after.time, after.loss, color=color, linestyle=line, label=label)
        if gates_only:
            names = [plotting.task_name(task) for task in range(known)]
            colors = [plotting.task_color(task) for task in range(known)]
            right.bar(names, after.final_gates, color=colors, alpha=0.7, width=0.6)
            right.plot(names, weights, "o", color="none", markeredgecolor="#222222", ms=9)
    left.set(xlabel="time since the switch", ylabel="loss")
    left.legend()
    right.set(ylabel="gate of the path", title="gates (bars), asked for (rings)")
    params = final_params(trained)
    state = {
        "start": coordinates(trained.teachers.values[0, :known], Params(params.weights[0], params.gates[0])),
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
    words = "Loss after a switch to a new mixture, gates alone and weights too, and the gates beside the mixture."
    return Explorer("compose", state, figure, words, room=(30, 54))


def change_of_mind(runs: dict[str, xr.Dataset], examples: Examples, images: np.ndarray) -> Explorer:
    """Step through a switch of labelling; see what some pictures are called by one network and by another.

    Args:
        runs: results by name, with `matrix` recorded at every step since a switch, of one seed.
        examples: the features and classes of the pictures.
        images: the pictures themselves, shape (sample, row, column), 0 to 1.

    Source: paper, Fig. 7.
    """
    require(len(runs) > 0, "runs", runs, "must hold at least one", "Write {'flexible': results}")
    require_instance("examples", examples, Examples, "Use features.held_out()")
    count, rule = len(images), "must be one for each of the examples"
    require(len(examples.classes) == count > 0, "number of pictures", count, rule, "Take the same ones of both")
    runs = {name: single_run(results, "matrix", "teachers").isel(seed=0) for name, results in runs.items()}
    steps = min(run.sizes["time"] for run in runs.values())
    first = min(5, steps - 1)
    figure, axes = panels(count, len(runs))
    shown = []
    for row, (name, run) in zip(axes.reshape(-1, count), runs.items(), strict=True):
        matrices = run.matrix.isel(time=slice(steps)).values
        called = np.argmax(np.einsum("tij,sj->tsi", matrices, np.asarray(examples.features)), -1)
        task = run.teachers.sel(task=int(run.active_task[0])).values
        wanted = np.argmax(examples.labels(task), -1)
        shown.append({"name": name, "called": called.tolist(), "wanted": wanted.tolist()})
        for ax, image, answer, right in zip(row, images, called[first], wanted, strict=True):
            plotting.answer(image, str(answer), bool(answer == right), ax=ax)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    state = {
        "runs": shown,
        "pictures": [_picture(image) for image in images],
        "step": first,
        "code": """# runs and examples are those that were given to the explorer
for name, results in runs.items():
    now = results.isel(time={step})
    print(name, (examples.features @ now.matrix.values.T).argmax(-1))
""",
    }
    words = "Rows of pictures with the labels that each network gives them a few steps after a switch."
    return Explorer("change_of_mind", state, figure, words, room=(34, 61))


def _picture(image: np.ndarray) -> str:
    """A picture as an address that holds it, black on white."""
    to = io.BytesIO()
    imsave(to, image, format="png", cmap="gray_r", vmin=0, vmax=1)
    return f"data:image/png;base64,{base64.b64encode(to.getvalue()).decode()}"
