"""The JavaScript of the book has the types that its comments say, nothing in it is unused, and one layout."""

import os
import shutil
import subprocess

import pytest

from tests.examples import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "command",
    [
        ("tsc", "--project", "tests/book/tsconfig.json"),
        ("prettier", "--check", "_static/*.js", "gatedlib/view/explorers/*.js"),
    ],
    ids=lambda command: command[0],
)
def test_scripts_pass(command):
    if shutil.which(command[0]) is None:  # these come from npm: too much to be asked of everyone who runs the tests
        assert not os.environ.get("CI"), f"CI must have {command[0]}"
        pytest.skip(f"{command[0]} is not here")
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
