#!/usr/bin/env bash
# equinox 0.13.8 with jax 0.10.2.
# Expected: reading a functools.cached_property of a Module, which is frozen, changes nothing that JAX or equinox sees.
# Found: once it was read, the Module has another tree structure than its twin. Jitted code is compiled anew, and
# eqx.tree_equal says that the two differ, without a word (asked about in patrick-kidger/equinox#539).
# For gatedlib: an experiment with such a part is refused; use property or a method.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check equinox==0.13.8 jax==0.10.2 jaxlib==0.10.2
venv/bin/python - <<'PY'
import functools

import equinox as eqx
import jax
import jax.numpy as jnp


class Weights(eqx.Module):
    values: jax.Array

    @functools.cached_property
    def norm(self):
        return float(jnp.linalg.norm(self.values))


traces = 0


@jax.jit
def total(weights):
    global traces
    traces += 1
    return weights.values.sum()


print("equinox", eqx.__version__, "jax", jax.__version__)
one, twin = Weights(jnp.arange(3.0)), Weights(jnp.arange(3.0))


def look():
    total(one)
    return traces, bool(eqx.tree_equal(one, twin)), jax.tree.structure(one) == jax.tree.structure(twin)


before = look()
one.norm  # noqa: B018
after = look()
print("compilations, equal to its twin, of the same structure")
print("  before norm was read:", *before)
print("  after norm was read: ", *after)
assert before == (1, True, True)
assert after == (2, False, False)
PY
