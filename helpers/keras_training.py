"""What Keras' own `fit` needs beside the model: `tf.data` batches, all GPUs, callbacks that keep and resume."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.datasets import LabeledImages
from whatchanged.files import user_path
from whatchanged.models.dual_attention import CORES, GPUS, keras, tf
from whatchanged.models.keras_callbacks import FiniteLoss, TextBar, WholeCheckpoint


def batches(
    data: LabeledImages,
    batch_size: int,
    *,
    shuffle: bool = False,
    augment: bool = False,
    seed: int = 0,
    kept: str | Path | None = None,
) -> tf.data.Dataset:
    """The images as a pipeline: read once, shuffled by number, taken a batch at a time, varied, prepared ahead.

    Parameters
    ----------
    data : images with the labels 0 and 1, as `datasets.labeled_csv_images` or `datasets.Pictures`.
    batch_size : 1 or more.
    shuffle : another order in every epoch.
    augment : mirror each image at random, upright and sideways, and make it brighter or darker by up to a tenth.
    seed : of both.
    kept : where files that were read are kept for the next run, as in `LabeledImages.on_disk`; None is in memory.

    Returns
    -------
    tf.data.Dataset
        Batches of (float32 (n, h, w, 3), RGB, 0 to 255; float32 (n,)).
    """
    images = data if data.resident else data.in_memory() if kept is None else data.on_disk(kept)
    shape = images.picture(0).shape

    def read(indices: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.numpy_function(images.pictures, [indices], tf.uint8, stateful=False)
        return tf.cast(tf.ensure_shape(found, (None, *shape)), tf.float32), labels

    found = tf.data.Dataset.from_tensor_slices((np.arange(len(data)), data.labels.astype(np.float32)))
    if shuffle:
        found = found.shuffle(len(data), seed=seed, reshuffle_each_iteration=True)
    found = found.batch(batch_size).map(read, num_parallel_calls=CORES)
    if augment:
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        found = tf.data.Dataset.zip(found, seeds).map(_varied, num_parallel_calls=CORES)
    fixed = tf.data.Options()
    fixed.autotune.enabled = False  # its thread can hold up the end of an epoch for as long as the epoch took
    return found.prefetch(2).with_options(fixed)


def _varied(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Chance comes from the batch's own seed: a generator shared by threads would depend on who comes first."""
    images, labels = batch
    images = tf.image.stateless_random_flip_left_right(images, seed)
    images = tf.image.stateless_random_flip_up_down(images, seed + 1)
    light = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed + 2, -25.5, 25.5)
    return tf.clip_by_value(images + light, 0, 255), labels


def strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """How to compute: build and compile the model within `with strategy().scope():`.

    On a CPU it changes nothing. With a GPU, models built from now on compute in mixed precision: in bfloat16 where the
    GPU does, else in float16, for which Keras scales the loss. With several GPUs each holds the model, and a batch is
    divided among them: give as many times the batch size.

    Parameters
    ----------
    devices : to divide batches among, as "GPU:0"; None takes all GPUs.
    """
    if GPUS:
        capable = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in GPUS]
        keras.mixed_precision.set_global_policy("mixed_bfloat16" if min(capable) >= (8, 0) else "mixed_float16")
    several = devices is not None or len(GPUS) > 1
    return tf.distribute.MirroredStrategy(devices) if several else tf.distribute.get_strategy()


def callbacks(
    folder: str | Path, *, patience: int = 10, rate_patience: int = 3, decay: float = 1.0, resume: bool = False
) -> list[keras.callbacks.Callback]:
    """What watches the training: Keras' own callbacks, a line of progress, and a best model that is always whole.

    The learning rate falls to a fifth where the validation loss stands still; the weights of the best validation
    accuracy are kept in `best.keras`; training stops when the validation loss was not better for `patience` epochs;
    `epochs.csv` holds a row an epoch. A loss that becomes NaN or infinite is a ValueError.

    Parameters
    ----------
    folder : of this run and no other; made where it is missing.
    patience, rate_patience : epochs, 1 or more.
    decay : what the learning rate is multiplied by before each epoch but the first. Below 1 for runs too short for
        a plateau to show.
    resume : let a run that was killed go on with the epoch after the last whole one, with the same arguments; it counts
        its patience anew. A run that ended, and any run without it, begins from the start.
    """
    folder = user_path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (resume and (folder / "backup" / "training_metadata.json").is_file()):
        shutil.rmtree(folder / "backup", ignore_errors=True)
        for old in ("epochs.csv", "best.keras"):
            (folder / old).unlink(missing_ok=True)
    done = (folder / "epochs.csv").is_file()
    best = max(epochs(folder).column("val_accuracy")) if done else None
    # A row is written after what it tells of, and the backup last: whatever a kill cuts off is done again.
    return [
        FiniteLoss(),
        WholeCheckpoint(
            folder / "best.keras", monitor="val_accuracy", save_best_only=True, initial_value_threshold=best
        ),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * decay if epoch else rate),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=rate_patience),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience),
        keras.callbacks.CSVLogger(folder / "epochs.csv", append=True),
        keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True),
        TextBar(),
    ]


@dataclass(frozen=True)
class Epochs:
    """What `epochs.csv` holds, to be drawn by `plotting.training_curves`."""

    columns: dict[str, list[float]]

    def column(self, name: str) -> list[float]:
        """One value of each epoch, as "val_accuracy" or "train_accuracy"."""
        return self.columns[name.removeprefix("train_")]


def epochs(folder: str | Path) -> Epochs:
    """The epochs of a run, also one that was killed and resumed, from the folder that `callbacks` was given."""
    import pandas

    rows = pandas.read_csv(user_path(folder) / "epochs.csv").drop_duplicates("epoch", keep="last")
    return Epochs(rows.to_dict("list"))
