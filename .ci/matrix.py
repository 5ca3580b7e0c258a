"""Run the quick tests on every Python that is here, and with the lowest and the newest versions of what we depend on.

`python3 .ci/matrix.py`: each Python that pyproject.toml admits and that is on the path, under pyenv, or provided by uv,
with the versions in requirements.txt; the oldest of them with the lowest versions that pyproject.toml admits, and the
newest with the newest there are (both need uv). What was skipped is said.

    --others    only Pythons other than the one that runs this, with the versions in requirements.txt
    --prepare   make the environments, and run nothing in them
"""

import glob
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = 11, 14
"""The minor versions of Python 3 that are looked for."""

EVERYTHING = ["--all-extras", "--group", "book", "--group", "test"]


def runs(command):
    """Whether a command can be run, and ends well."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def interpreter(minor):
    """A Python of this minor version that can make environments, or None."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    here = [f"python3.{minor}", *sorted(glob.glob(f"{pyenv}/versions/3.{minor}.*/bin/python"))]
    code = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    python = next((each for each in here if runs([each, "-c", code])), None)
    if python is None and (uv := shutil.which("uv")):
        asked = [uv, "python", "find", f"3.{minor}"]
        if not runs(asked):
            runs([uv, "python", "install", "--quiet", f"3.{minor}"])
        found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        python = found if runs([found, "-c", code]) else None
    return python


def pinned(versions, minor):
    """A file with the lowest or the newest versions for a Python; None where there is no uv to find them."""
    if (uv := shutil.which("uv")) is None:
        return None
    file = os.path.join(ROOT, f".venv-3.{minor}-{versions}.txt")
    how = ["--resolution", "lowest-direct" if versions == "lowest" else "highest", "--python-version", f"3.{minor}"]
    command = [uv, "pip", "compile", "--quiet", "--no-header", *how, *EVERYTHING, "pyproject.toml", "-o", file]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return file


def check(name, python, requirements, prepare):
    """Make an environment of a Python, and run in it what answers soon; whether all of it passed."""
    print(f"{name}: {'its environment' if prepare else 'quick tests, the claims of Figure 2, a chapter'} …", flush=True)
    settings = [f"VENV=.venv-{name.replace(' ', '-')}", f"PYTHON={python}", f"REQUIREMENTS={requirements}"]
    here = dict(os.environ)
    if name.endswith("lowest"):  # old packages warn of their own age
        here["PYTEST_ADDOPTS"] = "-W default"
    goals = ["environment"] if prepare else ["unit", "notebooks", "claims", "CHAPTERS=book/model.ipynb", "FIGURE=2"]
    make = ["make", "--no-print-directory", *goals, *settings]
    return subprocess.run(make, cwd=ROOT, env=here, stdin=subprocess.DEVNULL, check=False).returncode == 0


def main(options):
    """Run what is asked for; the exit status."""
    others, prepare = "--others" in options, "--prepare" in options
    said, wanted = [], []
    for minor in range(OLDEST, NEWEST + 1):
        if others and minor == sys.version_info.minor:
            continue
        python = interpreter(minor)
        if python is None:
            said.append((f"3.{minor}", "skipped, for it is neither here nor provided by uv"))
        else:
            wanted.append((minor, python))
    plan = [(f"3.{minor}", python, "requirements.txt") for minor, python in wanted]
    if wanted and not others:
        for versions, (minor, python) in (("lowest", wanted[0]), ("newest", wanted[-1])):
            file = pinned(versions, minor)
            if file is None:
                said.append((f"3.{minor} {versions}", "skipped, for uv is not here to find these versions"))
            else:
                plan.append((f"3.{minor} {versions}", python, os.path.basename(file)))
    passed = [check(*each, prepare) for each in plan]
    said += [(name, "passed" if good else "FAILED") for (name, *_), good in zip(plan, passed, strict=True)]
    for name, result in sorted(said, key=lambda each: [int(each[0][2:4]), each[0]]):
        print(f"Python {name}: {result}")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - {"--others", "--prepare"}
    sys.exit(f"{', '.join(unknown)}: no such option\n\n{__doc__}" if unknown else main(sys.argv[1:]))
