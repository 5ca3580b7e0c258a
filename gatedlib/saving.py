"""Finished chunks of a sweep in a folder, so that a sweep that was stopped can go on."""

from __future__ import annotations

import functools
import hashlib
import json
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils

from gatedlib import _check
from gatedlib._files import program, whole, written_whole
from gatedlib.experiment import Experiment
from gatedlib.record import Quantity
from gatedlib.results import VERSIONS, settings

if TYPE_CHECKING:
    from gatedlib.sweeps import Measure, Tile


PATIENCE = 30
"""Seconds to wait for a file that another process has seen."""


class Store:
    """A folder with a plan (`plan.json`) and one netCDF file per finished chunk.

    The plan says which sweep this is, and how it is cut. A file is written under another name and then renamed, and its
    name tells its checksum, so that one that is not what was written is found out. The first process writes; all others
    read.

    Args:
        path: the folder; made if missing.
        experiment, axes, seeds, record, every, measure: the sweep.
        tiles: how the sweep is cut, unless the folder has a plan already.

    Raises:
        ValueError: if the path is a file, the plan is damaged, or the folder holds another sweep; the message says in
            what it differs.
        OSError: if the folder cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        experiment: Experiment,
        axes: dict[str, list],
        seeds: np.ndarray,
        record: tuple[Quantity, ...],
        every: int,
        measure: Measure | None,
        tiles: list[Tile],
    ) -> None:
        self.path, self.tiles = path, tiles
        identity = {
            **{name: np.asarray(value).tolist() for name, value in settings(experiment).items()},
            "grid": axes,
            "seeds": seeds.tolist(),
            "record": [f"{q.name} {q.dims_for(experiment.network)} {fingerprint(q.fn)}" for q in record],
            "every": every,
            "measure": None if measure is None else fingerprint(measure),
            "library": program("*.py"),
            **VERSIONS,
        }
        rule, remedy = "is a file; a sweep is saved in a folder", "Choose another path"
        _check.require(path.is_dir() or not path.exists(), "save", str(path), rule, remedy)
        plan = path / "plan.json"
        if not plan.exists() and jax.process_index() == 0:
            cut = [[tile.cells.tolist(), tile.seeds.tolist(), tile.places] for tile in tiles]
            written_whole(plan, lambda to: to.write_text(json.dumps({"sweep": identity, "tiles": cut})), new=True)
        if plan.exists():  # maybe that of another process, which was faster
            try:
                read = json.loads(plan.read_text())
                there, tiling = dict(read["sweep"]), [tuple(tile) for tile in read["tiles"]]
            except (ValueError, KeyError, TypeError) as failure:
                rule = "is damaged, so that nothing can be said of the chunks beside it"
                raise ValueError(f"{plan} {rule} ({failure}). Remove that folder, or choose another path.") from failure
            self._resume(there, json.loads(json.dumps(identity)), tiling)

    def _resume(self, there: dict[str, Any], here: dict[str, Any], tiling: list[tuple]) -> None:
        from gatedlib.sweeps import Tile

        differ = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        rule = f"holds another sweep, which differs in {', '.join(differ)}"
        _check.require(not differ, "save", str(self.path), rule, "Choose another path, or remove that folder")
        self.tiles = [Tile(np.asarray(c), np.asarray(s), tuple(places)) for c, s, places in tiling]

    def _file(self, number: int) -> Path:
        return self.path / f"chunk-{number:05d}.nc"

    def load(self) -> dict[int, xr.Dataset]:
        """The finished chunks by their numbers; those that are damaged are told of, and are to be computed anew."""
        found = [whole(self._file(number)) for number in range(len(self.tiles))]
        done = np.asarray([file is not None for file in found])
        for number in np.flatnonzero(~done).tolist():
            if any(self.path.glob(f"chunk-{number:05d}.*.nc")):
                damaged = f"chunk {number} in {self.path} is not what was written: it is computed anew"
                warnings.warn(damaged, stacklevel=3)
        if jax.process_count() > 1:  # all must agree on what is left to do
            done = multihost_utils.broadcast_one_to_all(done)
        there = np.flatnonzero(done).tolist()
        return {number: xr.load_dataset(found[number] or self._awaited(number)) for number in there}

    def _awaited(self, number: int) -> Path:
        """A chunk that the process which writes has seen: a network's folder may show it here a little later."""
        for _ in range(PATIENCE):
            time.sleep(1)
            if file := whole(self._file(number)):
                return file
        told = f"is seen by process 0, and not by {jax.process_index()}. Save in a folder that all processes share"
        raise OSError(f"{self._file(number)} {told}.")

    def write(self, number: int, part: xr.Dataset) -> None:
        """Put a finished chunk on the disk, whole or not at all."""
        if jax.process_index() == 0:
            written_whole(self._file(number), part.to_netcdf, sealed=True)


def fingerprint(thing: Any) -> str:
    """What a function, or an object that can be called, is: its name, its code and the values that it holds.

    Example:
        >>> from gatedlib.saving import fingerprint
        >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 2)
        False
    """
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{name} {hashlib.sha256(_told(thing).encode()).hexdigest()[:12]}"


def _told(thing: Any, within: tuple[int, ...] = ()) -> str:
    """A text that is the same in every process, and differs where behaviour does as far as can be seen."""
    if id(thing) in within:  # a function that calls itself, or what holds itself
        return "again"
    within = (*within, id(thing))
    if isinstance(thing, types.CodeType):
        return f"{thing.co_code.hex()} {thing.co_names} {_told(thing.co_consts, within)}"
    if isinstance(thing, types.FunctionType):
        held = [cell.cell_contents for cell in thing.__closure__ or ()]
        return f"{thing.__qualname__} {_told((thing.__code__, thing.__defaults__, thing.__kwdefaults__, held), within)}"
    if isinstance(thing, functools.partial):
        return _told((thing.func, thing.args, thing.keywords), within)
    if isinstance(thing, types.MethodType):
        return _told((thing.__func__, thing.__self__), within)
    if isinstance(thing, dict):
        return _told(list(thing.items()), within)
    if isinstance(thing, set | frozenset):
        return f"{{{', '.join(sorted(_told(each, within) for each in thing))}}}"
    if isinstance(thing, tuple | list):
        return f"[{', '.join(_told(each, within) for each in thing)}]"
    if isinstance(thing, np.ndarray | jax.Array):
        return f"{np.asarray(thing).tolist()}"
    if isinstance(thing, types.ModuleType | type | types.BuiltinFunctionType):
        return thing.__name__
    if type(thing).__repr__ is object.__repr__:  # which would tell an address in memory
        return f"{type(thing).__qualname__} {_told(vars(thing), within)}"
    return repr(thing)
