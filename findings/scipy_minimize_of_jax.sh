#!/usr/bin/env bash
# scipy 1.17.1 with jax 0.10.2 in its default, single precision.
# Expected: minimize(f, x0) of a smooth jax function moves, or says that it could not; its steps fit the numbers' type.
# Found: it stays at x0 and reports success. Its differences of 1e-8 vanish in single precision, so that the gradient is
# exactly zero (scipy/scipy#17636, for numpy.float32). least_squares sees the type, widens its step and moves.
# For gatedlib: fits of settings to data should pass jac=jax.grad(f), use least_squares,
# or enable jax_enable_x64. Look whether x has left x0 before you believe a success.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6 jax==0.10.2 jaxlib==0.10.2
venv/bin/python - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import scipy
from scipy.optimize import least_squares, minimize

print("scipy", scipy.__version__, "jax", jax.__version__)
START = np.array([1.0, 1.0])


def errors(point):
    return jnp.array([point[0] - 3.0, 10.0 * (point[1] - point[0])])


def loss(point):
    return (errors(point) ** 2).sum()


print("the minimum is at [3. 3.], the start at", START)
for method in ("BFGS", "L-BFGS-B", "SLSQP", "trust-constr"):
    end = minimize(loss, START, method=method)
    print(f"minimize, {method}: x {end.x} success {end.success} after {end.nfev} evaluations: {end.message}")
    assert end.success
    assert (end.x == START).all()
told = minimize(loss, START, jac=jax.grad(loss))
print("minimize with jax.grad: x", told.x.round(3))
squares = least_squares(errors, START)
print("least_squares: x", squares.x.round(3))
assert np.allclose(told.x, 3, atol=1e-3)
assert np.allclose(squares.x, 3, atol=1e-3)
PY
