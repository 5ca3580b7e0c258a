"""Results: the arrays of a run with names on their axes, its table of blocks and its settings."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from gatedlib._internal.identity import fingerprint
from gatedlib._internal.validation import is_number, require, require_member, to_plain
from gatedlib._internal.version import __version__
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment
from gatedlib.model.networks import Params
from gatedlib.simulation.record import Quantity

MAX_INLINE_SIZE = 10_000
"""Arrays of at most so many numbers stand in the settings as they are, larger ones with their checksum."""

VERSIONS = {"gatedlib_version": __version__, "jax_version": jax.__version__}


def label(
    experiment: Experiment,
    schedule: Schedule,
    seeds: np.ndarray,
    record: tuple[Quantity, ...],
    every: int,
    teachers: Array | np.ndarray,
    final: Params,
    frames: dict[str, np.ndarray] | dict[str, Array],
    start: int = 0,
) -> xr.Dataset:
    """Turn the arrays of some runs into a dataset."""
    network, dt = experiment.network, float(experiment.flow.dt)
    steps = np.arange(0, len(schedule.tasks), every)
    values = {name: np.asarray(value) for name, value in frames.items()}
    ends = {"final_weights": np.asarray(final.weights), "final_gates": np.asarray(final.gates)}

    variables: dict[str, Any] = {q.name: (("seed", "time", *q.dims_for(network)), values[q.name]) for q in record}
    variables["teachers"] = (("seed", *experiment.teachers.dims), np.asarray(teachers))
    variables["final_weights"] = (("seed", *network.weight_dims), ends["final_weights"])
    variables["final_gates"] = (("seed", *network.gate_dims), ends["final_gates"])
    coordinates = {
        "seed": seeds,
        "component": ("task", (np.arange(len(teachers[0])) < experiment.teachers.components).astype(int)),
        "time": steps * dt,
        "step": ("time", steps),
        "active_task": ("time", schedule.tasks[steps]),
        "block": np.arange(1, len(schedule.start) + 1),
        "block_start": ("block", schedule.start),
        "block_stop": ("block", schedule.stop),
        "block_task": ("block", schedule.block_tasks),
    }
    data = xr.Dataset(variables, coordinates, {**attributes(experiment), "every": every, "start": start, **VERSIONS})
    indices = {str(dim): np.arange(size) for dim, size in data.sizes.items() if dim not in data.coords}
    return data.assign_coords(indices)


def attributes(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment, and what its network declares of its axes, for the attributes of results."""
    network = experiment.network
    declared = {"unit": network.gate_dims[:1], "gate_dims": network.gate_dims, "weight_dims": network.weight_dims}
    return {**settings(experiment), **{f"network.{name}": " ".join(dims) for name, dims in declared.items()}}


def array_description(array: np.ndarray) -> str:
    """A large array in words: its shape, and the checksum that tells it from others."""
    return f"{array.shape}, sha256 {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}"


def settings(part: eqx.Module, prefix: str = "") -> dict[str, Any]:
    """The settings of an experiment as flat names and plain values, fit for the attributes of a netCDF file.

    Example:
        >>> from gatedlib.simulation.results import settings
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
            kinds: dict[str, int] = {}
            for child in value:
                kind = type(child).__name__
                kinds[kind] = kinds.get(kind, 0) + 1
                flat |= settings(child, f"{name}.{kind}{kinds[kind] if kinds[kind] > 1 else ''}.")
        else:
            flat[name] = _attribute(value)
    return flat


def _attribute(value: Any) -> Any:
    """A setting in the form that an attribute of a netCDF file can have; what is no number is told in a text."""
    if value is None:
        return "default"
    if isinstance(value, bool):  # of which netCDF knows nothing
        return int(value)
    if isinstance(value, str | float) or (isinstance(value, int) and -(2**63) <= value < 2**63):
        return value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # rows of unequal length, or what is no array
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or array.size == 0:
        return repr(value) if _is_written_out(value) and len(repr(value)) <= MAX_INLINE_SIZE else fingerprint(value)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):  # of which netCDF knows nothing
        array = array.astype(float)
    if array.size > MAX_INLINE_SIZE:
        return array_description(array)
    return array.item() if array.size == 1 else array.ravel()  # netCDF makes one number of a list of one


def _is_written_out(value: Any) -> bool:
    """Whether a value is made of plain values only, so that its text tells a reader all there is."""
    if isinstance(value, dict):
        return all(map(_is_written_out, (*value.keys(), *value.values())))
    if isinstance(value, tuple | list):
        return all(map(_is_written_out, value))
    return value is None or isinstance(value, str | bytes | int | float | complex)


def cell(grid: xr.Dataset, **where: float) -> xr.Dataset:
    """One cell of a sweep, as `simulate` would have given it, up to rounding.

    Args:
        grid: what `sweep` returned without `measure`.
        **where: a value of every swept setting.

    Returns:
        Results without the swept dims, with the cell's own settings.

    Raises:
        ValueError: if these are no results of a sweep, a swept setting is missing or unknown, or has no such value.

    Example:
        >>> grid = gl.sweep(experiment, tau_c=[0.03, 1.3], seeds=3)
        >>> gl.results.cell(grid, tau_c=1.3).attrs["flow.tau_c"]
        1.3
    """
    axes = {name: full for name, full in swept(grid).items() if name in grid.dims}
    rule, remedy = "is no result of a sweep", "Use what gatedlib.sweep returned"
    require(len(axes) > 0, "grid", type(grid).__name__, rule, remedy)
    for name, value in list(where.items()):
        require_member(name, axes, "swept setting")
        values = grid[name].values.tolist()
        require(is_number(value), name, value, "must be one number", f"Use one of {values}")
        where[name] = value = to_plain(value)
        require(value in values, name, value, "was not swept over", f"Use one of {values}")
    missing = [name for name in axes if name not in where]
    require(not missing, "settings left out", missing, "must be none", "Give a value of each swept setting")
    taken = grid.sel(where).drop_vars(list(where))
    taken.attrs = {name: value for name, value in grid.attrs.items() if name != "swept"}
    taken.attrs |= {axes[name]: value for name, value in where.items()}
    return taken


def swept(grid: xr.Dataset) -> dict[str, str]:
    """The swept settings of a sweep's results, each with its full name in `attrs`; none for other results."""
    return {name.rpartition(".")[2]: name for name in str(grid.attrs.get("swept", "")).split()}


def final_params(results: xr.Dataset) -> Params:
    """The parameters at the end of a run, to start another from: shapes (seed, path, out, in) and (seed, path).

    Give `simulate` the number of steps that were taken as `start` too, so that random inputs go on.

    Example:
        >>> import math
        >>> trained = gl.results.final_params(gl.simulate(experiment, seeds=3))
        >>> gates_only = gl.simulate(experiment.replace(tau_w=math.inf), seeds=3, initial=trained)
        >>> bool((gates_only.final_weights == trained.weights).all())
        True
    """
    return Params(jnp.asarray(results.final_weights.values), jnp.asarray(results.final_gates.values))
