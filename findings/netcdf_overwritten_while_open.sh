#!/usr/bin/env bash
# netCDF4 1.7.5 with xarray 2026.9.0, on a file system with locks.
# Expected: if a file cannot be written because another process reads it, it stays as it is.
# Found: the writer gets a PermissionError, but only after the file was cut to 0 bytes (Unidata/netcdf4-python#1423,
# pydata/xarray#10679). And the reader, who had opened it lazily, now reads zeros of the right shape, with no error.
# For gatedlib: gl.results.save writes under a new name and moves it into place; read with gl.results.load or
# xarray.load_dataset, not open_dataset. Means over zeros look like networks that have learned everything.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check netCDF4==1.7.5 xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1
cat > write.py <<'PY'
import xarray

try:
    xarray.Dataset({"loss": ("time", [0.3, 0.2, 0.1])}).to_netcdf("run.nc")
except PermissionError as error:
    print("PermissionError", error.errno)
PY
venv/bin/python - <<'PY'
import os
import subprocess
import sys

import netCDF4
import xarray

print("netCDF4", netCDF4.__version__, "xarray", xarray.__version__)
xarray.Dataset({"loss": ("time", [3.0, 2.0, 1.0])}).to_netcdf("run.nc")
lazy = xarray.open_dataset("run.nc")
said = subprocess.run([sys.executable, "write.py"], capture_output=True, text=True, check=True).stdout.strip()
size = os.path.getsize("run.nc")
values = lazy.loss.values.tolist()
print("the writer says:", said)
print("size of the file:", size)
print("the reader reads:", values)
assert said == "PermissionError 13"
assert size == 0
assert values == [0.0, 0.0, 0.0]
PY
