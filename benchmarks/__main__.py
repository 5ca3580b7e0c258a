"""Speed and memory against the naive reference, as ratios within one run: `python -m benchmarks`."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gatedlib as gl
from benchmarks import first, naive, scaling
from benchmarks.scaling import seconds
from gatedlib_book import pictures
from gatedlib_book.experiments import FLEXIBLE

SEEDS = 10
TIMES = Path(__file__).parents[1] / "_build" / "times.json"
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
    return float(alone("memory"))


def recording():
    """What the default record costs over the loss alone, population and batches; aims 5 and 1.3."""
    for inputs, seeds, most in ((gl.Population(), 30, 5), (gl.Sampled(200), SEEDS, 1.3)):
        experiment = FLEXIBLE.replace(inputs=inputs)
        loss, default = (
            seconds(lambda e=experiment, n=seeds, r=record: gl.simulate(e, n, r))
            for record in ((gl.record.loss,), gl.record.DEFAULT)
        )
        name = f"{type(inputs).__name__}, {seeds} seeds"
        print(f"{name:24} loss {loss:7.3f} s, default record {default:7.3f} s: {default / loss:4.1f} times, aim {most}")


def compiling():
    """CPU seconds of a first run, of one of another length, and with another penalty."""
    asked = {
        "first run": {},
        "the same again": {},
        "another length": {"blocks": 7},
        "another penalty": {"penalties": (*FLEXIBLE.flow.penalties, gl.WeightDecay(1e-3))},
    }
    for inputs in (gl.Population(), gl.Sampled(200)):
        told = []
        for what, change in asked.items():
            experiment = FLEXIBLE.replace(inputs=inputs, **{"blocks": 2, **change})
            start = time.process_time()
            gl.simulate(experiment, SEEDS)
            told.append(f"{what} {time.process_time() - start:5.2f} s")
        print(f"{type(inputs).__name__:12} CPU, compiling included: {', '.join(told)}")


def alone(what):
    """What one of the functions here prints in a process of its own, which finds nothing compiled before."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    command = [sys.executable, "-m", "benchmarks", what]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=kept).stdout


def last_build():
    """CPU seconds of the last `make book`."""
    if not TIMES.exists():
        print("make book: no build to be read, run it first")
        return
    times = json.loads(TIMES.read_text(encoding="utf-8"))
    chapters = times["chapters"]
    cpu, pages = sum(chapter["cpu"] for chapter in chapters.values()), times["pages_cpu"]
    longest = max(chapters, key=lambda name: chapters[name]["cpu"])
    print(f"make book: {cpu + pages:.0f} s of CPU, {times['wall']:.0f} s in all; pages {pages:.0f} s, {len(chapters)}")
    print(f"chapters {cpu:.0f} s of CPU, the longest {longest} with {chapters[longest]['cpu']:.0f} s")


def all_claims():
    """Seconds of all claims, with nothing compiled or computed before."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fresh = {**os.environ, "JAX_COMPILATION_CACHE_DIR": folder, "TQDM_DISABLE": "1"}
        fresh.pop("GATEDLIB_RESULTS", None)
        command = [sys.executable, "-m", "gatedlib_book", "claims", "--exit-zero"]
        cpu = first.cpu_seconds(command, env=fresh)
        print(f"all claims: {time.perf_counter() - start:.0f} s on {os.cpu_count()} cores, {cpu:.0f} s of CPU")


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


def main():
    if sys.argv[1:] == ["memory"]:
        jax.block_until_ready(jnp.ones(1))
        import xarray  # noqa: F401

        before = peak()
        for inputs in (gl.Population(), gl.Sampled(200)):
            gl.simulate(FLEXIBLE.replace(inputs=inputs), SEEDS)
        print(peak() - before)
        return
    if sys.argv[1:] == ["compiling"]:
        compiling()
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
    recording()
    print(alone("compiling"), end="")
    print(f"peak memory beyond imports   {memory():8.0f} MB, aim below 300")
    extra = import_seconds("import gatedlib") - import_seconds("import jax")
    print(f"import gatedlib over jax     {np.maximum(extra, 0):8.2f} s, aim below 0.5")
    first.compare([first.ROOT])
    head()
    scaling.main()
    last_build()
    all_claims()


if __name__ == "__main__":
    main()
