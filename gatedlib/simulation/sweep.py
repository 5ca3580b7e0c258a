"""Sweeps: an experiment over a grid of settings and seeds, in one call, on as many devices as there are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from functools import partial

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from tqdm import tqdm

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import fixed_jax_settings
from gatedlib._internal.validation import require, require_folder, require_positive
from gatedlib.model.curricula import Schedule
from gatedlib.model.experiment import Experiment, require_whole
from gatedlib.model.networks import Params
from gatedlib.simulation import record as rec
from gatedlib.simulation import simulate
from gatedlib.simulation.arguments import (
    Seeds,
    as_record,
    checked_initial,
    checked_record,
    checked_seeds,
    code_to_run,
)
from gatedlib.simulation.assemble import Measuring, assemble, measured
from gatedlib.simulation.checkpoints import Store
from gatedlib.simulation.grid import (
    Measure,
    Tile,
    cell_settings,
    cells_of,
    check_one_shape,
    checked_axes,
    describe_cell,
    kinds_of,
    naming_cell,
    tiles_of,
)

# More runs at once are no faster on a CPU, whose caches they would overflow; elsewhere memory is the only bound.
RUNS_PER_CPU = 512


@fixed_jax_settings()
def sweep(
    experiment: Experiment,
    *,
    seeds: Seeds = 10,
    record: Iterable[rec.Quantity] = rec.DEFAULT,
    every: int = 1,
    measure: Measure | None = None,
    initial: Params | None = None,
    save: str | os.PathLike[str] | None = None,
    memory: float = 2**30,
    **grid: Sequence[float] | np.ndarray,
) -> xr.Dataset:
    """Run an experiment for every combination of some settings and seeds, and label what comes out.

    Every cell of the grid gives what `simulate` gives for that experiment and these seeds. Cells of one shape share
    what is compiled and run in chunks, laid over all devices; see the page *Larger sweeps* of the book.

    Args:
        experiment: what to run.
        seeds: how many seeds (0, 1, …), or which; the same in every cell.
        record: the quantities to keep; see `gatedlib.record`.
        every: keep one frame every so many steps.
        measure: what to keep in the end: a function from results to one value, or array, per seed, such as
            `gatedlib.metrics.total_alignment`. It sees the runs of a cell along `seed`, with the swept settings as
            coordinates; several cells at once if that gives the same. Without it all that was recorded is kept, of
            cells of one shape.
        initial: parameters to start from in every cell instead of random ones, as in `simulate`.
        save: a folder for finished chunks (`~` is your home). A sweep that was stopped goes on from there and ends with
            the same numbers; one that is finished is read.
        memory: about how many bytes a chunk may take, on all devices together.
        **grid: the values of each setting, found by its name wherever it stands, as in `Experiment.replace`.

    Returns:
        A dataset whose dims are the swept settings, in the order given, then seed and those of `simulate` or of what
        `measure` gives, padded with nan where that differs in shape. `gatedlib.results.cell` takes one cell out.

    Raises:
        ValueError: before anything is run, if the grid is empty, names an unknown setting, holds something that is no
            number, or a cell is refused by its experiment (the message names the cell); if cells differ in shape and
            there is no `measure`; if `save` holds another sweep. Later, if `measure` does not keep `seed`.
        DivergenceError: (a ValueError) if a cell diverges; the message names it. Chunks that were saved remain.

    Example:
        >>> grid = gl.sweep(
        ...     experiment, tau_c=[0.03, 1.3], block_length=[0.5, 1.0], seeds=3, measure=gl.metrics.end_loss
        ... )
        >>> dict(grid.end_loss.sizes)
        {'tau_c': 2, 'block_length': 2, 'seed': 3, 'block': 2}

    Source: the tool behind the paper's Fig. 5.
    """
    if measure is not None:
        require(callable(measure), "measure", measure, "must be a function of results", "Use one of metrics")
    require_whole(experiment, "sweep")
    folder = None if save is None else require_folder("save", save, "Name a folder")
    axes = checked_axes(experiment, grid)
    cells = cells_of(experiment, axes)
    chosen = checked_seeds(seeds)
    memory = require_positive("memory", memory, "The default is 2**30 bytes")
    record = as_record(record)
    runs = RUNS_PER_CPU * len(jax.devices()) if jax.default_backend() == "cpu" else 2**31
    schedules = [cell.schedule() for cell in cells]
    for cell, schedule, label in zip(cells, schedules, cell_settings(axes), strict=True):
        with naming_cell(label):
            record, every = checked_record(record, every, len(schedule.tasks))
            begin = None if initial is None else checked_initial(initial, cell, chosen)
    forget_if_changed(code_to_run(experiment, record))
    if measure is None:
        check_one_shape(cells, schedules)
    tiles = [
        tile
        for indices in kinds_of(cells, schedules)
        for tile in tiles_of(cells, indices, len(schedules[indices[0]].tasks), chosen, record, every, memory, runs)
    ]
    sweep_settings = experiment, axes, chosen, record, every, measure, begin
    store = None if folder is None else Store(folder, *sweep_settings, tiles)
    tiles = tiles if store is None else store.tiles
    parts: dict[int, xr.Dataset] = {} if store is None else store.load()
    measuring = Measuring(measure, all_seeds=all(len(tile.seeds) == len(chosen) for tile in tiles))

    title = f"sweep of {len(cells)} cells × {len(chosen)} seeds"
    quiet = {"disable": True} if jax.process_index() > 0 else {}  # else TQDM_DISABLE decides
    with tqdm(total=len(tiles), initial=len(parts), desc=title, unit="chunk", **quiet) as progress:
        for number, tile in enumerate(tiles):
            if number in parts:
                continue
            chunk, plans = ([each[index] for index in tile.cells] for each in (cells, schedules))
            some = chosen[tile.seeds]
            own = jax.tree.map(lambda leaf, of=tile.seeds: leaf[of], begin)
            request = simulate.Request(some, record, every, partial(_called, some, tile, axes), initial=own)
            arrays = run_tile(chunk, plans, request, tile.places)
            parts[number] = measured(chunk, plans, tile.cells, request, axes, measuring, arrays)
            if store is not None:
                store.write(number, parts[number])
            progress.update()
    return assemble([parts[number] for number in range(len(tiles))], axes)


def _called(seeds: np.ndarray, tile: Tile, axes: dict[str, list], seed: int, cell: int) -> str:
    """A run of a tile in words; places left over repeat the last cell or seed."""
    number = tile.cells[min(cell, len(tile.cells) - 1)]
    return f"seed {seeds[min(seed, len(seeds) - 1)]} of the cell {describe_cell(cell_settings(axes)[number])}"


def run_tile(
    cells: list[Experiment], schedules: list[Schedule], request: simulate.Request, places: tuple[int, int]
) -> tuple[np.ndarray, Params, dict[str, np.ndarray]]:
    """Run some cells and seeds on all devices; arrays whose first axes are (seed, cell)."""
    devices = jax.devices()
    # the longer of the two axes is laid over the devices; places left over repeat the last cell or seed
    by_cell = places[0] >= places[1]
    cell_places, seed_places = (
        math.ceil(count / len(devices)) * len(devices) if over else count
        for count, over in zip(places, (by_cell, not by_cell), strict=True)
    )
    extra = cell_places - len(cells)
    padded, plans = cells + cells[-1:] * extra, schedules + schedules[-1:] * extra
    left = seed_places - len(request.seeds)
    seeds, initial = jax.tree.map(
        lambda leaf: np.append(leaf, np.repeat(leaf[-1:], left, 0), 0), (request.seeds, request.initial)
    )
    # on one device the programs are those of `simulate`
    place = simulate.on_one_device if len(devices) == 1 else _over(devices, "cell" if by_cell else "seed")
    out = simulate.run(padded, plans, request._replace(seeds=seeds, initial=initial), place)
    return jax.tree.map(lambda leaf: leaf[: len(request.seeds), : len(cells)], out)


def _over(devices: list[jax.Device], spread: str) -> simulate.Place:
    """Lay arrays over devices, along their axis of that name."""
    mesh = Mesh(np.asarray(devices), ("run",))

    def place(array: np.ndarray, *axes: str | None) -> Array:
        array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        spec = NamedSharding(mesh, PartitionSpec(*("run" if axis == spread else None for axis in axes)))
        return jax.make_array_from_callback(array.shape, spec, lambda index: array[index])

    return place
