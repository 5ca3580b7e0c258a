"""What differs between machines, and must make no difference: Pythons, folders, disks, what libraries print."""

import errno
import importlib.util
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import gatedlib as gl
from gatedlib._internal import files
from tests.examples import ROOT, make, small


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# The environment that the Makefile makes


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The script, whose installing is only counted, in a project of its own."""
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "project" / name).write_text(name)
    (tmp_path / "project" / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "environment.py", tmp_path / "project" / ".ci")
    script = module(tmp_path / "project" / ".ci" / "environment.py")
    monkeypatch.chdir(tmp_path / "project")
    script.made = 0
    run = subprocess.run

    def without_installing(command, **settings):
        if command[1:3] == ["-m", "venv"]:
            script.made += 1
            Path(command[3], "bin").mkdir(parents=True)
            Path(command[3], "pyvenv.cfg").touch()
            Path(command[3], "bin", "python").symlink_to(sys.executable)
        elif "pip" not in command:
            return run(command, **settings)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(script.subprocess, "run", without_installing)
    return script


def test_an_environment_is_made_once(environment):
    assert environment.main(".venv") == environment.main(".venv") == 0
    assert environment.made == 1


def test_programs_that_others_could_have_written_are_refused(environment, capsys):
    assert environment.main(".venv") == 0
    kept = Path(".jax_cache")
    assert kept.stat().st_mode & 0o077 == 0
    kept.chmod(0o777)
    assert environment.main(".venv") == 1
    assert "Others may write to .jax_cache" in capsys.readouterr().out


def other_python(environment, monkeypatch):
    monkeypatch.setattr(environment.platform, "python_version", lambda: "3.99.0")


def other_home(environment, monkeypatch):
    monkeypatch.setattr(environment.sys, "base_prefix", "/somewhere/else")


def other_requirements(environment, monkeypatch):
    Path("requirements.txt").write_text("other", encoding="utf-8")


def its_python_is_gone(environment, monkeypatch):
    python = Path(".venv/bin/python")
    python.unlink()
    python.symlink_to("/no/such/python")


def interrupted(environment, monkeypatch):
    Path(".venv/made-of").unlink()


@pytest.mark.parametrize("change", [other_python, other_home, other_requirements, its_python_is_gone, interrupted])
def test_an_environment_that_is_not_the_one_asked_for_is_made_anew(environment, monkeypatch, capsys, change):
    environment.main(".venv")
    change(environment, monkeypatch)
    capsys.readouterr()
    assert environment.main(".venv") == 0
    assert environment.made == 2
    assert ".venv is not the environment asked for" in capsys.readouterr().out
    assert environment.main(".venv") == 0
    assert environment.made == 2


def test_a_folder_that_is_no_environment_of_this_project_is_left_as_it_is(environment, tmp_path, capsys):
    for place in ("thesis", tmp_path / "work-env"):
        Path(place).mkdir()
        Path(place, "pyvenv.cfg" if place != "thesis" else "thesis.tex").touch()
        assert environment.main(str(place)) == 1
        assert "is left as it is. Choose another one" in capsys.readouterr().out
        assert len(list(Path(place).iterdir())) == 1
    assert environment.made == 0


def test_an_environment_that_was_moved_is_made_anew(environment, tmp_path, monkeypatch):
    environment.main(".venv")
    moved = (tmp_path / "project").rename(tmp_path / "renamed")
    monkeypatch.chdir(moved)
    again = module(moved / ".ci" / "environment.py")
    assert again.found(".venv") != again.made_of(str(moved), ".venv", "requirements.txt")


def test_an_environment_is_that_of_the_python_behind_another_environment(environment):
    told = environment.made_of(".", ".venv", "requirements.txt")
    assert told["home of Python"] == os.path.realpath(sys.base_prefix) != os.path.realpath(sys.prefix)


def test_a_python_that_is_too_old_is_refused_in_words(environment, monkeypatch, capsys):
    monkeypatch.setattr(environment.sys, "version_info", (3, 10, 13))
    assert environment.main(".venv") == 1
    assert "gatedlib needs Python 3.11 or newer" in capsys.readouterr().out
    assert environment.made == 0


@pytest.fixture
def say(tmp_path):
    """What make says that a variable of its recipes is."""

    def say(variable, **settings):
        rule = tmp_path / "say.mk"
        rule.write_text(f"said: ; @echo [$${variable}]\n", encoding="utf-8")
        return make("--file", "Makefile", "--file", str(rule), "said", **settings).stdout.strip()

    return say


@pytest.mark.parametrize(("set_by_user", "platform"), [("", "cpu"), ("cuda", "cuda")])
def test_the_book_is_built_on_the_cpu_unless_its_user_says_otherwise(say, set_by_user, platform):
    assert say("JAX_PLATFORMS", JAX_PLATFORMS=set_by_user) == f"[{platform}]"


PROGRAM = "import jax; [jax.jit(lambda x: n * x)(1.0) for n in range(1, 6)]"


@pytest.fixture
def compiled(tmp_path):
    """The programs in a folder, by name, after a process with the settings of the Makefile has asked for five."""

    def compiled(folder, command=f"-W error::UserWarning -c '{PROGRAM}'"):
        rule = tmp_path / "compile.mk"
        rule.write_text(f"compile: ; @$(VENV)/bin/python {command}\n", encoding="utf-8")
        asked = ["--file", "Makefile", "--file", str(rule), "compile", f"JAX_COMPILATION_CACHE_DIR={folder}"]
        assert not (ran := make(*asked)).returncode, ran.stdout + ran.stderr
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    return compiled


def test_compiled_programs_serve_in_a_folder_that_was_renamed(compiled, tmp_path):
    first = set(compiled(tmp_path / "clone"))
    assert len(first) == 5
    assert set(compiled((tmp_path / "clone").rename(tmp_path / "renamed"))) == first


def test_a_compiled_program_that_is_being_written_fails_no_test_beside(compiled, tmp_path):
    folder = tmp_path / "kept"
    for name, content in compiled(folder).items():
        (folder / name).write_bytes(content[:-1])
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {PROGRAM}\n", encoding="utf-8")
    assert len(compiled(folder, f"-m pytest -c pyproject.toml {tmp_path}/test_it.py")) == 5


def test_compiled_programs_that_cannot_be_read_are_removed(compiled, tmp_path):
    folder = tmp_path / "kept"
    before = compiled(folder)
    whole, empty, half, shorter, other = before
    (folder / empty).write_bytes(b"")
    (folder / half).write_bytes(before[half][: len(before[half]) // 2])
    (folder / shorter).write_bytes(before[shorter][:-1])
    (folder / other).write_bytes(b"compressed otherwise")
    ran = make("environment", "PYTHON=true", f"JAX_COMPILATION_CACHE_DIR={folder}", old="nothing")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"4 of 5 compiled programs in {folder} could not be read, and were removed.\n"
    assert [path.name for path in folder.iterdir()] == [whole]
    assert set(compiled(folder)) == set(before)


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONSTARTUP", "PYTHONWARNINGS", "MPLBACKEND"])
def test_what_is_set_for_other_programs_stays_out(say, name):
    assert say(name, **{name: "1"}) == "[]"


def test_an_environment_that_is_set_for_other_programs_is_not_this_one():
    commands = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "VENV := .venv\n" in commands  # and not ?=


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = make("serve", f"PORT={port}")
    assert ran.returncode != 0
    assert f"Port {port} cannot be used here. Choose another one: make serve PORT=8001" in ran.stdout
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(("user", "allowed"), [("0", True), ("1000", False)])
def test_jupyter_runs_for_root_too(tmp_path, user, allowed):
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (tmp_path / "id").chmod(0o755)
    ran = make("lab", "--dry-run", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert ("--allow-root" in ran.stdout) == allowed
    assert "-m jupyterlab" in ran.stdout


def test_programs_are_called_as_modules():
    """A script in bin names the place where its environment was made."""
    commands = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"/bin/(\w+)", commands)) == {"python"}


@pytest.mark.slow
@pytest.mark.parametrize(("holds", "breaks", "status"), [(True, False, 0), (False, False, 0), (True, True, 1)])
def test_a_claim_that_fails_is_told_and_a_program_that_broke_is_an_error(tmp_path, holds, breaks, status):
    (tmp_path / "sitecustomize.py").write_text(f'''
import sys
if sys.argv[:1] == ["-m"]:
    import numpy as np
    import gatedlib_book.claims as claims
    from gatedlib_book import chapters
    from gatedlib_book.estimates import Numbers, exact

    def measure():
        """A sentence."""
        n = Numbers(one=exact(1.0 if {holds} else 2.0))
        return (n, {{"it is {{}}": n.one < 1.5}}) if not {breaks} else 1 / 0

    claims.REGISTRY = {{"X": claims.Claim("X", "2", measure)}}
    chapters.NAMES = ()
''')
    command = [sys.executable, "-m", "gatedlib_book", "claims", "--exit-zero"]
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == status, ran.stderr
    assert ("FAILS" in ran.stdout) == (not holds)
    assert "gatedlib_book claims --exit-zero" in make("claims", "--dry-run").stdout


# What libraries print while the book is built

PAGE = """
import logging, os, time, warnings

os.write(2, b"W0000 00:00:00.000000 1 some.cc:1] from a descriptor\\n")
logging.getLogger("jax._src.xla_bridge").warning("An NVIDIA GPU may be present on this machine")
warnings.warn_explicit("from elsewhere", UserWarning, "/usr/lib/python3/some.py", 1)
print("the page")
time.sleep(0.5)  # what a descriptor is given comes late
"""
OURS = {
    "of a cell": "import warnings\nwarnings.warn('mind this')",
    "of the library": "import gatedlib, warnings\n"
    "warnings.warn_explicit('mind this', RuntimeWarning, gatedlib.__file__, 1)",
}


def built(folder, source, **settings):
    """A book of one page with the settings of ours."""
    (folder / "book").mkdir(parents=True)
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "_config.yml", folder)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    for name in ("README.md", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    (folder / "notes.d").mkdir()
    (folder / "notes.d" / "stray.md").write_text("no title", encoding="utf-8")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n", encoding="utf-8")
    cells = [
        nbformat.v4.new_markdown_cell("# A page"),
        nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-input"]}),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "book" / "intro.ipynb")
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "build", ".", "--warningiserror", "--keep-going"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }  # a kernel looks
    return subprocess.run(
        command, cwd=folder, env=environment | settings, capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.mark.slow
def test_what_libraries_print_is_shown_to_the_builder_and_not_in_the_page(tmp_path):
    folder = tmp_path / "a clone [of é] {mine} #1"
    ran = built(folder, PAGE)
    assert ran.returncode == 0, ran.stderr
    page = (folder / "_build" / "html" / "book" / "intro.html").read_text(encoding="utf-8")
    assert "the page" in page
    for line in ("from a descriptor", "An NVIDIA GPU may be present", "from elsewhere"):
        assert line in ran.stdout
        assert line not in page
    pages = (folder / "_build" / "html").glob("[!_]*/**/*.html")
    assert [path.name for path in pages] == ["intro.html"]


@pytest.mark.slow
def test_warnings_are_told_apart_by_where_they_point():
    ours = module(ROOT / "_ext" / "stderr.py").warnings_of_ours
    package = Path(gl.__file__).parent
    assert len(ours(f"sweep: 50%|█████     | 1/2 [00:01]{package / 'saving.py'}:3: UserWarning: mind this")) == 1
    assert len(ours("/tmp/ipykernel_12/345.py:1: RuntimeWarning: divide by zero\n  x / 0\n")) == 1
    for others in (f"{package}2/a.py:1: UserWarning: no", "/usr/lib/a.py:1: UserWarning: no", "UserWarning: no"):
        assert ours(others) == []


@pytest.mark.slow
@pytest.mark.parametrize("whose", OURS)
def test_a_warning_of_ours_fails_the_build(tmp_path, whose):
    ran = built(tmp_path, OURS[whose])
    assert ran.returncode != 0
    assert "mind this" in ran.stderr


@pytest.mark.slow
def test_a_cell_that_fails_ends_the_build_and_is_told(tmp_path):
    ran = built(tmp_path, "1 / 0")
    assert ran.returncode != 0
    assert "intro.ipynb: a cell failed" in ran.stdout + ran.stderr
    assert "ZeroDivisionError" in ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["0", "two"])
def test_a_number_of_jobs_that_is_none_is_refused(tmp_path, jobs):
    ran = built(tmp_path, "1", JOBS=jobs)
    assert ran.returncode != 0
    assert f"JOBS = '{jobs}': must be a whole number above 0. Leave it out to use all cores" in ran.stdout + ran.stderr


@pytest.mark.slow
def test_chapters_can_be_executed_one_after_the_other(tmp_path):
    folder = tmp_path / ("a long name " * 15)
    ran = built(folder, "print(6 * 7)", JOBS="1")
    assert ran.returncode == 0, ran.stderr
    assert "executing 1 chapters, 1 at a time" in ran.stdout
    assert "without encryption" not in ran.stdout + ran.stderr  # ipykernel's warning, once a kernel
    assert "42" in (folder / "_build" / "html" / "book" / "intro.html").read_text(encoding="utf-8")
    assert (folder / "_build" / "times.json").exists()


# Disks and systems


@pytest.fixture
def like_windows(monkeypatch):
    """A file that is open for reading is not flushed, files have no links, one that is read is not replaced."""
    flush, replace = os.fsync, Path.replace

    def fsync(number):
        import fcntl

        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(number)

    def no_link(*_):
        raise OSError(errno.EINVAL, "[WinError 1] Incorrect function")

    def replaced(self, target):
        if Path(target).exists():
            raise PermissionError(errno.EACCES, "[WinError 5] Access is denied")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "hardlink_to", no_link)
    monkeypatch.setattr(Path, "replace", replaced)


@pytest.mark.usefixtures("like_windows")
def test_a_sweep_is_saved_and_read_on_windows(tmp_path):
    asked = {"seeds": 1, "record": (gl.record.loss,), "save": tmp_path / "sweep", "tau_c": [0.1, 0.2]}
    assert gl.sweep(small(), **asked).identical(gl.sweep(small(), **asked))
    assert [path.name for path in (tmp_path / "sweep").glob(".*")] == []


@pytest.mark.usefixtures("like_windows")
def test_a_file_that_someone_reads_need_not_be_replaced_by_the_same(tmp_path):
    path = tmp_path / "some.bin"
    for _ in range(2):
        files.atomic_write(path, lambda to: to.write_bytes(b"same"), sealed=True)
    assert files.find_intact(path).read_bytes() == b"same"
    files.atomic_write(path, lambda to: to.write_bytes(b"one"))
    with pytest.raises(OSError, match="Access is denied"):
        files.atomic_write(path, lambda to: to.write_bytes(b"other"))
    assert path.read_bytes() == b"one"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_text_is_read_and_written_in_one_encoding(tmp_path):
    """In a locale whose encoding is another one, as on Windows, every file of text says its own."""
    program = (
        "import sys, warnings; import gatedlib as gl; from tests.examples import ROOT, make, small; "
        "warnings.filterwarnings('error', category=EncodingWarning, module=sys.argv[2]); "
        "asked = dict(seeds=1, record=(gl.record.loss,), save=sys.argv[1], tau_c=[0.1]); "
        "print(gl.sweep(small(), **asked).identical(gl.sweep(small(), **asked)))"
    )

    def ran(module):
        command = [sys.executable, "-X", "warn_default_encoding", "-c", program, str(tmp_path), module]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran(r"gatedlib\b").stdout.split() == ["True"]
    assert "EncodingWarning" in ran(r"jax\b|pandas\b").stderr  # others do not say theirs, and are seen


# Paths as people type them


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_sweep_is_saved_at_home(home, tmp_path):
    asked = {"seeds": 1, "record": (gl.record.loss,), "tau_c": [0.1]}
    saved = gl.sweep(small(), save="~/night", **asked)
    assert (home / "night" / "plan.json").exists()
    assert list(tmp_path.iterdir()) == [home]
    for same in (home / "night", "$HOME/night"):
        assert gl.sweep(small(), save=same, **asked).identical(saved)
    assert list(tmp_path.iterdir()) == [home]


def test_a_folder_stays_the_same_when_the_working_folder_changes(home, tmp_path, monkeypatch):
    def measure(run):
        monkeypatch.chdir(tmp_path.parent)
        return run.loss.mean("time")

    gl.sweep(small(), seeds=1, save="night", measure=measure, tau_c=[0.1])
    assert len(list((tmp_path / "night").glob("tile-*.nc"))) == 1


def test_the_cache_and_data_may_be_at_home(home, monkeypatch):
    monkeypatch.setenv("GATEDLIB_CACHE", "~/x")
    assert gl.images.cache() == home / "x"
    monkeypatch.setenv("GATEDLIB_DATA", "~/data")
    for folder in (None, "~/data"):
        with pytest.raises(ValueError, match=re.escape(f"file = '{home / 'data' / 'train-images-idx3-ubyte.gz'}'")):
            gl.images.load("mnist", folder=folder)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        ("", "save = '': must be the path of a folder. Name a folder."),
        (
            "s3://bucket/night",
            "save = 's3://bucket/night': is an address, and no folder of this machine. Name a folder.",
        ),
        ("~nobody-here/night", r"save = '~nobody-here/night': is no path here (Could not determine home directory"),
        ("a\0b", r"save = 'a\x00b': is no path here ("),
        ("a" * 300, "File name too long"),
        (b"night", "save = b'night': must be a str or a PathLike"),
    ],
)
def test_what_is_no_folder_is_refused_before_anything_runs(monkeypatch, save, words):
    monkeypatch.setattr("gatedlib.simulation.sweep.run_tile", None)
    with pytest.raises(ValueError, match=re.escape(words)):
        gl.sweep(small(), seeds=1, save=save, tau_c=[0.1])


# Packages of others

COLAB = {"ipython": "7.34.0", "ipywidgets": "7.7.1"}
"""What Colab's page itself runs on: a newer one asks for a restart."""


def test_colab_keeps_what_its_page_runs_on():
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked_for = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    for asked in map(Requirement, asked_for):
        if asked.name in COLAB:
            assert asked.specifier.contains(COLAB[asked.name]), asked
