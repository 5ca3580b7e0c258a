"""Random numbers that depend on a seed and on no setting outside of the library; tracing by shapes; Gram-Schmidt.

A seed means the same network whatever the precision, the generator that is JAX's default (`JAX_DEFAULT_PRNG_IMPL`),
and the order in which that one lays out its bits (`JAX_THREEFRY_PARTITIONABLE`).
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Num
from numpy.polynomial import chebyshev

from gatedlib._internal.identity import cache_of_traces


def _hash(key: Array, high: Array, low: Array) -> tuple[Array, Array]:
    """The Threefry hash of two numbers of 32 bits in twenty rounds: Salmon and others, SC11, 2011.

    JAX's own writes to memory after every four rounds. This one is compiled into one loop, in half the time, and draws
    more than three times as fast; the bits are the same. It is written in primitives, since each operator of arrays
    would be traced as a function of its own.
    """
    lax = jax.lax
    first, second = (lax.broadcast_in_dim(half, high.shape, ()) for half in (key[0], key[1]))
    third = lax.bitwise_xor(lax.bitwise_xor(first, second), lax.full_like(first, 0x1BD11BDA))
    keys = first, second, third
    high, low = lax.add(high, first), lax.add(low, second)
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            high = lax.add(high, low)
            left = lax.shift_left(low, lax.full_like(low, rotation))
            right = lax.shift_right_logical(low, lax.full_like(low, 32 - rotation))
            low = lax.bitwise_xor(high, lax.bitwise_or(left, right))
        high = lax.add(high, keys[(group + 1) % 3])
        low = lax.add(low, lax.add(keys[(group + 2) % 3], lax.full_like(low, group + 1)))
    return high, low


def _hash_of_indices(key: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The hashes of 0, 1, … in an array of this shape."""
    count = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return _hash(key, jnp.zeros_like(count), count)


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_hash_of_indices(key, shape), -1)


def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    high, low = _hash_of_indices(key, shape)
    if width == 64:
        return (high.astype(jnp.uint64) << 32) | low
    return (high ^ low).astype(f"uint{width}")


def _seed(seed: Array) -> Array:
    return jnp.stack([jnp.uint32(0), jnp.asarray(seed).astype(jnp.uint32)])


def _fold_in(key: Array, data: Array | int) -> Array:
    return jnp.stack(_hash(key, *_seed(jnp.asarray(data))))


GENERATOR = jax.extend.random.define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_bits, fold_in=_fold_in, name="gatedlib_threefry", tag="gtf"
)
"""JAX's Threefry in its partitionable form, whose numbers for a run do not depend on the runs beside it."""


def random_key(seed: int | Array) -> Key[Array, ""]:
    """The key of a seed."""
    # jax.random.key would add JAX_RANDOM_SEED_OFFSET to the seed.
    return jax.random.wrap_key_data(_seed(jnp.asarray(seed)), impl=GENERATOR)


SETTINGS = {
    "numpy_rank_promotion": "allow",
    "numpy_dtype_promotion": "standard",
    "default_matmul_precision": "highest",  # which other libraries change for the whole process (dynamax 1.0.3)
}
"""Settings of JAX on which the numbers of a seed, or the way this library writes its sums, depend."""


@contextlib.contextmanager
def fixed_jax_settings() -> Iterator[None]:
    """Run the block with `SETTINGS`, whatever the settings of JAX are, so that a seed means the same."""
    with contextlib.ExitStack() as settings:
        for name, value in SETTINGS.items():
            if hasattr(jax, name):  # a later version of JAX may not have the setting
                settings.enter_context(getattr(jax, name)(value))
        yield


def with_current_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs in another thread with the settings of this one, which JAX keeps for each thread."""
    precision, device = jax.config.jax_enable_x64, jax.config.jax_default_device  # type: ignore[attr-defined]

    def call(*args: Any) -> Any:
        with jax.enable_x64(precision), jax.default_device(device), fixed_jax_settings():
            return function(*args)

    return call


def normal(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal numbers, drawn in single precision: a seed is the same network in double precision too."""
    return jax.random.normal(key, shape, jnp.float32).astype(float)


FARTHEST = 5.5
"""How far from zero a normal number in single precision can be."""


def chi_quantile(normals: Float[Array, " n"], degrees: Num[np.ndarray, " n"]) -> Float[Array, " n"]:
    r"""Roots of chi-square variables, each from a normal number by its quantile.

    .. math::

        x = \sqrt{F_k^{-1}(\Phi(z))}

    with :math:`F_k` the distribution function of a chi-square variable of k degrees of freedom. That is a smooth
    function of z, nearly a straight line: polynomials give it to about 1e-6, within what single precision tells of z.
    """
    import scipy.special  # a tenth of the time that `import gatedlib` takes

    fewest = np.min(degrees)
    order = 8 if fewest >= 50 else 16 if fewest >= 10 else 40

    def root(k: float, x: Any) -> Any:
        z = FARTHEST * x
        if k >= 1e6:  # Wilson and Hilferty's cube, right to 2e-6 from here on, where scipy's lower tail fails (1.17.1)
            return np.sqrt(k * (1 - 2 / (9 * k) + z * np.sqrt(2 / (9 * k))) ** 3)
        below = scipy.special.gammaincinv(k / 2, scipy.special.ndtr(np.minimum(z, 0)))
        above = scipy.special.gammainccinv(k / 2, scipy.special.ndtr(-np.maximum(z, 0)))
        return np.sqrt(2 * np.where(z < 0, below, above))

    coefficients = np.stack([chebyshev.chebinterpolate(partial(root, k), order) for k in np.asarray(degrees, float)], 1)
    return jnp.asarray(chebyshev.chebval(normals / FARTHEST, coefficients, tensor=False))


def ceil_div(count: Any, size: Any) -> Any:
    """How many groups of `size` hold `count` things: the quotient, rounded up.

    Example:
        >>> from gatedlib._internal.numerics import ceil_div
        >>> ceil_div(10, 5), ceil_div(11, 5)
        (2, 3)
    """
    return -(-count // size)


def power_of_two_within(most: int | float) -> int:
    """The largest power of two that is not above this, and 1 at least: few sizes occur, for few compiled programs.

    Example:
        >>> from gatedlib._internal.numerics import power_of_two_within
        >>> power_of_two_within(100), power_of_two_within(0.3)
        (64, 1)
    """
    return 2 ** int(math.log2(max(1, most)))


def shapes_of(tree: Any) -> tuple[Any, tuple]:
    """The structure of a tree, and the shapes and types of its leaves, as keys of a cache."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((np.shape(leaf), jax.dtypes.canonicalize_dtype(jnp.result_type(leaf))) for leaf in leaves)


def with_shapes(structure: Any, shapes: tuple) -> Any:
    """A tree of this structure to be traced with."""
    return jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*shape) for shape in shapes])


def cached_by_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Cache what a function finds by tracing its first argument, a tree of which only structure and shapes count.

    The function is called with a tree of `jax.ShapeDtypeStruct` in place of arrays and numbers, to pass on to
    `jax.eval_shape`; its other arguments are hashable.
    """

    @cache_of_traces
    def traced(structure: Any, shapes: tuple, *others: Any) -> Any:
        return function(with_shapes(structure, shapes), *others)

    @functools.wraps(function)
    def call(tree: Any, *others: Any) -> Any:
        return traced(*shapes_of(tree), *others)

    return call


def bytes_of(tree: Any) -> int:
    """The size of the arrays of a tree, in bytes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@jax.jit  # without jit its loop would be compiled at every call from outside of a program
def orthonormal(rows: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Rows of length one at right angles to each other, with the span of the given ones; a row that adds nothing is 0.

    This is Gram-Schmidt, not LAPACK's QR, for large batches of QR on two CPU devices at once deadlock.

    Example:
        >>> from gatedlib._internal.numerics import orthonormal
        >>> orthonormal(jnp.array([[2.0, 0.0], [3.0, 0.0], [1.0, 1.0]])).tolist()
        [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    rounding = 10 * jnp.finfo(rows.dtype).eps

    def add(index: Array, basis: Array) -> Array:
        row = rows[index]
        shortest = rounding * jnp.sqrt(jnp.sum(row**2))
        for _ in range(2):  # once leaves components of the size of rounding errors; twice is enough
            row = row - (basis @ row) @ basis
        length = jnp.sqrt(jnp.sum(row**2))
        return basis.at[index].set(jnp.where(length > shortest, row / jnp.where(length > 0, length, 1.0), 0.0))

    return jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows))


def first_true(holds: np.ndarray) -> np.ndarray:
    """The first place along the last axis at which a condition holds; nan where it never does."""
    return np.where(holds.any(-1), holds.argmax(-1), np.nan)
