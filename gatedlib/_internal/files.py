"""Files that are there whole or not at all, and tell whether they still are what was written."""

import contextlib
import functools
import glob
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gatedlib._internal.identity import short_digest


def atomic_write(path: Path, write: Callable[[Path], Any], *, sealed: bool = False, new: bool = False) -> None:
    """Write a file under another name, then rename it: what bears its name is whole, whoever is interrupted.

    A `sealed` file bears the checksum of its content in its name, so that `find_intact` can tell if it was changed
    since. A `new` one is left as it is if it is there already: of several processes that write it the first one wins.

    Raises:
        OSError: if it cannot be written; nothing of it is left behind, and other files are as they were.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("r+b") as written:  # Windows flushes no file that is open for reading only
            os.fsync(written.fileno())
        if new:
            _put(partial, path)
        else:
            _replace(partial, path.with_suffix(f".{_checksum(partial)}{path.suffix}") if sealed else path)
    except (OSError, RuntimeError) as failure:  # netCDF tells of a full disk by a RuntimeError
        remedy = "Make room there, or choose another folder"
        raise OSError(
            f"{path}: cannot be written ({failure}). {remedy}; what was there before is as it was."
        ) from failure
    finally:
        with contextlib.suppress(OSError):  # on Windows, while whoever failed to write it still has it open
            partial.unlink(missing_ok=True)


def _replace(partial: Path, path: Path) -> None:
    """Give a file its name, in place of what bears it.

    Windows refuses that while someone reads the one that is there, which is no loss if it holds the same.
    """
    try:
        partial.replace(path)
    except PermissionError:
        if not path.is_file() or _checksum(path) != _checksum(partial):
            raise


def _put(partial: Path, path: Path) -> None:
    """Give a file its name, unless that is taken: by a link, which is whole at once, or where there are none, a copy.

    Disks say in many ways that they know no links; a copy fails too, and says why, where nothing can be written.
    """
    with contextlib.suppress(FileExistsError):
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            content = partial.read_bytes()
            with path.open("xb") as to:
                try:
                    to.write(content)
                    to.flush()
                except OSError:
                    path.unlink(missing_ok=True)
                    raise


def find_intact(path: Path) -> Path | None:
    """The sealed file of that name, or None if there is none whose content is what was written."""
    for found in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}")):
        if found.suffixes[-2] == f".{_checksum(found)}":
            return found
    return None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let others who ask for the same wait until this is done, or its process has ended; some disks cannot do that."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(path.open("a", encoding="utf-8")), fcntl.LOCK_EX)
        yield


@functools.cache
def source_digest(pattern: str) -> str:
    """A checksum of those files of this package that fit a pattern, such as `*.py`."""
    return short_digest(*(source.read_bytes() for source in sorted(Path(__file__).parents[1].glob(pattern))))


def _checksum(path: Path) -> str:
    return short_digest(path.read_bytes())
