"""A training whose batches are divided among two devices: both copies must be the same in the end."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras  # noqa: E402  the devices are divided first
import numpy as np  # noqa: E402

from helpers import keras_training, surfaces  # noqa: E402
from whatchanged.models import dual_attention  # noqa: E402

data = surfaces.surfaces(0, 96, size=32)
keras.utils.set_random_seed(0)
strategy = keras_training.strategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = dual_attention.build(32, resnet=False)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
history = model.fit(keras_training.batches(data, 16), epochs=4, shuffle=False, verbose=0).history
copies = [variable.numpy() for variable in strategy.experimental_local_results(model.trainable_variables[0].value)]
assert len(copies) == strategy.num_replicas_in_sync == 2
assert np.array_equal(*copies)
assert history["loss"][-1] < history["loss"][0]
