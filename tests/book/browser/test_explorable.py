"""The reduced model in the page: the same as the library's, and usable with hand, keyboard and ear."""

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STEPS = np.append(np.arange(0, 20_000, 37), 19_999)
READ = """steps => {
    const run = document.querySelector('.explorable').explorable.result
    const rows = [run.loss, ...run.gates, ...run.weights.flat()]
    return rows.map(row => steps.map(t => row[t]))
}"""
SET = """([name, share]) => {
    const slider = document.querySelector(`[data-setting=${name}]`)
    slider.value = Math.round(share * slider.max)
    slider.dispatchEvent(new Event('input'))
}"""
SETTINGS = ("tau_c", "block_length", "a", "b", "held", "gate1", "gate2")


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/book/intro.html")
    page.wait_for_selector(".explorable")
    yield page
    page.close()


def curve(page, panel="loss"):
    return page.locator(f"[data-panel={panel}] .curve.pale").first.get_attribute("d")


def clock(page):
    return float(page.locator(".explorable .clock").inner_text().split()[1].rstrip(","))


def from_the_code(page):
    """What the library makes of the code that the page offers, in the page's precision."""
    made = {}
    with jax.enable_x64(True):
        exec(page.locator(".explorable .source").text_content(), made)
    plt.close("all")
    results = made["results"].isel(seed=0, time=STEPS)
    weights = results.weights.values[..., 0]
    return np.array([results.loss, *results.gates.values.T, *np.moveaxis(weights.reshape(len(STEPS), 4), 1, 0)])


def test_the_page_learns_as_the_library_does(page):
    random = np.random.default_rng(0)
    for draw in range(20):
        for name in SETTINGS:
            page.evaluate(SET, [name, random.uniform()])
        page.evaluate("document.querySelector('.explorable .another').click()")
        here = np.array(page.evaluate(READ, STEPS.tolist()))
        assert np.ptp(here, axis=1).min() > 0, draw
        np.testing.assert_allclose(here, from_the_code(page), rtol=0, atol=1e-6, err_msg=str(draw))


@pytest.mark.parametrize("preset", ["flexible", "forgetful", "blocks too short", "no bound"])
def test_presets_are_what_they_are_called(page, preset):
    page.click(f"[data-preset='{preset}']")
    page.wait_for_timeout(400)
    assert page.locator(f"[data-preset='{preset}']").get_attribute("aria-pressed") == "true"
    told = page.locator(".explorable .status").inner_text()
    assert told.startswith("Flexible") == (preset == "flexible")
    results = page.evaluate(READ, STEPS.tolist())
    np.testing.assert_allclose(results, from_the_code(page), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_slider_changes_the_curve_and_reset_brings_it_back(page, name):
    page.locator(".explorable summary").click()
    before = curve(page), curve(page, "gates")
    slider = page.locator(f"[data-setting={name}]")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert (curve(page), curve(page, "gates")) != before
    assert slider.get_attribute("aria-valuetext")
    page.click(".explorable .reset")
    assert (curve(page), curve(page, "gates")) == before


def test_time_plays_stops_steps_and_is_moved_by_hand(page):
    page.click(".explorable .play")
    page.wait_for_function("document.querySelector('.explorable').explorable.time > 0.3")
    page.click(".explorable .play")
    stopped = clock(page)
    page.wait_for_timeout(200)
    assert clock(page) == stopped < 20
    page.click(".explorable .step")
    assert clock(page) == np.floor(stopped) + 1
    arrow = page.locator("[data-panel=plane] line.weights").first
    before = arrow.get_attribute("x2"), arrow.get_attribute("y2")
    page.locator(".explorable .transport input").focus()
    page.keyboard.press("End")
    assert clock(page) == 20
    assert (arrow.get_attribute("x2"), arrow.get_attribute("y2")) != before


def test_who_asked_for_less_motion_gets_single_pictures(browser, address):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{address}/book/intro.html")
    page.click(".explorable .play")
    page.wait_for_function("document.querySelector('.explorable').explorable.time > 0")
    assert clock(page) == 1
    page.close()


def test_curves_can_be_seen_in_the_dark(page):
    color = "element => getComputedStyle(element).stroke"
    curves = page.locator("[data-panel=gates] .curve").first, page.locator("[data-panel=loss] .curve").first
    page.emulate_media(color_scheme="light")
    by_day = [each.evaluate(color) for each in curves]
    page.emulate_media(color_scheme="dark")
    for each, before in zip(curves, by_day, strict=True):  # the page follows in a moment
        other = "([curve, before]) => getComputedStyle(curve).stroke !== before"
        page.wait_for_function(other, arg=[each.element_handle(), before])


def test_without_scripts_there_is_a_still_picture(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name, figure in (("intro", "fig-play"), ("invariant", "fig-play-invariant")):
        page.goto(f"{address}/book/{name}.html")
        assert page.locator(f"#{figure} img").bounding_box()["width"] > 300
    context.close()


def test_on_a_small_phone_all_of_it_is_within_the_screen(browser, address):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{address}/book/invariant.html")
    page.locator(".explorable summary").click()
    edges = "all => all.map(each => [each.getBoundingClientRect().left, each.getBoundingClientRect().right])"
    places = page.eval_on_selector_all(".explorable :is(button, input, svg, output, .panel)", edges)
    assert min(left for left, _ in places) >= 0
    assert max(right for _, right in places) <= 360
    page.close()


def test_the_invariant_holds_until_a_gate_reaches_zero(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/book/invariant.html")
    assert page.locator("[data-panel=invariant]").count() == 1
    values = (
        "() => {const e = document.querySelector('.explorable').explorable; return [e.result.gates.map(g => [...g]),"
    )
    gates, invariant = page.evaluate(values + " [...window.gatedlib.invariant(e.result, e.model)]]}")
    closed = int(np.argmax(np.min(gates, axis=0) <= 0))
    assert closed > 1000
    assert np.ptp(invariant[:closed]) < 0.05
    assert np.ptp(invariant[closed:]) > 30
    page.close()
