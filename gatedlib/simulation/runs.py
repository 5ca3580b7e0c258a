"""What each run in a dataset is, and how a dataset that was selected from, joined or thinned is read as runs again.

Results carry one text for every run, in the coordinate `settings`: what was asked for, and the form of what came out.
It lies along `seed` and along what was swept, so that xarray selects and joins it with the data, and drops it when
runs are averaged. Attributes would not do: xarray keeps, drops and mixes those as it likes. Every function that reads
results goes through `in_each_run` or `single_run`, which give it the data of one cell in one form, or refuse them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal, require

TABLES = ("settings", "swept", "step", "active_task", "component", "block_start", "block_stop", "block_task")
"""The coordinates of results beside the labels of their axes."""


JOINED: dict[str, Any] = {"data_vars": "all", "coords": "different", "compat": "equals", "join": "outer"}
"""How `xarray.concat` puts runs side by side: values of unequal shapes are padded with nan, a table that differs, such
as the settings, gets the axis too."""


class Run(NamedTuple):
    """What one run is.

    Attributes:
        settings: those of its experiment, by their full names.
        seed: which seed.
        start: how many steps were taken before it.
        initial: a checksum of the parameters that it was given to start from; empty if it drew them.
        made_by: `simulate` or `solve`, and the precision.
        steps, blocks: how many it has.
        components: how many tasks come first that are not made of others.
        met: which of these were on, by themselves or as a part of a composite.
        gate_dims, weight_dims: the axes of gates and weights.
        dims: the axes of every variable, but for seed and cells of a sweep.
        sizes: how long each of them is, but for time.
        in_order: whether paths were reordered, so that path m serves task m.
    """

    settings: dict[str, Any]
    seed: int
    start: int
    initial: str
    made_by: str
    steps: int
    blocks: int
    components: int
    met: list[int]
    gate_dims: list[str]
    weight_dims: list[str]
    dims: dict[str, list[str]]
    sizes: dict[str, int]
    in_order: bool = False

    def text(self) -> str:
        """The run as it stands in the coordinate `settings`."""
        return json.dumps(self._asdict())


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Run:
    """The run that a text in `settings` describes."""
    return Run(**json.loads(text))


def runs_of(results: xr.Dataset | xr.DataArray) -> list[Run]:
    """The runs along `seed`, of what `single_run` gave."""
    return [read(text) for text in results.settings.values]


def setting(run: xr.Dataset, name: str) -> xr.DataArray:
    """A setting of each run along `seed`, by its full name."""
    return xr.DataArray([each.settings[name] for each in runs_of(run)], {"seed": run.seed.variable}, ("seed",))


def common(run: xr.Dataset, name: str) -> Any:
    """A setting that all runs share; another one for some of them is refused."""
    values = [each.settings[name] for each in runs_of(run)]
    rule, remedy = "must be one for all seeds", "Take those that share it: results.sel(seed=[...])"
    require(all(value == values[0] for value in values), name, values, rule, remedy)
    return values[0]


def dt_of(run: xr.Dataset) -> float:
    """The length of a step."""
    return float(common(run, "flow.dt"))


def spacing(steps: np.ndarray, of: Run) -> int:
    """Every how many steps there is a frame; all of them if there is one frame only. Frames must be equally far apart.

    What is measured block by block is right on a coarser grid too, and on no uneven one.
    """
    apart = np.unique(np.diff(steps))
    rule, remedy = "frames must be equally far apart", "Thin by a slice: results.isel(time=slice(None, None, 10))"
    require(len(apart) < 2, "steps between frames", apart.tolist(), rule, remedy)
    return int(apart[0]) if len(apart) else of.steps


Metric = Callable[..., Any]


def in_each_run(*names: str) -> Callable[[Metric], Metric]:
    """Let a function of one experiment's results take any results that hold these variables, cell by cell.

    The function gets data with the axes seed, time and then those of the run, complete and in their order. A single
    network that was selected, and further axes along which settings vary, come back in what it returns. Without names
    it gets all variables, and gives results again.
    """

    def decorate(metric: Metric) -> Metric:
        @functools.wraps(metric)
        def of_all(results: xr.Dataset, *args: Any, **kwargs: Any) -> Any:
            data, cells = _checked(results, names)

            def of_cell(argument: Any, where: dict[Hashable, int]) -> Any:
                if not isinstance(argument, xr.DataArray | xr.Dataset):
                    return argument
                for dim, at in where.items():
                    if dim in argument.indexes and dim in data.indexes:
                        argument = argument.sel({dim: data[dim].values[at]}, drop=True)
                    elif dim in argument.dims:
                        argument = argument.isel({dim: at}, drop=True)
                return argument

            def over(left: Sequence[Hashable], where: dict[Hashable, int]) -> Any:
                if not left:
                    given = [of_cell(argument, where) for argument in args]
                    named = {name: of_cell(argument, where) for name, argument in kwargs.items()}
                    found = metric(_run(data.isel(where, drop=True)), *given, **named)
                    return found.drop_vars(("settings", "swept"), errors="ignore") if names else found
                dim, *others = left
                parts = [over(others, {**where, dim: at}) for at in range(data.sizes[dim])]
                along = data[dim].variable if dim in data.coords else dim
                return xr.concat(parts, along, **JOINED)

            found = over(cells, {})
            return found if "seed" in results.dims else _one_seed(found)

        return of_all

    return decorate


def single_run(results: xr.Dataset, *names: str) -> xr.Dataset:
    """The data of one experiment, as `in_each_run` gives them; results of several are refused."""
    data, cells = _checked(results, names)
    rule = "these results hold a sweep, or several runs side by side"
    require(not cells, "results", cells, rule, "Take one cell out with gatedlib.results.cell, or measure in the sweep")
    return _run(data)


def texts_of(results: xr.Dataset) -> xr.DataArray:
    """The texts that say what each run is."""
    return _checked(results, ())[0].settings


def cell_dims(results: xr.Dataset) -> list[Hashable]:
    """The axes along which settings vary, beside seed."""
    return _checked(results, ())[1]


def _one_seed(found: Any) -> Any:
    """Without the axis seed; a label that says which network it is stays."""
    chosen = found.isel(seed=0) if "seed" in found.dims else found
    if isinstance(found, xr.Dataset) and "settings" in found.coords:
        return chosen.assign_coords(settings=found.settings.isel(seed=0))
    return chosen


def _checked(results: xr.Dataset, names: Sequence[str]) -> tuple[xr.Dataset, list[Hashable]]:
    """The variables of these names, or all, with an axis seed, and the axes along which settings vary."""
    if not isinstance(results, xr.Dataset):
        remedy = "Give what simulate or sweep returned"
        if isinstance(results, xr.DataTree):
            remedy = "Take the nodes that hold runs: metric(node.to_dataset()) for node in tree.leaves"
        raise refusal("results", type(results).__name__, "must be an xarray Dataset", remedy)
    data = results.set_coords([name for name in TABLES if name in results.data_vars])
    _require_settings(data)
    for name in names:
        require_recorded(data, name)
    data = data.drop_vars([name for name in data.data_vars if names and name not in names])
    if "seed" not in data.dims:
        data = _with_seed(data)
    held = data.settings.dims
    texts = data.settings.values.ravel()
    rule, remedy = "must hold at least one run", "Select less"
    require(len(texts) > 0, "runs", 0, rule, remedy)
    rule, remedy = "runs of other axes were joined, and have none in common", "Measure each, and join what you get"
    require(all(isinstance(text, str) for text in texts), "settings", "nan", rule, remedy)
    own = read(texts[0])
    for along in held:
        rule, remedy = f"runs were joined along {along}", "Use gatedlib.results.join(first, then)"
        apart = along == "seed" or (along != "time" and along not in own.sizes)
        require(apart, "axes of settings", held, rule, remedy)
    cells: list[Hashable] = []
    for variable, array in data.data_vars.items():
        known: set[Hashable] = {"seed", *own.dims.get(str(variable), array.dims)}
        for dim in array.dims:
            if dim in known or dim in cells:
                continue
            rule = f"{dim!r} is no axis of it in a run, and settings do not vary along it"
            remedy = (
                "Rename it back; join runs by xarray.concat(..., coords='different'), and a run with the one that goes "
                "on from it by gatedlib.results.join"
            )
            require(dim in held or array.sizes[dim] == 1, f"axes of {variable}", array.dims, rule, remedy)
            levels = data.indexes[dim].nlevels if dim in data.indexes else 1
            rule, remedy = f"{dim} is an index of several levels", f"Unstack it: results.unstack({dim!r})"
            require(levels == 1, f"axes of {variable}", array.dims, rule, remedy)
            cells.append(dim)
    return data, sorted(cells, key=lambda dim: held.index(dim) if dim in held else len(held))


def _require_settings(data: xr.Dataset) -> None:
    """Require the text that says what each run is."""
    if "settings" in data.coords:
        return
    expected = ["seed", *(str(data.swept.item()).split() if "swept" in data.coords else [])]
    gone = [name for name in expected if name not in data.dims]
    lost = f"they are lost with the axis {' or '.join(gone)}" if gone else "they say what each run is, and are not here"
    rule = f"{lost}, as after an average over runs, which is no run, or a selection with drop=True"
    remedy = "Measure first and average what you get, and keep labels: results.sel(seed=0)"
    raise refusal("settings", None, rule, remedy)


def _with_seed(data: xr.Dataset) -> xr.Dataset:
    """Data of one selected seed with an axis for it."""
    texts = data.settings.values.ravel()
    seeds = {read(text).seed for text in texts if isinstance(text, str)}
    rule, remedy = "must be one axis or one label", "Keep it: results.sel(seed=0)"
    require(len(seeds) == 1, "seed", sorted(seeds), rule, remedy)
    settings = data.settings.variable.set_dims(("seed", *data.settings.dims))
    bare = data.drop_vars(("seed", "settings"), errors="ignore").expand_dims("seed")
    return bare.assign_coords(seed=("seed", list(seeds)), settings=settings)


def require_recorded(results: xr.Dataset, *names: str) -> None:
    """Require that these quantities were recorded."""
    for name in names:
        labelled = name == "alignment" and "class" in results.dims
        rule, remedy = "labellings have no weights to match with", "Use metrics.matching_by_gates"
        require(not labelled, "teachers", "labels of classes", rule, remedy)
        require(
            name in results.data_vars,
            "recorded quantities",
            sorted(map(str, results.data_vars)),
            f"must include {name!r}",
            f"Run simulate with record=(gatedlib.record.{name}, ...)",
        )


def _run(data: xr.Dataset) -> xr.Dataset:
    """Check the data of one cell, and bring them into one form: all axes in their order, each complete."""
    described = runs_of(data)
    own = described[0]
    for each in described:
        alike = each[5:-1] == own[5:-1] and each.settings["flow.dt"] == own.settings["flow.dt"]
        rule, remedy = "runs along seed must have one form", "Join others along an axis of their own"
        require(alike, "settings", "runs of other sizes, blocks or steps", rule, remedy)
    if "seed" not in data.coords:
        data = data.assign_coords(seed=[each.seed for each in described])
    used = {dim for array in data.data_vars.values() for dim in array.dims}
    for dim in used & own.sizes.keys():
        data = _complete(data, str(dim), own)
    if "time" in used:
        _check_frames(data, own)
    for name, array in data.data_vars.items():
        if name not in own.dims:  # a variable that its user added
            continue
        dims = ("seed", *own.dims[str(name)])
        rule, remedy = f"must be {dims}", f"Keep axes: {name}.isel(axis=[0]), not isel(axis=0)"
        require(set(array.dims) == set(dims), f"axes of {name}", array.dims, rule, remedy)
        data[name] = array.transpose(*dims)
        if array.dtype.kind == "f":
            bad = int(np.sum(~np.isfinite(array.values)))
            rule = "no run has any: they come of joining or masking"
            require(bad == 0, f"entries of {name} that are not finite", bad, rule, "Measure each run by itself")
    return data


def _complete(data: xr.Dataset, dim: str, own: Run) -> xr.Dataset:
    """Data with an axis in the order of its labels, which must all be there."""
    labels = data[dim].values if dim in data.coords else np.arange(data.sizes[dim])
    whole = sorted(labels.tolist()) == list(range(own.sizes[dim]))
    if dim == "task" and not whole:  # those that are made of others were left out
        whole = sorted(labels.tolist()) == list(range(own.components))
    rule, remedy = f"must be all of the run, 0 to {own.sizes[dim] - 1}", "Measure first, and select from what you get"
    require(whole, f"labels of {dim}", labels.tolist(), rule, remedy)
    if not np.array_equal(labels, np.arange(len(labels))):
        data = data.isel({dim: np.argsort(labels)})
    return data if dim in data.coords else data.assign_coords({dim: labels})


def _check_frames(data: xr.Dataset, own: Run) -> None:
    """Require the steps and tasks of the frames: whole numbers, in their order."""
    for name in ("step", "active_task"):
        table = data.coords.get(name)
        fits = table is not None and table.dims == ("time",) and table.dtype.kind in "iu"
        rule = "must hold a whole number for every frame, as what simulate returns has"
        remedy = "Keep it; measure first, and average or join what you get"
        require(fits, name, "missing" if table is None else f"{table.dtype} along {table.dims}", rule, remedy)
    steps = data.step.values
    rule, remedy = "must hold a frame", "Select less"
    require(len(steps) > 0, "time", [], rule, remedy)
    rule = "must increase from frame to frame"
    remedy = "Join runs that go on by gatedlib.results.join(first, then), and sort frames by time"
    require(bool((np.diff(steps) > 0).all()), "steps", steps, rule, remedy)
    rule = f"must be from 0 to {own.steps - 1}, those of the run"
    require(steps[0] >= 0 and steps[-1] < own.steps, "steps", steps[[0, -1]].tolist(), rule, "Keep steps as they are")
