"""Every bad call is a ValueError that names the value, the rule and the remedy, before anything is computed."""

import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from gatedlib.paper.claims import median, registry
from tests.examples import small

P = gl.Params


def params(weights=(2, 2, 6), gates=(2,)):
    return P(np.zeros(weights), np.zeros(gates))


TABLE = xr.DataArray(np.zeros((2, 6)), dims=("out", "in"))


@gl.record.quantity()
def loss(frame):
    return 2 * frame.loss


BAD = [
    (lambda: gl.Orthogonal(tasks=2, d_in=19, d_out=10), "d_in = 19", "tasks * d_out = 2 * 10 = 20", "Use d_in = 20"),
    (lambda: gl.Orthogonal(tasks=0), "tasks = 0", "whole number, 1 or above", "Use 2"),
    (lambda: gl.Orthogonal(d_out=2.5), "d_out = 2.5", "whole number", "paper uses 10"),
    (lambda: gl.Orthogonal(d_in=True), "d_in = True", "whole number", "paper uses 20"),
    (lambda: gl.Orthogonal(scale=0.0), "scale = 0.0", "above 0", "Leave it out"),
    (lambda: gl.TwoLayer(hidden=0), "hidden = 0", "1 or above", "20"),
    (lambda: gl.TwoLayer(gate_spread=-1.0), "gate_spread = -1.0", "0 or above", "0.07"),
    (lambda: gl.WeightDecay(-0.1), "w = -0.1", "0 or above", "0.01"),
    (lambda: gl.Labellings(()), "numbers of labels = []", "as many labels", "Write"),
    (lambda: gl.Labellings(((0, 1), (0,))), "= [1, 2]", "as many labels", "Write"),
    (lambda: gl.Labellings((0, 1)), "labels = (0, 1)", "one list of labels for every task", "Write"),
    (lambda: gl.Labellings(((0, -1),)), "label = -1", "0 or above", "Write"),
    (lambda: gl.Labellings(((0, 0.5),)), "label = 0.5", "whole number", "Write"),
    (lambda: gl.Examples(np.ones((3, 2)), [0, 1]), "shape of classes = (2,)", "(3,)", "as many classes"),
    (lambda: gl.Examples(np.ones(3), [0, 1, 1]), "shape of features = (3,)", "(sample, in)", "one row per example"),
    (lambda: gl.Examples(np.ones((0, 2)), []), "(0, 2)", "with samples", "one row per example"),
    (lambda: gl.Examples(np.ones((2, 2)), [0.0, 1.0]), "float", "whole numbers", "0, 1"),
    (lambda: gl.Examples(np.ones((2, 2)), [0, -1]), "smallest class = -1", "below 0", "0, 1"),
    (lambda: gl.Examples(np.full((2, 2), np.nan), [0, 1]), "= 4", "must be 0", "Remove nan"),
    (lambda: gl.Examples(np.ones((2, 2)), [0, 1], batch=0), "batch = 0", "1 or above", "100"),
    (lambda: small(inputs=gl.Examples(np.ones((2, 2)), [0, 1])), "teachers = 'Orthogonal'", "labels", "Labellings"),
    (
        lambda: small(inputs=gl.Examples(np.ones((2, 2)), [0, 6]), teachers=gl.Labellings(((0, 1), (1, 0)))),
        "largest class = 6",
        "the tasks name 2 classes, from 0 to 1",
        "Labellings",
    ),
    (lambda: small(teachers=gl.Labellings(((0, 1), (1, 0)))), "inputs = 'Population'", "from examples", "Examples"),
    (lambda: gl.Examples(np.ones((2, 2)), ["cat", "dog"]), "type of classes = '<U3'", "whole numbers", "0, 1"),
    (
        lambda: gl.Flow(1.0, 1.0, inputs=gl.images.load()),
        "inputs = <gatedlib.images.Pictures",
        "Population()",
        "examples",
    ),
    (lambda: gl.record.accuracy(np.ones((2, 2))), "examples = 'ndarray'", "must be Examples", "features.held_out()"),
    (lambda: gl.simulate(small(), 1, gl.record.loss), "record = 'loss'", "list of quantities", "(gl.record.loss,)"),
    (lambda: gl.sweep(small(), record=gl.record.loss, tau_w=[1.0]), "record = 'loss'", "list", "(gl.record.loss,)"),
    (lambda: gl.images.load("digits", "somewhere"), "folder or url = 'somewhere'", "scikit-learn", "Leave it out"),
    (lambda: gl.trunk.features("digits"), "pictures = 'digits'", "must be Pictures", "images.load"),
    (lambda: gl.trunk.features(gl.images.load(), units=0), "units = 0", "1 or above", "64"),
    (lambda: gl.trunk.FineTuned(None), "trunk = None", "must be a Trunk", "gatedlib.trunk.features"),
    (lambda: gl.Given(np.ones((2, 3))), "(2, 3)", "(task, out, in)", "Stack"),
    (lambda: gl.Given(np.ones((2, 0, 3))), "(2, 0, 3)", "no empty axis", "Stack"),
    (lambda: gl.Given(np.full((1, 1, 2), np.nan)), "= 2", "must be 0", "Remove nan"),
    (lambda: gl.GatedLinear(paths=0), "paths = 0", "1 or above", "Use one path per task"),
    (lambda: gl.GatedLinear(gate_init=-0.5), "gate_init = -0.5", "0 or above", "0.5"),
    (lambda: gl.GatedLinear(weight_scale=float("inf")), "weight_scale = inf", "finite", "0.01"),
    (lambda: gl.GatedLinear(weight_scale="big"), "weight_scale = 'big'", "number", "0.01"),
    (lambda: gl.Blocked(blocks=0), "blocks = 0", "1 or above", "20"),
    (lambda: gl.Blocked(block_length=0), "block_length = 0", "above 0", "1.0"),
    (lambda: gl.Blocked(block_length=-1.0), "block_length = -1.0", "above 0", "1.0"),
    (lambda: gl.Blocked(order=()), "order = ()", "at least one task", "(0, 1)"),
    (lambda: gl.Blocked(order=(0, -1)), "= -1", "0 or above", "counted from 0"),
    (lambda: gl.Blocked(blocks=2, duration=4.0), "blocks = 2", "only one can hold", "Leave one of the two out"),
    (lambda: gl.Blocked(duration=0.0), "duration = 0.0", "above 0", "7.0"),
    (lambda: small(curriculum=gl.Blocked(duration=1.01)), "duration = 1.01 with dt", "whole number", "Use 1 or 1.02"),
    (lambda: gl.Phases(()), "phases = ()", "at least one", "Write"),
    (lambda: gl.Phases(gl.Blocked(blocks=1).order), "phases = (0, 1)", "must be curricula", "Write"),
    (lambda: gl.Phases(gl.Blocked(blocks=1)), "phases = Blocked", "must be curricula", "Write"),
    (lambda: gl.Sums(gl.Orthogonal(), []), "weights = ()", "at least one composite", "(0.5, 0.5, 0)"),
    (lambda: gl.Sums(gl.Orthogonal(), [(0.5, 0.5, 0.0)]), "(0.5, 0.5, 0.0)", "2 entries", "(0.5, 0.5, 0)"),
    (lambda: gl.Sums(gl.Orthogonal(), [0.5, 0.5]), "composite in weights = 0.5", "2 entries", "Write"),
    (lambda: gl.Sums(gl.Orthogonal(), [(0.5, None)]), "weight = None", "finite number", "Write"),
    (lambda: gl.Sums(gl.Orthogonal(), [(0.5, np.inf)]), "weight = inf", "finite number", "Write"),
    (lambda: gl.Sums(np.ones((2, 3, 4)), [(0.5, 0.5)]), "of = array", "must be teachers", "first"),
    (lambda: gl.RowMixtures(gl.Orthogonal(d_out=3), [(0, 1)]), "rows = (0, 1)", "3 entries", "(0, 1, 0, 1)"),
    (lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), [(0, 2)]), "task in rows = 2", "from 0 to 1", "these tasks only"),
    (lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), [(0, -1)]), "task in rows = -1", "0 or above", "from 0"),
    (lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), "AB"), "rows = 'AB'", "at least one composite", "Write"),
    (lambda: gl.UnitNorm(1.0, per_neuron=1), "per_neuron = 1", "True or False", "released code"),
    (lambda: gl.transfer.mixtures(gl.simulate(small()), [(1, 0, 0)]), "(1, 3)", "must be (mixtures, 2)", "Write"),
    (lambda: gl.transfer.best_gates(gl.simulate(small()), TABLE), "('out', 'in')", "seed, out and in", "mixtures"),
    (
        lambda: gl.transfer.best_gates(gl.simulate(small(), seeds=2), gl.simulate(small(), seeds=[1, 0]).teachers),
        "seeds of targets = [1, 0]",
        "those of the results, [0, 1]",
        "same results",
    ),
    (lambda: gl.transfer.mixtures(gl.simulate(small()), [(1, np.nan)]), "not finite = 1", "must be 0", "Remove"),
    (lambda: gl.transfer.parts(gl.sweep(small(), tau_c=[0.1, 0.2])), "['tau_c']", "hold a sweep", "results.cell"),
    (
        lambda: gl.transfer.adapt(small(scale=3.0), gl.simulate(small()), [1, 0]),
        "teachers.scale = 3.0",
        "was 'default' in the results",
        "came from",
    ),
    (
        lambda: gl.transfer.adapt(small(), gl.simulate(small()), [1, 0], 0.03),
        "duration = 0.03",
        "whole",
        "0.02 or 0.04",
    ),
    (lambda: gl.transfer.adaptation_time(1.0, 0.3, 0.03, 0.0), "theta = 0.0", "above 0", "a loss, and"),
    (lambda: gl.transfer.adapt(small(), gl.simulate(small()), [1.0]), "weights = 1", "must be 2", "(0.5, 0.5)"),
    (lambda: gl.transfer.adaptation_time(-1.0, 0.3, 0.03, 0.1), "distance = -1.0", "0 or above", "two mixtures"),
    (lambda: gl.RandomSwitches(duration=0.0), "duration = 0.0", "above 0", "20.0"),
    (lambda: gl.RandomSwitches(1.0, mean_length=-1.0), "mean_length = -1.0", "above 0", "1.0"),
    (lambda: gl.RandomSwitches(1.0, tasks=1), "tasks = 1", "2 or above", "another task"),
    (lambda: gl.RandomSwitches(1.0, draw=0.5), "draw = 0.5", "whole number", "different sequences"),
    (lambda: gl.RandomSwitches(1.0, 0.01).schedule(0.1), "mean_length = 0.01", "at least one step", "shorter dt"),
    (lambda: gl.Correlated(correlation=1.5), "correlation = 1.5", "1 or below", "equal teachers"),
    (lambda: gl.Correlated(correlation=-0.5), "correlation = -0.5", "0 or above", "orthogonal"),
    (lambda: gl.Correlated(d_in=19), "d_in = 19", "tasks * d_out", "Use d_in = 20"),
    (lambda: gl.WeightCost(-1.0), "w = -1.0", "0 or above", "0.194"),
    (lambda: gl.Scaled(-1.0, ()), "strength = -1.0", "0 or above", "switches them off"),
    (lambda: gl.Scaled(1.0, gl.UnitNorm(1.0)), "penalties = UnitNorm", "tuple of penalties", "Write"),
    (lambda: small(penalties=(gl.Scaled(20.0, (gl.UnitNorm(1.0),)),)), "dt = 0.02", "= 0.005", "weaken the penalty"),
    (lambda: gl.Sequence((0, 1), (1.0,)), "number of lengths = 1", "number of tasks, 2", "one length per block"),
    (lambda: gl.Sequence((0, 1), (1.0, 0.0)), "length = 0.0", "above 0", "time units"),
    (lambda: gl.Nonnegative(-0.1), "a = -0.1", "0 or above", "0.0909"),
    (lambda: gl.Nonnegative(float("nan")), "a = nan", "finite number", "0.0909"),
    (lambda: gl.UnitNorm(-1), "b = -1", "0 or above", "0.909"),
    (lambda: gl.UnitNorm(1.0, ord=3), "ord = 3", "1 or 2", "Use 1"),
    (lambda: gl.Sampled(0), "batch = 0", "1 or above", "Population()"),
    (lambda: gl.Sampled(2.0), "batch = 2.0", "whole number", "Population()"),
    (lambda: gl.Flow(tau_w=0.0, tau_c=1.0), "tau_w = 0.0", "above 0", "1.3"),
    (lambda: gl.Flow(tau_w=1.0, tau_c=-1.0), "tau_c = -1.0", "above 0", "0.03"),
    (lambda: gl.Flow(tau_w=None, tau_c=1.0), "tau_w = None", "number above 0", "1.3"),
    (lambda: gl.Flow(1.0, 1.0, dt=0.0), "dt = 0.0", "above 0", "0.001"),
    (lambda: gl.Flow(1.0, 1.0, dt=float("inf")), "dt = inf", "finite", "0.001"),
    (
        lambda: gl.Flow(1.0, 1.0, penalties=gl.Nonnegative(1.0)),
        "penalties = Nonnegative",
        "tuple of penalties",
        "Write",
    ),
    (lambda: gl.Flow(1.0, 1.0, penalties=("unit_norm",)), "'unit_norm'", "tuple of penalties", "Write"),
    (lambda: gl.Flow(1.0, 1.0, inputs=200), "inputs = 200", "Population() or Sampled(batch)", "Sampled(200)"),
    (lambda: small(teachers=np.ones((2, 2, 6))), "teachers = array", "must be a Teachers", "gatedlib.Teachers"),
    (lambda: small(order=(0, 2)), "[2]", "from 0 to 1", "Add teachers"),
    (lambda: small(block_length=0.99), "block_length = 0.99", "whole number of steps", "Use 0.98 or 1"),
    (lambda: small(dt=0.03), "block_length = 1.0 with dt = 0.03", "whole number of steps", "Use 0.99 or 1.02"),
    (lambda: small(b=10.0), "dt = 0.02", "dt < 2 tau_c / curvature = 0.01", "Reduce dt"),
    (lambda: small(tau_q=0.1), "setting = 'tau_q'", "no such setting", "Did you mean tau"),
    (lambda: gl.simulate(small(), seeds=0), "seeds = 0", "1 or above", "Ask for a number"),
    (lambda: gl.simulate(small(), seeds=-3), "seeds = -3", "1 or above", "Ask for a number"),
    (lambda: gl.simulate(small(), seeds=[]), "seeds = []", "at least one", "list such as"),
    (lambda: gl.simulate(small(), seeds=[1, 1]), "seeds = [1, 1]", "not repeat", "list such as"),
    (lambda: gl.simulate(small(), seeds=[0.5]), "seed = 0.5", "whole number", "list such as"),
    (lambda: gl.simulate(small(), seeds=[2**31]), f"seed = {2**31}", "below 2**31", "list such as"),
    (lambda: gl.simulate(small(), every=3), "every = 3", "divide the number of steps, 200", "Use 2 or 4"),
    (lambda: gl.simulate(small(), every=0), "every = 0", "1 or above", "Use 1"),
    (lambda: gl.simulate(small(), record=()), "record = []", "keep something", "default record"),
    (lambda: gl.simulate(small(), record=("loss",)), "record = 'loss'", "made of quantities", "gatedlib.record"),
    (lambda: gl.simulate(small(), record=(gl.record.loss, loss)), "['loss', 'loss']", "not repeat", "Rename"),
    (lambda: gl.simulate(small(), initial=params((2, 6, 2))), "weights = (2, 6, 2)", "must be (2, 2, 6)", "Compare"),
    (lambda: gl.simulate(small(), seeds=4, initial=params(gates=(3, 2))), "gates = (3, 2)", "(4, 2)", "Compare"),
    (lambda: gl.simulate(small(), initial=P(np.full((2, 2, 6), np.inf), np.ones(2))), "inf", "finite", "Mend"),
    (lambda: gl.simulate(small()).pipe(metrics.time_to_criterion, -1), "theta = -1", "above 0", "0.1"),
    (lambda: metrics.specialization(gl.simulate(small(paths=1))), "number of paths = 1", "2 or more", "at least two"),
    (lambda: metrics.end_of_block(None, None, 2.0), "fraction = 2.0", "at most 1", "0.05"),
    (lambda: registry("17"), "figure = '17'", "no such figure", "Did you mean"),
    (lambda: median(metrics.end_loss(gl.simulate(small(), seeds=5))), "seeds = 5", "6 or more", "Use 30"),
]


@pytest.mark.parametrize(("call", "value", "rule", "remedy"), BAD)
def test_refusals_name_value_rule_and_remedy(call, value, rule, remedy):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        call()
    message = str(refusal.value)
    for part in (value, rule, remedy):
        assert part in message, message


def test_a_name_that_stands_twice_is_ambiguous():
    twice = small(penalties=(gl.UnitNorm(0.1), gl.UnitNorm(0.2, ord=2)))
    with pytest.raises(ValueError, match="setting = 'b': stands in more than one part"):
        twice.replace(b=0.3)
