"""`make notebooks` runs every cell twice, wherever a chapter lies, and says nothing of its kernels."""

import nbformat
import pytest

from tests.examples import make

pytestmark = pytest.mark.slow


def run(folder, *sources):
    """What nbval says of a notebook with these cells."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "chapter.ipynb")
    return make("notebooks", f"CHAPTERS={folder / 'chapter.ipynb'}", "JOBS=1")


def test_a_cell_that_cannot_be_run_twice_fails(tmp_path):
    ran = run(tmp_path, "names = ['first']", "names.remove('first')", "1 / 0")
    assert ran.returncode != 0
    assert "2 failed, 1 passed" in ran.stdout
    assert "ValueError" in ran.stdout
    assert "ZeroDivisionError" in ran.stdout
    assert (
        ran.stdout.count("The cell ran once; this is about running it a second time.") == 1
    )  # of the first that failed


def test_cells_are_run_twice_in_a_folder_with_a_long_path(tmp_path):
    counted = "count = globals().get('count', 0) + 1"
    ran = run(tmp_path / ("a-long-name-" * 15), counted, "assert count == 2", "print('a line', flush=True)")
    assert ran.returncode == 0, ran.stdout
    assert "3 passed" in ran.stdout
    assert "without encryption" not in ran.stdout + ran.stderr
