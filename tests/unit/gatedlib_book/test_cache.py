"""Results are computed once for all processes where a folder for them is named, and never mistaken."""

import multiprocessing
import os
import time

import numpy as np
import pytest

import gatedlib as gl
from gatedlib_book import cache
from tests.examples import small

computed = []


@cache.cached
def final_loss(experiment, seeds=2, **changes):
    computed.append(changes)
    return gl.simulate(experiment.replace(**changes), seeds).loss.isel(time=-1)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEDLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(cache, "MIN_CACHED_SECONDS", 0.0)
    forget()


def forget():
    """Make this process one that knows of no result and has computed none."""
    final_loss.cache_clear()
    computed.clear()


def test_equal_calls_are_computed_once_and_give_the_same():
    first = final_loss(small())
    assert len(computed) == 1
    forget()
    again = final_loss(small())
    assert computed == []
    np.testing.assert_array_equal(first, again)
    assert first.dims == again.dims


def test_an_experiment_that_holds_arrays_is_kept_in_the_folder(tmp_path):
    given = small(teachers=gl.Given(np.eye(2)[:, :, None]), network=gl.GatedLinear())
    first, again = final_loss(given), final_loss(given)
    assert len(computed) == 1
    np.testing.assert_array_equal(first, again)


def test_without_a_folder_results_are_kept_in_memory_only(monkeypatch, tmp_path):
    monkeypatch.delenv("GATEDLIB_RESULTS")
    assert final_loss(small()) is final_loss(small())
    assert len(computed) == 1
    assert not (tmp_path / "results").exists()


def test_a_function_of_a_notebook_is_computed_anew_when_it_is_defined_anew(tmp_path):
    def given(result):
        def function():
            return result

        function.__module__, function.__qualname__ = "__main__", "function"
        return cache.cached(function)()

    assert [given("one"), given("other")] == ["one", "other"]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("changed", ["argument", "keyword", "experiment", "program"])
def test_what_differs_is_computed_anew(changed, monkeypatch):
    final_loss(small(), 2, tau_w=1.0)
    if changed == "program":
        monkeypatch.setattr(cache, "source_digest", lambda *_: "another")
    final_loss.cache_clear()
    final_loss(
        small(tau_c=0.2) if changed == "experiment" else small(),
        3 if changed == "argument" else 2,
        tau_w=2.0 if changed == "keyword" else 1.0,
    )
    assert len(computed) == 2


@pytest.mark.filterwarnings("default:.*loading results")
def test_a_file_that_is_not_whole_is_replaced(tmp_path):
    whole = final_loss(small())
    (file,) = (tmp_path / "results").rglob("output.pkl")
    file.write_bytes(file.read_bytes()[:-20])
    forget()
    np.testing.assert_array_equal(final_loss(small()), whole)
    assert len(computed) == 1
    forget()
    np.testing.assert_array_equal(final_loss(small()), whole)
    assert computed == []


@cache.cached
def one_at_a_time(folder):
    """Fails if another process is at it."""
    with (folder / "busy").open("x"):
        time.sleep(0.2)
    (folder / "busy").unlink()


def ask(folder):
    one_at_a_time(folder)


@pytest.mark.slow
def test_who_asks_for_what_is_being_computed_waits_for_it(tmp_path):
    fresh = multiprocessing.get_context("spawn")
    asking = [fresh.Process(target=ask, args=(tmp_path,)) for _ in range(3)]
    for process in asking:
        process.start()
    for process in asking:
        process.join()
    assert [process.exitcode for process in asking] == [0, 0, 0]


@pytest.mark.skipif(os.name != "posix", reason="folders have no such modes")
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_in_which_others_may_write_is_refused(tmp_path, mode):
    folder = tmp_path / "results"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ValueError, match=r"must be a folder in which nobody but you may write\. Run chmod go-w"):
        final_loss(small())
    assert computed == []
    folder.chmod(0o755)
    final_loss(small())
    assert len(computed) == 1
