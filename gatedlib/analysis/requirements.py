"""What every metric asks for: that its quantities were recorded, and to be taken in each cell of a sweep."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from gatedlib._internal.validation import require
from gatedlib.simulation.results import cell, swept


def require_recorded(results: xr.Dataset, *names: str) -> None:
    """Require that these quantities were recorded."""
    for name in names:
        require(
            name in results,
            "recorded quantities",
            sorted(map(str, results.data_vars)),
            f"must include {name!r}",
            f"Run simulate with record=(gatedlib.record.{name}, ...)",
        )


def of_seed(data: xr.Dataset | xr.DataArray, seed: int) -> Any:
    """What belongs to one seed."""
    run = data.seed.values.tolist()
    require(seed in run, "seed", seed, "was not run", f"Use one of {run}")
    return data.sel(seed=seed)


def require_every_step(results: xr.Dataset) -> None:
    """Require a frame of every step."""
    every = int(results.attrs["every"])
    require(every == 1, "every", every, "must be 1: every step counts here", "Record with every=1")


def require_all_frames(results: xr.Dataset) -> None:
    """Require frames from the first step to the last."""
    steps, every = results.step.values, int(results.attrs["every"])
    end = int(results.block_stop[-1])
    complete = len(steps) > 0 and steps[0] == 0 and steps[-1] + every >= end
    rule, remedy = f"must be those of the whole run, 0 to {end - 1}", "Measure first, and cut what was measured"
    require(complete, "steps", f"{steps.min(initial=end)} to {steps.max(initial=0)}", rule, remedy)


def first_true(holds: np.ndarray) -> np.ndarray:
    """The first place along the last axis at which something holds; nan where it never does."""
    return np.where(holds.any(-1), holds.argmax(-1), np.nan)


def require_single_run(results: xr.Dataset) -> None:
    """Require results that hold no sweep."""
    rule, remedy = "these results hold a sweep", "Take one cell out with gatedlib.results.cell, or measure in the sweep"
    require(not swept(results), "results", list(swept(results)), rule, remedy)


def require_matrix_paths(results: xr.Dataset) -> None:
    """Require results of a network of paths, each a matrix that can be compared with the teachers."""
    rule, remedy = "this is about paths that are matrices like their teachers", "Use GatedLinear with matrices"
    weights, teachers = results.attrs["network.weight_dims"], results.teachers.dims
    require(weights == f"{unit(results)} out in", "axes of the weights", weights, rule, remedy)
    require("in" in teachers, "axes of the teachers", teachers, rule, remedy)


def unit(results: xr.Dataset) -> str:
    """What a gate belongs to in these results: a `path`, or a `hidden` unit of a `TwoLayer` network."""
    rule, remedy = "must be those of a run", "Keep them: xarray.set_options(keep_attrs=True)"
    require("network.unit" in results.attrs, "attrs", sorted(results.attrs), rule, remedy)
    return results.attrs["network.unit"]


def outputs_share_units(results: xr.Dataset) -> bool:
    """Whether units have one row of weights for all outputs, as hidden units have, and no matrix."""
    return "out" not in results.attrs["network.weight_dims"].split()


def outputs_have_gates(results: xr.Dataset) -> bool:
    """Whether each output has gates of its own."""
    return "out" in results.attrs["network.gate_dims"].split()


def require_gate_per_path(results: xr.Dataset, remedy: str) -> None:
    """Require one gate per path, none for single outputs."""
    rule = "have an out: there must be one gate per path"
    require(not outputs_have_gates(results), "dims of gates", results.gates.dims, rule, remedy)


def require_no_composites(results: xr.Dataset, remedy: str) -> None:
    """Require that no task is made of others."""
    made = int((results.component == 0).sum()) if "component" in results.coords else 0
    require(made == 0, "tasks made of others", made, "have no path of their own, and so no gate", remedy)


def in_each_cell(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of results take the results of a sweep too, and be taken in each cell."""

    @functools.wraps(metric)
    def of_all(results: xr.Dataset, *settings: Any, **named: Any) -> Any:
        fixed = [name for name in swept(results) if name not in results.dims]  # one value was selected already
        if fixed:
            chosen = results.expand_dims([name for name in fixed if name in results.coords])
            return of_all(chosen, *settings, **named).squeeze(fixed)

        def of_cell(argument: Any, where: dict[str, Any]) -> Any:
            if not isinstance(argument, xr.DataArray):
                return argument
            return argument.sel({name: value for name, value in where.items() if name in argument.dims}, drop=True)

        def over(names: list[str], where: dict[str, Any]) -> Any:
            if not names:
                listed = [of_cell(argument, where) for argument in settings]
                by_name = {name: of_cell(argument, where) for name, argument in named.items()}
                return metric(cell(results, **where) if where else results, *listed, **by_name)
            name, *others = names
            parts = [over(others, {**where, name: value}) for value in results[name].values.tolist()]
            return xr.concat(parts, results[name], coords="different", compat="equals", join="outer")

        return over(list(swept(results)), {})

    return of_all
