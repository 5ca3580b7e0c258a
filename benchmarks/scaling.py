"""How sweeps scale: against single runs, and with the number of runs, of steps, of seeds and of samples in a batch."""

import os
import time
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import gatedlib as gl
from gatedlib import metrics, plotting
from gatedlib.simulation import sweep
from gatedlib_book import experiments, regimes
from gatedlib_book.experiments import FLEXIBLE

PICTURES = Path(__file__).parent / "pictures"
SEEDS = 10
KEEP = {"record": (gl.record.alignment,), "every": 100}
GRIDS = (
    (experiments.BY_SPEED, {"block_length": regimes.TAU_B, "tau_c": regimes.TAU_C}),
    (regimes.BY_PENALTY, {"block_length": regimes.TAU_B, "strength": regimes.STRENGTHS}),
)
INPUTS = (gl.Population(), gl.Sampled(200))


def seconds(run, repeats=2):
    """The shortest of some runs, after one that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def both_grids(inputs):
    """Both grids of Fig. 5, 500 runs, in two sweeps."""
    for experiment, axes in GRIDS:
        gl.sweep(experiment.replace(inputs=inputs), seeds=SEEDS, measure=metrics.total_alignment, **KEEP, **axes)


def one_after_another(inputs, seeds=SEEDS):
    """The same runs, one call of `simulate` each."""
    for experiment, axes in GRIDS:
        for first in axes["block_length"]:
            other = next(name for name in axes if name != "block_length")
            for second in axes[other]:
                cell = experiment.replace(inputs=inputs, block_length=first, **{other: second})
                for seed in range(seeds):
                    metrics.total_alignment(gl.simulate(cell, seeds=[seed], **KEEP))


def grids():
    """Sweeps against single runs, and finer diagrams."""
    print(f"Both grids of Fig. 5: 500 runs of 7000 steps, devices: {jax.device_count()}. Seconds after compilation.")
    for inputs in INPUTS:
        one_after_another(inputs, seeds=1)  # compiles
        start = time.perf_counter()
        one_after_another(inputs)
        single = time.perf_counter() - start
        together = seconds(lambda i=inputs: both_grids(i))
        name = type(inputs).__name__
        print(f"{name:12} one by one {single:7.2f} s, swept {together:7.3f} s: {single / together:5.1f} times as fast")
    experiment = experiments.BY_SPEED.replace(inputs=gl.Population())
    for side, seeds in ((24, 8), (64, 16)):
        axes = {"block_length": np.linspace(0.05, 1, side).round(3), "tau_c": np.geomspace(0.003, 0.1, side)}
        start = time.perf_counter()
        gl.sweep(experiment, seeds=seeds, measure=metrics.total_alignment, **KEEP, **axes)
        spent = time.perf_counter() - start
        runs = side**2 * seeds
        print(f"diagram of {side} x {side} cells, {seeds} seeds: {runs:6} runs in {spent:6.1f} s, with compilation")


def per_run(inputs, runs):
    """Seconds per run of a tile of so many runs."""
    experiment = FLEXIBLE.replace(inputs=inputs, blocks=2)
    axes = {"tau_c": np.linspace(0.02, 0.1, max(1, runs // 8)).tolist()}
    call = {"seeds": min(8, runs), "measure": metrics.total_alignment, **KEEP}
    most, sweep.RUNS_PER_CPU = sweep.RUNS_PER_CPU, 10**9
    try:
        return seconds(lambda: gl.sweep(experiment, **call, **axes), repeats=3) / runs
    finally:
        sweep.RUNS_PER_CPU = most


def scaling():
    """Time per run against runs in a tile; time against steps, seeds and batch."""
    runs = (1, 8, 32, 128, 512, 2048)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3))
    for inputs in INPUTS:
        times = [1e3 * per_run(inputs, count) for count in runs]
        left.loglog(runs, times, marker="o", label=type(inputs).__name__)
        print(f"{type(inputs).__name__:12} ms per run, tiles of {runs}: {np.round(times, 3)}")
    factors = (1, 2, 4, 8, 16)
    for name in ("steps", "seeds"):
        times = []
        for factor in factors:
            experiment = FLEXIBLE.replace(blocks=2 * (factor if name == "steps" else 1))
            seeds = 10 * (factor if name == "seeds" else 1)
            times.append(seconds(lambda e=experiment, n=seeds: gl.simulate(e, n, **KEEP)))
        middle.loglog(factors, np.divide(times, times[0]), marker="o", label=name)
        print(f"{factors} times as many {name} cost {np.round(np.divide(times, times[0]), 2)} times as much")
    middle.loglog(factors, factors, "k:", linewidth=1)
    batches = (20, 50, 200, 1000, 10_000, 100_000)
    times = [seconds(lambda b=b: gl.simulate(FLEXIBLE.replace(blocks=2, batch=b), 10, **KEEP)) for b in batches]
    right.semilogx(batches, 1e3 * np.array(times), marker="o")
    print(f"batches of {batches} cost {np.round(np.divide(times, times[0]), 2)} times as much")
    left.set(xlabel="runs in a tile", ylabel="ms per run (2000 steps)")
    middle.set(xlabel="times as many", ylabel="times the cost")
    right.set(xlabel="samples in a batch", ylabel="ms (10 runs, 2000 steps)", ylim=(0, None))
    left.legend()
    middle.legend()
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / "scaling.png")
    print(
        f"drawn in {PICTURES.relative_to(Path.cwd()) if PICTURES.is_relative_to(Path.cwd()) else PICTURES}/scaling.png"
    )


def main():
    mpl.use("Agg")
    plotting.use_style()
    grids()
    scaling()
