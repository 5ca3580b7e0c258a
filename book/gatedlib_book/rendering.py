"""Verdicts in print: as lines for a terminal, as a box beside its claim, as a row of the scorecard."""

from __future__ import annotations

import html
from typing import Any, NamedTuple

import numpy as np

from gatedlib_book.estimates import Estimate

Verdict = Any
"""That of `gatedlib_book.claims`, which shows itself by these functions."""


class Number(NamedTuple):
    """One of a verdict's numbers in print, element by element."""

    name: str
    elements: list[str]


def numbers(verdict: Verdict) -> list[Number]:
    """Each number with its interval; what it compares with, and the mean, where there is such a thing.

    Of a long list these are the elements that compare, or else the first, middle and last, with their places.
    """
    known = {"ref": verdict.claim.reference, "published": verdict.claim.published}
    return [
        Number(
            name,
            _elements(
                estimate,
                np.ravel(verdict.mean(name)),
                {word: np.ravel(source[name]) for word, source in known.items() if name in source},
            ),
        )
        for name, estimate in verdict.outcome.numbers.items()
    ]


def _elements(estimate: Estimate, mean: np.ndarray, known: dict[str, np.ndarray]) -> list[str]:
    value, low, high = (np.ravel(x) for x in (estimate.value, estimate.low, estimate.high))
    compared = [i for i in range(len(value)) if any(not np.isnan(each[i]) for each in known.values())]
    if len(value) < 6:
        shown = list(range(len(value)))
    else:
        shown = compared if 0 < len(compared) <= 6 else [0, len(value) // 2, len(value) - 1]
    elements = []
    for i in shown:
        at = tuple(int(place) for place in np.unravel_index(i, np.shape(estimate.value)))
        named = estimate.place(at) if estimate.axes else f"{i + 1} of {len(value)}"
        place = f"{named}: " if len(value) > 1 and (estimate.axes or len(value) > len(shown)) else ""
        beside = f", mean {mean[i]:.3g}" if estimate.mean is not None and i in compared else ""
        beside += "".join(f", {word} {each[i]:.3g}" for word, each in known.items() if not np.isnan(each[i]))
        interval = f" [{low[i]:.3g}, {high[i]:.3g}]" if estimate.seeds else ""  # what was chosen has none
        elements.append(f"{place}{value[i]:.3g}{interval}{beside}")
    return elements


def verdict_text(verdict: Verdict) -> str:
    """Whether the claim holds, in words."""
    return ("holds" if verdict.holds else "does not hold") + ("" if verdict.as_expected else ", against expectation")


def as_lines(verdict: Verdict) -> str:
    """A verdict for a terminal."""
    claim = verdict.claim
    lines = [f"{'holds' if verdict.holds else 'FAILS'}  {claim.id}: {claim.statement}"]
    lines += [f"      not met: {failure}" for failure in verdict.failures]
    lines += ["      against expectation"] * (not verdict.as_expected)
    lines += [f"      note: {claim.note}"] * bool(claim.note)
    return "\n".join(lines) + "\n" + table([["      ", name, *elements] for name, elements in numbers(verdict)])


def table(rows: list[list[str]]) -> str:
    """Rows of cells with aligned columns."""
    widths: list[int] = []
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False)).rstrip() for row in rows)


BOX = """<div class="verdict {mark}"><p><strong>Claim {id} {words}.</strong> {statement}</p>{conditions}{note}\
<table><thead><tr><th>number</th><th>over {over} [95 % interval]</th></tr></thead><tbody>{table}</tbody></table>\
<details><summary>how it is measured{networks}</summary><p>{how}</p>{source}</details></div>"""

ROW = """<tr data-chapter="{page}" data-holds="{holds}" data-origin="{kind}">\
<td><a href="{page}.html">{id}</a> <span>{origin}</span><p>{statement}</p></td>\
<td class="{mark}">{sign} {words}{fresh}</td>\
<td>{unmet}{note}<ul>{list}</ul><details><summary>how it was measured{networks}, and what was asked</summary>\
<p>{how}</p>{conditions}</details></td><td>{seconds:.1f}</td></tr>"""


def as_box(verdict: Verdict) -> str:
    """A verdict as HTML, to stand in its chapter."""
    return _filled(BOX, verdict)


def as_row(verdict: Verdict, fresh: str = "") -> str:
    """A verdict as a row of the scorecard; with how often the claim held with fresh networks, where that is known."""
    return _filled(ROW, verdict, f"<p>fresh networks: {fresh}</p>" if fresh else "")


def _code(name: str) -> str:
    """The name of a number, which may be broken between its words only."""
    return f"<code>{name.replace('_', '_<wbr>')}</code>"


def _highlighted(source: str) -> str:
    """Code of Python as HTML, in the colours of the page that shows it."""
    from pygments import highlight  # comes with IPython, and the command line needs none of it
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    code = highlight(source, PythonLexer(), HtmlFormatter()) if source else ""
    return code.replace("<pre>", '<pre tabindex="0">')  # so that the keyboard can scroll it


def _filled(template: str, verdict: Verdict, fresh: str = "") -> str:
    claim, printed = verdict.claim, numbers(verdict)
    escaped = html.escape
    counts = sorted({estimate.seeds for estimate in verdict.outcome.numbers.values()} - {0})
    marked = ((escaped(sentence), "✓" if met else "✗") for sentence, met in verdict.outcome.conditions.items())
    spans = ((name, " ".join(f"<span>{each}</span>" for each in elements)) for name, elements in printed)
    lines = ((name, "; ".join(map(escaped, elements))) for name, elements in printed)
    return template.format(
        id=claim.id,
        over=escaped(claim.over),
        statement=escaped(claim.statement),
        words=verdict_text(verdict),
        mark="holds" if verdict.holds else "fails",
        sign="✓" if verdict.holds else "✗",
        holds=str(verdict.holds).lower(),
        kind=claim.kind,
        origin=claim.origin,
        page=claim.chapter,
        note=f"<p>{escaped(claim.note)}</p>" if claim.note else "",
        unmet="".join(f"<p>Not met: {escaped(failure)}</p>" for failure in verdict.failures),
        conditions=f"<ul>{''.join(f'<li>{sign} {sentence}</li>' for sentence, sign in marked)}</ul>",
        table="".join(f"<tr><td>{_code(name)}</td><td>{cells}</td></tr>" for name, cells in spans),
        list="".join(f"<li>{_code(name)} {cells}</li>" for name, cells in lines),
        networks=f", n = {' or '.join(map(str, counts))}" if counts else "",
        how=escaped(claim.method),
        source=_highlighted(claim.source) if "{source}" in template else "",
        seconds=verdict.seconds,
        fresh=fresh,
    )
