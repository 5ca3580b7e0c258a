"""Results that were selected from, joined, thinned or saved give the number of the untouched run, or words.

The functions are those that the package offers: a new one that takes results must be given a call here.
"""

import contextlib
import functools
import importlib.util
import inspect
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import metrics, observer, reduction, transfer
from tests.examples import small

PLACES = ["analysis.metrics", "analysis.observer", "analysis.reduction", "analysis.transfer", "simulation.results",
          "view.plotting", "view.explorers"]  # fmt: skip
KEEP = (*gl.record.DEFAULT, gl.record.weights, gl.record.matrix, gl.record.teacher_losses)
EXPERIMENT = small(inputs=gl.Noisy(batch=2, noise=0.2))
EVERY = (1, 5)


def offered():
    """The public functions of the package that take results."""
    found = set()
    for place in PLACES:
        module = importlib.import_module(f"gatedlib.{place}")
        own = getattr(module, "__all__", None) or [
            name for name, each in vars(module).items()
            if getattr(each, "__module__", "") == module.__name__ and not name.startswith("_")
        ]  # fmt: skip
        for name in own:
            function = getattr(module, name)
            if inspect.isfunction(function):
                kinds = [str(each.annotation) for each in inspect.signature(function).parameters.values()]
                if any("Dataset" in kind for kind in kinds):
                    found.add(f"{place.rpartition('.')[2]}.{name}")
    return found


def end_params(results):
    params = gl.results.final_params(results)
    gates = xr.DataArray(params.gates, {"seed": params.seeds}, ("seed", "path"))
    weights = xr.DataArray(params.weights, {"seed": params.seeds}, ("seed", "path", "out", "in"))
    return xr.Dataset({"end_weights": weights, "end_gates": gates})


def first_cell(results):
    dims = [dim for dim in ("tau_c", "x") if dim in results.dims]
    return gl.results.cell(results, **{dim: results[dim].values[0] for dim in dims})


NUMBERS = {
    **{f"metrics.{name}": getattr(metrics, name) for name in metrics.__all__
       if name not in ("per_block", "end_of_block", "mixing_cost", "last")},
    "metrics.per_block": lambda run: metrics.per_block(run.loss, run, lambda loss: loss.max(-1)),
    "metrics.end_of_block": lambda run: metrics.end_of_block(run.gates, run),
    "metrics.last": lambda run: metrics.last(metrics.end_loss(run), 2),
    "metrics.mixing_cost": lambda run: metrics.mixing_cost(run, run),
    "observer.posterior": observer.posterior,
    "observer.gate_shares": observer.gate_shares,
    "observer.steps_to_certainty": lambda run: observer.steps_to_certainty(observer.posterior(run), run),
    "observer.errors": lambda run: observer.errors(observer.posterior(run), run),
    "observer.error_rate": lambda run: observer.error_rate(observer.gate_shares(run), run),
    "reduction.gamma": reduction.gamma,
    "reduction.pair_invariant": reduction.pair_invariant,
    "reduction.accelerators": reduction.accelerators,
    "transfer.parts": transfer.parts,
    "transfer.mixtures": lambda run: transfer.mixtures(run, [(0.5, 0.5)]),
    "transfer.best_gates": transfer.best_gates,
    "transfer.loss_with": lambda run: transfer.loss_with(run, transfer.best_gates(run)),
    "results.final_params": end_params,
    "results.cell": first_cell,
    "results.join": lambda run: gl.results.join(run, what_follows()),
    "results.settings": lambda run: xr.Dataset({"tau_w": gl.results.settings(run)["flow.tau_w"]}),
    "results.save": lambda run: saved(run, gl.results.save, gl.results.load),
}  # fmt: skip


def axes():
    return plt.figure().gca()


PICTURES = {
    "plotting.shade_blocks": lambda run: gl.plotting.shade_blocks(run, axes()),
    "plotting.loss": lambda run: gl.plotting.loss(run, axes()),
    "plotting.gates": lambda run: gl.plotting.gates(run, axes()),
    "plotting.alignment": lambda run: gl.plotting.alignment(run, axes()),
    "plotting.recoveries": lambda run: gl.plotting.recoveries(run, axes()),
    "plotting.plane": lambda run: gl.plotting.plane(run, axes()),
    "plotting.mixture_plane": lambda run: gl.plotting.mixture_plane(run, axes()),
    "plotting.task_names": gl.plotting.task_names,
    "explorers.gates_by_hand": lambda run: gl.explore.gates_by_hand(run),
    "explorers.switch": lambda run: gl.explore.switch(run, run),
    "explorers.compose": lambda run: gl.explore.compose(EXPERIMENT, run),
    "explorers.change_of_mind": lambda run: gl.explore.change_of_mind(
        {"one": run}, gl.Examples(np.eye(6), [0, 1, 0, 1, 0, 1]), np.zeros((6, 2, 2))
    ),
    "transfer.adapt": lambda run: transfer.adapt(EXPERIMENT, run, (0.5, 0.5), duration=0.1),
}


def test_every_function_that_takes_results_is_called_here():
    of_metrics = {"metrics.last"}  # which takes the values of metrics of results
    assert offered() | of_metrics == NUMBERS.keys() | PICTURES.keys()


@functools.cache
def untouched(every, swept):
    if swept:
        return gl.sweep(EXPERIMENT, seeds=3, record=KEEP, every=every, tau_c=[0.1, 0.3])
    return gl.simulate(EXPERIMENT, 3, KEEP, every)


@functools.cache
def what_follows():
    first = untouched(1, False)
    return gl.simulate(EXPERIMENT, 3, KEEP, initial=gl.results.final_params(first), start=200)


@functools.cache
def truth(name, every, swept):
    """The numbers of the untouched run; of a sweep that is refused, those of its cells; None where there are none."""
    data = untouched(every, swept)
    with contextlib.suppress(ValueError):
        return NUMBERS[name](data)
    with contextlib.suppress(ValueError):
        cells = {tau_c: NUMBERS[name](gl.results.cell(data, tau_c=tau_c)) for tau_c in data.tau_c.values.tolist()}
        return joined(list(cells.values()), xr.Variable("tau_c", list(cells)))
    return None


def saved(data, write, read):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nc"
        write(data, path)
        return read(path)


def joined(parts, dim):
    return xr.concat(parts, dim, data_vars="all", coords="different", compat="equals", join="outer")


def halves(data, dim):
    return [data.isel({dim: slice(0, 1)}), data.isel({dim: slice(1, None)})]


def has(dim, change):
    """A change for data that have this axis."""
    return lambda data: change(data) if data.sizes.get(dim, 0) > 1 else data


SELECTIONS = {
    "one seed": has("seed", lambda data: data.isel(seed=1)),
    "some seeds": has("seed", lambda data: data.isel(seed=[2, 0])),
    "one seed, dropped": has("seed", lambda data: data.isel(seed=1, drop=True)),
    "one setting": has("tau_c", lambda data: data.sel(tau_c=0.3)),
    "one setting, dropped": has("tau_c", lambda data: data.sel(tau_c=0.3, drop=True)),
    "settings turned round": has("tau_c", lambda data: data.isel(tau_c=[1, 0])),
    "cut": lambda data: data.isel(time=slice(3, 17)) if "time" in data.dims else data,
    "cut at the end": lambda data: data.isel(time=slice(0, 20)) if "time" in data.dims else data,
    "late": lambda data: data.isel(time=slice(-30, None)) if "time" in data.dims else data,
    "one frame": lambda data: data.isel(time=-1) if "time" in data.dims else data,
    "blocks": lambda data: data.isel(block=slice(1, None)) if "block" in data.dims else data,
    "one block": lambda data: data.isel(block=1) if "block" in data.dims else data,
    "one path": lambda data: data.isel(path=[0]) if "path" in data.dims else data,
    "one task": lambda data: data.isel(task=[1]) if "task" in data.dims else data,
    "some quantities": lambda data: data[[name for name in ("gates", "weight_products", "alignment") if name in data]],
}
REARRANGED = {
    "axes in another order": lambda data: data.transpose(*sorted(map(str, data.dims))),
    "paths in another order": lambda data: data.isel(path=[1, 0]) if data.sizes.get("path", 0) == 2 else data,
    "renamed": lambda data: data.rename(tau_c="x") if "tau_c" in data.dims else data,
    "without attributes": lambda data: data.drop_attrs(),
    "other attributes": lambda data: data.assign_attrs(every=7, swept="x", jax_version=3),
    "double precision": lambda data: data.astype(float),
    "computed": lambda data: data.compute(),
    "in chunks": lambda data: data.chunk() if importlib.util.find_spec("dask") else data,
    "tables as variables": lambda data: data.reset_coords(),
    "joined again": has("tau_c", lambda data: joined(halves(data, "tau_c"), "tau_c")),
    "seeds joined again": has("seed", lambda data: joined(halves(data, "seed"), "seed")),
    "stacked and unstacked": has("tau_c", lambda data: data.stack(run=("tau_c", "seed")).unstack("run")
                                 if "seed" in data.dims else data),
    "another axis": lambda data: data.expand_dims("copy"),
    "written and read": lambda data: saved(data, lambda each, path: each.to_netcdf(path), xr.load_dataset),
}  # fmt: skip
SPOILED = {
    "mean over seeds": lambda data: data.mean("seed") if "seed" in data.dims else data,
    "median over seeds": lambda data: data.median("seed") if "seed" in data.dims else data,
    "mean over settings": lambda data: data.mean("tau_c") if "tau_c" in data.dims else data,
    "highest over settings": lambda data: data.max("tau_c") if "tau_c" in data.dims else data,
    "mean over time": lambda data: data.mean("time") if "time" in data.dims else data,
    "coarser by means": lambda data: data.drop_vars("settings").coarsen(time=10, boundary="trim").mean()
                        if data.sizes.get("time", 0) > 20 else data,
    "time twice": lambda data: joined([data, data], "time") if "time" in data.dims else data,
    "time turned round": lambda data: data.isel(time=slice(None, None, -1)) if "time" in data.dims else data,
    "masked": lambda data: data.where(data.seed > 0) if "seed" in data.dims else data,
    "shifted": lambda data: data.shift(time=1) if "time" in data.dims else data,
    "stacked": lambda data: data.stack(run=("seed", "time")) if {"seed", "time"} <= set(data.dims) else data,
    "other names": lambda data: data.rename(time="t") if "time" in data.dims else data,
    "no steps": lambda data: data.drop_vars("step", errors="ignore"),
    "no table": lambda data: data.drop_vars("block_stop", errors="ignore"),
    "no settings": lambda data: data.drop_vars("settings", errors="ignore"),
    "no loss": lambda data: data.drop_vars(["loss", "gates"], errors="ignore"),
    "no labels": lambda data: data.drop_vars(["seed", "path", "task"], errors="ignore"),
    "another quantity": lambda data: data.rename(loss="gate") if "loss" in data else data,
}  # fmt: skip
CHANGES = {**SELECTIONS, **REARRANGED, **SPOILED}


def same(found, expected, handled):
    """Whether data are those of the untouched run with these labels."""
    found = found.rename(x="tau_c") if "x" in found.dims or "x" in found.coords else found
    found = found.isel(copy=0, drop=True) if "copy" in found.dims else found
    for dim in expected.dims:
        if dim in found.dims and dim in found.coords:
            assert set(found[dim].values.tolist()) <= set(expected[dim].values.tolist()), dim
            expected = expected.sel({dim: found[dim].values})
        elif dim in found.coords:
            expected = expected.sel({dim: found[dim].item()})
        elif dim not in found.dims:  # one was taken, and its label dropped
            chosen = {"seed": 1, "tau_c": 0.3}
            assert handled & {"one seed, dropped", "one setting, dropped", "one setting", "one seed"}, dim
            expected = expected.sel({dim: chosen[dim]})
        assert found.sizes.get(dim) == expected.sizes.get(dim), dim
    assert set(found.dims) == set(expected.dims)
    np.testing.assert_allclose(
        found.transpose(*expected.dims).values.astype(float), expected.values.astype(float), rtol=1e-4, atol=1e-5
    )


def compare(found, expected, handled):
    if isinstance(expected, xr.DataArray):
        same(found, expected, handled)
        return
    for name in expected.data_vars:
        if name in found.data_vars:
            same(found[name], expected[name], handled)


def handle(data, changes):
    for change in changes:
        try:
            data = CHANGES[change](data)
        except (ValueError, KeyError, TypeError):  # what xarray itself refuses is nothing to us
            return None
    return data


def in_words(refusal, when):
    """A refusal says what was given, the rule and the remedy."""
    told = str(refusal)
    if " = " not in told or ": " not in told or ". " not in told:
        pytest.fail(f"{when}: {told}")


@settings(max_examples=30)
@given(
    changes=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4, unique=True),
    every=st.sampled_from(EVERY),
    swept=st.booleans(),
    thinned=st.booleans(),
)
def test_a_handled_run_gives_its_number_or_words(changes, every, swept, thinned):
    """Thinned by k, a run is the one that was recorded every k steps."""
    begin = untouched(1, swept).isel(time=slice(None, None, every)) if thinned else untouched(every, swept)
    data = handle(begin, changes)
    if data is None:
        return
    for name, function in NUMBERS.items():
        try:
            found = function(data)
        except ValueError as refusal:
            in_words(refusal, f"{name} after {changes}")
            continue
        except Exception as raw:
            own = isinstance(raw, AttributeError) and "'Dataset' object has no attribute" in str(raw)
            if own and name in ("metrics.per_block", "metrics.end_of_block"):  # of this test's run.loss
                continue
            pytest.fail(f"{name} after {changes}: {type(raw).__name__}: {raw}")
        expected = truth(name, every, swept)
        if name not in ("results.save", "results.cell", "metrics.components"):  # which select, and measure nothing
            assert expected is not None, (name, changes)
            compare(found, expected, set(changes))


DRAWN = [(name, change) for name in PICTURES for change in sorted(CHANGES)
         if name.startswith("plotting") or change in SELECTIONS]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), DRAWN)
def test_a_picture_of_a_handled_run_is_drawn_or_refused(change, name):
    data = handle(untouched(1, False), [change])
    if data is None:
        return
    try:
        PICTURES[name](data)
    except ValueError as refusal:
        in_words(refusal, f"{name} after {change}")
    finally:
        plt.close("all")
