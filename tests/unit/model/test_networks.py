"""A student of a user's own that does not fit together is refused, in words about the student."""

from typing import ClassVar

import jax.numpy as jnp
import pytest

import gatedlib as gl
from tests.examples import small


class Unnamed(gl.Network):
    """A gate for each path and output, whose axes are not named."""

    def init(self, key, d_out, d_in):
        return gl.Params(jnp.zeros((2, d_out, d_in)), jnp.ones((2, d_out)))

    def effective(self, params):
        return jnp.einsum("pi,pij->ij", params.gates, params.weights)


class Several(Unnamed):
    """Weights in two arrays."""

    def init(self, key, d_out, d_in):
        return gl.Params((jnp.zeros((d_out, d_in)),) * 2, jnp.ones(2))


class Transposed(Unnamed):
    """A matrix the wrong way round."""

    gate_dims: ClassVar = ("path", "out")

    def effective(self, params):
        return jnp.einsum("pi,pij->ji", params.gates, params.weights)


@pytest.mark.parametrize(
    ("network", "refusal"),
    [
        (
            Unnamed(),
            r"gate_dims = \('path',\): must name the axes of the gates, whose shape is \(2, 2\)",
        ),
        (Several(), r"what init draws = .*: must be Params of two arrays. Return Params\(weights, gates\)"),
        (Transposed(), r"shape of the effective matrix = \(6, 2\): must be \(2, 6\), outputs by inputs"),
    ],
)
def test_a_student_that_does_not_fit_together_is_refused(network, refusal):
    with pytest.raises(ValueError, match=refusal):
        small(network=network)
