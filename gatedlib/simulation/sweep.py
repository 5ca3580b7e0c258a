"""Sweeps: an experiment over a grid of settings and seeds, in one call, on as many devices as there are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from tqdm import tqdm

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import ceil_div, fixed_jax_settings
from gatedlib._internal.validation import require, require_folder, require_positive
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
from gatedlib.simulation.assemble import Measuring, assemble, label_and_measure
from gatedlib.simulation.checkpoints import Store
from gatedlib.simulation.grid import Tile, cell_in_errors, cells_of, check_one_shape, checked_axes, tiles_of
from gatedlib.simulation.spec import Measure, RunArrays, RunSpec

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
    what is compiled, and are run in tiles of cells and seeds, laid over all devices; see the page *Larger sweeps* of
    the book.

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
        save: a folder for finished tiles (`~` is your home). A sweep that was stopped goes on from there and ends with
            the same numbers; one that is finished is read.
        memory: about how many bytes a tile may take, on all devices together.
        **grid: the values of each setting, found by its name wherever it stands, as in `Experiment.replace`.

    Returns:
        A dataset whose dims are the swept settings, in the order given, then seed and those of `simulate` or of what
        `measure` gives, padded with nan where that differs in shape. `gatedlib.results.cell` takes one cell out.

    Raises:
        ValueError: before anything is run, if the grid is empty, names an unknown setting, holds something that is no
            number, or a cell is refused by its experiment (the message names the cell); if cells differ in shape and
            there is no `measure`; if `save` holds another sweep. Later, if `measure` does not keep `seed`.
        DivergenceError: (a ValueError) if a cell diverges; the message names it. Tiles that were saved remain.

    Example:
        >>> grid = gl.sweep(
        ...     experiment, tau_c=[0.03, 1.3], block_length=[0.5, 1.0], seeds=3, measure=gl.metrics.end_loss
        ... )
        >>> dict(grid.end_loss.sizes)
        {'tau_c': 2, 'block_length': 2, 'seed': 3, 'block': 2}

    Source: the tool behind the paper's Fig. 5.
    """
    require_whole(experiment, "sweep")
    folder = None if save is None else require_folder("save", save, "Name a folder")
    axes = checked_axes(experiment, grid)
    spec = RunSpec(cells_of(experiment, axes), checked_seeds(seeds), as_record(record), every, initial, measure=measure)
    memory = require_positive("memory", memory, "The default is 2**30 bytes")
    spec = _checked(spec)
    forget_if_changed(code_to_run(experiment, spec.record))
    runs = RUNS_PER_CPU * len(jax.devices()) if jax.default_backend() == "cpu" else 2**31
    tiles = tiles_of(spec, memory, runs)
    store = None if folder is None else Store(folder, spec, axes, tiles)
    tiles = tiles if store is None else store.tiles
    parts = {} if store is None else store.load()
    measuring = Measuring(measure, all_seeds=all(len(tile.seeds) == len(spec.seeds) for tile in tiles))

    title = f"sweep of {len(spec.cells)} cells × {len(spec.seeds)} seeds"
    quiet = {"disable": True} if jax.process_index() > 0 else {}  # else TQDM_DISABLE decides
    with tqdm(total=len(tiles), initial=len(parts), desc=title, unit="tile", **quiet) as progress:
        for number, tile in enumerate(tiles):
            if number in parts:
                continue
            part = spec.select(tile.cells, tile.seeds)
            parts[number] = label_and_measure(part, tile.cells, run_tile(part, tile), measuring)
            if store is not None:
                store.write(number, parts[number])
            progress.update()
    return assemble([parts[number] for number in range(len(tiles))], axes)


def _checked(spec: RunSpec) -> RunSpec:
    """The sweep with its record and initial parameters checked in every cell, and made plain."""
    measure, given = spec.measure, spec.initial
    if measure is not None:
        require(callable(measure), "measure", measure, "must be a function of results", "Use one of metrics")
    for experiment, schedule, settings in spec.cells:
        with cell_in_errors(settings):
            record, every = checked_record(spec.record, spec.every, len(schedule.tasks))
            initial = None if given is None else checked_initial(given, experiment, spec.seeds)
    if measure is None:
        check_one_shape(spec.cells)
    return spec._replace(record=record, every=every, initial=initial)


def run_tile(spec: RunSpec, tile: Tile) -> RunArrays:
    """Run the cells and seeds of a tile on all devices."""
    devices = jax.devices()
    # the longer of the two axes is laid over the devices, and has a multiple of their number of places
    by_cell = tile.places[0] >= tile.places[1]
    cell_places, seed_places = (
        ceil_div(count, len(devices)) * len(devices) if spread else count
        for count, spread in zip(tile.places, (by_cell, not by_cell), strict=True)
    )
    cells, seeds = len(spec.cells), len(spec.seeds)
    # places left over repeat the last cell or seed
    padded = spec.select(np.minimum(np.arange(cell_places), cells - 1), np.minimum(np.arange(seed_places), seeds - 1))
    # on one device the programs are those of `simulate`
    place = simulate.on_one_device if len(devices) == 1 else _shard_along("cell" if by_cell else "seed", devices)
    return jax.tree.map(lambda leaf: leaf[:cells, :seeds], simulate.run(padded, place))


def _shard_along(axis: str, devices: list[jax.Device]) -> simulate.Placement:
    """Lay arrays over devices, along their axis of that name."""
    mesh = Mesh(np.asarray(devices), ("run",))

    def place(array: np.ndarray, *names: str | None) -> Array:
        # each process makes its part by itself, and JAX would not narrow it: 64 bits here are 32 in the programs
        array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        spec = NamedSharding(mesh, PartitionSpec(*("run" if name == axis else None for name in names)))
        return jax.make_array_from_callback(array.shape, spec, lambda index: array[index])

    return place
