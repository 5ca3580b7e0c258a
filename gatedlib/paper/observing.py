"""Observing: gates beside an ideal observer, and what happens when they are slowed or set free after training."""

from __future__ import annotations

import functools
import math

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, observer, record
from gatedlib.experiment import setting
from gatedlib.paper.claims import Outcome, claim, exact, mean, median
from gatedlib.paper.keeping import kept
from gatedlib.paper.robustness import REGULAR, run, stacked
from gatedlib.results import final_params

WATCHED = REGULAR.replace(
    curriculum=gl.RandomSwitches(duration=40.0, mean_length=1.0), inputs=gl.Noisy(batch=1, noise=1.0), tau_w=math.inf
)
"""The trained flexible network of Fig. 2, its weights frozen, one noisy sample at a time, switches at random."""

NOISES = (0.2, 0.5, 1.0, 2.0)
BATCHES = (1, 10)
SPEEDS = (0.0075, 0.015, 0.03, 0.06, 0.12, 0.24)
"""Time constants of the gates, the paper's in their midst."""

SEEDS = 20


@functools.lru_cache(maxsize=2)
def trained(seeds: int = SEEDS) -> gl.Params:
    """The weights and gates of the flexible network of Fig. 2 after 40 time units."""
    return final_params(run(REGULAR).sel(seed=range(seeds)))


@functools.lru_cache(maxsize=32)
@kept
def watched(noise: float, batch: int, tau_c: float = 0.03, experiment: gl.Experiment = WATCHED) -> xr.Dataset:
    """How often gates and observer are wrong about the task, and how many steps each takes to 90 % certainty."""
    seen = experiment.replace(inputs=gl.Noisy(batch=batch, noise=noise), tau_c=tau_c)
    results = gl.simulate(seen, SEEDS, (record.gates, record.alignment, record.teacher_losses), initial=trained())
    told = {"gates": observer.gate_shares(results), "observer": observer.posterior(results)}
    found = {f"{name}_wrong": observer.error_rate(belief, results) for name, belief in told.items()}
    steps = {
        # the first block follows no switch
        f"{name}_steps": observer.steps_to_certainty(belief, results).isel(block=slice(1, None)).median("block")
        for name, belief in told.items()
    }
    return xr.Dataset(found | steps)


def by_speed(noise: float, batch: int, speeds: tuple[float, ...] = SPEEDS) -> xr.Dataset:
    """The same for gates of every speed."""
    each = [watched(noise, batch, tau_c) for tau_c in speeds]
    return xr.concat(each, xr.DataArray(list(speeds), dims="tau_c", name="tau_c"))


def best_speed(noise: float, batch: int, speeds: tuple[float, ...] = SPEEDS) -> xr.Dataset:
    """The same for gates of the speed that is wrong least often, with `tau_c` as a coordinate."""
    found = by_speed(noise, batch, speeds)
    return found.isel(tau_c=int(found.gates_wrong.mean("seed").values.argmin()))


def leaky_wrong(
    tau_c: float, noise: float, batch: int, distance2: float = 1.0, experiment: gl.Experiment = WATCHED
) -> float:
    r"""How often gates should be wrong, if they were a leaky average of the evidence.

    .. math::

        h\,\frac{\ln 2}{\lambda} + \Phi\big(-\sqrt{\mu / \lambda}\big), \qquad
        \lambda = \frac{D^2 dt}{2 \tau_c}, \quad \mu = \frac{B D^2}{2 \sigma^2}

    The first term are the steps that the average takes to turn, :math:`\ln 2 / \lambda` after each of h switches a
    step; the second how often noise carries it to the wrong side. :math:`\lambda` is the leak of the gates in one
    step, and :math:`\mu` the evidence in one step, in nats.
    """
    dt, hazard = float(experiment.flow.dt), float(experiment.flow.dt) / float(setting(experiment, "mean_length"))
    leak, evidence = distance2 * dt / (2 * tau_c), batch * distance2 / (2 * noise**2)
    return hazard * math.log(2) / leak + float(stats.norm.cdf(-math.sqrt(evidence / leak)))


@claim(
    "observer",
    "beyond",
    "Gates of the right speed are nearly as often right as an ideal observer, if samples say little.",
)
def near_optimal(speeds: tuple[float, ...] = SPEEDS) -> Outcome:
    """How often each is wrong by noise, one sample a step; gates at the best of some speeds, and at the paper's."""
    best = [best_speed(noise, 1, speeds) for noise in NOISES]
    ratio = stacked([median(each.gates_wrong / each.observer_wrong) for each in best[2:]])
    seen = stacked([mean(each.observer_wrong) for each in best])
    gates = stacked([mean(each.gates_wrong) for each in best])
    fixed = stacked([mean(watched(noise, 1).gates_wrong) for noise in NOISES])
    fastest = [float(each.tau_c) for each in best]
    extra = median(best[0].gates_steps - best[0].observer_steps)
    return Outcome(
        {
            "noise": exact(NOISES),
            "observer_wrong": seen,
            "gates_wrong_best": gates,
            "gates_wrong_paper": fixed,
            "best_tau_c": exact(fastest),
            "ratio_noise_1_and_2": ratio,
            "extra_steps_noise_0.2": extra,
        },
        {
            "noise 1 and 2: gates of the best speed are wrong at most 1.15 times as often": bool(
                (ratio.high < 1.15).all()
            ),
            "the more noise, the slower the best gates": fastest == sorted(fastest) and fastest[-1] > 3 * fastest[0],
            "noise 0.2: the observer needs one sample, the fastest gates three or more besides": extra.low >= 3,
            "no gates beat the observer, at any speed and noise": all(
                float(by_speed(noise, 1, speeds).gates_wrong.mean("seed").min()) >= float(one.observer_wrong.mean())
                for noise, one in zip(NOISES, best, strict=True)
            ),
        },
    )


@claim("batch", "beyond", "More samples a step make the observer quicker, and gates not.")
def deaf_to_certainty(batches: tuple[int, int] = BATCHES) -> Outcome:
    """Steps to 90 % certainty with 1 and with 10 samples a step at noise 1, gates as fast as the paper's."""
    one, ten = (watched(1.0, batch) for batch in batches)
    sharper, gates = median(one.observer_steps / ten.observer_steps), median(one.gates_steps / ten.gates_steps)
    return Outcome(
        {
            "observer_steps_batch_1": median(one.observer_steps),
            "observer_steps_batch_10": median(ten.observer_steps),
            "gates_steps_batch_1": median(one.gates_steps),
            "gates_steps_batch_10": median(ten.gates_steps),
        },
        {
            "ten samples make the observer three times as quick, or more": sharper.low > 3,
            "and gates no quicker": gates.high <= 1,
        },
    )


SLOWER = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
AFTER, LATER = 20, 100
"""Blocks after a lesion."""

NEVER = REGULAR.replace(a=0.0, b=0.0)
"""Without penalties from the start."""

LESIONED = REGULAR.replace(curriculum=gl.Blocked(blocks=AFTER))


@functools.lru_cache(maxsize=32)
@kept
def lesion(
    tau_c: float = 1.0, a: float = 1.0, b: float = 1.0, blocks: int = AFTER, base: gl.Experiment = LESIONED
) -> xr.Dataset:
    """A trained network whose gates are slowed, or whose penalties are scaled, and what becomes of it in some blocks.

    Perseveration is how long after a switch the gate of the old task stays above that of the new one.
    """
    flow, healthy = base.flow, {"tau_c": float(base.flow.tau_c)}
    healthy |= {"a": float(flow.penalties[0].a), "b": float(flow.penalties[1].b)}  # type: ignore[attr-defined]
    changed = {name: by * healthy[name] for name, by in (("tau_c", tau_c), ("a", a), ("b", b))}
    hurt = base.replace(curriculum=gl.Blocked(blocks=blocks), **changed)
    results = gl.simulate(hurt, SEEDS, (record.loss, record.gates, record.alignment), initial=trained())
    on, off = metrics.gate_on(results), metrics.gate_off(results)
    dt = float(base.flow.dt)

    def until(ahead: np.ndarray) -> np.ndarray:
        return np.where(ahead.any(-1), ahead.argmax(-1) * dt, ahead.shape[-1] * dt)

    return xr.Dataset(
        {
            "recovery": metrics.time_to_criterion(results),
            "perseveration": metrics.per_block(on > off, results, until),
            "off_gate": metrics.end_of_block(off, results),
            "total_alignment": metrics.total_alignment(results),
        }
    )


@claim("slow-gates", "beyond", "Slowed gates persevere in proportion, until weights give way and knowledge is lost.")
def slow_gates(slower: tuple[float, ...] = SLOWER) -> Outcome:
    """Perseveration and recovery in the first switches after gates were slowed, and alignment 100 blocks later."""
    hurt = [lesion(tau_c=by, blocks=LATER) for by in slower]
    first = slice(0, 3)  # training ended on the other task: the first block begins with a switch
    persevered = stacked([median(each.perseveration.isel(block=first).mean("block")) for each in hurt])
    recovered = stacked([median(each.recovery.isel(block=first).mean("block")) for each in hurt])
    aligned = stacked([median(each.total_alignment) for each in hurt])
    growth = persevered.value[:3] / persevered.value[0] / np.array(slower[:3])
    return Outcome(
        {
            "slowed_by": exact(slower),
            "perseveration": persevered,
            "recovery_slowed": recovered,
            "alignment_slowed": aligned,
        },
        {
            "up to four times slower: perseveration in proportion, within 20 %": bool((abs(growth - 1) < 0.2).all()),
            "and knowledge is kept, 100 blocks later: alignment above 0.98": bool((aligned.low[:3] > 0.98).all()),
            "16 and 32 times slower: part of it is lost, alignment below 0.9": bool((aligned.high[-2:] < 0.9).all()),
        },
    )


@claim(
    "scaffold",
    "beyond",
    "Penalties are a scaffold: without them gates are not learned, but stay for long once learned.",
)
def scaffold(never: gl.Experiment = NEVER) -> Outcome:
    """Recovery with penalties, without them from the start, and 20 and 300 blocks after they were removed."""
    intact, without = lesion(), run(never)
    soon, long = lesion(a=0.0, b=0.0), lesion(a=0.0, b=0.0, blocks=300)
    one = [lesion(a=0.0), lesion(b=0.0)]
    times = {
        "recovery_intact": intact.recovery.isel(block=-1),
        "recovery_never": metrics.time_to_criterion(without).isel(block=-1),
        "recovery_removed": soon.recovery.isel(block=-1),
        "recovery_only_a_removed": one[0].recovery.isel(block=-1),
        "recovery_only_b_removed": one[1].recovery.isel(block=-1),
        "recovery_removed_long_ago": long.recovery.isel(block=slice(-2, None)).mean("block"),
    }
    numbers = {name: median(values) for name, values in times.items()}
    aligned = {
        "alignment_removed": median(soon.total_alignment),
        "alignment_removed_long_ago": median(long.total_alignment),
    }
    return Outcome(
        numbers | aligned,
        {
            "never there: recovery takes more than 0.3": numbers["recovery_never"].low > 0.3,
            "removed after training: less than 0.07, 20 blocks later": numbers["recovery_removed"].high < 0.07,
            "and each task has its path: alignment above 0.98": aligned["alignment_removed"].low > 0.98,
            "300 blocks later that is gone: alignment below 0.5": aligned["alignment_removed_long_ago"].high < 0.5,
        },
    )
