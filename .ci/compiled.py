"""Remove the compiled programs that were cut off, by a kill or a full disk, from the folder in which JAX keeps them.

`.venv/bin/python .ci/compiled.py .jax_cache`: JAX warns of such a file in every process that meets it, and never writes
it anew. What another Python wrote and this one cannot read goes too: from 3.14 on JAX compresses otherwise, under the
same names.
"""

import sys
from pathlib import Path

try:  # as JAX looks for them
    from compression.zstd import decompress
except ImportError:
    try:
        from zstandard import ZstdDecompressor

        decompress = ZstdDecompressor().decompress
    except ImportError:
        from zlib import decompress


def readable(path):
    """Whether a compiled program is there to its end, which both ways to compress note."""
    try:
        content = path.read_bytes()
        return bool(content and decompress(content))
    except Exception:  # each way has errors of its own
        return False


def main(folder):
    """Remove what cannot be read, and say how many."""
    kept = list(Path(folder).glob("*-cache"))
    broken = [path for path in kept if not readable(path)]
    for path in broken:
        path.unlink(missing_ok=True)
    if broken:
        print(f"{len(broken)} of {len(kept)} compiled programs in {folder} could not be read, and were removed.")


if __name__ == "__main__":
    main(sys.argv[1])
