"""Datasets in netCDF files: whole, with the types and names that netCDF has not.

A dataset of plain types is written as xarray would write it. Complex numbers become pairs, numbers of 16 bits become
32, names are quoted where they hold a slash, and attributes that are no texts and no numbers become texts; all come
back as they were.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import xarray as xr

from gatedlib._internal.extras import require_extra
from gatedlib._internal.files import atomic_write
from gatedlib._internal.validation import refusal

PAIR, WAS, JSON = "gatedlib_complex", "gatedlib_was", "json:"


def encoded(data: xr.Dataset) -> xr.Dataset:
    """A dataset that netCDF can hold.

    Raises:
        ValueError: if a variable is of a type that has no form there, or a name is no text.
    """
    variables = {name: _encoded_variable(str(name), data[name].variable) for name in data.variables}
    for name in (*data.variables, *data.dims):
        if not isinstance(name, str) or name == "":
            raise refusal("name", name, "must be a text", "Rename it: data.rename({old: 'new'})")
    names = {str(name): _quoted(str(name)) for name in {*data.variables, *data.dims}}
    plain = xr.Dataset(
        {name: variables[name] for name in data.data_vars},
        {name: variables[name] for name in data.coords},
        _encoded_attrs(data.attrs),
    )
    changed = {name: new for name, new in names.items() if name != new}
    return plain.rename(changed) if changed else plain


def decoded(data: xr.Dataset) -> xr.Dataset:
    """The dataset that was encoded."""
    names = {str(name): unquote(str(name)) for name in {*data.variables, *data.dims}}
    changed = {name: old for name, old in names.items() if name != old}
    data = data.rename(changed) if changed else data
    variables = {name: _decoded_variable(data[name].variable) for name in data.variables}
    return xr.Dataset(
        {name: variables[name] for name in data.data_vars},
        {name: variables[name] for name in data.coords},
        _decoded_attrs(data.attrs),
    )


def save(results: xr.Dataset, path: str | Path) -> None:
    """Write results into a netCDF file: all of them, or nothing.

    The file is written under another name and then renamed, so that programs that read the old one can go on, and an
    interrupted write leaves it as it was. `load` reads it, and so does `xarray.load_dataset` where all types and names
    are those of netCDF.

    Args:
        results: what `simulate` or `sweep` returned, or any dataset.
        path: the file.

    Raises:
        ValueError: if a variable or a name has no form in a file; nothing is written then.
        OSError: if it cannot be written; what was there before is as it was.
        ModuleNotFoundError: if netCDF4 is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     gl.results.save(results, f"{folder}/run.nc")
        ...     again = gl.results.load(f"{folder}/run.nc")
        >>> again.identical(results)
        True

    Source: this library.
    """
    require_extra("netcdf", "saving results")
    atomic_write(Path(path).expanduser(), encoded(results).to_netcdf)


def load(path: str | Path) -> xr.Dataset:
    """Read results that `save` wrote, all of them at once, so that the file may be written anew.

    Args:
        path: the file.

    Returns:
        The results as they were.

    Raises:
        OSError: if there is no such file.
        ModuleNotFoundError: if netCDF4 is not installed.

    Source: this library.
    """
    require_extra("netcdf", "loading results")
    return decoded(xr.load_dataset(Path(path).expanduser()))


def _encoded_variable(name: str, variable: xr.Variable) -> xr.Variable:
    values, attrs = variable.values, _encoded_attrs(variable.attrs)
    if values.dtype.kind == "c":  # a last axis of two: the real and the imaginary part
        pairs = np.stack([values.real, values.imag], -1)
        variable, attrs = xr.Variable((*variable.dims, PAIR), pairs), {**attrs, WAS: str(values.dtype)}
        values = pairs
    if values.dtype == np.float16:
        variable, attrs = xr.Variable(variable.dims, values.astype(np.float32)), {WAS: "float16", **attrs}
    kind, size = variable.dtype.kind, variable.dtype.itemsize
    has_form = kind in "SU" or (kind in "biufmM" and size <= 8)
    if kind == "O":  # Python's objects: xarray writes those that are texts
        has_form = all(isinstance(value, str) for value in variable.values.ravel())
    if not has_form:
        rule = "has no form in a netCDF file, which holds numbers, texts and times"
        raise refusal(f"type of {name}", str(variable.dtype), rule, "Convert it: x.astype(float)")
    return xr.Variable(variable.dims, variable.values, attrs)


def _decoded_variable(variable: xr.Variable) -> xr.Variable:
    attrs = _decoded_attrs({name: value for name, value in variable.attrs.items() if name != WAS})
    if WAS not in variable.attrs:
        return xr.Variable(variable.dims, variable.values, attrs)
    was = np.dtype(variable.attrs[WAS])
    if was.kind != "c":
        return xr.Variable(variable.dims, variable.values.astype(was), attrs)
    real, imaginary = np.moveaxis(variable.values, -1, 0)
    return xr.Variable(variable.dims[:-1], (real + 1j * imaginary).astype(was), attrs)


def _quoted(name: str) -> str:
    """A name that netCDF takes; the percent sign is kept apart, so that it comes back."""
    return quote(name, safe=" !$&'()*+,-.:;<=>?@[]^_`{|}~#\"\\") if "/" in name or "%" in name else name


def _encoded_attrs(attrs: Any) -> dict[str, Any]:
    coded = {name: value for name, value in attrs.items() if not _is_plain(value)}
    return {**attrs, **{name: JSON + json.dumps(value, default=repr) for name, value in coded.items()}}


def _decoded_attrs(attrs: Any) -> dict[str, Any]:
    coded = {name: isinstance(value, str) and value.startswith(JSON) for name, value in attrs.items()}
    return {name: json.loads(value[len(JSON) :]) if coded[name] else value for name, value in attrs.items()}


def _is_plain(value: Any) -> bool:
    """Whether an attribute is one that netCDF holds and gives back as it is."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf" and value.ndim == 1 and value.size > 1
    if isinstance(value, str):
        return not value.startswith(JSON)
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
