"""Results that are asked for more than once, by several claims, pages or processes, and are computed once.

A function decorated with `cached` keeps its last sixteen results in memory. Where the environment variable
`GATEDLIB_RESULTS` names a folder, as while the book is built, the tests run or all claims are measured, joblib puts it
there too, in a folder of its own for each state of the code and each first seed of the networks; a process that asks
for what another one is computing waits for it.
"""

from __future__ import annotations

import functools
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import joblib

from gatedlib._internal.files import locked, source_digest
from gatedlib._internal.identity import jax_settings, short_digest
from gatedlib._internal.validation import refusal, require_folder
from gatedlib.simulation.results import VERSIONS
from gatedlib_book.networks import first_seed

MIN_CACHED_SECONDS = 0.3
"""What took fewer seconds than this is computed again, so that its time counts what others share with it."""

IN_MEMORY = 16
"""How many results of a function are kept in memory."""

BOOK = Path(__file__).parent

Given = ParamSpec("Given")
Result = TypeVar("Result")


_saved: list[float] = []


def clock() -> float:
    """Wall-clock time plus the time saved by results from the folder: differences say what computing takes."""
    return time.perf_counter() + sum(_saved)


def _worth_reading(metadata: dict[str, float]) -> bool:
    return metadata["duration"] > MIN_CACHED_SECONDS


def _require_private(folder: Path) -> Path:
    """Require that nobody else may write in a folder: what is read from it is unpickled, which can run any program."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = folder.stat()
    mine = os.name != "posix" or (there.st_uid in {0, os.getuid()} and not there.st_mode & 0o022)
    if not mine:
        rule, remedy = (
            "must be a folder in which nobody but you may write",
            f"Run chmod go-w {folder}, or name a new one",
        )
        raise refusal("GATEDLIB_RESULTS", str(folder), rule, remedy)
    return folder


def cached(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Keep what a function returns: the last results in memory, all of them in the folder, if there is one.

    An experiment that holds arrays cannot be looked up in memory; results of such are kept in the folder only.

    A function of a notebook is kept in memory only: no folder tells what it was when its result was put there.

    Example:
        >>> from gatedlib_book.cache import cached
        >>> cached(lambda x: x + 1)(2)
        3
    """

    @functools.wraps(compute)
    def timed(*args: Given.args, **kwargs: Given.kwargs) -> tuple[float, Result]:
        start = clock()
        result = compute(*args, **kwargs)
        return clock() - start, result

    @functools.wraps(compute)
    def from_folder(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        named = os.environ.get("GATEDLIB_RESULTS")
        if not named or compute.__module__ == "__main__":
            return compute(*args, **kwargs)
        code = f"{source_digest('**/*.py')} {source_digest('*.py', BOOK)}"
        state = short_digest(f"{code} {sorted(VERSIONS.items())} {jax_settings()} {first_seed()}")
        folder = _require_private(require_folder("GATEDLIB_RESULTS", named, "Name a folder")) / state
        call = joblib.hash((compute.__module__, compute.__qualname__, args, sorted(kwargs.items())))
        # another process may be computing it; and where a disk is busy, joblib warns of how long it writes
        with locked(folder / f"{call}.lock"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Persisting input arguments took")
            start = clock()
            memory = joblib.Memory(folder, verbose=0).cache(timed, cache_validation_callback=_worth_reading)
            seconds, result = memory(*args, **kwargs)
            # what the folder saved counts as if it had been computed here, so that costs of claims compare
            _saved.append(max(0.0, seconds - (clock() - start)))
        return result

    @functools.lru_cache(maxsize=IN_MEMORY)
    def in_memory(first: int, /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        return from_folder(*args, **kwargs)

    @functools.wraps(compute)
    def cached_call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        try:
            hash((args, *kwargs.values()))
        except TypeError:  # an experiment of given matrices, which are arrays
            return from_folder(*args, **kwargs)
        return in_memory(first_seed(), *args, **kwargs)  # type: ignore[arg-type]

    cached_call.cache_clear = in_memory.cache_clear  # type: ignore[attr-defined]
    return cached_call
