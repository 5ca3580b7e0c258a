"""What an explorer hands to its module: plain data, the networks that the library has, code with places to fill in."""

import base64
import json
import re

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from IPython.core.formatters import DisplayFormatter

import gatedlib as gl
from gatedlib import explore
from gatedlib.view.explorers import explorer
from gatedlib_book import depth, experiments, reduction
from tests.examples import small

mpl.use("Agg")

COMPOSED = small(
    teachers=gl.Sums(gl.Orthogonal(tasks=2, d_in=6, d_out=2), [(0.5, 0.5)]),
    curriculum=gl.Phases((gl.Blocked(blocks=4), gl.Blocked(blocks=2, order=(2,)))),
)

MAP = xr.DataArray([[0.0, 0.5], [0.5, 1.0]], {"block_length": [0.5, 1.0], "tau_c": [0.05, 0.1]})


def switched():
    """Two networks after a switch, one whose answers change and one whose answers do not, and four pictures."""
    examples = gl.Examples(np.eye(4), np.arange(4))
    tasks = gl.Labellings(((0, 1, 2, 3), (1, 2, 3, 0)))
    steps = gl.Blocked(blocks=2, block_length=1.0)
    learning = gl.Experiment(tasks, gl.GatedLinear(), steps, gl.Flow(0.03, 0.03, dt=0.01, inputs=examples))
    runs = {"learns": learning, "stands still": learning.replace(tau_w=np.inf, tau_c=np.inf)}
    results = {name: gl.simulate(run, [0], (gl.record.matrix,)).isel(seed=0) for name, run in runs.items()}
    called = results["learns"].isel(time=slice(100, None)).matrix.argmax("out").values
    start = 96 + int((called == [1, 2, 3, 0]).all(1).argmax())  # four steps before all answers are those of task B
    after = {name: each.isel(time=slice(start, start + 30)) for name, each in results.items()}
    return after, examples, np.random.default_rng(0).uniform(size=(4, 3, 3))


EXPLORERS = {
    "bench": lambda: explore.bench(small(), seeds=4),
    "smallest": lambda: explore.smallest(small(dt=0.01)),
    "regimes": lambda: explore.regimes(small(dt=0.01)),
    "schedule": lambda: explore.schedule(small(tau_c=0.03, dt=0.01)),
    "session": lambda: explore.session(small(dt=0.01)),
    "switch": lambda: explore.switch(
        reduction.one_switch(experiments.TOY, experiments.SPECIALIST),
        reduction.one_switch(reduction.FORGETFUL_TOY, reduction.OVERWRITER),
    ),
    "compose": lambda: explore.compose(COMPOSED, gl.simulate(COMPOSED, seeds=2), seed=1),
    "second_layer": lambda: explore.second_layer(depth.WITH_COST.replace(dt=0.01, blocks=4)),
    "change_of_mind": lambda: explore.change_of_mind(*switched()),
    "choices": lambda: explore.choices([[0, 1, 1, 0]] * 2, [[1, 0, 1, 1]] * 2, right=[[0, 0, 1, 1]] * 2),
    "gates_by_hand": lambda: explore.gates_by_hand(gl.simulate(small(), seeds=1)),
    "phase_diagram": lambda: explore.phase_diagram(small(dt=0.01), MAP, log="x", networks=2),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_page_holds_small_plain_data_and_a_still_picture_with_words(name):
    made = EXPLORERS[name]()
    page = made.page
    assert f'data-explorer="{name}"' in page
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data, parse_constant=pytest.fail) == {"state": made.state}
    assert len(data) < 60_000
    words, picture = re.search(r'alt="([^"]+)" src="data:image/png;base64,([^"]+)"', page).groups()
    assert len(words) > 30
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert len(page) < 300_000


def test_a_notebook_is_given_the_page_and_then_the_widget(monkeypatch):
    """As two outputs: of one that holds both, nbconvert takes the widget alone."""
    shown = []
    monkeypatch.setattr(explorer, "display", lambda data, **_: shown.append(data))
    made = EXPLORERS["smallest"]()
    assert DisplayFormatter().format(made) == ({}, {})
    page, widget = shown
    assert page["text/html"] == made.page
    assert list(widget) == ["application/vnd.jupyter.widget-view+json"]
    made.close()
    DisplayFormatter().format(made)
    assert shown[2:] == [page]


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_module_is_whole(name):
    """One source without imports, which exports once and by default."""
    source = EXPLORERS[name]()._esm
    assert re.findall(r"(?m)^(?:import|export)\b.*", source) == ["export default {"]
    assert sorted(explore.__all__) == sorted([*EXPLORERS, "Explorer"])


def test_coordinates_keep_all_inner_products(x64):
    teachers, params = small(gate_spread=0.1).draw(3)
    start = explorer.coordinates(teachers, params)
    ours = np.einsum("prd,mrd->pm", start["weights"], start["targets"])
    np.testing.assert_allclose(ours, np.einsum("pij,mij->pm", params.weights, teachers), atol=1e-9)
    lengths = np.einsum("prd,ide,pre->pi", start["weights"], start["gram"], start["weights"])
    np.testing.assert_allclose(lengths, np.sum(params.weights**2, -1), atol=1e-9)
    np.testing.assert_allclose(np.squeeze(start["gates"]), params.gates)


def test_a_picture_is_called_right_on_the_task_that_is_on():
    runs, examples, images = switched()
    learns, still = explore.change_of_mind(runs, examples, images).state["runs"]
    assert learns["wanted"] == still["wanted"] == [1, 2, 3, 0]
    assert learns["called"][0] == [0, 1, 2, 3]
    assert learns["called"][29] == [1, 2, 3, 0]
    assert still["called"][29] == still["called"][0]


def test_the_code_of_a_change_of_mind_names_what_is_shown(capsys):
    runs, examples, images = switched()
    made = explore.change_of_mind(runs, examples, images)
    exec(made.state["code"].replace("{step}", "29"), {"runs": runs, "examples": examples})
    printed = capsys.readouterr().out
    assert "learns [1 2 3 0]" in printed
    assert f"stands still {np.array(made.state['runs'][1]['called'][29])}" in printed


def test_one_network_and_one_picture_are_enough_to_change_a_mind():
    runs, examples, images = switched()
    name, results = next(iter(runs.items()))
    one = gl.Examples(examples.features[:1], examples.classes[:1])
    made = explore.change_of_mind({name: results}, one, images[:1])
    assert np.shape(made.state["runs"][0]["called"]) == (30, 1)


def test_a_penalty_that_the_module_does_not_know_is_refused():
    scaled = small(penalties=(gl.Scaled(0.5, (gl.Nonnegative(0.1), gl.UnitNorm(1.0))),))
    with pytest.raises(ValueError, match=r"penalty = .*: must be a Nonnegative or a UnitNorm or a WeightDecay"):
        explore.regimes(scaled)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (MAP[0], "dims of values = ('tau_c',): must be two names of settings, (up, across)"),
        (MAP.rename(tau_c="speed"), "speed"),
        (MAP.rename(tau_c="dt"), "dims of values = ['dt']: cannot be moved here. Use two of block_length, tau_c"),
    ],
)
def test_the_map_of_an_explorer_is_over_two_settings(values, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        explore.phase_diagram(small(dt=0.01), values)


def test_the_explorer_of_schedules_is_about_two_tasks():
    with pytest.raises(ValueError, match=r"\(3, 2\).*two tasks and two paths"):
        explore.schedule(small(teachers=gl.Orthogonal(tasks=3, d_in=6, d_out=2), order=range(3)))


def test_the_bench_begins_with_the_settings_of_an_experiment():
    experiment = gl.Experiment(
        gl.Correlated(tasks=3, d_in=12, d_out=2, scale=0.5, correlation=0.25),
        gl.TwoLayer(hidden=8, gate_spread=0.1, weight_scale=0.2),
        gl.RandomSwitches(duration=3.0, mean_length=0.5, tasks=3, draw=4),
        gl.Flow(0.7, 0.2, 0.01, (gl.UnitNorm(0.3, ord=2),), gl.Noisy(1, 0.4)),
    )
    values = explore.bench(experiment, seeds=3).state["values"]
    assert values == {
        **{"tasks": 3, "correlation": 0.25, "d_in": 12, "d_out": 2, "length": pytest.approx(0.5 * 12**0.5)},
        **{"student": "two layers", "paths": 3, "hidden": 8, "layer_spread": 0.1, "weight_scale": 0.2},
        **{"gate_init": 0.5, "gate_spread": 0.0, "curriculum": "at random moments", "block_length": 0.5},
        **{"made": "each of its own", "mix": "1 2 1+2", "draw": 4},
        **{"duration": 3.0, "tau_w": 0.7, "tau_c": 0.2, "a": 0.0, "b": 0.3, "norm": "2", "dt": 0.01},
        **{"inputs": "single noisy samples", "noise": 0.4, "seeds": 3},
        **{"rare": 0.25, "round": "A1 B1 A0.5 B0.5", "network": 0, "criterion": 0.4},
    }


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        (small(teachers=gl.Given(np.ones((2, 2, 6)))), "teachers = 'Given': the bench knows Orthogonal, Correlated"),
        (
            small(teachers=gl.Orthogonal(6, 12, 2), curriculum=gl.Blocked(6, 1.0, range(6))),
            "tasks = 6: the bench has room for 5",
        ),
        (small(teachers=gl.Orthogonal(tasks=1, d_in=6, d_out=2), order=(0,)), "tasks = 1: must be two or more"),
        (small(network=gl.GatedLinear(paths=9)), "paths = 9: the bench has room for 8"),
        (small(order=(1, 0)), "tasks in the curriculum = [1, 0]: must be all 2 tasks"),
        (small(curriculum=gl.BlockSequence((0, 1), (1.0, 1.0))), "curriculum = 'BlockSequence'"),
        (small(penalties=(gl.WeightDecay(0.1),)), "penalty = 'WeightDecay'"),
        (small(inputs=gl.Sampled(50)), "inputs = 'Sampled'"),
        (small(inputs=gl.Noisy(2, 0.1)), "batch = 2: the bench has single samples"),
        (small(network=gl.NeuronGated(), penalties=(gl.UnitNorm(0.1, per_neuron=True),)), "per_neuron = True"),
    ],
)
def test_what_the_bench_has_no_room_for_is_refused(experiment, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        explore.bench(experiment)


def test_code_says_where_arrays_belong():
    code = explorer.run_code(experiments.TOY, 0, [gl.record.loss], "results", tau_c="{tau_c}")
    assert "# put your own arrays where ... stands" in code
    assert "matrices=..." in code
    assert "experiment = experiment.replace(tau_c={tau_c})" in code
    assert "..." not in explorer.run_code(small(), 0, [gl.record.loss], "results")
