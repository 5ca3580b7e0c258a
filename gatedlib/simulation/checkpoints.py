"""Finished chunks of a sweep in a folder, so that a sweep that was stopped can go on."""

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
from gatedlib._internal.identity import class_fingerprint, digest, fingerprint, jax_settings
from gatedlib._internal.validation import require
from gatedlib.model.experiment import Experiment, parts_of
from gatedlib.model.networks import Params
from gatedlib.simulation.grid import Measure, Tile
from gatedlib.simulation.netcdf import decoded, encoded
from gatedlib.simulation.record import Quantity
from gatedlib.simulation.results import VERSIONS, array_description, settings

ENGINE = 2
"""To be raised whenever a run of this library comes to give other numbers: folders of saved sweeps are then refused."""

MAX_TOLD = 60
"""Characters of a value of a plan that stand in a message."""

PATIENCE = 30
"""Seconds to wait for a file that another process has seen."""


class Store:
    """A folder with a plan (`plan.json`) and one netCDF file per finished chunk.

    The plan says which sweep this is, and how it is cut. A file is written under another name and then renamed, and its
    name tells its checksum, so that one that is not what was written is found out. The first process writes; all others
    read.

    Args:
        path: the folder; made if missing.
        experiment, axes, seeds, record, every, measure, initial: the sweep.
        tiles: how the sweep is cut, unless the folder has a plan already.

    Raises:
        ValueError: if the path is a file, the plan is damaged, or the folder holds another sweep; the message says in
            what it differs.
        OSError: if the folder cannot be written to.
        ModuleNotFoundError: if netCDF4 is not installed.
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
        initial: Params | None,
        tiles: list[Tile],
    ) -> None:
        require_extra("netcdf", "saving a sweep")
        self.path, self.tiles = path, tiles
        identity: dict[str, Any] = {
            **{name: np.asarray(value).tolist() for name, value in settings(experiment).items()},
            "grid": axes,
            "seeds": seeds.tolist(),
            "record": [f"{q.name} {q.dims_for(experiment.network)} {fingerprint(q.fn)}" for q in record],
            "every": every,
            "measure": None if measure is None else fingerprint(measure),
            "initial": None if initial is None else [array_description(leaf) for leaf in initial],
            "classes": [class_fingerprint(type(part)) for part in parts_of(experiment)],
            "engine": ENGINE,
            **jax_settings(),
            **VERSIONS,
        }
        rule, remedy = "is a file; a sweep is saved in a folder", "Choose another path"
        require(path.is_dir() or not path.exists(), "save", str(path), rule, remedy)
        plan = path / "plan.json"
        if not plan.exists() and jax.process_index() == 0:
            cut = [[tile.cells.tolist(), tile.seeds.tolist(), tile.places] for tile in tiles]
            text = json.dumps({"sweep": identity, "tiles": cut})
            atomic_write(plan, lambda to: to.write_text(f"{text}\n{digest(text)}\n", encoding="utf-8"), new=True)
        if plan.exists():  # maybe that of another process, which was faster
            try:
                text, checksum = plan.read_text(encoding="utf-8").splitlines()
                whole_plan = json.loads(text) if digest(text) == checksum else None
            except (OSError, ValueError):
                whole_plan = None
            rule = "is damaged, so that nothing can be said of the chunks beside it"
            remedy = "Choose another path, or remove that folder if you can do without it"
            require(whole_plan is not None, "plan", str(plan), rule, remedy)
            self._resume(whole_plan, json.loads(json.dumps(identity)))
        self.mark = digest(json.dumps([identity, [[tile.cells.tolist(), tile.seeds.tolist()] for tile in self.tiles]]))

    def _resume(self, plan: Any, here: dict[str, Any]) -> None:
        there = plan["sweep"]
        saved, new = ({name: json.dumps(value) for name, value in each.items()} for each in (there, here))
        differ = sorted(name for name in saved.keys() | new.keys() if saved.get(name) != new.get(name))
        told = ", ".join(f"{name} ({_short(saved.get(name))} there, {_short(new.get(name))} here)" for name in differ)
        rule = f"holds another sweep, which differs in {told}"
        require(not differ, "save", str(self.path), rule, "Choose another path; what is there stays as it is")
        self.tiles = [Tile(np.asarray(c), np.asarray(s), tuple(places)) for c, s, places in plan["tiles"]]

    def _file(self, number: int) -> Path:
        return self.path / f"chunk-{number:05d}-{self.mark}.nc"

    def load(self) -> dict[int, xr.Dataset]:
        """The finished chunks by their numbers; those that are damaged are told of, and are to be computed anew."""
        found = [find_intact(self._file(number)) for number in range(len(self.tiles))]
        done = np.array([file is not None for file in found], bool)
        for number in np.flatnonzero(~done).tolist():
            if any(self.path.glob(f"{self._file(number).stem}.*.nc")):
                damaged = f"chunk {number} in {self.path} is not what was written: it is computed anew"
                warnings.warn(damaged, stacklevel=3)
        if jax.process_count() > 1:  # all must agree on what is left to do
            done = multihost_utils.broadcast_one_to_all(done)
        there = np.flatnonzero(done).tolist()
        parts = {number: decoded(xr.load_dataset(found[number] or self._awaited(number))) for number in there}
        for number, part in parts.items():
            rule, remedy = "holds another chunk", "Remove that file"
            require(part.attrs.pop("chunk", None) == number, "file", str(found[number]), rule, remedy)
        return parts

    def _awaited(self, number: int) -> Path:
        """A chunk that the process which writes has seen: a network's folder may show it here a little later."""
        for _ in range(PATIENCE):
            time.sleep(1)
            if file := find_intact(self._file(number)):
                return file
        text = f"is seen by process 0, and not by {jax.process_index()}. Save in a folder that all processes share"
        raise OSError(f"{self._file(number)} {text}.")

    def write(self, number: int, part: xr.Dataset) -> None:
        """Put a finished chunk on the disk, whole or not at all."""
        if jax.process_index() == 0:
            atomic_write(self._file(number), encoded(part.assign_attrs(chunk=number)).to_netcdf, sealed=True)


def _short(value: str | None) -> str:
    """A value of a plan as it is told: as it is if it is short, or else its beginning."""
    text = "nothing" if value is None else value
    return text if len(text) <= MAX_TOLD else f"{text[:MAX_TOLD]}…"
