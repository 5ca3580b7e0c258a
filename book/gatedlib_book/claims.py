"""What a claim is, the registry of all claims, and how one is judged.

A claim is a function whose docstring begins with the statement. It runs what it needs and returns named numbers with
95 % intervals over seeds, and conditions on them: comparisons of whole intervals, each with its sentence. The claim
holds if all conditions are met. All that is known of a claim stands with it: its figure, what others found, whether it
is expected to hold, and where it must not.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatedlib import images
from gatedlib._internal.validation import refusal, require, require_member
from gatedlib_book import chapters
from gatedlib_book.cache import cached, clock
from gatedlib_book.estimates import Condition, Estimate, Numbers
from gatedlib_book.rendering import as_box

KINDS = {
    "given": "about the paper's figures, at the settings given with them",
    "earlier": "about the paper's figures, in the earlier form that drew them",
    "ours": "about the paper's figures, at settings of ours",
    "beyond": "beyond the paper",
}
"""The kinds of claims."""

FORMS = ("released", "earlier")
"""The two normalisations of the model (see `gatedlib_book.forms`)."""

Measured = tuple[Numbers, dict[str, Condition]]
"""What the function of a claim returns: numbers by name, and conditions by sentence.

A sentence has `{}` where the words of its condition are to stand, so that each threshold is written once.
"""


@dataclass(frozen=True)
class Outcome:
    """What a claim measured: numbers by name, and each sentence about them with whether it is true."""

    numbers: Numbers
    conditions: dict[str, bool]

    @classmethod
    def of(cls, numbers: Numbers, conditions: Mapping[str, Condition]) -> Outcome:
        """The outcome with each sentence completed by the words of its condition.

        Raises:
            ValueError: if there is no condition, a condition is no comparison of estimates, or a sentence does not name
                all thresholds of its condition.

        Example:
            >>> from gatedlib_book.claims import Outcome
            >>> from gatedlib_book.estimates import Numbers, exact
            >>> n = Numbers(end_loss=exact(0.01))
            >>> Outcome.of(n, {"it ends at {}": n.end_loss < 0.1}).conditions
            {'it ends at less than 0.1': True}
        """
        if not conditions:
            raise refusal("conditions", conditions, "must hold a sentence and its comparison", "Compare an estimate")
        for sentence, condition in conditions.items():
            if not isinstance(condition, Condition):
                rule, remedy = "must come with a comparison of estimates", "Compare the interval, not one of its ends"
                raise refusal("condition", sentence, rule, remedy)
            if sentence.count("{}") != len(condition.words):
                rule = f"must have one {{}} for each of the thresholds {condition.words}"
                raise refusal("condition", sentence, rule, "Write {} where the threshold is to be read")
        return cls(numbers, {sentence.format(*c.words): c.met for sentence, c in conditions.items()})


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or of ours, the function that measures whether it holds, and what is known of it.

    Attributes:
        id: a short name.
        figure: of the paper, or `beyond`.
        measure: the function; its docstring is the statement and, in further paragraphs, how it is measured.
        arguments: what it is called with besides its defaults.
        counterfactual: the arguments for which the claim must fail: what it rests on is taken away.
        data: the data set that it needs, if that may be missing.
        as_given: false for a claim about a figure of the paper at settings that are ours.
        form: the normalisation that it is measured in, one of `FORMS`.
        reference: what the authors' released code gave when it was run again: arrays of the shapes of the numbers of
            these names, nan where nothing is known.
        published: the same from the paper's pictures.
        over: what its intervals are over, where they are not over networks: people, say, who are always the same.
        expected: whether it is expected to hold.
        note: what to know besides the verdict; why it is expected not to hold.
    """

    id: str
    figure: str
    measure: Callable[..., Measured]
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False)
    counterfactual: Mapping[str, Any] = field(default_factory=dict, compare=False)
    data: str | None = None
    as_given: bool = True
    form: str = "released"
    reference: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    published: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)
    over: str = "seeds"
    expected: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        require_member(self.form, FORMS, "form")
        if not (self.measure.__doc__ or "").strip():
            remedy = "Begin its docstring with the statement"
            raise refusal(f"docstring of claim {self.id}", self.measure.__doc__, "must be the statement", remedy)

    @property
    def statement(self) -> str:
        """The sentence: the first paragraph of the docstring."""
        return self._paragraphs[0]

    @property
    def method(self) -> str:
        """How it is measured: the other paragraphs."""
        return " ".join(self._paragraphs[1:])

    @property
    def _paragraphs(self) -> list[str]:
        return [" ".join(paragraph.split()) for paragraph in (inspect.getdoc(self.measure) or "").split("\n\n")]

    @property
    def source(self) -> str:
        """The code that measures it, where that can be read."""
        try:
            return inspect.getsource(inspect.unwrap(self.measure))
        except (OSError, TypeError):
            return ""

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
        """The module of `gatedlib_book` that it is in, which bears the name of its page."""
        return self.measure.__module__.rpartition(".")[2]

    @property
    def measurable(self) -> bool:
        """Whether the data set that it needs, if any, is here."""
        return self.data is None or images.here(self.data)

    def outcome(self, **changes: Any) -> Outcome:
        """What it measures, with some of its arguments changed; with `counterfactual`, where it must fail."""
        return Outcome.of(*self.measure(**{**self.arguments, **changes}))

    def judge(self) -> Verdict:
        """Measure, and time it."""
        start = clock()
        outcome = self.outcome()
        for name in (*self.reference, *self.published):
            require_member(name, outcome.numbers, f"number of claim {self.id}")
        return Verdict(self, outcome, clock() - start)

    def show(self) -> Verdict:
        """Judge it in a notebook, which shows the verdict as a box.

        Raises:
            AssertionError: if it does otherwise than expected, so that no page says what does not hold.
        """
        verdict = self.judge()
        if not verdict.as_expected:
            found = f"not met: {'; '.join(verdict.failures)}" if verdict.failures else "it holds"
            raise AssertionError(f"claim {self.id} does otherwise than expected. {found}")
        return verdict


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
            "not_met": self.failures,
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
                found.append((name + where, estimate.element(at), float(mean[at]), float(known[at])))
        return found

    def _repr_html_(self) -> str:
        return as_box(self)


def _plain(numbers: np.ndarray) -> Any:
    """A number or nested lists of them; None where there is no finite number."""
    return np.where(np.isfinite(numbers), np.asarray(numbers, object), np.asarray(None)).tolist()


REGISTRY: dict[str, Claim] = {}


def sparse(count: int, known: Mapping[int, float]) -> np.ndarray:
    """A list of numbers of which only those at some places, counted from 1, are known; the others are nan.

    Example:
        >>> from gatedlib_book.claims import sparse
        >>> sparse(3, {1: 0.9, 3: 0.5}).tolist()
        [0.9, nan, 0.5]
    """
    values = np.full(count, np.nan)
    for place, value in known.items():
        values[place - 1] = value
    return values


def claim(
    id: str,
    figure: str = "beyond",
    *,
    swap: tuple[Any, Any] | None = None,
    reference: Mapping[str, Any] | None = None,
    published: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Callable[[Callable[..., Measured]], Claim]:
    """Register a function as the measure of a claim.

    A function that is defined again, as when a cell of a notebook is run twice, replaces the one of its name.

    Args:
        id: a short name.
        figure: of the paper, or `beyond`.
        swap: the function's first two arguments; exchanged, they are the counterfactual.
        reference: what the authors' released code gave, by the names of the numbers.
        published: the same from the paper's pictures.
        **facts: the other attributes of `Claim`.

    Raises:
        ValueError: if another claim has this name, or the docstring is missing.

    Example:
        >>> from gatedlib_book.claims import REGISTRY, Measured, claim
        >>> from gatedlib_book.estimates import Numbers, exact
        >>> @claim("two", swap=(2.0, 1.0))
        ... def two(larger: float, smaller: float) -> Measured:
        ...     '''Two is more than one.'''
        ...     n = Numbers(difference=exact(larger) - exact(smaller))
        ...     return n, {"the difference is {}": n.difference > 0}
        >>> two.judge().holds, two.outcome(**two.counterfactual).conditions
        (True, {'the difference is more than 0': False})
        >>> del REGISTRY["two"]  # what is defined here is not to stay
    """
    known, shown = (
        {name: np.asarray(value, float) for name, value in (values or {}).items()} for values in (reference, published)
    )

    def register(measure: Callable[..., Measured]) -> Claim:
        taken = id in REGISTRY and _place(REGISTRY[id].measure) != _place(measure)
        require(not taken, "claim id", id, "is taken", "Give each claim an id of its own")
        if swap is not None:
            names = list(inspect.signature(measure).parameters)[:2]
            facts["arguments"] = dict(zip(names, swap, strict=True))
            facts["counterfactual"] = dict(zip(names, reversed(swap), strict=True))
        # chapters, scorecard and tests share what is measured
        REGISTRY[id] = Claim(id, figure, cached(measure), reference=known, published=shown, **facts)
        return REGISTRY[id]

    return register


def _place(function: Callable[..., Measured]) -> tuple[str, str]:
    """Where a function is defined."""
    return function.__module__, function.__qualname__


def registry(figure: str | None = None) -> list[Claim]:
    """All claims in the order of the book, or those of one figure.

    Raises:
        ValueError: if no claim belongs to that figure; the figures that have claims are listed.

    Example:
        >>> from gatedlib_book.claims import registry
        >>> [claim.id for claim in registry("2")][:2]
        ['2A', '2A-switch']
    """
    for chapter in chapters.NAMES:
        importlib.import_module(f"gatedlib_book.{chapter}")
    # one may have been imported before the others, and a claim of a notebook's own belongs to none: it comes last
    order = {chapter: place for place, chapter in enumerate(chapters.NAMES)}
    found = sorted(REGISTRY.values(), key=lambda claim: order.get(claim.chapter, len(order)))
    if figure is None:
        return found
    require_member(figure, (claim.figure for claim in found), "figure")
    return [claim for claim in found if claim.figure == figure]
