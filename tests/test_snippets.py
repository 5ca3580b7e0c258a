"""`py.typed` is a promise: two type checkers accept what the README and the docstrings show.

Snippets run elsewhere (doctests, and the README's by hand); here they are only read.
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

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PYRIGHT = {
    "include": ["."],
    "extraPaths": [str(ROOT)],
    "typeCheckingMode": "standard",
    "reportUnusedExpression": False,  # examples show values
    "reportMissingModuleSource": False,
}


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
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(readme) > 3
    (folder / "readme.py").write_text("\n".join(readme), encoding="utf-8")
    for where, source in documented():
        (folder / f"{where}.py").write_text(source, encoding="utf-8")
    assert len(list(folder.iterdir())) > 100
    return folder


def test_mypy_accepts_every_snippet(snippets):
    files = [str(path) for path in sorted(snippets.iterdir())]
    (snippets / "mypy.ini").write_text("[mypy]\nignore_missing_imports = True\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        "mypy.ini",
        "--cache-dir",
        str(snippets / "cache"),
        *files,
    ]
    ran = subprocess.run(command, cwd=snippets, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stdout.replace(str(snippets), "")


def test_pyright_accepts_every_snippet(snippets):
    pyright = shutil.which("basedpyright") or shutil.which("pyright")
    if pyright is None:  # it comes with Node, and is larger than all that the library needs
        assert not os.environ.get("CI"), "CI must have basedpyright or pyright"
        pytest.skip("neither basedpyright nor pyright is here")
    (snippets / "pyrightconfig.json").write_text(json.dumps(PYRIGHT), encoding="utf-8")
    command = [pyright, "--pythonpath", sys.executable, "--project", str(snippets)]
    ran = subprocess.run(command, cwd=snippets, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ran.returncode == 0, ran.stdout.replace(str(snippets), "")
    assert "0 errors" in ran.stdout
