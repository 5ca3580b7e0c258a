"""The invariant: what learning conserves until a gate reaches zero, and what follows. None of this is in the paper."""

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
from gatedlib_book.estimates import Numbers, along, exact, median
from gatedlib_book.experiments import CONSERVED, FLEXIBLE, SEEDS
from gatedlib_book.networks import networks


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
