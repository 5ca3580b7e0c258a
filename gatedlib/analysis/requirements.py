"""What metrics ask of a run: its frames, its blocks, its axes."""

from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.simulation.runs import runs_of, single_run, spacing


def table_of_frames(results: xr.Dataset) -> xr.Dataset:
    """One run for its frames and blocks, with the first of its quantities over time."""
    timed = [str(name) for name, array in results.data_vars.items() if "time" in array.dims]
    rule, remedy = "must have been recorded over time", "Give what simulate returned"
    require(len(timed) > 0, "quantities", sorted(map(str, results.data_vars)), rule, remedy)
    return single_run(results, timed[0])


def of_seed(data: xr.Dataset | xr.DataArray, seed: int) -> Any:
    """What belongs to one seed."""
    runs = data.seed.values.tolist()
    require(seed in runs, "seed", seed, "was not run", f"Use one of {runs}")
    require(runs.count(seed) == 1, "seed", seed, f"stands several times in {runs}", "Take one: results.isel(seed=[0])")
    return data.sel(seed=seed)


def require_every_step(run: xr.Dataset) -> None:
    """Require a frame of every step."""
    every = spacing(run.step.values, runs_of(run)[0])
    require(every == 1, "every", every, "must be 1: every step counts here", "Record with every=1")


def require_all_frames(run: xr.Dataset) -> None:
    """Require frames from the first step to the last."""
    require_first_frames(run)
    require_last_frames(run, 1)


def require_first_frames(run: xr.Dataset) -> None:
    """Require frames from the first step on."""
    _require_frames(run, bool(run.step[0] == 0))


def require_last_frames(run: xr.Dataset, count: int) -> None:
    """Require the last so many frames of those that lie as far apart as the last of these."""
    steps, own = run.step.values, runs_of(run)[0]
    every = spacing(steps[-max(2, count) :], own)
    _require_frames(run, len(steps) >= count and steps[-1] + every >= own.steps)


def _require_frames(run: xr.Dataset, complete: bool) -> None:
    end, steps = runs_of(run)[0].steps, run.step.values
    rule, remedy = f"must be those of the whole run, 0 to {end - 1}", "Measure first, and cut what was measured"
    require(complete, "steps", f"{steps[0]} to {steps[-1]}", rule, remedy)


def require_blocks(run: xr.Dataset, *, whole: bool = False) -> None:
    """Require the table of blocks, and if need be that it is the whole one."""
    for name in ("block_start", "block_stop", "block_task"):
        table = run.coords.get(name)
        fits = table is not None and table.dims == ("block",) and table.dtype.kind in "iu" and len(table) > 0
        told = "missing" if table is None else f"{table.dtype} along {table.dims}"
        rule, remedy = (
            "must be the table of blocks",
            "Keep it: results[['loss']] drops it, results.drop_vars('gates') not",
        )
        require(fits, name, told, rule, remedy)
    count, blocks = run.sizes["block"], runs_of(run)[0].blocks
    rule, remedy = f"must be all {blocks} of the run", "Measure first, and select from what you get"
    require(not whole or count == blocks, "number of blocks", count, rule, remedy)


def first_true(holds: np.ndarray) -> np.ndarray:
    """The first place along the last axis at which something holds; nan where it never does."""
    return np.where(holds.any(-1), holds.argmax(-1), np.nan)


def require_matrix_paths(run: xr.Dataset) -> None:
    """Require results of a network of paths, each a matrix that can be compared with the teachers."""
    rule, remedy = "this is about paths that are matrices like their teachers", "Use GatedLinear with matrices"
    weights, teachers = runs_of(run)[0].weight_dims, runs_of(run)[0].dims["teachers"]
    require(weights == [unit(run), "out", "in"], "axes of the weights", " ".join(weights), rule, remedy)
    require("in" in teachers, "axes of the teachers", tuple(teachers), rule, remedy)


def unit(run: xr.Dataset) -> str:
    """What a gate belongs to in these results: a `path`, or a `hidden` unit of a `TwoLayer` network."""
    return runs_of(run)[0].gate_dims[0]


def outputs_share_units(run: xr.Dataset) -> bool:
    """Whether units have one row of weights for all outputs, as hidden units have, and no matrix."""
    return "out" not in runs_of(run)[0].weight_dims


def outputs_have_gates(run: xr.Dataset) -> bool:
    """Whether each output has gates of its own."""
    return "out" in runs_of(run)[0].gate_dims


def require_gate_per_path(run: xr.Dataset, remedy: str) -> None:
    """Require one gate per path, none for single outputs."""
    rule = "have an out: there must be one gate per path"
    require(not outputs_have_gates(run), "dims of gates", runs_of(run)[0].gate_dims, rule, remedy)


def require_no_composites(run: xr.Dataset, remedy: str) -> None:
    """Require that no task is made of others."""
    own = runs_of(run)[0]
    made = own.sizes["task"] - own.components
    require(made == 0, "tasks made of others", made, "have no path of their own, and so no gate", remedy)


def learned_tasks(run: xr.Dataset) -> np.ndarray:
    """Which tasks may have a path of their own: those that are not made of others, and that the network has met.

    A network that did not begin with drawn parameters may have met all of them before.
    """
    own, tasks = runs_of(run)[0], run.task.values
    return (tasks < own.components) & (np.isin(tasks, own.met) | any(each.initial for each in runs_of(run)))
