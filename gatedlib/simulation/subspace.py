r"""The few coordinates in which a gated linear student learns in the population limit.

.. math::

    G = \sum_p c_p W_p - W^*_m \quad\Rightarrow\quad
    W_p(t) \in \mathrm{span}\{W^*_1, \dots, W^*_M, W_1(0), \dots, W_P(0)\}

if all inputs are seen at once (S = I), every path has one gate, and no penalty acts on the weights. Inner products are
the same in orthonormal coordinates, so loss, gradients and gates are too: the same flow at a fraction of the cost.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from gatedlib._internal.numerics import orthonormal
from gatedlib.model.experiment import Experiment, weight_penalties
from gatedlib.model.inputs import Population
from gatedlib.model.networks import GatedLinear, Params


class Subspace(NamedTuple):
    """The subspace that weights never leave, and all that their inner products row by row depend on."""

    basis: Float[Array, "rank out in"]
    initial_weights: Float[Array, "path out in"]
    initial_coordinates: Float[Array, "path 1 rank"]
    gram: Float[Array, "out rank rank"]
    """Inner products of the rows of the basis."""
    cross: Float[Array, "task out rank"]
    """Inner products of the rows of the teachers with those of the basis."""

    def full_params(self, params: Params) -> Params:
        """All weights: where they began, and how far they have come, which is exactly nothing if frozen."""
        return params._replace(weights=self.initial_weights + self._lift(params.weights - self.initial_coordinates))

    def full_velocity(self, velocity: Params) -> Params:
        """The rates of change of all weights."""
        return velocity._replace(weights=self._lift(velocity.weights))

    def _lift(self, coordinates: Float[Array, "path 1 rank"]) -> Float[Array, "path out in"]:
        return jnp.einsum("pk,kij->pij", coordinates[:, 0], self.basis)


def suffices(experiment: Experiment) -> bool:
    """Whether this student never leaves that span, and it is smaller than the space of all weights."""
    network, flow = experiment.network, experiment.flow
    if type(network) is not GatedLinear or type(flow.inputs) is not Population or weight_penalties(experiment):
        return False
    paths, d_out, d_in = network.shapes(*experiment.sizes)["weights"]
    return experiment.teachers.shape[0] + paths < d_out * d_in


def project(
    teachers: Float[Array, "task out in"], params: Params
) -> tuple[Float[Array, "task 1 rank"], Params, Subspace]:
    """Teachers and parameters in the coordinates of their span, and that subspace."""
    rows, width = teachers.shape[1:]
    basis = orthonormal(jnp.concatenate([teachers, params.weights]).reshape(-1, rows * width)).reshape(-1, rows, width)
    first = jnp.einsum("kij,pij->pk", basis, params.weights)[:, None]
    cross = jnp.einsum("mij,kij->mik", teachers, basis)
    gram = jnp.einsum("kij,lij->ikl", basis, basis)
    space = Subspace(basis, params.weights, first, gram, cross)
    return jnp.einsum("kij,mij->mk", basis, teachers)[:, None], params._replace(weights=first), space
