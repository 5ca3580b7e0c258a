"""Checks that results hold all frames, or all blocks, of a run: some metrics need these, and so does joining runs."""

import xarray as xr

from gatedlib._internal.validation import refusal
from gatedlib.simulation.runs import runs_of, spacing


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
    every = spacing(steps[-max(2, count) :], own)
    _require_frames(run, len(steps) >= count and steps[-1] + every >= own.steps)


def require_all_frames(run: xr.Dataset) -> None:
    """Require frames from the first step to the last."""
    require_first_frames(run)
    require_last_frames(run, 1)


def _require_frames(run: xr.Dataset, complete: bool) -> None:
    if not complete:
        steps, last = run.step.values, runs_of(run)[0].steps - 1
        rule, remedy = (
            f"must be those of the whole run, 0 to {last}",
            "Measure or join first, and select from what you get",
        )
        raise refusal("steps", f"{steps[0]} to {steps[-1]}", rule, remedy)


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
        remedy = "Measure or join first, and select from what you get"
        raise refusal("number of blocks", count, f"must be all {blocks} of the run", remedy)
