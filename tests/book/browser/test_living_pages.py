"""Every explorer on every page, opened as a file without a network: by mouse, keyboard and touch, and what it shows."""

import math
import re

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest

import gatedlib as gl
from gatedlib_book import composition, experiments, people, reduction
from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PAGES = {
    "intro": "smallest",
    "model": "gates_by_hand",
    "dynamics": "regimes",
    "regimes": "phase_diagram",
    "reduction": "switch",
    "invariant": "smallest",
    "composition": "compose",
    "depth": "second_layer",
    "pictures": "change_of_mind",
    "cognition": "session",
    "observer": "schedule",
    "people": "choices",
}
ALL_PAGES = {**PAGES, "bench": "bench"}
"""The bench has so many settings that tests of its own move them, in `test_bench.py`."""

SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
}
SEEN = """() => [...document.querySelectorAll('.explorer .plots')].map(plots => [
    [...plots.querySelectorAll('canvas')].map(each => each.toDataURL()),
    [...plots.querySelectorAll('.point')].map(each => each.getAttribute('style')),
    [...plots.querySelectorAll('svg, .answer')].map(each => each.innerHTML.replaceAll(/explorer-clip-\\w+/g, '')),
]).flat(3).join()"""

LABELS = "all => all.map(each => each.getAttribute('aria-label'))"


def opened(browser, name, **looks):
    """The page of a chapter, maybe `NAME.html#…`, from its file and with no network, once its explorer is alive."""
    page = browser.new_context(offline=True, **looks).new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    file = name if ".html" in name else f"{name}.html"
    page.goto(f"{ROOT.as_uri()}/_build/html/book/{file}")
    page.wait_for_selector(".explorer-place[data-live]")
    settled(page)
    return page


def settled(page):
    """Wait until nothing is computed and what was drawn is there."""
    page.wait_for_function("document.querySelector('.explorer').getAttribute('aria-busy') !== 'true'")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function("document.querySelector('.explorer').getAttribute('aria-busy') !== 'true'")


def seen(page):
    settled(page)
    return page.evaluate(SEEN)


def unfolded(page):
    for summary in page.locator(".explorer summary").all():
        if summary.evaluate("each => !each.parentElement.open"):
            summary.click()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_everything_moves_by_keyboard_and_reset_brings_it_back(browser, name, screen):
    page = opened(browser, name, **SCREENS[screen])
    assert page.locator(".explorer-place").get_attribute("data-explorer") == PAGES[name]
    assert page.locator(".explorer-place img.still").count() == 0
    unfolded(page)
    before = seen(page)
    assert len(before) > 100
    for control in page.locator(".explorer [data-setting]").all():
        control.focus()
        setting = control.get_attribute("data-setting")
        was = control.input_value()
        page.keyboard.press("ArrowRight" if was != control.get_attribute("max") else "ArrowLeft")
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        assert control.input_value() != was, setting
        assert seen(page) != before, setting
        if control.evaluate("each => each.type") == "range":
            assert control.get_attribute("aria-valuetext")
        for end in ("Home", "End"):
            page.keyboard.press(end)
            settled(page)
            told = page.eval_on_selector_all(".explorer [role=img]", LABELS)
            assert not re.search("NaN|Infinity|undefined", " ".join(told)), (setting, end, told)
            ticks = page.locator(".explorer .panel:not([data-panel=invariant]) .tick").all_inner_texts()
            assert all(abs(float(tick.replace("−", "-"))) < 50 for tick in ticks if tick), (setting, end, ticks)
        page.locator(".explorer .reset").click()
        assert seen(page) == before, setting
    for button in page.locator(".explorer [data-preset]").all():
        button.click()
        settled(page)
        assert button.get_attribute("aria-pressed") == "true"
    page.locator(".explorer .reset").click()
    assert seen(page) == before
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"] + 1
    edges = "all => all.map(each => [each.getBoundingClientRect().left, each.getBoundingClientRect().right])"
    places = page.eval_on_selector_all(".explorer :is(button, input, select, output, .panel, .frame)", edges)
    assert min(left for left, _ in places) >= 0
    assert max(right for _, right in places) <= page.viewport_size["width"]
    assert not page.problems
    page.context.close()


def along(page, share):
    """A place on the first slider in the page, at some share of its length."""
    slider = page.locator(".explorer input[type=range]").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


@pytest.mark.parametrize("name", PAGES)
def test_the_first_slider_follows_the_mouse_and_a_finger(browser, name):
    page = opened(browser, name, **SCREENS["desktop"])
    before = seen(page)
    page.mouse.move(*along(page, 0.5))
    page.mouse.down()
    page.mouse.move(*along(page, 0.02), steps=4)
    page.mouse.up()
    by_mouse = seen(page)
    assert by_mouse != before
    page.context.close()
    page = opened(browser, name, **SCREENS["phone"])
    before = seen(page)
    page.touchscreen.tap(*along(page, 0.02))
    assert seen(page) != before
    page.context.close()


@pytest.mark.parametrize("name", ["intro", "regimes"])
def test_a_finger_that_scrolls_the_page_moves_nothing(browser, name):
    page = opened(browser, name, **SCREENS["phone"])
    touch = page.context.new_cdp_session(page)
    for place in (".explorer .map, .explorer .transport input", ".explorer [data-setting]"):
        element = page.locator(place).first
        element.scroll_into_view_if_needed()
        before, box, was = seen(page), element.bounding_box(), page.evaluate("scrollY")
        x, y = box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for moved in range(20, 200, 20):
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y - moved}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(100)
        assert page.evaluate("scrollY") > was + 50, place
        assert seen(page) == before, place
    page.context.close()


@pytest.mark.parametrize("name", ALL_PAGES)
def test_words_say_what_is_seen_once_movement_stops(browser, name):
    page = opened(browser, name, **SCREENS["desktop"])
    status = page.locator(".explorer [role=status]")
    words = "told => ![told, 'Learning …', ''].includes(document.querySelector('.explorer [role=status]').textContent)"
    page.wait_for_function(words, arg="")
    before = status.text_content()
    assert len(before) > 20
    assert page.locator(".explorer .status").inner_text() == before
    assert all(len(label) > 10 for label in page.eval_on_selector_all(".explorer [role=img]", LABELS))
    moved = page.locator(".explorer input[data-setting]")
    (moved if moved.count() else page.locator(".explorer input")).first.focus()
    page.keyboard.press("End")
    settled(page)
    told = page.locator(".explorer .status").inner_text()  # seen at once
    page.wait_for_function(words, arg=before)
    assert status.text_content() == told != before
    page.context.close()


def given(name):
    """What the code of an explorer takes for granted: what the explorer was made from."""
    if name == "composition":
        return {
            "experiment": experiments.single(experiments.LONGER),
            "results": composition.trained(experiments.LONGER),
        }
    if name == "model":
        return {
            "results": gl.simulate(
                gl.Experiment(gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=4), gl.Flow(1.3, 0.03, dt=0.01)),
                seeds=1,
            )
        }
    if name == "reduction":
        return {
            "flexible": reduction.one_switch(experiments.TOY, experiments.SPECIALIST),
            "forgetful": reduction.one_switch(reduction.FORGETFUL_TOY, reduction.OVERWRITER),
        }
    if name == "people":
        series = people.reversal_series()
        return {"chosen": series.chosen.reshape(9, 200), "outcomes": series.outcome.reshape(9, 200)}
    return {}


@pytest.mark.parametrize("name", [name for name in PAGES if name != "pictures"])
def test_the_code_that_makes_it_runs_for_other_values(browser, name, capsys):
    page = opened(browser, name, **SCREENS["desktop"])
    unfolded(page)
    first = page.locator(".explorer .source").text_content()
    for control in page.locator(".explorer input[type=range]").all():
        control.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
    settled(page)
    page.locator(".explorer .copy").click()
    code = page.locator(".explorer .source").text_content()
    assert page.locator(".explorer .source").is_visible()
    assert code != first
    page.context.close()
    exec(code, {"gl": gl, **given(name)})
    assert plt.get_fignums() or capsys.readouterr().out
    plt.close("all")


SERIES = """steps => {
    const run = document.querySelector('.explorer').explorer.run
    return [run.loss, ...run.gates, ...run.weights].map(row => steps.map(t => row[t]))
}"""


@pytest.mark.parametrize("name", ["intro", "invariant", "dynamics"])
def test_the_page_shows_what_the_library_makes_of_its_code(browser, name):
    page = opened(browser, name, **SCREENS["desktop"])
    random = np.random.default_rng(0)
    for draw in range(3):
        for control in page.locator(".explorer input[data-setting]").all():
            place = round(random.uniform() * int(control.get_attribute("max")))
            control.evaluate("(each, place) => { each.value = place; each.dispatchEvent(new Event('input')) }", place)
        settled(page)
        made = {}
        with jax.enable_x64(True):
            exec(page.locator(".explorer .source").text_content(), made)
        plt.close("all")
        results = made["results"].isel(seed=0)
        steps = np.arange(0, results.sizes["time"], 37)
        here = np.array(page.evaluate(SERIES, steps.tolist()))
        theirs = [results.loss.values, *results.gates.values.T]
        if "weights" in results:
            theirs += [*results.weights.values.reshape(len(results.time), -1).T]
        expected = np.array(theirs)[:, steps]
        assert np.ptp(here[0]) > 0
        close = 1e-6 if "weights" in results else 1e-4  # weights in a page have the digits of single precision
        np.testing.assert_allclose(here[: len(expected)], expected, rtol=0, atol=close, err_msg=str(draw))
    page.context.close()


def test_the_map_is_walked_on_and_drawn_anew_as_the_library_would(browser):
    page = opened(browser, "regimes", **SCREENS["desktop"])
    frame = page.locator(".explorer .map")
    before = seen(page)
    frame.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    by_keys = seen(page)
    assert by_keys != before
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    assert seen(page) != by_keys
    unfolded(page)
    slider = page.locator(".explorer [data-setting=length]")
    slider.focus()
    page.keyboard.press("Home")
    settled(page)
    assert "stale" in frame.get_attribute("class")
    page.locator(".explorer .recompute").click()
    settled(page)
    page.wait_for_selector(".explorer .map:not(.stale)")
    told = page.evaluate("document.querySelector('.explorer').explorer.map")
    shares = np.array(told["rows"])
    assert shares.shape == (24, 24)
    assert 0 < shares.mean() < 1
    up, across = (axis["values"] for axis in told["axes"])
    short = gl.Orthogonal(tasks=2, d_in=20, d_out=10, scale=experiments.BY_SPEED.teachers.scale / 4)
    base = experiments.BY_SPEED.replace(teachers=short, inputs=gl.Population())
    rows, columns = (3, 12, 23), (0, 8, 16, 23)
    grid = {"block_length": [round(up[row] / 1e-3) * 1e-3 for row in rows], "tau_c": [across[c] for c in columns]}
    kept = {"record": (gl.record.alignment,), "every": 100, "measure": gl.metrics.total_alignment}
    aligned = gl.sweep(base, seeds=8, **kept, **grid)
    expected = (aligned.total_alignment > 0.95).mean("seed").values
    assert np.abs(shares[np.ix_(rows, columns)] - expected).max() <= 1 / 8  # a network at the very border may differ
    page.locator(".explorer .reset").click()
    assert seen(page) == before
    page.context.close()


@pytest.mark.parametrize("preset", ["shared bound", "no bound", "slow gates"])
def test_the_surprise_in_the_page_is_that_of_the_library(browser, preset):
    page = opened(browser, "people", **SCREENS["desktop"])
    page.click(f"[data-preset='{preset}']")
    settled(page)
    page.locator(".explorer select").select_option(index=4)
    settled(page)
    here = page.evaluate("document.querySelector('.explorer').explorer.loss")
    made = given("people")
    exec(page.locator(".explorer .source").text_content(), made)
    assert here == pytest.approx(made["surprise"], abs=1e-6)
    page.context.close()


ARROWS_AND_TRAILS = """time => {
    document.querySelector('.explorer').explorer.transport.show(time)
    const ends = (name, read) => [...document.querySelectorAll(`.explorer .plane ${name}`)].map(read)
    return [
        ends('line.weights', each => ['x2', 'y2'].map(key => Number(each.getAttribute(key)))),
        ends('.trail', each => each.getAttribute('d').slice(1).split('L').map(place => place.split(',').map(Number))),
    ]
}"""


def test_the_plane_shows_where_paths_have_been(browser):
    page = opened(browser, "intro", **SCREENS["phone"])
    before, _ = page.evaluate(ARROWS_AND_TRAILS, 2.6)
    now, trails = page.evaluate(ARROWS_AND_TRAILS, 4.6)
    for path in (0, 1):
        assert math.dist(before[path], now[path]) > 5
        np.testing.assert_allclose(trails[path][0], before[path], atol=0.06)
        np.testing.assert_allclose(trails[path][-1], now[path], atol=0.06)
    page.context.close()


def test_zero_is_marked_and_reached_by_keyboard(browser):
    page = opened(browser, "model", **SCREENS["desktop"])
    slider = page.locator(".explorer input[data-setting=first]")
    mark = slider.evaluate("each => Number(each.list.options[0].value)")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(mark):
        page.keyboard.press("ArrowRight")
    settled(page)
    assert page.evaluate("document.querySelector('.explorer').explorer.values.first") == 0
    assert slider.get_attribute("aria-valuetext") == "0.00"
    page.context.close()


TEETH = {(0.5, 0.5, 0): False, (1, 1, 1): False, (0.33, 0.33, 0.33): False, (1, -0.5, 0): True, (-0.5, 1, -0.5): True}
"""Mixtures, and whether the loss of the library jumps up and down from step to step so far that it is seen."""


def test_teeth_of_the_loss_are_explained_where_they_are_seen(browser):
    page = opened(browser, "composition", **SCREENS["desktop"])
    given_values = given("composition")
    for mixture, expected in TEETH.items():
        for control, value in zip(page.locator(".explorer input[data-setting]").all(), mixture, strict=True):
            place = round((value + 0.5) / 0.01)
            control.evaluate("(each, place) => { each.value = place; each.dispatchEvent(new Event('input')) }", place)
        settled(page)
        made = dict(given_values)
        exec(page.locator(".explorer .source").text_content(), made)
        losses = [made[name].loss.values[0] for name in ("alone", "with_weights")]
        top = max(0.1, *(loss[0] for loss in losses))
        jumps = [np.diff(loss[made["alone"].time.values < 0.3]) for loss in losses]
        turns = [
            np.sum((each[1:] * each[:-1] < 0) & (np.minimum(abs(each[1:]), abs(each[:-1])) > top / 340))
            for each in jumps
        ]
        assert (max(turns) > 5) == expected, mixture
        assert ("The loss has teeth" in page.locator(".explorer .status").inner_text()) == expected, mixture
    page.context.close()


@pytest.mark.parametrize("preset", ["flexible", "forgetful", "blocks too short", "no bound"])
def test_presets_are_what_they_are_called(browser, preset):
    page = opened(browser, "intro", **SCREENS["desktop"])
    page.click(f"[data-preset='{preset}']")
    words = "told => document.querySelector('.explorer [role=status]').textContent.startsWith(told)"
    page.wait_for_function(words, arg="Flexible" if preset == "flexible" else "Not flexible")
    page.context.close()


def test_until_a_gate_reaches_zero_the_invariant_does_not_move(browser):
    page = opened(browser, "invariant", **SCREENS["desktop"])
    closed, drift = page.evaluate("""() => {
        const { run, closed, values } = document.querySelector('.explorer').explorer
        const apart = t => (run.weights[0][t] - run.weights[2][t]) ** 2 + (run.weights[1][t] - run.weights[3][t]) ** 2
        const kept = t => (run.gates[0][t] - run.gates[1][t]) ** 2 - 1.3 / values.tau_c * apart(t)
        const before = Array.from({ length: closed }, (_, t) => Math.abs(kept(t) - kept(0)))
        return [closed, [Math.max(...before), Math.abs(kept(run.steps - 1) - kept(0))]]
    }""")
    assert closed > 1000
    assert drift[0] < 0.05
    assert drift[1] > 10
    page.context.close()


def test_time_plays_stops_steps_and_is_moved_by_hand(browser):
    page = opened(browser, "intro", **SCREENS["desktop"])
    clock = lambda: float(page.locator(".explorer .clock").inner_text().split()[1].rstrip(","))  # noqa: E731
    page.click(".explorer .play")
    page.wait_for_function("document.querySelector('.explorer .transport input').value < 19")
    page.wait_for_function("document.querySelector('.explorer .transport input').value > 0.3")
    page.click(".explorer .play")
    stopped = clock()
    page.wait_for_timeout(200)
    assert clock() == stopped < 20
    page.click(".explorer .step")
    assert clock() == math.floor(stopped) + 1
    arrow = page.locator("[data-panel=plane] line.weights").first
    before = arrow.get_attribute("x2"), arrow.get_attribute("y2")
    page.locator(".explorer .transport input").focus()
    page.keyboard.press("End")
    assert clock() == 20
    assert (arrow.get_attribute("x2"), arrow.get_attribute("y2")) != before
    page.context.close()


def test_who_asked_for_less_motion_gets_single_pictures(browser):
    page = opened(browser, "intro", reduced_motion="reduce")
    page.click(".explorer .play")
    page.wait_for_function("document.querySelector('.explorer .transport input').value > 0")
    page.wait_for_function("document.querySelector('.explorer .transport input').value < 20")
    assert page.locator(".explorer .clock").inner_text().startswith("time 1.00")
    page.context.close()


def test_curves_can_be_seen_in_the_dark(browser):
    page = opened(browser, "intro", color_scheme="light")
    color = "element => getComputedStyle(element).stroke"
    curves = [page.locator(f"[data-panel={panel}] .curve:not(.band)").first for panel in ("gates", "loss")]
    by_day = [each.evaluate(color) for each in curves]
    page.emulate_media(color_scheme="dark")
    for each, before in zip(curves, by_day, strict=True):  # the page follows in a moment
        other = "([curve, before]) => getComputedStyle(curve).stroke !== before"
        page.wait_for_function(other, arg=[each.element_handle(), before])
    page.context.close()


@pytest.mark.parametrize("name", ALL_PAGES)
def test_without_scripts_there_is_a_still_picture(browser, name):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{ROOT.as_uri()}/_build/html/book/{name}.html")
    still = page.locator(".explorer-place img.still")
    assert still.bounding_box()["width"] > 300
    assert len(still.get_attribute("alt")) > 30
    context.close()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", ALL_PAGES)
def test_the_page_keeps_room_for_what_is_to_come(browser, name, screen):
    """Nothing below moves much when the script takes over."""
    page = opened(browser, name, **SCREENS[screen])
    height = page.locator(".explorer-place").bounding_box()["height"]
    page.locator(".explorer-place").evaluate("each => { each.replaceChildren(); delete each.dataset.live }")
    assert page.locator(".explorer-place").bounding_box()["height"] == pytest.approx(height, rel=0.15)
    page.context.close()


@pytest.mark.parametrize("name", ["bench", "depth", "observer"])
def test_where_a_page_may_have_no_worker_it_computes_by_itself(browser, name):
    page = browser.new_page()
    page.add_init_script("window.Worker = class { constructor() { throw new Error('none here') } }")
    page.goto(f"{ROOT.as_uri()}/_build/html/book/{name}.html")
    page.wait_for_selector(".explorer-place[data-live]")
    before = seen(page)
    assert len(before) > 1000
    page.locator(".explorer input[data-setting]:visible").last.focus()
    page.keyboard.press("End")
    assert seen(page) != before
    page.close()
