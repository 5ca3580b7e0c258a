"""What metrics ask of a run: its frames, its blocks, its axes."""

from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import as_float_array, refusal
from gatedlib.analysis.units import outputs_have_gates, unit_dim
from gatedlib.simulation.runs import runs_of, single_run, spacing


def table_of_frames(results: xr.Dataset) -> xr.Dataset:
    """One run for its frames and blocks, with the first of its quantities over time."""
    timed = [str(name) for name, array in results.data_vars.items() if "time" in array.dims]
    if not timed:
        names = sorted(map(str, results.data_vars))
        raise refusal("quantities", names, "must have been recorded over time", "Give what simulate returned")
    return single_run(results, timed[0])


def of_seed(data: xr.Dataset | xr.DataArray, seed: int) -> Any:
    """The data of one seed."""
    seeds = data.seed.values.tolist()
    if seed not in seeds:
        raise refusal("seed", seed, "was not run", f"Use one of {seeds}")
    if seeds.count(seed) > 1:
        raise refusal("seed", seed, f"stands several times in {seeds}", "Take one: results.isel(seed=[0])")
    return data.sel(seed=seed)


def array_ending_with(name: str, value: Any, shape: tuple[int, ...], remedy: str) -> np.ndarray:
    """An array of numbers whose last axes have this shape."""
    array = as_float_array(name, value, remedy)
    if array.shape[-len(shape) :] != shape:
        raise refusal(f"shape of {name}", array.shape, f"must end with {', '.join(map(str, shape))}", remedy)
    return array


def require_every_step(run: xr.Dataset) -> None:
    """Require a frame of every step."""
    every = spacing(run.step.values, runs_of(run)[0])
    if every != 1:
        raise refusal("every", every, "must be 1: every step counts here", "Record with every=1")


def require_first_frames(run: xr.Dataset) -> None:
    """Require frames from the first step on."""
    _require_frames(run, run.step.values[0] == 0)


def require_last_frames(run: xr.Dataset, count: int) -> None:
    """Require this number of frames at the end, in the spacing that the last of them have."""
    steps, own = run.step.values, runs_of(run)[0]
    # frames that were thinned end before the last step, but within one spacing of the end
    every = spacing(steps[-max(2, count) :], own)
    _require_frames(run, len(steps) >= count and steps[-1] + every >= own.steps)


def require_all_frames(run: xr.Dataset) -> None:
    """Require frames from the first step to the last."""
    require_first_frames(run)
    require_last_frames(run, 1)


def _require_frames(run: xr.Dataset, complete: bool) -> None:
    if not complete:
        steps, last = run.step.values, runs_of(run)[0].steps - 1
        rule, remedy = f"must be those of the whole run, 0 to {last}", "Measure first, and cut what was measured"
        raise refusal("steps", f"{steps[0]} to {steps[-1]}", rule, remedy)


def require_same_frames(name: str, values: xr.DataArray, run: xr.Dataset, remedy: str) -> None:
    """Require values at the times of a run."""
    count = values.sizes.get("time", 0)
    if count != run.sizes["time"] or ("time" in values.coords and not np.array_equal(values.time, run.time)):
        rule = f"must be the {run.sizes['time']} of the results, at the same times"
        raise refusal(f"frames of {name}", count, rule, remedy)


def require_blocks(run: xr.Dataset, *, whole: bool = False) -> None:
    """Require the table of blocks; with `whole`, that of all blocks of the run."""
    for name in ("block_start", "block_stop", "block_task"):
        table = run.coords.get(name)
        if table is None or table.dims != ("block",) or table.dtype.kind not in "iu" or len(table) == 0:
            value = "missing" if table is None else f"{table.dtype} along {table.dims}"
            remedy = "Keep it: results[['loss']] drops it, results.drop_vars('gates') not"
            raise refusal(name, value, "must be the table of blocks", remedy)
    count, blocks = run.sizes["block"], runs_of(run)[0].blocks
    if whole and count != blocks:
        remedy = "Measure first, and select from what you get"
        raise refusal("number of blocks", count, f"must be all {blocks} of the run", remedy)


def require_matrix_paths(run: xr.Dataset) -> None:
    """Require results of a network of paths whose matrices can be compared with the teachers."""
    rule, remedy = "this is about paths that are matrices like their teachers", "Use GatedLinear with matrices"
    weights, teachers = runs_of(run)[0].weight_dims, runs_of(run)[0].dims["teachers"]
    if weights != [unit_dim(run), "out", "in"]:
        raise refusal("axes of the weights", " ".join(weights), rule, remedy)
    if "in" not in teachers:
        raise refusal("axes of the teachers", tuple(teachers), rule, remedy)


def require_gate_per_path(run: xr.Dataset, remedy: str) -> None:
    """Require one gate per path, none for single outputs."""
    if outputs_have_gates(run):
        rule = "have an out: there must be one gate per path"
        raise refusal("dims of gates", runs_of(run)[0].gate_dims, rule, remedy)


def require_no_composites(run: xr.Dataset, remedy: str) -> None:
    """Require that no task is made of others."""
    own = runs_of(run)[0]
    composites = own.sizes["task"] - own.components
    if composites > 0:
        rule = "have no path of their own, and so no gate"
        raise refusal("tasks made of others", composites, rule, remedy)
