"""The grid of a sweep: its cells, and how these and the seeds are cut into tiles that are run together."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gatedlib._internal.numerics import bytes_of, cached_by_shapes, ceil_div
from gatedlib._internal.validation import is_number, require, to_plain
from gatedlib.model.experiment import Experiment, check_settings, draw_initial, setting, split_seed
from gatedlib.model.learning import Flow
from gatedlib.model.networks import Network
from gatedlib.model.teachers import Teachers
from gatedlib.simulation import record as rec
from gatedlib.simulation.simulate import batch_bytes
from gatedlib.simulation.spec import Cell, RunSpec, describe_settings


class Tile(NamedTuple):
    """Cells of one shape and seeds that are run together.

    Attributes:
        cells, seeds: their indices in the sweep.
        places: how many cells and seeds the arrays have room for, the same in all tiles of that shape, so that they
            share compiled programs.
    """

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


@contextlib.contextmanager
def cell_in_errors(settings: Mapping[str, Any]) -> Iterator[None]:
    """Let a refusal say in which cell it happened."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"in the cell {describe_settings(settings)}: {error}") from error


def cells_of(experiment: Experiment, axes: dict[str, list]) -> tuple[Cell, ...]:
    """All cells, the last axis running fastest; a refusal names its cell."""
    experiments = []
    grid = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    for settings in grid:
        with cell_in_errors(settings):
            experiments.append(experiment.replace(**settings))
    return tuple(Cell(own, own.schedule(), settings) for own, settings in zip(experiments, grid, strict=True))


def check_one_shape(cells: Sequence[Cell]) -> None:
    """Require cells whose results have one shape, so that all that was recorded of them fits into one array."""
    shapes = []
    for experiment, schedule, _ in cells:
        parameters = experiment.network.shapes(*experiment.sizes)
        shape = {"steps": len(schedule.tasks), "blocks": len(schedule.start), "tasks": experiment.teachers.shape[0]}
        shapes.append({**shape, **parameters})
    differ = [name for name in shapes[0] if any(shape[name] != shapes[0][name] for shape in shapes)]
    rule = f"cells differ in their {' and '.join(differ)}, so what they record has no common shape"
    remedy = "Say what to keep of each, such as measure=gatedlib.metrics.total_alignment, or call simulate in a loop"
    require(not differ, "measure", None, rule, remedy)


def group_by_program(cells: Sequence[Cell]) -> list[np.ndarray]:
    """The indices of cells that one run can serve: those of the same structure, number of steps and inputs."""
    groups: dict[Any, list[int]] = {}
    for index, (experiment, schedule, _) in enumerate(cells):
        leaves, structure = jax.tree.flatten((experiment.teachers, experiment.network, experiment.flow))
        # a data set is the same if it is the same object: to compare its numbers would take long
        inputs = tuple(leaf if is_number(leaf) else id(leaf) for leaf in jax.tree.leaves(experiment.flow.inputs))
        group = structure, tuple(np.shape(leaf) for leaf in leaves), len(schedule.tasks), inputs
        groups.setdefault(group, []).append(index)
    return [np.asarray(indices) for indices in groups.values()]


def tiles_of(spec: RunSpec, memory: float, max_runs: int) -> list[Tile]:
    """Cut a sweep into tiles of at most so many runs and about so many bytes; those of one shape have equal sizes."""
    tiles = []
    for indices in group_by_program(spec.cells):
        experiment, schedule, _ = spec.cells[indices[0]]
        steps, seeds = len(schedule.tasks), np.arange(len(spec.seeds))
        parts = experiment.teachers, experiment.network, experiment.flow
        frame, ends = _bytes_of(parts, experiment.sizes, spec.record)
        # Frames are there twice while they are labelled. Parameters and teachers are there about eight times: as the
        # state, its velocity, gradients and targets of a step, and as what a run begins and ends with. A step has the
        # number of its task, of four bytes.
        run_bytes = 2 * (frame * steps // spec.every) + 8 * ends + 4 * steps
        runs = max(1, min(max_runs, int(memory / run_bytes)))
        if batch_bytes(experiment):  # inputs are drawn once for all cells of a tile: as many cells as fit
            cells_together = min(len(indices), runs)
            seeds_together = max(1, runs // cells_together)
        else:
            seeds_together = min(len(seeds), runs)
            cells_together = max(1, runs // seeds_together)
        cell_parts = np.array_split(indices, ceil_div(len(indices), cells_together))
        seed_parts = np.array_split(seeds, ceil_div(len(seeds), seeds_together))
        places = len(cell_parts[0]), len(seed_parts[0])  # array_split gives the first part the most
        tiles += [Tile(cell_part, seed_part, places) for cell_part in cell_parts for seed_part in seed_parts]
    return tiles


@cached_by_shapes
def _bytes_of(parts: Any, sizes: tuple[int, int], record: tuple[rec.Quantity, ...]) -> tuple[int, int]:
    """The bytes of a frame of one run, and of its parameters and teachers; traced, and nothing is run."""

    def begin(sampler: Teachers, network: Network, flow: Flow) -> Any:
        teachers, params = draw_initial(sampler, network, 0, sizes)
        batch = flow.inputs.draw(split_seed(0)[2], *teachers.shape[1:])
        frame = rec.Frame(params, params, jnp.zeros(()), jnp.int32(0), teachers, network, flow.inputs, batch)
        return rec.evaluate(record, frame), (teachers, params)

    frame, ends = jax.eval_shape(begin, *parts)
    return bytes_of(frame), bytes_of(ends)
