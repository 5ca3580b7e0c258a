"""Checks of values that a user passes in: every refusal names the value, the rule and the remedy."""

import contextlib
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AnySet
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LONGEST_VALUE = 200
"""A value whose text has more characters than this is reported by its type only."""


def refusal(name: str, value: object, rule: str, remedy: str) -> ValueError:
    """An error that says what was passed, what is allowed and what to do."""
    end = "" if remedy.endswith("?") else "."
    return ValueError(f"{name} = {_described(value)}: {rule}. {remedy}{end}")


def require(ok: bool | np.bool_, name: str, value: object, rule: str, remedy: str) -> None:
    """Raise a `refusal` unless `ok`."""
    if not ok:
        raise refusal(name, value, rule, remedy)


def _described(value: object) -> str:
    if isinstance(value, np.ndarray | jax.Array) and value.ndim > 0:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"a {type(value).__name__}"


def require_instance(name: str, value: object, kinds: type | tuple[type, ...], remedy: str) -> None:
    """Require an instance of a class, or of one of several."""
    names = [kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]
    allowed = " or ".join(f"{'an' if name[0] in 'AEIO' else 'a'} {name}" for name in names)
    require(isinstance(value, kinds), name, value, f"must be {allowed}", remedy)


def as_real_array(name: str, value: object, remedy: str) -> np.ndarray | jax.Array:
    """The value as an array of real numbers, of jax if it is one, or else of numpy."""
    try:
        array = value if isinstance(value, jax.Array) else np.asarray(value)
        array = array.astype(float) if array.dtype == np.longdouble else array  # a type that JAX does not have
    except (ValueError, TypeError):  # rows of unequal length, or an object that refuses to be an array
        array = np.asarray(None)
    real = array.dtype.kind in "biuf" or jnp.issubdtype(array.dtype, jnp.floating)  # the kind of bfloat16 is "V"
    require(real, name, value, "must be an array of real numbers", remedy)
    return array


def as_jax_array(name: str, value: object, remedy: str) -> jax.Array:
    """The value as an array of jax, of real numbers."""
    return jnp.asarray(as_real_array(name, value, remedy))


def as_float_array(name: str, value: object, remedy: str = "Give a number, or an array of numbers") -> np.ndarray:
    """The value as an array of numpy, of real numbers in double precision."""
    return np.asarray(as_real_array(name, value, remedy), float)


def to_plain(value: Any) -> Any:
    """A number of any library as Python's own, and a list of any kind as a tuple of such; other values as they are.

    Settings pass through here before they are checked, so that a scalar of numpy, an array, a `Series` or a cell of
    results is as good as a number or a tuple. Numbers that a caller's own `jit` or `grad` traces stay traced.

    Example:
        >>> from gatedlib._internal.validation import to_plain
        >>> to_plain(np.int64(3)), to_plain(np.array([[0, 1]])), to_plain(range(2)), to_plain("AB")
        (3, ((0, 1),), (0, 1), 'AB')
    """
    if isinstance(value, jax.core.Tracer):
        return tuple(value) if value.ndim else value
    if isinstance(value, str | bytes | Mapping | AnySet):
        return value
    if isinstance(value, np.generic) or hasattr(value, "__array__"):
        try:
            array = np.asarray(value)
        except (RuntimeError, TypeError, ValueError):  # an array that cannot be read from here: the checks say so
            return value
        if array.dtype.kind in "mM":  # dates and durations, which tolist would turn into integers
            return str(value)
        listed = (array.astype(float) if array.dtype.kind == "f" else array).tolist()
        return tuple(map(to_plain, listed)) if isinstance(listed, list) else listed
    if not isinstance(value, Iterable):
        return value
    listed = tuple(map(to_plain, value))
    same = isinstance(value, tuple) and all(new is old for new, old in zip(listed, value, strict=True))
    return value if same else listed


def to_real(value: Any) -> Any:
    """As `to_plain`, for a setting that is one real number: an integer too large for JAX becomes a float."""
    value = to_plain(value)
    with contextlib.suppress(OverflowError):  # an integer beyond all floats: the checks say so
        return float(value) if isinstance(value, int) and abs(value) >= 2**31 else value
    return value


def _number(value: object) -> float | None:
    """The value as a float, or None if it is no real number; nan and booleans are none."""
    value = to_plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return None if math.isnan(number) else number


def is_number(value: object) -> bool:
    """Whether a value is one real number."""
    return _number(value) is not None


def require_positive(name: str, value: Any, remedy: str, *, infinite: bool = False) -> Any:
    """Require a number above zero, and return it; infinity only where it has a meaning."""
    if isinstance(value, jax.core.Tracer):  # a caller's own jit or grad: checked when it was built
        return value
    number = _number(value)
    ok = number is not None and number > 0 and (infinite or math.isfinite(number))
    require(ok, name, value, "must be a number above 0" + ("" if infinite else ", and finite"), remedy)
    return to_plain(value)


def require_nonnegative(name: str, value: Any, remedy: str) -> Any:
    """Require a finite number that is zero or more, and return it."""
    if isinstance(value, jax.core.Tracer):
        return value
    number = _number(value)
    ok = number is not None and 0 <= number < math.inf
    require(ok, name, value, "must be a finite number, 0 or above", remedy)
    return to_plain(value)


def require_finite(name: str, values: Any, remedy: str = "Remove nan and inf") -> None:
    """Require arrays, or a tree of them, without nan and inf; the refusal says how many entries are one of these.

    Example:
        >>> from gatedlib._internal.validation import require_finite
        >>> require_finite("weights", [[1.0, float("nan")]])
        Traceback (most recent call last):
        ValueError: weights that are not finite = 1: must be 0. Remove nan and inf.
    """
    leaves = [leaf for leaf in jax.tree.leaves(values) if not isinstance(leaf, jax.core.Tracer)]
    count = sum(int(np.sum(~np.isfinite(leaf))) for leaf in leaves)
    require(count == 0, f"{name} that are not finite", count, "must be 0", remedy)


def require_integer(name: str, value: Any, at_least: int, remedy: str, *, below: int = 2**31) -> int:
    """Require an integer of at least `at_least`, and return it as Python's own; sizes of arrays are below 2**31."""
    number = to_plain(value)
    ok = isinstance(number, int) and not isinstance(number, bool) and number >= at_least
    require(ok, name, value, f"must be a whole number, {at_least} or above", remedy)
    require(number < below, name, value, f"must be below 2**{below.bit_length() - 1}", remedy)
    return number


def require_folder(name: str, value: Any, remedy: str) -> Path:
    """Require the path of a folder on this machine, and return it absolute, with `~` and `$HOME` as in a shell."""
    require_instance(name, value, (str, os.PathLike), remedy)
    text = os.fspath(value)
    require(isinstance(text, str) and text != "", name, value, "must be the path of a folder", remedy)
    require("://" not in text, name, value, "is an address, and no folder of this machine", remedy)
    try:
        path = Path(os.path.expandvars(text)).expanduser().absolute()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            os.stat(path)
    except (OSError, RuntimeError, ValueError) as failure:
        raise ValueError(f"{name} = {value!r}: is no path here ({failure}). {remedy}.") from failure
    return path


def require_member(name: str, names: Iterable[str], what: str) -> None:
    """Require that `name` is among `names`; the refusal suggests the nearest ones."""
    names = sorted(set(names))
    if isinstance(name, str) and name in names:
        return
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4) or names
    raise refusal(what, name, f"there is no such {what}", "Did you mean " + ", ".join(near) + "?")
