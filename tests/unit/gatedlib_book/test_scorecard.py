"""The scorecard: the same verdicts whoever measures them, in one table; and what the sensitivity page compares."""

import dataclasses
import os

import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib_book import __main__ as command
from gatedlib_book import depth, experiments, sensitivity
from gatedlib_book.claims import registry
from gatedlib_book.estimates import Estimate, Numbers, exact, fraction, mean, median, stacked
from gatedlib_book.scorecard import Scorecard, compare_sources, judge_all

pytestmark = pytest.mark.slow

QUICK = [claim for claim in registry() if claim.id in ("A.8", "invariant", "4H")]  # of three chapters


def test_several_processes_find_what_one_finds():
    alone = Scorecard.of(judge_all(QUICK, jobs=1))
    together = Scorecard.of(judge_all(QUICK, jobs=2))
    assert [v.claim for v in together.verdicts] == [v.claim for v in alone.verdicts]
    for one, other in zip(alone.verdicts, together.verdicts, strict=True):
        assert one.holds == other.holds
        assert one.as_dict()["numbers"] == other.as_dict()["numbers"]


def test_what_goes_wrong_in_another_process_is_raised():
    stranger = dataclasses.replace(QUICK[0], id="none of them")
    with pytest.raises(KeyError, match="none of them"):
        list(judge_all([stranger, QUICK[1]], jobs=2))


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_a_number_of_processes_is_a_whole_number(jobs):
    with pytest.raises(ValueError, match=rf"jobs = {jobs}.*Leave it out to use all cores"):
        list(judge_all(QUICK, jobs))


def test_the_command_line_refuses_no_processes(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["claims", "--jobs", "0"])
    assert end.value.code == 2
    assert "Leave it out to use all cores" in capsys.readouterr().err


def test_results_are_shared_for_as_long_as_it_takes(monkeypatch):
    for name in ("GATEDLIB_RESULTS", "TQDM_DISABLE", "NPROC"):
        monkeypatch.delenv(name, raising=False)
    verdicts = judge_all(QUICK, jobs=2)
    next(verdicts)
    folder = os.environ["GATEDLIB_RESULTS"]
    assert os.path.isdir(folder)
    verdicts.close()
    assert not os.path.exists(folder)
    assert not {"GATEDLIB_RESULTS", "TQDM_DISABLE", "NPROC"} & set(os.environ)


def test_the_table_shows_every_claim_failing_ones_with_the_reason():
    value = Estimate(*(np.arange(3.0) + shift for shift in (0, -1, 1)), seeds=12, mean=np.arange(3.0) + 0.5)

    def measure():
        """A sentence."""
        return Numbers(some_number=value), {"it is <b>{}</b>": value < 1}

    made = dataclasses.replace(
        registry("2")[0],
        measure=measure,
        arguments={},
        reference={"some_number": np.array([np.nan, 0.25, np.nan])},
        note="mind the <gap>",
    )
    monkeyed = dataclasses.replace(made, figure="beyond")
    card = Scorecard((made.judge(), monkeyed.judge()))
    html = card._repr_html_()
    assert card.holding == 0
    assert html.count("does not hold") == 2
    assert "Not met: it is &lt;b&gt;less than 1&lt;/b&gt;" in html
    assert html.count("beyond the paper") == 1
    assert html.count("1 [0, 2], mean 1.5, ref 0.25") == 2
    assert html.count("n = 12") == html.count("✗ it is &lt;b&gt;") == html.count("mind the &lt;gap&gt;") == 2


def some_claim(figure, form, numbers, **known):
    known = {source: {name: np.asarray(each) for name, each in values.items()} for source, values in known.items()}

    def measure():
        """A sentence."""
        return Numbers((name, exact(value)) for name, value in numbers.items()), {"it is {}": exact(1.0) > 0}

    facts = {"arguments": {}, "reference": {}, "published": {}} | known
    return dataclasses.replace(registry("2")[0], figure=figure, form=form, measure=measure, **facts)


def test_numbers_stand_beside_each_other_whatever_claim_they_come_from():
    claims = (
        some_claim("X", "earlier", {"n": [1.0, 2.0], "m": 3.0}, published={"n": [1.5, np.nan]}),
        some_claim("X", "released", {"n": [4.0, 5.0]}, reference={"n": [np.nan, 5.5]}),
        some_claim("Y", "released", {"n": 6.0}, reference={"n": 6.5}),
        some_claim("beyond", "released", {"n": 7.0}, reference={"n": 7.5}),
        some_claim("Z", "released", {"grid": np.ones((2, 2))}, reference={"grid": np.ones((2, 2))}),
    )
    nan = np.nan
    expected = [("X", "n, 1", 1.5, nan, 4.0, 1.0), ("X", "n, 2", nan, 5.5, 5.0, 2.0), ("Y", "n", nan, 6.5, 6.0, 6.0)]
    told = compare_sources(claim.judge() for claim in claims)
    assert [row[:2] for row in told] == [row[:2] for row in expected]
    np.testing.assert_array_equal([row[2:] for row in told], [row[2:] for row in expected])
    (alone,) = compare_sources([some_claim("5", "released", {"n": 1.0}, reference={"n": 2.0}).judge()])
    np.testing.assert_array_equal(alone[2:], [nan, 2.0, 1.0, nan])  # of a figure that was drawn in the earlier form


def test_places_are_named_by_the_axes_of_what_was_measured():
    samples = xr.DataArray(np.zeros((6, 2, 2)), {"block": [10, 20], "step": [1, 5]}, ("seed", "block", "step"))
    for estimate in (median(samples), mean(samples), fraction(samples > 0)):
        assert estimate.place((0, 1)) == "block 10, step 5"
    assert median(samples.drop_vars("step")).place((0, 1)) == "block 10, step 2"  # counted from 1
    assert stacked([median(samples)] * 2, tasks=(3, 4)).place((1, 0, 0)) == "tasks 4, block 10, step 1"
    assert exact([[1.0, 2.0]]).place((0, 1)) == "1, 2"
    assert exact([1.0, 2.0], steps=(20000, 30001)).place((1,)) == "steps 30001"
    with pytest.raises(ValueError, match=r"labels of axes = \(1,\): must be one for each axis of the numbers, \(2,\)"):
        exact([1.0, 2.0], steps=(3,))


def test_a_network_twice_as_large_has_the_same_task():
    for experiment in (experiments.BY_SPEED, experiments.FLEXIBLE, depth.REGULARIZED):
        large = sensitivity.twice_as_large(experiment)
        assert large.sizes == tuple(2 * size for size in experiment.sizes)
        size = [float((one.draw(0)[0][0] ** 2).sum()) for one in (experiment, large)]
        np.testing.assert_allclose(*size, rtol=1e-5)
    gates = [one.draw(0)[1].gates for one in (depth.REGULARIZED, large)]
    lengths = [float((each**2).sum() ** 0.5) for each in gates]
    np.testing.assert_allclose(*lengths, rtol=0.1)


def test_each_variant_changes_one_thing():
    told = {
        name: gl.results.settings(change(experiments.FLEXIBLE)) for name, (change, *_) in sensitivity.VARIANTS.items()
    }
    base = told[sensitivity.BASE]

    def changed(name):
        return {key for key in base.keys() | told[name].keys() if str(base.get(key)) != str(told[name].get(key))}

    assert changed("as in the figure") == {"flow.inputs", "flow.inputs.batch"}
    assert changed("dt / 2") == changed("dt / 4") == {"flow.dt"}
    assert changed("twice as large") == {"teachers.d_in", "teachers.d_out"}
    assert changed("double precision") == changed("other seeds") == set()


def networks(values, first=0):
    return xr.DataArray(np.atleast_2d(values), {"number": ["n"], "seed": first + np.arange(len(values))})


def test_a_change_in_every_network_is_seen_through_how_they_differ():
    base = np.random.default_rng(0).lognormal(size=30)
    same = sensitivity.change(networks(1.01 * base), networks(base))
    np.testing.assert_allclose([same.low[0], same.value[0], same.high[0]], 0.01)
    other = sensitivity.change(networks(1.01 * base, first=1000), networks(base))
    assert other.low[0] < -0.2 < 0.2 < other.high[0]  # the same numbers, as of other networks
    assert same.value == other.value


def test_intervals_of_a_change_hold_it_as_often_as_they_say():
    draws = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found, base = 1.2 * draws.lognormal(0, 0.3, 30), draws.lognormal(0, 0.3, 30)
        share = sensitivity.change(networks(found, first=1000), networks(base))
        held += bool(share.low[0] <= 0.2 <= share.high[0])
    assert held >= 180  # of 200, where 190 are expected
