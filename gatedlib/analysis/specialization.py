"""Metrics of specialization: how well paths align with the tasks that they serve, and how gates follow these."""

import numpy as np
import xarray as xr

from gatedlib._internal.validation import refusal
from gatedlib.analysis.matching import match_run
from gatedlib.analysis.requirements import require_matrix_paths
from gatedlib.analysis.units import learned_tasks, outputs_have_gates, outputs_share_units, unit_dim
from gatedlib.simulation.runs import in_each_run, runs_of


def _is_matched(run: xr.Dataset) -> xr.DataArray:
    return match_run(run) == run[unit_dim(run)]


def _has_direction(run: xr.Dataset) -> xr.DataArray:
    """Which rows of the teachers have a direction; of whole teachers, if alignment is that of all rows together."""
    rows = (run.teachers != 0).any("in")
    return rows if "out" in run.alignment.dims else rows.any("out")


def _select_active(values: xr.DataArray, run: xr.Dataset) -> xr.DataArray:
    """The values of the task that is on, frame by frame; False where that task was left out."""
    return values.reindex(task=range(runs_of(run)[0].sizes["task"]), fill_value=False).sel(task=run.active_task)


def _select_matched(
    values: xr.DataArray, path_of_task: xr.DataArray, dim: str, otherwise: float = np.nan
) -> xr.DataArray:
    """The values of the path that serves each task, with the dims of the matching in place of `dim`."""
    matched = path_of_task >= 0
    return values.isel({dim: path_of_task.where(matched, 0)}).where(matched, otherwise)


def _mean_over(values: xr.DataArray, *dims_left: str) -> xr.DataArray:
    return values.mean([dim for dim in values.dims if dim not in dims_left])


@in_each_run("alignment", "teachers")
def alignment_matched(results: xr.Dataset) -> xr.DataArray:
    r"""The mean alignment of teachers with the paths matched to them.

    .. math::

        \frac1M \sum_m \cos(W_{\pi(m)}, W^*_m)

    with the mean over rows of the cosines of rows, and :math:`\pi` the `matching`. Tasks that have no path, and rows of
    teachers that are zero and so have no direction, are left out.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        Cosines, dims seed and time.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.alignment_matched(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2C.
    """
    cosines = _select_matched(results.alignment, match_run(results), unit_dim(results))
    return _mean_over(cosines.where(_has_direction(results)), "seed", "time").rename("alignment_matched")


@in_each_run("alignment", "teachers")
def alignment_crossed(results: xr.Dataset) -> xr.DataArray:
    """The mean alignment of teachers with the paths that are not matched to them, as in `alignment_matched`.

    Args:
        results: a run with `alignment` recorded.

    Returns:
        Cosines, dims seed and time.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.alignment_crossed(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2C.
    """
    crossed = results.alignment.where(~_is_matched(results) & _has_direction(results))
    learned = crossed.isel(task=learned_tasks(results))
    return _mean_over(learned, "seed", "time").rename("alignment_crossed")


@in_each_run("gates", "alignment")
def gate_on(results: xr.Dataset) -> xr.DataArray:
    """The gate of the path matched to the active task.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        Gates, dims seed and time; nan where a task has no path.

    Raises:
        ValueError: if a quantity was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.gate_on(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=True).rename("gate_on")


@in_each_run("gates", "alignment")
def gate_off(results: xr.Dataset) -> xr.DataArray:
    """The mean gate of the paths not matched to the active task.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        Gates, dims seed and time; nan while a composite is on.

    Raises:
        ValueError: if a quantity was not recorded, or the teachers are labels.

    Example:
        >>> dict(gl.metrics.gate_off(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 2B.
    """
    return _matched_gates(results, on=False).rename("gate_off")


def _matched_gates(results: xr.Dataset, *, on: bool) -> xr.DataArray:
    own = runs_of(results)[0]
    serves = _select_active(_is_matched(results), results) == on
    serves = serves & (results.active_task < own.components)  # composites have no path
    return _mean_over(results.gates.where(serves), "seed", "time").transpose("seed", "time")


@in_each_run("gates", "alignment")
def gate_like(results: xr.Dataset) -> xr.DataArray:
    r"""How much of each output's gates is on what serves the active task: 1 if gates pick a task, 1/M by chance.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \frac{\sum_{u \in U_m} c_{ui}^2}{\sum_u c_{ui}^2}

    with :math:`U_m` the paths, or hidden units, matched to the task m that is on; in a `TwoLayer` network these are
    the units that serve any of its outputs. Units beyond the one-to-one matching count as serving none.

    Args:
        results: a run with `gates` and `alignment` recorded.

    Returns:
        The share, dims seed and time; nan while a composite is on.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.TwoLayer(hidden=20), gl.Blocked(blocks=2), gl.Flow(tau_w=0.06, tau_c=0.01, dt=0.01)
        ... ), seeds=3)
        >>> dict(gl.metrics.gate_like(results).sizes)
        {'seed': 3, 'time': 200}

    Source: paper, Fig. 6, as a number.
    """
    dim, path_of_task = unit_dim(results), match_run(results)
    serves = path_of_task == results[dim]
    if outputs_share_units(results):
        serves = serves.any("out")
    matched = (path_of_task >= 0).any([dim for dim in path_of_task.dims if dim not in ("seed", "task")])
    serves, matched = (_select_active(values, results) for values in (serves, matched))
    size = results.gates**2
    share = size.where(serves, 0.0).sum(dim) / size.sum(dim)
    return _mean_over(share.where(matched), "seed", "time").transpose("seed", "time").rename("gate_like")


@in_each_run("alignment", "final_weights", "teachers")
def total_alignment(results: xr.Dataset) -> xr.DataArray:
    r"""How well the final weights of all matched paths together agree with all teachers.

    .. math::

        \frac1{d_\mathrm{out}} \sum_i \cos\big( (W_{\pi(m), i\cdot})_m,\; (W^*_{m, i\cdot})_m \big)

    Tasks that were never on, and rows in which all teachers are zero, are left out.

    Args:
        results: a run with `alignment` recorded, for the matching.

    Returns:
        One number per seed; 1 when every path is its teacher, up to one common scale per row.

    Raises:
        ValueError: if `alignment` was not recorded, or the teachers are labels.

    Example:
        >>> gl.metrics.total_alignment(results).round(1).values.tolist()
        [0.5, 0.5, 0.5]

    Source: paper, Fig. 5.
    """
    learned = learned_tasks(results)
    path_of_task, teachers = (values.isel(task=learned) for values in (match_run(results), results.teachers))
    # the rows of all tasks are one long vector, to which a task without a path adds nothing
    matched = _select_matched(results.final_weights, path_of_task, unit_dim(results), otherwise=0.0)
    dots = (matched * teachers).sum(("task", "in"))
    squares = (teachers**2).sum(("task", "in"))
    lengths = ((matched**2).sum(("task", "in")) * squares) ** 0.5
    cosines = (dots / lengths.where(lengths > 0)).fillna(0.0)
    return cosines.where(squares > 0).mean("out").rename("total_alignment")


@in_each_run("weight_products", "teachers")
def specialization(results: xr.Dataset) -> xr.DataArray:
    r"""How far the paths are apart, relative to the teachers: 0 when all paths are alike, 1 when each is a teacher.

    .. math::

        \frac{\langle \|W_p - W_q\|_F^2 \rangle_{p<q}}{\langle \|W^*_m - W^*_n\|_F^2 \rangle_{m<n}}

    Args:
        results: a run with `weight_products` recorded, at least two paths and at least two teachers.

    Returns:
        Specialization, dims seed and time.

    Raises:
        ValueError: if `weight_products` was not recorded, or there are fewer than two paths or teachers.

    Example:
        >>> bool((gl.metrics.specialization(results) < 0.01).all())  # without penalties nothing specializes
        True

    Source: paper, section 2 and appendix on the reduction.
    """
    require_matrix_paths(results)
    products = results.weight_products
    all_products = products.sum("out") if outputs_have_gates(results) else products
    dim = unit_dim(results)
    teachers = results.teachers.isel(task=slice(runs_of(results)[0].components))
    teacher_products = (teachers * teachers.rename(task="other_task")).sum(("out", "in"))
    distance_of_paths = _mean_distance(all_products, dim, f"other_{dim}")
    return (distance_of_paths / _mean_distance(teacher_products, "task", "other_task")).rename("specialization")


def _mean_distance(products: xr.DataArray, first: str, second: str) -> xr.DataArray:
    """The mean squared distance over all pairs, from all inner products."""
    count = products.sizes[first]
    if count < 2:
        raise refusal(f"number of {first}s", count, "must be 2 or more to be apart", "Use at least two")
    # |p - q|^2 = |p|^2 + |q|^2 - 2 <p, q>, summed over all ordered pairs, in which every |p|^2 stands 2 count times
    squares = products.isel(
        {first: xr.DataArray(range(count), dims="same"), second: xr.DataArray(range(count), dims="same")}
    )
    total = 2 * count * squares.sum("same") - 2 * products.sum((first, second))
    return total / (count * (count - 1))
