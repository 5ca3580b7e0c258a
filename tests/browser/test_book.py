"""The built book in a real browser: complete, quiet, and asking nothing of the network."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "html"
SHOTS = ROOT / "screenshots"
CHAPTERS = ["model", "dynamics", "regimes", "robustness", "reduction", "cycle", "invariant", "emergence"]
CHAPTERS += ["composition", "reach", "components", "depth", "pictures"]
CHAPTERS += ["cognition", "observer", "predictions"]
PAGES = ["intro", *CHAPTERS, "sweeps", "glossary", "api", "bibliography"]
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="session")
def address():
    if not BOOK.exists():
        pytest.fail("there is no book to look at: run `make book` first")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=BOOK))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing, and CI must look at the book")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_page(browser, address, name, screen, scheme):
    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("response", lambda answer: problems.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else 0)
    page.on("request", lambda r: None if r.url.startswith((address, "data:")) else problems.append(f"asked {r.url}"))
    page.goto(f"{address}/book/{name}.html", wait_until="networkidle")
    assert not problems

    sizes = page.eval_on_selector_all(
        "article img", "all => all.map(i => [i.naturalWidth, i.alt, i.getBoundingClientRect().width])"
    )
    assert all(natural > 100 and shown > 100 for natural, _, shown in sizes)
    assert all(len(alt) > 30 for _, alt, _ in sizes), "a picture without words"
    assert page.locator("article h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, "the page can be pushed sideways"
    written = page.locator("article .math").count()
    assert page.locator("article mjx-container").count() >= written, "mathematics is not rendered"
    assert page.locator("html").get_attribute("data-theme") == scheme
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{screen}-{scheme}.png", full_page=True)
    context.close()


CONTRAST = """() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number)
    const light = ([r, g, b]) => [r, g, b].map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
        .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0)
    const ground = element => {
        const layers = []
        for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor))
        return layers.reduce((under, [r, g, b, a = 1]) =>
            [r, g, b].map((x, i) => a * x + (1 - a) * under[i]), [255, 255, 255])
    }
    const parts = document.querySelectorAll("div.verdict p, div.verdict li, div.verdict code, div.verdict span")
    return [...parts].map(e => {
        const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x)
        return (a + 0.05) / (b + 0.05)
    })
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_can_be_read_by_day_and_by_night(browser, address, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/book/regimes.html")
    contrasts = page.evaluate(CONTRAST)
    assert len(contrasts) > 20
    assert min(contrasts) > 4.5  # what the accessibility guidelines ask of text
    context.close()


def test_chapters_have_their_numbered_figures(browser, address):
    page = browser.new_page()
    told = {"intro": 1, "model": 2, "dynamics": 5, "regimes": 3, "robustness": 7}
    told |= {"reduction": 4, "cycle": 5, "invariant": 3, "emergence": 5}
    told |= {"composition": 5, "reach": 3, "components": 2, "depth": 5, "pictures": 5}
    told |= {"cognition": 6, "observer": 3, "predictions": 3}
    for name, least in told.items():
        page.goto(f"{address}/book/{name}.html")
        assert page.locator("article figure .caption-number").count() >= least
    page.close()


def test_links_within_the_book_lead_somewhere(browser, address):
    page = browser.new_page()
    targets = set()
    for name in PAGES:
        page.goto(f"{address}/book/{name}.html")
        targets |= set(page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"))
    for target in sorted(link for link in targets if link.startswith(address) and "#" in link):
        path, anchor = target.removeprefix(address).split("#", 1)
        text = (BOOK / path.lstrip("/")).read_text()
        assert not anchor or f'id="{anchor}"' in text, target
    for target in targets:
        if target.startswith(address):
            assert (BOOK / target.removeprefix(address).split("#")[0].split("?")[0].lstrip("/")).exists(), target
    page.close()
