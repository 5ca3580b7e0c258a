#!/usr/bin/env bash
# xarray 2026.9.0 around jax 0.10.2.
# Expected: a DataArray behaves alike whatever array it holds; isel beyond the end raises IndexError.
# Found: xarray keeps a jax array as it is, and with it JAX's rule for indices: isel beyond the end gives the last
# entry. Sums keep 32 bits too, and wrap around. The same calls on the numpy array raise, or give the right number.
# For gatedlib: results hold numpy arrays. Call numpy.asarray on what jitted code returned before it is put beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1 jax==0.10.2 jaxlib==0.10.2
venv/bin/python - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import xarray

print("xarray", xarray.__version__, "jax", jax.__version__)


def look(array):
    data = xarray.DataArray(array, dims="block")
    found = []
    for question in (lambda: data.isel(block=10).item(), lambda: data.isel(block=[0, 10]).values.tolist()):
        try:
            found.append(question())
        except IndexError as error:
            found.append(type(error).__name__)
    return type(data.data).__module__.partition(".")[0], *found, data.sum().item()


steps = np.full(3, 2**30, np.int32)
plain, traced = look(steps), look(jnp.asarray(steps))
print("library, block 10 of 3, blocks 0 and 10 of 3, sum")
print(*plain)
print(*traced)
assert plain == ("numpy", "IndexError", "IndexError", 3 * 2**30)
assert traced == ("jaxlib", 2**30, [2**30, 2**30], 3 * 2**30 - 2**32)
PY
