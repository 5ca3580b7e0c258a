"""`py.typed` is a promise: two type checkers accept what the README and the docstrings show.

Snippets run elsewhere (doctests, and test_readme); here they are only read.
"""

import ast
import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT, SHOWN, shown

pytestmark = pytest.mark.slow

MYPY = f"""[mypy]
mypy_path = {ROOT}

[mypy-joblib.*,sklearn.*,pooch.*,scipy.*,optax.*,tqdm.*,anywidget.*,requests.*]
ignore_missing_imports = True
"""
PYRIGHT = {
    "include": ["."],
    "extraPaths": [str(ROOT)],
    "typeCheckingMode": "standard",
    "reportUnusedExpression": False,  # examples show values
    "reportMissingModuleSource": False,
}


NAMES = """
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import gatedlib as gl


def given() -> tuple[gl.Experiment, xr.Dataset, xr.Dataset]:
    raise NotImplementedError


experiment, results, noisy = given()
"""  # as in tests/doctests.py


def documented():
    """Every docstring of the package that has an example, by where it stands."""
    for path in sorted((ROOT / "gatedlib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                examples = doctest.DocTestParser().get_examples(text)
                if examples:
                    where = "_".join([*path.relative_to(ROOT).with_suffix("").parts, getattr(node, "name", "module")])
                    yield where, "".join(example.source for example in examples)


@pytest.fixture(scope="module")
def snippets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snippets")
    for page in SHOWN:
        assert shown(page)
        (folder / f"{Path(page).stem.lower()}.py").write_text(shown(page), encoding="utf-8")
    for where, source in documented():
        (folder / f"{where}.py").write_text(NAMES + source, encoding="utf-8")
    assert len(list(folder.iterdir())) > 100
    (folder / "wrong.py").write_text('import gatedlib as gl\n\ngl.simulate("nonsense", nosuch=3)\n', encoding="utf-8")
    return folder


def refused(command, snippets):
    """The errors that a checker finds in the snippets, but for those in one that is wrong, which it must find."""
    (snippets / "mypy.ini").write_text(MYPY, encoding="utf-8")
    (snippets / "pyrightconfig.json").write_text(json.dumps(PYRIGHT), encoding="utf-8")
    ran = subprocess.run(command, cwd=snippets, capture_output=True, text=True, encoding="utf-8", check=False)
    errors = [line for line in ran.stdout.splitlines() if re.search(r"\berror\b.*[\[(]", line)]
    assert any("wrong.py" in line for line in errors), ran.stdout + ran.stderr
    return [line for line in errors if "wrong.py" not in line]


def test_mypy_accepts_every_snippet(snippets):
    files = sorted(path.name for path in snippets.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", *files]
    assert refused(command, snippets) == []


def test_pyright_accepts_every_snippet(snippets):
    pyright = shutil.which("basedpyright") or shutil.which("pyright")
    if pyright is None:  # it comes with Node, and is larger than all that the library needs
        assert not os.environ.get("CI"), "CI must have basedpyright or pyright"
        pytest.skip("neither basedpyright nor pyright is here")
    assert refused([pyright, "--pythonpath", sys.executable, "--project", "."], snippets) == []
