"""All claims side by side: judged on all cores, and as one table."""

from __future__ import annotations

import collections
import contextlib
import html
import multiprocessing
import os
import queue
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gatedlib import _check
from gatedlib.paper.claims import CHAPTERS, FORMS, Claim, Verdict, registry

PAGES = {"observing": "observer", "problems": "cognition"}
"""The page of the book on which a chapter's claims are, where its name is another one."""

LONGEST_FIRST = ("robustness", "pictures", "depth", "observing", "composition", "regimes", "emergence", "cognition")
"""Chapters whose claims take long begin first, so that no core is left with one of them in the end."""


def judge_all(chosen: Sequence[Claim], jobs: int | None = None) -> Iterator[Verdict]:
    """Judge claims in several processes, each chapter's claims in one; verdicts come as they are found.

    Args:
        chosen: which claims.
        jobs: how many processes; as many as there are cores unless said. With one, no process is started.

    Returns:
        The verdicts, in the order in which they are found.

    Example:
        >>> from gatedlib.paper.claims import registry
        >>> from gatedlib.paper.scorecard import judge_all
        >>> [verdict.holds for verdict in judge_all(registry("A.8"), jobs=1)]
        [True]
    """
    cores = os.cpu_count() or 1
    jobs = cores if jobs is None else jobs
    jobs = _check.whole("jobs", jobs, 1, "Leave it out to use all cores")
    chapters: dict[str, list[str]] = collections.defaultdict(list)
    for claim in chosen:
        chapters[claim.chapter].append(claim.id)
    if min(jobs, len(chapters)) < 2:
        yield from (claim.judge() for claim in chosen)
        return
    by_id = {claim.id: claim for claim in chosen}
    order = sorted(chapters, key=lambda name: LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(CHAPTERS))
    fresh = multiprocessing.get_context("spawn")  # JAX has threads, which do not survive a fork
    workers = min(jobs, len(chapters))
    pool = ProcessPoolExecutor(workers, fresh, _begin, (max(1, cores // workers),))
    with shared_results(), fresh.Manager() as manager, pool:
        told = manager.Queue()
        running = [pool.submit(_tell, chapters[name], told) for name in order]
        try:
            while by_id:
                done = [chapter for chapter in running if chapter.done()]
                try:
                    id, outcome, seconds = told.get(timeout=0.5)
                    yield Verdict(by_id.pop(id), outcome, seconds)
                except queue.Empty:
                    for chapter in done:
                        chapter.result()  # raises what went wrong there
                    if len(done) == len(running):
                        raise RuntimeError(f"{', '.join(by_id)}: not measured, for these are not registered") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # who stops early need not wait for all chapters


def _begin(threads: int) -> None:
    """Take no more threads than this, and show no progress of single sweeps: who began this process shows that of all.

    More threads than cores would cost a tenth of the seconds of CPU. JAX asks for them when it first computes.
    """
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.setdefault("NPROC", str(threads))


def _tell(ids: list[str], told: queue.Queue) -> None:
    """Judge claims in another process; tell what they measured, for their functions cannot leave it."""
    for claim in registry():
        if claim.id in ids:
            verdict = claim.judge()
            told.put((claim.id, verdict.outcome, verdict.seconds))


@contextlib.contextmanager
def shared_results() -> Iterator[None]:
    """Let all processes share what they compute, in a folder that is gone afterwards, unless they do already."""
    if os.environ.get("GATEDLIB_RESULTS"):
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GATEDLIB_RESULTS"] = folder
        try:
            yield
        finally:
            del os.environ["GATEDLIB_RESULTS"]


class Beside(NamedTuple):
    """A number of one of the paper's figures, where it is known, from four sources."""

    figure: str
    number: str
    published: float
    released_code: float
    ours_released: float
    ours_drawn: float


def beside(verdicts: Iterable[Verdict]) -> list[Beside]:
    """Numbers known from the paper's pictures or from its released code, run again, beside our means in both forms.

    Args:
        verdicts: of claims about figures, those at settings of ours left out; a number has the same name in both
            forms. Grids are left out.

    Returns:
        A row for each number, nan where a source does not tell. The last column is in the form that drew the figure:
        the released one, unless claims about this figure are measured in the earlier form.

    Example:
        >>> from gatedlib.paper.claims import registry
        >>> from gatedlib.paper.scorecard import beside
        >>> released = next(claim for claim in registry("A.13") if claim.id == "A.13-released")
        >>> [row.number for row in beside([released.judge()])]
        ['gates_uncorrelated, path 1', 'gates_uncorrelated, path 2']
    """
    named: dict[tuple[str, str], list[Verdict]] = collections.defaultdict(list)
    told = [verdict for verdict in verdicts if verdict.claim.kind in ("given", "earlier")]
    drawn_earlier = {c.figure for c in (*registry(), *(v.claim for v in told)) if c.kind == "earlier"}
    for verdict in told:
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
            rows.append(Beside(figure, name + where, *(float(each[at]) for each in values)))
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
    def holding(self) -> int:
        """How many of the claims hold."""
        return sum(verdict.holds for verdict in self.verdicts)

    def _repr_html_(self) -> str:
        rows = "".join(_row(verdict) for verdict in self.verdicts)
        heads = "".join(f"<th>{head}</th>" for head in ("claim", "verdict", "what was measured", "seconds"))
        return f'<table class="scorecard"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _row(verdict: Verdict) -> str:
    claim = verdict.claim
    page = PAGES.get(claim.chapter, claim.chapter)
    numbers = "".join(
        f"<li><code>{name}</code> {'; '.join(html.escape(cell) for cell in cells)}</li>"
        for name, cells in verdict.rows()
    )
    unmet = "".join(f"<p>Not met: {html.escape(failure)}</p>" for failure in verdict.failures)
    note = f"<p>{html.escape(claim.note)}</p>" if claim.note else ""
    met = "holds" if verdict.holds else "does not hold"
    return (
        f'<tr data-chapter="{page}" data-holds="{str(verdict.holds).lower()}" data-origin="{claim.kind}">'
        f'<td><a href="{page}.html">{claim.id}</a> <span>{claim.origin}</span>'
        f"<p>{html.escape(claim.statement)}</p></td>"
        f'<td class="{"holds" if verdict.holds else "fails"}">{"✓" if verdict.holds else "✗"} {met}</td>'
        f"<td>{unmet}{note}<ul>{numbers}</ul>{_asked(verdict)}</td><td>{verdict.seconds:.1f}</td></tr>"
    )


def _asked(verdict: Verdict) -> str:
    """How a claim was measured and all its conditions, folded."""
    counts = sorted({estimate.seeds for estimate in verdict.outcome.numbers.values()} - {0})
    networks = f", n = {' or '.join(str(count) for count in counts)}" if counts else ""
    how = (verdict.claim.measure.__doc__ or "").strip().split("\n\n")[0]
    return (
        f"<details><summary>how it was measured{networks}, and what was asked</summary>"
        f"<p>{html.escape(how)}</p>{verdict.asked()}</details>"
    )
