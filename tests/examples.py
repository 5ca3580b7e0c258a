"""Small experiments that several tests share."""

import gatedlib as gl

CONSTRAINTS = (gl.Nonnegative(0.0909), gl.UnitNorm(0.909))


def small(**settings) -> gl.Experiment:
    """A small flexible experiment: 6 inputs, 2 outputs, 4 blocks of 50 steps."""
    experiment = gl.Experiment(
        gl.Orthogonal(tasks=2, d_in=6, d_out=2),
        gl.GatedLinear(paths=2, weight_scale=0.3),
        gl.Blocked(blocks=4, block_length=1.0),
        gl.Flow(tau_w=1.3, tau_c=0.1, dt=0.02, penalties=CONSTRAINTS),
    )
    return experiment.replace(**settings)
