"""In a real JupyterLab an explorer is the widget that the page has: it moves, and asks nothing of the kernel."""

import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import TimeoutError

from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CHAPTERS = {"model": "gates_by_hand", "reduction": "switch", "bench": "bench"}
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on loopback, in a folder with these chapters."""
    folder = tmp_path_factory.mktemp("lab")
    for name in CHAPTERS:
        shutil.copy(ROOT / "book" / f"{name}.ipynb", folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    whole = json.dumps({"windowingMode": "none"})  # cells out of sight are there too
    (settings / "tracker.jupyterlab-settings").write_text(whole, encoding="utf-8")
    own = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    own |= {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--notebook-dir={folder}"]
    command += [f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token=", "--LabApp.extension_manager=readonly"]
    command += re.findall(r"--MappingKernelManager\S+", (ROOT / "Makefile").read_text(encoding="utf-8"))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
        else:
            pytest.fail((folder / "log").read_text())
        yield address
        assert "without encryption" not in (folder / "log").read_text()  # ipykernel's warning, once a kernel
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:  # a kernel that does not end; it does when its server is gone
            server.kill()
            server.wait()


def run_all(page):
    """Run all cells once the kernel is there: before, JupyterLab asks which kernel it should be, and runs nothing."""
    begun = "() => [...document.querySelectorAll('.jp-InputPrompt')].some(each => /[*\\d]/.test(each.innerText))"
    for _ in range(20):
        try:
            if page.locator(".jp-Dialog").count():
                page.locator(".jp-Dialog .jp-mod-accept").first.click(timeout=5_000)
            page.wait_for_selector(IDLE)
            page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5_000)
            page.get_by_text("Run All Cells", exact=True).click(timeout=5_000)
            return page.wait_for_function(begun, timeout=8_000)
        except TimeoutError:
            continue  # its question is answered first
    return pytest.fail("no cell was run")


@pytest.mark.skipif(glob.has_magic(sys.prefix), reason="JupyterLab finds no extensions in a folder of such a name")
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_and_its_explorer_moves_while_the_kernel_is_idle(browser, lab, name):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    sent = []

    def watch(socket):
        socket.on("framesent", lambda data: sent.append(data))

    page.on("websocket", watch)
    page.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
    run_all(page)
    page.wait_for_selector(".explorer input", state="attached")
    page.wait_for_selector(IDLE)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator(".explorer").count() == 1
    page.wait_for_selector(".explorer:not([aria-busy=true])")
    assert page.locator(".explorer .link").count() == 0  # the address is JupyterLab's
    assert not page.locator(".jp-OutputArea-child:has(img.still)").is_visible()
    explorer = page.locator(".explorer")
    explorer.scroll_into_view_if_needed()
    before, messages = explorer.locator(".plots").inner_html(), len(sent)
    slider = explorer.locator("input[type=range]:visible").last
    slider.evaluate("slider => slider.scrollIntoView({ block: 'center' })")  # messages come up at the lower end
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.explorer .plots').innerHTML !== before", arg=before)
    assert page.locator(IDLE).count() == 1
    assert len(sent) == messages, "the kernel was asked"
    page.close()
