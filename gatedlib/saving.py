"""Finished chunks of a sweep in a folder, so that a sweep that was stopped can go on."""

from __future__ import annotations

import hashlib
import json
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils

from gatedlib import _check
from gatedlib.experiment import Experiment
from gatedlib.record import Quantity
from gatedlib.results import VERSIONS, settings

if TYPE_CHECKING:
    from gatedlib.sweeps import Measure, Tile


class Store:
    """A folder with a plan (`plan.json`) and one netCDF file per finished chunk.

    The plan says which sweep this is, and how it is cut. A file is written under another name and then renamed, so
    that one that bears its name is whole. The first process writes; all others read.

    Args:
        path: the folder; made if missing.
        experiment, axes, seeds, record, every, measure: the sweep.
        tiles: how the sweep is cut, unless the folder has a plan already.

    Raises:
        ValueError: if the path is a file, or the folder holds another sweep; the message says in what it differs.
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
            "record": [f"{quantity.name} {fingerprint(quantity.fn)}" for quantity in record],
            "every": every,
            "measure": None if measure is None else fingerprint(measure),
            **VERSIONS,
        }
        rule, remedy = "is a file; a sweep is saved in a folder", "Choose another path"
        _check.require(path.is_dir() or not path.exists(), "save", str(path), rule, remedy)
        plan = path / "plan.json"
        if plan.exists():
            self._resume(json.loads(plan.read_text()), json.loads(json.dumps(identity)))
        elif jax.process_index() == 0:
            path.mkdir(parents=True, exist_ok=True)
            cut = [[tile.cells.tolist(), tile.seeds.tolist(), tile.places] for tile in tiles]
            self._write(plan, lambda to: to.write_text(json.dumps({"sweep": identity, "tiles": cut})))

    def _resume(self, plan: dict[str, Any], identity: dict[str, Any]) -> None:
        from gatedlib.sweeps import Tile

        there, here = plan["sweep"], identity
        differ = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        rule = f"holds another sweep, which differs in {', '.join(differ)}"
        _check.require(not differ, "save", str(self.path), rule, "Choose another path, or remove that folder")
        self.tiles = [Tile(np.asarray(c), np.asarray(s), tuple(places)) for c, s, places in plan["tiles"]]

    def _file(self, number: int) -> Path:
        return self.path / f"chunk-{number:05d}.nc"

    def load(self) -> dict[int, xr.Dataset]:
        """The finished chunks by their numbers."""
        done = np.asarray([self._file(number).exists() for number in range(len(self.tiles))])
        if jax.process_count() > 1:  # all must agree on what is left to do
            done = multihost_utils.broadcast_one_to_all(done)
        return {number: xr.load_dataset(self._file(number)) for number in np.flatnonzero(done).tolist()}

    def write(self, number: int, part: xr.Dataset) -> None:
        """Put a finished chunk on the disk, whole or not at all."""
        if jax.process_index() == 0:
            self._write(self._file(number), part.to_netcdf)

    @staticmethod
    def _write(path: Path, write: Callable[[Path], Any]) -> None:
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)


def fingerprint(function: Any) -> str:
    """What a function is, as far as its name and its code tell: it changes when they do.

    Example:
        >>> from gatedlib.saving import fingerprint
        >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 2)
        False
    """
    inner = getattr(function, "func", function)  # of a functools.partial
    bound = repr((getattr(function, "args", ()), getattr(function, "keywords", {})))
    code = getattr(inner, "__code__", None)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    told = "" if code is None else _told(code)
    return f"{name} {hashlib.sha256((bound + told).encode()).hexdigest()[:12]}"


def _told(code: types.CodeType) -> str:
    inside = [_told(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inside}"
