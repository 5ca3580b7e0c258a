"""The grid of a sweep: its cells, and how these and the seeds are cut into tiles that are run together."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from gatedlib._internal.identity import cache_of_traces
from gatedlib._internal.numerics import bytes_of, shapes_of, with_shapes
from gatedlib._internal.validation import is_number, require, to_plain
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment, check_settings, draw_initial, setting, split_seed
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import record as rec
from gatedlib.simulation.simulate import batch_bytes

Measure = Callable[[xr.Dataset], xr.Dataset | xr.DataArray]
"""What a sweep keeps of its runs: a function from results to one value, or array, for each seed."""


class Tile(NamedTuple):
    """Cells of one shape and seeds that are run together: their indices, and how many places they fill."""

    cells: np.ndarray
    seeds: np.ndarray
    places: tuple[int, int]


def checked_axes(experiment: Experiment, grid: Mapping[str, Sequence[float] | np.ndarray]) -> dict[str, list]:
    """The values of every axis as plain numbers, after all checks that need no experiment."""
    rule, remedy = "must name at least one setting", "Write for instance tau_c=[0.02, 0.1], or use simulate"
    require(len(grid) > 0, "grid", grid, rule, remedy)
    check_settings(experiment, grid)
    axes = {}
    for name, values in grid.items():
        now = setting(experiment, name)
        remedy = "Sweep over numbers, and over other things with a loop"
        require(now is None or is_number(now), "setting", name, f"is {now!r}, no number", remedy)
        remedy = f"Write {name}=[…] with at least one number"
        taken = to_plain(values)
        listed = isinstance(taken, tuple) and not (hasattr(values, "__array__") and np.ndim(values) > 1)
        require(listed, name, values, "must be a list of numbers", remedy)
        plain = list(taken)
        require(len(plain) > 0, name, plain, "must hold at least one value", remedy)
        for value in values if isinstance(values, list | tuple) else plain:  # as it was written
            require(is_number(value), name, value, "must be a number", "Sweep over numbers only")
        require(len(set(plain)) == len(plain), name, plain, "must not repeat a value", "Leave repeats out")
        axes[name] = plain
    return axes


def cell_settings(axes: dict[str, list]) -> list[dict[str, Any]]:
    """The settings of every cell, the last axis running fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def describe_cell(cell: dict[str, Any]) -> str:
    """A cell of a grid in words."""
    return ", ".join(f"{name} = {value:.6g}" for name, value in cell.items())


@contextlib.contextmanager
def naming_cell(cell: dict[str, Any]) -> Iterator[None]:
    """Let a refusal say in which cell it happened."""
    try:
        yield
    except ValueError as refusal:
        raise ValueError(f"in the cell {describe_cell(cell)}: {refusal}") from refusal


def cells_of(experiment: Experiment, axes: dict[str, list]) -> list[Experiment]:
    """The experiments of all cells; a refusal names its cell."""
    cells = []
    for cell in cell_settings(axes):
        with naming_cell(cell):
            cells.append(experiment.replace(**cell))
    return cells


def check_one_shape(cells: list[Experiment], schedules: list[Schedule]) -> None:
    """Require cells whose results have one shape, so that all that was recorded of them fits into one array."""
    shapes = []
    for cell, schedule in zip(cells, schedules, strict=True):
        parameters = cell.network.shapes(*cell.sizes)
        shape = {"steps": len(schedule.tasks), "blocks": len(schedule.start), "tasks": cell.teachers.shape[0]}
        shapes.append({**shape, **parameters})
    differ = [name for name in shapes[0] if any(shape[name] != shapes[0][name] for shape in shapes)]
    rule = f"cells differ in their {' and '.join(differ)}, so what they record has no common shape"
    remedy = "Say what to keep of each, such as measure=gatedlib.metrics.total_alignment, or call simulate in a loop"
    require(not differ, "measure", None, rule, remedy)


def kinds_of(cells: list[Experiment], schedules: list[Schedule]) -> list[np.ndarray]:
    """The indices of cells that one run can serve: those of the same structure, number of steps and inputs."""
    kinds: dict[Any, list[int]] = {}
    for index, cell in enumerate(cells):
        leaves, structure = jax.tree.flatten((cell.teachers, cell.network, cell.flow))
        # a data set is the same if it is the same object: to compare its numbers would take long
        inputs = tuple(leaf if is_number(leaf) else id(leaf) for leaf in jax.tree.leaves(cell.flow.inputs))
        kind = structure, tuple(np.shape(leaf) for leaf in leaves), len(schedules[index].tasks), inputs
        kinds.setdefault(kind, []).append(index)
    return [np.asarray(indices) for indices in kinds.values()]


def tiles_of(
    cells: list[Experiment],
    indices: np.ndarray,
    steps: int,
    seeds: np.ndarray,
    record: tuple[rec.Quantity, ...],
    every: int,
    memory: float,
    runs: int,
) -> list[Tile]:
    """Cut the cells of one kind, of so many steps, and the seeds into tiles of equal size, few enough runs in each."""
    frame, ends = _bytes(cells[indices[0]], record)
    # a tile's results are there twice while they are labelled; a step holds its parameters several times over
    runs = max(1, min(runs, int(memory / (2 * (frame * steps // every) + 8 * ends + 4 * steps))))
    if batch_bytes(cells[indices[0]]):  # drawn once for all cells that are run together
        cells_together = min(len(indices), runs)
        seeds_together = max(1, runs // cells_together)
    else:
        seeds_together = min(len(seeds), runs)
        cells_together = max(1, runs // seeds_together)
    cell_parts = np.array_split(indices, math.ceil(len(indices) / cells_together))
    seed_parts = np.array_split(np.arange(len(seeds)), math.ceil(len(seeds) / seeds_together))
    places = len(cell_parts[0]), len(seed_parts[0])  # array_split gives the first part the most
    return [Tile(some, few, places) for some in cell_parts for few in seed_parts]


def _bytes(cell: Experiment, record: tuple[rec.Quantity, ...]) -> tuple[int, int]:
    """How many bytes a frame of one run has, and its parameters and teachers; found without running anything."""
    return _bytes_of(*shapes_of((cell.teachers, cell.network, cell.flow)), cell.sizes, record)


@cache_of_traces
def _bytes_of(
    structure: Any, shapes: tuple, sizes: tuple[int, int], record: tuple[rec.Quantity, ...]
) -> tuple[int, int]:
    def begin(sampler: Teachers, network: Network, flow: Flow) -> Any:
        teachers, params = draw_initial(sampler, network, 0, sizes)
        batch = flow.inputs.draw(split_seed(0)[2], *teachers.shape[1:])
        frame = rec.Frame(params, params, jnp.zeros(()), jnp.int32(0), teachers, network, flow.inputs, batch)
        return rec.evaluate(record, frame), (teachers, params)

    frame, ends = jax.eval_shape(begin, *with_shapes(structure, shapes))
    return bytes_of(frame), bytes_of(ends)
