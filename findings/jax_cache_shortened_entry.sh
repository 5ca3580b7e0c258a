#!/usr/bin/env bash
# jax 0.10.2, persistent compilation cache.
# Expected: an entry that cannot be read (here one that was shortened on purpose) is replaced by the program that is
# compiled in its stead, so that only the first process is slow.
# Found: every later process warns, compiles anew and leaves the entry as it is. The cache never heals.
# For gatedlib: results stay right, but a compilation is paid in each process. Its make commands remove such entries; of
# a cache of your own, delete the entry that JAX's warning names, or the folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2
cat > compile.py <<'PY'
import collections
import sys
import warnings

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
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jax.jit(step)(start).block_until_ready()
print("hits", counts["cache_hits"], "misses", counts["cache_misses"], "warnings", len(caught))
PY
show() { echo "$1: $2"; }
venv/bin/python -c 'import jax; print("jax", jax.__version__)'
first=$(venv/bin/python compile.py "$folder/cache")
second=$(venv/bin/python compile.py "$folder/cache")
show "first process      " "$first"
show "second process     " "$second"
entry=$(echo cache/jit_step-*-cache)
head -c 100 "$entry" > shortened
cp shortened "$entry"
third=$(venv/bin/python compile.py "$folder/cache")
fourth=$(venv/bin/python compile.py "$folder/cache")
show "entry shortened    " "$third"
show "one process later  " "$fourth"
echo "size of the entry now: $(wc -c < "$entry") bytes"
test "$first" = "hits 0 misses 1 warnings 0"
test "$second" = "hits 1 misses 0 warnings 0"
test "$third" = "hits 0 misses 1 warnings 1"
test "$fourth" = "$third"
cmp shortened "$entry"
