"""Files that are there whole or not at all, and tell whether they still are what was written."""

import contextlib
import errno
import functools
import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""How a disk says that it knows no hard links, as that of a stick or of some networks."""


def written_whole(path: Path, write: Callable[[Path], Any], *, sealed: bool = False, new: bool = False) -> None:
    """Write a file under another name, then rename it: what bears its name is whole, whoever is interrupted.

    A `sealed` file bears the checksum of its content in its name, so that `whole` can tell if it was changed since. A
    `new` one is left as it is if it is there already: of several processes that write it the first one wins.

    Raises:
        OSError: if it cannot be written; nothing of it is left behind, and other files are as they were.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        if new:
            _put(partial, path)
        else:
            partial.replace(path.with_suffix(f".{_checksum(partial)}{path.suffix}") if sealed else path)
    except (OSError, RuntimeError) as failure:  # netCDF tells of a full disk by a RuntimeError
        remedy = "Make room there, or choose another folder"
        raise OSError(
            f"{path}: cannot be written ({failure}). {remedy}; what was there before is as it was."
        ) from failure
    finally:
        if partial.exists():
            partial.unlink()


def _put(partial: Path, path: Path) -> None:
    """Give a file its name, unless that is taken; by a link, which is whole at once, where the disk knows links."""
    with contextlib.suppress(FileExistsError):
        try:
            path.hardlink_to(partial)
        except OSError as failure:
            if failure.errno not in NO_LINKS:
                raise
            with path.open("xb") as to:
                to.write(partial.read_bytes())


def whole(path: Path) -> Path | None:
    """The sealed file of that name, or None if there is none whose content is what was written."""
    for found in sorted(path.parent.glob(f"{path.stem}.*{path.suffix}")):
        if found.suffixes[-2] == f".{_checksum(found)}":
            return found
    return None


@functools.cache
def program(pattern: str) -> str:
    """A checksum of those files of this package that fit a pattern, such as `*.py`."""
    told = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob(pattern)):
        told.update(source.read_bytes())
    return told.hexdigest()[:16]


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
