"""What a claim is, the registry of all claims, and how one is judged.

A claim is a function that runs what it needs and returns an `Outcome`: named numbers with 95 % intervals over
seeds, and conditions on them, each a sentence with its truth. The claim holds if all its conditions do.

The number given for a sample of seeds is the median, that is, the typical network, with its distribution-free
interval: over seeds, networks come in two kinds (most specialize, a few never do), and a mean would describe neither.
"""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from gatedlib import _check, images
from gatedlib.paper import keeping

CHAPTERS = (
    "dynamics",
    "regimes",
    "robustness",
    "reduction",
    "cycle",
    "invariant",
    "emergence",
    "composition",
    "reach",
    "components",
    "depth",
    "pictures",
    "cognition",
    "problems",
    "observing",
    "predictions",
)
"""The modules of `gatedlib.paper` that hold claims, in the order of the book."""

KINDS = {
    "given": "about the paper's figures, at the settings given with them",
    "ours": "about the paper's figures, at settings of ours",
    "beyond": "beyond the paper",
}
"""The three kinds of claims."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, with the ends of its 95 % interval over seeds.

    `seeds` is how many there were, 0 for what has none. `mean` is the mean over them where the number is another
    statistic: references are means.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int = 0
    mean: np.ndarray | None = None

    def at(self, index: int | tuple[int, ...]) -> Estimate:
        """The estimate of one element."""
        mean = None if self.mean is None else self.mean[index]
        return Estimate(self.value[index], self.low[index], self.high[index], self.seeds, mean)


def median(samples: xr.DataArray) -> Estimate:
    r"""The median over seeds, with the interval between two order statistics that covers it with 95 %.

    .. math::

        [x_{(k)}, x_{(n+1-k)}], \qquad k = \max\{k : P(\mathrm{Bin}(n, \tfrac12) < k) \le 0.025\}

    Args:
        samples: one number, or an array, per seed; any order of dims, one of which is `seed`.

    Raises:
        ValueError: with fewer than 6 seeds, for which no such interval exists.

    Example:
        >>> import xarray as xr
        >>> from gatedlib.paper.claims import median
        >>> estimate = median(xr.DataArray(range(1, 31), dims="seed"))
        >>> float(estimate.value), float(estimate.low), float(estimate.high)
        (15.5, 10.0, 21.0)
    """
    count = samples.sizes["seed"]
    _check.require(count >= 6, "seeds", count, "a 95 % interval of a median needs 6 or more", "Use 30")
    below = int(stats.binom.ppf((1 - CONFIDENCE) / 2, count, 0.5))  # P(Bin < below) <= 2.5 %
    ordered = np.sort(samples.transpose("seed", ...).values.astype(float), axis=0)
    middle = np.median(ordered, axis=0)
    return Estimate(middle, ordered[below - 1], ordered[count - below], count, ordered.mean(axis=0))


def exact(values: Any) -> Estimate:
    """Numbers that were chosen, or have no seeds to vary over: their intervals are points.

    Example:
        >>> from gatedlib.paper.claims import exact
        >>> exact([0.0, 0.5]).high.tolist()
        [0.0, 0.5]
    """
    chosen = np.asarray(values, float)
    return Estimate(chosen, chosen, chosen)


def bootstrap(samples: xr.DataArray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """A statistic over seeds with its bootstrap interval (percentiles of 2000 resamplings, seeded).

    Args:
        samples: one number, or an array, per seed.
        statistic: a function from an array whose first axis is the seeds to one without it.

    Example:
        >>> import numpy as np, xarray as xr
        >>> from gatedlib.paper.claims import bootstrap
        >>> estimate = bootstrap(xr.DataArray([1.0, 2.0, 3.0], dims="seed"), lambda values: values.max(0))
        >>> float(estimate.value), float(estimate.high)
        (3.0, 3.0)
    """
    values = samples.transpose("seed", ...).values.astype(float)
    drawn = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile([statistic(values[some]) for some in drawn], [tail, 1 - tail], axis=0)
    return Estimate(np.asarray(statistic(values)), low, high, len(values))


def mean(samples: xr.DataArray) -> Estimate:
    """The mean over seeds with its bootstrap interval.

    Example:
        >>> import xarray as xr
        >>> from gatedlib.paper.claims import mean
        >>> estimate = mean(xr.DataArray([1.0, 2.0, 3.0], dims="seed"))
        >>> float(estimate.value), bool(1.0 <= estimate.low < 2.0 < estimate.high <= 3.0)
        (2.0, True)
    """
    return bootstrap(samples, lambda values: values.mean(0))


def fraction(successes: xr.DataArray) -> Estimate:
    """The fraction of seeds for which something is true, with its Wilson interval.

    Example:
        >>> import xarray as xr
        >>> from gatedlib.paper.claims import fraction
        >>> estimate = fraction(xr.DataArray([True, True, False, True], dims="seed"))
        >>> float(estimate.value), round(float(estimate.low), 2), round(float(estimate.high), 2)
        (0.75, 0.3, 0.95)
    """
    count, total = int(successes.sum()), successes.sizes["seed"]
    low, high = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(np.array(count / total), np.array(low), np.array(high), total)


def stacked(estimates: Sequence[Estimate]) -> Estimate:
    """Several estimates as one list of them, whose means are left out.

    Example:
        >>> from gatedlib.paper.claims import exact, stacked
        >>> stacked([exact(1.0), exact(2.0)]).value.tolist()
        [1.0, 2.0]
    """
    value, low, high = (np.stack([getattr(e, end) for e in estimates]) for end in ("value", "low", "high"))
    return Estimate(value, low, high, max(e.seeds for e in estimates))


@dataclass(frozen=True)
class Outcome:
    """What a claim measured: numbers by name, and conditions, each a sentence with its truth."""

    numbers: dict[str, Estimate]
    conditions: dict[str, Any]  # truth values, numpy's own among them


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or of ours, and the function that measures whether it holds.

    `data` names the data set that it needs; digits are always there. `as_given` is false for a claim about a figure of
    the paper at settings that are ours. `reference` holds, under the names of its
    numbers, what the authors' code gave: arrays of the same shapes, nan where nothing is known. `note` is what to know
    besides the verdict: where a claim that fails holds, or what one that holds depends on.
    """

    id: str
    figure: str
    statement: str
    measure: Callable[..., Outcome]
    data: str = "digits"
    reference: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    as_given: bool = True
    note: str = ""

    @property
    def kind(self) -> str:
        """What it is about, one of `KINDS`."""
        return "beyond" if self.figure == "beyond" else "given" if self.as_given else "ours"

    @property
    def origin(self) -> str:
        """The same in print."""
        given, ours = f"Fig. {self.figure}", f"Fig. {self.figure}, our settings"
        return {"given": given, "ours": ours, "beyond": "beyond the paper"}[self.kind]

    @property
    def chapter(self) -> str:
        """The module of `gatedlib.paper` that it is in, one of `CHAPTERS`."""
        return self.measure.__module__.rpartition(".")[2]

    @property
    def measurable(self) -> bool:
        """Whether the data set that it needs, if any, is here."""
        return images.here(self.data)

    def judge(self) -> Verdict:
        """Measure, and time it."""
        start = keeping.clock()
        outcome = self.measure()
        return Verdict(self, outcome, keeping.clock() - start)


@dataclass(frozen=True)
class Verdict:
    """A claim with its measured outcome."""

    claim: Claim
    outcome: Outcome
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every condition of the claim is met."""
        return not self.failures

    @property
    def expected(self) -> str:
        """The conditions in words."""
        return "; ".join(self.outcome.conditions)

    @property
    def failures(self) -> list[str]:
        """The conditions that are not met."""
        return [sentence for sentence, met in self.outcome.conditions.items() if not met]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        numbers = self.outcome.numbers
        return {
            "id": self.claim.id,
            "figure": self.claim.figure,
            "statement": self.claim.statement,
            "numbers": {name: np.asarray(e.value).tolist() for name, e in numbers.items()},
            "interval": {
                name: [np.asarray(e.low).tolist(), np.asarray(e.high).tolist()] for name, e in numbers.items()
            },
            "seeds": {name: e.seeds for name, e in numbers.items()},
            "mean": {name: self._mean(name).tolist() for name in self.claim.reference},
            "reference": {
                name: np.where(np.isnan(known), np.array(None), known).tolist()
                for name, known in self.claim.reference.items()
            },
            "expected": self.expected,
            "holds": self.holds,
            "note": self.claim.note,
            "seconds": round(self.seconds, 3),
        }

    def _mean(self, name: str) -> np.ndarray:
        estimate = self.outcome.numbers[name]
        return np.asarray(estimate.value if estimate.mean is None else estimate.mean)

    def compared(self) -> list[tuple[str, Estimate, float, float]]:
        """Each number for which there is a reference: what it is called, the estimate, the mean, the reference."""
        found = []
        for name, known in self.claim.reference.items():
            estimate, mean = self.outcome.numbers[name], self._mean(name)
            for place in zip(*np.nonzero(~np.isnan(np.atleast_1d(known))), strict=True):
                at = place if np.ndim(known) else ()
                where = f" {', '.join(str(i + 1) for i in at)}" if at else ""
                found.append((name + where, estimate.at(at), float(mean[at]), float(known[at])))
        return found

    def rows(self) -> list[tuple[str, list[str]]]:
        """Each number with its interval in print; where there is a reference, that and the mean it compares with.

        Of a long list these are the elements with a reference, or else the first, middle and last, with their places.
        """
        printed = []
        for name, estimate in self.outcome.numbers.items():
            value, low, high = (np.ravel(x) for x in (estimate.value, estimate.low, estimate.high))
            known = np.ravel(self.claim.reference.get(name, np.full(value.shape, np.nan)))
            mean = np.ravel(self._mean(name))
            (referred,) = np.nonzero(~np.isnan(known))
            if len(value) < 6:
                shown = list(range(len(value)))
            else:
                shown = referred.tolist() if 0 < len(referred) <= 6 else [0, len(value) // 2, len(value) - 1]
            cells = []
            for i in shown:
                place = f"{i + 1} of {len(value)}: " if len(value) > len(shown) else ""
                beside = "" if estimate.mean is None else f", mean {mean[i]:.3g}"
                ref = "" if np.isnan(known[i]) else f"{beside}, ref {known[i]:.3g}"
                cells.append(f"{place}{value[i]:.3g} [{low[i]:.3g}, {high[i]:.3g}]{ref}")
            printed.append((name, cells))
        return printed

    def asked(self) -> str:
        """The conditions as a list in HTML, each with a mark."""
        marked = ((html.escape(sentence), "✓" if met else "✗") for sentence, met in self.outcome.conditions.items())
        return f"<ul>{''.join(f'<li>{mark} {sentence}</li>' for sentence, mark in marked)}</ul>"

    def _repr_html_(self) -> str:
        verdict = "holds" if self.holds else "does not hold"
        note = f"<p>{html.escape(self.claim.note)}</p>" if self.claim.note else ""
        numbers = "".join(
            f"<tr><td><code>{name}</code></td><td>{' '.join(f'<span>{cell}</span>' for cell in cells)}</td></tr>"
            for name, cells in self.rows()
        )
        return (
            f'<div class="verdict {"holds" if self.holds else "fails"}"><p><strong>Claim {self.claim.id} {verdict}.'
            f"</strong> {html.escape(self.claim.statement)}</p>{self.asked()}{note}"
            f"<table><thead><tr><th>number</th><th>over seeds [95 % interval]</th></tr></thead>"
            f"<tbody>{numbers}</tbody></table></div>"
        )


_REGISTRY: dict[str, Claim] = {}


def places(count: int, known: Mapping[int, float]) -> np.ndarray:
    """A list of numbers of which only some are known: their places, counted from 1, and values.

    Example:
        >>> from gatedlib.paper.claims import places
        >>> places(3, {1: 0.9, 3: 0.5}).tolist()
        [0.9, nan, 0.5]
    """
    values = np.full(count, np.nan)
    for place, value in known.items():
        values[place - 1] = value
    return values


def claim(
    id: str,
    figure: str,
    statement: str,
    data: str = "digits",
    reference: Mapping[str, Any] | None = None,
    as_given: bool = True,
    note: str = "",
) -> Callable[[Callable[..., Outcome]], Claim]:
    """Register a function as the measure of a claim; the other arguments are those of `Claim`."""
    known = {name: np.asarray(value, float) for name, value in (reference or {}).items()}

    def register(measure: Callable[..., Outcome]) -> Claim:
        _check.require(id not in _REGISTRY, "claim id", id, "is taken", "Give each claim an id of its own")
        _REGISTRY[id] = Claim(id, figure, statement, measure, data, known, as_given, note)
        return _REGISTRY[id]

    return register


def registry(figure: str | None = None) -> list[Claim]:
    """All claims in the order of the book, or those of one figure.

    Raises:
        ValueError: if no claim belongs to that figure; the figures that have claims are listed.

    Example:
        >>> from gatedlib.paper.claims import registry
        >>> [claim.id for claim in registry("2")][:2]
        ['2A', '2A-switch']
    """
    for chapter in CHAPTERS:
        importlib.import_module(f"gatedlib.paper.{chapter}")
    if figure is None:
        return list(_REGISTRY.values())
    _check.known(figure, (claim.figure for claim in _REGISTRY.values()), "figure")
    return [claim for claim in _REGISTRY.values() if claim.figure == figure]
