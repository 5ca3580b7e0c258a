#!/usr/bin/env bash
# dynamax 1.0.3 with jax 0.10.2, hidden Markov models with zeros in their transitions, starts or emissions.
# Expected: data that a model excludes have log-likelihood minus infinity.
# Found: a step of probability zero counts as one of probability one. Impossible data get a finite log-likelihood, above
# that of possible data, and even 0.0, as if they were certain. The filtered probabilities of such a step are all zero.
# For gatedlib: when observers are compared by likelihood, one from dynamax that excludes the data may win. Check that
# each row of `filtered_probs` sums to one before a likelihood is used.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    dynamax==1.0.3 jax==0.10.2 jaxlib==0.10.2 tfp-nightly==0.26.0.dev20261027
venv/bin/python - <<'PY'
import itertools
from importlib.metadata import version

import jax.numpy as jnp
import numpy as np
from dynamax.hidden_markov_model import hmm_filter

print("dynamax", version("dynamax"), "jax", version("jax"))
START = np.array([1.0, 0.0])  # task A comes first
MOVES = np.array([[0.9, 0.1], [0.0, 1.0]])  # there is no way back from task B
SEEN = np.eye(2)  # each task is plain to see


def by_hand(data):
    """The probability of the data, as a sum over all paths."""
    total = 0.0
    for path in itertools.product(range(2), repeat=len(data)):
        chance = START[path[0]] * np.prod([MOVES[pair] for pair in itertools.pairwise(path)])
        total += chance * np.prod([SEEN[state, datum] for state, datum in zip(path, data, strict=True)])
    return total


found = {}
for name in ("AABB", "ABBA", "BAAA"):
    data = ["AB".index(letter) for letter in name]
    with np.errstate(divide="ignore"):
        likelihoods, true = np.log(SEEN[:, data]).T, np.log(by_hand(data))
    post = hmm_filter(jnp.array(START), jnp.array(MOVES), jnp.array(likelihoods))
    found[name] = float(post.marginal_loglik), true
    sums = np.asarray(post.filtered_probs).sum(1)
    print(f"{name}: log-likelihood {found[name][0]:.3f}, true {true:.3f}; filtered probabilities sum to {sums}")
assert abs(found["AABB"][0] - found["AABB"][1]) < 1e-4
for name in ("ABBA", "BAAA"):
    assert found[name][1] == -np.inf
    assert found["AABB"][0] < found[name][0] <= 0
PY
