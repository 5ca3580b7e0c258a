"""Finished tiles of a sweep in a folder, so that a sweep that was stopped can go on."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.experimental import multihost_utils

from gatedlib._internal.extras import require_extra
from gatedlib._internal.files import atomic_write, find_intact
from gatedlib._internal.identity import class_fingerprint, fingerprint, jax_settings, short_digest
from gatedlib._internal.validation import require
from gatedlib.model.experiment import parts_of
from gatedlib.simulation.grid import Tile
from gatedlib.simulation.netcdf import decoded, encoded
from gatedlib.simulation.results import VERSIONS, array_description, settings
from gatedlib.simulation.spec import RunSpec

ENGINE = 3
"""To be raised whenever runs come to give other numbers, or their files other names: older folders are then refused."""

MAX_VALUE_LENGTH = 60
"""The most characters of a value of a plan that stand in a message."""

SHARED_FOLDER_TIMEOUT = 30
"""Seconds to wait for a file that another process has seen."""


class Store:
    """A folder with a plan (`plan.json`) and one netCDF file per finished tile.

    The plan says which sweep this is, and how it is cut into tiles. A file is written under another name and then
    renamed, and its name holds its checksum, which tells a damaged file. Of several processes the first one writes, and
    all others read.

    Args:
        path: the folder; made if missing.
        spec: the whole sweep.
        axes: the swept settings and their values.
        tiles: how the sweep is cut, unless the folder has a plan already.

    Raises:
        ValueError: if the path is a file, the plan is damaged, or the folder holds another sweep; the message says in
            what it differs.
        OSError: if the folder cannot be written to.
        ModuleNotFoundError: if netCDF4 is not installed.
    """

    def __init__(self, path: Path, spec: RunSpec, axes: dict[str, list], tiles: list[Tile]) -> None:
        require_extra("netcdf", "saving a sweep")
        rule, remedy = "is a file; a sweep is saved in a folder", "Choose another path"
        require(path.is_dir() or not path.exists(), "save", str(path), rule, remedy)
        self.path, self.tiles = path, tiles
        identity = _identity(spec, axes)
        plan = path / "plan.json"
        if not plan.exists() and jax.process_index() == 0:
            cut = [[tile.cells.tolist(), tile.seeds.tolist(), tile.places] for tile in tiles]
            text = json.dumps({"sweep": identity, "tiles": cut})
            content = f"{text}\n{short_digest(text)}\n"
            atomic_write(plan, lambda to: to.write_text(content, encoding="utf-8"), new=True)
        if plan.exists():  # perhaps that of another process, which was faster
            self._resume(_read_plan(plan), identity)
        cut = [[tile.cells.tolist(), tile.seeds.tolist()] for tile in self.tiles]
        # files bear this in their names, so that tiles of another sweep are never taken for those of this one
        self.plan_digest = short_digest(json.dumps([identity, cut]))

    def _resume(self, plan: Any, identity: dict[str, Any]) -> None:
        """Take the tiles of a plan, if it is that of this sweep."""
        # compared as JSON, which makes lists of tuples: the plan went through it, this sweep did not
        saved, new = ({name: json.dumps(value) for name, value in of.items()} for of in (plan["sweep"], identity))
        differ = sorted(name for name in saved.keys() | new.keys() if saved.get(name) != new.get(name))
        details = [f"{name} ({_short(saved.get(name))} there, {_short(new.get(name))} here)" for name in differ]
        rule = f"holds another sweep, which differs in {', '.join(details)}"
        require(not differ, "save", str(self.path), rule, "Choose another path; what is there stays as it is")
        self.tiles = [Tile(np.asarray(c), np.asarray(s), tuple(places)) for c, s, places in plan["tiles"]]

    def _file(self, number: int) -> Path:
        return self.path / f"tile-{number:05d}-{self.plan_digest}.nc"

    def load(self) -> dict[int, xr.Dataset]:
        """The finished tiles by their numbers; damaged ones are reported, and left out to be recomputed."""
        files = [find_intact(self._file(number)) for number in range(len(self.tiles))]
        done = np.array([file is not None for file in files], bool)
        for number in np.flatnonzero(~done).tolist():
            if any(self.path.glob(f"{self._file(number).stem}.*.nc")):
                damaged = f"tile {number} in {self.path} is not what was written: it is computed anew"
                warnings.warn(damaged, stacklevel=3)
        if jax.process_count() > 1:  # all must agree on what is left to do
            done = multihost_utils.broadcast_one_to_all(done)
        finished = np.flatnonzero(done).tolist()
        parts = {number: decoded(xr.load_dataset(files[number] or self._wait_for(number))) for number in finished}
        for number, part in parts.items():
            rule, remedy = "holds another tile", "Remove that file"
            require(part.attrs.pop("tile", None) == number, "file", str(files[number]), rule, remedy)
        return parts

    def _wait_for(self, number: int) -> Path:
        """A tile that the writing process has seen: a network's folder may show it here a little later."""
        for _ in range(SHARED_FOLDER_TIMEOUT):
            time.sleep(1)
            if file := find_intact(self._file(number)):
                return file
        text = f"is seen by process 0, and not by {jax.process_index()}. Save in a folder that all processes share"
        raise OSError(f"{self._file(number)} {text}.")

    def write(self, number: int, part: xr.Dataset) -> None:
        """Put a finished tile on the disk, whole or not at all."""
        if jax.process_index() == 0:
            atomic_write(self._file(number), encoded(part.assign_attrs(tile=number)).to_netcdf, sealed=True)


def _identity(spec: RunSpec, axes: dict[str, list]) -> dict[str, Any]:
    """What a sweep is, by the names that messages use: all on which its numbers depend."""
    experiment = spec.cells[0].experiment  # others differ from it in the swept settings only, which the grid lists
    return {
        **{name: np.asarray(value).tolist() for name, value in settings(experiment).items()},
        "grid": axes,
        "seeds": spec.seeds.tolist(),
        "record": [f"{q.name} {q.dims_for(experiment.network)} {fingerprint(q.fn)}" for q in spec.record],
        "every": spec.every,
        "measure": None if spec.measure is None else fingerprint(spec.measure),
        "initial": None if spec.initial is None else [array_description(leaf) for leaf in spec.initial],
        "classes": [class_fingerprint(type(part)) for part in parts_of(experiment)],
        "engine": ENGINE,
        **jax_settings(),
        **VERSIONS,
    }


def _read_plan(path: Path) -> Any:
    """The plan in a file, whose second line is the checksum of the first."""
    try:
        text, checksum = path.read_text(encoding="utf-8").splitlines()
        plan = json.loads(text) if short_digest(text) == checksum else None
    except (OSError, ValueError):
        plan = None
    rule = "is damaged, so that nothing can be said of the tiles beside it"
    remedy = "Choose another path, or remove that folder if you can do without it"
    require(plan is not None, "plan", str(path), rule, remedy)
    return plan


def _short(value: str | None) -> str:
    """A value of a plan for a message: whole if it is short, or else its beginning."""
    text = "nothing" if value is None else value
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
