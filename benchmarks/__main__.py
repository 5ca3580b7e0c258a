"""Speed and memory against the naive reference, as ratios within one run: `python -m benchmarks`."""

import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gatedlib as gl
from benchmarks import naive, scaling
from benchmarks.scaling import seconds
from gatedlib.paper import depth, pictures
from gatedlib.paper.dynamics import FLEXIBLE

SEEDS = 10
CONSTANTS = {"tau_w": 1.3, "tau_c": 0.03, "dt": 1e-3, "a": 0.0909, "b": 0.909, "batch": 200}
KEEP = (gl.record.loss, gl.record.gates)  # what the naive run keeps


def naive_runs():
    """The naive model for Fig. 2, one seed after another and all seeds at once."""
    tasks = jnp.asarray(FLEXIBLE.schedule().tasks)

    def one(key):
        teachers, params = naive.start(key)
        losses, gates, _ = naive.run(key, teachers, params, tasks, **CONSTANTS)
        return losses, gates

    keys = jax.random.split(jax.random.key(0), SEEDS)
    single, together = jax.jit(one), jax.jit(jax.vmap(one))
    return lambda: [jax.block_until_ready(single(key)) for key in keys], lambda: jax.block_until_ready(together(keys))


def memory():
    """Peak memory beyond the imports of a population and a sampled run, in MB, in a process of its own."""
    ran = subprocess.run([sys.executable, "-m", "benchmarks", "memory"], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def peak():
    """Peak memory of this process so far, in MB; on Linux `getrusage` would count the parent's peak too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def import_seconds(statement):
    """How long an import takes in a fresh process, the shortest of five."""
    code = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))


def head():
    """The head of Fig. 7, all seeds at once, against one after another."""
    keep = (pictures.accuracy("digits"), gl.record.gates)
    experiment = pictures.flexible("digits")
    together = seconds(lambda: gl.simulate(experiment, SEEDS, keep, every=10))
    apart = seconds(lambda: [gl.simulate(experiment, [seed], keep, every=10) for seed in range(SEEDS)], repeats=1)
    print(f"Fig. 7, digits: {SEEDS} seeds x {len(experiment.schedule().tasks)} steps {together:6.2f} s, aim below 20;")
    print(f"seed after seed {apart / together:4.1f} times as long")


def explorers():
    """One move of a slider, in the explorers that compute most."""
    made = {
        "regimes": gl.explore.regimes(FLEXIBLE),
        "schedule": gl.explore.schedule(FLEXIBLE),
        "second_layer": gl.explore.second_layer(depth.COSTLY.replace(dt=0.01, blocks=30)),
    }
    for name, explorer in made.items():
        print(f"explorer {name:20}{seconds(explorer.redraw):8.3f} s a move, aim below 0.1")


def main():
    if sys.argv[1:] == ["memory"]:
        jax.block_until_ready(jnp.ones(1))
        import xarray  # noqa: F401

        before = peak()
        for inputs in (gl.Population(), gl.Sampled(200)):
            gl.simulate(FLEXIBLE.replace(inputs=inputs), SEEDS)
        print(peak() - before)
        return
    print(f"Fig. 2, flexible: {SEEDS} seeds x {len(FLEXIBLE.schedule().tasks)} steps. Seconds after compilation.")
    one_by_one, together = (seconds(run, repeats=1) for run in naive_runs())
    print(f"naive, seed after seed       {one_by_one:8.3f} s")
    print(f"naive, all seeds vmapped     {together:8.3f} s  (the reference)")
    for name, inputs, least in (("Population()", gl.Population(), 50), ("Sampled(200)", gl.Sampled(200), 5)):
        experiment = FLEXIBLE.replace(inputs=inputs)
        for what, record in (("same record", KEEP), ("default record", gl.record.DEFAULT)):
            spent = seconds(lambda e=experiment, r=record: gl.simulate(e, SEEDS, r))
            goal = f", aim {least}" if record is KEEP else ""
            print(f"{name}, {what:15}{spent:9.3f} s  {together / spent:6.1f} times as fast{goal}")
    print(f"peak memory beyond imports   {memory():8.0f} MB, aim below 300")
    extra = import_seconds("import gatedlib") - import_seconds("import jax")
    print(f"import gatedlib over jax     {np.maximum(extra, 0):8.2f} s, aim below 0.5")
    head()
    explorers()
    scaling.main()


if __name__ == "__main__":
    main()
