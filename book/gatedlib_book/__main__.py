"""The command line: `python -m gatedlib_book claims` measures the claims of the paper and says which hold."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatedlib_book.claims import Claim, Outcome, Verdict


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 if all claims do as expected or `--exit-zero` was given, 1 if one fails that was expected to
        hold, or the reverse, 2 for a bad call or if none can be measured. Of `fresh-seeds` 0 if all were measured.
    """
    from gatedlib_book.networks import beginning_at

    parser = _parser()
    options = parser.parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: must be 1 or above. Leave it out to use all cores")
    try:
        chosen, first = _chosen(options), _first(options)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        _list(chosen, as_json=options.json)
        return 0
    for claim in chosen:
        if not claim.measurable:
            get = f"python -c \"import gatedlib; gatedlib.images.load('{claim.data}')\""
            print(f"not measured: {claim.id}, for its data are not here. Get them with: {get}", file=sys.stderr)
    measurable = [claim for claim in chosen if claim.measurable]
    if not measurable:
        return 2
    if options.command == "fresh-seeds":
        _note_fresh_seeds(measurable, options.jobs)
        return 0
    with beginning_at(first):
        as_expected = _measure(measurable, options.jobs, as_json=options.json)
    return 0 if as_expected or options.exit_zero else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gatedlib_book", description="the claims of the book")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    claims = commands.add_parser("claims", help="measure the claims of the paper and say which hold")
    claims.add_argument("--figure", help="only those of one figure, such as 2")
    claims.add_argument("--list", action="store_true", help="list the claims, measure nothing")
    claims.add_argument("--json", action="store_true", help="print JSON in place of tables")
    claims.add_argument("--first-seed", help="measure with networks from this seed on, such as 1000 for fresh ones")
    claims.add_argument(
        "--exit-zero", action="store_true", help="exit with 0 though claims fail; not if measuring does"
    )
    fresh = commands.add_parser("fresh-seeds", help="measure with five sets of other networks, for the scorecard")
    fresh.add_argument("id", nargs="*", help="the names of claims; all unless given")
    fresh.set_defaults(list=False, first_seed=None)
    for command in (claims, fresh):
        command.add_argument("--jobs", type=int, help="how many processes; unless said, one for each core")
    return parser


def _chosen(options: argparse.Namespace) -> list[Claim]:
    """The claims that the command line names."""
    from gatedlib._internal.validation import require_member
    from gatedlib_book.claims import registry

    if options.command == "claims":
        return registry(options.figure)
    for id in options.id:
        require_member(id, [claim.id for claim in registry()], "claim")
    return [claim for claim in registry() if claim.id in options.id or not options.id]


def _first(options: argparse.Namespace) -> int:
    """The seed that the networks of all claims begin with."""
    from gatedlib_book.networks import checked_first_seed, first_seed

    return first_seed() if options.first_seed is None else checked_first_seed(options.first_seed, "--first-seed")


def _list(chosen: list[Claim], *, as_json: bool) -> None:
    from gatedlib_book.rendering import table

    rows = [{"id": c.id, "figure": c.figure, "statement": c.statement} for c in chosen]
    print(json.dumps(rows, indent=2) if as_json else table([list(row.values()) for row in rows]))


def _note_fresh_seeds(chosen: list[Claim], jobs: int | None) -> None:
    """Measure claims with each set of fresh networks, and note which of their conditions were met."""
    from tqdm import tqdm

    from gatedlib_book import fresh_seeds
    from gatedlib_book.networks import beginning_at
    from gatedlib_book.scorecard import judge_all

    found: dict[str, dict[int, Outcome]] = {claim.id: {} for claim in chosen}
    for first in fresh_seeds.FIRST_SEEDS:
        with beginning_at(first):
            for verdict in tqdm(judge_all(chosen, jobs), f"from seed {first} on", len(chosen), file=sys.stderr):
                found[verdict.claim.id][first] = verdict.outcome
    noted = {claim.id: fresh_seeds.Record.of(claim.statement, found[claim.id]) for claim in chosen}
    fresh_seeds.keep(noted)
    for id, record in noted.items():
        print(
            f"{id}: held {record}"
            + "".join(
                f"\n  {first}: not met: {'; '.join(failures)}" for first, failures in record.not_met.items() if failures
            )
        )


def _measure(chosen: list[Claim], jobs: int | None, *, as_json: bool) -> bool:
    """Measure claims, print what was found, and say whether all is as expected."""
    from tqdm import tqdm

    from gatedlib_book.networks import first_seed
    from gatedlib_book.rendering import as_lines
    from gatedlib_book.scorecard import Scorecard, judge_all

    found: list[Verdict] = []
    try:
        with tqdm(desc="measuring, chapter by chapter", total=len(chosen), unit="claim", file=sys.stderr) as progress:
            for verdict in judge_all(chosen, jobs):
                found.append(verdict)
                progress.set_description(f"{verdict.claim.id} {'holds' if verdict.holds else 'FAILS'}")
                progress.update()
    finally:  # an interrupt or an error loses nothing that was measured
        card = Scorecard.of(found)
        if as_json:
            print(json.dumps([verdict.as_dict() for verdict in card.verdicts], indent=2))
        else:
            for verdict in card.verdicts:
                print(as_lines(verdict))
            print(f"{card.holding} of {len(found)} claims hold, measured with networks from seed {first_seed()} on.")
            print("Values are medians over seeds (of grids means), with 95 % intervals; long lists show the first, the")
            print("middle and the last element (all of them: --json).")
        if len(found) < len(chosen):
            print(f"stopped: {len(chosen) - len(found)} claims were not measured", file=sys.stderr)
    return card.as_expected


def _main_into_pipe() -> int:
    """Run the command line, and end quietly if whoever reads what it prints has gone, as `head -1` has.

    Returns:
        The exit status of `main`, or that of a program which was ended by SIGPIPE.
    """
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()  # here, for Python's own flush at exit cannot be caught
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # both may have been the pipe, and are flushed once more at exit
            os.dup2(nowhere, stream.fileno())
        return 128 + 13


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # not every terminal and file knows every letter
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(_main_into_pipe())
