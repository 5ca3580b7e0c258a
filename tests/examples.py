"""What several tests share: small experiments, the project's folder, data that may be missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib.simulation.runs import Run

ROOT = Path(__file__).parent.parent

CONSTRAINTS = (gl.Nonnegative(0.0909), gl.UnitNorm(0.909))


def small(**settings) -> gl.Experiment:
    """A small flexible experiment: 6 inputs, 2 outputs, 4 blocks of 50 steps."""
    experiment = gl.Experiment(
        gl.Orthogonal(tasks=2, d_in=6, d_out=2),
        gl.GatedLinear(paths=2, weight_scale=0.3),
        gl.Blocked(blocks=4, block_length=1.0),
        gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.02, penalties=CONSTRAINTS),
    )
    return experiment.replace(**settings)


def by_hand(variables, *gate_dims, steps=1, coordinates=None):
    """Results of seed 0 and a network of matrices that are made by hand, from variables with their axes after seed."""
    data = xr.Dataset({name: (("seed", *dims), np.asarray(values)[None]) for name, (dims, values) in variables.items()})
    sizes = {dim: size for dim, size in data.sizes.items() if dim not in ("seed", "time")}
    tasks, blocks = sizes.get("task", 2), len((coordinates or {}).get("block", [0]))
    run = Run(
        settings={"flow.dt": 0.5, "flow.inputs": "Population"}, seed=0, start=0, initial="", made_by="hand",
        steps=steps, blocks=blocks, components=tasks, met=list(range(tasks)), gate_dims=["path", *gate_dims],
        weight_dims=["path", "out", "in"], sizes=sizes,
        dims={name: list(dims) for name, (dims, _) in variables.items()},
    )  # fmt: skip
    labels = {dim: range(size) for dim, size in sizes.items()}
    return data.assign_coords({"seed": [0], **labels, **(coordinates or {}), "settings": ("seed", [run.text()])})


SHOWN = "README.md", "book/api_vision.md"
"""Pages whose Python is a program of its own."""


def shown(page):
    """The Python that a page shows, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL))


def need(claim):
    """Go on only if the data that a claim needs are here, as they must be in CI."""
    if not claim.measurable:
        assert not os.environ.get("CI"), f"CI must measure {claim.id}, and has no {claim.data}"
        pytest.skip(f"{claim.data} is not here")


def make(*words, old="environment", **settings):
    """What make says, with the environment of these tests as the one that is there."""
    for name in ("JAX_PLATFORMS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        settings.setdefault(name, "")
    environment = {name: value for name, value in {**os.environ, **settings}.items() if value}
    here = Path(sys.prefix)
    venv = here.relative_to(ROOT) if here.is_relative_to(ROOT) else here  # ROOT may bear any name
    command = ["make", "--no-print-directory", "--old-file", old, f"VENV={venv}", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
