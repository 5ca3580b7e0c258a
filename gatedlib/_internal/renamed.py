"""Names that changed: for one version, the old one gives an error that says the new one."""

from types import ModuleType
from typing import Any


def renamed(owner: ModuleType | type, names: dict[str, str]) -> None:
    """Let a module, or objects of a class, answer for names that changed from the keys of `names` to its values.

    Call it with `sys.modules[__name__]` at the end of a module, or with a class below it.

    Example:
        >>> from gatedlib._internal.renamed import renamed
        >>> class Penalty:
        ...     pass
        >>> renamed(Penalty, {"slope": "one_sided_gradient"})
        >>> getattr(Penalty(), "slope")
        Traceback (most recent call last):
        AttributeError: Penalty.slope is now called one_sided_gradient
    """

    def missing(*args: Any) -> Any:
        *objects, name = args  # Python passes a module's __getattr__ the name alone, and a class's the object too
        if name in names:
            kind = type(objects[0]) if objects else owner
            raise AttributeError(f"{kind.__name__}.{name} is now called {names[name]}")
        # raises the error of an attribute that is missing, or that which a property raised
        return object.__getattribute__(objects[0] if objects else owner, name)

    owner.__getattr__ = missing  # type: ignore[union-attr, method-assign]
