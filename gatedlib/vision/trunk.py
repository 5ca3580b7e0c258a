"""The trunk: a small convolutional network whose features are the inputs of gated students in place of pictures."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from gatedlib._internal.files import atomic_write
from gatedlib._internal.identity import code_digest, short_digest
from gatedlib._internal.numerics import ceil_div, fixed_jax_settings, normal, random_key
from gatedlib._internal.validation import refusal, require_integer, require_positive
from gatedlib.model.inputs import Examples, cross_entropy
from gatedlib.vision.images import Pictures, cache

BATCH = 128
PROGRESS_EVERY = 50
"""Steps of training between two signs of progress."""


class Layer(eqx.Module):
    """A kernel and a bias."""

    kernel: Float[Array, "*any in out"]
    bias: Float[Array, " out"]


def _layer(key: Key[Array, ""], *shape: int) -> Layer:
    # the initialization of He and others, 2015: the size of signals is the same after every rectifier
    return Layer(np.sqrt(2 / np.prod(shape[:-1])) * normal(key, shape), jnp.zeros(shape[-1]))


def convolve(layer: Layer, x: Float[Array, "sample row column in"]) -> Float[Array, "sample r c out"]:
    """A convolution with stride 2, written as one matrix product: many networks at once then are one product too."""
    size = layer.kernel.shape[0]
    half, rows, columns = size // 2, ceil_div(x.shape[1], 2), ceil_div(x.shape[2], 2)
    x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    # one array for each place in the kernel: the pixel that this place sees, wherever the kernel stands
    patches = [x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for i in range(size) for j in range(size)]
    flat = layer.kernel.reshape(-1, layer.kernel.shape[-1])
    return jax.nn.relu(jnp.concatenate(patches, -1) @ flat + layer.bias)


class Trunk(eqx.Module):
    """Two convolutions with stride 2 and a dense layer, each followed by a rectifier; from pictures to features."""

    first: Layer
    second: Layer
    dense: Layer

    @classmethod
    def draw(cls, key: Key[Array, ""], side: int, units: int) -> Trunk:
        """A random trunk for square pictures."""
        keys = jax.random.split(key, 3)
        quarter = (side + 3) // 4  # two convolutions with stride 2
        dense = _layer(keys[2], quarter**2 * 32, units)
        return cls(_layer(keys[0], 5, 5, 1, 16), _layer(keys[1], 3, 3, 16, 32), dense)

    def __call__(self, images: Float[Array, "sample row column"]) -> Float[Array, "sample unit"]:
        """The features of pictures."""
        x = convolve(self.second, convolve(self.first, images[..., None]))
        return jax.nn.relu(x.reshape(len(x), -1) @ self.dense.kernel + self.dense.bias)

    def scaled(self, by: float) -> Trunk:
        """The trunk whose features are larger by a factor: a rectifier scales with its input."""
        return eqx.tree_at(lambda trunk: trunk.dense, self, jax.tree.map(lambda leaf: leaf * by, self.dense))


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """The features of a data set that a trained trunk computes.

    Attributes:
        pictures: the data set.
        train: features of the pictures that it learned from, shape (sample, unit); mean square 1 unless scaled.
        test: features of the others.
        accuracy: the part of the test pictures that the trunk with a linear readout of its own gets right.
        trunk: the network itself.
    """

    pictures: Pictures
    train: Float[np.ndarray, "train unit"]
    test: Float[np.ndarray, "test unit"]
    accuracy: float
    trunk: Trunk

    def __repr__(self) -> str:
        return f"Features({self.pictures!r}, {self.train.shape[1]} units, accuracy {self.accuracy:.3f})"

    def examples(self, batch: int = 100) -> Examples:
        """Examples to learn from, for `Flow(inputs=…)`."""
        return Examples(self.train, self.pictures.train_classes, batch)

    def scaled(self, mean_square: float) -> Features:
        r"""The same features in another size, which sets how fast weights learn from them.

        .. math::

            x \to \sqrt{s / \langle x^2 \rangle}\; x

        With features k times as large weights move :math:`k^2` times as fast: the same network is had by
        `tau_w` that is :math:`k^2` times as long, and initial weights that are k times smaller.

        Args:
            mean_square: s, the mean square of the features to learn from.

        Raises:
            ValueError: if it is not above 0, or too large or small for single precision.

        Example:
            >>> large = gl.trunk.features(gl.images.load("digits")).scaled(21.3)
            >>> round(float((large.train**2).mean()), 2)
            21.3
        """
        size = require_positive("mean_square", mean_square, "The released trunk of Fig. 7 has about 21")
        by = float(np.sqrt(size / np.mean(self.train**2)))
        if not 1e-30 <= size <= 1e30:
            rule = "must be from 1e-30 to 1e30, which single precision can hold"
            raise refusal("mean_square", size, rule, "Use 1, or 21.3")
        return replace(self, train=by * self.train, test=by * self.test, trunk=self.trunk.scaled(by))

    def held_out(self, most: int | None = None) -> Examples:
        """Examples to be tested on, for `record.accuracy`: all, or the first ones."""
        return Examples(self.test[:most], self.pictures.test_classes[:most])


def features(pictures: Pictures, units: int = 64, steps: int = 2000, seed: int = 0) -> Features:
    """Train a trunk to classify the pictures of a data set, once, and keep the features of the pictures.

    The trunk and a linear readout learn by Adam on the cross-entropy of the true classes (batches of 128). Features
    are scaled to a mean square of 1, like the inputs N(0, I) of the model. They are kept in the user's cache (or the
    folder in `GATEDLIB_CACHE`) under a checksum of the pictures, of these settings and of this program.

    Args:
        pictures: the data set, from `gatedlib.images.load`.
        units: number of features.
        steps: how many steps to train.
        seed: of the initial weights and the batches.

    Returns:
        The features with the trunk.

    Raises:
        ValueError: if the units or steps are no whole numbers above 0.

    Example:
        >>> digits = gl.trunk.features(gl.images.load("digits"))
        >>> digits.train.shape, digits.accuracy > 0.97
        ((1437, 64), True)

    Source: paper, Fig. 7.
    """
    units = require_integer("units", units, 1, "The paper's Fig. 7 has 64")
    steps = require_integer("steps", steps, 1, "Use 2000")
    seed = require_integer("seed", seed, 0, "Use 0")
    file = cache() / f"features-{pictures.name}-{_checksum(pictures, units, steps, seed)}.npz"
    cached = _cached(file)
    if cached is None:
        with fixed_jax_settings(), jax.enable_x64(False):  # the same features whatever the settings around
            cached = train(pictures, units, steps, seed)
        try:
            atomic_write(file, partial(_save, cached))
        except OSError as failure:  # the features are returned all the same
            warnings.warn(f"Features are not kept, and will be learned again: {failure}", stacklevel=2)
    start = jax.eval_shape(lambda: Trunk.draw(random_key(0), pictures.train_images.shape[1], units))
    leaves = [jnp.asarray(cached[f"trunk{n}"]) for n in range(len(jax.tree.leaves(start)))]
    trunk = jax.tree.unflatten(jax.tree.structure(start), leaves)
    return Features(pictures, cached["train"], cached["test"], float(cached["accuracy"]), trunk)


def _checksum(pictures: Pictures, units: int, steps: int, seed: int) -> str:
    arrays = pictures.train_images, pictures.train_classes, pictures.test_images, pictures.test_classes
    settings = f"{units} {steps} {seed} {jax.__version__}"
    return short_digest(code_digest(__name__), settings, *(np.ascontiguousarray(array).tobytes() for array in arrays))


def _cached(file: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file, or None if it is missing or damaged."""
    try:
        with file.open("rb") as opened, np.load(opened) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _save(arrays: dict[str, np.ndarray], path: Path) -> None:
    with path.open("wb") as opened:  # savez would add an ending to a path
        np.savez(opened, **arrays)  # type: ignore[arg-type]


def train(pictures: Pictures, units: int, steps: int, seed: int) -> dict[str, np.ndarray]:
    """Train a trunk: its features, its accuracy and the leaves of its tree."""
    import optax
    from tqdm import tqdm

    trunk_key, readout_key, batch_key = jax.random.split(random_key(seed), 3)
    images, classes = jnp.asarray(pictures.train_images), jnp.asarray(pictures.train_classes)
    names = len(pictures.names)
    model = Trunk.draw(trunk_key, images.shape[1], units), _layer(readout_key, units, names)
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, steps))

    def logits(model: tuple[Trunk, Layer], images: Array) -> Array:
        trunk, readout = model
        return trunk(images) @ readout.kernel + readout.bias

    def loss(model: tuple[Trunk, Layer], images: Array, classes: Array) -> Array:
        return cross_entropy(logits(model, images), jax.nn.one_hot(classes, names))[0]

    @jax.jit
    def learn(state: tuple, keys: Array, images: Array, classes: Array) -> tuple:  # no data in the program itself
        def step(state: tuple, key: Array) -> tuple[tuple, None]:
            model, memory = state
            chosen = jax.random.randint(key, (BATCH,), 0, len(images), jnp.int32)
            change, memory = adam.update(jax.grad(loss)(model, images[chosen], classes[chosen]), memory)
            return (optax.apply_updates(model, change), memory), None

        return jax.lax.scan(step, state, keys)[0]

    state = model, adam.init(model)
    with tqdm(total=steps, desc=f"learning features of {pictures.name}", unit="step") as progress:
        for keys in np.array_split(jax.random.split(batch_key, steps), ceil_div(steps, PROGRESS_EVERY)):
            state = jax.block_until_ready(learn(state, keys, images, classes))
            progress.update(len(keys))
    trunk, readout = state[0]

    @jax.jit
    def read_batch(images: Array) -> tuple[Array, Array]:
        values = trunk(images)
        return values, jnp.argmax(values @ readout.kernel + readout.bias, -1)

    def read(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # in batches, as the patches of all pictures at once would take gigabytes
        parts = [read_batch(part) for part in np.array_split(images, ceil_div(len(images), 2000))]
        values, answers = (np.concatenate([np.asarray(part[n]) for part in parts]) for n in (0, 1))
        return values, answers

    values, _ = read(pictures.train_images)
    tested, answers = read(pictures.test_images)
    scale = 1 / np.sqrt(np.mean(values**2))
    leaves = {f"trunk{n}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(trunk.scaled(scale)))}
    accuracy = np.mean(answers == pictures.test_classes)
    return {"train": scale * values, "test": scale * tested, "accuracy": accuracy, **leaves}
