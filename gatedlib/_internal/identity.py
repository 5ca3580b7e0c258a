"""What a thing is, in a text that is the same in every process and differs where behaviour does."""

import ast
import collections
import functools
import hashlib
import importlib
import inspect
import re
import sysconfig
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr

_TRACED: list[Any] = []
"""Caches of what was found by tracing."""

_SEEN: dict[Any, tuple[Any, str]] = {}
"""Code that was traced, kept alive with what it was then."""

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
INSTALLED = re.compile(r"(gatedlib(?!\.paper)|numpy|jax|xarray|scipy)\b")
"""Modules whose functions are known by their names and by what they hold; those of this library by their code too."""

APART = ("builtins", "abc", "typing", "equinox._module._module")
"""Modules of classes that every part has among its bases."""

_PLACES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def short_digest(*parts: str | bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 checksum of these texts and bytes, one after the other."""
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part.encode() if isinstance(part, str) else part)
    return checksum.hexdigest()[:16]


digest = short_digest


def fingerprint(thing: Any) -> str:
    """What a function, or an object that can be called, is: its name, its code and the values that it holds.

    Example:
        >>> from functools import partial
        >>> from gatedlib._internal.identity import fingerprint
        >>> fingerprint(partial(max, 1)) == fingerprint(partial(max, 2))
        False
    """
    return f"{_name(thing)} {short_digest(canonical_repr(thing))}"


def _name(thing: Any) -> str:
    """What a function, or the class of an object, is called; a quantity that was pickled calls its function `….fn`."""
    return getattr(thing, "__qualname__", type(thing).__qualname__).removesuffix(".fn")


def cache_of_traces(function: Callable[..., Any]) -> Callable[..., Any]:
    """Cache what a function finds by tracing, until code that was traced reads other values than then."""
    cached = functools.lru_cache(maxsize=256)(function)
    _TRACED.append(cached)
    return cached


def forget_if_changed(code: Iterable[Any]) -> None:
    """Drop everything compiled and traced if a function or class reads other values than when it was last traced.

    JAX knows a function by what it is, and compiles in what it reads: the constants of its module, for instance.
    """
    changed = False
    for thing in code:
        text = class_fingerprint(thing) if isinstance(thing, type) else fingerprint(thing)
        marks: dict[Any, str] = {id(thing): text}
        if isinstance(thing, types.FunctionType):  # a new function from the same place may call what was compiled
            place = thing.__module__, thing.__qualname__, thing.__code__.co_firstlineno
            marks[place] = short_digest(canonical_repr(_read_outside(thing)))
        for mark, told in marks.items():
            changed |= _SEEN.setdefault(mark, (thing, told))[1] != told
            _SEEN[mark] = thing, told
    if changed:
        jax.clear_caches()
        for cached in _TRACED:
            cached.cache_clear()


def _read_outside(function: types.FunctionType) -> dict[str, Any]:
    """What a function may read from its module, and from modules of the user's."""
    names = _names(function.__code__)
    return {name: _values(function.__globals__[name], names) for name in names if name in function.__globals__}


def _values(thing: Any, names: list[str]) -> Any:
    """A value that a function reads; of a module that is not installed, those of its values that it may read."""
    if not isinstance(thing, types.ModuleType) or _is_installed(thing):
        return thing
    own = {name: vars(thing)[name] for name in names if name in vars(thing)}
    return {name: _values(value, names) for name, value in own.items() if value is not thing}


def _is_installed(module: types.ModuleType) -> bool:
    """Whether a module comes with Python or was installed, and so does not change while a program runs."""
    file = getattr(module, "__file__", None)
    return file is None or bool(INSTALLED.match(module.__name__)) or file.startswith(_PLACES)


def canonical_repr(thing: Any, within: tuple[int, ...] = ()) -> str:
    """A text that is the same in every process, and differs where behaviour does as far as can be seen."""
    if id(thing) in within:  # a function that calls itself, or what holds itself
        return "again"
    within = (*within, id(thing))
    if isinstance(thing, types.CodeType):
        return f"{thing.co_code.hex()} {thing.co_names} {canonical_repr(thing.co_consts, within)}"
    if isinstance(thing, types.FunctionType):
        held = [cell.cell_contents for cell in thing.__closure__ or ()]
        if INSTALLED.match(thing.__module__):
            code = code_digest(thing.__module__) if thing.__module__.startswith("gatedlib") else ""
            return f"{thing.__module__} {_name(thing)} {code} {canonical_repr((thing.__defaults__, held), within)}"
        used = _read_outside(thing)
        constants = tuple(each for each in thing.__code__.co_consts if each != thing.__doc__)
        parts = (thing.__code__.replace(co_consts=constants), thing.__defaults__, thing.__kwdefaults__, held, used)
        return f"{_name(thing)} {canonical_repr(parts, within)}"
    if hasattr(thing, "__wrapped__"):  # a function that was jitted, or decorated otherwise
        return canonical_repr(thing.__wrapped__, within)
    if isinstance(thing, functools.partial):
        return canonical_repr((thing.func, thing.args, thing.keywords), within)
    if isinstance(thing, types.MethodType):
        return canonical_repr((thing.__func__, thing.__self__), within)
    if isinstance(thing, Mapping):
        return canonical_repr(list(thing.items()), within)
    if isinstance(thing, set | frozenset):
        return f"{{{', '.join(sorted(canonical_repr(each, within) for each in thing))}}}"
    if isinstance(thing, tuple | list | collections.deque):
        return f"[{', '.join(canonical_repr(each, within) for each in thing)}]"
    if isinstance(thing, np.ndarray | jax.Array):
        key = isinstance(thing, jax.Array) and jax.dtypes.issubdtype(thing.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(thing) if key else thing)
        if array.dtype == object:
            return canonical_repr(array.tolist(), within)
        return f"{array.shape} {array.dtype} {short_digest(array.tobytes())}"
    if isinstance(thing, property):
        return canonical_repr((thing.fget,), within)
    if isinstance(thing, types.ModuleType | type | types.BuiltinFunctionType):
        return thing.__name__
    if isinstance(thing, xr.DataArray | xr.Dataset):  # whose text leaves out the middle of what is long
        return canonical_repr(thing.to_dict(data="array"), within)
    text = repr(thing)
    if isinstance(thing, eqx.Module) or ADDRESS.search(text):  # whose texts tell no numbers, or a place in memory
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        made_of = {name: getattr(thing, name) for name in slots if hasattr(thing, name) and not name.startswith("__")}
        made_of |= {**getattr(thing, "__dict__", {}), "__call__": vars(type(thing)).get("__call__")}
        return f"{type(thing).__qualname__} {canonical_repr(made_of, within)}"
    return text


def class_fingerprint(kind: type) -> str:
    """What a class that its user wrote is: its name, code and values; classes of this library are their names."""
    own = [each for each in kind.__mro__ if not INSTALLED.match(each.__module__) and each.__module__ not in APART]
    code = {f"{each.__qualname__}.{name}": value for each in own for name, value in sorted(vars(each).items())
            if name == "__call__" or not name.startswith(("_abc_", "__"))}  # fmt: skip
    return f"{kind.__qualname__} {short_digest(canonical_repr(code))}" if code else kind.__qualname__


@functools.cache
def code_digest(module: str) -> str:
    """A checksum of the code of a module, in which comments, docstrings and layout do not count."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return short_digest(ast.unparse(tree))


def jax_settings() -> dict[str, str]:
    """The settings of JAX on which the numbers of a run depend, by what they mean."""
    return {"double precision": str(jax.config.jax_enable_x64)}  # type: ignore[attr-defined]


def _names(code: types.CodeType) -> list[str]:
    """What a function, and those within it, may look for outside of itself."""
    inside = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return sorted({*code.co_names, *inside})
