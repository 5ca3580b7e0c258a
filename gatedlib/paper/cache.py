"""Results that several processes need, computed once for all of them.

Where the environment variable `GATEDLIB_RESULTS` names a folder, as while the book is built, the tests run or all
claims are measured, what a function decorated with `cached` returns is put there by joblib, apart for each state of the
package; who asks for what another process is computing waits for it. Otherwise nothing is.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import joblib

from gatedlib._internal.files import locked, source_digest
from gatedlib._internal.identity import digest, jax_settings
from gatedlib._internal.validation import require, require_folder
from gatedlib.simulation.results import VERSIONS

WORTH_READING = 0.3
"""What took fewer seconds than this is computed again, so that its time counts what others share with it."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


_saved: list[float] = []


def clock() -> float:
    """Wall-clock time plus the time saved by results from the folder: differences say what computing takes."""
    return time.perf_counter() + sum(_saved)


def _worth(metadata: dict[str, float]) -> bool:
    return metadata["duration"] > WORTH_READING


def _own(folder: Path) -> Path:
    """A folder in which nobody else may write: what is read from it is unpickled, which can run any program."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = folder.stat()
    mine = os.name != "posix" or (there.st_uid in {0, os.getuid()} and not there.st_mode & 0o022)
    rule, remedy = "must be a folder in which nobody but you may write", f"Run chmod go-w {folder}, or name a new one"
    require(mine, "GATEDLIB_RESULTS", str(folder), rule, remedy)
    return folder


def cached(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a function of plain arguments look for its result in the folder first, if there is one.

    A function of a notebook never does: no folder tells what it was when its result was put there.

    Example:
        >>> from gatedlib.paper.cache import cached
        >>> cached(lambda x: x + 1)(2)
        3
    """

    @functools.wraps(compute)
    def timed(*args: Given.args, **kwargs: Given.kwargs) -> tuple[float, Result]:
        start = clock()
        result = compute(*args, **kwargs)
        return clock() - start, result

    @functools.wraps(compute)
    def look(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        named = os.environ.get("GATEDLIB_RESULTS")
        if not named or compute.__module__ == "__main__":
            return compute(*args, **kwargs)
        state = digest(f"{source_digest('**/*.py')} {sorted(VERSIONS.items())} {jax_settings()}")
        folder = _own(require_folder("GATEDLIB_RESULTS", named, "Name a folder")) / state
        asked = joblib.hash((compute.__module__, compute.__qualname__, args, sorted(kwargs.items())))
        with locked(folder / f"{asked}.lock"):  # another process may be about to find it
            start = clock()
            seconds, result = joblib.Memory(folder, verbose=0).cache(timed, cache_validation_callback=_worth)(
                *args, **kwargs
            )
            _saved.append(max(0.0, seconds - (clock() - start)))
        return result

    return look
