"""The invariant: what learning conserves until a gate reaches zero, and never raises. None of this is in the paper."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record, reduction
from gatedlib.model.experiment import setting
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.dynamics import first_specialized
from gatedlib_book.estimates import Numbers, along, exact, fraction, median, stacked
from gatedlib_book.experiments import CONSERVED, FAMILY, FLEXIBLE, SEEDS, THREE
from gatedlib_book.networks import networks

THREE_PATHS = CONSERVED.replace(paths=3, gate_init=1 / 3, teachers=THREE, order=(0, 1, 2))
"""The settings of Fig. 2 with three tasks and three paths."""

LONGER_TRAINED = CONSERVED.replace(blocks=40)
"""The flexible network, learning from all inputs at once for 40 blocks."""

TWO_OF_EIGHT = CONSERVED.replace(teachers=FAMILY, curriculum=gl.Blocked(blocks=30, order=(0, 1)))
"""The settings of Fig. 2 with two tasks of a family of eight."""

NEW_TASKS = gl.Blocked(blocks=60, order=(2, 3, 4, 5, 6, 7))
"""The other six of the family in turn."""

SLOWED = (1.0, 4.0, 16.0, 32.0)
"""How many times slower gates become once the network is trained."""

COORDINATES = (2, 200, 1800)
"""How many numbers a path has, of which tasks use two: those two alone, as many as in Fig. 2, nine times as many."""


@record.quantity()
def least_gate(frame: record.Frame) -> jax.Array:
    """The lowest gate."""
    return frame.params.gates.min()


@cached
def pair(experiment: gl.Experiment, seeds: int = SEEDS) -> xr.Dataset:
    """A run kept step by step: gates and the inner products of weights."""
    return gl.simulate(experiment, networks(seeds), (record.gates, record.weight_products))


def pinned(results: xr.Dataset) -> xr.DataArray:
    """Whether a gate has reached zero by now, dims seed and time."""
    return (results.gates.min("path") <= 0).cumsum("time") > 0


def drift(results: xr.Dataset) -> xr.DataArray:
    """How far the pair's invariant is from where it began, in units of tau_c, dims seed and time."""
    invariant = reduction.pair_invariant(results).isel(path=0, other_path=1)
    return abs(invariant - invariant.isel(time=0)) / gl.results.settings(results)["flow.tau_c"]


@claim("invariant", counterfactual={"experiment": CONSERVED.replace(ord=2)})
def invariant(experiment: gl.Experiment = CONSERVED) -> Measured:
    """Until a gate reaches zero learning conserves a number for each pair of paths.

    Largest drift of the invariant before and after the first zero, in units of tau_c, with steps of dt and dt/2.
    """
    before, after = [], []
    for dt in (float(experiment.flow.dt), float(experiment.flow.dt) / 2):
        results = pair(experiment.replace(dt=dt))
        late = pinned(results)
        before.append(drift(results).where(~late).max("time"))
        after.append(drift(results).where(late).max("time"))
    reached = after[0].notnull()
    n = Numbers(
        invariant_drift_before_zero=median(before[0][reached]),
        invariant_drift_after_zero=median(after[0][reached]),
        invariant_drift_ratio=median((after[0] / before[0])[reached]),
        invariant_drift_halved_step=median((before[0] / before[1])[reached]),
    )
    return n, {
        "before a zero, halving the step divides the drift by a number {}": n.invariant_drift_halved_step.within(
            1.7, 2.3
        ),
        "after it the drift is {} times as large": n.invariant_drift_ratio >= 50,
    }


def specialized(results: xr.Dataset) -> xr.DataArray:
    """Specialization at the end of a run."""
    return metrics.specialization(results).isel(time=-1)


@cached
def by_penalty(experiment: gl.Experiment) -> xr.DataArray:
    """Specialization at the end with both penalties, none, and either alone, dims penalties and seed."""
    both: dict[str, Any] = {name: (float(setting(experiment, name)), 0.0) for name in ("a", "b")}
    keep = (record.weight_products,)
    runs = gl.sweep(experiment, seeds=networks(SEEDS), record=keep, every=100, measure=specialized, **both)
    grid = runs.specialization
    chosen = {"both": (0, 0), "none": (1, 1), "nonnegativity": (0, 1), "bound": (1, 0)}
    return along("penalties", list(chosen), [grid.isel(a=a, b=b, drop=True) for a, b in chosen.values()])


@claim(
    "penalties",
    reference={"specialization_by_penalty": [0.90, 0.002, 0.002, 0.90]},
    counterfactual={"experiment": CONSERVED.replace(tau_c=1.3)},
)
def penalties(experiment: gl.Experiment = FLEXIBLE) -> Measured:
    """It is the bound that specializes paths; nonnegativity alone, or nothing, does not.

    Specialization after 20 blocks with both penalties, with none, and with either alone.
    """
    n = Numbers(specialization_by_penalty=median(by_penalty(experiment)))
    by = n.specialization_by_penalty
    return n, {
        "with both, and with the bound alone, it is {}": by.at(penalties=["both", "bound"]) > 0.8,
        "with none, and with nonnegativity alone, {}": by.at(penalties=["none", "nonnegativity"]) < 0.01,
    }


def imbalance(results: xr.Dataset, experiment: gl.Experiment) -> xr.DataArray:
    """What the penalties have done to the pair's invariant by each frame, in units of tau_c, dims seed and time.

    Its rate of change is twice the gates' difference times the difference of the pushes that penalties give them.
    """
    gates = results.gates.transpose("seed", "time", "path").values
    params = gl.Params(np.zeros((1, 1, 1)), jax.numpy.asarray(gates.reshape(-1, gates.shape[-1])))
    pushes = sum(
        jax.vmap(lambda c, p=penalty: p.gradient(params._replace(gates=c)).gates)(params.gates)
        for penalty in experiment.flow.penalties
    )
    unequal = np.diff(gates, axis=-1)[..., 0] * np.diff(np.reshape(pushes, gates.shape), axis=-1)[..., 0]
    done = np.cumsum(unequal, 1) - unequal
    dt, tau_c = float(experiment.flow.dt), float(experiment.flow.tau_c)
    return xr.DataArray(-2 * dt * done / tau_c, {"seed": results.seed, "time": results.time}, ("seed", "time"))


@claim("norm", counterfactual={"orders": (1, 1)})
def norm(experiment: gl.Experiment = CONSERVED, orders: tuple[int, int] = (1, 2)) -> Measured:
    """With a bound on the gates' length (k = 2) paths part before any gate reaches zero.

    The highest specialization before a gate reaches zero, and how well the law of the penalties accounts for it.
    """
    highest, errors = [], []
    for order in orders:
        bounded = experiment.replace(ord=order)
        results = pair(bounded)
        early = ~pinned(results)
        highest.append(metrics.specialization(results).where(early).max("time"))
        invariant = reduction.pair_invariant(results).isel(path=0, other_path=1)
        law = (invariant - invariant.isel(time=0)) / float(bounded.flow.tau_c) - imbalance(results, bounded)
        errors.append(abs(law).where(early).max("time"))
    n = Numbers(
        specialization_before_zero=median(highest[0]),
        specialization_before_zero_k2=median(highest[1]),
        limit=exact(float(experiment.flow.tau_c) / float(experiment.flow.tau_w)),
        law_error_k2=median(errors[1]),
    )
    return n, {
        "k = 1: before a zero it is {} times tau_c / tau_w (the gates' sum may overshoot)": (
            n.specialization_before_zero / n.limit < 1.6
        ),
        "k = 2: it is {} times tau_c / tau_w": n.specialization_before_zero_k2 / n.limit > 4,
        "k = 2: the law accounts for it, with an error of {}": n.law_error_k2 < 0.05,
    }


def rise(results: xr.Dataset) -> xr.DataArray:
    """The most that a pair's invariant ever rises above an earlier value, in units of tau_c, over pairs, dims seed."""
    invariant = reduction.pair_invariant(results).transpose("time", ...)
    lowest = xr.apply_ufunc(np.minimum.accumulate, invariant)
    tau_c = gl.results.settings(results)["flow.tau_c"]
    return (invariant - lowest).max(("time", "path", "other_path")) / tau_c


def fall(results: xr.Dataset) -> xr.DataArray:
    """How far the pairs' invariants fall from beginning to end, in units of tau_c, the most of all pairs, dims seed."""
    invariant = reduction.pair_invariant(results)
    tau_c = gl.results.settings(results)["flow.tau_c"]
    return (invariant.isel(time=0) - invariant.isel(time=-1)).max(("path", "other_path")) / tau_c


@claim("ratchet", counterfactual={"ord": 2})
def ratchet(ord: int = 1) -> Measured:
    """With a bound on the gates' sum, what is conserved until a gate reaches zero never rises, but for finite steps.

    Two paths on two tasks and three on three: how far a pair's invariant rises above an earlier value, in units of
    tau_c, with steps of dt and dt/2; and how far it falls.
    """
    rises, ratios, falls = [], [], []
    for experiment in (CONSERVED.replace(ord=ord), THREE_PATHS.replace(ord=ord)):
        results, halved = pair(experiment), pair(experiment.replace(dt=float(experiment.flow.dt) / 2))
        rises.append(rise(results))
        ratios.append(rises[-1] / rise(halved))
        falls.append(fall(results))
    paths = (2, 3)
    n = Numbers(
        invariant_rise=median(along("paths", paths, rises)),
        invariant_rise_halved_step=median(along("paths", paths, ratios)),
        invariant_fall=median(along("paths", paths, falls)),
    )
    return n, {
        "the largest rise is {} tau_c": n.invariant_rise < 0.05,
        "halving the step divides it by a number {}": n.invariant_rise_halved_step.within(1.7, 2.3),
        "while it falls by {} tau_c": n.invariant_fall > 10,
    }


@cached
def afterwards(then: gl.Experiment, before: gl.Experiment) -> xr.Dataset:
    """What becomes of the paths' squared distance when a trained network learns on, relative to that of the teachers.

    Dims seed: the `least` it comes to, the `bound` below which the ratchet does not let it, the `last`; and
    `alignment`, in the end, of the paths with the first two tasks, which were practised before.
    """
    trained = gl.simulate(before, networks(SEEDS), every=round(1 / float(before.flow.dt)))
    keep = (record.gates, record.weight_products, record.alignment)
    results = gl.simulate(then, networks(SEEDS), keep, every=2, initial=gl.results.final_params(trained))
    apart = metrics.specialization(results)
    first, last = (results.isel(time=end, drop=True) for end in (0, -1))
    difference = first.gates.isel(path=0, drop=True) - first.gates.isel(path=1, drop=True)
    kappa = float(then.flow.tau_c / then.flow.tau_w)  # of teachers at a squared distance of 1
    return xr.Dataset(
        {
            "least": apart.min("time"),
            "bound": apart.isel(time=0, drop=True) - kappa * difference**2,
            "last": apart.isel(time=-1, drop=True),
            "alignment": abs(last.alignment.isel(task=[0, 1])).mean(("task", "path")),
        }
    )


def after_slowing(by: float, ord: int = 1) -> xr.Dataset:
    """What `afterwards` says of 100 blocks of the same tasks with gates that are so many times slower."""
    slower = CONSERVED.replace(blocks=100, ord=ord, tau_c=by * float(CONSERVED.flow.tau_c))
    return afterwards(slower, LONGER_TRAINED)


@claim("apart", counterfactual={"ord": 2})
def apart(ord: int = 1) -> Measured:
    """Paths that have come apart stay apart, under six other tasks and with gates up to 32 times slower.

    Squared distances of a trained network's paths, those of teachers being 1: the least in 60 blocks of six tasks
    never seen before, and in 100 blocks of its own tasks with slowed gates; and by how much it undercuts the bound.
    """
    new = afterwards(TWO_OF_EIGHT.replace(curriculum=NEW_TASKS, ord=ord), TWO_OF_EIGHT)
    slowed = along("slowed", SLOWED, [after_slowing(by, ord) for by in SLOWED])
    n = Numbers(
        least_distance_new_tasks=median(new.least),
        bound_undercut_new_tasks=median(new.bound - new.least),
        alignment_with_practised_tasks=median(new.alignment),
        least_distance_slowed=median(slowed.least),
        bound_slowed=median(slowed.bound),
        bound_undercut_slowed=median(slowed.bound - slowed.least),
        last_distance_slowed=median(slowed["last"]),
    )
    return n, {
        "new tasks: the least squared distance is {}": n.least_distance_new_tasks > 0.9,
        "it undercuts the bound by {}": n.bound_undercut_new_tasks < 0.01,
        "while paths lose what they had practised: alignment {}": n.alignment_with_practised_tasks < 0.1,
        "slowed gates: it undercuts the bound by {}": n.bound_undercut_slowed < 0.02,
        "16 and 32 times slower: in the end paths are further apart than teachers, {}": (
            n.last_distance_slowed.at(slowed=[16.0, 32.0]) > 1.3
        ),
    }


def with_coordinates(count: int) -> gl.Experiment:
    """CONSERVED where each path has so many numbers, of which its two tasks use two; initial numbers as in Fig. 2."""
    teachers = np.eye(2, count)[:, :, None] / np.sqrt(2)
    network = gl.GatedLinear(paths=2, weight_scale=0.01 / np.sqrt(20))
    return CONSERVED.replace(teachers=gl.Given(teachers), network=network, dt=2e-3)


@claim("rescue", counterfactual={"coordinates": COORDINATES[::-1]})
def rescue(coordinates: tuple[int, ...] = COORDINATES) -> Measured:
    """Paths that begin further apart, be it where no task looks, do not leave late networks behind.

    2000 networks whose paths have 2, 200 (as in Fig. 2) and 1800 numbers, of which the tasks use two: how many are late
    at time 20, and which share of these still is at time 100.
    """
    late, left = [], []
    for count in coordinates:
        when = first_specialized(with_coordinates(count), count=2000, blocks=100)
        late.append(fraction(when > 20))
        left.append(fraction(when[when > 20] > 100))
    n = Numbers(late=stacked(late, numbers=COORDINATES), left_at_100=stacked(left, numbers=COORDINATES))
    return n, {
        "with 1800 numbers, of those that are late a share of {} is left": n.left_at_100.at(numbers=1800) < 0.1,
        "a smaller one than with 2 numbers": n.left_at_100.at(numbers=1800) < n.left_at_100.at(numbers=2),
    }
