"""Checks of what a user passes in: every refusal names the value, the rule and the remedy."""

import difflib
import math
import numbers
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

LONG = 200
"""A value whose text has more characters than this is told by its kind alone."""


def require(ok: bool, name: str, value: object, rule: str, remedy: str) -> None:
    """Raise a `ValueError` that says what was passed, what is allowed and what to do, unless `ok`."""
    if not ok:
        end = "" if remedy.endswith("?") else "."
        raise ValueError(f"{name} = {_told(value)}: {rule}. {remedy}{end}")


def _told(value: object) -> str:
    if isinstance(value, np.ndarray | jax.Array) and value.ndim > 0:
        return f"an array of shape {value.shape}"
    said = repr(value)
    return said if len(said) <= LONG else f"a {type(value).__name__}"


def kind(name: str, value: object, kinds: type | tuple[type, ...], remedy: str) -> None:
    """Require an instance of a class, or of one of several."""
    names = [each.__name__ for each in (kinds if isinstance(kinds, tuple) else (kinds,))]
    told = " or ".join(f"{'an' if each[0] in 'AEIO' else 'a'} {each}" for each in names)
    require(isinstance(value, kinds), name, value, f"must be {told}", remedy)


def array(name: str, value: object, remedy: str) -> jax.Array:
    """The value as an array of real numbers."""
    try:
        numeric = value if isinstance(value, jax.Array) else np.asarray(value)
    except ValueError:  # rows of unequal length
        numeric = np.asarray(None)
    require(numeric.dtype.kind in "biuf", name, value, "must be an array of real numbers", remedy)
    return jnp.asarray(numeric)


def ordered(values: object) -> object:
    """A list of any kind as a tuple; what is no list is left to the checks."""
    return tuple(values) if isinstance(values, Iterable) else values


def _number(value: object) -> float | None:
    """The value as a float, or None where it is no real number (nan and booleans are none)."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return None if math.isnan(number) else number


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
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4) or names
    require(False, what, name, f"there is no such {what}", "Did you mean " + ", ".join(near) + "?")
