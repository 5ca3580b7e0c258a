"""What puts the book online: buttons that open chapters elsewhere, chapters that run there, workflows, citation."""

import importlib.util
import json
import re
import subprocess
import sys

import nbformat
import pytest

from tests.examples import ROOT

pytestmark = pytest.mark.slow

ADDRESS = "https://github.com/someone/flexible-book"
CONFIG = """
import sys

sys.path.insert(0, {extensions!r})
extensions = ["myst_nb", "launch"]
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
"""


@pytest.fixture(scope="module")
def launch():
    spec = importlib.util.spec_from_file_location("launch", ROOT / "_ext" / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(folder, address):
    """A book of one chapter and one page, built where the repository has this address."""
    (folder / "book").mkdir()
    (folder / "conf.py").write_text(CONFIG.format(extensions=str(ROOT / "_ext")))
    (folder / "index.md").write_text("# Start\n\n```{toctree}\nbook/model\n```\n")
    (folder / "book" / "model.ipynb").write_text((ROOT / "book" / "model.ipynb").read_text())
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        **({"GATEDLIB_REPOSITORY": address} if address else {}),
    }
    command = [sys.executable, "-m", "sphinx", "-q", ".", "html"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_chapters_can_be_opened_elsewhere_where_the_address_is_known(tmp_path):
    built(tmp_path, ADDRESS).check_returncode()
    page = (tmp_path / "html" / "book" / "model.html").read_text()
    assert "https://mybinder.org/v2/gh/someone/flexible-book/HEAD?urlpath=lab/tree/book/model.ipynb" in page
    assert "https://colab.research.google.com/github/someone/flexible-book/blob/gh-pages/colab/model.ipynb" in page
    assert "mybinder" not in (tmp_path / "html" / "index.html").read_text()  # not a notebook
    there = nbformat.read(tmp_path / "html" / "colab" / "model.ipynb", 4)
    nbformat.validate(there)
    assert there.cells[0].source == f"%pip install --quiet git+{ADDRESS}"
    here = json.loads((ROOT / "book" / "model.ipynb").read_text())["cells"]
    assert ["".join(cell["source"]) for cell in here] == [cell.source for cell in there.cells[1:]]


def test_without_an_address_there_is_nothing_to_open(tmp_path):
    built(tmp_path, None).check_returncode()
    assert "mybinder" not in (tmp_path / "html" / "book" / "model.html").read_text()
    assert not (tmp_path / "html" / "colab").exists()


def test_a_wrong_address_stops_the_build(tmp_path):
    ran = built(tmp_path, "git@somewhere:someone/flexible-book")
    assert ran.returncode != 0
    assert "GATEDLIB_REPOSITORY is 'git@somewhere:someone/flexible-book': it must look like" in ran.stderr


@pytest.mark.parametrize("written", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}.git"])
def test_addresses_are_understood_as_they_are_written(launch, written):
    assert launch.repository(written) == ("someone", "flexible-book")


@pytest.mark.parametrize(
    ("schema", "names"),
    [("github-workflows", [".github/workflows/test.yml", ".github/workflows/book.yml"]),
     ("citation-file-format", ["CITATION.cff"])],
)  # fmt: skip
def test_files_for_others_have_the_form_that_they_ask_for(schema, names):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *names]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_citation_names_this_version():
    import gatedlib

    assert f"version: {gatedlib.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_every_figure_of_the_paper_that_has_a_claim_is_in_the_index(monkeypatch):
    from gatedlib.paper.claims import registry

    monkeypatch.syspath_prepend(ROOT / "_ext")
    listed = importlib.import_module("claims").listed
    rows = re.findall(r"\{claims\}`([^`]+)`", (ROOT / "book" / "figures.md").read_text())
    assert {claim.id for claim in registry() if claim.figure != "beyond"} == {id for row in rows for id in listed(row)}
    assert len(rows) > 20
