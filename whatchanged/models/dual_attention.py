"""Two branches, a ResNet50 and a small CNN, joined and refined by channel and spatial attention; in Keras."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from helpers.loading import LabeledImages
from helpers.runtime import progress_bar, quiet_stderr

os.environ["KERAS_BACKEND"] = "tensorflow"
# TensorFlow takes oneDNN's convolutions by itself only where there is AVX-512; with AVX2 alone they are faster, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
with quiet_stderr():
    # TensorFlow and PyTorch's Triton each bring an LLVM. If TensorFlow's comes first, the second one ends the process.
    if "tensorflow" not in sys.modules:
        with suppress(ImportError):
            import triton._C.libtriton  # noqa: F401
    import keras
    import tensorflow as tf
    from keras import layers, ops

    GPUS = tf.config.list_physical_devices("GPU")

THREADS = os.cpu_count() or 1
STAGES = {8: "conv3_block4_out", 16: "conv4_block6_out", 32: "conv5_block3_out"}
BN_MOMENTUM = 0.9  # Keras' own 0.99 still remembers the random start after a hundred steps


@keras.saving.register_keras_serializable(package="course")
class ChannelAttention(layers.Layer):
    """Weighs the channels of a feature map by what the whole map holds [1]_.

    Input: float (n, h, w, c). Output: the same shape, each channel times a number between 0 and 1. Averages and largest
    values over all places go through one small network of `c / ratio` hidden values; the sigmoid of the sum is the
    weight.

    Parameters
    ----------
    ratio : how much narrower the hidden layer is, 1 or more.

    References
    ----------
    .. [1] Woo, Park, Lee and Kweon, CBAM: Convolutional Block Attention Module, ECCV 2018, section 3.1.
    """

    def __init__(self, ratio: int = 8, **options: Any) -> None:
        super().__init__(**options)
        if ratio < 1:
            raise ValueError(f"ratio is {ratio}: give 1 or more")
        self.ratio = ratio

    def build(self, shape: tuple) -> None:
        self.hidden = layers.Dense(max(1, shape[-1] // self.ratio), activation="relu", name="hidden")
        self.out = layers.Dense(shape[-1], name="out")
        self.hidden.build((None, shape[-1]))
        self.out.build((None, self.hidden.units))

    def call(self, features: Any) -> Any:
        pooled = ops.mean(features, axis=(1, 2)), ops.max(features, axis=(1, 2))
        weights = ops.sigmoid(sum(self.out(self.hidden(one)) for one in pooled))
        return features * weights[:, None, None, :]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"ratio": self.ratio}


@keras.saving.register_keras_serializable(package="course")
class SpatialAttention(layers.Layer):
    """Weighs the places of a feature map [1]_.

    Input: float (n, h, w, c). Output: the same shape, each place times a number between 0 and 1: the sigmoid of
    a convolution over the mean and the largest value of its channels. `weights_of` gives these numbers.

    The convolution begins with its middle alone, and positive: a place counts the more, the stronger its features are;
    one without any begins at a weight of 0.27. From a random beginning it may end beside the defect, or the other way
    around, and be as accurate, with a map that no one can read.

    Parameters
    ----------
    size : side of the convolution, odd.

    References
    ----------
    .. [1] Woo, Park, Lee and Kweon, CBAM: Convolutional Block Attention Module, ECCV 2018, section 3.2.
    """

    def __init__(self, size: int = 7, **options: Any) -> None:
        super().__init__(**options)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size is {size}: give an odd number, 1 or more")
        self.size = size

    def build(self, shape: tuple) -> None:
        self.convolution = layers.Conv2D(
            1,
            self.size,
            padding="same",
            activation="sigmoid",
            kernel_initializer=_middle,
            bias_initializer=keras.initializers.Constant(-1.0),
            name="convolution",
        )
        self.convolution.build((*shape[:-1], 2))

    def weights_of(self, features: Any) -> Any:
        """The weight of each place: float (n, h, w, 1), 0 to 1."""
        both = [ops.mean(features, axis=-1, keepdims=True), ops.max(features, axis=-1, keepdims=True)]
        return self.convolution(ops.concatenate(both, axis=-1))

    def call(self, features: Any) -> Any:
        return features * self.weights_of(features)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size}


def _middle(shape: tuple, dtype: Any = None) -> Any:
    """A convolution that takes half of the middle place of each channel, and nothing around it."""
    kernel = np.zeros(shape, np.float32)
    kernel[shape[0] // 2, shape[1] // 2] = 0.5
    return ops.convert_to_tensor(kernel, dtype=dtype)


@keras.saving.register_keras_serializable(package="course")
class GlobalAttention(layers.Layer):
    """Channel attention, then spatial attention, as CBAM orders them.

    Input and output: float (n, h, w, c).

    Parameters
    ----------
    ratio, size : of `ChannelAttention` and `SpatialAttention`.
    """

    def __init__(self, ratio: int = 8, size: int = 7, **options: Any) -> None:
        super().__init__(**options)
        self.channel, self.spatial = ChannelAttention(ratio), SpatialAttention(size)

    def build(self, shape: tuple) -> None:
        self.channel.build(shape)
        self.spatial.build(shape)

    def call(self, features: Any) -> Any:
        return self.spatial(self.channel(features))

    def map_of(self, features: Any) -> Any:
        """The spatial weights: float (n, h, w), 0 to 1."""
        return self.spatial.weights_of(self.channel(features))[..., 0]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"ratio": self.channel.ratio, "size": self.spatial.size}


@keras.saving.register_keras_serializable(package="course")
class ImageNetInput(layers.Layer):
    """What the ImageNet weights of `keras.applications.ResNet50` expect: BGR, 0 to 255, less the mean color.

    Input: float (n, h, w, 3), RGB, 0 to 255. The same as `keras.applications.resnet50.preprocess_input`; as a layer it
    is part of the saved model, so that nobody can forget it or do it twice.
    """

    MEAN_BGR = (103.939, 116.779, 123.68)

    def call(self, images: Any) -> Any:
        return images[..., ::-1] - ops.convert_to_tensor(self.MEAN_BGR, dtype=images.dtype)


def build(
    size: int,
    *,
    resnet: bool = True,
    cnn: bool = True,
    attention: bool = True,
    stride: int = 8,
    weights: str | None = None,
    dropout: float = 0.3,
) -> keras.Model:
    """The two-branch classifier, or a part of it for comparison.

    Input: float (n, size, size, 3), RGB, 0 to 255; each branch scales it as it needs. Output: float32 (n, 1), the
    probability of class 1.

    Parameters
    ----------
    size : side of the images, pixels, a multiple of `stride`.
    resnet, cnn : which branches there are, at least one.
    attention : refine the joined features by `GlobalAttention`, a layer named "attention".
    stride : where the ResNet50 is cut: 8, 16 or 32 (its last convolutional block).
    weights : "imagenet" (a download of 95 MB, once), the path of a `.weights.h5` or `.h5` file of a ResNet50 without
        top, or None.
    dropout : before the last layer, 0 to 1.

    Raises
    ------
    ConnectionError
        The ImageNet weights are neither on disk nor to be had. It never falls back to random weights.
    ValueError, FileNotFoundError
        An argument is out of range, or there are no such weights.
    """
    if stride not in STAGES:
        raise ValueError(f"stride is {stride}: choose from {', '.join(map(str, STAGES))}")
    if size < 32 or size % stride:
        raise ValueError(f"size is {size}: give a multiple of {stride}, 32 or more")
    if not (resnet or cnn):
        raise ValueError("resnet and cnn are both False: leave at least one branch")
    images = keras.Input((size, size, 3), name="images")
    branches = []
    if resnet:
        branches.append(_resnet(size, stride, weights)(ImageNetInput(dtype="float32", name="imagenet_input")(images)))
    if cnn:
        branches.append(_custom_cnn(images, stride))
    features = layers.Concatenate(name="join")(branches) if len(branches) > 1 else branches[0]
    if attention:
        # The 7 x 7 of CBAM would span nearly the whole of a map of 8 x 8 places.
        features = GlobalAttention(size=3, name="attention")(features)
    pooled = [layers.GlobalAveragePooling2D(name="mean")(features), layers.GlobalMaxPooling2D(name="max")(features)]
    vector = layers.Dropout(dropout)(layers.Concatenate(name="pooled")(pooled))
    answer = layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(vector)
    return keras.Model(images, answer, name="dual_attention")


def load(path: str | Path) -> keras.Model:
    """A network from a `.keras` file, preprocessing included. Code that such a file may hold is not run.

    Raises
    ------
    ValueError
        There is no such file, or it is not one that Keras wrote.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path} does not exist: give the .keras file of a trained network")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what Keras raises depends on how the file is broken
        raise ValueError(f"{path} is not a .keras file that can be read: save one with model.save(path)") from error


def attention_maps(model: keras.Model, images: Any) -> np.ndarray:
    """Where the network looks: float32 array (n, size, size), 0 to 1, the weights of its spatial attention.

    The weights are few, one for `stride` x `stride` pixels: in both branches place (i, j) is centered on pixel
    (i * stride, j * stride). Between these pixels they are interpolated.

    Parameters
    ----------
    model : built with `attention=True`, or loaded from a file.
    images : float array (n, size, size, 3), RGB, 0 to 255.
    """
    layer = model.get_layer("attention")
    weights = layer.map_of(ops.convert_to_tensor(features(model, "attention", images)))
    return enlarged(ops.convert_to_numpy(ops.cast(weights, "float32")), images.shape[1])


def features(model: keras.Model, layer: str, images: Any, batch_size: int = 100) -> np.ndarray:
    """What goes into the layer of this name: float32 array (n, h, w, c).

    Parameters
    ----------
    images : float array (n, size, size, 3), RGB, 0 to 255.
    """
    part = keras.Model(model.input, model.get_layer(layer).input)
    # Not part(group), which holds what every layer gives until the last: a gigabyte for 100 pictures of 64 pixels.
    found = [part.predict_on_batch(group) for group in _groups(images, batch_size)]
    return np.concatenate(found).astype(np.float32)


def predict(model: keras.Model, images: Any, batch_size: int = 100) -> np.ndarray:
    """Probabilities of class 1: float32 array (n,). `model.predict` gives the same, and autotunes a pipeline for it.

    Parameters
    ----------
    images : float array (n, size, size, 3), RGB, 0 to 255.
    """
    return np.concatenate([model.predict_on_batch(group)[:, 0] for group in _groups(images, batch_size)])


def _groups(images: Any, size: int) -> Iterator[Any]:
    return (images[start : start + size] for start in range(0, len(images), size))


def enlarged(maps: np.ndarray, size: int) -> np.ndarray:
    """Maps of the branches' places, interpolated between the pixels that they are centered on.

    Parameters
    ----------
    maps : float array (n, size / stride, size / stride).
    size : of the images, pixels.

    Returns
    -------
    float32 array (n, size, size).
    """
    places = np.arange(size, dtype=np.float32) * maps.shape[1] / size
    across, down = np.meshgrid(places, places)
    return np.stack([cv2.remap(one, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in maps])


def _resnet(size: int, stride: int, weights: str | None) -> keras.Model:
    """ResNet50 up to a stage. From random weights each of its blocks begins as the identity, which trains faster."""
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise FileNotFoundError(f"weights is {weights!r}: use 'imagenet', None, or a file that exists")
    try:
        whole = keras.applications.ResNet50(include_top=False, weights=weights, input_shape=(size, size, 3))
    except Exception as error:  # keras raises a plain Exception where the download fails
        if weights != "imagenet":
            raise ValueError(f"{weights} does not hold the weights of a ResNet50 without its top") from error
        raise ConnectionError(
            "the ImageNet weights of ResNet50 are not on this machine and could not be downloaded: connect to the"
            " network once, or give the path of a file of weights, or None"
        ) from error
    if weights is None:
        for layer in whole.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = BN_MOMENTUM
            if layer.name.endswith("_3_bn"):
                layer.gamma.assign(ops.zeros_like(layer.gamma))
    return keras.Model(whole.input, whole.get_layer(STAGES[stride]).output, name="resnet50")


def _custom_cnn(images: Any, stride: int) -> Any:
    """Blocks of two convolutions side by side, 3 x 3 and 5 x 5, whose outputs are joined: (n, h, w, filters)."""
    features = layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="cnn_input")(images)
    filters, reached = 16, 1
    while reached < stride:
        pair = [
            layers.Conv2D(filters, side, padding="same", use_bias=False, name=f"cnn_{filters}_{side}x{side}")(features)
            for side in (3, 5)
        ]
        features = layers.Concatenate(name=f"cnn_{filters}_join")(pair)
        features = layers.BatchNormalization(momentum=BN_MOMENTUM, name=f"cnn_{filters}_bn")(features)
        features = layers.ReLU(name=f"cnn_{filters}_relu")(features)
        # Padded and pooled as ResNet50 does it, so that the maps of both branches lie on each other.
        features = layers.ZeroPadding2D(name=f"cnn_{filters}_pad")(features)
        features = layers.MaxPooling2D(3, strides=2, name=f"cnn_{filters}_pool")(features)
        filters, reached = 2 * filters, 2 * reached
    return features


def batches(
    data: LabeledImages, batch_size: int, *, shuffle: bool = False, augment: bool = False, seed: int = 0
) -> tf.data.Dataset:
    """The images as a pipeline: read in parallel, kept in memory, shuffled, varied on the fly, prepared ahead.

    Parameters
    ----------
    data : images with the labels 0 and 1, as `loading.labeled_csv_images` or `loading.Pictures`.
    batch_size : 1 or more.
    shuffle : another order in every epoch.
    augment : mirror each image at random, upright and sideways, and make it brighter or darker by up to a tenth.
    seed : of both.

    Returns
    -------
    tf.data.Dataset
        Batches of (float32 (n, h, w, 3), RGB, 0 to 255; float32 (n,)).
    """
    shape = data.picture(0).shape

    def read(index: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.numpy_function(lambda place: data.picture(int(place)), [index], tf.uint8, stateful=False)
        return tf.ensure_shape(image, shape), label

    found = tf.data.Dataset.from_tensor_slices((np.arange(len(data)), data.labels.astype(np.float32)))
    found = found.map(read, num_parallel_calls=THREADS).cache()
    if shuffle:
        found = found.shuffle(len(data), seed=seed, reshuffle_each_iteration=True)
    found = found.batch(batch_size).map(lambda images, labels: (tf.cast(images, tf.float32), labels))
    if augment:
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        found = tf.data.Dataset.zip(found, seeds).map(_varied, num_parallel_calls=THREADS)
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


class Progress(keras.callbacks.Callback):
    """One line of text while a model trains, which is gone afterwards."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._open = ExitStack()
        self._bar = self._open.enter_context(progress_bar(self.params["epochs"] * (self.params["steps"] or 0)))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._bar.update(epoch * (self.params["steps"] or 0) - self._bar.n)
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._bar.set_postfix_str(f"epoch {self._epoch}, loss {logs['loss']:.3f}", refresh=False)
        self._bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._open.close()


class WholeCheckpoint(keras.callbacks.ModelCheckpoint):
    """Keras' own, but the file is the old one or the new one, even where a kill cuts off the saving."""

    def __init__(self, path: str | Path, **options: Any) -> None:
        self.whole = Path(path)
        self.part = self.whole.with_name(f"part.{self.whole.name}")  # Keras goes by the suffix
        super().__init__(self.part, **options)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.part.unlink(missing_ok=True)
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.part.exists():
            os.replace(self.part, self.whole)


def callbacks(
    folder: str | Path, *, patience: int = 10, rate_patience: int = 3, decay: float = 1.0, resume: bool = False
) -> list[keras.callbacks.Callback]:
    """What watches the training: Keras' own callbacks, a line of progress, and a best model that is always whole.

    The learning rate falls to a fifth where the validation loss stands still; the weights of the best validation
    accuracy are kept in `best.keras`; training stops when the validation loss was not better for `patience` epochs;
    `epochs.csv` holds a row an epoch.

    Parameters
    ----------
    folder : of this run and no other; made where it is missing.
    patience, rate_patience : epochs, 1 or more.
    decay : what the learning rate is multiplied by before each epoch but the first. Below 1 for runs too short for
        a plateau to show.
    resume : let a run that was killed go on with the epoch after the last whole one, with the same arguments; it counts
        its patience anew. A run that ended, and any run without it, begins from the start.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (resume and (folder / "backup" / "training_metadata.json").is_file()):
        shutil.rmtree(folder / "backup", ignore_errors=True)
        for old in ("epochs.csv", "best.keras"):
            (folder / old).unlink(missing_ok=True)
    done = (folder / "epochs.csv").is_file()
    best = max(epochs(folder).column("val_accuracy")) if done else None
    # A row is written after what it tells of, and the backup last: whatever a kill cuts off is done again.
    return [
        WholeCheckpoint(
            folder / "best.keras", monitor="val_accuracy", save_best_only=True, initial_value_threshold=best
        ),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * decay if epoch else rate),
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=rate_patience),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience),
        keras.callbacks.CSVLogger(folder / "epochs.csv", append=True),
        keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True),
        Progress(),
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

    rows = pandas.read_csv(Path(folder) / "epochs.csv").drop_duplicates("epoch", keep="last")
    return Epochs(rows.to_dict("list"))
