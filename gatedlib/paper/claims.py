"""What a claim is, the registry of all claims, and how one is judged.

A claim is a function that runs what it needs and returns an `Outcome`: named numbers with 95 % intervals over
seeds, and conditions on them, each a sentence with its truth. The claim holds if all its conditions do. All that is
known of a claim stands with it: its figure, what others found, whether it is expected to hold, and where it must not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatedlib import images
from gatedlib._internal.validation import require, require_member
from gatedlib.paper import chapters
from gatedlib.paper.cache import cached, clock
from gatedlib.paper.estimates import Estimate
from gatedlib.paper.rendering import as_box

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
    conditions: dict[str, Any]  # truth values, numpy's own among them, which become Python's

    def __post_init__(self) -> None:
        rule, remedy = "must hold a sentence with its truth", "What has no condition cannot fail"
        require(len(self.conditions) > 0, "conditions", self.conditions, rule, remedy)
        object.__setattr__(self, "conditions", {sentence: bool(met) for sentence, met in self.conditions.items()})


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or of ours, the function that measures whether it holds, and what is known of it.

    Attributes:
        id: a short name.
        figure: of the paper, or `beyond`.
        statement: the sentence.
        measure: the function; its arguments are what it measures, by default what the sentence is about.
        counterfactual: arguments of `measure` for which the claim must fail: what it rests on is taken away.
        data: the data set that it needs, if that may be missing.
        as_given: false for a claim about a figure of the paper at settings that are ours.
        form: the normalisation that it is measured in, one of `FORMS`.
        reference: what the authors' released code gave when it was run again: arrays of the shapes of the numbers of
            these names, nan where nothing is known.
        published: the same from the paper's pictures.
        expected: whether it is expected to hold.
        note: what to know besides the verdict; why it is expected not to hold.
    """

    id: str
    figure: str
    statement: str
    measure: Callable[..., Outcome]
    counterfactual: Mapping[str, Any] = field(default_factory=dict, compare=False)
    data: str | None = None
    as_given: bool = True
    form: str = "released"
    reference: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    published: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    expected: bool = True
    note: str = ""

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
        """The module of `gatedlib.paper.chapters` that it is in, which bears the name of its page."""
        return self.measure.__module__.rpartition(".")[2]

    @property
    def measurable(self) -> bool:
        """Whether the data set that it needs, if any, is here."""
        return self.data is None or images.here(self.data)

    def judge(self) -> Verdict:
        """Measure, and time it."""
        start = clock()
        outcome = self.measure()
        for name in (*self.reference, *self.published):
            require_member(name, outcome.numbers, f"number of claim {self.id}")
        return Verdict(self, outcome, clock() - start)


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
    def as_expected(self) -> bool:
        """Whether it holds if it was expected to, and fails if not."""
        return self.holds == self.claim.expected

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
            "conditions": "; ".join(self.outcome.conditions),
            "holds": self.holds,
            "expected": self.claim.expected,
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

    def _repr_html_(self) -> str:
        return as_box(self)


def _plain(numbers: np.ndarray) -> Any:
    """A number or nested lists of them; None where there is no finite number."""
    return np.where(np.isfinite(numbers), np.asarray(numbers, object), np.asarray(None)).tolist()


REGISTRY: dict[str, Claim] = {}


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
    *,
    reference: Mapping[str, Any] | None = None,
    published: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Callable[[Callable[..., Outcome]], Claim]:
    """Register a function as the measure of a claim; the other arguments are those of `Claim`.

    A function that is defined again, as when a cell of a notebook is run twice, replaces the one of its name.
    """
    reference, published = (
        {name: np.asarray(value, float) for name, value in (values or {}).items()} for values in (reference, published)
    )

    def register(measure: Callable[..., Outcome]) -> Claim:
        taken = id in REGISTRY and _place(REGISTRY[id].measure) != _place(measure)
        require(not taken, "claim id", id, "is taken", "Give each claim an id of its own")
        shared = cached(measure)  # by chapters, scorecard and tests
        made = Claim(id, figure, statement, shared, reference=reference, published=published, **facts)
        require_member(made.form, FORMS, "form")
        REGISTRY[id] = made
        return made

    return register


def _place(function: Callable[..., Outcome]) -> tuple[str, str]:
    """Where a function is defined."""
    return function.__module__, function.__qualname__


def registry(figure: str | None = None) -> list[Claim]:
    """All claims in the order of the book, or those of one figure.

    Raises:
        ValueError: if no claim belongs to that figure; the figures that have claims are listed.

    Example:
        >>> from gatedlib.paper.claims import registry
        >>> [claim.id for claim in registry("2")][:2]
        ['2A', '2A-switch']
    """
    for chapter in chapters.NAMES:
        importlib.import_module(f"gatedlib.paper.chapters.{chapter}")
    # one may have been imported before the others, and a claim of a notebook's own belongs to none: it comes last
    places = {chapter: place for place, chapter in enumerate(chapters.NAMES)}
    found = sorted(REGISTRY.values(), key=lambda claim: places.get(claim.chapter, len(places)))
    if figure is None:
        return found
    require_member(figure, (claim.figure for claim in found), "figure")
    return [claim for claim in found if claim.figure == figure]
