"""Results: the arrays of a run with names on their axes, its table of blocks and its settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

import gatedlib
from gatedlib.curricula import Schedule
from gatedlib.experiment import DivergenceError, Experiment
from gatedlib.networks import Params
from gatedlib.record import Quantity


def label(
    experiment: Experiment,
    schedule: Schedule,
    seeds: np.ndarray,
    record: tuple[Quantity, ...],
    every: int,
    teachers: Array,
    final: Params,
    frames: dict[str, Array],
) -> xr.Dataset:
    """Turn the arrays of a run into a dataset, or raise `DivergenceError` if they are not all finite."""
    network, dt = experiment.network, float(experiment.flow.dt)
    steps = np.arange(0, len(schedule.tasks), every)
    values = {name: np.asarray(value) for name, value in frames.items()}
    ends = {"final_weights": np.asarray(final.weights), "final_gates": np.asarray(final.gates)}
    _refuse_divergence(values, ends, seeds, steps, dt, len(schedule.tasks))

    variables: dict[str, Any] = {q.name: (("seed", "time", *q.dims_for(network)), values[q.name]) for q in record}
    variables["teachers"] = (("seed", "task", "out", "in"), np.asarray(teachers))
    variables["final_weights"] = (("seed", *network.weight_dims), ends["final_weights"])
    variables["final_gates"] = (("seed", *network.gate_dims), ends["final_gates"])
    coordinates = {
        "seed": seeds,
        "time": steps * dt,
        "step": ("time", steps),
        "active_task": ("time", schedule.tasks[steps]),
        "block": np.arange(1, len(schedule.start) + 1),
        "block_start": ("block", schedule.start),
        "block_stop": ("block", schedule.stop),
        "block_task": ("block", schedule.block_tasks),
    }
    versions = {"gatedlib_version": gatedlib.__version__, "jax_version": jax.__version__}
    data = xr.Dataset(variables, coordinates, {**settings(experiment), "every": every, **versions})
    indices = {str(dim): np.arange(size) for dim, size in data.sizes.items() if dim not in data.coords}
    return data.assign_coords(indices)


def settings(part: eqx.Module, prefix: str = "") -> dict[str, Any]:
    """The settings of an experiment as flat names and plain values, fit for the attributes of a netCDF file.

    Example:
        >>> import gatedlib as gl
        >>> from gatedlib.results import settings
        >>> settings(gl.Flow(tau_w=1.3, tau_c=0.03, inputs=gl.Sampled(200)))
        {'tau_w': 1.3, 'tau_c': 0.03, 'dt': 0.001, 'penalties': '', 'inputs': 'Sampled', 'inputs.batch': 200}
    """
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        name, value = prefix + field.name, getattr(part, field.name)
        if isinstance(value, eqx.Module):
            flat[name] = type(value).__name__
            flat |= settings(value, f"{name}.")
        elif isinstance(value, tuple) and all(isinstance(child, eqx.Module) for child in value):
            flat[name] = " + ".join(type(child).__name__ for child in value)
            for child in value:
                flat |= settings(child, f"{name}.{type(child).__name__}.")
        elif value is None:
            flat[name] = "default"
        elif isinstance(value, tuple | np.ndarray | jax.Array):
            flat[name] = np.asarray(value).ravel()
        else:
            flat[name] = value
    return flat


def final_params(results: xr.Dataset) -> Params:
    """The parameters at the end of a run, to start another from: shapes (seed, path, out, in) and (seed, path).

    Example:
        >>> import gatedlib as gl, math
        >>> experiment = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... )
        >>> trained = gl.results.final_params(gl.simulate(experiment, seeds=3))
        >>> gates_only = gl.simulate(experiment.replace(tau_w=math.inf), seeds=3, initial=trained)
        >>> bool((gates_only.final_weights == trained.weights).all())
        True
    """
    return Params(jnp.asarray(results.final_weights.values), jnp.asarray(results.final_gates.values))


def _refuse_divergence(
    values: dict[str, np.ndarray],
    ends: dict[str, np.ndarray],
    seeds: np.ndarray,
    steps: np.ndarray,
    dt: float,
    last: int,
) -> None:
    """Raise `DivergenceError` with the first time at which something is not finite."""
    worst: tuple[int, str, int] | None = None
    for name, value in values.items():
        bad = ~np.isfinite(value).reshape(len(seeds), len(steps), -1).all(-1)
        if bad.any():
            when = int(steps[bad.any(0).argmax()])
            if worst is None or when < worst[0]:
                worst = when, name, int(seeds[bad[:, bad.any(0).argmax()].argmax()])
    for name, value in ends.items():
        bad = ~np.isfinite(value).reshape(len(seeds), -1).all(-1)
        if worst is None and bad.any():
            worst = last, name, int(seeds[bad.argmax()])
    if worst is not None:
        step, name, seed = worst
        raise DivergenceError(
            f"{name} = nan or inf at time {step * dt:.6g} (step {step}, seed {seed}): the run diverged, its step is "
            f"too long for its time constants. Reduce dt (now {dt:g}), or raise tau_w and tau_c."
        )
