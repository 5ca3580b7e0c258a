"""Flags with which XLA compiles in half the time: `python -m gatedlib.paper.compiling` prints them for `XLA_FLAGS`.

Much of the time of tests, chapters and claims goes into compiling. XLA had two code generators for CPUs, of which the
older one compiles faster (its long runs take up to a half longer), and it cuts every program into parts, which pays
only where cores are idle; newer versions of jaxlib may know no such choice. A flag that XLA does not know ends a
process, so each is tried on a small program first.
"""

import os

import jax

FLAGS = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def quick_flags() -> str:
    """What `XLA_FLAGS` says now, and the flags that make compiling quick, as far as this jaxlib knows them.

    Example:
        >>> from gatedlib.paper.compiling import quick_flags
        >>> "--no_such_flag" in quick_flags()
        False
    """
    flags = os.environ.get("XLA_FLAGS", "")
    for name, value in FLAGS.items():
        try:
            jax.jit(lambda x: x).lower(1.0).compile(compiler_options={name: value})
        except RuntimeError:
            continue
        if name not in flags:
            flags = f"{flags} --{name}={str(value).lower()}"
    return flags.strip()


if __name__ == "__main__":
    print(quick_flags())
