"""All claims side by side: judged on all cores, and as one table."""

from __future__ import annotations

import collections
import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from gatedlib._internal.validation import require_integer
from gatedlib_book import chapters, fresh_seeds
from gatedlib_book.claims import FORMS, Claim, Outcome, Verdict, registry
from gatedlib_book.rendering import as_row


def judge_all(chosen: Sequence[Claim], jobs: int | None = None) -> Iterator[Verdict]:
    """Judge claims in several processes, each chapter's claims in one; verdicts come as chapters are done.

    Args:
        chosen: which claims.
        jobs: how many processes; as many as there are cores unless said. With one, no process is started.

    Returns:
        The verdicts, in the order in which they are found.

    Example:
        >>> from gatedlib_book.claims import registry
        >>> from gatedlib_book.scorecard import judge_all
        >>> [verdict.holds for verdict in judge_all(registry("A.8"), jobs=1)]
        [True]
    """
    cores = os.cpu_count() or 1
    jobs = require_integer("jobs", cores if jobs is None else jobs, 1, "Leave it out to use all cores")
    by_chapter: dict[str, list[str]] = collections.defaultdict(list)
    for claim in chosen:
        by_chapter[claim.chapter].append(claim.id)
    jobs = min(jobs, len(by_chapter))
    if jobs < 2:
        yield from (claim.judge() for claim in chosen)
        return
    order = sorted(by_chapter, key=[*chapters.LONGEST_FIRST, *by_chapter].index)
    by_id = {claim.id: claim for claim in chosen}
    with _settings_of_workers(max(1, cores // jobs)):
        pool = Parallel(jobs, return_as="generator_unordered", pre_dispatch="all", batch_size=1)
        found = pool(delayed(_outcomes)(by_chapter[name]) for name in order)
        try:
            for outcomes in found:
                for id, (outcome, seconds) in outcomes.items():
                    yield Verdict(by_id[id], outcome, seconds)
        finally:
            with warnings.catch_warnings(action="ignore"):  # who stops early knows that something is left undone
                found.close()


def _outcomes(ids: list[str]) -> dict[str, tuple[Outcome, float]]:
    """What some claims measured, in another process, which their functions cannot leave."""
    known = {claim.id: claim for claim in registry()}
    verdicts = [known[id].judge() for id in ids]
    return {verdict.claim.id: (verdict.outcome, verdict.seconds) for verdict in verdicts}


@contextlib.contextmanager
def _settings_of_workers(threads: int) -> Iterator[None]:
    """Let processes that are started share results, be silent, and take no more threads than this, each.

    They inherit the variables of the environment. More threads than cores would cost a tenth of the CPU seconds. JAX
    asks for them when it first computes, so the number does not change for this process.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"GATEDLIB_RESULTS": folder, "NPROC": str(threads), "TQDM_DISABLE": "1"}
        added = {name: value for name, value in wanted.items() if name not in os.environ}
        os.environ.update(added)
        try:
            yield
        finally:
            get_reusable_executor().shutdown(kill_workers=True)
            for name in added:
                del os.environ[name]


class SourceRow(NamedTuple):
    """A number of one of the paper's figures, where it is known, from four sources."""

    figure: str
    number: str
    published: float
    released_code: float
    ours_released: float
    ours_drawn: float


def compare_sources(verdicts: Iterable[Verdict]) -> list[SourceRow]:
    """Numbers known from the paper's pictures or from its released code, run again, beside our means in both forms.

    Args:
        verdicts: of claims about figures, those at settings of ours left out; a number has the same name in both
            forms. Grids are left out.

    Returns:
        A row for each number, nan where a source does not tell. The last column is in the form that drew the figure:
        the released one, unless claims about this figure are measured in the earlier form.

    Example:
        >>> from gatedlib_book.claims import registry
        >>> from gatedlib_book.scorecard import compare_sources
        >>> released = next(claim for claim in registry("A.13") if claim.id == "A.13-released")
        >>> [row.number for row in compare_sources([released.judge()])]
        ['gates_uncorrelated, path 1', 'gates_uncorrelated, path 2']
    """
    named: dict[tuple[str, str], list[Verdict]] = collections.defaultdict(list)
    on_figures = [verdict for verdict in verdicts if verdict.claim.kind in ("given", "earlier")]
    drawn_earlier = {c.figure for c in (*registry(), *(v.claim for v in on_figures)) if c.kind == "earlier"}
    for verdict in on_figures:
        for name, estimate in verdict.outcome.numbers.items():
            if np.ndim(estimate.value) < 2:
                named[verdict.claim.figure, name].append(verdict)
    rows = []
    for (figure, name), measured in named.items():
        estimate = measured[0].outcome.numbers[name]
        unknown = np.full(np.shape(estimate.value), np.nan)
        known = {
            source: next(
                (getattr(v.claim, source)[name] for v in measured if name in getattr(v.claim, source)), unknown
            )
            for source in ("published", "reference")
        }
        ours = {form: next((v.mean(name) for v in measured if v.claim.form == form), unknown) for form in FORMS}
        if figure not in drawn_earlier:
            ours["earlier"] = ours["released"]
        for at in map(tuple, np.argwhere(~np.isnan(list(known.values())).all(0)).tolist()):
            where = f", {estimate.place(at)}" if at else ""
            values = (*known.values(), *(ours[form] for form in FORMS))
            rows.append(SourceRow(figure, name + where, *(float(each[at]) for each in values)))
    return rows


@dataclass(frozen=True)
class Scorecard:
    """Verdicts as one table, which a page shows with filters."""

    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Scorecard:
        """The verdicts in the order of the book."""
        order = {claim.id: place for place, claim in enumerate(registry())}
        return cls(tuple(sorted(verdicts, key=lambda verdict: order[verdict.claim.id])))

    @property
    def as_expected(self) -> bool:
        """Whether all hold that were expected to, and none of the others."""
        return all(verdict.as_expected for verdict in self.verdicts)

    @property
    def holding(self) -> int:
        """How many of the claims hold."""
        return sum(verdict.holds for verdict in self.verdicts)

    def _repr_html_(self) -> str:
        fresh = fresh_seeds.recorded()
        rows = "".join(as_row(verdict, str(fresh.get(verdict.claim.id, ""))) for verdict in self.verdicts)
        heads = "".join(f"<th>{head}</th>" for head in ("claim", "verdict", "what was measured", "seconds"))
        return f'<table class="scorecard"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
