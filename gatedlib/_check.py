"""Checks of what a user passes in: every refusal names the value, the rule and the remedy."""

import difflib
import math
import numbers
from collections.abc import Iterable

import jax
import numpy as np


def require(ok: bool, name: str, value: object, rule: str, remedy: str) -> None:
    """Raise a `ValueError` that says what was passed, what is allowed and what to do, unless `ok`."""
    if not ok:
        end = "" if remedy.endswith("?") else "."
        raise ValueError(f"{name} = {value!r}: {rule}. {remedy}{end}")


def _number(value: object) -> float | None:
    """The value as a float, or None where it is no real number (nan and booleans are none)."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, numbers.Real) or math.isnan(value):
        return None
    return float(value)


def is_number(value: object) -> bool:
    """Whether a value is one real number."""
    return _number(value) is not None


def positive(name: str, value: object, remedy: str, *, infinite: bool = False) -> None:
    """Require a number above zero; infinity only where it has a meaning."""
    if isinstance(value, jax.core.Tracer):  # a caller's own jit or grad: checked when it was built
        return
    number = _number(value)
    ok = number is not None and number > 0 and (infinite or math.isfinite(number))
    require(ok, name, value, "must be a number above 0" + ("" if infinite else ", and finite"), remedy)


def nonnegative(name: str, value: object, remedy: str) -> None:
    """Require a finite number that is zero or more."""
    if isinstance(value, jax.core.Tracer):
        return
    number = _number(value)
    ok = number is not None and 0 <= number < math.inf
    require(ok, name, value, "must be a finite number, 0 or above", remedy)


def whole(name: str, value: object, at_least: int, remedy: str) -> None:
    """Require an integer of at least `at_least`."""
    ok = isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= at_least
    require(ok, name, value, f"must be a whole number, {at_least} or above", remedy)


def known(name: str, names: Iterable[str], what: str) -> None:
    """Require that `name` is among `names`; the refusal suggests the nearest ones."""
    names = sorted(set(names))
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
    require(False, what, name, f"there is no such {what}", "Did you mean " + ", ".join(near) + "?")
