"""The built book in a real browser: complete, quiet, legible, and asking nothing of the network."""

import html
import os
import re
from importlib.resources import files

import pytest

from gatedlib_book.claims import registry
from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

BOOK = ROOT / "_build" / "html"
SHOTS = ROOT / "screenshots"
PAGES = re.findall(r"book/(\w+)", (ROOT / "_toc.yml").read_text())
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 800}
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()


def watched(page, address):
    """What goes wrong in a page from now on: errors, failed requests, requests to elsewhere."""
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("response", lambda answer: problems.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else 0)
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:", "blob:")) else problems.append(f"asked {r.url}"),
    )
    return problems


LAYOUT = ["scrollable-region-focusable", "target-size"]
"""What axe judges by sizes on the screen; all else but colours is of the page, whatever screen it is on."""


def barriers(page, context=None, **options):
    """What keeps people from reading or using the page, or the part of it that a context of axe names."""
    options = {"resultTypes": ["violations"], "preload": False, **options}
    run = "([context, options]) => axe.run(context ?? document, options)"
    found = page.evaluate(run, [context, options])["violations"]
    return [(each["id"], len(each["nodes"]), [node["html"][:200] for node in each["nodes"][:3]]) for each in found]


def pictured(page, *names):
    """Keep a picture of the page where SCREENSHOTS is set, for people to look at."""
    if "SCREENSHOTS" in os.environ:
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{'-'.join(names)}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_page(browser, address, name):
    page = browser.new_page(viewport=DESKTOP, color_scheme="light")
    problems = watched(page, address)
    page.goto(f"{address}/book/{name}.html", wait_until="networkidle")

    for screen, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(size)
        sizes = page.eval_on_selector_all(
            "article img:not(.explorer img)",
            "all => all.map(i => [i.naturalWidth, i.alt, i.getBoundingClientRect().width])",
        )
        assert all(natural > 100 and shown > 100 for natural, _, shown in sizes)
        assert all(len(alt) > 30 for _, alt, _ in sizes), "a picture without words"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"] + 1, f"on a {screen} the page can be pushed sideways"
        pictured(page, name, screen, "light")
    assert page.locator("article h1").count() == 1
    written = page.locator("article .math").count()
    assert page.locator("article mjx-container").count() >= written, "mathematics is not rendered"
    assert page.locator("article merror, article mjx-merror").count() == 0

    page.add_script_tag(content=AXE)
    page.add_style_tag(content="* { transition: none !important }")  # colours are judged once they are there
    if name.startswith("api_"):  # it repeats itself some three hundred times: its first sections stand for all
        page.evaluate("[...document.querySelectorAll('article section section')].slice(5).forEach(s => s.remove())")
    # the theme lets the keyboard reach what has become too wide, a moment after the page was resized
    page.wait_for_function(
        "[...document.querySelectorAll('pre')].every(p => p.scrollWidth <= p.clientWidth || p.tabIndex >= 0)"
    )
    # on a phone what is around the article is another; of the article there is the layout to judge
    assert not barriers(page, {"exclude": ["article"]})
    assert not barriers(page, runOnly=LAYOUT)
    page.set_viewport_size(DESKTOP)
    assert not barriers(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]")
    assert not barriers(page, runOnly=["color-contrast"])
    pictured(page, name, "desktop", "dark")
    page.set_viewport_size(PHONE)
    pictured(page, name, "phone", "dark")

    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within margins of a centimetre
    page.emulate_media(media="print")
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"
    assert page.eval_on_selector_all("article pre", cut) == [], "code is cut in print"
    assert not problems
    page.close()


@pytest.fixture
def as_written(browser, address):
    """A page without scripts, styles and pictures, which loads quickly."""
    context = browser.new_context(java_script_enabled=False)
    context.route("**/*", lambda route: route.continue_() if ".html" in route.request.url else route.abort())
    yield context.new_page()
    context.close()


def test_chapters_have_their_numbered_figures(as_written, address):
    told = {"intro": 2, "model": 2, "dynamics": 5, "regimes": 3, "robustness": 7}
    told |= {"reduction": 4, "cycle": 5, "invariant": 4, "emergence": 5}
    told |= {"composition": 5, "reach": 3, "components": 2, "depth": 5, "pictures": 5}
    told |= {"cognition": 4, "reversals": 2, "observer": 3, "people": 4, "predictions": 3, "scorecard": 2}
    for name, least in told.items():
        as_written.goto(f"{address}/book/{name}.html")
        assert as_written.locator("article figure .caption-number").count() >= least


def test_links_within_the_book_lead_somewhere(as_written, address):
    targets = set()
    for name in PAGES:
        as_written.goto(f"{address}/book/{name}.html")
        targets |= set(as_written.eval_on_selector_all("a[href]", "all => all.map(a => a.href)"))
    assert len(targets) > 500
    for target in sorted(link for link in targets if link.startswith(address) and "#" in link):
        path, anchor = target.removeprefix(address).split("#", 1)
        if "=" in anchor:  # settings of an explorer, which test_bench.py opens
            continue
        text = (BOOK / path.lstrip("/")).read_text()
        assert not anchor or f'id="{anchor}"' in text, target
    for target in targets:
        if target.startswith(address):
            assert (BOOK / target.removeprefix(address).split("#")[0].split("?")[0].lstrip("/")).exists(), target


def test_every_page_says_what_it_is_about_to_search_engines_and_reference_managers():
    told = {}
    for name in PAGES:
        page = (BOOK / "book" / f"{name}.html").read_text(encoding="utf-8")
        tags = dict(re.findall(r'<meta name="(\w+)" content="([^"]*)"', page))
        told[name] = tags["description"]
        assert 20 < len(told[name]) < 300, name
        assert not re.search(r"[\\$<>{}]|&lt;|\.\.\.$", told[name]), told[name]
        assert re.search(r"(?<!Fig)[.?!]\W*$|, a page of ", told[name]), told[name]  # no sentence is cut
        assert tags["citation_title"] in page.split("<title>")[1].split("</title>")[0].replace("&#39;", "'"), name
        assert tags["citation_reference"].startswith("citation_title=Flexible task abstractions emerge")
        assert "og:image" not in page  # whose address must be whole, and is not known here
    assert len(set(told.values())) == len(told)


def test_a_picture_is_as_large_as_the_window_or_as_it_is(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 700})
    page.goto(f"{address}/book/dynamics.html")
    page.locator("#fig-dynamics > img").click()
    large = page.locator("dialog.enlarged img")
    box = large.bounding_box()
    assert box["width"] > 1200
    assert box["y"] + box["height"] <= 700
    page.get_by_role("button", name="Larger").click()
    assert large.bounding_box()["width"] > 1.4 * box["width"]
    page.get_by_role("button", name="Fit to the window").click()
    assert large.bounding_box() == box
    large.click(position={"x": 1000, "y": 500})  # which comes to the middle of the window
    assert page.locator("dialog.enlarged").evaluate("dialog => dialog.scrollLeft") > 600
    large.click()
    assert large.bounding_box() == box
    page.keyboard.press("Escape")
    assert page.locator("dialog.enlarged").count() == 0
    page.locator("#fig-dynamics button.enlarge").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.locator("#fig-dynamics button.enlarge").bounding_box()["height"] > 20  # who comes by keyboard sees it
    page.close()


BESIDE_FORMULAS = r"""() => {
    const place = (text, at) => {
        const range = document.createRange()
        range.setStart(text, at)
        range.setEnd(text, at + 1)
        return range.getBoundingClientRect()
    }
    const beside = []
    for (const formula of document.querySelectorAll('article p span.math')) {
        const texts = document.createTreeWalker(formula.closest('p'), NodeFilter.SHOW_TEXT), words = []
        while (texts.nextNode())
            if (!texts.currentNode.parentElement.closest('span.math')) words.push(texts.currentNode)
        const on = (each, side) => each.data && formula.compareDocumentPosition(each) & side
        const before = words.findLast(each => on(each, Node.DOCUMENT_POSITION_PRECEDING))
        const after = words.find(each => on(each, Node.DOCUMENT_POSITION_FOLLOWING))
        const box = formula.getBoundingClientRect()
        if (/[(\[]$/.test(before?.data)) beside.push([before.data, box.left - place(before, before.length - 1).right])
        if (/^[,.;:!?)\]]/.test(after?.data)) beside.push([after.data, place(after, 0).left - box.right])
    }
    return beside
}"""


SCROLLED = """() => [...document.querySelectorAll('article span.math')]
    .filter(each => each.scrollWidth > each.clientWidth + 3).length"""


def test_punctuation_stays_with_its_formula(browser, address):
    page = browser.new_page(viewport=PHONE)
    for chapter, least in (("invariant", 40), ("emergence", 25), ("glossary", 15)):
        page.goto(f"{address}/book/{chapter}.html", wait_until="networkidle")
        for width in (360, 500, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            beside = page.evaluate(BESIDE_FORMULAS)
            assert len(beside) >= least
            assert [each for each in beside if abs(each[1]) > 3] == [], (chapter, width)
            assert page.evaluate(SCROLLED) == 0, (chapter, width)
    page.goto(f"{address}/book/invariant.html", wait_until="networkidle")
    page.add_style_tag(content=".unbroken { white-space: normal !important }")
    page.set_viewport_size({"width": 360, "height": 800})
    assert any(abs(each[1]) > 3 for each in page.evaluate(BESIDE_FORMULAS))  # so that the test can fail
    page.close()


def test_a_word_can_be_searched_for(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=hyperbolic")
    page.wait_for_selector("#search-results li a")
    assert "invariant" in " ".join(page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)"))
    page.close()


def test_the_reader_can_choose_the_dark(browser, address):
    page = browser.new_page(color_scheme="light")
    page.goto(f"{address}/book/intro.html")
    seen = set()
    for _ in range(3):
        page.locator("article").evaluate("() => document.querySelector('.theme-switch-button').click()")
        seen.add(page.locator("html").get_attribute("data-theme"))
    assert seen == {"light", "dark"}
    page.close()


def test_a_picture_can_be_enlarged_on_a_phone(browser, address):
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto(f"{address}/book/dynamics.html")
    button = page.locator("#fig-dynamics button.enlarge")
    button.click()
    large = page.locator("dialog.enlarged img")
    assert large.bounding_box()["width"] > 800
    assert large.get_attribute("alt") == page.locator("#fig-dynamics > img").get_attribute("alt")
    page.keyboard.press("Escape")
    assert page.locator("dialog.enlarged").count() == 0
    assert button.evaluate("button => button === document.activeElement")
    page.close()


def test_without_an_address_nothing_offers_to_run_elsewhere(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/book/model.html")
    assert page.locator("a[href*='mybinder'], a[href*='colab']").count() == 0
    page.close()


def test_the_scorecard_can_be_filtered(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/book/scorecard.html")
    rows, told = page.locator("table.scorecard tbody tr"), page.locator(".scorecard-filters output")
    whole = rows.count()
    assert whole > 70
    assert told.inner_text() == f"{whole} of {whole} claims"
    page.get_by_label("Chapter").select_option("dynamics")
    shown = page.locator("table.scorecard tbody tr:visible")
    assert shown.count() == sum(claim.chapter == "dynamics" for claim in registry()) > 1
    assert shown.locator("a").first.inner_text() == "2A"
    page.get_by_label("Chapter").select_option("")
    page.get_by_label("About").select_option("a figure, earlier form")
    assert 0 < shown.count() < 10
    assert all("earlier form" in text for text in shown.locator("td:first-child span").all_inner_texts())
    asked = shown.first.locator("details li").first
    assert not asked.is_visible()
    shown.first.locator("summary").click()
    assert asked.is_visible()
    page.get_by_label("Verdict").select_option("holds")
    assert 0 < shown.count() < 10
    page.get_by_label("Verdict").select_option("does not hold")
    assert shown.count() == 0  # for all claims hold
    assert told.inner_text() == f"0 of {whole} claims"
    page.close()


def test_without_scripts_the_scorecard_is_whole(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/book/scorecard.html")
    assert page.locator("table.scorecard tbody tr:visible").count() > 70
    context.close()


def test_the_readme_counts_what_the_scorecard_counts():
    page = " ".join((BOOK / "book" / "scorecard.html").read_text(encoding="utf-8").split())
    near = re.search(r"within a tenth of the reference: (\d+ of \d+ numbers)", page)[1]
    assert f"- {near} that the authors' code gave are within a tenth of ours" in (ROOT / "README.md").read_text("utf-8")


REFERENCE = [name for name in PAGES if name.startswith("api")]
TYPE = re.compile(r'<dt[^>]*>(?:Type|Return type)<span class="colon">:</span></dt>\s*<dd[^>]*>(.*?)</dd>', re.DOTALL)


@pytest.mark.parametrize("name", REFERENCE)
def test_no_sentence_of_the_reference_is_taken_for_a_type(address, name):
    page = (BOOK / "book" / f"{name}.html").read_text(encoding="utf-8")
    types = [html.unescape(re.sub("<[^>]+>", "", found)).strip() for found in TYPE.findall(page)]
    shapes = r"[‘'][\w .]*[’']"  # such as 'task out in'
    assert not [each for each in types if re.search(r"\b[a-z]+ [a-z]+\b", re.sub(shapes, "", each))]


def test_what_has_no_words_of_its_own_does_not_get_those_of_its_type(address):
    experiments = "Everything that defines a run but its seeds"
    assert sum((BOOK / "book" / f"{name}.html").read_text().count(experiments) for name in REFERENCE) == 2
