"""How claims are registered, and the command that lists them."""

import os
import subprocess
import sys

import pytest

from gatedlib_book import claims
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import exact


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(claims, "REGISTRY", {})


def register(value):
    """Define a function and register it, at the same place each time."""

    @claim("mine", "beyond", "A sentence.")
    def measure():
        return Outcome({"value": exact(value)}, {"it is one": value == 1})

    return measure


@pytest.mark.parametrize("module", [__name__, "__main__"])
def test_a_claim_that_is_defined_again_replaces_itself(tmp_path, monkeypatch, module):
    monkeypatch.setenv("GATEDLIB_RESULTS", str(tmp_path))
    monkeypatch.setitem(globals(), "__name__", module)  # that of a notebook is __main__
    verdicts = [register(value).judge() for value in (0, 1)]
    assert [verdict.holds for verdict in verdicts] == [False, True]
    assert claims.REGISTRY["mine"] is verdicts[1].claim


def test_another_function_does_not_take_the_id_of_a_claim():
    first = register(1)

    def other():
        return first.measure()

    with pytest.raises(ValueError, match=r"claim id = 'mine': is taken\. Give each claim an id of its own"):
        claim("mine", "beyond", "Another sentence.")(other)
    assert claims.REGISTRY["mine"] is first


@pytest.mark.skipif(os.name != "posix", reason="elsewhere pipes close in other ways")
@pytest.mark.parametrize(("arguments", "stderr_too"), [(["--list"], False), (["--list", "--json"], True)])
def test_it_ends_quietly_when_nobody_reads_on(arguments, stderr_too):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gatedlib_book", "claims", *arguments]
    stderr = writer if stderr_too else subprocess.PIPE
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with os.fdopen(writer) as pipe:
        ran = subprocess.run(command, stdout=pipe, stderr=stderr, env=buffered, text=True, check=False)
    assert ran.returncode == 141  # what a shell says of a program that SIGPIPE ended
    assert not ran.stderr
