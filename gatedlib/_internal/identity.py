"""Texts that identify values and code: the same in every process, and different where behaviour is.

`joblib.hash` would not do: it knows a function by its name, and not by the constants that it reads, which change in a
notebook while it runs.
"""

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

_TRACE_CACHES: list[Any] = []
"""The caches of functions that trace."""

_TRACED: dict[Any, tuple[Any, str]] = {}
"""Code that was traced, with its text at that time; kept alive, so that no other object takes its id."""

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
INSTALLED = re.compile(r"(gatedlib|numpy|jax|xarray|scipy)\b")
"""Modules whose functions are known by their names and by what they hold; those of this library by their code too."""

BASE_MODULES = ("builtins", "abc", "typing", "equinox._module._module")
"""Modules of classes that every part has among its bases."""

_INSTALL_PATHS = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def short_digest(*parts: str | bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 checksum of these texts and bytes, one after the other."""
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part.encode() if isinstance(part, str) else part)
    return checksum.hexdigest()[:16]


def fingerprint(thing: Any) -> str:
    """The name of a function, or of an object that can be called, and a checksum of its code and its values.

    Example:
        >>> from functools import partial
        >>> from gatedlib._internal.identity import fingerprint
        >>> fingerprint(partial(max, 1)) == fingerprint(partial(max, 2))
        False
    """
    return f"{_name(thing)} {short_digest(canonical_repr(thing))}"


def _name(thing: Any) -> str:
    """The name of a function, or of the class of an object."""
    # a quantity of a script renames its function `….fn` when it is pickled, so that it is found
    return getattr(thing, "__qualname__", type(thing).__qualname__).removesuffix(".fn")


def cache_of_traces(function: Callable[..., Any]) -> Callable[..., Any]:
    """Cache what a function finds by tracing, until `forget_if_changed` finds that traced code reads other values."""
    cached = functools.lru_cache(maxsize=256)(function)
    _TRACE_CACHES.append(cached)
    return cached


def forget_if_changed(code: Iterable[Any]) -> None:
    """Drop everything compiled and traced if a function or class reads other values than when it was last traced.

    JAX knows a function by its identity, and compiles in the values that it reads, such as constants of its module.
    """
    changed = False
    for thing in code:
        text = class_fingerprint(thing) if isinstance(thing, type) else fingerprint(thing)
        texts: dict[Any, str] = {id(thing): text}
        # A function made anew at the same place of the source has another identity, and may call functions that were
        # compiled with old values.
        if isinstance(thing, types.FunctionType):
            place = thing.__module__, thing.__qualname__, thing.__code__.co_firstlineno
            texts[place] = short_digest(canonical_repr(_read_outside(thing)))
        for key, text in texts.items():
            changed |= _TRACED.setdefault(key, (thing, text))[1] != text
            _TRACED[key] = thing, text
    if changed:
        jax.clear_caches()
        for cached in _TRACE_CACHES:
            cached.cache_clear()


def _read_outside(function: types.FunctionType) -> dict[str, Any]:
    """The values that a function may read from its module, and from modules of the user's."""
    names = _names(function.__code__)
    return {name: _values(function.__globals__[name], names) for name in names if name in function.__globals__}


def _values(thing: Any, names: list[str]) -> Any:
    """A value that a function reads; of a module that is not installed, those of its values that it may read."""
    if not isinstance(thing, types.ModuleType) or _is_installed(thing):
        return thing
    read = {name: vars(thing)[name] for name in names if name in vars(thing)}
    return {name: _values(value, names) for name, value in read.items() if value is not thing}


def _is_installed(module: types.ModuleType) -> bool:
    """Whether a module comes with Python or was installed, and so does not change while a program runs."""
    file = getattr(module, "__file__", None)
    return file is None or bool(INSTALLED.match(module.__name__)) or file.startswith(_INSTALL_PATHS)


def canonical_repr(thing: Any, within: tuple[int, ...] = ()) -> str:
    """A text that is the same in every process, and differs where behaviour does as far as can be seen."""
    if id(thing) in within:  # a function that calls itself, or an object that holds itself
        return "again"
    within = (*within, id(thing))
    match thing:
        case types.CodeType():
            return f"{thing.co_code.hex()} {thing.co_names} {canonical_repr(thing.co_consts, within)}"
        case types.FunctionType():
            return _function_repr(thing, within)
        case set() | frozenset():  # whose order differs from process to process
            return f"{{{', '.join(sorted(canonical_repr(member, within) for member in thing))}}}"
        case tuple() | list() | collections.deque():
            return f"[{', '.join(canonical_repr(member, within) for member in thing)}]"
        case np.ndarray() | jax.Array() if thing.dtype != object:
            is_key = isinstance(thing, jax.Array) and jax.dtypes.issubdtype(thing.dtype, jax.dtypes.prng_key)
            array = np.asarray(jax.random.key_data(thing) if is_key else thing)
            return f"{array.shape} {array.dtype} {short_digest(array.tobytes())}"
        case types.ModuleType() | type() | types.BuiltinFunctionType():
            return thing.__name__
    simpler = _simpler(thing)
    if simpler is not thing:
        return canonical_repr(simpler, within)
    text = repr(thing)
    # The text of a part leaves out the numbers of its arrays; one with an address says nothing of what is there.
    if isinstance(thing, eqx.Module) or ADDRESS.search(text):
        return f"{type(thing).__qualname__} {canonical_repr(_attributes(thing), within)}"
    return text


def _simpler(thing: Any) -> Any:
    """The values that an object of a well-known kind is made of; of another kind, the object itself."""
    if hasattr(thing, "__wrapped__"):  # a function that was jitted, or decorated otherwise
        return thing.__wrapped__
    match thing:
        case functools.partial():
            return thing.func, thing.args, thing.keywords
        case types.MethodType():
            return thing.__func__, thing.__self__
        case property():
            return (thing.fget,)
        case Mapping():
            return list(thing.items())
        case xr.DataArray():  # whose text leaves out the middle of a long array
            return thing.to_dict(data="array")
        case np.ndarray():
            return thing.tolist()
    return thing


def _function_repr(function: types.FunctionType, within: tuple[int, ...]) -> str:
    """The name of a function with what it holds; of a user's also its code, without docstring, and what it reads."""
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    module = function.__module__ or ""  # exec makes functions that are in no module
    if INSTALLED.match(module):
        code_of_module = code_digest(module) if module.startswith("gatedlib") else ""
        values = canonical_repr((function.__defaults__, held), within)
        return f"{module} {_name(function)} {code_of_module} {values}"
    constants = tuple(constant for constant in function.__code__.co_consts if constant != function.__doc__)
    code = function.__code__.replace(co_consts=constants)
    parts = (code, function.__defaults__, function.__kwdefaults__, held, _read_outside(function))
    return f"{_name(function)} {canonical_repr(parts, within)}"


def _attributes(thing: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots too, and how it is called."""
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {name: getattr(thing, name) for name in slots if hasattr(thing, name) and not name.startswith("__")}
    return {**held, **getattr(thing, "__dict__", {}), "__call__": vars(type(thing)).get("__call__")}


def class_fingerprint(kind: type) -> str:
    """The name of a class, with a checksum of its code and values if a user wrote it or one of its bases."""
    own = [base for base in kind.__mro__
           if not INSTALLED.match(base.__module__) and base.__module__ not in BASE_MODULES]  # fmt: skip
    code = {f"{base.__qualname__}.{name}": value for base in own for name, value in sorted(vars(base).items())
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
    """The settings of JAX on which the numbers of a run depend, under names that a reader understands."""
    return {"double precision": str(jax.config.jax_enable_x64)}  # type: ignore[attr-defined]


def _names(code: types.CodeType) -> list[str]:
    """The names that a function, and functions within it, may look up outside of it."""
    inside = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in _names(const)]
    return sorted({*code.co_names, *inside})
