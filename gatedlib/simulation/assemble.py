"""From the chunks of a sweep to one labelled dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment
from gatedlib.model.networks import Params
from gatedlib.simulation import results
from gatedlib.simulation.grid import Measure, cell_settings
from gatedlib.simulation.simulate import Request


class Measuring:
    """How the runs of a chunk are measured: cell by cell, or many at once where that is known to give the same.

    Labels cost more than most runs, so cells with one schedule are labelled and measured together, as if they were
    seeds of one. Metrics of this library look at no other run. What a user wrote may compare the seeds of a cell; in
    the first chunk it is called both ways.

    Args:
        measure: what is kept; None for everything.
        all_seeds: whether a chunk holds all seeds of its cells.
    """

    def __init__(self, measure: Measure | None, *, all_seeds: bool) -> None:
        self.measure, self.all_seeds = measure, all_seeds
        module = getattr(measure, "__module__", None) or ""
        self.together = True if measure is None or module.startswith("gatedlib.analysis.") else None

    def of(self, data: xr.Dataset, seeds: int) -> xr.Dataset:
        """The measure of some cells, so many runs each, along `seed`."""
        if self.together:
            return self._value(data)
        runs = [data.isel(seed=slice(begin, begin + seeds)) for begin in range(0, data.sizes["seed"], seeds)]
        alone = [self._value(run) for run in runs]
        found = results.concat(alone, "seed")
        if self.together is None:
            self._require_single_seeds(runs[0], alone[0])
            self.together = self._gives(data, found)
        return found

    def _require_single_seeds(self, run: xr.Dataset, whole: xr.Dataset) -> None:
        """Where the seeds of a cell lie in several chunks, require a measure that looks at each by itself.

        To see that, the first seed is measured beside one with other numbers.
        """
        first = run.isel(seed=[0])
        other = first.map(lambda array: 1.5 * array + 0.1 if "time" in array.dims else array)
        both = results.concat([first, other.assign_coords(first.coords)], "seed")
        fits = self.all_seeds or self._gives(both, whole.isel(seed=[0]), count=1)
        rule = "compares seeds, and a chunk of this memory does not hold all seeds of a cell"
        require(fits, "measure", getattr(self.measure, "__name__", self.measure), rule, "Allow more: memory=2**33")

    def _gives(self, data: xr.Dataset, expected: xr.Dataset, count: int | None = None) -> bool:
        """Whether the measure of these runs, or of the first so many, is this one, up to rounding."""
        try:
            found = self._value(data).isel(seed=slice(count))
            xr.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-12)
        except Exception:  # a user's function may fail in any way on what it was not made for
            return False
        return True

    def _value(self, data: xr.Dataset) -> xr.Dataset:
        value = data if self.measure is None else self.measure(data)
        rule = "must give a DataArray or a Dataset"
        remedy = "Use a metric, or a function such as lambda results: results.loss.mean('time')"
        require(isinstance(value, xr.DataArray | xr.Dataset), "measure's value", type(value).__name__, rule, remedy)
        if isinstance(value, xr.DataArray):
            value = value.drop_vars("settings", errors="ignore").to_dataset(name=value.name or "value")
        for name, array in value.items():
            sizes = dict(array.sizes)
            rule, remedy = f"must keep the dim seed, of size {data.sizes['seed']}", "Average over seeds after the sweep"
            require(sizes.get("seed") == data.sizes["seed"], f"dims of {name}", sizes, rule, remedy)
            same = "seed" not in array.coords or np.array_equal(array.seed, data.seed)
            require(same, f"seeds of {name}", array.seed.values, "must keep their order", "Sort after the sweep")
        return value


def measured(
    cells: list[Experiment],
    schedules: list[Schedule],
    indices: np.ndarray,
    request: Request,
    axes: dict[str, list],
    measuring: Measuring,
    arrays: tuple[np.ndarray, Params, dict[str, np.ndarray]],
) -> xr.Dataset:
    """Label the arrays of a chunk and measure them; dims cell and seed come first."""
    alike: dict[Any, list[int]] = {}
    for place, (cell, schedule) in enumerate(zip(cells, schedules, strict=True)):
        key = float(cell.flow.dt), schedule.tasks.tobytes(), schedule.start.tobytes()
        alike.setdefault(key, []).append(place)
    everywhere, seeds = cell_settings(axes), request.seeds
    parts = []
    for places in alike.values():
        values = [everywhere[index] for index in indices[places]]
        data = results.label(
            [cells[place] for place in places],
            schedules[places[0]],
            seeds,
            request.record,
            request.every,
            _runs(arrays[0], places),
            Params(*(_runs(leaf, places) for leaf in arrays[1])),
            {name: _runs(leaf, places) for name, leaf in arrays[2].items()},
            initial=request.initial,
        )
        along_seed = {name: ("seed", np.repeat([cell[name] for cell in values], len(seeds))) for name in axes}
        found = measuring.of(data.assign_coords(along_seed), len(seeds)).drop_vars(list(axes), errors="ignore")
        parts.append(_split(found, indices[places], seeds))
    return results.concat(parts, "cell")


def _runs(leaf: Any, places: list[int]) -> Any:
    """Some cells of an array (seed, cell, …) as an array (run, …), cell after cell."""
    taken = np.asarray(leaf)[:, places].swapaxes(0, 1)
    return taken.reshape(-1, *taken.shape[2:])


def _split(data: xr.Dataset, cells: np.ndarray, seeds: np.ndarray) -> xr.Dataset:
    """Runs along `seed` as cells and seeds."""
    shape = len(cells), len(seeds)

    def split(array: xr.DataArray) -> tuple:
        timed = array.transpose("seed", ...)
        return ("cell", "seed", *timed.dims[1:]), timed.values.reshape(*shape, *timed.shape[1:])

    variables = {name: split(array) for name, array in data.items()}
    coordinates = {name: array for name, array in data.coords.items() if "seed" not in array.dims}
    if "settings" in data.coords:
        coordinates["settings"] = split(data.settings)
    return xr.Dataset(variables, {**coordinates, "cell": cells, "seed": seeds})


def assemble(parts: list[xr.Dataset], axes: dict[str, list]) -> xr.Dataset:
    """One dataset over the whole grid from the datasets of its chunks."""
    by_cells: dict[int, list[xr.Dataset]] = {}
    for part in parts:
        by_cells.setdefault(int(part.cell[0]), []).append(part)
    flat = results.concat([results.concat(some, "seed") for some in by_cells.values()], "cell")
    flat = flat.isel(cell=np.argsort(flat.cell.values)).drop_vars("cell")
    shape = tuple(map(len, axes.values()))

    def unfolded(variable: xr.Variable) -> tuple:
        if "cell" not in variable.dims:
            return variable.dims, variable.values
        first = variable.transpose("cell", ...)
        return (*axes, *first.dims[1:]), first.values.reshape(*shape, *first.shape[1:])

    variables = {name: unfolded(array.variable) for name, array in flat.items()}
    coordinates = {name: _thinned(unfolded(array.variable), axes) for name, array in flat.coords.items()}
    if "settings" in coordinates:  # for what an average over one of them has lost
        coordinates["swept"] = (), " ".join(axes)
    return xr.Dataset(variables, {**coordinates, **axes}, results.VERSIONS)


def _thinned(table: tuple[tuple, np.ndarray], swept: dict[str, list]) -> tuple:
    """A table of the schedule without the swept dims that it does not depend on."""
    dims, values = table
    for dim in [dim for dim in dims if dim in swept]:
        axis = dims.index(dim)
        first = values.take([0], axis)
        if np.array_equal(values, np.broadcast_to(first, values.shape), equal_nan=values.dtype.kind == "f"):
            dims, values = (*dims[:axis], *dims[axis + 1 :]), first.squeeze(axis)
    return dims, values
