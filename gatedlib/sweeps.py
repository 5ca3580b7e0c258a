"""Sweeps: an experiment over a grid of settings and seeds, in one call, on as many devices as there are."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from gatedlib import _check, _random, engine
from gatedlib import record as rec
from gatedlib._asked import Seeds, checked_experiment, checked_initial, checked_record, checked_seeds, listed
from gatedlib.experiment import Experiment, check_settings, drawn, keys, setting
from gatedlib.flow import Flow
from gatedlib.networks import Network, Params
from gatedlib.teachers import Teachers

if TYPE_CHECKING:
    import xarray as xr

# More runs at once are no faster on a CPU, whose caches they would overflow; elsewhere memory is the only bound.
RUNS_PER_CPU = 512

Measure = Callable[["xr.Dataset"], "xr.Dataset | xr.DataArray"]


class Tile(NamedTuple):
    """Cells of one shape and seeds that are run together: their indices, and how many places they fill."""

    cells: np.ndarray
    seeds: np.ndarray
    places: tuple[int, int]


@_random.own_settings()
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
            `gatedlib.metrics.total_alignment`. It sees the runs of several cells at once along `seed`, with the swept
            settings as coordinates. Without it all that was recorded is kept.
        initial: parameters to start from in every cell instead of random ones, as in `simulate`.
        save: a folder for finished chunks (`~` is your home). A sweep that was stopped goes on from there and ends with
            the same numbers; one that is finished is read.
        memory: about how many bytes a chunk may take, on all devices together.
        **grid: the values of each setting, found by its name wherever it stands, as in `Experiment.replace`.

    Returns:
        A dataset whose dims are the swept settings, in the order given, then seed and those of `simulate` or of what
        `measure` gives. Cells of unequal shapes are padded with nan. `gatedlib.results.cell` takes one cell out.

    Raises:
        ValueError: before anything is run, if the grid is empty, names an unknown setting, holds something that is no
            number, or a cell is refused by its experiment (the message names the cell); if `save` holds another sweep;
            if `measure` does not keep `seed`.
        DivergenceError: (a ValueError) if a cell diverges; the message names it. Chunks that were saved remain.

    Example:
        >>> import gatedlib as gl
        >>> experiment = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... )
        >>> grid = gl.sweep(
        ...     experiment, tau_c=[0.03, 1.3], block_length=[0.5, 1.0], seeds=3, measure=gl.metrics.end_loss
        ... )
        >>> dict(grid.end_loss.sizes)
        {'tau_c': 2, 'block_length': 2, 'seed': 3, 'block': 2}

    Source: the tool behind the paper's Fig. 5.
    """
    from gatedlib.assemble import assemble, measured  # xarray takes a while to import
    from gatedlib.saving import Store

    checked_experiment(experiment)
    if measure is not None:
        _check.require(callable(measure), "measure", measure, "must be a function of results", "Use one of metrics")
    folder = None if save is None else _check.folder("save", save, "Name a folder")
    axes = _axes(experiment, grid)
    cells = _cells(experiment, axes)
    chosen = checked_seeds(seeds)
    memory = _check.positive("memory", memory, "The default is 2**30 bytes")
    record = listed(record)
    runs = RUNS_PER_CPU * len(jax.devices()) if jax.default_backend() == "cpu" else 2**31
    for cell, label in zip(cells, labels(axes), strict=True):
        with _in(label):
            record, every = checked_record(record, every, len(cell.schedule().tasks))
            begin = None if initial is None else checked_initial(initial, cell, len(chosen))
    tiles = [tile for indices in _kinds(cells) for tile in _tiles(cells, indices, chosen, record, every, memory, runs)]
    asked = experiment, axes, chosen, record, every, measure, begin
    store = None if folder is None else Store(folder, *asked, tiles)
    tiles = tiles if store is None else store.tiles
    parts: dict[int, xr.Dataset] = {} if store is None else store.load()

    from tqdm import tqdm

    title = f"sweep of {len(cells)} cells × {len(chosen)} seeds"
    quiet = {"disable": True} if jax.process_index() > 0 else {}  # else TQDM_DISABLE decides
    with tqdm(total=len(tiles), initial=len(parts), desc=title, unit="chunk", **quiet) as progress:
        for number, tile in enumerate(tiles):
            if number in parts:
                continue
            chunk = [cells[index] for index in tile.cells]
            some = chosen[tile.seeds]
            own = jax.tree.map(lambda leaf, of=tile.seeds: leaf[of], begin)
            call = engine.Asked(some, record, every, partial(_called, some, tile, axes), initial=own)
            arrays = _run(chunk, call, tile.places)
            parts[number] = measured(chunk, tile.cells, some, axes, record, every, measure, arrays)
            if store is not None:
                store.write(number, parts[number])
            progress.update()
    return assemble([parts[number] for number in range(len(tiles))], experiment, axes, every)


def _axes(experiment: Experiment, grid: Mapping[str, Sequence[float] | np.ndarray]) -> dict[str, list]:
    """The values of every axis as plain numbers, after all checks that need no experiment."""
    rule, remedy = "must name at least one setting", "Write for instance tau_c=[0.02, 0.1], or use simulate"
    _check.require(len(grid) > 0, "grid", grid, rule, remedy)
    check_settings(experiment, grid)
    axes = {}
    for name, values in grid.items():
        now = setting(experiment, name)
        remedy = "Sweep over numbers, and over other things with a loop"
        _check.require(now is None or _check.is_number(now), "setting", name, f"is {now!r}, no number", remedy)
        remedy = f"Write {name}=[…] with at least one number"
        taken = _check.plain(values)
        listed = isinstance(taken, tuple) and not (hasattr(values, "__array__") and np.ndim(values) > 1)
        _check.require(listed, name, values, "must be a list of numbers", remedy)
        plain = list(taken)
        _check.require(len(plain) > 0, name, plain, "must hold at least one value", remedy)
        for value in values if isinstance(values, list | tuple) else plain:  # as it was written
            _check.require(_check.is_number(value), name, value, "must be a number", "Sweep over numbers only")
        _check.require(len(set(plain)) == len(plain), name, plain, "must not repeat a value", "Leave repeats out")
        axes[name] = plain
    return axes


def labels(axes: dict[str, list]) -> list[dict[str, Any]]:
    """The settings of every cell, the last axis running fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def describe(cell: dict[str, Any]) -> str:
    """A cell of a grid in words."""
    return ", ".join(f"{name} = {value:.6g}" for name, value in cell.items())


def _called(seeds: np.ndarray, tile: Tile, axes: dict[str, list], seed: int, cell: int) -> str:
    """A run of a tile in words; places left over repeat the last cell or seed."""
    number = tile.cells[min(cell, len(tile.cells) - 1)]
    return f"seed {seeds[min(seed, len(seeds) - 1)]} of the cell {describe(labels(axes)[number])}"


@contextlib.contextmanager
def _in(cell: dict[str, Any]) -> Iterator[None]:
    """Let a refusal say in which cell it happened."""
    try:
        yield
    except ValueError as refusal:
        raise ValueError(f"in the cell {describe(cell)}: {refusal}") from refusal


def _cells(experiment: Experiment, axes: dict[str, list]) -> list[Experiment]:
    cells = []
    for cell in labels(axes):
        with _in(cell):
            cells.append(experiment.replace(**cell))
    return cells


def _kinds(cells: list[Experiment]) -> list[np.ndarray]:
    """The indices of cells that one run can serve: those of the same structure, number of steps and inputs."""
    kinds: dict[Any, list[int]] = {}
    for index, cell in enumerate(cells):
        leaves, structure = jax.tree.flatten((cell.teachers, cell.network, cell.flow))
        # a data set is the same if it is the same object: to compare its numbers would take long
        inputs = tuple(leaf if _check.is_number(leaf) else id(leaf) for leaf in jax.tree.leaves(cell.flow.inputs))
        kind = structure, tuple(np.shape(leaf) for leaf in leaves), len(cell.schedule().tasks), inputs
        kinds.setdefault(kind, []).append(index)
    return [np.asarray(indices) for indices in kinds.values()]


def _tiles(
    cells: list[Experiment],
    indices: np.ndarray,
    seeds: np.ndarray,
    record: tuple[rec.Quantity, ...],
    every: int,
    memory: float,
    runs: int,
) -> list[Tile]:
    """Cut the cells of one kind and the seeds into tiles of equal size, few enough runs in each."""
    steps = len(cells[indices[0]].schedule().tasks)
    frame, ends = _bytes(cells[indices[0]], record)
    # a tile's results are there twice while they are labelled; a step holds its parameters several times over
    runs = max(1, min(runs, int(memory / (2 * (frame * steps // every) + 8 * ends + 4 * steps))))
    if engine.bytes_seen(cells[indices[0]]):  # drawn once for all cells that are run together
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
    return _bytes_of(*engine.shapes_of((cell.teachers, cell.network, cell.flow)), cell.sizes, record)


@functools.lru_cache(maxsize=64)
def _bytes_of(
    structure: Any, shapes: tuple, sizes: tuple[int, int], record: tuple[rec.Quantity, ...]
) -> tuple[int, int]:
    def begin(sampler: Teachers, network: Network, flow: Flow) -> Any:
        teachers, params = drawn(sampler, network, 0, sizes)
        seen = flow.inputs.draw(keys(0)[2], *teachers.shape[1:])
        frame = rec.Frame(params, params, jnp.zeros(()), jnp.int32(0), teachers, network, flow.inputs, seen)
        return rec.evaluate(record, frame), (teachers, params)

    frame, ends = jax.eval_shape(begin, *engine.with_shapes(structure, shapes))
    return engine.bytes_of(frame), engine.bytes_of(ends)


def _run(
    cells: list[Experiment], asked: engine.Asked, places: tuple[int, int]
) -> tuple[np.ndarray, Params, dict[str, np.ndarray]]:
    """Run some cells and seeds on all devices; arrays whose first axes are (seed, cell)."""
    devices = jax.devices()
    # the longer of the two axes is laid over the devices; places left over repeat the last cell or seed
    by_cell = places[0] >= places[1]
    cell_places, seed_places = (
        math.ceil(count / len(devices)) * len(devices) if over else count
        for count, over in zip(places, (by_cell, not by_cell), strict=True)
    )
    padded = cells + cells[-1:] * (cell_places - len(cells))
    left = seed_places - len(asked.seeds)
    seeds, initial = jax.tree.map(
        lambda leaf: np.append(leaf, np.repeat(leaf[-1:], left, 0), 0), (asked.seeds, asked.initial)
    )
    # on one device the programs are those of `simulate`
    put = engine.on_one_device if len(devices) == 1 else _over(devices, "cell" if by_cell else "seed")
    out = engine.run(padded, asked._replace(seeds=seeds, initial=initial), put)
    return jax.tree.map(lambda leaf: leaf[: len(asked.seeds), : len(cells)], out)


def _over(devices: list[jax.Device], spread: str) -> engine.Put:
    """Lay arrays over devices, along their axis of that name."""
    mesh = Mesh(np.asarray(devices), ("run",))

    def put(array: np.ndarray, *axes: str | None) -> Array:
        array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        spec = NamedSharding(mesh, PartitionSpec(*("run" if axis == spread else None for axis in axes)))
        return jax.make_array_from_callback(array.shape, spec, lambda index: array[index])

    return put
