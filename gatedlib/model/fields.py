"""Parts of an experiment, and fields that say which values they allow.

A value is converted and checked when a part is made, before anything is computed with it. JAX makes parts anew from
their leaves, with the arrays of a sweep or the tracers of a gradient in place of numbers; it checks nothing then.
"""

from collections.abc import Callable
from dataclasses import MISSING
from functools import partial
from typing import Any, dataclass_transform

import equinox as eqx

from gatedlib._internal.validation import (
    refusal,
    require_instance,
    require_integer,
    require_nonnegative,
    require_positive,
    to_plain,
    to_real,
)


def checked(
    check: Callable[[str, Any], Any],
    *,
    convert: Callable[[Any], Any] | None = to_plain,
    static: bool = False,
    default: Any = MISSING,
) -> Any:
    """A field whose value is converted, then checked by `check(name, value)`; a default of None is allowed as it is.

    Example:
        >>> from gatedlib.model.fields import Part, positive
        >>> class Step(Part):
        ...     dt: float = positive(default=0.001, remedy="Use 0.001")
        >>> Step(-1)
        Traceback (most recent call last):
        ValueError: dt = -1: must be a number above 0, and finite. Use 0.001.
    """

    def converter(value: Any) -> Any:
        value = convert(value) if convert else value
        if value is not None or field.default is not None:
            check(field.name, value)  # a field learns its name when its class is made
        return value

    field = eqx.field(converter=converter, static=static, default=default)
    return field


def positive(*, remedy: str, infinite: bool = False, default: Any = MISSING) -> Any:
    """A field for a number above zero."""
    check = partial(require_positive, remedy=remedy, infinite=infinite)
    return checked(check, convert=to_real, default=default)


def nonnegative(*, remedy: str, default: Any = MISSING) -> Any:
    """A field for a finite number, zero or above."""
    return checked(partial(require_nonnegative, remedy=remedy), convert=to_real, default=default)


def integer(*, at_least: int, remedy: str, below: int = 2**31, static: bool = True, default: Any = MISSING) -> Any:
    """A field for an integer; JAX compiles it in unless it is not static."""
    check = partial(require_integer, at_least=at_least, below=below, remedy=remedy)
    return checked(check, static=static, default=default)


def one_of(*allowed: Any, remedy: str, default: Any = MISSING) -> Any:
    """A static field for one of these values."""

    def check(name: str, value: Any) -> None:
        if not any(type(value) is type(choice) and value == choice for choice in allowed):
            raise refusal(name, value, f"must be {' or '.join(map(repr, allowed))}", remedy)

    return checked(check, static=True, default=default)


def instance_of(kind: type) -> Any:
    """A field for a part of this public class."""
    return checked(partial(require_instance, kinds=kind, remedy=f"See gatedlib.{kind.__name__}"), convert=None)


@dataclass_transform(field_specifiers=(eqx.field, checked, positive, nonnegative, integer, one_of, instance_of))
class Part(eqx.Module):
    """A part of an experiment: a frozen value whose numbers JAX can trace.

    This class adds nothing when it runs; it tells type checkers which functions declare a field.
    """
