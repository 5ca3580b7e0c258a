"""Pictures to learn tasks on: small digits that are always there, and MNIST and FashionMNIST where they are found.

The full data sets are looked for in this order: a folder that you name (or the environment variable `GATEDLIB_DATA`
does), the folder of Debian's package `dataset-fashion-mnist`, the user's cache, and their public addresses.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from gatedlib._internal.validation import refusal, require_folder, require_member

SYSTEM = Path("/usr/share/datasets")
"""Where Debian puts data sets."""

KINDS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class Source:
    """A data set in four files: the name of its folder, its address, its sizes, and the SHA-256 of each file there."""

    folder: str
    url: str
    names: tuple[str, ...]
    checksums: tuple[str, str, str, str]
    train: int = 60_000
    test: int = 10_000
    side: int = 28

    def sizes(self, kind: str) -> tuple[int, ...]:
        """The shape of the numbers in a file: pictures, rows and columns, or labels."""
        count = self.train if kind.startswith("train") else self.test
        return (count, self.side, self.side) if "images" in kind else (count,)


SOURCES = {
    "mnist": Source(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        tuple(map(str, range(10))),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion": Source(
        "fashion-mnist",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}
"""The data sets of 28 by 28 pixels."""

TEST_DIGITS = 360
"""How many of scikit-learn's 1797 digits are held out."""


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """A data set of pictures in two parts, one to learn from and one to be tested on.

    Attributes:
        name: which data set.
        train_images: shape (sample, row, column), from 0 (background) to 1.
        train_classes: shape (sample,), whole numbers from 0.
        test_images: as the others, and none of them.
        test_classes: their classes.
        names: the name of every class.
    """

    name: str
    train_images: Float[np.ndarray, "train row column"]
    train_classes: Int[np.ndarray, " train"]
    test_images: Float[np.ndarray, "test row column"]
    test_classes: Int[np.ndarray, " test"]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Pictures({self.name!r}, {len(self.train_images)} to learn from, {len(self.test_images)} held out)"


def load(name: str = "digits", folder: str | os.PathLike[str] | None = None, url: str | None = None) -> Pictures:
    """A data set of pictures.

    Args:
        name: `digits` (8 by 8 pixels, from scikit-learn, always there), `mnist` or `fashion` (28 by 28).
        folder: where the four files are, or a folder with a subfolder `mnist` or `fashion-mnist` that holds them.
            By default what `GATEDLIB_DATA` says; without that, Debian's folder, the user's cache, a download.
        url: the address to download from in place of the public one.

    Returns:
        The pictures.

    Raises:
        ValueError: if there is no such data set, a folder was named and lacks a file, a file is corrupt or
            truncated, or the download fails; the message names the file, what was expected and what was found.

    Example:
        >>> digits = gl.images.load("digits")
        >>> digits.train_images.shape, digits.test_images.shape
        ((1437, 8, 8), (360, 8, 8))

    Source: paper, Fig. 7. Digits: scikit-learn, from E. Alpaydin and C. Kaynak, 1998. MNIST: Y. LeCun and others, 1998.
    FashionMNIST: H. Xiao and others, 2017.
    """
    require_member(name, ["digits", *SOURCES], "data set")
    if name == "digits":
        if folder is not None or url is not None:
            rule = "digits come with scikit-learn, not from a folder or an address"
            raise refusal("folder or url", folder or url, rule, "Leave it out")
        return _digits()
    source = SOURCES[name]
    place = _place(source, folder)
    files = [place / kind for kind in KINDS] if place else [_downloaded(source, kind, url) for kind in KINDS]
    parts = [_read(file, source.sizes(kind)) for file, kind in zip(files, KINDS, strict=True)]
    images = [parts[n].astype(np.float32) / 255 for n in (0, 2)]
    classes = [parts[n].astype(np.int32) for n in (1, 3)]
    for file, labels in zip(files[1::2], classes, strict=True):
        if labels.max() >= len(source.names):
            rule = f"must hold classes below {len(source.names)}, but holds {labels.max()}"
            raise refusal("file", str(file), rule, "Download it again")
    return Pictures(name, images[0], classes[0], images[1], classes[1], source.names)


def here(name: str, folder: str | os.PathLike[str] | None = None) -> bool:
    """Whether a data set can be loaded without the network.

    Example:
        >>> gl.images.here("digits")
        True
    """
    require_member(name, ["digits", *SOURCES], "data set")
    if name == "digits":
        return True
    place = _place(SOURCES[name], folder) or cache() / SOURCES[name].folder
    return all((place / kind).exists() for kind in KINDS)


def cache() -> Path:
    """The folder for what is downloaded or learned once: `GATEDLIB_CACHE`, or the one that is usual for the system."""
    import pooch

    named = os.environ.get("GATEDLIB_CACHE")
    return require_folder("GATEDLIB_CACHE", named, "Name a folder") if named else Path(pooch.os_cache("gatedlib"))


def _digits() -> Pictures:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # the data set is ordered by writers: shuffled once, so that both parts have digits of all of them
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.images[order] / 16).astype(np.float32)
    classes = digits.target[order].astype(np.int32)
    train, test = slice(None, -TEST_DIGITS), slice(-TEST_DIGITS, None)
    return Pictures("digits", images[train], classes[train], images[test], classes[test], tuple(map(str, range(10))))


def _place(source: Source, folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder that holds the files, or None if there is none yet."""
    if folder is None and not os.environ.get("GATEDLIB_DATA"):
        system = SYSTEM / source.folder
        return system if system.is_dir() else None
    by, typed = ("GATEDLIB_DATA", os.environ["GATEDLIB_DATA"]) if folder is None else ("folder", folder)
    named = require_folder(by, typed, "Name the folder that holds the four files")
    inside = named / source.folder
    return inside if inside.is_dir() else named


def _downloaded(source: Source, kind: str, url: str | None) -> Path:
    """A file in the cache, downloaded if it is missing or its checksum is wrong; a wrong download is not kept."""
    import pooch
    import requests

    address = f"{(url or source.url).rstrip('/')}/{kind}"
    expected = source.checksums[KINDS.index(kind)]
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=30)
    try:
        path = cache() / source.folder
        return Path(pooch.retrieve(address, f"sha256:{expected}", kind, path, downloader=downloader))
    except (requests.RequestException, OSError, ValueError) as failure:
        rule = f"must be a file with SHA-256 {expected}, but the download failed: {failure}"
        remedy = "Put the four files into a folder yourself and name it in GATEDLIB_DATA, or give another url"
        raise refusal(kind, address, rule, remedy) from failure


def _read(file: Path, sizes: tuple[int, ...]) -> np.ndarray:
    """The numbers in a gzipped IDX file of these sizes."""
    expected = f"must be a gzipped IDX file of {' x '.join(map(str, sizes))} bytes"
    remedy = "Download it again, or name another folder in GATEDLIB_DATA or with folder="
    if not file.is_file():
        raise refusal("file", str(file), f"{expected}, but there is none", remedy)
    try:
        with gzip.open(file) as opened:
            raw = opened.read()
    except (OSError, EOFError, zlib.error) as failure:
        raise refusal("file", str(file), f"{expected}, but cannot be unpacked: {failure}", remedy) from failure
    # an IDX file begins with two zeros, 8 for unsigned bytes, the number of axes, and their lengths, high byte first
    header = bytes((0, 0, 8, len(sizes))) + np.array(sizes, ">u4").tobytes()
    if not raw.startswith(header) or len(raw) != len(header) + math.prod(sizes):
        rule = f"{expected}, but holds {len(raw)} bytes that begin with {raw[: len(header)].hex() or 'nothing'}"
        raise refusal("file", str(file), rule, remedy)
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(sizes)
