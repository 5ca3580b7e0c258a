"""From the tiles of a sweep to one labelled dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal
from gatedlib.simulation import results
from gatedlib.simulation.spec import Measure, RunArrays, RunSpec

COMPARED = 3
"""How many cells are measured both together and one by one."""


class Measuring:
    """How the runs of a tile are measured: cell by cell, or many at once where that is known to give the same.

    Labels cost more than most runs, so cells with one schedule are labelled and measured together, as if they were
    seeds of one. Metrics of this library look at no other run. What a user wrote may compare the seeds of a cell; so
    the first cells that are measured together are measured one by one as well.

    Args:
        measure: what is kept; None for everything.
        all_seeds: whether a tile holds all seeds of its cells.
    """

    def __init__(self, measure: Measure | None, *, all_seeds: bool) -> None:
        self.measure, self.all_seeds = measure, all_seeds
        module = getattr(measure, "__module__", None) or ""
        self.together = True if measure is None or module.startswith("gatedlib.analysis.") else None

    def of(self, data: xr.Dataset, seeds: int) -> xr.Dataset:
        """The measure of cells with this number of seeds each, whose runs lie one after the other along `seed`."""
        cells = [data.isel(seed=slice(begin, begin + seeds)) for begin in range(0, data.sizes["seed"], seeds)]
        if self.together is None:
            self._require_single_seeds(cells[0])
            if len(cells) > 1:
                self.together = self._gives(data, self._one_by_one(cells[:COMPARED]))
        return self._apply(data) if self.together else self._one_by_one(cells)

    def _one_by_one(self, cells: Sequence[xr.Dataset]) -> xr.Dataset:
        return results.concat([self._apply(cell) for cell in cells], "seed")

    def _require_single_seeds(self, cell: xr.Dataset) -> None:
        """Where the seeds of a cell lie in several tiles, require a measure that looks at each by itself.

        To see that, the first seed is measured beside one with other numbers.
        """
        if self.all_seeds:
            return
        first = cell.isel(seed=[0])
        other = first.map(lambda array: 1.5 * array + 0.1 if "time" in array.dims else array)
        both = results.concat([first, other.assign_coords(first.coords)], "seed")
        if not self._gives(both, self._apply(cell).isel(seed=[0])):
            rule = "compares seeds, and a tile of this memory does not hold all seeds of a cell"
            raise refusal("measure", getattr(self.measure, "__name__", self.measure), rule, "Allow more: memory=2**33")

    def _gives(self, data: xr.Dataset, expected: xr.Dataset) -> bool:
        """Whether the measure of these runs begins with what is expected, up to rounding."""
        try:
            begin = self._apply(data).isel(seed=slice(expected.sizes["seed"]))
            xr.testing.assert_allclose(begin, expected, rtol=1e-5, atol=1e-12)
        except Exception:  # a user's function may fail in any way on what it was not made for
            return False
        return True

    def _apply(self, data: xr.Dataset) -> xr.Dataset:
        value = data if self.measure is None else self.measure(data)
        if not isinstance(value, xr.DataArray | xr.Dataset):
            remedy = "Use a metric, or a function such as lambda results: results.loss.mean('time')"
            raise refusal("measure's value", type(value).__name__, "must give a DataArray or a Dataset", remedy)
        if isinstance(value, xr.DataArray):
            value = value.drop_vars("settings", errors="ignore").to_dataset(name=value.name or "value")
        for name, array in value.items():
            if array.sizes.get("seed") != data.sizes["seed"]:
                rule = f"must keep the dim seed, of size {data.sizes['seed']}"
                raise refusal(f"dims of {name}", dict(array.sizes), rule, "Average over seeds after the sweep")
            if "seed" in array.coords and not np.array_equal(array.seed, data.seed):
                raise refusal(f"seeds of {name}", array.seed.values, "must keep their order", "Sort after the sweep")
        return value


def label_and_measure(spec: RunSpec, indices: np.ndarray, arrays: RunArrays, measuring: Measuring) -> xr.Dataset:
    """Label the runs of a tile, whose cells have these indices in the sweep, and measure them; dims cell, seed, …."""
    alike: dict[Any, list[int]] = {}
    for place, (experiment, schedule, _) in enumerate(spec.cells):
        key = float(experiment.flow.dt), schedule.tasks.tobytes(), schedule.start.tobytes()
        alike.setdefault(key, []).append(place)
    parts = []
    for places in alike.values():
        part = spec.select(places, np.arange(len(spec.seeds)))
        data = results.label(part, jax.tree.map(lambda leaf, places=places: leaf[places], arrays))
        # to a measure the swept settings are coordinates, by which it may group or divide its runs
        swept = {
            name: ("seed", np.repeat([cell.settings[name] for cell in part.cells], len(part.seeds)))
            for name in part.cells[0].settings
        }
        measured = measuring.of(data.assign_coords(swept), len(part.seeds)).drop_vars(list(swept), errors="ignore")
        parts.append(_split_runs(measured, indices[places], part.seeds))
    return results.concat(parts, "cell")


def _split_runs(data: xr.Dataset, cells: np.ndarray, seeds: np.ndarray) -> xr.Dataset:
    """Runs along `seed` as cells and seeds."""
    sizes = {"cell": len(cells), "seed": len(seeds)}
    runs = data.drop_vars("seed", errors="ignore").rename_dims(seed="run")  # a new axis needs a name that is free
    variables = {name: array.variable.unstack(run=sizes).transpose(*sizes, ...) for name, array in runs.items()}
    coordinates: dict[Any, Any] = {name: array for name, array in runs.coords.items() if "run" not in array.dims}
    if "settings" in runs.coords:
        coordinates["settings"] = runs.settings.variable.unstack(run=sizes)
    return xr.Dataset(variables, {**coordinates, "cell": cells, "seed": seeds})


def assemble(parts: Sequence[xr.Dataset], axes: dict[str, list]) -> xr.Dataset:
    """One dataset over the whole grid from the datasets of its tiles."""
    by_cells: dict[int, list[xr.Dataset]] = {}
    for part in parts:
        by_cells.setdefault(int(part.cell[0]), []).append(part)
    whole = results.concat([results.concat(tiles, "seed") for tiles in by_cells.values()], "cell").sortby("cell")
    sizes = {name: len(values) for name, values in axes.items()}

    def unfold(array: xr.DataArray) -> xr.Variable:
        variable = array.variable.to_base_variable()
        return variable.unstack(cell=sizes).transpose(*sizes, ...) if "cell" in variable.dims else variable

    variables = {name: unfold(array) for name, array in whole.items()}
    tables = whole.drop_vars("cell").coords.items()
    coordinates: dict[Any, Any] = {name: _drop_constant_dims(unfold(array), axes) for name, array in tables}
    if "settings" in coordinates:  # names the axes to a reader of results that were averaged over one of them
        coordinates["swept"] = (), " ".join(axes)
    return xr.Dataset(variables, {**coordinates, **axes}, results.VERSIONS)


def _drop_constant_dims(table: xr.Variable, swept: dict[str, list]) -> xr.Variable:
    """A table of the schedule without the swept dims that it does not depend on."""
    for dim in [dim for dim in table.dims if dim in swept]:
        first = table.isel({dim: 0})
        if table.equals(first.set_dims(dict(table.sizes))):
            table = first
    return table
