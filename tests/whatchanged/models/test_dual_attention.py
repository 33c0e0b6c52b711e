"""Channel and spatial attention against their formulas; the two-branch network built, saved and loaded elsewhere."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest
from support import ROOT, SCRIPTS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from whatchanged.models import dual_attention as dual  # noqa: E402

keras = dual.keras


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(0, 1, (2, 5, 6, 8)).astype(np.float32)


def test_channel_attention_is_its_formula(features):
    layer = dual.ChannelAttention(ratio=4)
    found = keras.ops.convert_to_numpy(layer(features))
    hidden, hidden_bias, out, out_bias = (keras.ops.convert_to_numpy(w) for w in layer.weights)
    assert hidden.shape == (8, 2)

    def network(pooled):
        return np.maximum(pooled @ hidden + hidden_bias, 0) @ out + out_bias

    weights = sigmoid(network(features.mean(axis=(1, 2))) + network(features.max(axis=(1, 2))))
    assert found == pytest.approx(features * weights[:, None, None, :], abs=1e-5)


def test_spatial_attention_is_its_formula(features):
    from scipy.ndimage import correlate

    layer = dual.SpatialAttention(size=3)
    layer.build(features.shape)
    layer.convolution.kernel.assign(np.random.default_rng(1).normal(0, 0.3, (3, 3, 2, 1)))
    found = keras.ops.convert_to_numpy(layer(features))
    kernel, bias = (keras.ops.convert_to_numpy(w) for w in layer.weights)
    both = np.stack([features.mean(axis=-1), features.max(axis=-1)], axis=-1)
    sums = [sum(correlate(one[..., i], kernel[..., i, 0], mode="constant") for i in (0, 1)) for one in both]
    weights = sigmoid(np.stack(sums) + bias)[..., None]
    assert found == pytest.approx(features * weights, abs=1e-5)
    assert keras.ops.convert_to_numpy(layer.weights_of(features)) == pytest.approx(weights, abs=1e-6)


def test_global_attention_is_channel_then_spatial(features):
    layer = dual.GlobalAttention(ratio=2, size=5)
    found = keras.ops.convert_to_numpy(layer(features))
    expected = layer.spatial(layer.channel(features))
    assert found == pytest.approx(keras.ops.convert_to_numpy(expected))
    maps = keras.ops.convert_to_numpy(layer.map_of(features))
    assert maps.shape == (2, 5, 6)
    assert found == pytest.approx(keras.ops.convert_to_numpy(layer.channel(features)) * maps[..., None], abs=1e-6)


def test_spatial_attention_begins_with_each_place_itself(features):
    """Half of the mean and half of the largest value of its own channels, nothing of its neighbors."""
    layer = dual.SpatialAttention(size=5)
    layer.build(features.shape)
    found = keras.ops.convert_to_numpy(layer.weights_of(features))[..., 0]
    expected = sigmoid(0.5 * features.mean(axis=-1) + 0.5 * features.max(axis=-1) - 1)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.process
@pytest.mark.parametrize("branch", ["resnet", "cnn"])
def test_each_place_of_a_branch_is_centered_on_its_pixel(branch):
    """The pixels that move the features of place (4, 4) most lie, on average, around (32, 32)."""
    centers = []
    for seed in range(6):
        keras.utils.set_random_seed(seed)
        model = dual.build(64, **{"resnet": False, "cnn": False, "attention": False} | {branch: True})
        maps = keras.Model(model.input, model.get_layer("mean").input)
        images = dual.tf.Variable(np.random.default_rng(seed).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32))
        with dual.tf.GradientTape() as tape:
            place = dual.tf.reduce_sum(maps(images)[0, 4, 4])
        weight = np.abs(tape.gradient(place, images).numpy()[0]).sum(axis=2)
        centers += [(weight.sum(axis=axis) * np.arange(64)).sum() / weight.sum() for axis in (0, 1)]
    assert np.mean(centers) == pytest.approx(32, abs=1)


def test_attention_maps_lie_where_the_attention_is():
    model = dual.build(32, resnet=False)
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    features = keras.Model(model.input, model.get_layer("attention").input).predict(images, verbose=0)
    weights = keras.ops.convert_to_numpy(model.get_layer("attention").map_of(features))
    maps = dual.attention_maps(model, images)
    assert maps[:, ::8, ::8] == pytest.approx(weights, abs=1e-6)
    assert maps[:, 4, 8] == pytest.approx((weights[:, 0, 1] + weights[:, 1, 1]) / 2, abs=1e-6)
    assert maps[:, 31, 31] == pytest.approx(weights[:, 3, 3], abs=1e-6)


def test_the_input_of_imagenet_is_that_of_keras():
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet50.preprocess_input(images.copy())
    assert keras.ops.convert_to_numpy(dual.ImageNetInput()(images)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.process
def test_a_saved_model_predicts_the_same_in_a_fresh_process(tmp_path):
    keras.utils.set_random_seed(0)
    model = dual.build(32)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    model.compile("adam", "binary_crossentropy", jit_compile=False)
    model.fit(images, np.arange(8) % 2, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    files = [str(tmp_path / name) for name in ("model.keras", "images.npy", "out.npz")]
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "predict_script.py"), *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = np.load(files[2])
    assert found["arr_0"] == pytest.approx(model.predict(images, verbose=0), abs=1e-6)
    maps = dual.attention_maps(model, images)
    assert maps.shape == (8, 32, 32)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert found["arr_1"] == pytest.approx(maps, abs=1e-6)


def test_predict_gives_what_keras_gives_in_groups_of_any_size(tmp_path):
    keras.utils.set_random_seed(0)
    model = dual.build(32, resnet=False)
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (7, 32, 32, 3)).astype(np.float32)
    found = dual.predict(dual.load(tmp_path / "model.keras"), images, batch_size=3)
    assert (found.shape, found.dtype) == ((7,), np.float32)
    assert found == pytest.approx(model.predict(images, verbose=0)[:, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "layer"),
    [({"resnet": False}, "resnet50"), ({"cnn": False}, "cnn_input"), ({"attention": False}, "attention")],
)
def test_parts_can_be_left_out(options, layer):
    model = dual.build(32, stride=16, **options)
    assert layer not in {one.name for one in model.layers}
    assert model.output_shape == (None, 1)


def test_the_resnet_is_cut_at_its_stride():
    for stride, channels in ((8, 512), (16, 1024), (32, 2048)):
        assert dual.build(64, cnn=False, stride=stride).get_layer("resnet50").output_shape[1:] == (
            64 // stride,
            64 // stride,
            channels,
        )


@pytest.mark.process
def test_weights_of_a_file_and_weights_that_are_not_there(tmp_path, monkeypatch):
    source = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3))
    source.save_weights(tmp_path / "resnet.weights.h5")
    model = dual.build(32, weights=str(tmp_path / "resnet.weights.h5"))
    kernel = model.get_layer("resnet50").get_layer("conv2_block1_1_conv").kernel
    expected = source.get_layer("conv2_block1_1_conv").kernel
    assert np.array_equal(keras.ops.convert_to_numpy(kernel), keras.ops.convert_to_numpy(expected))
    with pytest.raises(FileNotFoundError, match=r"weights is 'none\.h5': use 'imagenet', None, or a file that exists"):
        dual.build(32, weights="none.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ValueError, match=r"text\.h5 does not hold the weights of a ResNet50"):
        dual.build(32, weights=str(tmp_path / "text.h5"))

    def offline(*_, **__):
        raise Exception("URL fetch failure")  # what keras raises

    monkeypatch.setattr("keras.utils.get_file", offline)
    with pytest.raises(ConnectionError, match="ImageNet weights of ResNet50 are not on this machine.*put resnet50_wei"):
        dual.build(32, weights="imagenet")


def write_published(path, network):
    """The weights of a network as keras.applications publishes them: Keras 2's own layout, a group a layer, in which
    each weight lies under its full name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for layer in network.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group.create_dataset(name, data=keras.ops.convert_to_numpy(weight))
    return path


@pytest.mark.process
def test_the_published_imagenet_weights_load_from_keras_cache(tmp_path, monkeypatch):
    """In the published format by random values, which therefore are told to be others; and by a path from home."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    source = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3))
    for seed, weight in enumerate(source.weights):  # no two alike, so that none may stand for another
        weight.assign(np.random.default_rng(seed).uniform(0.5, 1, weight.shape))
    path = write_published(tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", source)
    with pytest.warns(UserWarning, match="notop.h5 is not the file that Keras publishes; it is taken as it is"):
        found = dual.build(32, stride=32, weights="imagenet").get_layer("resnet50")
    again = dual.build(32, stride=32, weights=f"~/models/{path.name}").get_layer("resnet50")
    for network in (found, again):
        for ours, theirs in zip(network.weights, source.weights, strict=True):
            assert np.array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)), theirs.path
    monkeypatch.setattr(dual, "IMAGENET_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        dual.build(32, weights="imagenet")


def test_a_broken_file_in_keras_cache_is_named_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    path = tmp_path / "models" / dual.IMAGENET
    path.parent.mkdir()
    path.write_bytes(b"half of a download")
    with (
        pytest.warns(UserWarning, match="is not the file that Keras publishes"),
        pytest.raises(
            ValueError, match="notop.h5 does not hold the weights of a ResNet50 .*: give a file as Keras pub"
        ),
    ):
        dual.build(32, weights="imagenet")
    assert path.read_bytes() == b"half of a download"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 4}, "stride is 4: choose from 8, 16, 32"),
        ({"size": 50}, "size is 50: give a multiple of 8, 32 or more"),
        ({"resnet": False, "cnn": False}, "leave at least one branch"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        dual.build(**{"size": 32} | options)
    with pytest.raises(ValueError, match="ratio is 0"):
        dual.ChannelAttention(0)
    with pytest.raises(ValueError, match="size is 4: give an odd number"):
        dual.SpatialAttention(4)


@pytest.mark.process
def test_keras_and_pytorch_work_in_one_process():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "beside_pytorch_script.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "7.0 (2,)\n"


@pytest.mark.process
def test_features_do_not_hold_what_every_layer_gives():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "features_script.py")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 600, "MB more than the prediction took"


def test_keras_is_imported_by_two_modules_only():
    """The rest of the three houses works where TensorFlow is not installed, and does not wait for it."""
    allowed = {ROOT / "whatchanged" / "models" / "dual_attention.py", ROOT / "helpers" / "keras_training.py"}
    paths = {path for house in ("whatchanged", "helpers", "course") for path in (ROOT / house).rglob("*.py")}
    assert allowed < paths
    for path in paths - allowed:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras"}, path
