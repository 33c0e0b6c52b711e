"""Channel and spatial attention against their formulas; the two-branch network built, saved and loaded elsewhere."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT, SCRIPTS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from helpers import datasets, keras_training, surfaces
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
    model.compile("adam", "binary_crossentropy", jit_compile=False)
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


def test_features_do_not_hold_what_every_layer_gives():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "features_script.py")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 600, "MB more than the prediction took"


def test_no_other_helper_imports_tensorflow():
    for path in (ROOT / "helpers").rglob("*.py"):
        if path.name == "dual_attention.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras"}, path


class Counted(datasets.Pictures):
    """Counts how often a picture is read."""

    reads = 0

    def picture(self, index):
        self.reads += 1
        return super().picture(index)


@pytest.fixture
def data():
    made = surfaces.surfaces(0, 20, size=32)
    return Counted(made.images, made.labels, made.names)


def gathered(found):
    images, labels = zip(*((images.numpy(), labels.numpy()) for images, labels in found), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_the_pipeline_gives_the_images_and_reads_them_once(data):
    found = keras_training.batches(data, 8)
    reads = data.reads
    for _ in range(3):
        images, labels = gathered(found)
        assert np.array_equal(images, data.images)
        assert labels.tolist() == data.labels.tolist()
    assert data.reads - reads == 20
    assert [len(labels) for _, labels in found] == [8, 8, 4]


def test_the_pipeline_has_no_autotuner_for_which_an_epoch_would_have_to_wait(data):
    assert keras_training.batches(data, 4, shuffle=True, augment=True).options().autotune.enabled is False


def test_the_pipeline_shuffles_anew_in_every_epoch_by_its_seed(data):
    def orders(seed):
        found = keras_training.batches(data, 8, shuffle=True, seed=seed)
        return [gathered(found)[0][:, 0, 0].tolist() for _ in range(2)]

    first, second = orders(1)
    assert first != second
    assert sorted(first) == sorted(second) == sorted(data.images[:, 0, 0].tolist())
    assert orders(1) == [first, second]
    assert orders(2) != [first, second]


def test_augmentation_depends_on_the_seed_alone(data):
    def varied(seed):
        found = keras_training.batches(data, 2, augment=True, seed=seed)
        return [gathered(found)[0] for _ in range(2)]

    (first, second), again, other = varied(1), varied(1), varied(2)
    assert np.array_equal(first, again[0])
    assert np.array_equal(second, again[1])
    assert not np.array_equal(first, second), "each epoch has its own"
    assert not np.array_equal(first, other[0])


def test_augmentation_keeps_labels_and_range(data):
    images, labels = gathered(keras_training.batches(data, 8, augment=True, seed=0))
    assert labels.tolist() == data.labels.tolist()
    assert images.min() >= 0
    assert images.max() <= 255
    changed = [not np.array_equal(a, b) for a, b in zip(images, data.images, strict=True)]
    assert np.mean(changed) > 0.5
    brighter = images.mean(axis=(1, 2, 3)) - data.images.mean(axis=(1, 2, 3))
    assert np.abs(brighter).max() < 0.1 * 255 + 1


def test_a_killed_training_goes_on_with_the_next_epoch(tmp_path):
    """In what is kept the best counts, whether before or after the kill; a run that ended begins anew."""

    def run(*arguments, expect=0):
        command = [sys.executable, str(SCRIPTS / "keras_script.py"), str(tmp_path / "run"), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stderr

    def rows():
        return [line.split(",")[0] for line in (tmp_path / "run" / "epochs.csv").read_text().splitlines()]

    run("die", expect=-signal.SIGKILL)  # in the third of four epochs
    assert rows() == ["epoch", "0", "1"]
    assert not (tmp_path / "run" / "end.weights.h5").exists()
    log = tmp_path / "run" / "epochs.csv"
    head, first, second = log.read_text().splitlines()
    place = head.split(",").index("val_accuracy")
    log.write_text(
        "\n".join([head, ",".join([*first.split(",")[:place], "2.0", *first.split(",")[place + 1 :]]), second, ""])
    )
    (tmp_path / "run" / "best.keras").write_bytes(b"the best so far")
    (tmp_path / "run" / "part.best.keras").write_bytes(b"half of a better one, which a kill cut off")
    run("resume")
    assert rows() == ["epoch", "0", "1", "2", "3"]
    assert (tmp_path / "run" / "end.weights.h5").exists()
    assert (tmp_path / "run" / "best.keras").read_bytes() == b"the best so far"
    run("resume")
    assert rows() == ["epoch", "0", "1", "2", "3"]
    assert max(keras_training.epochs(tmp_path / "run").column("val_accuracy")) <= 1
    best = keras.saving.load_model(tmp_path / "run" / "best.keras")
    assert best.output_shape == (None, 1)


def test_the_learning_rate_falls_by_plan(data, tmp_path):
    model = dual.build(32, resnet=False)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    options = {"validation_data": keras_training.batches(data, 8), "shuffle": False, "verbose": 0}
    model.fit(
        keras_training.batches(data, 8), epochs=3, callbacks=keras_training.callbacks(tmp_path, decay=0.5), **options
    )
    assert keras_training.epochs(tmp_path).column("learning_rate") == pytest.approx([0.01, 0.005, 0.0025])


def test_epochs_are_those_of_the_file_the_last_word_counts(tmp_path):
    (tmp_path / "epochs.csv").write_text("epoch,accuracy,val_accuracy\n0,0.5,0.4\n1,0.6,0.5\n1,0.7,0.6\n")
    found = keras_training.epochs(tmp_path)
    assert found.column("train_accuracy") == [0.5, 0.7]
    assert found.column("val_accuracy") == [0.4, 0.6]


def test_a_batch_is_divided_among_devices():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "mirrored_script.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_on_a_cpu_the_strategy_changes_nothing():
    before = keras.mixed_precision.global_policy().name
    assert keras_training.strategy().num_replicas_in_sync == 1
    assert keras.mixed_precision.global_policy().name == before == "float32"


@pytest.mark.parametrize(("capability", "policy"), [((9, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16")])
def test_a_gpu_computes_in_mixed_precision(monkeypatch, capability, policy):
    """With a GPU that only reports what it can; the model then trains on the CPU in that precision."""
    monkeypatch.setattr(dual, "GPUS", ["the only one"])
    found = {"compute_capability": capability}
    monkeypatch.setattr(dual.tf.config.experimental, "get_device_details", lambda gpu: found)
    try:
        assert keras_training.strategy().num_replicas_in_sync == 1
        assert keras.mixed_precision.global_policy().name == policy
        model = dual.build(32, resnet=False)
        model.compile("adam", "binary_crossentropy", jit_compile=False)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    model.fit(images, np.arange(8) % 2, verbose=0)
    assert model.get_layer("attention").compute_dtype == policy.removeprefix("mixed_")
    assert model.get_layer("cnn_input").compute_dtype == "float32", "0 to 255 needs more than eight bits"
    assert model.predict(images, verbose=0).dtype == np.float32
    assert dual.attention_maps(model, images).dtype == np.float32
