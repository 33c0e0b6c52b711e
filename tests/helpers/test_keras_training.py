"""Training with Keras: the pipeline, epochs that a kill leaves, devices and their precision."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import ROOT, SCRIPTS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from helpers import datasets, keras_training, surfaces  # noqa: E402
from whatchanged.models import dual_attention as dual  # noqa: E402

keras = dual.keras


class CountedFiles(datasets.ImageFiles):
    """Counts how often a file is read."""

    def __init__(self, paths, labels, names, size):
        super().__init__(paths, labels, names, size)
        self.reads = 0

    def picture(self, index):
        self.reads += 1
        return super().picture(index)


@pytest.fixture
def data():
    made = surfaces.surfaces(0, 20, size=32)
    return datasets.Pictures(made.images, made.labels, made.names)


def gathered(found):
    images, labels = zip(*((images.numpy(), labels.numpy()) for images, labels in found), strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("kept", [False, True])
def test_the_pipeline_gives_the_images_and_reads_their_files_once(data, tmp_path, kept):
    """And no more of them than a look at a few, where an earlier run kept them."""
    folder = surfaces.write_labeled_csv(tmp_path / "set", data)
    read = datasets.labeled_csv_images(folder, 32)
    files = CountedFiles(read.paths, read.labels, read.names, 32)
    options = {"kept": tmp_path / "kept" / "train"} if kept else {}
    found = keras_training.batches(files, 8, **options)
    order = np.argsort(data.labels, kind="stable")
    for _ in range(3):
        images, labels = gathered(found)
        assert np.array_equal(images, data.images[order])
        assert labels.tolist() == data.labels[order].tolist()
    assert files.reads == 20
    assert [len(labels) for _, labels in found] == [8, 8, 4]
    if kept:
        again = gathered(keras_training.batches(files, 8, **options))[0]
        assert np.array_equal(again, data.images[order])
        assert files.reads == 23


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


@pytest.mark.process
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


@pytest.mark.process
def test_the_learning_rate_falls_by_plan(data, tmp_path):
    model = dual.build(32, resnet=False)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    options = {"validation_data": keras_training.batches(data, 8), "shuffle": False, "verbose": 0}
    model.fit(
        keras_training.batches(data, 8), epochs=3, callbacks=keras_training.callbacks(tmp_path, decay=0.5), **options
    )
    assert keras_training.epochs(tmp_path).column("learning_rate") == pytest.approx([0.01, 0.005, 0.0025])


@pytest.mark.process
@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_loss_that_becomes_nan_ends_the_training_and_is_never_the_best(tmp_path, monkeypatch, part):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    good, labels = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)
    bad = good.copy()
    bad[5, 1] = np.nan
    images, seen = (bad, good) if part == "training" else (good, bad)
    told = "the loss became nan in epoch 1, step" if part == "training" else "validation loss became nan after epoch 1"
    options = {"validation_data": (seen, labels), "batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
    with pytest.raises(ValueError, match=f"{told}.*: lower LEARNING_RATE, or look at the pictures"):
        model.fit(images, labels, callbacks=keras_training.callbacks("~/run"), **options)
    assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run" / "best.keras").exists()


def test_epochs_are_those_of_the_file_the_last_word_counts(tmp_path):
    (tmp_path / "epochs.csv").write_text("epoch,accuracy,val_accuracy\n0,0.5,0.4\n1,0.6,0.5\n1,0.7,0.6\n")
    found = keras_training.epochs(tmp_path)
    assert found.column("train_accuracy") == [0.5, 0.7]
    assert found.column("val_accuracy") == [0.4, 0.6]


@pytest.mark.process
def test_a_batch_is_divided_among_devices():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "mirrored_script.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_on_a_cpu_the_strategy_changes_nothing():
    before = keras.mixed_precision.global_policy().name
    assert keras_training.strategy().num_replicas_in_sync == 1
    assert keras.mixed_precision.global_policy().name == before == "float32"


@pytest.mark.process
@pytest.mark.parametrize(("capability", "policy"), [((9, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16")])
def test_a_gpu_computes_in_mixed_precision(monkeypatch, capability, policy):
    """With a GPU that only reports what it can; the model then trains on the CPU in that precision."""
    monkeypatch.setattr(keras_training, "GPUS", ["the only one"])
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
