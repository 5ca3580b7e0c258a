"""What an explorer shows can be sent to somebody: its settings stand in the address of the page."""

import hashlib
import json
import xml.etree.ElementTree as ElementTree

import pytest

from tests.book.browser.test_living_pages import ALL_PAGES, SCREENS, opened, seen, settled, unfolded
from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EXPLORER = "document.querySelector('.explorer').explorer"
SVG = "{http://www.w3.org/2000/svg}"
VALUES = f"{EXPLORER}.values"


def moved(page):
    """Move the last control that is seen, or time, and wait until the address says so."""
    unfolded(page)
    last = page.locator(".explorer [data-setting]:visible, .explorer .transport input").last
    last.focus()
    if last.evaluate("each => each.tagName") == "SELECT":
        last.select_option(index=1)
    else:
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
    page.wait_for_function("location.hash.includes('=1&')")
    settled(page)


@pytest.mark.parametrize("name", ALL_PAGES)
def test_a_link_shows_what_was_seen_on_another_screen_too(browser, name):
    page = opened(browser, name, **SCREENS["desktop"])
    first = page.evaluate(VALUES)
    moved(page)
    values, shown, code = page.evaluate(VALUES), seen(page), page.locator(".explorer .source").text_content()
    assert values != first
    link = page.evaluate("location.hash")
    assert link.startswith(f"#{ALL_PAGES[name]}=1&")
    page.locator(".explorer .reset").click()
    page.wait_for_function("location.hash === ''")
    assert page.evaluate(VALUES) == first
    page.go_back()
    settled(page)
    assert (page.evaluate(VALUES), seen(page)) == (values, shown)
    page.go_back()
    settled(page)
    assert page.evaluate(VALUES) == first
    assert not page.problems
    page.context.close()
    other = opened(browser, f"{name}.html{link}", **SCREENS["phone"])
    assert other.evaluate(VALUES) == values
    assert other.locator(".explorer .source").text_content() == code
    assert not other.problems
    other.context.close()


def test_a_link_can_be_copied_from_a_server(browser, address):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{address}/book/dynamics.html")
    page.locator("[data-setting=strength]").focus()
    page.keyboard.press("Home")
    page.locator(".explorer .link").click()
    page.wait_for_function("document.querySelector('.explorer .link').textContent === 'Copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{address}/book/dynamics.html#regimes=1&strength=0"
    context.close()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("regimes=2&strength=0", "was made for version “2” of what is shown here, and this is version 1"),
        ("regimes=&strength=0", "was made for version “” of what"),
        ("regimes=1&speed=3", "a setting “speed”, and there is none of that name"),
        ("regimes=1&__proto__=3", "a setting “__proto__”"),
        ("regimes=1&strength=0.051", "strength = 0.051, and it goes from 0 to 1.5 in steps of 0.05"),
        ("regimes=1&strength=-1", "strength = -1, and it goes"),
        ("regimes=1&strength=", "strength = , and it goes"),
        ("regimes=1&strength=NaN", "strength = NaN"),
        ("regimes=1&tau_c=1e9", "tau_c = 1e9, and it goes from"),
        ("regimes=1&tau_c=0.1&tau_c=0.2", "says tau_c twice"),
        ("regimes=1&strength=<b onclick=1>bold</b>", "strength = <b onclick=1>bold</b>"),
        ("regimes=1&kept.strength=0", "a setting “kept.strength”"),
        ("regimes=1&block_length=0.5&strength=" + 40 * "9", f"strength = {30 * '9'}…"),
    ],
)
def test_a_link_with_nonsense_is_refused_in_words_and_nothing_of_it_is_taken(browser, asked, words):
    page = opened(browser, f"dynamics.html#{asked}", **SCREENS["desktop"])
    told = page.locator(".explorer .refused")
    assert words in told.inner_text()
    assert told.inner_text().endswith("Nothing of it was taken.")
    assert told.locator("*").count() == 0
    assert page.evaluate(f"JSON.stringify({VALUES}) === JSON.stringify({EXPLORER}.first)")
    assert not page.problems
    page.locator(".explorer [data-setting]").first.focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert told.inner_text() == ""
    page.context.close()


def test_a_place_in_the_page_is_no_link_to_an_explorer(browser):
    page = opened(browser, "dynamics.html#fig-dynamics", **SCREENS["desktop"])
    assert page.locator(".explorer .refused").inner_text() == ""
    assert page.evaluate("scrollY") > 100
    page.locator("[data-setting=strength]").focus()
    page.keyboard.press("Home")
    page.wait_for_function("location.hash === '#regimes=1&strength=0'")
    page.go_back()
    page.wait_for_function("location.hash === '#fig-dynamics'")
    assert page.evaluate(VALUES)["strength"] == 0
    page.context.close()


def test_links_stay_true_or_their_version_rises(browser):
    """A link holds what differs from the first values: where these change, an old link would mean something else."""
    file = ROOT / "tests" / "book" / "browser" / "link_versions.json"
    found = {}
    for name, explorer in ALL_PAGES.items():
        page = opened(browser, name, **SCREENS["desktop"])
        first, version = page.evaluate(f"[{EXPLORER}.first, {EXPLORER}.address.version]")
        digest = hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()[:12]
        found[f"{name}: {explorer}"] = [version, digest]
        page.context.close()
    known = json.loads(file.read_text(encoding="utf-8"))
    assert found == known, "Raise the version of an explorer whose first values changed, and write both into this file"


@pytest.mark.parametrize("name", ALL_PAGES)
def test_what_is_shown_can_be_taken_along_as_a_picture_with_its_settings(browser, name):
    for screen in ("desktop", "phone"):
        page = opened(browser, name, **SCREENS[screen])
        settled(page)
        with page.expect_download() as picture:
            page.locator(".explorer .svg").click()
        drawn = ElementTree.fromstring(picture.value.path().read_text(encoding="utf-8"))
        assert picture.value.suggested_filename == f"{ALL_PAGES[name]}.svg"
        shown = page.locator(".explorer .panel :is(svg, canvas, img):visible").count()
        assert len(drawn.findall(f"{SVG}svg")) + len(drawn.findall(f"{SVG}image")) == shown > 0
        first = page.evaluate(VALUES)
        said = drawn.find(f"{SVG}desc").text
        assert all(f"{setting} = " in said for setting in first)
        texts = "".join(text.text for text in drawn.iter(f"{SVG}text"))
        titles = page.locator(".explorer .panel .title > span:visible").all_inner_texts()
        assert titles
        assert all(word in texts for title in titles for word in title.split())
        assert all(float(text.get("x")) >= 0 and float(text.get("y")) >= 0 for text in drawn.findall(f"{SVG}text"))
        assert not page.problems
        page.context.close()
