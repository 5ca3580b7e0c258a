#!/usr/bin/env bash
# equinox 0.13.8 with joblib 1.6.0 (loky) and cloudpickle 3.1.3, jax 0.10.2.
# Expected: a Module whose class is written in a script or notebook reaches a worker process as it was, or not at all.
# Found: its class is rebuilt there, and JAX sees none of its own fields. jax.tree.leaves is empty, and jitted code uses
# the defaults that stand in the class; outside of jit all looks right. Nothing is said. (patrick-kidger/equinox#231 has
# a field without a default, which raises AttributeError.)
# For gatedlib: such an experiment is refused in the worker. Put a student or penalty of your own into a file that is
# imported before joblib or dask sends it off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    equinox==0.13.8 joblib==1.6.0 cloudpickle==3.1.3 jax==0.10.2 jaxlib==0.10.2
cat > in_main.py <<'PY'
import cloudpickle
import equinox as eqx
import jax
import joblib

print("equinox", eqx.__version__, "joblib", joblib.__version__, "cloudpickle", cloudpickle.__version__)


class Penalty(eqx.Module):
    strength: float = 1.0


def look(penalty):
    """What is seen of a penalty: its leaves, its value outside of jit, and its value inside."""
    return jax.tree.leaves(penalty), penalty.strength, float(jax.jit(lambda p: p.strength)(penalty))


penalty = Penalty(strength=7.0)
here = look(penalty)
(there,) = joblib.Parallel(n_jobs=2)([joblib.delayed(look)(penalty)])
print("leaves, value outside of jit, value inside")
print("  in this process:", *here)
print("  in a worker:    ", *there)
assert here == ([7.0], 7.0, 7.0)
assert there == ([], 7.0, 1.0)
PY
venv/bin/python in_main.py
