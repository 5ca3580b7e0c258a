"""The shape of the project: one-way imports, documented names, notebooks without outputs."""

import ast
import graphlib
import inspect
import json
import re
import subprocess
import sys

import pytest

import gatedlib as gl
from tests.examples import ROOT

PACKAGE, BOOK = ROOT / "gatedlib", ROOT / "book"
CHAPTERS = sorted(BOOK.glob("*.ipynb"))


WINGS = ("_internal", "model", "simulation", "vision", "analysis", "view")
"""The parts of the library: each imports from those before it only, and vision not from simulation beside it."""

MODULES = {
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
    for folder, package in ((ROOT, PACKAGE), (BOOK, BOOK / "gatedlib_book"))
    for path in package.rglob("*.py")
}


def imported(path):
    """The modules of both packages that a file imports anywhere in it, for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gatedlib"):
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in within}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("gatedlib")}
    return found


def wing(module):
    """The part of the library that a module is in; its face is none, and the book's package is not in it."""
    package, *parts = module.split(".")
    if package == "gatedlib_book":
        return package
    return parts[0] if parts and "__" not in parts[0] else None


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    here = wing(module)
    used = {wing(name) for name in imported(MODULES[module])}
    if here == "gatedlib_book":  # which uses the library as its users do
        return
    assert "gatedlib_book" not in used
    if here is not None:
        assert used <= set(WINGS[: WINGS.index(here) + 1]) - ({"simulation"} if here == "vision" else set())


def test_no_module_imports_itself_by_way_of_others():
    tuple(graphlib.TopologicalSorter({name: imported(path) - {name} for name, path in MODULES.items()}).static_order())


def test_modules_that_check_others_share_no_code_with_them():
    for judge in ("simulation.ode", "analysis.reduction", "analysis.theory"):
        learn = {"gatedlib.simulation.simulate", "gatedlib.simulation.programs", "gatedlib.model.learning"}
        assert not imported(MODULES[f"gatedlib.{judge}"]) & learn


def test_conditions_of_claims_are_made_by_comparing_estimates_only():
    made = {name for name, path in MODULES.items() if re.search(r"\bCondition\(", path.read_text())}
    assert made == {"gatedlib_book.estimates"}


def test_private_modules_are_in_one_place():
    private = [path for path in MODULES.values() if path.stem.startswith("_") and not path.stem.startswith("__")]
    assert not private
    assert {path.name for path in PACKAGE.iterdir() if path.name.startswith("_")} <= {
        *("_internal", "__init__.py", "__main__.py", "__pycache__"),
    }


def test_importing_the_library_imports_no_plots_no_widgets_and_not_the_book():
    heavy = "('matplotlib', 'anywidget', 'ipywidgets', 'sklearn', 'gatedlib_book')"
    code = f"import gatedlib, sys; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_moved_to_the_book_says_where_it_went():
    with pytest.raises(AttributeError, match=r"gatedlib\.paper is now a package beside this one: from gatedlib_book"):
        _ = gl.paper
    command = [sys.executable, "-m", "gatedlib", "claims", "--list"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.strip().endswith("python -m gatedlib_book claims --list")


@pytest.mark.parametrize("name", gl.__all__)
def test_public_names_are_documented(name):
    thing = getattr(gl, name)
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(getattr(thing, member)), member
    assert re.search(rf"\b{name}\b", "".join(path.read_text() for path in (ROOT / "book").glob("api_*.md")))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_chapters_hold_no_outputs_and_every_picture_has_words(path):
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        if "plt.show()" in source:  # explorers bring words of their own
            assert cell["metadata"]["mystnb"]["image"]["alt"]


def test_every_chapter_is_in_the_table_of_contents():
    contents = (ROOT / "_toc.yml").read_text()
    assert all(f"book/{path.stem}" in contents for path in CHAPTERS)
