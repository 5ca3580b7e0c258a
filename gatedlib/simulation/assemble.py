"""From the chunks of a sweep to one labelled dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.model.experiment import Experiment
from gatedlib.model.networks import Params
from gatedlib.simulation import results
from gatedlib.simulation.grid import Measure, cell_settings
from gatedlib.simulation.record import Quantity


def measured(
    cells: list[Experiment],
    indices: np.ndarray,
    seeds: np.ndarray,
    axes: dict[str, list],
    record: tuple[Quantity, ...],
    every: int,
    measure: Measure | None,
    arrays: tuple[np.ndarray, Params, dict[str, np.ndarray]],
) -> xr.Dataset:
    """Label the arrays of a chunk and measure them; dims cell and seed come first.

    Cells with the same schedule are labelled together, as if they were seeds: labels cost more than most runs.
    """
    together: dict[Any, list[int]] = {}
    for place, cell in enumerate(cells):
        schedule = cell.schedule()
        key = float(cell.flow.dt), schedule.tasks.tobytes(), schedule.start.tobytes()
        together.setdefault(key, []).append(place)
    everywhere, full_names = cell_settings(axes), set(_swept(cells[0], axes).values())
    parts = []
    for places in together.values():
        settings = [everywhere[index] for index in indices[places]]
        runs = [_runs(leaf, places) for leaf in (arrays[0], arrays[1].weights, arrays[1].gates)]
        data = results.label(
            cells[places[0]],
            cells[places[0]].schedule(),
            np.tile(seeds, len(places)),
            record,
            every,
            runs[0],
            Params(*runs[1:]),
            {name: _runs(leaf, places) for name, leaf in arrays[2].items()},
        )
        values = {name: ("seed", np.repeat([cell[name] for cell in settings], len(seeds))) for name in axes}
        data = data.assign_coords(values)
        data.attrs = {name: value for name, value in data.attrs.items() if name not in full_names}
        parts.append(
            _split(_measured(data, measure, full_names).drop_vars(list(axes), errors="ignore"), indices[places], seeds)
        )
    return _concat(parts, "cell")


def _runs(leaf: Any, places: list[int]) -> Any:
    """Some cells of an array (seed, cell, …) as an array (run, …), cell after cell."""
    taken = np.asarray(leaf)[:, places].swapaxes(0, 1)
    return taken.reshape(-1, *taken.shape[2:])


def _measured(data: xr.Dataset, measure: Measure | None, swept: set[str]) -> xr.Dataset:
    try:
        value = data if measure is None else measure(data)
    except KeyError as missing:
        if missing.args[0] not in swept:
            raise
        rule = f"reads {missing}, which is not one number in a sweep over it"
        remedy = "Sweep without measure, and measure what that returns"
        require(False, "measure", getattr(measure, "__name__", measure), rule, remedy)
    rule = "must give a DataArray or a Dataset"
    remedy = "Use a metric, or a function such as lambda results: results.loss.mean('time')"
    require(isinstance(value, xr.DataArray | xr.Dataset), "measure's value", type(value).__name__, rule, remedy)
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name=value.name or "value")
    for name, array in value.items():
        sizes = dict(array.sizes)
        rule, remedy = f"must keep the dim seed, of size {data.sizes['seed']}", "Average over seeds after the sweep"
        require(sizes.get("seed") == data.sizes["seed"], f"dims of {name}", sizes, rule, remedy)
        same = "seed" not in array.coords or np.array_equal(array.seed, data.seed)
        require(same, f"seeds of {name}", array.seed.values, "must keep their order", "Sort after the sweep")
    return value


def _split(data: xr.Dataset, cells: np.ndarray, seeds: np.ndarray) -> xr.Dataset:
    """Runs along `seed` as cells and seeds."""
    shape = len(cells), len(seeds)

    def split(array: xr.DataArray) -> tuple:
        timed = array.transpose("seed", ...)
        return ("cell", "seed", *timed.dims[1:]), timed.values.reshape(*shape, *timed.shape[1:])

    variables = {name: split(array) for name, array in data.items()}
    coordinates = {name: array for name, array in data.coords.items() if "seed" not in array.dims}
    return xr.Dataset(variables, {**coordinates, "cell": cells, "seed": seeds})


def assemble(parts: list[xr.Dataset], experiment: Experiment, axes: dict[str, list], every: int) -> xr.Dataset:
    """One dataset over the whole grid from the datasets of its chunks."""
    by_cells: dict[int, list[xr.Dataset]] = {}
    for part in parts:
        by_cells.setdefault(int(part.cell[0]), []).append(part)
    flat = _concat([_concat(some, "seed") for some in by_cells.values()], "cell")
    flat = flat.isel(cell=np.argsort(flat.cell.values)).drop_vars("cell")
    shape = tuple(map(len, axes.values()))

    def unfolded(variable: xr.Variable) -> tuple:
        if "cell" not in variable.dims:
            return variable.dims, variable.values
        first = variable.transpose("cell", ...)
        return (*axes, *first.dims[1:]), first.values.reshape(*shape, *first.shape[1:])

    variables = {name: unfolded(array.variable) for name, array in flat.items()}
    coordinates = {name: _thinned(unfolded(array.variable), axes) for name, array in flat.coords.items()}
    full_names = _swept(experiment, axes)
    attributes = {
        name: value for name, value in results.attributes(experiment).items() if name not in full_names.values()
    }
    attributes |= {"every": every, "start": 0, "swept": " ".join(full_names.values())}
    return xr.Dataset(variables, {**coordinates, **axes}, {**attributes, **results.VERSIONS})


def _thinned(table: tuple[tuple, np.ndarray], swept: dict[str, list]) -> tuple:
    """A table of the schedule without the swept dims that it does not depend on."""
    dims, values = table
    for dim in [dim for dim in dims if dim in swept]:
        axis = dims.index(dim)
        first = values.take([0], axis)
        if np.array_equal(values, np.broadcast_to(first, values.shape), equal_nan=values.dtype.kind == "f"):
            dims, values = (*dims[:axis], *dims[axis + 1 :]), first.squeeze(axis)
    return dims, values


def _swept(experiment: Experiment, axes: dict[str, list]) -> dict[str, str]:
    """The full name of each swept setting, as in the attributes of results."""
    names = results.settings(experiment)
    return {axis: next(name for name in names if name.rpartition(".")[2] == axis) for axis in axes}


def _concat(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    if len(parts) == 1:
        return parts[0]
    # values of unequal shapes are padded with nan; a table that differs between cells gets their dim
    return xr.concat(parts, dim, data_vars="all", coords="different", compat="equals", join="outer")
