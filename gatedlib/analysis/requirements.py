"""What metrics ask of a run: its frames, its blocks, its axes; and what theory asks of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from gatedlib._internal.validation import as_float_array, refusal
from gatedlib.analysis.units import outputs_have_gates, unit_dim
from gatedlib.simulation.runs import runs_of, single_run

Numbers = Float[np.ndarray, "..."]
Given = Numbers | Sequence[float] | float
"""What theory computes from: a number, or an array of them."""


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
        raise refusal(f"shape of {name}", array.shape, f"must end with {shape}", remedy)
    return array


def positive_array(name: str, value: Given, remedy: str = "Use those of the experiment") -> Numbers:
    """An array of numbers above 0, infinite ones among them."""
    array = as_float_array(name, value)
    if not np.all(array > 0):
        raise refusal(name, value, "must be above 0 throughout", remedy)
    return array


def require_same_frames(name: str, values: xr.DataArray, run: xr.Dataset, remedy: str) -> None:
    """Require values at the times of a run."""
    count = values.sizes.get("time", 0)
    if count != run.sizes["time"] or ("time" in values.coords and not np.array_equal(values.time, run.time)):
        rule = f"must be the {run.sizes['time']} of the results, at the same times"
        raise refusal(f"frames of {name}", count, rule, remedy)


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
