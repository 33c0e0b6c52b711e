"""Channel and spatial attention against their formulas; the two-branch network built, saved and loaded elsewhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras  # noqa: E402

from helpers.models import dual_attention as dual  # noqa: E402


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


def test_the_input_of_imagenet_is_that_of_keras():
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet50.preprocess_input(images.copy())
    assert keras.ops.convert_to_numpy(dual.ImageNetInput()(images)) == pytest.approx(expected, abs=1e-4)


PREDICT = """
import sys, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, keras
from helpers.models import dual_attention
model = keras.saving.load_model(sys.argv[1])
images = np.load(sys.argv[2])
np.savez(sys.argv[3], model.predict(images, verbose=0), dual_attention.attention_maps(model, images))
"""


def test_a_saved_model_predicts_the_same_in_a_fresh_process(tmp_path):
    keras.utils.set_random_seed(0)
    model = dual.build(32)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    model.compile("adam", "binary_crossentropy")
    model.fit(images, np.arange(8) % 2, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    files = [str(tmp_path / name) for name in ("model.keras", "images.npy", "out.npz")]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = np.load(files[2])
    assert found["arr_0"] == pytest.approx(model.predict(images, verbose=0), abs=1e-6)
    maps = dual.attention_maps(model, images)
    assert maps.shape == (8, 4, 4)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert found["arr_1"] == pytest.approx(maps, abs=1e-6)


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

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    with pytest.raises(ConnectionError, match="ImageNet weights of ResNet50 are not on this machine"):
        dual.build(32, weights="imagenet")


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


def test_no_other_helper_imports_tensorflow():
    for path in (ROOT / "helpers").rglob("*.py"):
        if path.name == "dual_attention.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras"}, path
