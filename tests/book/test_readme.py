"""What the README and the reference's pages show runs and gives what they say; the README names only what there is."""

import contextlib
import io
import re
import subprocess

import pytest

from gatedlib_book.__main__ import main
from gatedlib_book.claims import registry
from tests.examples import ROOT, SHOWN, shown

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWN)
def test_what_is_shown_prints_what_stands_beside_it(page):
    program = shown(page)
    promised = re.findall(r"^print\(.*\)  # (.+)$", program, re.MULTILINE)
    assert len(promised) == program.count("print(") > 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(program, {})
    lines = printed.getvalue().splitlines()
    assert [words[: len(line)] for words, line in zip(promised, lines, strict=True)] == lines


def test_every_command_in_it_is_there():
    targets = {line.split()[0] for line in subprocess.check_output(["make", "help"], cwd=ROOT, text=True).splitlines()}
    named = set(re.findall(r"make ([a-z]+)", README))
    assert len(named) > 4
    assert named <= targets
    for arguments in re.findall(r"-m gatedlib_book (.+?)`?$", README, re.MULTILINE):
        with contextlib.redirect_stdout(io.StringIO()):
            assert main([*arguments.split(), "--list"]) == 0
    for page in re.findall(r"\]\((\w[\w./]*)\)", README):
        assert (ROOT / page).exists(), page


def test_its_counts_of_claims_are_those_of_the_registry():
    expected = {
        kind: sum(c.kind == kind and c.expected for c in registry()) for kind in ("given", "ours", "earlier", "beyond")
    }
    all_of = {kind: sum(c.kind == kind for c in registry()) for kind in expected}
    text = " ".join(README.split())
    found = {
        "given": re.search(
            r"of (\d+) claims about the paper's figures, at the settings given with them, (\d+) hold", text
        ),
        "ours": re.search(r"of (\d+) at settings that we chose, (\d+)", text),
        "earlier": re.search(
            r"of (\d+) about figures that were drawn in an earlier form[^,]*, and in that form, (\d+)", text
        ),
        "beyond": re.search(r"of (\d+) that go beyond the paper, (\d+) hold", text),
    }
    assert {kind: tuple(map(int, each.groups())) for kind, each in found.items()} == {
        kind: (all_of[kind], expected[kind]) for kind in expected
    }


def test_it_is_short():
    assert len(README.splitlines()) <= 120
