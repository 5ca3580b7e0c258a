r"""The reduction: a gated linear network in the few directions in which it learns, and what its learning conserves.

In the population limit the loss is the squared distance :math:`\tfrac12\|A - W^*\|^2` between matrices, and distances
are the same in any orthonormal coordinates. Two sets of them are useful: one coordinate per singular mode of the
teachers (`modes`), and one per teacher (`teacher_span`). In either, the reduced system is an `Experiment` again, only a
smaller one, for `simulate` and `solve` alike.

What is here reads teachers, settings and results; it runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from gatedlib._internal.validation import as_float_array, refusal, require_positive
from gatedlib.analysis.requirements import array_ending_with, require_gate_per_path, require_matrix_paths
from gatedlib.analysis.units import outputs_share_units, unit_dim
from gatedlib.model.experiment import Experiment, require_penalties_on_gates
from gatedlib.model.inputs import Population
from gatedlib.model.networks import GatedLinear, Params
from gatedlib.model.teachers import Given
from gatedlib.simulation.runs import in_each_run, runs_of, setting

SHARED = 1e-4
"""Modes of different teachers whose overlap is above this count as shared: far above the rounding of their draw."""


@dataclass(frozen=True)
class Eigenspace:
    r"""Orthonormal matrices :math:`E_k`, and what teachers are in their coordinates.

    .. math::

        w_k = \langle E_k, W \rangle, \qquad W = \sum_k w_k E_k + W_\perp

    Attributes:
        basis: the matrices, shape (mode, out, in).
        targets: the coordinates of the teachers, shape (task, mode).

    Example:
        >>> teachers = np.asarray(gl.Orthogonal().sample(jax.random.key(0)))
        >>> space = gl.reduction.teacher_span(teachers)
        >>> bool(np.allclose(space.lift(space.project(teachers)), teachers, atol=1e-6))
        True

    Source: paper, section 4 and appendix on the reduction.
    """

    basis: Float[np.ndarray, "mode out in"]
    targets: Float[np.ndarray, "task mode"]

    def project(self, weights: Float[Array | np.ndarray, "*any out in"]) -> Float[np.ndarray, "*any mode 1"]:
        """Coordinates of matrices, as the column of weights that they are in the reduced system."""
        matrices = array_ending_with("weights", weights, self.basis.shape[1:], "Give matrices (…, out, in)")
        return np.einsum("koi,...oi->...k", self.basis, matrices)[..., None]

    def lift(self, coordinates: Float[Array | np.ndarray, "*any mode 1"]) -> Float[np.ndarray, "*any out in"]:
        """Matrices with these coordinates, and nothing outside the eigenspace."""
        column = array_ending_with("coordinates", coordinates, (len(self.basis), 1), "Give what project returns")
        return np.einsum("...k,koi->...oi", column[..., 0], self.basis)

    def outside(self, weights: Float[Array | np.ndarray, "*any out in"]) -> Float[np.ndarray, "*any"]:
        """The length of the part of matrices that lies outside of the eigenspace."""
        residual = as_float_array("weights", weights) - self.lift(self.project(weights))
        return np.sqrt(np.sum(residual**2, (-2, -1)))

    def reduce(self, experiment: Experiment) -> Experiment:
        r"""The same learning in these coordinates: as many outputs as there are modes, and a single input that is 1.

        .. math::

            \tau_w \dot w^p = c^p \epsilon, \qquad \tau_c \dot c^p = w^p \cdot \epsilon - \partial R / \partial c^p,
            \qquad \epsilon = w^*_m - \textstyle\sum_p c^p w^p

        exact for weights that begin in the eigenspace and all inputs at once. Inputs become `Population()`.

        Raises:
            ValueError: if the network is no `GatedLinear`, or a penalty acts on the weights.
        """
        network = type(experiment.network)
        if network is not GatedLinear:
            rule = "only networks with one gate per path reduce to coordinates"
            raise refusal("network", network.__name__, rule, "Use GatedLinear")
        rule = "a cost on the weights is not the same in other coordinates"
        require_penalties_on_gates(experiment, rule, "Use penalties on the gates")
        return experiment.replace(teachers=Given(self.targets[:, :, None]), inputs=Population())


def _checked(teachers: Float[Array | np.ndarray, "task out in"]) -> Float[np.ndarray, "task out in"]:
    """The teachers of one seed, none of which is zero."""
    exact = as_float_array("teachers", teachers, "Give those of one seed, of shape (task, out, in)")
    Given(exact)  # its checks are those of teachers
    zero = np.flatnonzero(~exact.any((1, 2))).tolist()
    if zero:
        raise refusal("teachers that are zero", zero, "must be none", "Leave them out")
    return exact


def modes(teachers: Float[Array | np.ndarray, "task out in"]) -> Eigenspace:
    r"""One coordinate for every singular mode of every teacher.

    .. math::

        W^*_m = \sum_\alpha s_{m\alpha} u_{m\alpha} v_{m\alpha}^\top, \qquad E_{m\alpha} = u_{m\alpha} v_{m\alpha}^\top

    Args:
        teachers: one set of teachers, shape (task, out, in).

    Returns:
        The eigenspace with modes in the order (task, mode), strongest first within a task.

    Raises:
        ValueError: if two teachers share modes, that is, if :math:`\langle E_{m\alpha}, E_{n\beta} \rangle \ne 0`.

    Example:
        >>> teachers, params = gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(), gl.Flow(tau_w=1.3, tau_c=0.03)
        ... ).draw(seed=0)
        >>> gl.reduction.modes(teachers).project(params.weights).shape      # 2 teachers of rank 10
        (2, 20, 1)

    Source: paper, section 4 and appendix on the reduction.
    """
    teachers = _checked(teachers)
    u, s, v = np.linalg.svd(teachers, full_matrices=False)
    nonzero = s > SHARED * s.max()
    outer = u.transpose(0, 2, 1)[:, :, :, None] * v[:, :, None, :]  # u v^T of every mode: (task, mode, out, in)
    basis, task = outer[nonzero], np.nonzero(nonzero)[0]
    overlap = (np.abs(np.einsum("koi,loi->kl", basis, basis)) * (task[:, None] != task)).max()
    if overlap > SHARED:
        rule = "must be 0: teachers that share modes do not separate into modes"
        remedy = "Use reduction.teacher_span, which needs no such separation"
        raise refusal("largest overlap of modes of different teachers", round(float(overlap), 4), rule, remedy)
    targets = np.where(task == np.arange(len(teachers))[:, None], s[nonzero], 0.0)
    return Eigenspace(basis, targets)


def teacher_span(teachers: Float[Array | np.ndarray, "task out in"]) -> Eigenspace:
    r"""One coordinate for every teacher: learning depends on teachers only through their inner products.

    .. math::

        K_{mn} = \langle W^*_m, W^*_n \rangle, \qquad E_m = \sum_n (K^{-1/2})_{mn} W^*_n, \qquad
        w^*_m = (K^{1/2})_{m\cdot}

    For orthogonal teachers :math:`E_m` is teacher m at length 1.

    Args:
        teachers: one set of teachers, shape (task, out, in).

    Returns:
        The eigenspace with one mode per teacher.

    Raises:
        ValueError: if a teacher is a sum of multiples of the others, so that there are fewer directions than teachers.

    Example:
        >>> gl.reduction.teacher_span(gl.Orthogonal().sample(jax.random.key(0))).targets.round(3) + 0.0
        array([[0.707, 0.   ],
               [0.   , 0.707]])

    Source: this library; for one mode, paper, appendix on the reduction.
    """
    teachers = _checked(teachers)
    # K = V diag(squares) V^T, so that both roots of K share its eigenvectors V
    squares, vectors = np.linalg.eigh(np.einsum("moi,noi->mn", teachers, teachers))
    dimensions = int(np.sum(squares > SHARED**2 * squares[-1]))
    if dimensions < len(teachers):
        remedy = "Leave out the teacher that others add up to"
        raise refusal("dimensions", dimensions, f"must be the number of teachers, {len(teachers)}", remedy)
    basis = np.einsum("mk,nk,noi->moi", vectors / np.sqrt(squares), vectors, teachers)
    return Eigenspace(basis, (vectors * np.sqrt(squares)) @ vectors.T)


def _time_constants(run: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """The time constants of weights and gates, of each seed, in the precision of the run."""
    tau_w, tau_c = (setting(run, f"flow.{name}").astype(run.gates.dtype) for name in ("tau_w", "tau_c"))
    return tau_w, tau_c


@in_each_run("gates", "weight_products")
def gamma(results: xr.Dataset) -> xr.DataArray:
    r"""What joint descent on gates and weights conserves without penalties, for any tasks and any inputs.

    .. math::

        \Gamma_{pq} = \tau_c c_p c_q - \tau_w \langle W_p, W_q \rangle, \qquad
        \dot\Gamma_{pq} = -\Big(c_p \frac{\partial R}{\partial c_q} + c_q \frac{\partial R}{\partial c_p}\Big)

    In a `TwoLayer` network hidden units take the place of paths, and the products of gates are summed over outputs.

    Args:
        results: a run with `gates` and `weight_products` recorded.

    Returns:
        Dims seed, time, path and other_path (or hidden and other_hidden), and out where each output has gates and a
        conserved matrix of its own.

    Raises:
        ValueError: if a quantity was not recorded.

    Example:
        >>> law = gl.reduction.gamma(results)
        >>> bool(abs(law.isel(time=-1) - law.isel(time=0)).max() < 0.02)  # of steps of 0.01
        True

    Source: paper, appendix on the reduction (symmetric model); in general, this library.
    """
    return _gamma(results)


def _gamma(results: xr.Dataset) -> xr.DataArray:
    tau_w, tau_c = _time_constants(results)
    dim = unit_dim(results)
    # a hidden unit has one row of weights for all outputs, and so one conserved number for all of its gates
    summed = ["out"] if outputs_share_units(results) else []
    products = xr.dot(results.gates, results.gates.rename({dim: f"other_{dim}"}), dim=summed)
    gamma = tau_c * products - tau_w * results.weight_products
    return gamma.transpose("seed", "time", dim, f"other_{dim}", ...).rename("gamma")


@in_each_run("gates", "weight_products", "teachers")
def pair_invariant(results: xr.Dataset) -> xr.DataArray:
    r"""What each pair of paths conserves while both its gates are positive, under the paper's penalties (k = 1) too.

    .. math::

        I_{pq} = \tau_c (c_p - c_q)^2 - \tau_w \|W_p - W_q\|^2 = \Gamma_{pp} + \Gamma_{qq} - 2 \Gamma_{pq}, \qquad
        \dot I_{pq} = -2 (c_p - c_q) \Big(\frac{\partial R}{\partial c_p} - \frac{\partial R}{\partial c_q}\Big)

    Under these penalties it never rises, but for an error of order dt in steps: it falls while one of the two gates is
    held at zero. It may rise only while a gate is below zero and the sum of all gates' sizes below 1 - a / 2b.

    Args:
        results: a run with `gates` and `weight_products` recorded.

    Returns:
        Dims as those of `gamma`; 0 on the diagonal.

    Raises:
        ValueError: if a quantity was not recorded, or the network is none of paths that are matrices.

    Example:
        >>> dict(gl.reduction.pair_invariant(results).sizes)
        {'seed': 3, 'time': 200, 'path': 2, 'other_path': 2}

    Source: this library.
    """
    require_matrix_paths(results)
    gamma, dim = _gamma(results), unit_dim(results)
    other, labels = f"other_{dim}", gamma[dim].values
    # the diagonal: one index for both axes of paths, which xarray takes only under other names than its own
    paths = xr.DataArray(labels, {dim: labels}, (dim,))
    diagonal = gamma.rename({dim: "first", other: "second"}).isel(first=paths, second=paths)
    diagonal = diagonal.drop_vars(("first", "second"))
    pairs = diagonal + diagonal.rename({dim: other}) - 2 * gamma
    return pairs.transpose("seed", "time", dim, other, ...).rename("pair_invariant")


def kernel(params: Params, tau_w: float, tau_c: float) -> tuple[np.ndarray, np.ndarray]:
    r"""The tangent kernel: how learning turns an error into motion of the output, in two parts.

    .. math::

        \dot A = K \epsilon, \qquad
        K = \underbrace{\sum_p \frac{W_p W_p^\top}{\tau_c}}_{\text{alignment}} +
            \underbrace{\sum_p \frac{c_p^2}{\tau_w} I}_{\text{selectivity}}

    with matrices written as long vectors. Without penalties this is all that moves the output.

    Args:
        params: weights, shape (path, out, in), and gates, shape (path,).
        tau_w: time constant of the weights.
        tau_c: time constant of the gates.

    Returns:
        Both parts, each of shape (out * in, out * in).

    Raises:
        ValueError: if a time constant is not above 0, or there is not one gate per path.

    Example:
        >>> params = gl.Params(weights=np.array([[[2.0]], [[0.0]]]), gates=np.array([0.5, 0.5]))
        >>> [part.item() for part in gl.reduction.kernel(params, tau_w=1.0, tau_c=0.1)]
        [40.0, 0.5]

    Source: paper, Fig. A.8.
    """
    tau_w = require_positive("tau_w", tau_w, "The paper's Fig. 2 has 1.3")
    tau_c = require_positive("tau_c", tau_c, "The paper's Fig. 2 has 0.03")
    weights, gates = as_float_array("weights", params.weights), as_float_array("gates", params.gates)
    if gates.ndim != 1 or weights.ndim != 3 or len(weights) != len(gates):
        rule = "must be (path, out, in) and (path,), one gate per path"
        raise refusal("shapes of weights and gates", (weights.shape, gates.shape), rule, "Use GatedLinear")
    # an error e moves gate p at <W_p, e> / tau_c, which moves the output along W_p; and it moves W_p at c_p e / tau_w,
    # which moves the output c_p times as fast
    flat = weights.reshape(len(weights), -1)
    alignment = flat.T @ flat / tau_c
    return alignment, np.sum(np.square(params.gates)) / tau_w * np.eye(len(alignment))


@in_each_run("gates", "weights", "teachers")
def accelerators(results: xr.Dataset) -> xr.Dataset:
    r"""How fast each part of the tangent kernel removes the present error.

    .. math::

        \frac{\epsilon^\top K \epsilon}{\epsilon^\top \epsilon} =
        \underbrace{\frac{1}{\tau_c} \sum_p \langle W_p, \hat\epsilon \rangle^2}_{\text{alignment}} +
        \underbrace{\frac{1}{\tau_w} \sum_p c_p^2}_{\text{selectivity}}

    Args:
        results: a run with `gates` and `weights` recorded.

    Returns:
        `alignment` and `selectivity`, rates per time unit, dims seed and time.

    Raises:
        ValueError: if a quantity was not recorded, or there is not one gate per path.

    Example:
        >>> results = gl.simulate(gl.Experiment(
        ...     gl.Orthogonal(), gl.GatedLinear(), gl.Blocked(blocks=2), gl.Flow(tau_w=1.3, tau_c=0.03, dt=0.01)
        ... ), seeds=3, record=(gl.record.gates, gl.record.weights))
        >>> rates = gl.reduction.accelerators(results)
        >>> bool((rates.alignment < rates.selectivity).isel(time=0).all())  # weights are small at first
        True

    Source: paper, Fig. A.8.
    """
    require_matrix_paths(results)
    tau_w, tau_c = _time_constants(results)
    require_gate_per_path(results, "Use GatedLinear")
    dim, tasks = unit_dim(results), runs_of(results)[0].sizes["task"]
    if results.sizes["task"] != tasks:
        rule, remedy = f"must be all of the run, 0 to {tasks - 1}", "Do not leave out those made of others"
        raise refusal("tasks of the teachers", results.task.values, rule, remedy)
    error = results.teachers.sel(task=results.active_task) - (results.gates * results.weights).sum(dim)
    along_error = (results.weights * error).sum(("out", "in")) ** 2 / (error**2).sum(("out", "in"))
    parts = {"alignment": along_error.sum(dim) / tau_c, "selectivity": (results.gates**2).sum(dim) / tau_w}
    return xr.Dataset(parts).transpose("seed", "time").drop_vars("task", errors="ignore")
