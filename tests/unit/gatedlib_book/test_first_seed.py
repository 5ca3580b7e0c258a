"""All claims can be measured with other networks, and none is measured with the same."""

import ast
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
import gatedlib_book
from gatedlib_book import __main__ as command
from gatedlib_book import cache, cognition, fresh_seeds, reach, scorecard
from gatedlib_book.claims import Claim
from gatedlib_book.estimates import Numbers, exact, median
from gatedlib_book.networks import VARIABLE, beginning_at, first_seed, networks
from tests.examples import small

BOOK = Path(gatedlib_book.__file__).parent
MODULES = sorted(path for path in BOOK.glob("*.py") if path.name != "forms.py")


def seeds_in_use():
    """The seeds of networks, as a claim's numbers."""
    return median(xr.DataArray(np.array(networks(6)), dims="seed"))


def measure():
    """A sentence about networks."""
    n = Numbers(seeds=seeds_in_use())
    return n, {"they are {}": n.seeds < 1000}


def test_unless_asked_otherwise_networks_begin_at_zero():
    assert networks(3) == range(3)
    assert networks(3, skip=2) == range(2, 5)


def test_networks_are_those_asked_for_and_then_those_of_before(monkeypatch):
    with beginning_at(1000):
        assert first_seed() == 1000
        assert networks(3, skip=10) == range(1010, 1013)
    assert networks(3) == range(3)
    monkeypatch.setenv(VARIABLE, "7")
    with beginning_at(1000), pytest.raises(RuntimeError), beginning_at(2000):
        raise RuntimeError
    assert networks(3) == range(7, 10)


@pytest.mark.parametrize("told", ["-1", "1.5", "many", "", " 1000", "²", "10000000000"])
def test_what_is_no_seed_is_refused(told, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, told)
    with pytest.raises(ValueError, match=rf"{VARIABLE} = .*: must be a whole number from 0 to .*Use 1000"):
        networks(3)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(SystemExit) as end:
        command.main(["claims", f"--first-seed={told}"])
    assert end.value.code == 2
    assert "--first-seed = " in capsys.readouterr().err


def test_the_command_measures_with_the_networks_asked_for(monkeypatch, capsys):
    monkeypatch.setattr("gatedlib_book.claims.REGISTRY", {"X": Claim("X", "2", cache.cached(measure))})
    assert command.main(["claims", "--json"]) == 0
    assert command.main(["claims", "--json", "--first-seed", "1000"]) == 1
    printed = capsys.readouterr().out.replace("]\n[", "],\n[")
    here, there = (rows[0] for rows in json.loads(f"[{printed}]"))
    assert (here["numbers"]["seeds"], there["numbers"]["seeds"]) == (2.5, 1002.5)
    assert (here["not_met"], there["not_met"]) == ([], ["they are less than 1000"])
    assert VARIABLE not in os.environ


def test_results_of_other_networks_are_never_mistaken(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEDLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(cache, "MIN_CACHED_SECONDS", 0.0)
    final_loss = cache.cached(lambda experiment: gl.simulate(experiment, networks(2)).loss.isel(time=-1))
    held = small(teachers=gl.Given(np.eye(2)[:, :, None]), network=gl.GatedLinear())
    for experiment in (small(), held):  # the second holds arrays, which no memory looks up
        found = []
        for first in (0, 1000, 0, 1000):
            with beginning_at(first):
                found.append(final_loss(experiment))
            if len(found) == 2:
                final_loss.cache_clear()  # what follows is read from the folder
        assert [each.seed.values.tolist() for each in found] == [[0, 1], [1000, 1001]] * 2
        np.testing.assert_array_equal(found[0], found[2])
        np.testing.assert_array_equal(found[1], found[3])
        assert (found[0].values != found[1].values).all()


@pytest.mark.slow
def test_workers_measure_with_the_networks_asked_for():
    chosen = [claim for claim in scorecard.registry() if claim.id in ("4", "A.10")]
    with beginning_at(1000):
        there = {verdict.claim.id: verdict.outcome for verdict in scorecard.judge_all(chosen, jobs=2)}
        here = {claim.id: claim.outcome() for claim in chosen}
    usual = {claim.id: claim.outcome() for claim in chosen}
    for claim in chosen:
        for name, estimate in here[claim.id].numbers.items():
            np.testing.assert_array_equal(there[claim.id].numbers[name].value, estimate.value)
            assert not np.array_equal(usual[claim.id].numbers[name].value, estimate.value)


def test_random_mixtures_are_others_for_other_networks():
    with beginning_at(1000):
        there = reach.random_mixtures()
    assert (there != reach.random_mixtures()).all()


def _calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]


def _is_run(call):
    return isinstance(call.func.value, ast.Name) and f"{call.func.value.id}.{call.func.attr}" in {
        "gl.simulate",
        "gl.sweep",
        "gl.solve",
    }


def _seeds(call):
    """What a call of a run gives for its seeds; None if nothing, so that it takes the library's own."""
    by_name = {keyword.arg: keyword.value for keyword in call.keywords}
    return call.args[1] if len(call.args) > 1 else by_name.get("seeds")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_run_of_the_book_takes_its_networks_from_one_place(module):
    """No function counts its networks from 0 by itself: seeds come from `networks`, or from results of such."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    counts = {
        (function, argument.arg)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for argument in function.args.args + function.args.kwonlyargs
        if argument.annotation and ast.unparse(argument.annotation) == "int"
    }
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for call in filter(_is_run, _calls(function)):
            given = _seeds(call)
            assert given is not None, f"{module.name}: {ast.unparse(call)} must name its seeds"
            text = ast.unparse(given)
            named = text == "seeds" and (function, "seeds") not in counts  # which the caller has from there
            assert "networks(" in text or ".seed" in text or named, f"{module.name}: {ast.unparse(call)}"


def test_the_search_for_runs_finds_them():
    modules = [ast.parse(module.read_text(encoding="utf-8")) for module in MODULES]
    found = list(filter(_is_run, itertools.chain.from_iterable(map(_calls, modules))))
    assert len(found) > 40
    count = ast.parse("gl.simulate(experiment, 30)").body[0].value
    assert _is_run(count)
    assert ast.unparse(_seeds(count)) == "30"


def test_networks_of_other_seeds_are_other_networks():
    usual = cognition.alternating(cognition.LEARNER, seeds=1)
    with beginning_at(1000):
        there = cognition.alternating(cognition.LEARNER, seeds=1)
    assert usual.loss.seed.values.tolist() == [0]
    assert there.loss.seed.values.tolist() == [1000]


def test_what_becomes_of_a_claim_with_fresh_networks_is_noted(monkeypatch, tmp_path, capsys):
    def ageless():
        """A sentence about no network."""
        n = Numbers(one=exact(1.0))
        return n, {"it is {}": n.one < 2}

    claims = [Claim("X", "2", cache.cached(measure)), Claim("Y", "2", ageless)]
    monkeypatch.setattr("gatedlib_book.claims.REGISTRY", {claim.id: claim for claim in claims})
    monkeypatch.setattr(fresh_seeds, "FILE", tmp_path / "fresh.json")
    fresh_seeds.FILE.write_text("{}", "utf-8")
    assert command.main(["fresh-seeds", "X", "--jobs", "1"]) == 0
    assert capsys.readouterr().out.startswith("X: held 0 of 5\n  1000: not met: they are less than 1000\n  2000:")
    assert command.main(["fresh-seeds", "Y", "--jobs", "1"]) == 0
    noted = fresh_seeds.recorded()
    assert list(noted) == ["X", "Y"]
    assert noted["X"].not_met == {str(first): ["they are less than 1000"] for first in fresh_seeds.FIRST_SEEDS}
    assert (noted["X"].drawn, noted["Y"].drawn) == (True, False)
    assert noted["Y"].held == 5
    assert (noted["Y"].statement, noted["Y"].conditions) == (claims[1].statement, ["it is less than 2"])
    card = scorecard.Scorecard.of(claim.judge() for claim in claims)
    assert card._repr_html_().count("fresh networks: ") == 2
    assert "fresh networks: 0 of 5" in card._repr_html_()


def test_only_claims_that_there_are_can_be_named(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["fresh-seeds", "2a"])
    assert end.value.code == 2
    assert "there is no such claim. Did you mean 2" in capsys.readouterr().err
