"""Parts of an experiment, and fields that say which values they allow.

A value is converted and checked when a part is made, before anything is computed with it. JAX makes parts anew from
their leaves, with the arrays of a sweep or the tracers of a gradient in place of numbers; it checks nothing then.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field
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

RULE = "rule"
"""Where the metadata of a field keep its rule, for subclasses that declare the field again."""


def checked(
    check: Callable[[str, Any], Any],
    *,
    convert: Callable[[Any], Any] | None = to_plain,
    accepts: Any = Any,
    static: bool = False,
    default: Any = MISSING,
) -> Any:
    """A field whose value is converted, then checked by `check(name, value)`; a default of None is allowed as it is.

    `accepts` is the type of values before they are converted, which `help` shows.

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

    converter.__annotations__["value"] = accepts
    rule = {"check": check, "convert": convert, "accepts": accepts}
    field = eqx.field(converter=converter, static=static, default=default, metadata={RULE: rule})
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
    check = partial(require_instance, kinds=kind, remedy=f"See gatedlib.{kind.__name__}")
    return checked(check, convert=None, accepts=kind)


@dataclass_transform(field_specifiers=(eqx.field, checked, positive, nonnegative, integer, one_of, instance_of))
class Part(eqx.Module):
    """A part of an experiment: a frozen value whose numbers JAX can trace.

    A field that a subclass declares again, as with another default, keeps its rule.
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        for name in inspect.get_annotations(cls):
            rule = _inherited_rule(cls, name)
            declared = vars(cls).get(name, MISSING)
            if not isinstance(declared, Field):
                declared = eqx.field(default=declared)
            if rule is not None and RULE not in declared.metadata and declared.default_factory is MISSING:
                convert = declared.metadata.get("converter", rule["convert"])
                static = declared.metadata.get("static", False)
                setattr(cls, name, checked(**{**rule, "convert": convert}, static=static, default=declared.default))


def _inherited_rule(cls: type, name: str) -> dict[str, Any] | None:
    """The rule of a field of this name in the nearest base class that has the field."""
    for base in cls.__mro__[1:]:
        if name in (fields := vars(base).get("__dataclass_fields__", {})):
            return fields[name].metadata.get(RULE)
    return None
