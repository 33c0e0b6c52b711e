"""A short training with Keras in its own process, for the tests that kill it and resume it.

usage: keras_script.py FOLDER [resume] [die]
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras

from helpers import keras_training, surfaces
from whatchanged.models import dual_attention

data = surfaces.surfaces(0, 48, size=32)
keras.utils.set_random_seed(0)
model = dual_attention.build(32, resnet=False)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"], jit_compile=False)
folder, die = sys.argv[1], "die" in sys.argv
watch = keras_training.callbacks(folder, resume="resume" in sys.argv)
if die:
    watch.append(
        keras.callbacks.LambdaCallback(
            on_batch_begin=lambda batch, logs: model.optimizer.iterations == 13 and os.kill(os.getpid(), signal.SIGKILL)
        )
    )
options = {"validation_data": keras_training.batches(data, 8), "epochs": 4, "verbose": 0, "callbacks": watch}
model.fit(keras_training.batches(data, 8, shuffle=True), **options)
model.save_weights(os.path.join(folder, "end.weights.h5"))
