"""CPU seconds of a first use and of a first picture, beside another commit: `python -m benchmarks.first [COMMIT]`.

Each runs in processes of its own that find nothing compiled, in turn with those of the commit.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TURNS = 3

USE = """
import gatedlib as gl

gates = (gl.Nonnegative(a=0.0909), gl.UnitNorm(b=0.909))
experiment = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=20, d_out=10),
    network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=20, block_length=1.0),
    flow=gl.Flow(tau_w=1.3, tau_c=0.03, penalties=gates),
)
results = gl.simulate(experiment, seeds=10)
recovery = gl.metrics.time_to_criterion(results).median("seed")
"""
"""The example of the README."""

PICTURE = (
    USE
    + """
import io

import matplotlib.pyplot as plt

fig, (top, bottom) = plt.subplots(2)
gl.plotting.loss(results, top)
gl.plotting.gates(results, bottom)
fig.savefig(io.BytesIO())
"""
)


def cpu_seconds(code, folder):
    """What a new process takes for this code with the library in this folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu", "MPLBACKEND": "agg"},
        cwd=folder,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(folders):
    """The least seconds of some turns in each folder, by what is run."""
    for what, code in (("import", "import gatedlib"), ("first use", USE), ("first picture", PICTURE)):
        least = [
            min(turn) for turn in zip(*[[cpu_seconds(code, f) for f in folders] for _ in range(TURNS)], strict=True)
        ]
        told = f"{what:14} {least[0]:5.2f} s of CPU"
        print(
            told if len(least) == 1 else f"{told}, {least[0] / least[1]:.2f} times the {least[1]:.2f} s of the commit"
        )


def main():
    with tempfile.TemporaryDirectory() as place:
        folders, git = [ROOT], ["git", "-C", str(ROOT), "worktree"]
        if sys.argv[1:]:
            folders.append(Path(place) / "commit")
            subprocess.run([*git, "add", "--quiet", "--detach", str(folders[1]), sys.argv[1]], check=True)
        try:
            compare(folders)
        finally:
            if len(folders) > 1:
                subprocess.run([*git, "remove", "--force", str(folders[1])], check=True)


if __name__ == "__main__":
    main()
