"""The JavaScript of the book has the types that its comments say, and nothing in it is unused."""

import os
import shutil
import subprocess

import pytest

from tests.examples import ROOT

pytestmark = pytest.mark.slow


def test_types_of_scripts_are_as_said():
    tsc = shutil.which("tsc")
    if tsc is None:  # it comes from npm: too much to be asked of everyone who runs the tests
        assert not os.environ.get("CI"), "CI must have typescript"
        pytest.skip("tsc is not here")
    command = [tsc, "--project", str(ROOT / "tests" / "book" / "tsconfig.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
