"""CPU seconds of a first use and of a first picture, beside another commit: `python -m benchmarks.first [COMMIT]`.

Each runs in processes of its own that find nothing compiled, in turn with those of the commit.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TURNS = 3

USE = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
"""The first example of the README."""

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


def cpu_seconds(command, **options):
    """What a new process and those that it starts take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def from_nothing(code, folder):
    """The seconds of this code with the library in this folder, and with no program compiled before."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    own = {"PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu", "MPLBACKEND": "agg"}
    return cpu_seconds([sys.executable, "-c", code], env={**kept, **own}, cwd=folder)


def compare(folders):
    """The least seconds of some turns in each folder, by what is run."""
    for what, code in (("import", "import gatedlib"), ("first use", USE), ("first picture", PICTURE)):
        turns = [[from_nothing(code, folder) for folder in folders] for _ in range(TURNS)]
        here, *there = map(min, zip(*turns, strict=True))
        beside = "".join(f", {here / other:.2f} times the {other:.2f} s of the commit" for other in there)
        print(f"{what:14} {here:5.2f} s of CPU{beside}")


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
