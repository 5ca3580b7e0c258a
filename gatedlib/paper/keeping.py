"""Results that several processes need, computed once for all of them.

Where the environment variable `GATEDLIB_RESULTS` names a folder, as while the book is built, the tests run or all
claims are measured, what a function decorated with `kept` returns is put there, under a checksum of its arguments and
of the whole package; who asks for what another process is computing waits for it. Otherwise nothing is.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from gatedlib import _check
from gatedlib._files import alone, program, whole, written_whole
from gatedlib._identity import settings_of_jax
from gatedlib.results import VERSIONS

LONG = 0.3
"""What takes fewer seconds than this is not worth a file."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


_spared: list[float] = []


def clock() -> float:
    """Seconds, as if nothing that was found in the folder had been spared: differences say what computing takes."""
    return time.perf_counter() + sum(_spared)


def kept(compute: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a function of plain arguments look for its result in the folder first, if there is one.

    Example:
        >>> from gatedlib.paper.keeping import kept
        >>> kept(lambda x: x + 1)(2)
        3
    """

    @functools.wraps(compute)
    def look(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        named = os.environ.get("GATEDLIB_RESULTS")
        if not named:
            return compute(*args, **kwargs)
        folder = _check.folder("GATEDLIB_RESULTS", named, "Name a folder")
        asked = pickle.dumps((compute.__module__, compute.__qualname__, args, sorted(kwargs.items())))
        versions = sorted(VERSIONS.items())
        state = f"{program('**/*.py')} {versions} {settings_of_jax()}".encode()
        name = re.sub(r"\W+", "-", compute.__qualname__)  # on some disks a file may not be called <lambda>
        file = folder / f"{name}-{hashlib.sha256(asked + state).hexdigest()[:24]}.pickle"
        found = whole(file)
        if found is None:
            with alone(file.with_suffix(".lock")):  # another process may be about to find it
                found = whole(file)
                if found is None:
                    return computed(file, *args, **kwargs)
        seconds, result = pickle.loads(found.read_bytes())
        _spared.append(seconds)
        return result

    def computed(file: Path, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        start = clock()
        result = compute(*args, **kwargs)
        seconds = clock() - start
        if seconds > LONG:
            content = pickle.dumps((seconds, result), protocol=pickle.HIGHEST_PROTOCOL)
            try:
                written_whole(file, lambda to: to.write_bytes(content), sealed=True)
            except OSError as failure:  # what was computed is not lost for that
                warnings.warn(f"A result is not kept: {failure}", stacklevel=3)
        return result

    return look
