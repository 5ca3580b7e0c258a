#!/usr/bin/env bash
# scipy 1.17.1: the lower tail of gamma and chi-square distributions with very many degrees of freedom.
# Expected: with 1e9 degrees of freedom a chi-square variable is normal to 1e-4, and scipy.stats says how often it lies
# five standard deviations below or above its mean to many digits.
# Found: five below the mean scipy.special.gammainc gives 0.374 of the probability, with 1e8 degrees 0.778 of it, with 1e7
# 0.993; at four it is right, and above the mean gammaincc always is. chi2.ppf inverts what is wrong: for the probability
# at -5 it says -4.84. gamma.cdf calls the same function.
# For gatedlib: batches of a million inputs or more take chi-square quantiles from Wilson and Hilferty's cube root.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import scipy
from scipy import integrate, stats

print("scipy", scipy.__version__)


def integrated(k, deviations):
    """The probability so far from the mean, or farther, as an integral of the density (in standard deviations)."""
    mean, deviation = float(k), np.sqrt(2.0 * k)

    def density(d):  # log of x/mean to full precision; the constant by Stirling's series
        x = d * deviation / mean
        log = (k / 2 - 1) * np.log1p(x) - k / 2 * x
        return np.exp(log - 1 / (6.0 * k)) / np.sqrt(2 * np.pi)

    ends = (deviations - 10, deviations) if deviations < 0 else (deviations, deviations + 10)
    return integrate.quad(density, *ends, epsabs=0, epsrel=1e-8)[0]


print("how often a chi-square variable is five standard deviations from its mean, scipy's over an integral's")
found = {}
for k in (1e6, 1e7, 1e8, 1e9):
    below, above = k - 5 * np.sqrt(2 * k), k + 5 * np.sqrt(2 * k)
    found[k] = stats.chi2.cdf(below, k) / integrated(k, -5.0), stats.chi2.sf(above, k) / integrated(k, 5.0)
    print(f"{k:.0e} degrees of freedom: below {found[k][0]:.4f}, above {found[k][1]:.4f}")
gamma = stats.gamma.cdf(5e8 - 5 * np.sqrt(5e8), 5e8) / integrated(1e9, -5.0)
print(f"gamma.cdf, shape 5e8: {gamma:.4f}")
p = stats.norm.sf(5)
print(f"1e9 degrees, the quantile of {p:.2e}: {(stats.chi2.ppf(p, 1e9) - 1e9) / np.sqrt(2e9):.4f} standard deviations")
assert all(abs(above - 1) < 1e-4 for _, above in found.values())
assert abs(found[1e6][0] - 1) < 1e-4
assert found[1e8][0] < 0.8
assert found[1e9][0] < 0.4
assert gamma < 0.4
PY
