"""Blocks of code in a page with the book's settings and style: what their buttons copy, and how they are printed."""

import subprocess
import sys

import pytest

from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CONF = f"""
import yaml

extensions = ["sphinx_copybutton"]
html_theme = "sphinx_book_theme"
html_static_path = [{str(ROOT / "_static")!r}]
html_css_files = ["book.css"]
with open({str(ROOT / "_config.yml")!r}, encoding="utf-8") as file:
    globals().update(yaml.safe_load(file)["sphinx"]["config"])
root_doc = "book/page"
"""
LONG = f"numbers = [{', '.join(map(str, range(100)))}]"
PAGE = f"""
Page
====

>>> for i in range(2):
...     if i:
...         print(i)
...
1
>>> 2
2

.. code-block:: python

   {LONG}
   if numbers:

       print(">>> ", ...)
"""
COPIED = [
    "for i in range(2):\n    if i:\n        print(i)\n\n2",
    f'{LONG}\nif numbers:\n\n    print(">>> ", ...)',
]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    (folder / "book").mkdir()
    (folder / "conf.py").write_text(CONF, encoding="utf-8")
    (folder / "book" / "page.rst").write_text(PAGE, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", ".", "html"], cwd=folder, check=True)
    page = browser.new_page(viewport={"width": 718, "height": 1000})  # A4 within margins of a centimetre
    page.goto((folder / "html" / "book" / "page.html").as_uri())
    yield page
    page.close()


def test_a_button_copies_code_without_prompts_and_outputs(page):
    page.wait_for_selector(".copybtn", state="attached")
    page.evaluate("document.addEventListener('copy', event => { window.copied = event.target.value })")
    copied = []
    for button in page.locator(".copybtn").all():
        button.evaluate("button => button.click()")
        copied.append(page.evaluate("copied"))
    assert copied == COPIED


def test_a_long_line_goes_on_below_in_print(page):
    page.emulate_media(media="print")
    assert page.eval_on_selector_all("pre", "all => all.map(each => each.scrollWidth - each.clientWidth)") == [0, 0]
