"""What is not installed is told with the line that installs it, and before anything is computed."""

import importlib.util
import re
import tomllib

import pytest
from packaging.requirements import Requirement

import gatedlib as gl
from gatedlib._internal import extras
from tests.examples import ROOT, small

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""What is installed under another name than it is imported by."""


@pytest.fixture
def nothing_else(monkeypatch):
    """As if none of the packages that extras bring were installed."""
    names = {package for packages in extras.PACKAGES.values() for package in packages}
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in names else importlib.util.find_spec(name))


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize(
    ("name", "extra"), [("plotting", "plot"), ("explore", "explore"), ("images", "images"), ("trunk", "images")]
)
def test_what_is_missing_is_named_with_the_line_that_installs_it(name, extra):
    with pytest.raises(ModuleNotFoundError, match=re.escape(f'pip install "gatedlib[{extra}]"')) as refusal:
        getattr(gl, name)
    assert str(refusal.value).startswith(f"gatedlib.{name} needs ")


@pytest.mark.usefixtures("nothing_else")
def test_a_sweep_that_cannot_be_saved_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("gatedlib.simulation.sweep.run_tile", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "gatedlib\[netcdf\]"'):
        gl.sweep(small(), seeds=1, save=tmp_path / "sweep", tau_c=[0.1])
    assert not (tmp_path / "sweep").exists()


def test_extras_bring_what_they_are_asked_for():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    def brought(extra):
        for requirement in map(Requirement, asked[extra]):
            yield from (name for each in requirement.extras for name in brought(each))
            yield requirement.name.lower()

    for extra, packages in extras.PACKAGES.items():
        names = {DISTRIBUTIONS.get(package, package).lower() for package in packages}
        assert names <= set(brought(extra)), extra
        assert set(brought(extra)) <= set(brought("all"))
