"""Flags with which XLA compiles in half the time: `python -m gatedlib.paper.compiling` prints them for `XLA_FLAGS`.

Half of the time of tests, chapters and claims goes into compiling. XLA had two code generators for CPUs, of which the
older one compiles faster (its long runs take up to a quarter longer); newer versions of jaxlib know no such choice. A
flag that XLA does not know ends a process, so it is tried on a small program first.
"""

import os

import jax

FLAG, VALUE = "xla_cpu_use_fusion_emitters", False


def quick_flags() -> str:
    """What `XLA_FLAGS` says now, and the flag that makes compiling quick, if this jaxlib knows it.

    Example:
        >>> from gatedlib.paper.compiling import quick_flags
        >>> "--no_such_flag" in quick_flags()
        False
    """
    given = os.environ.get("XLA_FLAGS", "")
    if FLAG in given:
        return given
    try:
        jax.jit(lambda x: x).lower(1.0).compile(compiler_options={FLAG: VALUE})
    except RuntimeError:
        return given
    return f"{given} --{FLAG}={str(VALUE).lower()}".strip()


if __name__ == "__main__":
    print(quick_flags())
