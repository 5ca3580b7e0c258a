"""A notebook that nbconvert made a page of: without a network, and so without a widget manager, it shows a picture."""

import subprocess
import sys

import nbformat
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CELL = """import gatedlib as gl
from gatedlib_book import experiments
gl.explore.smallest(experiments.TOY)"""


def test_a_page_without_a_network_shows_the_still_picture_of_an_explorer(browser, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, tmp_path / "explorer.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "explorer.ipynb"]
    subprocess.run(command, cwd=tmp_path, check=True)
    page, asked = browser.new_page(), []

    def refuse(route):
        asked.append(route.request.url)
        route.abort()

    page.route(lambda url: url.startswith("http"), refuse)
    page.goto((tmp_path / "explorer.html").as_uri())
    assert any("html-manager" in url for url in asked), "with a network the explorer would not move"
    still = page.locator("img.still")
    assert still.is_visible()
    assert still.evaluate("image => image.naturalWidth") > 100
    page.close()
