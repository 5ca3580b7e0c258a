"""Observing: gates beside an ideal observer, and what happens when they are slowed or set free after training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

import gatedlib as gl
from gatedlib import metrics, observer, record
from gatedlib._internal.numerics import first_true
from gatedlib._internal.validation import require
from gatedlib.model.experiment import setting
from gatedlib.simulation.results import final_params
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.cognition import loss_told_and_untold
from gatedlib_book.estimates import Numbers, along, exact, median
from gatedlib_book.experiments import REGULAR
from gatedlib_book.networks import networks
from gatedlib_book.regimes import FLEXIBLE_ALIGNMENT
from gatedlib_book.robustness import run

WATCHED = REGULAR.replace(
    curriculum=gl.RandomSwitches(duration=16.0, mean_length=1.0), inputs=gl.Noisy(batch=1, noise=1.0), tau_w=math.inf
)
"""The trained flexible network of Fig. 2, its weights frozen, one noisy sample at a time, switches at random."""

NOISES = (0.2, 0.5, 1.0, 2.0)
BATCHES = (1, 10)
GATE_TAUS = (0.0075, 0.015, 0.03, 0.06, 0.12, 0.24)
"""Time constants of the gates, the paper's in their midst; faster ones diverge at some of these noises."""

NETWORK_COUNT = 20
TRAINED_COUNT = 40
"""How many networks are trained: more than are watched, for a few are late to specialize."""

CHOOSING, JUDGED = 10, 20
"""So many of the watched networks choose the best speed, and so many others are judged at it."""

SAME_SWITCHES = 10
"""So many networks see the same switches, the next ones others."""


@cached
def trained(seeds: int = NETWORK_COUNT) -> gl.Params:
    """The weights and gates of the flexible network of Fig. 2 after 40 time units."""
    return final_params(run(REGULAR, TRAINED_COUNT).sel(seed=networks(seeds)))


def specialists() -> xr.Dataset:
    """The watched networks: the first of those that were trained whose paths are the tasks in the end."""
    results = run(REGULAR, TRAINED_COUNT)
    able = results.seed[(metrics.total_alignment(results) > FLEXIBLE_ALIGNMENT).values]
    rule = f"must be {CHOOSING + JUDGED} or more, to be watched"
    require(len(able) >= CHOOSING + JUDGED, "specialized networks", len(able), rule, "Raise TRAINED_COUNT")
    return results.sel(seed=able[: CHOOSING + JUDGED])


def with_noise(noise: float, batch: int) -> gl.Experiment:
    """The trained network with noise of this size on its targets, and batches of this size."""
    return WATCHED.replace(inputs=gl.Noisy(batch=batch, noise=noise))


def _score_belief(results: xr.Dataset, belief: xr.DataArray) -> xr.Dataset:
    """How often a belief is wrong in each network, and how many steps it takes to 90 %."""
    # the first block follows no switch; those that never reach 90 % count with their length
    steps = observer.steps_to_certainty(belief, results).isel(block=slice(1, None)).mean("block")
    return xr.Dataset({"wrong": observer.error_rate(belief, results), "steps": steps})


def _watch(
    experiment: gl.Experiment, keep: Sequence[record.Quantity], score: Callable[[xr.Dataset], xr.Dataset], **axes: Any
) -> xr.Dataset:
    """What is measured of all watched networks, along `seed`, and over a grid."""
    watched, measured = specialists(), []
    for place, draw in enumerate(networks((CHOOSING + JUDGED) // SAME_SWITCHES)):
        some = watched.isel(seed=slice(place * SAME_SWITCHES, (place + 1) * SAME_SWITCHES))
        seeds, own = some.seed.values.tolist(), experiment.replace(draw=draw)
        measured.append(gl.sweep(own, seeds=seeds, record=keep, initial=final_params(some), measure=score, **axes))
    return xr.concat(measured, "seed")


@cached
def _observer_and_gates(noise: float, batch: int) -> xr.Dataset:
    """How an ideal observer judges the samples of a run, and how gates as fast as the paper's do, along `judge`."""
    hazard = float(WATCHED.flow.dt) / float(setting(WATCHED, "mean_length"))

    def score(results: xr.Dataset) -> xr.Dataset:
        beliefs = observer.posterior(results, hazard), observer.gate_shares(results)
        return along("judge", ("observer", "gates"), [_score_belief(results, belief) for belief in beliefs])

    keep = (record.teacher_losses, record.gates, record.alignment)
    return _watch(with_noise(noise, batch), keep, score, tau_c=(float(WATCHED.flow.tau_c),)).isel(tau_c=0, drop=True)


def ideal(noise: float, batch: int = 1) -> xr.Dataset:
    """How often the observer is wrong in each network's samples, and how many steps it takes to 90 %."""
    return _observer_and_gates(noise, batch).sel(judge="observer", drop=True)


def gate_performance(noise: float, batch: int = 1) -> xr.Dataset:
    """The same for gates as fast as the paper's."""
    return _observer_and_gates(noise, batch).sel(judge="gates", drop=True)


@cached
def by_speed(noise: float, speeds: tuple[float, ...] = GATE_TAUS) -> xr.Dataset:
    """The same for gates of several speeds, which all see what the observer sees, one sample a step."""

    def score(results: xr.Dataset) -> xr.Dataset:
        return _score_belief(results, observer.gate_shares(results))

    return _watch(with_noise(noise, 1), (record.gates, record.alignment), score, tau_c=speeds)


def best_speed(noise: float, speeds: tuple[float, ...] = GATE_TAUS) -> xr.Dataset:
    """Gates of the speed at which some networks are wrong least often, as they do in the other networks."""
    grid = by_speed(noise, speeds)
    best = int(grid.wrong.isel(seed=slice(None, CHOOSING)).mean("seed").values.argmin())
    return grid.isel(tau_c=best, seed=slice(CHOOSING, None))


def leaky_wrong(tau_c: float, noise: float, batch: int, experiment: gl.Experiment = WATCHED) -> float:
    r"""How often gates should be wrong, if they were a leaky average of the evidence.

    .. math::

        h\,\frac{\ln 2}{\lambda} + \Phi\big(-\sqrt{\mu / \lambda}\big), \qquad
        \lambda = \frac{D^2 dt}{2 \tau_c}, \quad \mu = \frac{B D^2}{2 \sigma^2}

    The first term are the steps that the average takes to turn, :math:`\ln 2 / \lambda` after each of h switches a
    step; the second how often noise carries it to the wrong side. :math:`\lambda` is the leak of the gates in one
    step, and :math:`\mu` the evidence in one step, in nats.
    """
    dt, hazard = float(experiment.flow.dt), float(experiment.flow.dt) / float(setting(experiment, "mean_length"))
    leak, evidence = dt / (2 * tau_c), batch / (2 * noise**2)  # the tasks of Fig. 2 are D = 1 apart
    return hazard * math.log(2) / leak + float(special.ndtr(-math.sqrt(evidence / leak)))


@claim("observer", counterfactual={"speeds": GATE_TAUS[4:]})
def near_optimal(speeds: tuple[float, ...] = GATE_TAUS) -> Measured:
    """Gates of the right speed are nearly as often right as an ideal observer, if samples say little.

    How often each is wrong in 20 networks that have specialized, one sample a step; gates of the speed that is best in
    10 other networks, and the best speed of each of the 30. Ten networks share their switches.
    """
    judged = {"seed": slice(CHOOSING, None)}
    best = along("noise", NOISES, [best_speed(noise, speeds).wrong.drop_vars("tau_c") for noise in NOISES])
    of_observer = along("noise", NOISES, [ideal(noise).wrong for noise in NOISES])
    of_paper = along("noise", NOISES, [gate_performance(noise).wrong for noise in NOISES])
    at_any_speed = along("noise", NOISES, [by_speed(noise, speeds).wrong for noise in NOISES])
    ratio = best / of_observer.isel(judged)
    n = Numbers(
        noise=exact(NOISES),
        observer_wrong=median(of_observer.isel(judged)),
        gates_wrong_best=median(best),
        gates_wrong_paper=median(of_paper.isel(judged)),
        best_tau_c=median(at_any_speed.idxmin("tau_c")),
        ratio_noise_1_and_2=median(ratio.sel(noise=[1.0, 2.0])),
        excess_over_observer=median(at_any_speed - of_observer),
    )
    n["ratio_noise_0.2"] = median(ratio.sel(noise=0.2))
    return n, {
        "noise 1 and 2: gates of the best speed are wrong {} times as often": n.ratio_noise_1_and_2 < 1.3,
        "the more noise, the slower the gates that are best": n.best_tau_c.rises(),
        "at noise 2 {} times as slow as at noise 0.2": n.best_tau_c.at(noise=2.0) / n.best_tau_c.at(noise=0.2) > 3,
        "noise 0.2: even the best gates are wrong {} times as often": n["ratio_noise_0.2"] > 2,
        "at any speed, up to noise 1, the share of steps in which gates are wrong exceeds the observer's by {}": (
            n.excess_over_observer.at(noise=[0.2, 0.5, 1.0]) > 0
        ),
    }


@claim("batch", counterfactual={"batches": (1, 1)})
def deaf_to_certainty(batches: tuple[int, int] = BATCHES) -> Measured:
    """More samples a step make the observer quicker, and gates of a given speed not.

    Steps to 90 % certainty with 1 and with 10 samples a step at noise 1, gates as fast as the paper's, in 30 networks
    that have specialized.
    """
    one, ten = (ideal(1.0, batch).steps for batch in batches)
    gates_one, gates_ten = (gate_performance(1.0, batch).steps for batch in batches)
    n = Numbers(
        observer_steps_batch_1=median(one),
        observer_steps_batch_10=median(ten),
        gates_steps_batch_1=median(gates_one),
        gates_steps_batch_10=median(gates_ten),
        observer_steps_batch_1_over_10=median(one / ten),
        gates_steps_batch_1_over_10=median(gates_one / gates_ten),
    )
    return n, {
        "with one sample the observer takes {} times as many steps as with ten": n.observer_steps_batch_1_over_10 > 3,
        "and gates, with one sample, {} times as many as with ten": n.gates_steps_batch_1_over_10 <= 1,
    }


SLOWDOWNS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
AFTER, LATER = 20, 100
"""Blocks after a lesion."""

NOISY = gl.Noisy(batch=1, noise=0.2)
"""Targets with noise as large as the signal, one sample a step."""

LESIONED = REGULAR.replace(curriculum=gl.Blocked(blocks=AFTER))
"""The blocks that follow a lesion of trained networks: their gates are slowed, or their penalties scaled."""


@cached
def lesion(
    tau_c: float = 1.0,
    a: float = 1.0,
    b: float = 1.0,
    blocks: int = AFTER,
    inputs: gl.Population | gl.Noisy | None = None,
) -> xr.Dataset:
    """A trained network whose gates are slowed, or whose penalties are scaled, and its next blocks.

    Perseveration is how long after a switch the gate of the old task stays above that of the new one. In the end both
    tasks are tried with the best gates for each, not below 0 (`cued`) or of any sign, and `cured` is the recovery in
    two more blocks with all settings as they were.
    """
    healthy = {name: float(setting(LESIONED, name)) for name in ("tau_c", "a", "b")}
    changed = {name: factor * healthy[name] for name, factor in (("tau_c", tau_c), ("a", a), ("b", b))}
    whole = LESIONED.replace(curriculum=gl.Blocked(blocks=blocks), inputs=inputs or gl.Population())
    results = gl.simulate(
        whole.replace(**changed),
        networks(NETWORK_COUNT),
        (record.population_loss, record.gates, record.alignment),
        initial=trained(),
    )
    results = results.rename(population_loss="loss")
    on, off = metrics.gate_on(results), metrics.gate_off(results)
    dt = float(LESIONED.flow.dt)

    def until(ahead: np.ndarray) -> np.ndarray:
        return np.nan_to_num(first_true(ahead), nan=ahead.shape[-1]) * dt

    two = LESIONED.replace(curriculum=gl.Blocked(blocks=2))
    after = gl.simulate(two, networks(NETWORK_COUNT), (record.loss,), initial=final_params(results))
    losses = loss_told_and_untold(results)
    return xr.Dataset(
        {
            "recovery": metrics.time_to_criterion(results),
            "perseveration": metrics.per_block(on > off, results, until),
            "total_alignment": metrics.total_alignment(results),
            "cued": losses["cued"],
            "any_sign": losses["any_sign"],
            "cured": metrics.time_to_criterion(after).isel(block=-1, drop=True),
        }
    )


@cached
def unpenalized(inputs: gl.Population | gl.Noisy | None = None, penalized: bool = False) -> xr.Dataset:
    """Networks without penalties from the start: recovery in the last two of 40 blocks, and alignment."""
    results = gl.simulate(
        (REGULAR if penalized else REGULAR.replace(a=0.0, b=0.0)).replace(inputs=inputs or gl.Population()),
        networks(NETWORK_COUNT),
        (record.population_loss, record.alignment),
        every=2,
    ).rename(population_loss="loss")
    recovery = metrics.last(metrics.time_to_criterion(results), 2)
    return xr.Dataset({"recovery": recovery, "total_alignment": metrics.total_alignment(results)})


@claim("slow-gates", counterfactual={"slower": (1.0, 2.0, 4.0, 8.0, 1.0, 1.0)})
def slow_gates(slower: tuple[float, ...] = SLOWDOWNS) -> Measured:
    """Slowed gates persevere in proportion, until paths stop being the tasks.

    Perseveration and recovery in the first switches after gates were slowed; paths 100 blocks later, and cured.
    """
    lesions = [lesion(tau_c=factor, blocks=LATER) for factor in slower]

    def over_lesions(name: str) -> xr.DataArray:
        return along("slowed_by", SLOWDOWNS, [after[name] for after in lesions])

    # training ended on the other task: the first block begins with a switch
    persevered, recovered = (
        over_lesions(name).isel(block=slice(0, 3)).mean("block") for name in ("perseveration", "recovery")
    )
    n = Numbers(
        slowed_by=exact(slower),
        perseveration=median(persevered),
        recovery_slowed=median(recovered),
        alignment_slowed=median(over_lesions("total_alignment")),
        cued_loss_slowed=median(over_lesions("cued")),
        any_sign_loss_slowed=median(over_lesions("any_sign")),
        recovery_cured=median(over_lesions("cured")),
        perseveration_growth=median(persevered / persevered.sel(slowed_by=1.0, drop=True)),
    )
    growth, aligned = n.perseveration_growth, n.alignment_slowed
    return n, {
        "twice slower: perseveration {} times as long": growth.at(slowed_by=2.0).within(1.6, 2.4),
        "four times slower: {} times": growth.at(slowed_by=4.0).within(3.2, 4.8),
        "up to four times slower paths stay the tasks for 100 blocks: alignment {}": (
            aligned.at(slowed_by=[1.0, 2.0, 4.0]) > 0.98
        ),
        "16 and 32 times slower: they do not, alignment {}": aligned.at(slowed_by=[16.0, 32.0]) < 0.9,
        "but both tasks stay within their span: with gates of any sign a loss of {}": n.any_sign_loss_slowed < 0.001,
        "and once cured recovery takes {}": n.recovery_cured < 0.06,
    }


@claim("scaffold", counterfactual={"penalized": True})
def scaffold(penalized: bool = False) -> Measured:
    """Without noise penalties are a scaffold: needed to learn gates, and not to keep them.

    Recovery without penalties from the start, and 20 and 300 blocks after they were removed; all with noise too.
    """
    soon, long_ago = lesion(a=0.0, b=0.0), lesion(a=0.0, b=0.0, blocks=300)
    noisy = lesion(a=0.0, b=0.0, blocks=300, inputs=NOISY)
    n = Numbers(
        recovery_never=median(unpenalized(penalized=penalized).recovery),
        recovery_removed=median(soon.recovery.isel(block=-1)),
        recovery_removed_long_ago=median(metrics.last(long_ago.recovery, 2)),
        alignment_removed=median(soon.total_alignment),
        alignment_removed_long_ago=median(long_ago.total_alignment),
        cued_loss_removed_long_ago=median(long_ago.cued),
        alignment_never_with_noise=median(unpenalized(NOISY).total_alignment),
        alignment_removed_long_ago_with_noise=median(noisy.total_alignment),
    )
    return n, {
        "penalties never there: recovery takes {}": n.recovery_never > 0.3,
        "removed after training: recovery takes {}, 20 blocks later": n.recovery_removed < 0.07,
        "and {}, 300 blocks later": n.recovery_removed_long_ago < 0.1,
        "when paths are no longer the tasks: alignment {}": n.alignment_removed_long_ago < 0.5,
        "noisy targets do what penalties do: never there, alignment {}": n.alignment_never_with_noise > 0.8,
        "and removed 300 blocks ago, {}": n.alignment_removed_long_ago_with_noise > 0.95,
    }
