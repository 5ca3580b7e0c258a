"""Shared by all tests: hypothesis draws from a fixed seed, and a fixture for double precision."""

import pathlib

import hypothesis
import jax
import pytest

# no deadline: an example may have to be compiled first
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


MAPS, MANY_MAPS = pathlib.Path("/proc/self/maps"), 30_000
"""The memory maps of this process, on Linux, and about half of how many it may have."""


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Each takes memory maps, and there is a limit to these."""
    yield
    if not MAPS.exists() or MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture
def x64():
    """Double precision, for laws that hold to the last digits."""
    with jax.enable_x64(True):
        yield
