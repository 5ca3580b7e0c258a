"""Numbers over seeds with their 95 % intervals, and what may be said of them: a comparison is of whole intervals.

The number given for a sample of seeds is the median, that is, the typical network, with its distribution-free
interval: a few networks in a hundred are late to specialize, and a mean would describe neither them nor the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from scipy import special  # scipy.stats takes half a second to import, in every kernel

from gatedlib._internal.validation import refusal, require, require_member

CONFIDENCE = 0.95

Samples = TypeVar("Samples", xr.DataArray, xr.Dataset)

Axes = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Condition:
    """What a comparison of estimates found: whether it is met, and its thresholds in words, such as "less than 0.1".

    `first & second` is met if both are, and has the words of both.
    """

    met: bool
    words: tuple[str, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.met and other.met, self.words + other.words)

    def __bool__(self) -> bool:
        # so that neither `0 < x < 1`, of which Python would keep one half, nor `min(x, y)` can be written unawares
        raise TypeError("a condition is no truth value: combine two by &, and read whether one is met from .met")


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, with the ends of its 95 % interval over seeds.

    Estimates are compared as intervals: `a < b` is met if all of `a` lies below all of `b`, `a < 0.1` if all of it
    lies below 0.1, and an array of numbers is compared element by element, all of which must meet it. Differences and
    quotients hold whatever any number of the one interval and any number of the other would give.

    Attributes:
        value: the number, or the array.
        low: the lower end of its interval.
        high: the upper end.
        seeds: over how many seeds, 0 for what has none.
        mean: the mean over seeds where the number is another statistic: references are means.
        axes: the names of the array's axes, each with its labels, where these are known.

    Example:
        >>> from gatedlib_book.estimates import along, median
        >>> early, late = (xr.DataArray(np.linspace(start, start + 0.1, 30), dims="seed") for start in (0.4, 0.1))
        >>> loss = median(along("block", (1, 2), [early, late]))
        >>> loss.at(block=2) < 0.2
        Condition(met=True, words=('less than 0.2',))
        >>> loss.falls() & (loss.at(block=1) / loss.at(block=2) > 3)
        Condition(met=False, words=('more than 3',))
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int = 0
    mean: np.ndarray | None = None
    axes: Axes = ()

    __array_ufunc__ = None  # `np.float64(0.1) < estimate` is to ask the estimate, not numpy

    def __post_init__(self) -> None:
        shape = tuple(len(labels) for _, labels in self.axes)
        if self.axes and shape != np.shape(self.value):
            rule = f"must be one for each axis of the numbers, {np.shape(self.value)}"
            raise refusal("labels of axes", shape, rule, "Give each axis all its labels")

    def __lt__(self, other: Estimate | float) -> Condition:
        return self._compared(other, np.less(self.high, _low(other)), "less than")

    def __le__(self, other: Estimate | float) -> Condition:
        return self._compared(other, np.less_equal(self.high, _low(other)), "at most")

    def __gt__(self, other: Estimate | float) -> Condition:
        return self._compared(other, np.greater(self.low, _high(other)), "more than")

    def __ge__(self, other: Estimate | float) -> Condition:
        return self._compared(other, np.greater_equal(self.low, _high(other)), "at least")

    def within(self, low: float, high: float) -> Condition:
        """Whether all of it lies between two numbers."""
        return Condition((self > low).met and (self < high).met, (f"between {low:g} and {high:g}",))

    def rises(self) -> Condition:
        """Whether, of a list of two numbers or more, all of each lies above all of the one before."""
        self._require_list()
        return Condition(bool(np.all(self.low[1:] > self.high[:-1])))

    def falls(self) -> Condition:
        """Whether, of a list of two numbers or more, all of each lies below all of the one before."""
        self._require_list()
        return Condition(bool(np.all(self.high[1:] < self.low[:-1])))

    def _require_list(self) -> None:
        shape = np.shape(self.value)
        require(len(shape) == 1 and shape[0] > 1, "shape", shape, "must be a list of two or more", "Take more numbers")

    def _compared(self, other: Estimate | float, elements: np.ndarray, words: str) -> Condition:
        self._require_same_axes(other)
        require(np.size(elements) > 0, "shape", np.shape(elements), "holds no number to compare", "Measure one")
        return Condition(bool(np.all(elements)), () if isinstance(other, Estimate) else (f"{words} {other:g}",))

    def _require_same_axes(self, other: Estimate | float) -> None:
        """Require that elements at one place have one label, where both have labels."""
        if isinstance(other, Estimate) and self.axes and other.axes and self.axes != other.axes:
            raise refusal(
                "axes", other.axes, f"must be {self.axes}, as those of the other", "Take the same labels: .at"
            )

    def __sub__(self, other: Estimate | float) -> Estimate:
        self._require_same_axes(other)
        value = self.value - (other.value if isinstance(other, Estimate) else other)
        return Estimate(value, self.low - _high(other), self.high - _low(other), self._seeds(other), axes=self.axes)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        self._require_same_axes(other)
        with np.errstate(all="ignore"):
            value = self.value / (other.value if isinstance(other, Estimate) else other)
            corners = [end / by for end in (self.low, self.high) for by in (_low(other), _high(other))]
        # a divisor that may be zero leaves the quotient anything
        anything = (np.asarray(_low(other)) <= 0) & (np.asarray(_high(other)) >= 0)
        low = np.where(anything, -np.inf, np.min(corners, 0))
        high = np.where(anything, np.inf, np.max(corners, 0))
        return Estimate(value, low, high, self._seeds(other), axes=self.axes)

    def _seeds(self, other: Estimate | float) -> int:
        return max(self.seeds, other.seeds if isinstance(other, Estimate) else 0)

    def at(self, **labels: Any) -> Estimate:
        """The elements with these labels: one along an axis for a label, several for a list of labels.

        Raises:
            ValueError: if there is no such axis, or no such label along it.
        """
        estimate = self
        for axis, wanted in labels.items():
            names = [name for name, _ in estimate.axes]
            require_member(axis, names, "axis")
            place = names.index(axis)
            known = estimate.axes[place][1]
            several = isinstance(wanted, (list, tuple, range))
            for label in wanted if several else (wanted,):
                if label not in known:
                    raise refusal(axis, label, f"must be one of {known}", "Choose a label that was measured")
            places: Any = [known.index(label) for label in wanted] if several else known.index(wanted)
            kept = ((axis, tuple(wanted)),) if several else ()
            axes = (*estimate.axes[:place], *kept, *estimate.axes[place + 1 :])
            index = (*(slice(None),) * place, places)
            estimate = dataclasses.replace(estimate._indexed(index), axes=axes)
        return estimate

    def element(self, index: tuple[int, ...]) -> Estimate:
        """The estimate of one element, by its place in the array."""
        return self._indexed(index)

    def _indexed(self, index: Any) -> Estimate:
        mean = None if self.mean is None else self.mean[index]
        return Estimate(self.value[index], self.low[index], self.high[index], self.seeds, mean)

    def place(self, index: tuple[int, ...]) -> str:
        """Where an element stands, in words: by the names of its axes, or else by its numbers from 1.

        Example:
            >>> import xarray as xr
            >>> from gatedlib_book.estimates import median
            >>> samples = xr.DataArray([[1.0, 2.0]] * 6, {"block": [10, 20]}, ("seed", "block"))
            >>> median(samples).place((1,))
            'block 20'
        """
        if not self.axes:
            return ", ".join(str(number + 1) for number in index)
        named = ((name, labels[number]) for (name, labels), number in zip(self.axes, index, strict=True))
        return ", ".join(
            f"{name} {format(label, '.4g') if isinstance(label, float) else label}" for name, label in named
        )


def _low(number: Estimate | float) -> Any:
    return number.low if isinstance(number, Estimate) else number


def _high(number: Estimate | float) -> Any:
    return number.high if isinstance(number, Estimate) else number


class Numbers(dict[str, Estimate]):
    """What a claim measures: estimates by name, which are attributes too.

    Example:
        >>> from gatedlib_book.estimates import Numbers, exact
        >>> numbers = Numbers(end_loss=exact(0.01))
        >>> (numbers.end_loss < 0.1).met
        True
    """

    def __getattr__(self, name: str) -> Estimate:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _axes(samples: xr.DataArray) -> Axes:
    """The names and labels of all axes but the seeds'; where there are no labels, numbers from 1."""
    dims = [str(dim) for dim in samples.dims if dim != "seed"]
    if any(samples[dim].values.dtype.kind not in "iufU" for dim in dims):
        return ()
    return tuple(
        (dim, tuple(samples[dim].values.tolist() if dim in samples.coords else range(1, samples.sizes[dim] + 1)))
        for dim in dims
    )


def along(dim: str, labels: Sequence[Any], samples: Sequence[Samples]) -> Samples:
    """Samples, arrays or datasets, that were taken apart, side by side along a new axis with these labels.

    Example:
        >>> from gatedlib_book.estimates import along
        >>> samples = xr.DataArray([1.0, 2.0], dims="seed")
        >>> along("tasks", (2, 3), [samples, 10 * samples]).sel(tasks=3).values.tolist()
        [10.0, 20.0]
    """
    return xr.concat(samples, xr.Variable(dim, list(labels)), join="exact")


def median(samples: xr.DataArray) -> Estimate:
    r"""The median over seeds, with the interval between two order statistics that covers it with 95 %.

    .. math::

        [x_{(k)}, x_{(n+1-k)}], \qquad k = \max\{k : P(\mathrm{Bin}(n, \tfrac12) < k) \le 0.025\}

    Args:
        samples: one number, or an array, per seed; any order of dims, one of which is `seed`. Where a seed has nan the
            estimate is nan, which meets no condition.

    Raises:
        ValueError: with fewer than 6 seeds, for which no such interval exists.

    Example:
        >>> from gatedlib_book.estimates import median
        >>> estimate = median(xr.DataArray(range(1, 31), dims="seed"))
        >>> float(estimate.value), float(estimate.low), float(estimate.high)
        (15.5, 10.0, 21.0)
    """
    count = samples.sizes["seed"]
    require(count >= 6, "seeds", count, "a 95 % interval of a median needs 6 or more", "Use 30")
    # the k-th smallest and the k-th largest number enclose the median unless fewer than k numbers lie on one side of
    # it; their count is binomial, and k is the largest for which that is rare. Counted from 0 they are k - 1, count - k
    at_most = special.bdtr(np.arange(count + 1), count, 0.5)  # P(Bin <= 0), P(Bin <= 1), …
    below = int(np.searchsorted(at_most, (1 - CONFIDENCE) / 2))  # P(Bin < below) <= 2.5 %
    ordered = np.sort(samples.transpose("seed", ...).values.astype(float), axis=0)
    ordered = np.where(np.isnan(ordered).any(0), np.nan, ordered)  # which sorting has put last, as if they were large
    middle = np.median(ordered, axis=0)
    return Estimate(middle, ordered[below - 1], ordered[count - below], count, ordered.mean(axis=0), _axes(samples))


def exact(values: Any, **axes: Sequence[Any]) -> Estimate:
    """Numbers that were chosen, or have no seeds to vary over: their intervals are points.

    Args:
        values: one number, or an array.
        **axes: the labels along each axis, by its name, if they are to be told.

    Example:
        >>> from gatedlib_book.estimates import exact
        >>> exact([0.0, 0.5]).high.tolist()
        [0.0, 0.5]
    """
    chosen = np.asarray(values, float)
    return Estimate(chosen, chosen, chosen, axes=tuple((name, tuple(labels)) for name, labels in axes.items()))


def bootstrap(samples: xr.DataArray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic over seeds with its bootstrap interval (percentiles of 2000 resamplings, seeded).

    How often it holds the truth, measured: the expectation of 10 normal numbers in 90 % of cases, of 30 in 93 %. But if
    one number in fifty is far from the others, the expectation of 30 in 50 %, for half of such samples show no such
    number: see `mean`. A rank correlation near 1, and the share of cells of a map in which the majority of eight seeds
    agrees with a formula that is right, come out too low, never too high: conditions that ask for more than a bar are
    on the safe side. Of numbers that are all equal it is a point, however few they are.

    Args:
        samples: one number, or an array, per seed.
        statistic: a function from an array whose first axis is the seeds to one without it.

    Raises:
        ValueError: with fewer than 6 seeds, for which it would be much too narrow.

    Example:
        >>> from gatedlib_book.estimates import bootstrap
        >>> estimate = bootstrap(xr.DataArray(range(6), dims="seed"), lambda values: values.max(0))
        >>> float(estimate.value), float(estimate.high)
        (5.0, 5.0)
    """
    count, rule = samples.sizes["seed"], "a bootstrap interval of fewer than 6 would be much too narrow"
    require(count >= 6, "seeds", count, rule, "Use 30")
    return resampled(statistic, samples.transpose("seed", ...).values.astype(float))


def resampled(statistic: Callable[..., Any], *groups: np.ndarray) -> Estimate:
    """A statistic of one or several groups with its bootstrap interval (percentiles of 2000 resamplings, seeded).

    Args:
        statistic: a function of as many arrays as there are groups.
        *groups: arrays whose first axis are the members; each group is resampled on its own.

    Example:
        >>> from gatedlib_book.estimates import resampled
        >>> apart = resampled(lambda one, other: one.mean() - other.mean(), np.arange(9.0), np.arange(9.0) - 9)
        >>> float(apart.value), bool(apart.low < 9 < apart.high)
        (9.0, True)
    """
    random = np.random.default_rng(0)
    drawn = [group[random.integers(len(group), size=(2000, len(group)))] for group in groups]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile([statistic(*some) for some in zip(*drawn, strict=True)], [tail, 1 - tail], axis=0)
    return Estimate(np.asarray(statistic(*groups)), low, high, len(groups[0]))


def difference(samples: np.ndarray, other: np.ndarray) -> Estimate:
    """The difference of two groups' means with its bootstrap interval.

    Example:
        >>> from gatedlib_book.estimates import difference
        >>> float(difference(np.arange(9.0), np.arange(9.0) - 9).value)
        9.0
    """
    return resampled(lambda group, control: group.mean() - control.mean(), samples, other)


def mean(samples: xr.DataArray) -> Estimate:
    """The mean over seeds with its bootstrap interval.

    It is for comparing with what others gave as a mean. No condition may rest on it where a few networks differ in
    kind: if that is one in fifty, half of all samples of 30 have no such network, and their intervals miss the
    expectation. Use `median`, or the `fraction` of networks of a kind.

    Example:
        >>> from gatedlib_book.estimates import mean
        >>> estimate = mean(xr.DataArray([1.0, 2.0, 3.0] * 2, dims="seed"))
        >>> float(estimate.value), bool(1.0 <= estimate.low < 2.0 < estimate.high <= 3.0)
        (2.0, True)
    """
    return dataclasses.replace(bootstrap(samples, lambda values: values.mean(0)), axes=_axes(samples))


def fraction(successes: xr.DataArray) -> Estimate:
    r"""The fraction of seeds for which something is true, with its Wilson interval.

    .. math::

        \frac{k + z^2 / 2}{n + z^2} \pm \frac{z}{n + z^2} \sqrt{\frac{k (n - k)}{n} + \frac{z^2}{4}}, \qquad
        z = \Phi^{-1}(0.975)

    Args:
        successes: true or false, one per seed, or an array of them.

    Raises:
        ValueError: if they are not true or false.

    Example:
        >>> from gatedlib_book.estimates import fraction
        >>> estimate = fraction(xr.DataArray([True, True, False, True], dims="seed"))
        >>> float(estimate.value), round(float(estimate.low), 2), round(float(estimate.high), 2)
        (0.75, 0.3, 0.95)
    """
    remedy = "Compare with a bar: values > 0.5"
    require(successes.dtype == bool, "type of successes", str(successes.dtype), "must be bool", remedy)
    counts, total = np.asarray(successes.sum("seed").values, float), successes.sizes["seed"]
    z = special.ndtri((1 + CONFIDENCE) / 2)
    middle = (counts + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * np.sqrt(counts * (total - counts) / total + z**2 / 4)
    low = np.where(counts == 0, 0.0, middle - half)  # which rounding would put beside 0, and beside 1 at the other end
    high = np.where(counts == total, 1.0, middle + half)
    return Estimate(counts / total, low, high, total, axes=_axes(successes))


def stacked(estimates: Sequence[Estimate], **axis: Sequence[Any]) -> Estimate:
    """Several estimates as one list of them.

    Args:
        estimates: of one shape.
        **axis: what tells them apart, by its name: its value for each.

    Example:
        >>> from gatedlib_book.estimates import exact, stacked
        >>> both = stacked([exact(1.0), exact(2.0)], tasks=(2, 3))
        >>> both.value.tolist(), both.place((1,))
        ([1.0, 2.0], 'tasks 3')
    """
    value, low, high = (np.stack([getattr(e, end) for e in estimates]) for end in ("value", "low", "high"))
    known = len(estimates[0].axes) == np.ndim(estimates[0].value) and axis
    axes = (*((name, tuple(labels)) for name, labels in axis.items()), *estimates[0].axes) if known else ()
    means = [e.mean for e in estimates if e.mean is not None]
    mean = np.stack(means) if len(means) == len(estimates) else None
    return Estimate(value, low, high, max(e.seeds for e in estimates), mean, axes)
