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

from gatedlib._internal.validation import refusal, require_finite

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
    return xr.DataArray(
        [described.settings[name] for described in runs_of(run)], {"seed": run.seed.variable}, ("seed",)
    )


def common(run: xr.Dataset, name: str) -> Any:
    """A setting that all runs share; runs that differ in it are refused."""
    values = [described.settings[name] for described in runs_of(run)]
    if any(value != values[0] for value in values):
        raise refusal(name, values, "must be one for all seeds", "Take those that share it: results.sel(seed=[...])")
    return values[0]


def dt_of(run: xr.Dataset) -> float:
    """The length of a step."""
    return float(common(run, "flow.dt"))


def spacing(steps: np.ndarray, of: Run) -> int:
    """The steps from one frame to the next, which must be one number; all steps of the run if there is one frame only.

    What is measured block by block is right on a coarser grid too, and on no uneven one.
    """
    spacings = np.unique(np.diff(steps))
    if len(spacings) > 1:
        remedy = "Thin by a slice: results.isel(time=slice(None, None, 10))"
        raise refusal("steps between frames", spacings.tolist(), "frames must be equally far apart", remedy)
    return int(spacings[0]) if len(spacings) else of.steps


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
                    if dim in argument.indexes and dim in data.indexes:  # by label: the argument may have another order
                        argument = argument.sel({dim: data[dim].values[at]}, drop=True)
                    elif dim in argument.dims:
                        argument = argument.isel({dim: at}, drop=True)
                return argument

            def over(left: Sequence[Hashable], where: dict[Hashable, int]) -> Any:
                if not left:
                    given = [of_cell(argument, where) for argument in args]
                    named = {name: of_cell(argument, where) for name, argument in kwargs.items()}
                    value = metric(_run(data.isel(where, drop=True)), *given, **named)
                    # a metric is no run: it must not bear the texts that say what a run is
                    return value.drop_vars(("settings", "swept"), errors="ignore") if names else value
                dim, *others = left  # one axis of cells at a time, from the outermost on
                parts = [over(others, {**where, dim: at}) for at in range(data.sizes[dim])]
                along = data[dim].variable if dim in data.coords else dim
                return xr.concat(parts, along, **JOINED)

            value = over(cells, {})
            return value if "seed" in results.dims else _one_seed(value)

        return of_all

    return decorate


def single_run(results: xr.Dataset, *names: str) -> xr.Dataset:
    """The data of one experiment, as `in_each_run` gives them; results of several are refused."""
    data, cells = _checked(results, names)
    if cells:
        rule = "these results hold a sweep, or several runs side by side"
        remedy = "Take one cell out with gatedlib.results.cell, or measure in the sweep"
        raise refusal("results", cells, rule, remedy)
    return _run(data)


def texts_of(results: xr.Dataset) -> xr.DataArray:
    """The texts that say what each run is."""
    return _checked(results, ())[0].settings


def cell_dims(results: xr.Dataset) -> list[Hashable]:
    """The axes along which settings vary, beside seed."""
    return _checked(results, ())[1]


def _one_seed(value: Any) -> Any:
    """A value without the axis seed; a label that says which network it is stays."""
    chosen = value.isel(seed=0) if "seed" in value.dims else value
    if isinstance(value, xr.Dataset) and "settings" in value.coords:
        return chosen.assign_coords(settings=value.settings.isel(seed=0))
    return chosen


def _checked(results: xr.Dataset, names: Sequence[str]) -> tuple[xr.Dataset, list[Hashable]]:
    """The variables of these names, or all, with an axis seed, and the axes along which settings vary."""
    if not isinstance(results, xr.Dataset):
        remedy = "Give what simulate or sweep returned"
        if isinstance(results, xr.DataTree):
            remedy = "Take the nodes that hold runs: metric(node.to_dataset()) for node in tree.leaves"
        raise refusal("results", type(results).__name__, "must be an xarray Dataset", remedy)
    # xarray makes variables of tables where a user reset or assigned them
    data = results.set_coords([name for name in TABLES if name in results.data_vars])
    _require_settings(data)
    for name in names:
        require_recorded(data, name)
    data = data.drop_vars([name for name in data.data_vars if names and name not in names])
    if "seed" not in data.dims:
        data = _with_seed(data)
    texts, held = data.settings.values.ravel(), data.settings.dims
    if len(texts) == 0:
        raise refusal("runs", 0, "must hold at least one run", "Select less")
    if not all(isinstance(text, str) for text in texts):  # nan, where concat filled up a grid
        rule = "runs of other axes were joined, and have none in common"
        raise refusal("settings", "nan", rule, "Measure each, and join what you get")
    for dim in held:
        if dim == "time" or (dim != "seed" and dim in read(texts[0]).sizes):
            rule, remedy = f"runs were joined along {dim}", "Use gatedlib.results.join(first, then)"
            raise refusal("axes of settings", held, rule, remedy)
    cells = _cell_dims(data, read(texts[0]))
    return data, sorted(cells, key=lambda dim: held.index(dim) if dim in held else len(held))


def _cell_dims(data: xr.Dataset, own: Run) -> list[Hashable]:
    """The axes of variables that a run does not have: settings must vary along them."""
    cells: list[Hashable] = []
    for variable, array in data.data_vars.items():
        in_run = {"seed", *own.dims.get(str(variable), array.dims)}
        for dim in [dim for dim in array.dims if dim not in in_run and dim not in cells]:
            if dim not in data.settings.dims and array.sizes[dim] > 1:
                rule = f"{dim!r} is no axis of it in a run, and settings do not vary along it"
                remedy = (
                    "Rename it back; join runs by xarray.concat(..., coords='different'), and a run with the one that "
                    "goes on from it by gatedlib.results.join"
                )
                raise refusal(f"axes of {variable}", array.dims, rule, remedy)
            if dim in data.indexes and data.indexes[dim].nlevels > 1:
                rule, remedy = f"{dim} is an index of several levels", f"Unstack it: results.unstack({dim!r})"
                raise refusal(f"axes of {variable}", array.dims, rule, remedy)
            cells.append(dim)
    return cells


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
    if len(seeds) != 1:
        raise refusal("seed", sorted(seeds), "must be one axis or one label", "Keep it: results.sel(seed=0)")
    settings = data.settings.variable.set_dims(("seed", *data.settings.dims))
    bare = data.drop_vars(("seed", "settings"), errors="ignore").expand_dims("seed")
    return bare.assign_coords(seed=("seed", list(seeds)), settings=settings)


def require_recorded(results: xr.Dataset, *names: str) -> None:
    """Require that these quantities were recorded."""
    for name in names:
        if name == "alignment" and "class" in results.dims:
            rule, remedy = "labellings have no weights to match with", "Use metrics.matching_by_gates"
            raise refusal("teachers", "labels of classes", rule, remedy)
        if name not in results.data_vars:
            recorded, remedy = (
                sorted(map(str, results.data_vars)),
                f"Run simulate with record=(gatedlib.record.{name}, ...)",
            )
            raise refusal("recorded quantities", recorded, f"must include {name!r}", remedy)


def _run(data: xr.Dataset) -> xr.Dataset:
    """Check the data of one cell, and bring them into one form: all axes in their order, each complete."""
    described = runs_of(data)
    own = described[0]
    form = _form(own)
    if any(_form(run) != form for run in described[1:]):
        rule, remedy = "runs along seed must have one form", "Join others along an axis of their own"
        raise refusal("settings", "runs of other sizes, blocks or steps", rule, remedy)
    if "seed" not in data.coords:
        data = data.assign_coords(seed=[run.seed for run in described])
    used = {dim for array in data.data_vars.values() for dim in array.dims}
    for dim in used & own.sizes.keys():
        data = _complete(data, str(dim), own)
    if "time" in used:
        _check_frames(data, own)
    for name, array in data.data_vars.items():
        if name not in own.dims:  # a variable that its user added
            continue
        dims = ("seed", *own.dims[str(name)])
        if set(array.dims) != set(dims):
            remedy = f"Keep axes: {name}.isel(axis=[0]), not isel(axis=0)"
            raise refusal(f"axes of {name}", array.dims, f"must be {dims}", remedy)
        if array.dims != dims:  # to put a variable into a dataset takes longer than most metrics
            data[name] = array.transpose(*dims)
        if array.dtype.kind == "f":  # no run has nan or inf: they come of joining or masking
            require_finite(f"entries of {name}", array.values, "Measure each run by itself")
    return data


def _form(run: Run) -> tuple:
    """What the runs of one experiment have in common: all but settings, seed, start and the like, and with it dt."""
    return run._replace(settings={}, seed=0, start=0, initial="", made_by="", in_order=False), run.settings["flow.dt"]


def _complete(data: xr.Dataset, dim: str, own: Run) -> xr.Dataset:
    """Data with an axis in the order of its labels, which must all be there."""
    labels = data[dim].values if dim in data.coords else np.arange(data.sizes[dim])
    complete = [list(range(own.sizes[dim]))]
    if dim == "task":  # those that are made of others may be left out
        complete.append(list(range(own.components)))
    if sorted(labels.tolist()) not in complete:
        rule = f"must be all of the run, 0 to {own.sizes[dim] - 1}"
        raise refusal(f"labels of {dim}", labels.tolist(), rule, "Measure first, and select from what you get")
    if not np.array_equal(labels, np.arange(len(labels))):  # a user sorted it otherwise
        data = data.isel({dim: np.argsort(labels)})
    return data if dim in data.coords else data.assign_coords({dim: labels})


def _check_frames(data: xr.Dataset, own: Run) -> None:
    """Require the steps and tasks of the frames: whole numbers, in their order."""
    for name in ("step", "active_task"):
        table = data.coords.get(name)
        if table is None or table.dims != ("time",) or table.dtype.kind not in "iu":
            value = "missing" if table is None else f"{table.dtype} along {table.dims}"
            rule = "must hold a whole number for every frame, as what simulate returns has"
            raise refusal(name, value, rule, "Keep it; measure first, and average or join what you get")
    steps = data.step.values
    if len(steps) == 0:
        raise refusal("time", [], "must hold a frame", "Select less")
    if (np.diff(steps) <= 0).any():
        remedy = "Join runs that go on by gatedlib.results.join(first, then), and sort frames by time"
        raise refusal("steps", steps, "must increase from frame to frame", remedy)
    if steps[0] < 0 or steps[-1] >= own.steps:
        rule = f"must be from 0 to {own.steps - 1}, those of the run"
        raise refusal("steps", steps[[0, -1]].tolist(), rule, "Keep steps as they are")
