"""What can go wrong with a machine: killed, full, forbidden, damaged, shared, interrupted. Nothing is lost for it."""

import errno
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import jupyter_client
import numpy as np
import pytest
import xarray as xr

import gatedlib as gl
from gatedlib import metrics
from gatedlib._internal.files import atomic_write, find_intact
from tests.examples import small

pytestmark = pytest.mark.slow

GRID = {"tau_c": [0.05, 0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3, 0.4, 0.5]}
SEEDS = 4
SWEEP = """
    import sys
    import gatedlib as gl
    from gatedlib.simulation import sweep as sweeps
    from tests.examples import small
    from tests.resilience.test_faults import GRID, SEEDS
    sweeps.RUNS_PER_CPU = 1

    def swept(folder):
        return gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=folder, **GRID)
"""


def python(code, *arguments, **settings):
    """Another process that runs some code."""
    begun = [sys.executable, "-c", textwrap.dedent(SWEEP) + textwrap.dedent(code), *map(str, arguments)]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    return subprocess.Popen(begun, env=environment, stderr=subprocess.PIPE, text=True, **settings)


def tiles(folder):
    return sorted(folder.glob("tile-*.nc"))


def expected():
    return gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), **GRID)


# A fork of a process that has imported everything and computed nothing yet begins within a second.
KILLED = """
    import os, random, signal, time
    from pathlib import Path
    import gatedlib.simulation.assemble, gatedlib.simulation.checkpoints

    folder, random = Path(sys.argv[1]), random.Random(0)

    def tiles():
        return len(list(folder.glob("tile-*.nc")))

    for kill in range(20):
        child = os.fork()
        if child == 0:
            swept(folder)
            os._exit(0)
        before = tiles()
        while tiles() == before:
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit("finished before it could be killed")
            time.sleep(0.001)
        end = time.monotonic() + random.uniform(0, 0.04)
        while time.monotonic() < end and tiles() < before + 2:  # however quick the machine, there is work left
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(tiles())
"""


def test_a_sweep_killed_twenty_times_ends_with_the_same_numbers(tmp_path):
    child = python(KILLED, tmp_path / "sweep", stdout=subprocess.PIPE)
    told, errors = child.communicate(timeout=240)
    assert child.returncode == 0, errors
    assert 20 <= int(told) < 80  # 20 cells and 4 seeds, a tile each
    finished = {path: path.stat().st_mtime_ns for path in tiles(tmp_path / "sweep")}
    resumed = gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=tmp_path / "sweep", **GRID)
    xr.testing.assert_allclose(resumed, expected(), atol=2e-5)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


FULL = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a file that grows too large is refused like on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    try:
        swept(sys.argv[1])
    except OSError as refusal:
        print(refusal)
"""


def test_on_a_full_disk_a_sweep_says_so_and_what_was_finished_stays(tmp_path):
    folder = tmp_path / "sweep"
    whole_sweep = gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=folder, **GRID)
    plan, lost = folder / "plan.json", tiles(folder)[0]
    lost.unlink()
    before = {path: path.read_bytes() for path in (plan, *tiles(folder))}
    child = python(FULL, folder, stdout=subprocess.PIPE)
    told, errors = child.communicate(timeout=120)
    assert "cannot be written" in told, errors
    assert "Make room there, or choose another folder; what was there before is as it was." in told
    assert {path: path.read_bytes() for path in folder.iterdir()} == before  # nor is anything half-written left behind
    again = gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=folder, **GRID)
    xr.testing.assert_identical(again, whole_sweep)


FORBIDDEN = """
    import os
    if os.getuid() == 0:
        os.setuid(65534)  # nobody: for root no folder is read-only
    try:
        swept(sys.argv[1])
    except OSError as refusal:
        print(refusal)
"""


def test_a_folder_that_is_read_only_is_refused_before_anything_runs():
    with tempfile.TemporaryDirectory() as folder:  # outside of pytest's own, which nobody else may enter
        os.chmod(folder, 0o555)
        child = python(FORBIDDEN, Path(folder) / "sweep", stdout=subprocess.PIPE)
        told, errors = child.communicate(timeout=120)
        os.chmod(folder, 0o755)
        assert "Permission denied" in told, errors
        assert "choose another folder" in told
        assert os.listdir(folder) == []


def test_features_that_cannot_be_kept_are_given_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GATEDLIB_CACHE", str(tmp_path / "file"))  # a file is no folder
    with pytest.warns(UserWarning, match="Features are not kept, and will be learned again: .*cannot be written"):
        digits = gl.trunk.features(gl.images.load(), steps=10)
    assert digits.train.shape == (1437, 64)


@pytest.mark.parametrize("how", ["a bit turned", "cut short", "empty"])
def test_a_damaged_tile_is_found_and_computed_anew(tmp_path, how):
    measured = {"seeds": 2, "measure": metrics.end_loss, "save": tmp_path, "memory": 5e4, **GRID}
    first = gl.sweep(small(), **measured)
    assert len(tiles(tmp_path)) > 1
    damaged = tiles(tmp_path)[1]
    content = bytearray(damaged.read_bytes())
    content[random.Random(how).randrange(len(content))] ^= 1
    damaged.write_bytes({"a bit turned": content, "cut short": content[:-100], "empty": b""}[how])
    with pytest.warns(UserWarning, match=r"tile 1 in .* is not what was written: it is computed anew"):
        again = gl.sweep(small(), **measured)
    xr.testing.assert_identical(again, first)


def test_a_damaged_plan_is_refused(tmp_path):
    gl.sweep(small(), seeds=2, save=tmp_path, tau_c=[0.1])
    plan = tmp_path / "plan.json"
    plan.write_text(plan.read_text()[:50])
    with pytest.raises(
        ValueError, match=r"plan.json': is damaged.*Choose another path, or remove that folder if you can do without it"
    ):
        gl.sweep(small(), seeds=2, save=tmp_path, tau_c=[0.1])


@pytest.mark.parametrize("size", [0, 1, 10_000])
def test_a_sealed_file_is_found_only_as_it_was_written(tmp_path, size):
    path = tmp_path / "some.bin"
    assert find_intact(path) is None
    atomic_write(path, lambda to: to.write_bytes(b"x" * size), sealed=True)
    found = find_intact(path)
    assert found.read_bytes() == b"x" * size
    found.write_bytes(b"y" + b"x" * size)
    assert find_intact(path) is None


def test_two_processes_in_one_folder_do_not_disturb_each_other(tmp_path):
    folder = tmp_path / "sweep"
    children = [python("swept(sys.argv[1])", folder) for _ in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors
    assert not list(folder.glob(".*.partial"))
    read = gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=folder, **GRID)
    xr.testing.assert_allclose(read, expected(), atol=2e-5)


DIFFERENT = """
    try:
        gl.sweep(small(tau_w=float(sys.argv[2])), seeds=SEEDS, record=(gl.record.loss,), save=sys.argv[1], **GRID)
        print("kept")
    except ValueError as refusal:
        print(refusal)
"""


def test_of_two_sweeps_that_begin_in_one_folder_one_is_refused(tmp_path):
    folder = tmp_path / "sweep"
    children = [python(DIFFERENT, folder, tau_w, stdout=subprocess.PIPE) for tau_w in (1.3, 2.0)]
    told = [child.communicate(timeout=240)[0].strip() for child in children]
    assert "kept" in told
    assert any("holds another sweep, which differs in flow.tau_w" in each for each in told)


def test_a_new_file_does_not_replace_another(tmp_path):
    path = tmp_path / "some.bin"
    for content in (b"first", b"second"):
        atomic_write(path, lambda to, content=content: to.write_bytes(content), new=True)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_disk_knows_no_links_a_new_file_is_whole_and_first_come_first_served(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    test_a_new_file_does_not_replace_another(tmp_path)


def test_a_plan_that_is_another_file_is_told(tmp_path):
    gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=tmp_path, **GRID)
    (tmp_path / "plan.json").write_text('{"a plan": "of something else"}')
    with pytest.raises(ValueError, match=r"plan\.json': is damaged.*Choose another path"):
        gl.sweep(small(), seeds=SEEDS, record=(gl.record.loss,), save=tmp_path, **GRID)


KEPT = """
    from gatedlib_book import cache

    def loss(blocks):
        return gl.simulate(small(blocks=blocks), 2).loss.values

    loss.__module__ = "a_chapter"  # what is defined in a script or notebook is not kept
    loss = cache.cached(loss)
    for _ in range(30):
        loss.cache_clear()
        for blocks in (2, 3):
            loss(blocks)
"""


def test_two_processes_that_keep_the_same_results_do_not_spoil_them(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEDLIB_RESULTS", str(tmp_path))
    children = [python(KEPT) for _ in range(2)]
    for child in children:
        _, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors
    assert len(list(tmp_path.rglob("output.pkl"))) == 2


@pytest.fixture
def kernel():
    manager, client = jupyter_client.manager.start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_after_an_interrupt_a_notebook_goes_on(kernel):
    manager, client = kernel
    run = "import gatedlib as gl\nfrom tests.examples import small\n"
    long = "from gatedlib.simulation import sweep\nsweep.RUNS_PER_CPU = 1\n"
    long += "gl.sweep(small(blocks=400), seeds=200, tau_c=[0.1, 0.2], measure=gl.metrics.end_loss)"
    client.execute_interactive(run, timeout=60, output_hook=lambda _: None)
    client.execute(long)
    time.sleep(6)
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=60)["content"]
    assert reply["status"] == "error"
    assert reply["ename"] == "KeyboardInterrupt"
    if reply["traceback"]:  # once in some thirty times IPython leaves out that of an interrupt
        assert any("sweep" in line for line in reply["traceback"])
    told = []
    again = "print(float(gl.simulate(small(), 2).loss.isel(time=-1, seed=0)))"
    for _ in range(20):  # for a moment after an error a kernel drops what it is asked
        after = client.execute_interactive(
            again, timeout=60, output_hook=lambda message: told.append(message["content"].get("text", ""))
        )["content"]["status"]
        if after != "aborted":
            break
        time.sleep(0.3)
    assert after == "ok"
    np.testing.assert_allclose(float("".join(told)), gl.simulate(small(), 2).loss.isel(time=-1, seed=0), atol=1e-6)


PRINTED = """
    import hashlib
    results = gl.simulate(small(inputs=gl.Sampled(5)), 3)
    swept = gl.sweep(small(), seeds=2, tau_c=[0.1, 0.2])
    for data in (results, swept):
        print(hashlib.sha256(b"".join(data[name].values.tobytes() for name in sorted(data))).hexdigest())
"""


def test_another_process_finds_the_same_numbers_bit_for_bit():
    told = [python(PRINTED, stdout=subprocess.PIPE).communicate(timeout=120)[0] for _ in range(2)]
    assert told[0] == told[1]
    assert len(set(told[0].split())) == 2


def test_results_tell_what_made_them():
    results = gl.simulate(small(), 1)
    assert results.attrs["gatedlib_version"] == gl.__version__
    assert results.attrs["jax_version"]
    assert gl.results.settings(results)["flow.tau_c"] == 0.1
