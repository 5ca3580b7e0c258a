"""Build the source distribution and the wheel, and try the wheel where nothing else is.

In an environment of its own, and in a folder of its own: the core alone must import, and say of all that is missing how
to install it; with everything installed, all that the README shows must run.
"""

import glob
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHIPPED = {".js": 10, ".csv": 2, ".css": 1, ".mplstyle": 1}
"""How many files of a kind there are at least, beside those of Python."""

CORE = """
import sys

import gatedlib as gl

experiment = gl.Experiment(
    teachers=gl.Orthogonal(tasks=2, d_in=6, d_out=3), network=gl.GatedLinear(paths=2),
    curriculum=gl.Blocked(blocks=2, block_length=0.1), flow=gl.Flow(tau_w=1.3, tau_c=0.03),
)
assert gl.simulate(experiment, seeds=2).loss.shape == (2, 200)
refused = 0
uses = [
    lambda: gl.plotting,
    lambda: gl.explore,
    lambda: gl.images,
    lambda: gl.sweep(experiment, seeds=1, save="x", tau_c=[0.1]),
]
for use in uses:
    try:
        use()
    except ModuleNotFoundError as error:
        print(error)
        refused += "pip install" in str(error)
assert refused == 4
assert not any(name.startswith("gatedlib_book") for name in sys.modules)
"""


PACKAGES = {"gatedlib": "gatedlib", "gatedlib_book": os.path.join("book", "gatedlib_book")}
"""The packages, and where they lie in the project."""

PACKAGED = re.compile(r"(?:^|/)(gatedlib(?:_book)?/.*[^/])$")


def packaged(names):
    """Those files of a distribution that lie in one of the packages, as they are called in the wheel."""
    return {found[1] for found in map(PACKAGED.search, names) if found}


def in_project():
    """The files of the packages in the project, as they are called in the wheel."""
    return {
        f"{package}/{path.relative_to(Path(ROOT, folder)).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in Path(ROOT, folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main():
    """Build, look inside, install and try; an error if something is not as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        built = os.path.join(folder, "dist")
        print("building …", flush=True)
        build = [sys.executable, "-m", "build", "--outdir", built, ROOT]
        if (ran := subprocess.run(build, capture_output=True, text=True, check=False)).returncode:
            sys.exit(ran.stdout + ran.stderr)
        (wheel,), (source,) = glob.glob(f"{built}/*.whl"), glob.glob(f"{built}/*.tar.gz")
        with zipfile.ZipFile(wheel) as archive:
            shipped = packaged(archive.namelist())
        with tarfile.open(source) as archive:
            assert shipped <= packaged(archive.getnames()), shipped - packaged(archive.getnames())
        assert shipped == in_project(), shipped ^ in_project()
        for ending, least in SHIPPED.items():
            assert sum(name.endswith(ending) for name in shipped) >= least, ending
        assert "gatedlib/py.typed" in shipped

        empty = os.path.join(folder, "empty")
        python = os.path.join(empty, "bin", "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", empty], check=True)
        print("installing the wheel, the core alone …", flush=True)
        subprocess.run([*install, "-c", os.path.join(ROOT, "requirements.txt"), wheel], check=True)
        subprocess.run([python, "-c", CORE], cwd=folder, check=True)
        print("installing all extras …", flush=True)
        subprocess.run([*install, "-c", os.path.join(ROOT, "requirements.txt"), f"{wheel}[all]"], check=True)
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as opened:
            shown = re.findall(r"```python\n(.*?)```", opened.read(), re.DOTALL)
        subprocess.run([python, "-c", "\n".join(shown)], cwd=folder, check=True)
        measure = [python, "-m", "gatedlib_book", "claims", "--figure", "2"]
        subprocess.run(measure, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print(f"{os.path.basename(wheel)} and {os.path.basename(source)} hold what they should, and run.")


if __name__ == "__main__":
    main()
