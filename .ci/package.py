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

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHIPPED = {".js": 10, ".css": 1, ".mplstyle": 1}
"""How many files of a kind there are at least, beside those of Python."""

CORE = """
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
"""


def ours(names):
    """Those files of a distribution that lie in the package, without the folder they are in."""
    return {name[name.index("gatedlib/") :] for name in names if "gatedlib/" in name and not name.endswith("/")}


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
            shipped = {name for name in archive.namelist() if name.startswith("gatedlib/")}
        with tarfile.open(source) as archive:
            assert shipped <= ours(archive.getnames()), shipped - ours(archive.getnames())
        here = {os.path.relpath(path, ROOT) for path in glob.glob(f"{glob.escape(ROOT)}/gatedlib/**", recursive=True)}
        wanted = {path for path in here if os.path.isfile(os.path.join(ROOT, path)) and "__pycache__" not in path}
        assert shipped == wanted, shipped ^ wanted
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
        listed = [python, "-m", "gatedlib", "claims", "--list"]
        subprocess.run(listed, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        print(f"{os.path.basename(wheel)} and {os.path.basename(source)} hold what they should, and run.")


if __name__ == "__main__":
    main()
