"""Make a virtual environment with what requirements.txt names, unless the one that is there is the one asked for.

`PYTHON .ci/environment.py .venv requirements.txt`: the environment is that of the Python which runs this. It remembers
what it was made of: which Python, in which folder, from which requirements. If one of them is another now, it is made
anew.
This runs on whatever Python there is, so that an old one can be refused in words.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys

NEEDED = (3, 11)
ELSEWHERE = ("PIP_PREFIX", "PIP_TARGET")  # settings of pip that would install beside the environment


def made_of(root, folder, requirements):
    """What an environment in this folder would be made of, by name."""
    asked = hashlib.sha256()
    for name in (requirements, "pyproject.toml"):
        with open(os.path.join(root, name), "rb") as opened:
            asked.update(opened.read())
    return {
        "Python": " ".join([platform.python_implementation(), platform.python_version(), platform.machine()]),
        "home of Python": os.path.realpath(getattr(sys, "base_prefix", sys.prefix)),
        "folder": os.path.realpath(folder),
        "requirements": asked.hexdigest(),
    }


def found(folder):
    """What the environment in this folder was made of, if it is finished and its Python still runs."""
    try:
        with open(os.path.join(folder, "made-of"), encoding="utf-8") as opened:
            told = dict(line.rstrip("\n").split(": ", 1) for line in opened)
        subprocess.run([program(folder), "-c", ""], check=True, stderr=subprocess.DEVNULL)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return told


def ours(root, folder):
    """Whether a folder may be removed: an environment that this program made, or any one in the project, or nothing."""
    if not os.path.isdir(folder) or not os.listdir(folder) or os.path.exists(os.path.join(folder, "made-of")):
        return True
    inside = os.path.dirname(os.path.realpath(folder)) == os.path.realpath(root)
    return inside and os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def private(folder):
    """Whether nobody else may write to a folder, which is made if need be."""
    # as in gatedlib_book/cache.py, which cannot be imported before it is installed
    os.makedirs(folder, mode=0o700, exist_ok=True)
    there = os.stat(folder)
    return os.name != "posix" or (there.st_uid in (0, os.getuid()) and not there.st_mode & 0o022)


def program(folder):
    """The Python of an environment."""
    return os.path.join(folder, "bin", "python")


def make(root, folder, requirements, asked):
    """Make the environment, and say last of all what it was made of."""
    python = getattr(sys, "_base_executable", None) or sys.executable  # this one may stand in the folder to be removed
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [program(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    here = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    here["PIP_USER"] = "0"  # stronger than pip.conf
    named = ["-r", os.path.join(root, requirements)]
    uv = shutil.which("uv")  # quicker, but it knows nothing of pip's settings, such as other places to install from
    if uv is None or subprocess.run([uv, "pip", "install", "-q", "-p", program(folder), *named], env=here).returncode:
        subprocess.run([*pip, *named], check=True, env=here)
    subprocess.run([*pip, "--no-deps", "-e", root], check=True, env=here)
    with open(os.path.join(folder, "made-of"), "w", encoding="utf-8") as opened:
        opened.writelines(f"{name}: {value}\n" for name, value in asked.items())


def main(folder, requirements="requirements.txt"):
    """Make the environment if need be; the exit status."""
    version = platform.python_version()
    if sys.version_info < NEEDED:
        needed = ".".join(map(str, NEEDED))
        print(f"gatedlib needs Python {needed} or newer; this is {version}. Set PYTHON=...")
        return 1
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not private(os.path.join(root, ".jax_cache")):
        print("Others may write to .jax_cache, whose programs would be run. Remove it, or: chmod -R go-w .jax_cache")
        return 1
    asked, there = made_of(root, folder, requirements), found(folder)
    if there == asked:
        return 0
    if os.path.exists(folder):
        if not ours(root, folder):
            print(f"{folder} was not made by this program, and is left as it is. Choose another one: VENV=.venv")
            return 1
        other = [name for name in asked if there.get(name) != asked[name]] if there else []
        why = (
            f"another {', another '.join(other)}"
            if other
            else "unfinished, made by something else, or without its Python"
        )
        print(f"{folder} is not the environment asked for ({why}).")
    print(f"Making {folder} with Python {version} and installing what {requirements} names (a minute or two) ...")
    sys.stdout.flush()
    try:
        make(root, folder, requirements, asked)
    except subprocess.CalledProcessError as failure:
        print(f"This failed (status {failure.returncode}): {' '.join(failure.cmd)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
