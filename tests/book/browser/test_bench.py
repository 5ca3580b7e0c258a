"""The bench asks what its Python asks: the same refusals, the same steps from the same numbers, the same medians."""

import io
import re
import xml.etree.ElementTree as ElementTree

import jax
import numpy as np
import pandas as pd
import pytest

import gatedlib as gl
from tests.book.browser.test_living_pages import SCREENS, opened, settled, unfolded

pytestmark = [pytest.mark.slow, pytest.mark.browser]

WRITTEN = {"round": "0.5 ", "mix": "1+2+3 "}
BASE = "dt=0.005&seeds=8"
ASKED = {
    "plain": "",
    "alike, with a path to spare": "correlation=0.4&paths=3&length=1.5&gate_spread=0.05",
    "a norm of order 2": "norm=2&a=0.5&b=2",
    "outputs with gates of their own": "student=a+gate+per+path+and+output&d_out=4&d_in=12&b=0.5&weight_scale=0.1",
    "two layers": "student=two+layers&hidden=9&norm=2&d_out=3&d_in=9&tau_w=0.1&tau_c=0.05&b=0.3",
    "three tasks, the last one rare": "tasks=3&paths=3&d_out=4&curriculum=the+last+one+rare&rare=0.25",
    "at random moments": "curriculum=at+random+moments&tasks=3&d_out=4",
    "a round": "curriculum=a+round+of+your+own&round=A1+B0.5,A0.25+b.25",
    "mixed parts": "made=mixtures+of+parts&mix=1%2B2,1+3+1%2B2%2B3&paths=3&d_out=4&d_in=12&correlation=0.2",
    "mixtures": "curriculum=practice,+then+mixtures&tasks=3&paths=3&d_out=5&block_length=0.5",
    "noisy samples": "inputs=single+noisy+samples&noise=0.2&d_out=4&d_in=8",
}


@pytest.fixture(scope="module")
def bench(browser):
    """The bench in one page, which is asked one thing after the other by its address."""
    page = opened(browser, "bench", **SCREENS["desktop"])

    def ask(settings=""):
        page.locator(".explorer .reset").click()  # the address may be the same, and the settings others
        page.evaluate("hash => { location.hash = '#bench=1'; location.hash = hash }", f"#bench=1&{settings}")
        page.wait_for_timeout(50)
        settled(page)
        assert page.locator(".explorer .refused").inner_text() == ""
        return page

    yield ask
    assert not page.problems
    page.context.close()


def drawn(page):
    """Wait for the next two frames."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def experiment_of(page):
    """The experiment of the code that the page shows."""
    made = {}
    exec(page.locator(".explorer .source").text_content().split("keep = ")[0], made)
    return made["now"]


RUN = """() => {
    const { runs: { now }, drawn } = document.querySelector('.explorer').explorer
    const { one, plan, whole } = now
    return {
        drawn: drawn(plan, one.seed),
        loss: [...one.loss],
        tasks: [...plan.tasks],
        gates: one.gates.map(each => [...each].map(gate => Number.isNaN(gate) ? null : gate)),
        every: plan.every,
        recoveries: whole.map(each => [...each.recoveries]),
        aligned: whole.map(each => each.aligned),
        withParts: whole.map(each => each.withParts),
        apart: whole.map(each => each.apart[each.apart.length - 1]),
    }
}"""


def alignment_with_parts(experiment):
    """In the library the parts are tasks that never come alone, and what comes are sums of them."""
    parts = gl.Correlated(tasks=3, d_in=12, d_out=4, correlation=0.2)
    sums = gl.Sums(parts, weights=[(1 / 2, 1 / 2, 0), (1, 0, 0), (0, 0, 1), (1 / 3, 1 / 3, 1 / 3)])
    curriculum = gl.Blocked(duration=8, block_length=1, order=range(3, 7))
    return gl.metrics.total_alignment(gl.simulate(experiment.replace(teachers=sums, curriculum=curriculum), 24))


@pytest.mark.parametrize("asked", ASKED)
def test_networks_of_the_page_are_those_of_its_python(bench, asked):
    page = bench(f"duration=8&{BASE}&{ASKED[asked]}")
    here, experiment = page.evaluate(RUN), experiment_of(page)
    noisy, layers = not isinstance(experiment.flow.inputs, gl.Population), "layers" in asked
    kept = [gl.record.loss, gl.record.population_loss, gl.record.gates, gl.record.alignment]
    if "random" not in asked:
        np.testing.assert_array_equal(experiment.schedule().tasks, here["tasks"])
    else:  # switches come at other moments, as often
        tasks = gl.Schedule.of_tasks(np.array(here["tasks"]))
        lengths = (tasks.stop - tasks.start) * 0.005
        assert 4 <= len(tasks.start) <= 14
        experiment = experiment.replace(curriculum=gl.BlockSequence(tasks.block_tasks, lengths))

    if not noisy:  # the library's samples are others
        with jax.enable_x64(True):
            first = {name: np.array(each) for name, each in here["drawn"].items()}
            weights = first["weights"][0] if layers else first["weights"]
            gates = first["gates"][:, 0] if type(experiment.network) is gl.GatedLinear else first["gates"]
            same = experiment.replace(teachers=gl.Given(first["teachers"]))
            one = gl.simulate(same, [0], kept, initial=gl.Params(weights, gates)).isel(seed=0)
        assert np.ptp(here["loss"]) > 0.01
        np.testing.assert_allclose(here["loss"], one.loss, rtol=0, atol=1e-6)
        if type(experiment.network) is gl.GatedLinear:
            ours = np.sort([gates[-1] for gates in here["gates"] if gates[-1] is not None])
            theirs = np.sort(one.gates.values[:: here["every"]][-1])
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)

    teachers = experiment.draw(0)[0][: experiment.teachers.components]
    ours = np.array(here["drawn"]["teachers"])[: len(teachers)]
    np.testing.assert_allclose(
        np.einsum("mij,nij->mn", ours, ours), np.einsum("mij,nij->mn", teachers, teachers), atol=1e-5
    )
    results = gl.simulate(experiment, 24, kept)
    theta = float(re.search(r"theta=([\d.e-]+)", page.locator(".explorer .source").text_content())[1])
    times = gl.metrics.time_to_criterion(results.assign(loss=results.population_loss), theta)
    measured = {
        "recoveries": (np.mean(here["recoveries"], 1), times.mean("block")),
        "aligned": (np.array(here["aligned"]), gl.metrics.total_alignment(results)),
    }
    if "parts" in asked:
        measured["with parts"] = np.array(here["withParts"]), alignment_with_parts(experiment)
    for name, (ours, theirs) in measured.items():
        low, high = np.quantile(theirs, [0.1, 0.9])
        assert low - 0.02 <= np.median(ours) <= high + 0.02, (name, np.median(ours), low, high)


def test_the_whole_code_runs_for_one_setting_and_for_two(bench, capsys):
    page = bench(
        f"duration=4&{BASE}&kept=1&kept.duration=4&kept.dt=0.005&kept.seeds=3&kept.inputs=single+noisy+samples"
    )
    code = page.locator(".explorer .source").text_content()
    assert code.count("gl.Experiment(") == 2
    exec(code, {})
    assert re.findall(r"of (\d) networks", capsys.readouterr().out) == ["3", "8"]
    exec(bench(f"{BASE}&duration=2").locator(".explorer .source").text_content(), {})
    assert re.findall(r"of (\d) networks", capsys.readouterr().out) == ["8"]


@pytest.mark.parametrize(
    ("asked", "control"),
    [
        ("d_in=10", "d_in"),
        ("tasks=5&d_out=7", "d_in"),
        ("dt=0.05", "dt"),
        ("student=a+gate+per+path+and+output&b=10", "dt"),
        ("student=two+layers&norm=2&b=50&dt=0.005", "dt"),
        ("made=mixtures+of+parts&mix=1+2+1%2B3", "d_in"),
        (
            "made=mixtures+of+parts&criterion=0.8&mix=1%2B2+2%2B3&d_in=30&curriculum=practice,+then+mixtures&seeds=2",
            "criterion",
        ),
        ("curriculum=a+round+of+your+own&round=A1+B0.3333", "round"),
        ("curriculum=practice,+then+mixtures&criterion=0.5&duration=1&dt=0.005&block_length=0.25&seeds=2", "criterion"),
    ],
)
def test_what_the_library_refuses_is_refused_in_its_words(bench, asked, control):
    page = bench(asked)
    require_same_refusal(page, control)


@pytest.mark.parametrize(
    ("settings", "control"),
    [
        ({"dt": 0.02, "block_length": 0.05}, "block_length"),
        ({"dt": 0.02, "curriculum": "the last one rare", "rare": 0.05}, "rare"),
        ({"dt": 0.3, "block_length": 0.3, "duration": 1}, "duration"),
        ({"dt": 0.3, "block_length": 0.3, "duration": 2, "curriculum": "practice, then mixtures"}, "duration"),
        ({"dt": 0.1, "curriculum": "at random moments", "block_length": 0.05}, "block_length"),
        ({"dt": 0.3, "curriculum": "at random moments", "duration": 2}, "duration"),
    ],
)
def test_lengths_that_are_no_whole_number_of_steps_are_refused_as_in_the_library(bench, settings, control):
    """Of an experiment with a step that the bench itself does not offer."""
    page = bench()
    choose = (
        "more => { const all = document.querySelector('.explorer').explorer; all.choose({ ...all.values, ...more }) }"
    )
    page.evaluate(choose, {"tau_c": 10, "b": 0.1, **settings})
    drawn(page)
    require_same_refusal(page, control)


def require_same_refusal(page, control):
    refused = page.locator(f".explorer label:has([data-setting={control}]) .why").text_content()
    code = page.locator(".explorer .source").text_content()
    with pytest.raises(ValueError, match=r"\w = \d") as refusal:
        exec(code, {}) if control == "criterion" else experiment_of(page)
    assert refused == str(refusal.value)
    assert refused in page.locator(".explorer .status").inner_text()
    assert page.locator(f"[data-setting={control}]").get_attribute("aria-invalid") == "true"


def test_a_round_names_every_task_with_a_length(bench):
    for wrong in ("", "A1", "A B", "A1 C1", "A1 B0", "A1 B-1", "print(1)"):
        page = bench(f"curriculum=a+round+of+your+own&round={wrong}")
        assert page.locator(".why:not(:empty)").text_content() == (
            "Name every task from A to B, each with a length, such as A1 B0.5."
        )


@pytest.mark.parametrize("wrong", ["", "1", "1 1", "1+2 2+1", "1 3", "1+1 2", "1 6", "A B", "1 2 3 4 5 1+2", "1 + 2"])
def test_tasks_of_parts_are_different_and_leave_no_part_out(bench, wrong):
    page = bench(f"made=mixtures+of+parts&mix={wrong.replace('+', '%2B')}")
    assert (
        page.locator(".explorer label:has([data-setting=mix]) .why").text_content().startswith("Write 2 to 5 different")
    )


def test_every_control_changes_the_code_or_what_is_looked_at(bench):
    page = bench("curriculum=a+round+of+your+own&inputs=single+noisy+samples")
    unfolded(page)
    code, values = page.locator(".explorer .source"), "document.querySelector('.explorer').explorer.values"
    seen = set()
    for asked in (
        "curriculum=a+round+of+your+own&inputs=single+noisy+samples&duration=8",
        "curriculum=the+last+one+rare&student=two+layers&hidden=4&d_out=2&duration=2",
        "made=mixtures+of+parts&duration=4&criterion=0.2",
        "curriculum=at+random+moments&duration=4",
    ):
        page = bench(asked)
        for control in page.locator(".explorer [data-setting]:visible").all():
            name, before, was = control.get_attribute("data-setting"), code.text_content(), page.evaluate(values)
            control.focus()
            page.keyboard.type(WRITTEN[name]) if name in WRITTEN else page.keyboard.press("ArrowRight")
            if page.evaluate(values) == was:
                page.keyboard.press("ArrowLeft")
            drawn(page)
            assert page.evaluate(values)[name] != was[name], name
            assert (code.text_content() != before) != (name == "network"), name
            seen.add(name)
            page.evaluate("was => document.querySelector('.explorer').explorer.choose(was)", was)
            drawn(page)
        settled(page)
    assert seen == set(page.evaluate(values))


def test_two_settings_stand_side_by_side_on_the_same_axes(bench):
    page = bench("duration=3&seeds=3")
    assert page.locator(".explorer .panel").count() == 6
    at_work = "document.querySelector('.explorer').explorer.workers.filter(each => each.worker).length"
    assert page.evaluate(at_work) == page.evaluate("Math.min(navigator.hardwareConcurrency, 3)")
    page.locator(".explorer .keep").click()
    slider = page.locator("[data-setting=length]")
    slider.focus()
    page.keyboard.press("End")
    page.wait_for_function("location.hash.includes('length=4')")
    settled(page)
    assert page.locator(".explorer .panel").count() == 12
    assert page.evaluate("location.hash") == "#bench=1&kept=1&kept.duration=3&kept.seeds=3&length=4&duration=3&seeds=3"
    tops = page.locator("[data-panel=loss] .tick.top").all_inner_texts()
    assert tops[0] == tops[1]
    words = page.locator(".explorer .status").inner_text()
    assert words.startswith("Kept: None of 3 networks")
    assert "Now: " in words
    page.go_back()
    page.wait_for_function("!location.hash.includes('kept')")
    settled(page)
    assert page.locator(".explorer .panel").count() == 6


def test_numbers_and_picture_come_with_their_settings(bench):
    page = bench("duration=3&seeds=4&kept=1&kept.duration=2&kept.seeds=2")
    with page.expect_download() as numbers:
        page.locator(".explorer .csv").click()
    text = numbers.value.path().read_text(encoding="utf-8")
    assert text.startswith("# kept: tasks = 2, ")
    table = pd.read_csv(io.StringIO(text), comment="#")
    assert list(table) == ["run", "quantity", "axis", "x", "value"]
    loss = table.query("run == 'now' and quantity == 'loss of network 0'")
    assert len(loss) == 3000
    np.testing.assert_allclose(loss["value"], page.evaluate(RUN)["loss"], rtol=1e-6)
    assert set(table.query("quantity == 'time to recover (median)' and run == 'kept'").x) == {1, 2}
    with page.expect_download() as picture:
        page.locator(".explorer .svg").click()
    drawn = ElementTree.fromstring(picture.value.path().read_text(encoding="utf-8"))
    assert "duration = 3" in drawn.find("{http://www.w3.org/2000/svg}desc").text
    assert len(drawn.findall("{http://www.w3.org/2000/svg}svg")) == 12
    paths = [path.get("d") for path in drawn.iter("{http://www.w3.org/2000/svg}path")]
    assert sum(len(path or "") > 500 for path in paths) >= 10


def test_a_slider_moved_and_moved_back_says_what_it_said_before(bench):
    page = bench("curriculum=at+random+moments&inputs=single+noisy+samples&duration=2&seeds=1")
    unfolded(page)
    before = page.evaluate("document.querySelector('.explorer').explorer.first")
    for name in ("tau_w", "tau_c", "a", "b", "weight_scale", "length"):
        page.locator(f"[data-setting={name}]").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        drawn(page)
        assert page.evaluate("document.querySelector('.explorer').explorer.values")[name] == before[name]


def test_a_run_can_be_stopped_and_another_network_looked_at(bench):
    page = bench("seeds=4")
    page.evaluate("location.hash = '#bench=1&seeds=50&student=two+layers&hidden=40&norm=2&duration=80'")
    page.wait_for_function("document.querySelector('.explorer .stop').disabled === false")
    page.locator(".explorer .stop").click()
    assert page.locator(".explorer").get_attribute("aria-busy") == "false"
    assert page.locator(".explorer .status").inner_text().startswith("Stopped.")
    page = bench("seeds=4")
    count, first = (
        page.evaluate("document.querySelector('.explorer').explorer.runs.now.networks.length"),
        page.evaluate(RUN),
    )
    page = bench("seeds=4&network=49")  # the last one that there is
    other = page.evaluate(RUN)
    assert page.locator("[data-panel=loss] .title").inner_text() == "Loss of network 3"
    assert count == 4
    assert other["loss"] != first["loss"]
    assert sorted(other["aligned"]) == sorted(first["aligned"])


def test_questions_of_the_chapter_have_the_answers_that_it_gives(bench):
    page = bench()
    asked = page.eval_on_selector_all(
        "article li:has(> a[href^='#bench='], > p > a[href^='#bench='])",
        "all => all.map(each => [each.querySelector('a').getAttribute('href'), each.innerText])",
    )
    assert len(asked) >= 8
    others = page.eval_on_selector_all(
        "article li a[href^='#bench=']:not(:first-child)",
        "all => all.map(each => [each.getAttribute('href'), '? ' + each.innerText.replace(/^all/, 'All')])",
    )
    assert len(others) >= 2
    for link, text in asked + others:
        answer = re.search(r"\? ((?:None|All|\d+)(?: of)? \d+)", text)[1]
        page = bench(link.removeprefix("#bench=1&"))
        assert page.locator(".explorer .status").inner_text().startswith(f"{answer} networks end with a path"), text


def test_settings_that_are_refused_are_never_kept(bench):
    page = bench("seeds=2&duration=4")
    keep, tasks = page.locator(".explorer .keep"), page.locator("[data-setting=tasks]")
    tasks.focus()
    page.keyboard.press("ArrowRight")  # three tasks of ten outputs do not fit into twenty inputs
    drawn(page)
    assert keep.is_disabled()
    page.keyboard.press("ArrowLeft")
    drawn(page)
    assert keep.is_enabled()
    settled(page)
    page.evaluate("location.hash = '#bench=1&kept=1&kept.tasks=3&seeds=2&duration=4'")
    page.wait_for_function("document.querySelector('.explorer .refused').textContent !== ''")
    refused = page.locator(".explorer .refused").inner_text()
    assert refused.startswith("The link keeps settings that do not go together: d_in = 20: orthogonal teachers need")
    assert refused.endswith(". Nothing of it was taken.")
    settled(page)
    assert page.locator(".explorer .panel").count() == 6


def test_each_preset_sets_what_goes_together(bench):
    page = bench()
    for preset in page.locator(".explorer [data-preset]").all():
        preset.click()
        drawn(page)
        assert page.locator(".explorer .why:not(:empty)").count() == 0
        settled(page)
        assert preset.get_attribute("aria-pressed") == "true"
    assert page.locator(".explorer .status").inner_text().startswith("None of 20 networks end with a unit for each")


def test_the_words_say_when_there_was_nothing_to_learn_or_nothing_was_learned(bench):
    words = {asked: bench(asked).locator(".explorer .status").inner_text() for asked in (
        "correlation=0.8", "tau_w=100&tau_c=100&duration=4", "weight_scale=1&seeds=4", "tasks=3&d_in=30&duration=60"
    )}  # fmt: skip
    alike, slow, large, more = words.values()
    assert "no time in the last block of each task. A switch does not raise it so far." in alike
    assert "not at all in the first block, not at all in the last block of each task" in slow
    assert "Paths are so far apart from the start that distance says nothing." in large
    assert "ratchet" not in large
    assert (
        "; task C never came and does not count." in bench("tasks=3&d_in=30&duration=2").locator(".status").inner_text()
    )
    low, high = map(float, re.search(r"([\d.]+) to ([\d.]+) in the last block of each task", more).groups())
    assert low < 0.5 * high


ODD = {
    "student=two+layers&norm=2&b=0.1&d_out=1&seeds=2&duration=3": "None of 2 networks",
    "student=a+gate+per+path+and+output&d_out=1&paths=3&seeds=2&duration=3": "None of 2 networks",
    "tasks=3&d_in=30&paths=3&duration=1&block_length=5&seeds=3": "Only task A came",
    "curriculum=practice,+then+mixtures&tasks=5&d_in=50&paths=5&duration=4&seeds=2": "tasks D, E never came and do not",
    "correlation=0.95&seeds=2&duration=2": "paths which are all the same have an alignment of 0.99",
    "block_length=0.95&seeds=3": "0.05 to 0.06 in the last block of each task",  # not the very last, of 0.05 time units
    "length=4&tau_w=0.01&tau_c=0.001&a=0.01&b=0.1&seeds=2&duration=4": "less than 0.01 in the first block",
    "seeds=1&duration=2": "The network does not end with a path for each task after 2 time units (alignment 0.",
    "seeds=1&duration=1&block_length=0.5": "after 1 time unit (",
    "seeds=1&made=mixtures+of+parts": ", but with one for each part.",
    "seeds=2": "Both networks end with",
    "curriculum=a+round+of+your+own&round=A99999999+B1": "A round of 100000000 time units: there is room for 80.",
}


@pytest.mark.parametrize("asked", ODD)
def test_words_fit_what_is_odd(bench, asked):
    assert ODD[asked] in bench(asked).locator(".explorer .status").inner_text()


ANY = """([random]) => {
    const { explorer } = document.querySelector('.explorer')
    const chosen = { ...explorer.first }
    for (const [name, { scale, options }] of Object.entries(explorer.controls)) {
        if (scale) chosen[name] = scale.value(Math.floor(random[name] * (scale.last + 1)))
        if (options) chosen[name] = options[Math.floor(random[name] * options.length)]
    }
    explorer.choose({ ...chosen, dt: 0.005, seeds: 2, duration: 1 + Math.floor(3 * random.duration) })
}"""


@pytest.mark.parametrize("seed", range(12))
def test_any_settings_are_drawn_or_refused(bench, seed):
    page = bench("seeds=1&duration=1")
    random = np.random.default_rng(seed)
    names = page.evaluate("Object.keys(document.querySelector('.explorer').explorer.controls)")
    page.evaluate(ANY, [dict(zip(names, random.random(len(names)).tolist(), strict=True))])
    drawn(page)
    settled(page)
    assert not page.problems
    words, code = page.locator(".explorer .status").inner_text(), page.locator(".explorer .source").text_content()
    if words.startswith("These settings do not go together"):
        assert page.locator(".explorer .why:not(:empty)").count() > 0
    else:
        assert "undefined" not in words + code
        assert "NaN" not in words + code
        assert "2 of 2" not in words
        assert experiment_of(page)


def test_files_say_the_settings_of_what_they_hold(bench):
    page = bench("duration=3&seeds=2")
    page.evaluate("location.hash = '#bench=1&seeds=2&student=two+layers&hidden=40&norm=2&duration=80'")
    page.wait_for_function("document.querySelector('.explorer .stale')")
    with page.expect_download() as numbers:
        page.locator(".explorer .csv").click()
    text = numbers.value.path().read_text(encoding="utf-8")
    assert "duration = 3," in text
    assert pd.read_csv(io.StringIO(text), comment="#").x.max() <= 3
    bench("seeds=2&duration=1")


def test_blocks_that_are_too_short_to_recover_stand_at_the_top(bench):
    page = bench("curriculum=a+round+of+your+own&round=A1.6+B0.2&duration=9&seeds=4")
    with page.expect_download() as numbers:
        page.locator(".explorer .csv").click()
    table = pd.read_csv(numbers.value.path(), comment="#")
    times = table.query("quantity == 'time to recover (median)'")["value"].values
    assert len(times) == 10
    assert times[1] == pytest.approx(1.6)
