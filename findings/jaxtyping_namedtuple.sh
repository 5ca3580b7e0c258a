#!/usr/bin/env bash
# jaxtyping 0.3.11 with beartype 0.23.1, equinox 0.13.8, jax 0.10.2.
# Expected: a package that is imported under jaxtyping's hook has all shapes checked that its annotations name.
# Found: those in the fields of a NamedTuple are checked neither when it is made, nor where it is passed or returned,
# and nothing says so. The same fields in a dataclass or an equinox Module are checked.
# For gatedlib: the axes that `Subspace` names are not checked by its tests under this hook, and so in your own code.
# Annotate functions that take the arrays themselves, or assert the shapes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    jaxtyping==0.3.11 beartype==0.23.1 equinox==0.13.8 jax==0.10.2 jaxlib==0.10.2
cat > student.py <<'PY'
import dataclasses
from typing import NamedTuple

import equinox
from jaxtyping import Array, Float


class Tuple(NamedTuple):
    weights: Float[Array, "path out in"]
    gates: Float[Array, " path"]


@dataclasses.dataclass
class Data:
    weights: Float[Array, "path out in"]
    gates: Float[Array, " path"]


class Module(equinox.Module):
    weights: Float[Array, "path out in"]
    gates: Float[Array, " path"]


def passed(params: Tuple) -> Tuple:
    return params
PY
venv/bin/python - <<'PY'
from importlib.metadata import version

import jax.numpy as jnp
from jaxtyping import TypeCheckError, install_import_hook

with install_import_hook("student", "beartype.beartype"):
    import student

print("jaxtyping", version("jaxtyping"), "beartype", version("beartype"), "equinox", version("equinox"))
wrong = jnp.ones((2, 3, 4)), jnp.ones((7, 7))  # seven rows and columns, where a gate for each of two paths is due


def said(make):
    try:
        make()
    except TypeCheckError as error:
        return type(error).__name__
    return "nothing"


found = {kind.__name__: said(lambda kind=kind: kind(*wrong)) for kind in (student.Data, student.Module, student.Tuple)}
found["Tuple, passed and returned"] = said(lambda: student.passed(student.Tuple(*wrong)))
found["no Tuple at all"] = said(lambda: student.passed(wrong))
for name, answer in found.items():
    print(f"{name}: {answer}")
assert list(found.values()) == ["TypeCheckError", "TypeCheckError", "nothing", "nothing", "TypeCheckError"]
PY
