"""What a claim is, the registry of all claims, and how one is judged.

A claim is a function that runs what it needs and returns an `Outcome`: named numbers with 95 % intervals over
seeds, and conditions on them, each a sentence with its truth. The claim holds if all its conditions do.
"""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatedlib import _check, images
from gatedlib.paper import keeping
from gatedlib.paper.estimates import Estimate

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
    "earlier": "about the paper's figures, in the earlier form that drew them",
    "ours": "about the paper's figures, at settings of ours",
    "beyond": "beyond the paper",
}
"""The kinds of claims."""

FORMS = ("released", "earlier")
"""The two normalisations of the model (see `gatedlib.paper.forms`)."""


@dataclass(frozen=True)
class Outcome:
    """What a claim measured: numbers by name, and conditions, each a sentence with its truth."""

    numbers: dict[str, Estimate]
    conditions: dict[str, Any]  # truth values, numpy's own among them


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or of ours, and the function that measures whether it holds.

    `data` names the data set that it needs, if that may be missing. `as_given` is false for a claim about a figure of
    the paper at settings that are ours. `form` is the normalisation that it is measured in, one of `FORMS`. Under the
    names of its numbers, `reference` holds what the authors' released code gave when it was run again, and `published`
    what stands in the paper's pictures: arrays of the same shapes, nan where nothing is known. `note` is what to know
    besides the verdict.
    """

    id: str
    figure: str
    statement: str
    measure: Callable[..., Outcome]
    data: str | None = None
    reference: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    as_given: bool = True
    note: str = ""
    form: str = "released"
    published: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def kind(self) -> str:
        """What it is about, one of `KINDS`."""
        if self.figure == "beyond":
            return "beyond"
        if not self.as_given:
            return "ours"
        return "given" if self.form == "released" else "earlier"

    @property
    def origin(self) -> str:
        """The same in print."""
        of = f"Fig. {self.figure}"
        words = {"given": of, "earlier": f"{of}, earlier form", "ours": f"{of}, our settings"}
        return words.get(self.kind, "beyond the paper")

    @property
    def chapter(self) -> str:
        """The module of `gatedlib.paper` that it is in, one of `CHAPTERS`."""
        return self.measure.__module__.rpartition(".")[2]

    @property
    def measurable(self) -> bool:
        """Whether the data set that it needs, if any, is here."""
        return self.data is None or images.here(self.data)

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
        """Plain values, ready for JSON, which knows no nan and no infinity: None stands for both."""
        numbers, known = self.outcome.numbers, {**self.claim.reference, **self.claim.published}
        return {
            "id": self.claim.id,
            "figure": self.claim.figure,
            "kind": self.claim.kind,
            "form": None if self.claim.kind == "beyond" else self.claim.form,
            "statement": self.claim.statement,
            "numbers": {name: _plain(e.value) for name, e in numbers.items()},
            "interval": {name: [_plain(e.low), _plain(e.high)] for name, e in numbers.items()},
            "seeds": {name: e.seeds for name, e in numbers.items()},
            "mean": {name: _plain(self.mean(name)) for name in known},
            "reference": {name: _plain(values) for name, values in self.claim.reference.items()},
            "published": {name: _plain(values) for name, values in self.claim.published.items()},
            "expected": self.expected,
            "holds": self.holds,
            "note": self.claim.note,
            "seconds": round(self.seconds, 3),
        }

    def mean(self, name: str) -> np.ndarray:
        """The mean over seeds of one of its numbers, which is what references are; or else the number itself."""
        estimate = self.outcome.numbers[name]
        return np.asarray(estimate.value if estimate.mean is None else estimate.mean)

    def compared(self) -> list[tuple[str, Estimate, float, float]]:
        """Each number for which there is a reference: what it is called, the estimate, the mean, the reference."""
        found = []
        for name, known in self.claim.reference.items():
            estimate, mean = self.outcome.numbers[name], self.mean(name)
            for at in map(tuple, np.argwhere(~np.isnan(known)).tolist()):
                where = f", {estimate.place(at)}" if at else ""
                found.append((name + where, estimate.at(at), float(mean[at]), float(known[at])))
        return found

    def rows(self) -> list[tuple[str, list[str]]]:
        """Each number with its interval in print; what it compares with, and the mean, where there is such a thing.

        Of a long list these are the elements that compare, or else the first, middle and last, with their places.
        """
        printed = []
        for name, estimate in self.outcome.numbers.items():
            value, low, high, mean = (
                np.ravel(x) for x in (estimate.value, estimate.low, estimate.high, self.mean(name))
            )
            known = {
                word: np.ravel(source.get(name, np.full(value.shape, np.nan)))
                for word, source in (("ref", self.claim.reference), ("published", self.claim.published))
            }
            (compared,) = np.nonzero(np.any([~np.isnan(each) for each in known.values()], 0))
            if len(value) < 6:
                shown = list(range(len(value)))
            else:
                shown = compared.tolist() if 0 < len(compared) <= 6 else [0, len(value) // 2, len(value) - 1]
            cells = []
            for i in shown:
                at = tuple(int(place) for place in np.unravel_index(i, np.shape(estimate.value)))
                named = estimate.place(at) if estimate.axes else f"{i + 1} of {len(value)}"
                place = f"{named}: " if len(value) > len(shown) else ""
                beside = f", mean {mean[i]:.3g}" if estimate.mean is not None and i in compared else ""
                beside += "".join(f", {word} {each[i]:.3g}" for word, each in known.items() if not np.isnan(each[i]))
                cells.append(f"{place}{value[i]:.3g} [{low[i]:.3g}, {high[i]:.3g}]{beside}")
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


def _plain(numbers: np.ndarray) -> Any:
    """A number or nested lists of them; None where there is no finite number."""
    return np.where(np.isfinite(numbers), np.asarray(numbers, object), np.asarray(None)).tolist()


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
    data: str | None = None,
    reference: Mapping[str, Any] | None = None,
    as_given: bool = True,
    note: str = "",
    form: str = "released",
    published: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Outcome]], Claim]:
    """Register a function as the measure of a claim; the other arguments are those of `Claim`."""
    known, drawn = (
        {name: np.asarray(value, float) for name, value in (values or {}).items()} for values in (reference, published)
    )

    _check.known(form, FORMS, "form")

    def register(measure: Callable[..., Outcome]) -> Claim:
        _check.require(id not in _REGISTRY, "claim id", id, "is taken", "Give each claim an id of its own")
        shared = keeping.kept(measure)  # by chapters, scorecard and tests
        _REGISTRY[id] = Claim(id, figure, statement, shared, data, known, as_given, note, form, drawn)
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
