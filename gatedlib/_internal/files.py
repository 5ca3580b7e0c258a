"""Files that are written as a whole or not at all, and whose content can be checked later."""

import contextlib
import functools
import glob
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gatedlib._internal.identity import short_digest

PACKAGE = Path(__file__).parents[1]


def atomic_write(path: Path, write: Callable[[Path], Any], *, sealed: bool = False, new: bool = False) -> None:
    """Write a file under another name, then rename it: readers never see a partial file, even after an interrupt.

    A `sealed` file has the checksum of its content in its name, so that `find_intact` can tell whether it was changed
    since. With `new`, a file that exists is left as it is: of several processes that write it the first one wins.

    Raises:
        OSError: if it cannot be written; no partial file is left behind, and other files are as they were.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("r+b") as written:  # Windows flushes no file that is open for reading only
            os.fsync(written.fileno())
        if new:
            _rename_unless_taken(partial, path)
        else:
            _rename(partial, path.with_suffix(f".{_checksum(partial)}{path.suffix}") if sealed else path)
    except (OSError, RuntimeError) as failure:  # netCDF raises a RuntimeError when the disk is full
        remedy = "Make room there, or choose another folder; what was there before is as it was"
        raise OSError(f"{path}: cannot be written ({failure}). {remedy}.") from failure
    finally:
        with contextlib.suppress(OSError):  # Windows keeps a file that a writer which failed still has open
            partial.unlink(missing_ok=True)


def _rename(partial: Path, path: Path) -> None:
    """Give a file its name, in place of the file that has it now."""
    try:
        partial.replace(path)
    except PermissionError:  # Windows does so while another process reads the old file; no harm if that holds the same
        if not path.is_file() or _checksum(path) != _checksum(partial):
            raise


def _rename_unless_taken(partial: Path, path: Path) -> None:
    """Give a file its name unless another file has it, by a hard link or, on disks that know none, by a copy."""
    with contextlib.suppress(FileExistsError):
        try:
            path.hardlink_to(partial)  # at once, so that no reader sees a part of it
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # disks without links raise many errors
            content = partial.read_bytes()
            with path.open("xb") as copy:
                try:
                    copy.write(content)
                    copy.flush()
                except OSError:
                    path.unlink(missing_ok=True)
                    raise


def find_intact(path: Path) -> Path | None:
    """The sealed file of that name whose content is still as it was written, or None."""
    for candidate in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*{path.suffix}")):
        if candidate.suffixes[-2] == f".{_checksum(candidate)}":
            return candidate
    return None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock: other processes that ask for the same path wait until the block ends, or this process does.

    Without a lock the block runs all the same: on Windows, and on disks that know no locks.
    """
    with contextlib.ExitStack() as open_files:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(open_files.enter_context(path.open("a", encoding="utf-8")), fcntl.LOCK_EX)
        yield


@functools.cache
def source_digest(pattern: str, folder: Path = PACKAGE) -> str:
    """A checksum of those files of a folder, by default of this package, that match a pattern, such as `*.py`."""
    return short_digest(*(source.read_bytes() for source in sorted(folder.glob(pattern))))


def _checksum(path: Path) -> str:
    return short_digest(path.read_bytes())
