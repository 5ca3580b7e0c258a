"""Results: the arrays of a run with names on their axes, its table of blocks, and what each run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from decimal import Decimal
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from gatedlib._internal.identity import fingerprint, short_digest
from gatedlib._internal.validation import refusal, require_member, to_plain
from gatedlib._internal.version import __version__
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment
from gatedlib.model.networks import Params
from gatedlib.simulation.completeness import require_all_frames, require_blocks
from gatedlib.simulation.netcdf import load, save
from gatedlib.simulation.runs import (
    JOINED,
    Run,
    cell_dims,
    dt_of,
    read,
    require_recorded,
    runs_of,
    single_run,
    spacing,
    texts_of,
)
from gatedlib.simulation.spec import RunArrays, RunSpec

__all__ = ["cell", "final_params", "join", "load", "save", "settings"]

MAX_INLINE_SIZE = 1000
"""The most numbers of an array that stands in the settings as it is; of larger ones the checksum stands there."""

VERSIONS = {"gatedlib_version": __version__, "jax_version": jax.__version__}


def label(spec: RunSpec, arrays: RunArrays, made_by: str = "simulate") -> xr.Dataset:
    """Put names on the axes of runs, along `seed`: all seeds of the first cell, then those of the next.

    Cells are labelled together if they share network, schedule and dt, as if they were seeds of one.
    """
    runs = jax.tree.map(lambda leaf: np.asarray(leaf).reshape(-1, *leaf.shape[2:]), arrays)  # cell after cell
    experiment, schedule, _ = spec.cells[0]
    network = experiment.network
    variables: dict[str, Any] = {
        **{q.name: (("time", *q.dims_for(network)), runs.frames[q.name]) for q in spec.record},
        "teachers": (experiment.teachers.dims, runs.teachers),
        "final_weights": (network.weight_dims, runs.final.weights),
        "final_gates": (network.gate_dims, runs.final.gates),
    }
    data = xr.Dataset(
        {name: (("seed", *dims), values) for name, (dims, values) in variables.items()},
        {"seed": np.tile(spec.seeds, len(spec.cells)), **_tables(experiment, schedule, spec.every)},
        VERSIONS,
    )
    indices = {str(dim): np.arange(size) for dim, size in data.sizes.items() if dim not in data.coords}
    common = Run(
        settings={},
        seed=0,
        start=spec.start,
        initial="",
        made_by=f"{made_by} {data.final_gates.dtype}",
        steps=len(schedule.tasks),
        blocks=len(schedule.start),
        components=experiment.teachers.components,
        met=_tasks_met(schedule, runs.teachers[0], experiment.teachers.components),
        gate_dims=list(network.gate_dims),
        weight_dims=list(network.weight_dims),
        dims={name: list(dims) for name, (dims, _) in variables.items()},
        sizes={str(dim): size for dim, size in data.sizes.items() if dim not in ("seed", "time", "block")},
    )
    return data.assign_coords({**indices, "settings": ("seed", np.array(_texts(spec, common), object))})


def _tables(experiment: Experiment, schedule: Schedule, every: int) -> dict[str, Any]:
    """The coordinates of tasks, frames and blocks."""
    steps = np.arange(0, len(schedule.tasks), every)
    tasks, components = experiment.teachers.shape[0], experiment.teachers.components
    return {
        "component": ("task", (np.arange(tasks) < components).astype(int)),
        "time": time_labels(steps, float(experiment.flow.dt)),
        "step": ("time", steps),
        "active_task": ("time", schedule.tasks[steps]),
        "block": np.arange(1, len(schedule.start) + 1),
        "block_start": ("block", schedule.start),
        "block_stop": ("block", schedule.stop),
        "block_task": ("block", schedule.block_tasks),
    }


def _texts(spec: RunSpec, common: Run) -> list[str]:
    """The text of every run, from what all of them have in common."""
    initial = [""] * len(spec.seeds) if spec.initial is None else _checksums(spec.initial)
    texts = []
    for cell in spec.cells:
        plain = {name: _in_json(value) for name, value in settings(cell.experiment).items()}
        for seed, checksum in zip(spec.seeds, initial, strict=True):
            texts.append(common._replace(settings=plain, seed=int(seed), initial=checksum).text())
    return texts


def _tasks_met(schedule: Schedule, teachers: np.ndarray, components: int) -> list[int]:
    """The tasks that were on, by themselves or as a part of a composite, row by row."""
    trained = sorted(set(schedule.block_tasks.tolist()))
    met = {task for task in trained if task < components}
    for composite in trained[len(met) :]:
        for row in range(teachers.shape[1]):  # each row may be a mixture of its own
            parts = np.linalg.lstsq(teachers[:components, row].T, teachers[composite, row])[0]
            met |= set(np.flatnonzero(abs(parts) > 1e-3).tolist())
    return sorted(met)


def concat(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    """Parts of one sweep side by side; a single one has the dim already."""
    return parts[0] if len(parts) == 1 else xr.concat(parts, dim, **JOINED)


def time_labels(steps: np.ndarray, dt: float) -> np.ndarray:
    """The times of steps, as people would write them: 0.7, where 70 times 0.01 is 0.7000000000000001.

    Example:
        >>> from gatedlib.simulation.results import time_labels
        >>> time_labels(np.array([70]), 0.01).tolist()
        [0.7]
    """
    _, digits, exponent = Decimal(repr(dt)).as_tuple()
    whole = int("".join(map(str, digits)))
    # a quotient of two numbers that doubles hold exactly is the double nearest to the decimal one
    if isinstance(exponent, int) and 0 <= -exponent <= 22 and whole * int(steps.max(initial=0)) < 2**53:
        return steps * whole / 10.0**-exponent
    return steps * dt


def _checksums(params: Params) -> list[str]:
    """A checksum of the parameters of each seed, in the precision that runs of any have."""
    leaves = [np.asarray(leaf, np.float32) for leaf in params]
    return [short_digest(*(leaf[seed].tobytes() for leaf in leaves)) for seed in range(len(leaves[0]))]


def _in_json(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def array_description(array: np.ndarray) -> str:
    """A large array in words: its shape, and the checksum that tells it from others."""
    return f"{array.shape}, sha256 {short_digest(array.tobytes())}"


def settings(of: eqx.Module | xr.Dataset, prefix: str = "") -> dict[str, Any]:
    """The settings of an experiment, or of one of its parts, or of results, as flat names and plain values.

    Args:
        of: an experiment, a part, or what `simulate` or `sweep` returned.
        prefix: what names begin with.

    Returns:
        Numbers, texts and lists. In results a setting in which runs differ is an array along the axes where they do.

    Raises:
        ValueError: if results have lost what says which settings they have, as an average of runs has.

    Example:
        >>> gl.results.settings(gl.Flow(tau_w=1.3, tau_c=0.03, inputs=gl.Sampled(200)))
        {'tau_w': 1.3, 'tau_c': 0.03, 'dt': 0.001, 'penalties': '', 'inputs': 'Sampled', 'inputs.batch': 200}
        >>> gl.results.settings(gl.simulate(experiment, seeds=3))["flow.tau_c"]
        0.03
    """
    if isinstance(of, xr.Dataset):
        return {prefix + name: value for name, value in _settings_of_results(of).items()}
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(of):
        name, value = prefix + field.name, getattr(of, field.name)
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
    """A setting in a form that an attribute of a netCDF file can have; anything non-numeric becomes a string."""
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
        return repr(value) if _is_plain(value) and len(repr(value)) <= MAX_INLINE_SIZE else fingerprint(value)
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):  # of which netCDF knows nothing
        array = array.astype(float)
    if array.size > MAX_INLINE_SIZE:
        return array_description(array)
    return array.item() if array.size == 1 else array.ravel()  # netCDF makes one number of a list of one


def _is_plain(value: Any) -> bool:
    """Whether a value is made of Python's own values only, so that its text says everything about it."""
    if isinstance(value, dict):
        return all(map(_is_plain, (*value.keys(), *value.values())))
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bytes | int | float | complex)


def _settings_of_results(results: xr.Dataset) -> dict[str, Any]:
    texts = texts_of(results)
    runs = [read(text).settings for text in texts.values.ravel()]
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        values = [run.get(name) for run in runs]
        merged[name] = values[0] if all(value == values[0] for value in values) else _varying(texts, values)
    return merged


def _varying(texts: xr.DataArray, values: list) -> xr.DataArray:
    """Values of each run along those axes in which they vary."""
    plain = all(isinstance(value, int | float) for value in values)
    array = np.empty(len(values), float if plain else object)
    for place, value in enumerate(values):  # one by one: lists of equal length would be taken for a table
        array[place] = value
    varying = texts.copy(data=array.reshape(texts.shape)).drop_vars(("settings", "swept"), errors="ignore")
    for dim in texts.dims:
        rows = varying.transpose(dim, ...).values.tolist()
        if all(row == rows[0] for row in rows):
            varying = varying.isel({dim: 0}, drop=True)
    return varying


def cell(grid: xr.Dataset, **where: Any) -> xr.Dataset:
    """One cell of a sweep, as `simulate` would have given it, up to rounding.

    Args:
        grid: what `sweep` returned without `measure`, or runs that were joined along an axis of their own.
        **where: a value of every swept setting.

    Returns:
        Results without the swept axes.

    Raises:
        ValueError: if these are no results of a sweep, a swept setting is missing or unknown, or has no such value.

    Example:
        >>> grid = gl.sweep(experiment, tau_c=[0.03, 1.3], seeds=3)
        >>> gl.results.settings(gl.results.cell(grid, tau_c=1.3))["flow.tau_c"]
        1.3
    """
    axes = cell_dims(grid)
    if not axes:
        raise refusal("grid", type(grid).__name__, "is no result of a sweep", "Use what gatedlib.sweep returned")
    for name, value in list(where.items()):
        require_member(name, map(str, axes), "swept setting")
        values = grid[name].values.tolist()
        where[name] = value = to_plain(value)
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise refusal(name, value, "must be one value", f"Use one of {values}")
        if value not in values:
            raise refusal(name, value, "was not swept over", f"Use one of {values}")
    missing = [name for name in axes if name not in where]
    if missing:
        raise refusal("settings left out", missing, "must be none", "Give a value of each swept setting")
    return grid.sel(where).drop_vars(["swept", *where], errors="ignore")


class _FinalParams(Params):
    """Parameters with the seeds that they belong to; what is computed from them is plain `Params`."""

    seeds: list[int]


def final_params(results: xr.Dataset) -> Params:
    """The parameters at the end of a run, to start another from: shapes (seed, path, out, in) and (seed, path).

    Give `simulate` the number of steps that were taken as `start` too, so that random inputs go on, and the same seeds,
    whose teachers these networks have learned.

    Raises:
        ValueError: if the results hold several runs.

    Example:
        >>> import math
        >>> trained = gl.results.final_params(gl.simulate(experiment, seeds=3))
        >>> gates_only = gl.simulate(experiment.replace(tau_w=math.inf), seeds=3, initial=trained)
        >>> bool((gates_only.final_weights == trained.weights).all())
        True
    """
    run = single_run(results, "final_weights", "final_gates")
    params = _FinalParams(*(jnp.asarray(run[name].values) for name in ("final_weights", "final_gates")))
    params.seeds = [one.seed for one in runs_of(run)]
    return params


def join(first: xr.Dataset, then: xr.Dataset) -> xr.Dataset:
    """Results of two runs, the second of which went on where the first ended, as those of one.

    `xarray.concat` along time would count time and blocks of the second from zero again.

    Args:
        first: a run.
        then: the run of the same seeds that began with the parameters at its end.

    Returns:
        Results whose time and blocks go on, with the parameters at the end of the second. What the two settings of the
        curriculum were is not kept.

    Raises:
        ValueError: if the second does not begin where the first ends, was not given the number of steps as `start`
            though its inputs are random, has other settings (but for the curriculum), seeds, quantities or frames, or
            its paths were reordered.

    Example:
        >>> first = gl.simulate(experiment, seeds=3)
        >>> then = gl.simulate(experiment, seeds=3, initial=gl.results.final_params(first), start=200)
        >>> both = gl.results.join(first, then)
        >>> both.sizes["block"], float(both.time[-1])
        (4, 3.99)

    Source: this library.
    """
    before, after = single_run(first), single_run(then)
    for part in (before, after):
        require_recorded(part, "final_weights", "final_gates")
        require_blocks(part, whole=True)
        require_all_frames(part)
    before_seeds, after_seeds = ([run.seed for run in runs_of(part)] for part in (before, after))
    if sorted(before_seeds) != sorted(after_seeds):
        raise refusal("seeds of then", after_seeds, f"must be those of first, {before_seeds}", "Match these")
    after = after.isel(seed=[after_seeds.index(seed) for seed in before_seeds])
    pairs = list(zip(runs_of(before), runs_of(after), strict=True))
    _require_same_record(before, after)
    ends = _checksums(Params(before.final_weights.values, before.final_gates.values))
    for (old, new), end in zip(pairs, ends, strict=True):
        _require_goes_on(old, new, end)
    steps, blocks = pairs[0][0].steps, pairs[0][0].blocks
    moved = after.assign_coords(
        time=time_labels(after.step.values + steps, dt_of(before)),
        step=after.step + steps,
        block=after.block + blocks,
        block_start=after.block_start + steps,
        block_stop=after.block_stop + steps,
    )
    texts = [_joined(old, new).text() for old, new in pairs]

    def one_after_other(name: Hashable) -> xr.Variable:
        """A variable or table of both runs; of what has no time and no block, as the final weights, the second's."""
        parts = [part[name].variable.to_base_variable() for part in (before, moved)]
        for dim in ("time", "block"):
            if dim in parts[0].dims:
                return xr.Variable.concat(parts, dim)
        return parts[1]

    data = xr.Dataset({name: one_after_other(name) for name in moved.data_vars}, attrs=first.attrs)
    return data.assign_coords(
        {**{name: one_after_other(name) for name in moved.coords}, "settings": ("seed", np.array(texts, object))}
    )


def _require_same_record(before: xr.Dataset, after: xr.Dataset) -> None:
    """Require that two runs hold the same quantities, and frames in the same spacing."""
    old, new = (sorted(map(str, part.data_vars)) for part in (before, after))
    if old != new:
        raise refusal("quantities of then", new, f"must be those of first, {old}", "Record the same in both")
    spacings = [spacing(part.step.values, runs_of(part)[0]) for part in (before, after)]
    if spacings[0] != spacings[1]:
        rule = "both must have frames equally far apart"
        raise refusal("steps between frames", spacings, rule, "Use one every in both")


def _require_goes_on(old: Run, new: Run, end: str) -> None:
    """Require that a run begins where another one ended, with its settings."""
    if new.initial != end:
        rule = "must begin with the parameters at the end of first"
        remedy = "Give simulate initial=gatedlib.results.final_params(first)"
        raise refusal("then", f"seed {new.seed}", rule, remedy)
    if new.in_order:
        rule, remedy = "must be those that first has, in their order", "Join first, and reorder what you get"
        raise refusal("paths of then", "reordered", rule, remedy)
    steps = old.start + old.steps
    # with all inputs at once nothing is drawn, and where a run begins to count does not matter
    if new.start != steps and not (new.start == 0 and new.settings["flow.inputs"] == "Population"):
        rule = f"must be {steps}, the steps that first took, or random inputs come again"
        raise refusal("start of then", new.start, rule, f"Give simulate start={steps}")
    for name in sorted(old.settings.keys() | new.settings.keys()):
        before, after = old.settings.get(name), new.settings.get(name)
        if before != after and not name.startswith("curriculum"):
            rule = f"was {before!r} in first, and only the curriculum may differ"
            raise refusal(name, after, rule, "Measure each by itself")


def _joined(old: Run, new: Run) -> Run:
    """What two runs are as one."""
    kept = {name: value for name, value in new.settings.items() if not name.startswith("curriculum")}
    kinds = [run.settings["curriculum"] for run in (old, new)]
    return new._replace(
        settings={**kept, "curriculum": " + ".join(kinds)},
        start=old.start,
        initial=old.initial,
        steps=old.steps + new.steps,
        blocks=old.blocks + new.blocks,
        met=sorted({*old.met, *new.met}),
    )
