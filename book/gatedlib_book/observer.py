"""Observing: gates beside an ideal observer, and what happens when they are slowed or set free after training."""

from __future__ import annotations

import functools
import math

import numpy as np
import xarray as xr
from scipy import stats

import gatedlib as gl
from gatedlib import metrics, observer, record
from gatedlib.analysis.requirements import first_true
from gatedlib.model.experiment import setting
from gatedlib_book.cache import cached
from gatedlib_book.cognition import loss_told_and_untold
from gatedlib_book.robustness import run
from gatedlib_book.experiments import REGULAR
from gatedlib_book.claims import Outcome, claim
from gatedlib_book.estimates import exact, mean, median, stacked
from gatedlib.simulation.results import final_params

WATCHED = REGULAR.replace(
    curriculum=gl.RandomSwitches(duration=200.0, mean_length=1.0), inputs=gl.Noisy(batch=1, noise=1.0), tau_w=math.inf
)
"""The trained flexible network of Fig. 2, its weights frozen, one noisy sample at a time, switches at random."""

NOISES = (0.2, 0.5, 1.0, 2.0)
BATCHES = (1, 10)
SPEEDS = (0.0075, 0.015, 0.03, 0.06, 0.12, 0.24)
"""Time constants of the gates, the paper's in their midst; faster ones diverge at some of these noises."""

SEEDS = 10
PARTS = 20
"""All seeds see the same switches, so intervals are over parts of a long run, each with switches of its own."""


@functools.lru_cache(maxsize=2)
def trained(seeds: int = SEEDS) -> gl.Params:
    """The weights and gates of the flexible network of Fig. 2 after 40 time units."""
    return final_params(run(REGULAR).sel(seed=range(seeds)))


def _seeing(noise: float, batch: int) -> gl.Experiment:
    return WATCHED.replace(inputs=gl.Noisy(batch=batch, noise=noise))


def _judged(results: xr.Dataset, belief: xr.DataArray) -> xr.Dataset:
    """How often a belief is wrong in each part of a run, and how many steps it takes to 90 %."""
    length = results.sizes["time"] // PARTS
    wrong = observer.errors(belief, results).isel(time=slice(PARTS * length)).mean("seed").values
    # the first block follows no switch; those that never reach 90 % count with their length
    steps = observer.steps_to_certainty(belief, results).isel(block=slice(1, None)).mean("seed")
    own = steps.block_start.values // length
    return xr.Dataset(
        {
            "wrong": ("seed", wrong.reshape(PARTS, length).mean(1)),
            "steps": ("seed", [float(steps.values[own == part].mean()) for part in range(PARTS)]),
        }
    )


@functools.lru_cache(maxsize=16)
@cached
def _both(noise: float, batch: int) -> tuple[xr.Dataset, xr.Dataset]:
    """How an ideal observer judges some samples, and how gates as fast as the paper's do: see `_judged`."""
    seen = _seeing(noise, batch)
    keep = (record.teacher_losses, record.gates, record.alignment)
    results = gl.simulate(seen, 4, keep, initial=trained(4))
    hazard = float(seen.flow.dt) / float(setting(seen, "mean_length"))
    return _judged(results, observer.posterior(results, hazard)), _judged(results, observer.gate_shares(results))


def ideal(noise: float, batch: int = 1) -> xr.Dataset:
    """How often the observer is wrong in each part, and how many steps it takes to 90 %."""
    return _both(noise, batch)[0]


def watched(noise: float, batch: int = 1) -> xr.Dataset:
    """The same for gates as fast as the paper's."""
    return _both(noise, batch)[1]


@functools.lru_cache(maxsize=16)
@cached
def by_speed(noise: float, speeds: tuple[float, ...] = SPEEDS) -> xr.Dataset:
    """The same for gates of several speeds, which all see what the observer sees, one sample a step."""
    keep = (record.gates, record.alignment)
    grid = gl.sweep(_seeing(noise, 1), seeds=4, record=keep, initial=trained(4), tau_c=speeds)
    cells = [gl.results.cell(grid, tau_c=tau_c) for tau_c in speeds]
    each = [_judged(cell, observer.gate_shares(cell)) for cell in cells]
    return xr.concat(each, xr.DataArray(list(speeds), dims="tau_c", name="tau_c"))


def best_speed(noise: float, speeds: tuple[float, ...] = SPEEDS) -> xr.Dataset:
    """The gates that are wrong least often in the first half of the parts, as they do in the second half."""
    found, half = by_speed(noise, speeds), PARTS // 2
    best = int(found.wrong.isel(seed=slice(None, half)).mean("seed").values.argmin())
    return found.isel(tau_c=best, seed=slice(half, None))


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
    return hazard * math.log(2) / leak + float(stats.norm.cdf(-math.sqrt(evidence / leak)))


@claim(
    "observer",
    "beyond",
    "Gates of the right speed are nearly as often right as an ideal observer, if samples say little.",
    counterfactual={"speeds": SPEEDS[4:]},
)
def near_optimal(speeds: tuple[float, ...] = SPEEDS) -> Outcome:
    """How often each is wrong, one sample a step; gates of the best speed, chosen on other parts of the run."""
    second = {"seed": slice(PARTS // 2, None)}
    best = [best_speed(noise, speeds) for noise in NOISES]
    judges = [ideal(noise).isel(second) for noise in NOISES]
    ratios = [median(gates.wrong / judge.wrong) for gates, judge in zip(best[2:], judges[2:], strict=True)]
    ratio = stacked(ratios, noise=NOISES[2:])
    fastest = [float(each.tau_c) for each in best]
    fixed = [watched(noise).wrong.isel(second) for noise in NOISES]
    clear = median(best[0].wrong / judges[0].wrong)
    return Outcome(
        {
            "noise": exact(NOISES),
            "observer_wrong": stacked([mean(each.wrong) for each in judges], noise=NOISES),
            "gates_wrong_best": stacked([mean(each.wrong) for each in best], noise=NOISES),
            "gates_wrong_paper": stacked([mean(each) for each in fixed], noise=NOISES),
            "best_tau_c": exact(fastest),
            "ratio_noise_1_and_2": ratio,
            "ratio_noise_0.2": clear,
        },
        {
            "noise 1 and 2: gates of the best speed are wrong at most 1.2 times as often": bool(
                (ratio.high < 1.2).all()
            ),
            "the more noise, the slower the best gates": fastest == sorted(fastest) and fastest[-1] > 3 * fastest[0],
            "noise 0.2: even the best gates are wrong more than twice as often": clear.low > 2,
            "no gates beat the observer, at any speed and noise": all(
                bool((by_speed(noise, speeds).wrong.mean("seed") > ideal(noise).wrong.mean("seed")).all())
                for noise in NOISES
            ),
        },
    )


@claim(
    "batch",
    "beyond",
    "More samples a step make the observer quicker, and gates of a given speed not.",
    counterfactual={"batches": (1, 1)},
)
def deaf_to_certainty(batches: tuple[int, int] = BATCHES) -> Outcome:
    """Steps to 90 % certainty with 1 and with 10 samples a step at noise 1, gates as fast as the paper's."""
    judges, gates = ([of(1.0, batch).steps for batch in batches] for of in (ideal, watched))
    sharper, same = median(judges[0] / judges[1]), median(gates[0] / gates[1])
    return Outcome(
        {
            "observer_steps_batch_1": median(judges[0]),
            "observer_steps_batch_10": median(judges[1]),
            "gates_steps_batch_1": median(gates[0]),
            "gates_steps_batch_10": median(gates[1]),
        },
        {
            "ten samples make the observer three times as quick, or more": sharper.low > 3,
            "and gates no quicker": same.high <= 1,
        },
    )


SLOWER = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
AFTER, LATER = 20, 100
"""Blocks after a lesion."""

NEVER = REGULAR.replace(a=0.0, b=0.0)
"""Without penalties from the start."""

NOISY = gl.Noisy(batch=1, noise=0.2)
"""Targets with noise as large as the signal, one sample a step."""

LESIONED = REGULAR.replace(curriculum=gl.Blocked(blocks=AFTER))


@functools.lru_cache(maxsize=32)
@cached
def lesion(
    tau_c: float = 1.0,
    a: float = 1.0,
    b: float = 1.0,
    blocks: int = AFTER,
    inputs: gl.Population | gl.Noisy | None = None,
) -> xr.Dataset:
    """A trained network whose gates are slowed, or whose penalties are scaled, and what becomes of it in some blocks.

    Perseveration is how long after a switch the gate of the old task stays above that of the new one. In the end both
    tasks are tried with the best gates for each, not below 0 (`cued`) or of any sign, and `cured` is the recovery in
    two more blocks with all settings as they were.
    """
    healthy = {name: float(setting(LESIONED, name)) for name in ("tau_c", "a", "b")}
    changed = {name: by * healthy[name] for name, by in (("tau_c", tau_c), ("a", a), ("b", b))}
    whole = LESIONED.replace(curriculum=gl.Blocked(blocks=blocks), inputs=inputs or gl.Population())
    results = gl.simulate(
        whole.replace(**changed), SEEDS, (record.population_loss, record.gates, record.alignment), initial=trained()
    )
    results = results.rename(population_loss="loss")
    on, off = metrics.gate_on(results), metrics.gate_off(results)
    dt = float(LESIONED.flow.dt)

    def until(ahead: np.ndarray) -> np.ndarray:
        return np.nan_to_num(first_true(ahead), nan=ahead.shape[-1]) * dt

    two = LESIONED.replace(curriculum=gl.Blocked(blocks=2))
    after = gl.simulate(two, SEEDS, (record.loss,), initial=final_params(results))
    able = loss_told_and_untold(results)
    return xr.Dataset(
        {
            "recovery": metrics.time_to_criterion(results),
            "perseveration": metrics.per_block(on > off, results, until),
            "total_alignment": metrics.total_alignment(results),
            "cued": able["cued"],
            "any_sign": able["any_sign"],
            "cured": metrics.time_to_criterion(after).isel(block=-1, drop=True),
        }
    )


@functools.lru_cache(maxsize=4)
@cached
def never(inputs: gl.Population | gl.Noisy | None = None, penalized: bool = False) -> xr.Dataset:
    """Networks without penalties from the start: recovery in the last two of 40 blocks, and alignment."""
    results = gl.simulate(
        (REGULAR if penalized else NEVER).replace(inputs=inputs or gl.Population()),
        SEEDS,
        (record.population_loss, record.alignment),
        every=2,
    ).rename(population_loss="loss")
    last = metrics.time_to_criterion(results).isel(block=slice(-2, None)).mean("block")
    return xr.Dataset({"recovery": last, "total_alignment": metrics.total_alignment(results)})


@claim(
    "slow-gates",
    "beyond",
    "Slowed gates persevere in proportion, until paths stop being the tasks.",
    counterfactual={"slower": (1.0, 2.0, 4.0, 8.0, 1.0, 1.0)},
)
def slow_gates(slower: tuple[float, ...] = SLOWER) -> Outcome:
    """Perseveration and recovery in the first switches after gates were slowed; paths 100 blocks later, and cured."""
    hurt = [lesion(tau_c=by, blocks=LATER) for by in slower]
    first = slice(0, 3)  # training ended on the other task: the first block begins with a switch
    persevered, recovered = (
        stacked([median(each[name].isel(block=first).mean("block")) for each in hurt], slowed_by=slower)
        for name in ("perseveration", "recovery")
    )
    aligned, cued, free, cured = (
        stacked([median(each[name]) for each in hurt], slowed_by=slower)
        for name in ("total_alignment", "cued", "any_sign", "cured")
    )
    growth = persevered.value[:3] / persevered.value[0] / np.array(slower[:3])
    return Outcome(
        {
            "slowed_by": exact(slower),
            "perseveration": persevered,
            "recovery_slowed": recovered,
            "alignment_slowed": aligned,
            "cued_loss_slowed": cued,
            "any_sign_loss_slowed": free,
            "recovery_cured": cured,
        },
        {
            "up to four times slower: perseveration in proportion, within 20 %": bool((abs(growth - 1) < 0.2).all()),
            "and paths stay the tasks for 100 blocks: alignment above 0.98": bool((aligned.low[:3] > 0.98).all()),
            "16 and 32 times slower: they do not, alignment below 0.9": bool((aligned.high[-2:] < 0.9).all()),
            "but both tasks stay within their span: with gates of any sign no loss": bool((free.high < 0.001).all()),
            "and once cured recovery takes less than 0.06": bool((cured.high < 0.06).all()),
        },
    )


@claim(
    "scaffold",
    "beyond",
    "Without noise penalties are a scaffold: needed to learn gates, and not to keep them.",
    counterfactual={"penalized": True},
)
def scaffold(penalized: bool = False) -> Outcome:
    """Recovery without penalties from the start, and 20 and 300 blocks after they were removed; all with noise too."""
    absent, noisy = never(penalized=penalized), never(NOISY)
    soon, long = lesion(a=0.0, b=0.0), lesion(a=0.0, b=0.0, blocks=300)
    loud = lesion(a=0.0, b=0.0, blocks=300, inputs=NOISY)
    late = long.recovery.isel(block=slice(-2, None)).mean("block")
    numbers = {
        "recovery_never": median(absent.recovery),
        "recovery_removed": median(soon.recovery.isel(block=-1)),
        "recovery_removed_long_ago": median(late),
        "alignment_removed": median(soon.total_alignment),
        "alignment_removed_long_ago": median(long.total_alignment),
        "cued_loss_removed_long_ago": median(long.cued),
        "alignment_never_with_noise": median(noisy.total_alignment),
        "alignment_removed_long_ago_with_noise": median(loud.total_alignment),
    }
    return Outcome(
        numbers,
        {
            "never there: recovery takes more than 0.3": numbers["recovery_never"].low > 0.3,
            "removed after training: less than 0.07, 20 blocks later": numbers["recovery_removed"].high < 0.07,
            "and less than 0.1, 300 blocks later": numbers["recovery_removed_long_ago"].high < 0.1,
            "when paths are no longer the tasks: alignment below 0.5": numbers["alignment_removed_long_ago"].high < 0.5,
            "noisy targets do what penalties do: never there, alignment above 0.8": numbers[
                "alignment_never_with_noise"
            ].low
            > 0.8,
            "and removed 300 blocks ago, above 0.95": numbers["alignment_removed_long_ago_with_noise"].low > 0.95,
        },
    )
