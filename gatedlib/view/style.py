"""The names of tasks in pictures, and the colours of tasks and of both kinds of networks."""

from string import ascii_uppercase

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require_integer
from gatedlib.simulation.runs import runs_of, single_run

TASK_COLORS = ("#0072B2", "#D55E00", "#B8860B", "#56B4E9", "#7A3E9D", "#333333")
FLEXIBLE = {"color": "#008060", "label": "flexible"}
FORGETFUL = {"color": "#5F6B76", "label": "forgetful", "linestyle": "--"}


def task_name(task: int) -> str:
    """Tasks are called A, B, C, … in pictures, and A2, B2, … once the alphabet is used up.

    Raises:
        ValueError: if the task is no whole number from 0 on.

    Example:
        >>> from gatedlib.view.plotting import task_name
        >>> task_name(1), task_name(26)
        ('B', 'A2')
    """
    turn, letter = divmod(require_integer("task", task, 0, "Tasks are counted from 0"), len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(turn + 1) if turn else "")


def task_color(task: int) -> str:
    """The colour of a task, and of the path that serves it."""
    return TASK_COLORS[require_integer("task", task, 0, "Tasks are counted from 0") % len(TASK_COLORS)]


def mixture_weights(results: xr.Dataset) -> np.ndarray:
    """The weights with which components add up to each composite, shape (composite, component)."""
    run = single_run(results, "teachers")
    # the weights are the same for all seeds, so the teachers of the first one are enough
    teachers, components = run.teachers.values[0], runs_of(run)[0].components
    flat = teachers.reshape(len(teachers), -1)
    return np.linalg.lstsq(flat[:components].T, flat[components:].T)[0].T


def task_names(results: xr.Dataset) -> list[str]:
    """The names of the tasks of a run: A, B, C, … for components, and for composites the letters of their parts.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Sums(gl.Orthogonal(), [(0.5, 0.5)]), gl.GatedLinear(), gl.Blocked(blocks=2),
        ...     gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=1)
        >>> gl.plotting.task_names(results)
        ['A', 'B', 'AB']
    """
    weights = mixture_weights(results)
    components = [task_name(task) for task in range(weights.shape[1])]
    composites = ["".join(np.array(components)[abs(row) > 1e-3]) for row in weights]
    return components + composites
