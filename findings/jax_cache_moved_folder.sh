#!/usr/bin/env bash
# jax 0.10.2, persistent compilation cache.
# Expected: a cache's folder can be renamed, or mounted elsewhere on the next machine, and still serves its entries.
# Found: no hit. Each key holds the absolute path of a subfolder that is set aside for XLA's own caches, on CPUs too.
# With JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none the same renamed folder hits.
# For gatedlib: its make commands set that variable. To carry a cache of your own from job to job, set it too, before
# the first process fills the cache, or keep one absolute path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cat > compile.py <<'PY'
import collections
import sys

import jax
import jax.numpy as jnp

counts = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: counts.update([event.rpartition("/")[2]]))
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def step(x):
    return jnp.sin(x) @ x


start = jnp.ones((4, 4))
counts.clear()
jax.jit(step)(start).block_until_ready()
print("hits", counts["cache_hits"], "misses", counts["cache_misses"])
PY
unset JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES
venv/bin/python -c 'import jax; print("jax", jax.__version__)'
for caches in default none; do
    if [ "$caches" = none ]; then export JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES=none; fi
    venv/bin/python compile.py "$folder/$caches-old" > /dev/null
    same=$(venv/bin/python compile.py "$folder/$caches-old")
    mv "$caches-old" "$caches-new"
    moved=$(venv/bin/python compile.py "$folder/$caches-new")
    echo "XLA's caches $caches: same folder $same; renamed folder $moved"
    test "$same" = "hits 1 misses 0"
    if [ "$caches" = none ]; then test "$moved" = "hits 1 misses 0"; else test "$moved" = "hits 0 misses 1"; fi
done
