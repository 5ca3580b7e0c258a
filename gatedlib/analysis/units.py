"""What the gates and weights of a run belong to: paths or hidden units, outputs, and tasks."""

import numpy as np
import xarray as xr

from gatedlib.simulation.runs import runs_of


def unit_dim(run: xr.Dataset) -> str:
    """The axis of gates in these results: `path`, or `hidden` for the hidden units of a `TwoLayer` network."""
    return runs_of(run)[0].gate_dims[0]


def outputs_share_units(run: xr.Dataset) -> bool:
    """Whether units have one row of weights for all outputs, as hidden units have, and no matrix."""
    return "out" not in runs_of(run)[0].weight_dims


def outputs_have_gates(run: xr.Dataset) -> bool:
    """Whether each output has gates of its own."""
    return "out" in runs_of(run)[0].gate_dims


def learned_tasks(run: xr.Dataset) -> np.ndarray:
    """Which tasks may have a path of their own: those that are not composites, and that the network has met.

    A network that did not begin with drawn parameters may have met all of them in an earlier run.
    """
    own, tasks = runs_of(run)[0], run.task.values
    continued = any(single.initial for single in runs_of(run))
    return (tasks < own.components) & (np.isin(tasks, own.met) | continued)
