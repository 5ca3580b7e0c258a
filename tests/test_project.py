"""The shape of the project: one-way imports, documented names, notebooks without outputs."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gatedlib as gl

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gatedlib"
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


def imported(path):
    """The gatedlib modules that a file imports anywhere in it, unless for type checking only."""
    found = set()
    tree = ast.parse(path.read_text())
    skipped = {id(n) for b in ast.walk(tree) if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.dump(b.test)
               for n in ast.walk(b)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gatedlib"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("gatedlib")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_data_flow_one_way(path):
    modules = imported(path)
    if path.name != "__main__.py":
        assert not [name for name in modules if name.startswith("gatedlib.paper")]
    if path.name in ("reduction.py", "solver.py", "theory.py"):  # each checks what the engine does
        assert not modules & {"gatedlib.engine", "gatedlib.flow"}
    drawing = ("plotting", "_drawing", "_naming", "explore", "_explorer", "_mapping", "_scheduling", "_trained")
    if path.stem not in drawing:
        assert not modules & {f"gatedlib.{name}" for name in drawing}


def test_importing_the_package_imports_no_plots_no_widgets_no_tables():
    code = (
        "import gatedlib, sys; print([m for m in ('matplotlib', 'ipywidgets', 'xarray', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", gl.__all__)
def test_public_names_are_documented(name):
    thing = getattr(gl, name)
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(getattr(thing, member)), member
    assert name in (ROOT / "book" / "api.md").read_text()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_chapters_hold_no_outputs_and_every_picture_has_words(path):
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        if "plt.show()" in source or source.startswith("explore."):
            assert cell["metadata"]["mystnb"]["image"]["alt"]


def test_every_chapter_is_in_the_table_of_contents():
    contents = (ROOT / "_toc.yml").read_text()
    assert all(f"book/{path.stem}" in contents for path in CHAPTERS)
