"""Data sets are found, checked and downloaded as promised; trunks learn; heads learn through the same step."""

import functools
import gc
import gzip
import hashlib
import http.server
import os
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatedlib as gl
from gatedlib import images, metrics, record, trunk
from gatedlib.simulation import simulate
from gatedlib.simulation.grid import cells_of
from gatedlib.simulation.spec import RunSpec
from gatedlib_book import pictures

LABELS = ((0, 1, 2), (1, 2, 0))

# a download that fails leaves its socket to the garbage collector
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


def idx(array, shape=None):
    """A gzipped IDX file of bytes."""
    header = bytes((0, 0, 8, array.ndim)) + np.asarray(shape or array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def toy_files():
    draw = np.random.default_rng(0)
    shapes = ((30, 4, 4), (30,), (10, 4, 4), (10,))
    arrays = [draw.integers(0, 256 if len(shape) == 3 else 3, shape) for shape in shapes]
    return arrays, dict(zip(images.KINDS, map(idx, arrays), strict=True))


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A small data set in four files, known to the library as `toy`, and nowhere on this machine yet."""
    arrays, files = toy_files()
    checksums = tuple(hashlib.sha256(files[kind]).hexdigest() for kind in images.KINDS)
    source = images.Source("toy-folder", "http://127.0.0.1:9/", ("a", "b", "c"), checksums, 30, 10, 4)
    monkeypatch.setitem(images.SOURCES, "toy", source)
    monkeypatch.setattr(images, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("GATEDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GATEDLIB_DATA", raising=False)
    return arrays, files


def put(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def server(tmp_path):
    """Serve a folder on loopback; gives the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()
    gc.collect()  # what a failed download left open is closed here, where the warning is expected


@pytest.mark.parametrize("inside", ["toy-folder", "."])
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_named_folder_is_read(toy, tmp_path, monkeypatch, by, inside):
    arrays, files = toy
    put(tmp_path / "mine" / inside if inside != "." else tmp_path / "mine", files)
    folder = tmp_path / "mine"
    if by == "environment":
        monkeypatch.setenv("GATEDLIB_DATA", str(folder))
    found = images.load("toy", folder if by == "argument" else None)
    np.testing.assert_allclose(found.train_images, arrays[0] / 255, atol=1e-7)
    np.testing.assert_array_equal(found.test_classes, arrays[3])
    assert images.here("toy", folder if by == "argument" else None)


def test_places_are_tried_in_the_order_that_is_promised(toy, tmp_path, monkeypatch, server):
    """Each place holds other pictures, so that one sees which was read."""
    arrays, files = toy

    def tinted(value):
        tint = np.full(arrays[0].shape, value)
        return files | {images.KINDS[0]: idx(tint)}

    def seen(**options):
        return round(255 * float(images.load("toy", **options).train_images[0, 0, 0]))

    assert not images.here("toy")
    folder, address = server
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert seen(url=address) == arrays[0][0, 0, 0]
    assert images.here("toy")  # in the cache now
    put(images.SYSTEM / "toy-folder", tinted(2))
    assert seen() == 2
    monkeypatch.setenv("GATEDLIB_DATA", str(put(tmp_path / "environment", tinted(3))))
    assert seen() == 3
    assert seen(folder=put(tmp_path / "argument", tinted(4))) == 4


def test_a_named_folder_that_lacks_a_file_is_no_reason_to_look_elsewhere(toy, tmp_path):
    _, files = toy
    put(images.SYSTEM / "toy-folder", files)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"train-images.*must be a gzipped IDX file of 30 x 4 x 4.*there is none"):
        images.load("toy", tmp_path / "empty")
    assert not images.here("toy", tmp_path / "empty")


SPOILED = {
    "cut short": lambda whole, array: whole[: len(whole) // 2],
    "no gzip": lambda whole, array: b"not a picture",
    "empty": lambda whole, array: b"",
    "a flipped byte": lambda whole, array: whole[:-9] + bytes([whole[-9] ^ 255]) + whole[-8:],
    "another size": lambda whole, array: idx(array[:-1]),
    "a header that lies": lambda whole, array: idx(array[:-1], array.shape),
    "another kind": lambda whole, array: gzip.compress(b"\0\0\x0d\x03" + bytes(100)),
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("kind", [0, 3])
def test_a_file_that_is_not_whole_is_named_with_what_was_expected_and_found(toy, tmp_path, how, kind):
    arrays, files = toy
    name = images.KINDS[kind]
    folder = put(tmp_path / "spoiled", files | {name: SPOILED[how](files[name], arrays[kind])})
    sizes = "30 x 4 x 4" if kind == 0 else "10"
    with pytest.raises(ValueError, match=rf"{name}.*must be a gzipped IDX file of {sizes} bytes, but "):
        images.load("toy", folder)


def test_classes_without_a_name_are_refused(toy, tmp_path):
    _, files = toy
    folder = put(tmp_path / "odd", files | {images.KINDS[1]: idx(np.full(30, 7))})
    with pytest.raises(ValueError, match=r"train-labels.*classes below 3, but holds 7"):
        images.load("toy", folder)


def in_cache():
    return sorted(path.name for path in images.cache().rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["cut short", "no gzip", "missing", "nobody answers"])
def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(toy, server, how):
    _, files = toy
    folder, address = server
    for name, content in files.items():
        spoiled = name == images.KINDS[2]
        if not (spoiled and how == "missing"):
            (folder / name).write_bytes(SPOILED[how](content, None) if spoiled and how in SPOILED else content)
    url = "http://127.0.0.1:9/" if how == "nobody answers" else address
    with pytest.raises(ValueError, match=r"t10k-images|train-images") as refusal:
        images.load("toy", url=url)
    assert "must be a file with SHA-256" in str(refusal.value)
    assert "GATEDLIB_DATA" in str(refusal.value)
    assert in_cache() == ([] if how == "nobody answers" else sorted(images.KINDS[:2]))


def test_a_spoiled_file_in_the_cache_is_fetched_again(toy, server):
    arrays, files = toy
    folder, address = server
    for name, content in files.items():
        (folder / name).write_bytes(content)
    images.load("toy", url=address)
    (images.cache() / "toy-folder" / images.KINDS[0]).write_bytes(b"spoiled")
    np.testing.assert_allclose(images.load("toy", url=address).train_images, arrays[0] / 255, atol=1e-7)


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match=r"digit'.*Did you mean digits"):
        images.load("digit")


def test_digits_are_split_without_overlap():
    digits = images.load("digits")
    together = np.concatenate([digits.train_images, digits.test_images]).reshape(1797, -1)
    assert together.min() == 0
    assert together.max() == 1
    from sklearn.datasets import load_digits

    assert sorted(map(tuple, (16 * together).astype(int))) == sorted(map(tuple, load_digits().data.astype(int)))


def fashion_or_skip():
    if not images.here("fashion"):
        assert not os.environ.get("CI"), "CI must have FashionMNIST"
        pytest.skip("FashionMNIST is not here")


def test_fashion_is_whole():
    fashion_or_skip()
    clothes = images.load("fashion")
    assert np.bincount(clothes.train_classes).tolist() == [6000] * 10
    assert np.bincount(clothes.test_classes).tolist() == [1000] * 10


def test_trunks_are_as_good_as_promised():
    assert pictures.features("digits").accuracy >= 0.97
    fashion_or_skip()
    assert pictures.features("fashion").accuracy >= 0.88


def some_pictures(count=40):
    digits = images.load("digits")
    part = slice(None, count)
    return images.Pictures("some", digits.train_images[part], digits.train_classes[part],
                           digits.test_images[part], digits.test_classes[part], digits.names)  # fmt: skip


def test_features_are_learned_once_and_again_if_anything_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEDLIB_CACHE", str(tmp_path))

    def learn(count=40, **changed):
        return trunk.features(some_pictures(count), **{"units": 5, "steps": 3} | changed)

    def files():
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}

    first, written = learn(), files()
    again = learn()
    assert files() == written  # nothing was learned again
    np.testing.assert_array_equal(first.train, again.train)
    jax.tree.map(np.testing.assert_array_equal, first.trunk, again.trunk)
    np.testing.assert_allclose(np.mean(first.train**2), 1, atol=1e-5)
    np.testing.assert_allclose(first.trunk(jnp.asarray(first.pictures.test_images)), first.test, atol=1e-5)
    for changed in ({"units": 6}, {"steps": 4}, {"seed": 1}, {"count": 41}):
        before = files()
        learn(**changed)
        assert len(files()) == len(before) + 1
    (file,) = written
    whole = file.stat().st_size
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(learn().train, first.train)
    assert file.stat().st_size == whole
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("side", [7, 8])
def test_convolutions_are_those_of_jax(side):
    draw = np.random.default_rng(0)
    for size, stop in ((3, 4), (5, 2)):
        layer = trunk.Layer(jnp.asarray(draw.normal(size=(size, size, 3, stop))), jnp.asarray(draw.normal(size=stop)))
        x = jnp.asarray(draw.normal(size=(2, side, side, 3)))
        half = size // 2
        expected = jax.lax.conv_general_dilated(
            x, layer.kernel, (2, 2), [(half, half)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        np.testing.assert_allclose(trunk.convolve(layer, x), jax.nn.relu(expected + layer.bias), atol=1e-4)


def cloud(count=60, width=5):
    """Examples of three classes that a linear network can tell apart."""
    draw = np.random.default_rng(0)
    classes = np.arange(count) % 3
    return gl.Examples((np.eye(3, width)[classes] + 0.3 * draw.normal(size=(count, width))), classes, batch=7)


def named(**changes):
    experiment = gl.Experiment(
        gl.Labellings(LABELS),
        gl.GatedLinear(paths=2, weight_scale=0.3),
        gl.Blocked(blocks=6, block_length=2.0),
        gl.Flow(tau_w=0.5, tau_c=0.2, dt=0.05, penalties=(gl.Nonnegative(0.5), gl.UnitNorm(0.5)), inputs=cloud()),
    )
    return experiment.replace(**changes)


def test_a_head_learns_as_a_plain_loop_over_batches_does():
    experiment = named()
    results = gl.simulate(experiment, seeds=[4], record=(record.loss,))
    examples, flow = experiment.flow.inputs, experiment.flow
    features, classes = np.asarray(examples.features, float), np.asarray(examples.classes)
    _, start = experiment.draw(4)
    weights, gates = np.asarray(start.weights, float), np.asarray(start.gates, float)
    key = jax.random.split(jax.random.key(4), 3)[2]
    for step, task in enumerate(experiment.schedule().tasks):
        seen = np.asarray(examples.draw(jax.random.fold_in(key, step), 3, 3))
        x, labels = features[seen], np.asarray(LABELS)[task][classes[seen]]
        logits = x @ np.einsum("p,pij->ij", gates, weights).T
        odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(results.loss[0, step], -np.mean(np.log(odds[range(7), labels])), atol=1e-4)
        error = (odds - np.eye(3)[labels]).T @ x / 7
        push = -0.5 * (gates < 0) + 0.5 * (abs(gates).sum() - 1) * np.sign(gates)
        slopes = np.einsum("pij,ij->p", weights, error) + push
        weights = weights - flow.dt / flow.tau_w * gates[:, None, None] * error
        gates = gates - flow.dt / flow.tau_c * slopes
    np.testing.assert_allclose(results.final_gates[0], gates, atol=1e-3)


@settings(max_examples=20)
@given(seed=st.integers(0, 999), batch=st.sampled_from([1, 6]))
def test_the_gradient_on_examples_is_that_of_autodiff(seed, batch):
    keys = jax.random.split(jax.random.key(seed), 3)
    examples = gl.Examples(jax.random.normal(keys[0], (20, 4)), np.arange(20) % 3, batch)
    matrix, teacher = jax.random.normal(keys[1], (3, 4)), gl.Labellings(LABELS).sample(keys[0])[1]
    seen = examples.draw(keys[2], 3, 3)
    assert seen.shape == (batch,)

    def loss(matrix):
        odds = jax.nn.log_softmax(examples.features[seen] @ matrix.T)
        return -jnp.mean(jnp.take_along_axis(odds, jnp.asarray(LABELS[1])[examples.classes[seen]][:, None], 1))

    told, gradient = examples.loss(matrix, teacher, seen)
    np.testing.assert_allclose(told, loss(matrix), rtol=1e-5)
    np.testing.assert_allclose(gradient, jax.grad(loss)(matrix), atol=1e-5)


def test_cells_of_a_sweep_share_one_data_set_and_are_their_own_simulations():
    experiment, keep = named(), (record.loss, record.gates)
    grid = gl.sweep(experiment, seeds=2, record=keep, every=10, tau_w=[0.5, 2.0])
    for tau_w in (0.5, 2.0):
        alone = gl.simulate(experiment.replace(tau_w=tau_w), 2, keep, every=10)
        np.testing.assert_allclose(grid.loss.sel(tau_w=tau_w), alone.loss, atol=1e-5)
    spec = RunSpec(cells_of(experiment, {"tau_w": [0.5, 2.0]}), np.arange(2), keep, 10)
    _, flow = simulate.stack_cells(spec, simulate.on_one_device)
    assert flow.inputs.features.shape == experiment.flow.inputs.features.shape
    assert flow.tau_w.shape == (2,)


def test_a_data_set_stands_in_the_settings_by_its_checksum():
    draw = np.random.default_rng(0)
    large = draw.normal(size=(2001, 5)).astype(np.float32)
    classes = np.arange(2001) % 3
    told = [gl.results.settings(gl.Examples(x, classes))["features"] for x in (large, large.copy(), large + 1)]
    assert told[0] == told[1] != told[2]
    assert told[0].startswith("(2001, 5), sha256")


def test_accuracy_is_the_share_of_labels_that_are_right():
    examples = cloud()
    results = gl.simulate(named(), 2, (record.accuracy(examples), record.matrix))
    called = np.argmax(np.einsum("stij,bj->stbi", results.matrix.values, examples.features), -1)
    wanted = np.asarray(LABELS)[results.active_task.values][:, np.asarray(examples.classes)]
    np.testing.assert_allclose(results.accuracy, (called == wanted).mean(-1), atol=1e-6)


def test_held_out_pictures_are_the_test_pictures():
    known = pictures.features("digits")
    held, fewer = known.held_out(), known.held_out(50)
    np.testing.assert_array_equal(held.features, known.test)
    np.testing.assert_array_equal(held.classes, known.pictures.test_classes)
    assert fewer.features.shape == (50, 64)
    learned = {tuple(row) for row in np.asarray(known.examples().features)}
    assert not learned & {tuple(row) for row in np.asarray(held.features)}


@pytest.mark.parametrize("size", [0.25, 4.0])  # powers of two, so that numbers change in their exponents only
def test_larger_features_are_faster_weights_by_the_square(size):
    """Features k times as large, weights k times smaller and k squared times slower: the same network."""
    known = pictures.features("digits")
    base = float(np.mean(known.train**2))
    accuracy = record.accuracy(known.held_out())
    plain = pictures.flexible("digits", steps=20).replace(tau_w=8.0, inputs=known.scaled(base).examples(20))
    ran = gl.simulate(plain, seeds=2, record=(accuracy, record.gates))
    large = known.scaled(size * base)
    other = plain.replace(
        inputs=large.examples(20), tau_w=size * 8.0, weight_scale=plain.network.weight_scale / size**0.5
    )
    changed = gl.simulate(other, seeds=2, record=(record.accuracy(large.held_out()), record.gates))
    np.testing.assert_allclose(changed.gates, ran.gates, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(changed.accuracy, ran.accuracy, atol=0.01)
    np.testing.assert_allclose(np.sqrt(size) * changed.final_weights, ran.final_weights, rtol=1e-3, atol=1e-4)


def test_scaled_features_are_what_their_trunk_makes_of_the_pictures():
    known = pictures.features("digits")
    large = known.scaled(21.3)
    np.testing.assert_allclose(np.mean(large.train**2), 21.3, rtol=1e-5)
    np.testing.assert_allclose(large.trunk(known.pictures.test_images), large.test, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"mean_square = 0: must be a number above 0"):
        known.scaled(0)


def test_every_example_is_seen_sometimes():
    examples = cloud(count=30)
    seen = jax.vmap(lambda key: examples.draw(key, 3, 3))(jax.random.split(jax.random.key(0), 200))
    counts = np.bincount(np.ravel(seen), minlength=30)
    assert len(counts) == 30
    assert counts.min() > 0.4 * 200 * 7 / 30


def test_labellings_are_those_of_the_paper():
    upper_lower = {0: 0, 2: 1, 4: 2, 6: 3, 8: 4, 1: 5, 3: 6, 5: 7, 7: 8, 9: 9}
    warm_cold = {0: 0, 1: 1, 5: 2, 3: 3, 7: 4, 6: 5, 2: 6, 4: 7, 8: 8, 9: 9}
    for ours, theirs in ((pictures.ORTHOGONAL, upper_lower), (pictures.WARM_COLD, warm_cold)):
        assert dict(enumerate(ours)) == theirs


def test_accuracy_after_a_switch_is_that_of_the_right_frame():
    results = gl.simulate(named(), 1, (record.gates,), every=5)  # blocks of 40 steps
    ramp = results.assign(accuracy=results.gates.isel(path=0) * 0 + results.step)
    assert pictures.accuracy_after_switch(ramp, 0, switches=1).item() == 200
    assert pictures.accuracy_after_switch(ramp, 10, switches=1).item() == 210
    assert pictures.accuracy_after_switch(ramp, 10, switches=2).item() == 190
    assert pictures.accuracy_at_block_end(ramp, blocks=1).item() == 235
    with pytest.raises(ValueError, match="steps = 7: must be a multiple of 5"):
        pictures.accuracy_after_switch(ramp, 7)


def test_the_trunk_learns_at_its_own_rate():
    some = some_pictures()
    start = trunk.Trunk.draw(jax.random.key(0), 8, 5)
    size = sum(leaf.size for leaf in jax.tree.leaves(start))
    pulls = []
    for rate in (0.5, 1.0):
        network = pictures.FineTuned(start, trunk_rate=rate)
        params = network.init(jax.random.key(1), 10, 8)
        examples = pictures.Pictures(some.train_images, some.train_classes, 7)
        _, g = examples.loss(network.effective(params), jnp.eye(10), jnp.arange(7))
        pulls.append(network.pullback(params, g))
    np.testing.assert_allclose(2 * pulls[0].weights[-size:], pulls[1].weights[-size:], atol=1e-7)
    np.testing.assert_array_equal(pulls[0].weights[:-size], pulls[1].weights[:-size])
    assert abs(pulls[1].weights[-size:]).max() > 0


def test_a_frozen_trunk_under_a_head_is_the_head_on_its_features():
    some = some_pictures()
    start = trunk.Trunk.draw(jax.random.key(0), 8, 5)
    labels = gl.Labellings((range(10), range(9, -1, -1)))
    seen = start(jnp.asarray(some.train_images))
    head = named(teachers=labels, inputs=gl.Examples(seen, some.train_classes, 7), tau_w=2.0)
    tuned = head.replace(
        network=pictures.FineTuned(start, 0.0, head.network),
        inputs=pictures.Pictures(some.train_images, some.train_classes, 7),
    )
    frozen, plain = (gl.simulate(each, 2, (record.loss, record.gates)) for each in (tuned, head))
    np.testing.assert_allclose(frozen.loss, plain.loss, atol=1e-4)
    np.testing.assert_allclose(frozen.final_gates, plain.final_gates, atol=1e-4)
    moved = gl.simulate(tuned.replace(trunk_rate=1.0), 2, (record.loss,))
    of_trunk = slice(-sum(leaf.size for leaf in jax.tree.leaves(start)), None)
    assert abs(moved.loss - plain.loss).max() > 1e-3
    np.testing.assert_array_equal(frozen.final_weights[0, of_trunk], frozen.final_weights[1, of_trunk])
    assert abs(moved.final_weights[0, of_trunk] - frozen.final_weights[0, of_trunk]).max() > 1e-4


@settings(max_examples=20)
@given(order=st.permutations(range(3)), seed=st.integers(0, 99))
def test_gates_that_follow_the_task_are_read_in_any_order_of_paths(order, seed):
    experiment = named(
        teachers=gl.Labellings((*LABELS, (2, 0, 1))), network=gl.GatedLinear(paths=3),
        curriculum=gl.Blocked(blocks=6, block_length=0.5, order=(0, 1, 2)),
    )  # fmt: skip
    results = gl.simulate(experiment, 1, (record.gates,))
    open_ = np.eye(3)[np.asarray(order)[results.active_task.values]]
    noise = 0.2 * np.random.default_rng(seed).normal(size=open_.shape).clip(-2, 2)
    made = results.assign(gates=results.gates.copy(data=(open_ + noise)[None]))
    np.testing.assert_array_equal(metrics.matching_by_gates(made)[0], order)
    np.testing.assert_array_equal(metrics.decoded_task(made)[0], results.active_task)
    turned = metrics.reorder_paths(made, metrics.matching_by_gates(made))
    np.testing.assert_array_equal(metrics.matching_by_gates(turned)[0], range(3))


def test_what_data_sets_have_not_is_refused():
    experiment = named()
    with pytest.raises(ValueError, match=r"weights on 5 inputs.*Leave alignment out: record"):
        gl.simulate(experiment, 1)
    results = gl.simulate(experiment, 2, (record.gates, record.weight_products))
    for call in (gl.transfer.parts, metrics.specialization):
        with pytest.raises(ValueError, match=r"'class'\): this is about paths"):
            call(results)
    with pytest.raises(ValueError, match=r"labels of classes.*Use metrics.matching_by_gates"):
        metrics.gate_like(results)
    with pytest.raises(ValueError, match="inputs"):
        gl.solve(experiment, 1)
    with pytest.raises(ValueError, match=r"shape of the inputs = \(60, 4\): must be \(sample, 5\)"):
        gl.simulate(experiment, 1, (record.accuracy(cloud(width=4)),))
    raw = named(inputs=gl.Examples(np.ones((6, 4, 4)), np.arange(6) % 3))
    with pytest.raises(ValueError, match=r"\(6, 4, 4\): a linear network sees rows.*features"):
        gl.simulate(raw, 1, (record.loss,))
