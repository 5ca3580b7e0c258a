"""What to run, as one value: it travels from `simulate`, `sweep` and `solve` down to loops, files and labels.

Arrays of runs have their axes in the order cell, seed, frame, and then those of the quantity; only compiled programs
have another order (see `programs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment
from gatedlib.model.networks import Params
from gatedlib.simulation.record import Quantity

Measure = Callable[[xr.Dataset], xr.Dataset | xr.DataArray]
"""What a sweep keeps of its runs: a function from results to one value, or array, for each seed."""


class Cell(NamedTuple):
    """One experiment of a run: a cell of a sweep's grid, or the only one that `simulate` was given.

    Attributes:
        experiment: the experiment, with the settings of this cell.
        schedule: its curriculum in steps.
        settings: the swept settings and their values; empty if there is no sweep.
    """

    experiment: Experiment
    schedule: Schedule
    settings: Mapping[str, Any] = MappingProxyType({})


class RunSpec(NamedTuple):
    """What to run: which experiments, for which seeds, what is recorded, and where learning starts.

    Attributes:
        cells: the experiments; those that are run together differ in numbers only.
        seeds: the seeds, the same in every cell.
        record: the quantities to keep.
        every: the steps from one frame to the next.
        initial: parameters to start from, with a seed axis in front; None if they are drawn.
        start: the number of steps that were taken before, by the runs that `initial` comes from.
        measure: what a sweep keeps of the results; None for everything.
    """

    cells: tuple[Cell, ...]
    seeds: np.ndarray
    record: tuple[Quantity, ...]
    every: int
    initial: Params | None = None
    start: int = 0
    measure: Measure | None = None

    def select(self, cells: Sequence[int] | np.ndarray, seeds: Sequence[int] | np.ndarray) -> RunSpec:
        """The runs of these cells and seeds, both by their indices here."""
        initial = jax.tree.map(lambda leaf: leaf[seeds], self.initial)  # None is a tree without leaves, and stays
        return self._replace(cells=tuple(self.cells[cell] for cell in cells), seeds=self.seeds[seeds], initial=initial)

    def run_name(self, cell: int, seed: int) -> str:
        """What errors call a run, by the indices of its cell and its seed."""
        settings = self.cells[cell].settings
        return f"seed {self.seeds[seed]}" + (f" of the cell {describe_settings(settings)}" if settings else "")


class RunArrays(NamedTuple):
    """What runs give: arrays whose first axes are cell and seed, then frame in the frames.

    Attributes:
        teachers: the teachers, which are drawn from the seed.
        final: the parameters at the end.
        frames: the recorded quantities by name.
    """

    teachers: np.ndarray
    final: Params
    frames: dict[str, np.ndarray]


def describe_settings(settings: Mapping[str, Any]) -> str:
    """Swept settings in words, such as `tau_c = 0.1, b = 0.9`."""
    return ", ".join(f"{name} = {value:.6g}" for name, value in settings.items())
