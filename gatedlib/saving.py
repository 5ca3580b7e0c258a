"""Finished chunks of a sweep in a folder, so that a sweep that was stopped can go on."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
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


INSTALLED = re.compile(r"(gatedlib(?!\.paper)|numpy|jax|xarray|scipy)\b")
"""Modules whose functions are told by name and by what they hold: a sweep knows the library's code by a checksum."""

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
        identity: dict[str, Any] = {
            **{name: np.asarray(value).tolist() for name, value in settings(experiment).items()},
            "grid": axes,
            "seeds": seeds.tolist(),
            "record": [f"{q.name} {q.dims_for(experiment.network)} {fingerprint(q.fn)}" for q in record],
            "every": every,
            "measure": None if measure is None else fingerprint(measure),
            "library": program("*.py"),
            "double precision": bool(jax.config.jax_enable_x64),  # type: ignore[attr-defined]
            **VERSIONS,
        }
        rule, remedy = "is a file; a sweep is saved in a folder", "Choose another path"
        _check.require(path.is_dir() or not path.exists(), "save", str(path), rule, remedy)
        plan = path / "plan.json"
        if not plan.exists() and jax.process_index() == 0:
            cut = [[tile.cells.tolist(), tile.seeds.tolist(), tile.places] for tile in tiles]
            told = json.dumps({"sweep": identity, "tiles": cut})
            written_whole(plan, lambda to: to.write_text(f"{told}\n{_digest(told)}\n"), new=True)
        if plan.exists():  # maybe that of another process, which was faster
            try:
                told, digest = plan.read_text().splitlines()
                whole_plan = json.loads(told) if _digest(told) == digest else None
            except (OSError, ValueError):
                whole_plan = None
            rule = "is damaged, so that nothing can be said of the chunks beside it"
            remedy = "Remove that folder, or choose another path"
            _check.require(whole_plan is not None, "plan", str(plan), rule, remedy)
            self._resume(whole_plan, json.loads(json.dumps(identity)))
        self.mark = _digest(json.dumps([identity, [[tile.cells.tolist(), tile.seeds.tolist()] for tile in self.tiles]]))

    def _resume(self, plan: Any, here: dict[str, Any]) -> None:
        from gatedlib.sweeps import Tile

        there = plan["sweep"]
        differ = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        rule = f"holds another sweep, which differs in {', '.join(differ)}"
        _check.require(not differ, "save", str(self.path), rule, "Choose another path, or remove that folder")
        self.tiles = [Tile(np.asarray(c), np.asarray(s), tuple(places)) for c, s, places in plan["tiles"]]

    def _file(self, number: int) -> Path:
        return self.path / f"chunk-{number:05d}-{self.mark}.nc"

    def load(self) -> dict[int, xr.Dataset]:
        """The finished chunks by their numbers; those that are damaged are told of, and are to be computed anew."""
        found = [whole(self._file(number)) for number in range(len(self.tiles))]
        done = np.asarray([file is not None for file in found])
        for number in np.flatnonzero(~done).tolist():
            if any(self.path.glob(f"{self._file(number).stem}.*.nc")):
                damaged = f"chunk {number} in {self.path} is not what was written: it is computed anew"
                warnings.warn(damaged, stacklevel=3)
        if jax.process_count() > 1:  # all must agree on what is left to do
            done = multihost_utils.broadcast_one_to_all(done)
        there = np.flatnonzero(done).tolist()
        parts = {number: xr.load_dataset(found[number] or self._awaited(number)) for number in there}
        for number, part in parts.items():
            rule, remedy = "holds another chunk", "Remove that file"
            _check.require(part.attrs.pop("chunk", None) == number, "file", str(found[number]), rule, remedy)
        return parts

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
            written_whole(self._file(number), part.assign_attrs(chunk=number).to_netcdf, sealed=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(thing: Any) -> str:
    """What a function, or an object that can be called, is: its name, its code and the values that it holds.

    Example:
        >>> from functools import partial
        >>> from gatedlib.saving import fingerprint
        >>> fingerprint(partial(max, 1)) == fingerprint(partial(max, 2))
        False
    """
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    return f"{name} {_digest(_told(thing))}"


def _told(thing: Any, within: tuple[int, ...] = ()) -> str:
    """A text that is the same in every process, and differs where behaviour does as far as can be seen."""
    if id(thing) in within:  # a function that calls itself, or what holds itself
        return "again"
    within = (*within, id(thing))
    if isinstance(thing, types.CodeType):
        return f"{thing.co_code.hex()} {thing.co_names} {_told(thing.co_consts, within)}"
    if isinstance(thing, types.FunctionType):
        held = [cell.cell_contents for cell in thing.__closure__ or ()]
        if INSTALLED.match(thing.__module__):
            return f"{thing.__module__} {thing.__qualname__} {_told((thing.__defaults__, held), within)}"
        used = {name: thing.__globals__[name] for name in _names(thing.__code__) if name in thing.__globals__}
        parts = (thing.__code__, thing.__defaults__, thing.__kwdefaults__, held, used)
        return f"{thing.__qualname__} {_told(parts, within)}"
    if hasattr(thing, "__wrapped__"):  # a function that was jitted, or decorated otherwise
        return _told(thing.__wrapped__, within)
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
    if isinstance(thing, xr.DataArray | xr.Dataset):  # whose text leaves out the middle of what is long
        return _told(thing.to_dict(), within)
    if isinstance(thing, eqx.Module) or type(thing).__repr__ is object.__repr__:  # whose texts tell no numbers
        return f"{type(thing).__qualname__} {_told((vars(thing), vars(type(thing)).get('__call__')), within)}"
    return repr(thing)


def _names(code: types.CodeType) -> list[str]:
    """What a function, and those within it, may look for outside of itself."""
    inside = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return sorted({*code.co_names, *inside})
