"""How often each claim holds with fresh networks, measured once by `python -m gatedlib_book fresh-seeds`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import joblib

if TYPE_CHECKING:
    from gatedlib_book.claims import Outcome

FIRST_SEEDS = (1000, 2000, 3000, 4000, 5000)
"""Where the networks begin with which each claim is measured once more; those of the book begin at 0."""

FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Record:
    """What became of a claim with fresh networks.

    Attributes:
        statement: the claim's sentence when it was measured.
        conditions: its conditions then.
        not_met: those that were not met, by the first seed.
        drawn: whether its numbers were other ones with other networks; a claim without chance gives the same.
    """

    statement: str
    conditions: list[str]
    not_met: dict[str, list[str]]
    drawn: bool

    @classmethod
    def of(cls, statement: str, outcomes: Mapping[int, Outcome]) -> Record:
        """The record of a claim from what it measured, by the first seed."""
        numbers = [outcome.numbers for outcome in outcomes.values()]
        return cls(
            statement,
            list(next(iter(outcomes.values())).conditions),
            {
                str(first): [sentence for sentence, met in outcome.conditions.items() if not met]
                for first, outcome in outcomes.items()
            },
            len({joblib.hash(some) for some in numbers}) > 1,
        )

    @property
    def held(self) -> int:
        """How many times it held."""
        return sum(not failures for failures in self.not_met.values())

    def __str__(self) -> str:
        return f"{self.held} of {len(self.not_met)}"


def recorded() -> dict[str, Record]:
    """The record of each claim by its name.

    Example:
        >>> from gatedlib_book.fresh_seeds import recorded
        >>> str(recorded()["2A"])
        '5 of 5'
    """
    return {id: Record(**noted) for id, noted in json.loads(FILE.read_text("utf-8")).items()}


def keep(noted: Mapping[str, Record]) -> None:
    """Write records of claims to the file, in the order of the book; those of other claims stay as they are there."""
    from gatedlib_book.claims import registry

    records = {**recorded(), **noted}
    plain = {claim.id: dataclasses.asdict(records[claim.id]) for claim in registry() if claim.id in records}
    FILE.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", "utf-8")
