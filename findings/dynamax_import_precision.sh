#!/usr/bin/env bash
# dynamax 1.0.3 with jax 0.10.2.
# Expected: an import adds names and leaves JAX's settings alone, above all one that the user has made.
# Found: `import dynamax` sets jax_default_matmul_precision to "float32" for the whole process, over the user's choice.
# Every matrix product that is traced later asks for the highest precision, in code that has nothing to do with dynamax.
# For gatedlib: its own runs compute in full precision whatever is set. Of other code beside it: import dynamax first,
# then set the precision that you want.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    dynamax==1.0.3 jax==0.10.2 jaxlib==0.10.2 tfp-nightly==0.26.0.dev20261027
venv/bin/python - <<'PY'
from importlib.metadata import version

import jax
import jax.numpy as jnp

print("dynamax", version("dynamax"), "jax", jax.__version__)


def product():
    """The program of a product of two matrices, traced anew."""
    return jax.jit(lambda a, b: a @ b).lower(jnp.ones((2, 2)), jnp.ones((2, 2))).as_text()


jax.config.update("jax_default_matmul_precision", "bfloat16")
before = jax.config.jax_default_matmul_precision, "HIGHEST" in product()

import dynamax  # noqa: E402, F401

after = jax.config.jax_default_matmul_precision, "HIGHEST" in product()
print("setting, and whether a product asks for the highest precision")
print("  before the import:", *before)
print("  after the import: ", *after)
assert before == ("bfloat16", False)
assert after == ("float32", True)
PY
