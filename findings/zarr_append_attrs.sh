#!/usr/bin/env bash
# xarray 2026.9.0 with zarr 3.1.6.
# Expected: to_zarr(append_dim="time") adds times to a store, whose description stays or must agree.
# Found: the dataset's attributes are replaced by those of the piece (pydata/xarray#8755), even by none at all; those of
# its variables stay and are not compared: milliseconds are appended to seconds. Nothing is said.
# For gatedlib: settings stand in a coordinate, and nothing is read from attributes. Keep attributes of your own beside
# the store, or give each piece those of the whole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check xarray==2026.9.0 zarr==3.1.6 numpy==2.4.6 pandas==3.1.1
venv/bin/python - <<'PY'
import warnings

import xarray
import zarr

print("xarray", xarray.__version__, "zarr", zarr.__version__)


def piece(times, units, **attrs):
    return xarray.Dataset({"delay": ("time", [1.0, 2.0], {"units": units})}, {"time": times}, attrs)


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    piece([0, 1], "s", tau=1.3, seed=0).to_zarr("run.zarr", consolidated=False)
    piece([2, 3], "ms").to_zarr("run.zarr", append_dim="time", consolidated=False)
    store = xarray.open_zarr("run.zarr", consolidated=False, chunks=None)
print("attributes of the dataset:", store.attrs)
print("delay:", store.delay.values.tolist(), store.delay.attrs)
print("warnings:", len(caught))
assert store.attrs == {}
assert store.delay.attrs == {"units": "s"}
assert store.delay.values.tolist() == [1.0, 2.0, 1.0, 2.0]
assert not caught
PY
