"""Which networks claims are measured with: those of other seeds, if the environment asks for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from gatedlib._internal.validation import require

VARIABLE = "GATEDLIB_FIRST_SEED"
"""The environment variable that holds the first seed of all claims."""

LARGEST = 10**9
"""The largest first seed; all seeds of a run must be below 2**31."""


def checked_first_seed(text: str, name: str) -> int:
    """The first seed that an option or a variable of this name asks for, as a number.

    Raises:
        ValueError: if it is no whole number from 0 on, or too large.
    """
    right = text.isascii() and text.isdigit() and int(text) <= LARGEST
    require(right, name, text, f"must be a whole number from 0 to {LARGEST}", "Use 1000 for fresh networks")
    return int(text)


def first_seed() -> int:
    """The seed of the first network of each claim: 0, unless the variable `GATEDLIB_FIRST_SEED` holds another one.

    Raises:
        ValueError: if the variable holds no whole number from 0 on.

    Example:
        >>> from gatedlib_book.networks import beginning_at, first_seed
        >>> with beginning_at(1000):
        ...     first_seed()
        1000
    """
    return checked_first_seed(os.environ.get(VARIABLE, "0"), VARIABLE)


def networks(count: int, skip: int = 0) -> range:
    """The seeds of so many networks, from `first_seed` on.

    Whatever a claim draws at random takes its seed from here, so that all claims can be measured with networks that
    nobody has seen: teachers, initial weights, batches, noise, random switches and random mixtures. The same for all
    are data sets of pictures with the trunks that were trained on them, and random orders of counterfactuals.

    Args:
        count: how many.
        skip: how many to leave out before the first.

    Example:
        >>> from gatedlib_book.networks import beginning_at, networks
        >>> with beginning_at(1000):
        ...     networks(30), networks(30, skip=500)
        (range(1000, 1030), range(1500, 1530))
    """
    first = first_seed() + skip
    return range(first, first + count)


@contextlib.contextmanager
def beginning_at(first: int) -> Iterator[None]:
    """Let claims have networks from this seed on, here and in processes that are started meanwhile.

    Example:
        >>> from gatedlib_book.networks import beginning_at, networks
        >>> with beginning_at(1000):
        ...     networks(2)
        range(1000, 1002)
    """
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(first)
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before
