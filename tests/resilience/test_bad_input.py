"""Every bad call is a ValueError that names the value, the rule and the remedy, before anything is computed."""

import re

import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from gatedlib_book.claims import registry
from gatedlib_book.estimates import median
from gatedlib_book.scorecard import judge_all
from tests.examples import small

P = gl.Params


def params(weights=(2, 2, 6), gates=(2,)):
    return P(np.zeros(weights), np.zeros(gates))


TABLE = xr.DataArray(np.zeros((2, 6)), dims=("out", "in"))


def toy():
    """Two tasks of two outputs and one input."""
    return small(teachers=gl.Given(np.eye(2)[:, :, None]))


def twice():
    """Two penalties with the same name of their strength."""
    return small(penalties=(gl.UnitNorm(0.1), gl.UnitNorm(0.2, ord=2)))


@gl.record.quantity()
def loss(frame):
    return 2 * frame.loss


BAD = [
    (lambda: gl.trials.gates_after([0.5, 0.5], [1, 0], 1, tau_c=0.0), "smallest tau_c = 0.0: must be above 0"),
    (lambda: gl.trials.gates_after([0.5, 0.5], [1, 0], 1, tau_c=1.0, b=-1), "smallest b = -1.0: must not be negative"),
    (lambda: gl.trials.gates_after([0.5, -0.5], [1, 0], 1, tau_c=1.0), "lowest gate = -0.5: must not be negative"),
    (
        lambda: gl.trials.gates_after([0.5, 0.5], [1, 0, 0], 1, tau_c=1.0),
        "shape of predictions = (3,): must end with as many numbers as the gates, whose shape is (2,)",
    ),
    (
        lambda: gl.trials.gates_after([0.5, 0.5], [1, 0], np.nan, tau_c=1.0),
        "outcome that are not finite = 1: must be 0",
    ),
    (
        lambda: gl.explore.choices([[0, 1, 2]], [[0, 1, 1]]),
        "entries of chosen that are neither 0 nor 1 = 1: must be none",
    ),
    (
        lambda: gl.explore.choices([[0, 1]], [[0, 1, 1]]),
        "shape of outcomes = (1, 3): must be (series, trial), (1, 2) as of the choices",
    ),
    (
        lambda: gl.explore.choices([[0, 1]], [[0, 1]], names=("a", "b")),
        "names = ('a', 'b'): must be 1 different ones, one for each series",
    ),
    (
        lambda: gl.Orthogonal(tasks=2, d_in=19, d_out=10),
        "d_in = 19: orthogonal teachers need d_in >= tasks * d_out = 2 * 10 = 20",
    ),
    (lambda: gl.Orthogonal(tasks=0), "tasks = 0: must be a whole number, 1 or above"),
    (lambda: gl.Orthogonal(d_out=2.5), "d_out = 2.5: must be a whole number, 1 or above"),
    (lambda: gl.Orthogonal(d_in=True), "d_in = True: must be a whole number, 1 or above"),
    (lambda: gl.Orthogonal(scale=0.0), "scale = 0.0: must be a number above 0, and finite"),
    (lambda: gl.TwoLayer(hidden=0), "hidden = 0: must be a whole number, 1 or above"),
    (lambda: gl.TwoLayer(gate_spread=-1.0), "gate_spread = -1.0: must be a finite number, 0 or above"),
    (lambda: gl.WeightDecay(-0.1), "weight_decay = -0.1: must be a finite number, 0 or above"),
    (
        lambda: gl.Labellings(()),
        "numbers of labels = []: must be one number: as many labels in each task as there are classes",
    ),
    (
        lambda: gl.Labellings(((0, 1), (0,))),
        "numbers of labels = [1, 2]: must be one number: as many labels in each task as there are classes",
    ),
    (lambda: gl.Labellings((0, 1)), "labels = (0, 1): must be one list of labels for every task"),
    (lambda: gl.Labellings(((0, -1),)), "label = -1: must be a whole number, 0 or above"),
    (lambda: gl.Labellings(((0, 0.5),)), "label = 0.5: must be a whole number, 0 or above"),
    (lambda: gl.Examples(np.ones((3, 2)), [0, 1]), "shape of classes = (2,): must be (3,), one class per example"),
    (lambda: gl.Examples(np.ones(3), [0, 1, 1]), "shape of features = (3,): must be (sample, in), with samples"),
    (lambda: gl.Examples(np.ones((0, 2)), []), "shape of features = (0, 2): must be (sample, in), with samples"),
    (lambda: gl.Examples(np.ones((2, 2)), [0.0, 1.0]), "type of classes = 'float32': must be a type of whole numbers"),
    (lambda: gl.Examples(np.ones((2, 2)), [0, -1]), "smallest class = -1: must not be below 0"),
    (lambda: gl.Examples(np.full((2, 2), np.nan), [0, 1]), "features that are not finite = 4: must be 0"),
    (lambda: gl.Examples(np.ones((2, 2)), [0, 1], batch=0), "batch = 0: must be a whole number, 1 or above"),
    (lambda: small(inputs=gl.Examples(np.ones((2, 2)), [0, 1])), "teachers = 'Orthogonal': examples have labels"),
    (
        lambda: small(inputs=gl.Examples(np.ones((2, 2)), [0, 6]), teachers=gl.Labellings(((0, 1), (1, 0)))),
        "largest class = 6: the tasks name 2 classes, from 0 to 1",
    ),
    (
        lambda: small(teachers=gl.Labellings(((0, 1), (1, 0)))),
        "inputs = 'Population': labels are learned from examples",
    ),
    (lambda: gl.Examples(np.ones((2, 2)), ["cat", "dog"]), "type of classes = '<U3': must be a type of whole numbers"),
    (
        lambda: gl.Flow(1.0, 1.0, inputs=gl.images.load()),
        "inputs = Pictures('digits', 1437 to learn from, 360 held out): must be "
        "Population(), Sampled(batch), Noisy(…) or Examples(…)",
    ),
    (lambda: gl.simulate(small(), 1, gl.record.loss), "record = 'loss': must be a list of quantities"),
    (lambda: gl.sweep(small(), record=gl.record.loss, tau_w=[1.0]), "record = 'loss': must be a list of quantities"),
    (
        lambda: gl.images.load("digits", "somewhere"),
        "folder or url = 'somewhere': digits come with scikit-learn, not from a folder or an address",
    ),
    (lambda: gl.trunk.features(gl.images.load(), units=0), "units = 0: must be a whole number, 1 or above"),
    (lambda: gl.Given(np.ones((2, 3))), "shape of matrices = (2, 3): must be (task, out, in), three axes"),
    (lambda: gl.Given(np.ones((2, 0, 3))), "shape of matrices = (2, 0, 3): must have no empty axis"),
    (lambda: gl.Given(np.full((1, 1, 2), np.nan)), "entries that are not finite = 2: must be 0"),
    (lambda: gl.GatedLinear(paths=0), "paths = 0: must be a whole number, 1 or above"),
    (lambda: gl.GatedLinear(gate_init=-0.5), "gate_init = -0.5: must be a finite number, 0 or above"),
    (lambda: gl.GatedLinear(weight_scale=float("inf")), "weight_scale = inf: must be a finite number, 0 or above"),
    (lambda: gl.GatedLinear(weight_scale="big"), "weight_scale = 'big': must be a finite number, 0 or above"),
    (lambda: gl.Blocked(blocks=0), "blocks = 0: must be a whole number, 1 or above"),
    (lambda: gl.Blocked(block_length=0), "block_length = 0: must be a number above 0, and finite"),
    (lambda: gl.Blocked(block_length=-1.0), "block_length = -1.0: must be a number above 0, and finite"),
    (lambda: gl.Blocked(order=()), "order = (): must name at least one task"),
    (lambda: gl.Blocked(order=(0, -1)), "task in order = -1: must be a whole number, 0 or above"),
    (lambda: gl.Blocked(blocks=2, duration=4.0), "blocks = 2: there is a duration too, and only one can hold"),
    (lambda: gl.Blocked(duration=0.0), "duration = 0.0: must be a number above 0, and finite"),
    (
        lambda: small(curriculum=gl.Blocked(duration=1.01)),
        "duration = 1.01 with dt = 0.02: it must be a whole number of steps, this one has 50.5",
    ),
    (lambda: gl.Phases(()), "phases = (): must be curricula, at least one"),
    (
        lambda: small(teachers=gl.Orthogonal(tasks=3, d_in=6, d_out=2), curriculum=gl.Blocked(blocks=2)),
        "order = None: there are 3 tasks, and unless told this curriculum alternates two of them",
    ),
    (
        lambda: small(
            teachers=gl.Orthogonal(tasks=3, d_in=6, d_out=2),
            curriculum=gl.Phases((gl.Blocked(blocks=2, order=(0, 2)), gl.RandomSwitches(2.0))),
        ),
        "tasks = None: there are 3 tasks, and unless told this curriculum alternates two of them",
    ),
    (lambda: gl.Phases((0, 1)), "phases = (0, 1): must be curricula, at least one"),
    (lambda: gl.Phases(gl.Blocked(blocks=1)), "phases = Blocked(blocks=1): must be curricula, at least one"),
    (lambda: gl.Sums(gl.Orthogonal(), []), "weights = (): must list at least one composite"),
    (
        lambda: gl.Sums(gl.Orthogonal(), [(0.5, 0.5, 0.0)]),
        "composite in weights = (0.5, 0.5, 0.0): must have 2 entries, one weight for each task",
    ),
    (
        lambda: gl.Sums(gl.Orthogonal(), [0.5, 0.5]),
        "composite in weights = 0.5: must have 2 entries, one weight for each task",
    ),
    (lambda: gl.Sums(gl.Orthogonal(), [(0.5, None)]), "weight = None: must be a finite number"),
    (lambda: gl.Sums(gl.Orthogonal(), [(0.5, np.inf)]), "weight = inf: must be a finite number"),
    (
        lambda: gl.Sums(np.ones((2, 3, 4)), [(0.5, 0.5)]),
        "base = an array of shape (2, 3, 4): must be teachers, such as Orthogonal(tasks=3)",
    ),
    (
        lambda: gl.RowMixtures(gl.Orthogonal(d_out=3), [(0, 1)]),
        "composite in rows = (0, 1): must have 3 entries, the task of each row",
    ),
    (
        lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), [(0, 2)]),
        "task in rows = 2: there are 2 tasks, so they run from 0 to 1",
    ),
    (
        lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), [(0, -1)]),
        "task in rows = -1: must be a whole number, 0 or above",
    ),
    (lambda: gl.RowMixtures(gl.Orthogonal(d_out=2), "AB"), "rows = 'AB': must list at least one composite"),
    (
        lambda: gl.transfer.mixtures(gl.simulate(small()), [(1, 0, 0)]),
        "shape of weights = (1, 3): must be (mixtures, 2), one number for each task",
    ),
    (
        lambda: gl.transfer.best_gates(gl.simulate(small(), seeds=2), gl.simulate(small(), seeds=[1, 0]).teachers),
        "seeds of targets = [1, 0]: must be those of the results, [0, 1]",
    ),
    (lambda: gl.transfer.mixtures(gl.simulate(small()), [(1, np.nan)]), "weights that are not finite = 1: must be 0"),
    (
        lambda: gl.plotting.loss(gl.sweep(small(), tau_c=[0.1, 0.2])),
        "results = ['tau_c']: these results hold a sweep, or several runs side by side",
    ),
    (
        lambda: gl.transfer.adapt(small(scale=3.0), gl.simulate(small()), [1, 0]),
        "teachers.scale = 3.0: was 'default' in the results",
    ),
    (
        lambda: gl.transfer.adapt(small(), gl.simulate(small()), [1, 0], 0.03),
        "duration = 0.03 with dt = 0.02: it must be a whole number of steps, this one has 1.5",
    ),
    (lambda: gl.transfer.adaptation_time(1.0, 0.3, 0.03, 0.0), "theta = 0.0: must be a number above 0, and finite"),
    (
        lambda: gl.transfer.adapt(small(), gl.simulate(small()), [1.0]),
        "number of weights = 1: must be 2, one for each task",
    ),
    (lambda: gl.transfer.adaptation_time(-1.0, 0.3, 0.03, 0.1), "distance = -1.0: must be a finite number, 0 or above"),
    (lambda: gl.RandomSwitches(duration=0.0), "duration = 0.0: must be a number above 0, and finite"),
    (lambda: gl.RandomSwitches(1.0, mean_length=-1.0), "mean_length = -1.0: must be a number above 0, and finite"),
    (lambda: gl.RandomSwitches(1.0, tasks=1), "tasks = 1: must be a whole number, 2 or above"),
    (lambda: gl.RandomSwitches(1.0, draw=0.5), "draw = 0.5: must be a whole number, 0 or above"),
    (lambda: gl.RandomSwitches(1.0, 0.01).schedule(0.1), "mean_length = 0.01: must be at least one step, dt = 0.1"),
    (lambda: gl.Correlated(correlation=1.5), "correlation = 1.5: must be 1 or below"),
    (lambda: gl.Correlated(correlation=-0.5), "correlation = -0.5: must be a finite number, 0 or above"),
    (lambda: gl.Correlated(d_in=19), "d_in = 19: orthogonal teachers need d_in >= tasks * d_out = 2 * 10 = 20"),
    (lambda: gl.WeightCost(-1.0), "column_cost = -1.0: must be a finite number, 0 or above"),
    (
        lambda: gl.Scaled(-1.0, ()),
        "strength = -1.0: must be a finite number, 0 or above",
    ),
    (lambda: gl.Scaled(1.0, gl.UnitNorm(1.0)), "penalties = UnitNorm(b=1.0): must be a tuple of penalties"),
    (
        lambda: small(penalties=(gl.Scaled(20.0, (gl.UnitNorm(1.0),)),)),
        "dt = 0.02: gates under these penalties are stable only for dt < 2 tau_c / stiffness = 0.005",
    ),
    (lambda: gl.BlockSequence((0, 1), (1.0,)), "number of lengths = 1: must be the number of tasks, 2"),
    (lambda: gl.BlockSequence((0, 1), (1.0, 0.0)), "length = 0.0: must be a number above 0, and finite"),
    (lambda: gl.Nonnegative(-0.1), "a = -0.1: must be a finite number, 0 or above"),
    (lambda: gl.Nonnegative(float("nan")), "a = nan: must be a finite number, 0 or above"),
    (lambda: gl.UnitNorm(-1), "b = -1: must be a finite number, 0 or above"),
    (lambda: gl.UnitNorm(1.0, ord=3), "ord = 3: must be 1 or 2"),
    (lambda: gl.Sampled(0), "batch = 0: must be a whole number, 1 or above"),
    (lambda: gl.Sampled(2.0), "batch = 2.0: must be a whole number, 1 or above"),
    (lambda: gl.Flow(tau_w=0.0, tau_c=1.0), "tau_w = 0.0: must be a number above 0"),
    (lambda: gl.Flow(tau_w=1.0, tau_c=-1.0), "tau_c = -1.0: must be a number above 0"),
    (lambda: gl.Flow(tau_w=None, tau_c=1.0), "tau_w = None: must be a number above 0"),
    (lambda: gl.Flow(1.0, 1.0, dt=0.0), "dt = 0.0: must be a number above 0, and finite"),
    (lambda: gl.Flow(1.0, 1.0, dt=float("inf")), "dt = inf: must be a number above 0, and finite"),
    (
        lambda: gl.Flow(1.0, 1.0, penalties=gl.Nonnegative(1.0)),
        "penalties = Nonnegative(a=1.0): must be a tuple of penalties",
    ),
    (lambda: gl.Flow(1.0, 1.0, penalties=("unit_norm",)), "penalties = ('unit_norm',): must be a tuple of penalties"),
    (
        lambda: gl.Flow(1.0, 1.0, inputs=200),
        "inputs = 200: must be Population(), Sampled(batch), Noisy(…) or Examples(…)",
    ),
    (lambda: small(teachers=np.ones((2, 2, 6))), "teachers = an array of shape (2, 2, 6): must be a Teachers"),
    (lambda: small(order=(0, 2)), "tasks in the curriculum = [2]: there are 2 teachers, so tasks run from 0 to 1"),
    (
        lambda: small(block_length=0.99),
        "block_length = 0.99 with dt = 0.02: it must be a whole number of steps, this one has 49.5",
    ),
    (
        lambda: small(dt=0.03),
        "block_length = 1.0 with dt = 0.03: it must be a whole number of steps, this one has 33.3333",
    ),
    (
        lambda: small(b=10.0),
        "dt = 0.02: gates under these penalties are stable only for dt < 2 tau_c / stiffness = 0.01",
    ),
    (lambda: small(tau_q=0.1), "setting = 'tau_q': there is no such setting"),
    (lambda: gl.simulate(small(), seeds=0), "seeds = 0: must be a whole number, 1 or above"),
    (lambda: gl.simulate(small(), seeds=-3), "seeds = -3: must be a whole number, 1 or above"),
    (lambda: gl.simulate(small(), seeds=[]), "seeds = []: must hold at least one seed"),
    (lambda: gl.simulate(small(), seeds=[1, 1]), "seeds = [1, 1]: must not repeat a seed"),
    (lambda: gl.simulate(small(), seeds=[0.5]), "seed = 0.5: must be a whole number, 0 or above"),
    (lambda: gl.simulate(small(), seeds=[2**31]), "seed = 2147483648: must be below 2**31"),
    (lambda: gl.simulate(small(), every=3), "every = 3: must divide the number of steps, 200"),
    (lambda: gl.simulate(small(), every=0), "every = 0: must be a whole number, 1 or above"),
    (lambda: gl.simulate(small(), record=()), "record = []: must keep something"),
    (lambda: gl.simulate(small(), record=("loss",)), "record = 'loss': must be made of quantities"),
    (lambda: gl.simulate(small(), record=(gl.record.loss, loss)), "record = ['loss', 'loss']: must not repeat a name"),
    (
        lambda: gl.simulate(small(), initial=params((2, 6, 2))),
        "shape of initial weights = (2, 6, 2): must be (2, 2, 6), or (10, 2, 2, 6) with one set per seed",
    ),
    (
        lambda: gl.simulate(small(), seeds=4, initial=params(gates=(3, 2))),
        "shape of initial gates = (3, 2): must be (2,), or (4, 2) with one set per seed",
    ),
    (
        lambda: gl.simulate(small(), initial=P(np.full((2, 2, 6), np.inf), np.ones(2))),
        "initial weights that are not finite = 24: must be 0",
    ),
    (
        lambda: gl.simulate(small()).pipe(metrics.time_to_criterion, -1),
        "theta = -1: must be a number above 0, and finite",
    ),
    (lambda: metrics.specialization(gl.simulate(small(paths=1))), "number of paths = 1: must be 2 or more to be apart"),
    (lambda: metrics.end_of_block(None, None, 2.0), "fraction = 2.0: must be at most 1"),
    (lambda: registry("17"), "figure = '17': there is no such figure"),
    (
        lambda: median(metrics.end_loss(gl.simulate(small(), seeds=5))),
        "seeds = 5: a 95 % interval of a median needs 6 or more",
    ),
    (lambda: gl.solve(small(inputs=gl.Sampled(5))), "inputs = 'Sampled': only Population can be solved"),
    (
        lambda: gl.solve(small(network=gl.NeuronGated(paths=2))),
        "network = 'NeuronGated': only GatedLinear can be solved",
    ),
    (lambda: gl.solve(small(), rtol=0), "rtol = 0: must be a number above 0, and finite"),
    (lambda: gl.solve(small(), rtol=0.5), "rtol = 0.5: must be from 1e-12 to 0.1"),
    (lambda: gl.simulate(small(), record=None), "record = None: must be a list of quantities"),
    (lambda: gl.simulate(small(), seeds=None), "seeds = None: must be a number or a list of numbers"),
    (lambda: gl.simulate(small(), seeds=1.5), "seeds = 1.5: must be a number or a list of numbers"),
    (lambda: gl.sweep(small(), tau_c=[0.1], measure=3), "measure = 3: must be a function of results"),
    (lambda: gl.sweep(small(), tau_c=[0.1], save=3), "save = 3: must be a str or a PathLike"),
    (lambda: small().draw(-1), "seed = -1: must be a whole number, 0 or above"),
    (lambda: small().draw("a"), "seed = 'a': must be a whole number, 0 or above"),
    (lambda: gl.Given("teachers"), "matrices = 'teachers': must be an array of real numbers"),
    (lambda: gl.Given([[["a"]]]), "matrices = [[['a']]]: must be an array of real numbers"),
    (lambda: gl.Given([[[1.0], [1.0, 2.0]]]), "matrices = [[[1.0], [1.0, 2.0]]]: must be an array of real numbers"),
    (
        lambda: gl.Given(np.ones((1, 1, 1)) * 1j),
        "matrices = an array of shape (1, 1, 1): must be an array of real numbers",
    ),
    (lambda: gl.Examples(None, [0]), "features = None: must be an array of real numbers"),
    (lambda: gl.Blocked(order=3), "order = 3: must be a list of tasks"),
    (lambda: gl.Blocked(order="ab"), "order = 'ab': must be a list of tasks"),
    (lambda: gl.BlockSequence((), ()), "tasks = (): must name at least one task"),
    (lambda: gl.BlockSequence(3, (1.0,)), "tasks = 3: must be a list of tasks"),
    (lambda: gl.BlockSequence((0,), 1.0), "lengths = 1.0: must be a list of lengths"),
    (lambda: gl.Spectral(values=()), "values = (): must hold at least one singular value above 0"),
    (lambda: gl.Spectral(values=(-1.0,)), "singular value = -1.0: must be a finite number, 0 or above"),
    (lambda: gl.Spectral(values=(1.0,), d_in=1), "d_in = 1: 2 teachers with 1 singular values need d_in >= 2"),
    (lambda: gl.Noisy(1, -1.0), "noise = -1.0: must be a number above 0, and finite"),
    (lambda: gl.NeuronGated(paths=0), "paths = 0: must be a whole number, 1 or above"),
    (lambda: gl.Experiment(gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(), None), "flow = None: must be a Flow"),
    (lambda: small().replace(tau_c="fast"), "tau_c = 'fast': must be a number above 0"),
    (lambda: twice().replace(b=0.3), "setting = 'b': stands in more than one part"),
    (
        lambda: metrics.total_alignment(gl.simulate(small(), 1, (gl.record.loss,))),
        "recorded quantities = ['final_gates', 'final_weights', 'loss', 'teachers']: must include 'alignment'",
    ),
    (
        lambda: metrics.post_switch_loss(gl.simulate(small(), 1), steps=999),
        "steps = 999: takes blocks of 1000 steps, the longest has 50",
    ),
    (lambda: metrics.switch_cost(gl.simulate(small(), 1), steps=-1), "steps = -1: must be a whole number, 1 or above"),
    (lambda: metrics.switch_cost(gl.simulate(small(), 1, every=2)), "every = 2: must be 1: every step counts here"),
    (lambda: gl.results.cell(gl.simulate(small(), 1)), "grid = 'Dataset': is no result of a sweep"),
    (
        lambda: gl.reduction.teacher_span(np.ones((2, 3))),
        "shape of matrices = (2, 3): must be (task, out, in), three axes",
    ),
    (lambda: gl.reduction.kernel(params(), 0, 1), "tau_w = 0: must be a number above 0, and finite"),
    (
        lambda: gl.reduction.teacher_span(np.ones((2, 1, 3))).project(np.ones(5)),
        "dimensions = 1: must be the number of teachers, 2",
    ),
    (lambda: gl.theory.Switch(1.0, -1.0), "tau_c = -1.0: must be a number above 0, and finite"),
    (lambda: gl.theory.alternation_loss(-1, 0.03, 1, 0.1), "run_length = -1: must be above 0 throughout"),
    (
        lambda: gl.observer.posterior(gl.simulate(small(), 1)),
        "recorded quantities = ['alignment', 'final_gates', 'final_weights', 'gate_speed', 'gates', "
        "'loss', 'teachers', 'weight_products', 'weight_speed']: must include 'teacher_losses'",
    ),
    (
        lambda: gl.observer.steps_to_certainty(gl.simulate(small(), 1).loss, gl.simulate(small(), 1), level=2.0),
        "level = 2.0: must be below 1",
    ),
    (lambda: gl.transfer.mixtures(gl.simulate(small(), 1), "AB"), "weights = 'AB': must be an array of real numbers"),
    (lambda: gl.images.load("cats"), "data set = 'cats': there is no such data set"),
    (lambda: gl.images.load(3), "data set = 3: there is no such data set"),
    (lambda: gl.trunk.features(gl.images.load(), seed=-1), "seed = -1: must be a whole number, 0 or above"),
    (
        lambda: gl.plotting.loss(gl.simulate(small(), 1, (gl.record.gates,))),
        "recorded quantities = ['final_gates', 'final_weights', 'gates', 'teachers']: must include 'loss'",
    ),
    (
        lambda: gl.plotting.plane(gl.simulate(small(), 1, (gl.record.gates, gl.record.weights))),
        "outputs and inputs = (2, 6): a plane has two",
    ),
    (
        lambda: gl.plotting.plane(gl.simulate(toy(), 1, (gl.record.gates, gl.record.weights)), seed=3),
        "seed = 3: was not run",
    ),
    (
        lambda: gl.plotting.mixture_plane(gl.simulate(small(), 1)),
        "tasks that are no composites = 2: a triangle has three",
    ),
    (
        lambda: gl.plotting.grid(TABLE.expand_dims("seed")),
        "dims of values = ('seed', 'out', 'in'): must be two, (up or down, across)",
    ),
    (lambda: gl.plotting.phase_diagram(TABLE[0]), "dims of values = ('in',): must be two, (up or down, across)"),
    (lambda: gl.plotting.network(0), "paths = 0: must be a whole number, 1 or above"),
    (lambda: gl.explore.regimes(small(penalties=())), "setting = 'a': there is no such setting"),
    (lambda: gl.explore.regimes(small(paths=3)), "tasks and paths = (2, 3): this is about two tasks and two paths"),
    (
        lambda: gl.explore.switch(gl.simulate(small(), 1), gl.simulate(small(), 1)),
        "recorded quantities = ['alignment', 'final_gates', 'final_weights', 'gate_speed', 'gates', "
        "'loss', 'teachers', 'weight_products', 'weight_speed']: must include 'weights'",
    ),
    (lambda: gl.explore.second_layer(small()), "network = GatedLinear(weight_scale=0.3): must be a TwoLayer"),
    (lambda: gl.explore.gates_by_hand(gl.simulate(small(), 2), seed=9), "seed = 9: was not run"),
    (
        lambda: gl.explore.phase_diagram(small(), TABLE.expand_dims("seed")),
        "dims of values = ('seed', 'out', 'in'): must be two names of settings, (up, across)",
    ),
    (
        lambda: gl.explore.gates_by_hand(gl.simulate(small(network=gl.GatedLinear(paths=3)), 1)),
        "tasks and paths = (2, 3): this is about two tasks and two paths",
    ),
    (
        lambda: gl.explore.change_of_mind({"flexible": None}, gl.Examples(np.eye(2), [0, 1]), np.ones((3, 2, 2))),
        "number of pictures = 3: must be one for each of the examples",
    ),
    (
        lambda: small(curriculum=gl.Blocked(blocks=2), block_length=2.0),
        "setting = 'block_length': stands in a part that is replaced in the same call",
    ),
    (lambda: small(penalties=(), a=0.1), "setting = 'a': stands in a part that is replaced in the same call"),
    (
        lambda: gl.simulate(
            small(inputs=gl.Examples(np.ones((2, 2)), [0, 1]), teachers=gl.Labellings(((0, 1), (1, 0)))),
            1,
            [gl.record.population_loss],
        ),
        "teachers = 'Labellings': have labels, and no matrix to be compared with",
    ),
    (lambda: gl.explore.change_of_mind({}, None, []), "runs = {}: must hold at least one"),
    (lambda: judge_all(registry("A.8"), jobs=0).__next__(), "jobs = 0: must be a whole number, 1 or above"),
]


@pytest.mark.parametrize(("call", "value_and_rule"), BAD)
def test_refusals_name_value_rule_and_remedy(call, value_and_rule):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        call()
    found, remedy = str(refusal.value)[: len(value_and_rule)], str(refusal.value)[len(value_and_rule) :]
    assert found == value_and_rule
    assert re.fullmatch(r"\. \S.{3,}[.?]", remedy), remedy
