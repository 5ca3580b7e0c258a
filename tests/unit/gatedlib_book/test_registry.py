"""How claims are registered, and the command that lists them."""

import os
import subprocess
import sys

import pytest

from gatedlib_book import claims
from gatedlib_book.claims import claim
from gatedlib_book.estimates import Numbers, exact


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(claims, "REGISTRY", {})


def register(value):
    """Define a function and register it, at the same place each time."""

    @claim("mine")
    def measure():
        """A sentence."""
        n = Numbers(value=exact(value))
        return n, {"it is {}": n.value > 0.5}

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
        """Another sentence."""
        return first.measure()

    with pytest.raises(ValueError, match=r"claim id = 'mine': is taken\. Give each claim an id of its own"):
        claim("mine")(other)
    assert claims.REGISTRY["mine"] is first


def test_what_it_says_and_how_it_is_measured_stand_in_the_docstring():
    @claim("documented")
    def measure():
        """Two is more
        than one.

        By counting.

        On fingers.
        """

    assert (measure.statement, measure.method) == ("Two is more than one.", "By counting. On fingers.")
    assert measure.source.lstrip().startswith('@claim("documented")')
    with pytest.raises(ValueError, match=r"docstring of claim mute = None: must be the statement\. Begin"):
        claim("mute")(lambda: None)


def test_exchanged_arguments_are_the_counterfactual():
    @claim("order", swap=(2.0, 1.0))
    def measure(first, second):
        """The first is larger."""
        n = Numbers(difference=exact(first - second))
        return n, {"the difference is {}": n.difference > 0}

    assert measure.judge().holds
    assert measure.outcome(**measure.counterfactual).conditions == {"the difference is more than 0": False}
    assert measure.outcome(second=3.0).conditions == {"the difference is more than 0": False}


def test_what_does_otherwise_than_expected_stops_the_page_that_shows_it():
    assert register(1).show().holds
    with pytest.raises(
        AssertionError, match=r"claim mine .*otherwise than expected\. not met: it is more than 0\.5"
    ):
        register(0).show()


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
