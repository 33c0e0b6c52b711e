"""Two branches, a ResNet50 and a small CNN, joined and refined by channel and spatial attention; in Keras."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from whatchanged.devices import quiet_stderr
from whatchanged.files import user_path

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

tf.get_logger().setLevel("ERROR")  # it advises on each new shape that a model is asked about


CORES = os.cpu_count() or 1
_STAGES = {8: "conv3_block4_out", 16: "conv4_block6_out", 32: "conv5_block3_out"}
IMAGENET = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"  # as keras.applications names and caches it
IMAGENET_MD5 = "4d473c1dd8becc155b73f8504c6f6626"
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
    weights: str | Path | None = None,
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
    if stride not in _STAGES:
        raise ValueError(f"stride is {stride}: choose from {', '.join(map(str, _STAGES))}")
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
    path = user_path(path)
    if not path.is_file():
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


def _resnet(size: int, stride: int, weights: str | Path | None) -> keras.Model:
    """ResNet50 up to a stage. From random weights each of its blocks begins as the identity, which trains faster."""
    path = None if weights is None else _weights_file(weights)
    whole = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(size, size, 3))
    if path is not None:
        _load(whole, path)
    else:
        for layer in whole.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = BN_MOMENTUM
            if layer.name.endswith("_3_bn"):
                layer.gamma.assign(ops.zeros_like(layer.gamma))
    return keras.Model(whole.input, whole.get_layer(_STAGES[stride]).output, name="resnet50")


def _weights_file(weights: str | Path) -> Path:
    """A file of weights: the one that is named, or that of ImageNet in Keras' cache, downloaded if it is not there."""
    if str(weights) != "imagenet":
        path = user_path(weights)
        if not path.is_file():
            raise FileNotFoundError(f"weights is {str(weights)!r}: use 'imagenet', None, or a file that exists")
        return path
    address = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/" + IMAGENET
    try:
        # Not by `file_hash`: where it differs and there is no network, Keras deletes the file that it finds.
        path = Path(keras.utils.get_file(IMAGENET, address, cache_subdir="models"))
    except Exception as error:  # keras raises a plain Exception where the download fails
        raise ConnectionError(
            f"the ImageNet weights of ResNet50 are not on this machine and could not be downloaded: connect to the"
            f" network once, put {IMAGENET} into models/ of Keras' folder (~/.keras), or give the path of a file of"
            " weights, or None"
        ) from error
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != IMAGENET_MD5:
        warnings.warn(f"{path} is not the file that Keras publishes; it is taken as it is", stacklevel=4)
    return path


def _load(model: keras.Model, path: Path) -> None:
    try:
        model.load_weights(path)
    except Exception as error:  # what Keras raises depends on how the file is broken
        raise ValueError(
            f"{path} does not hold the weights of a ResNet50 without its top: give a file as Keras publishes it, whose"
            " name ends in notop.h5, or delete this one to have it downloaded by 'imagenet'"
        ) from error


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
