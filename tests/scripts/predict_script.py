"""Predictions and attention maps of a saved network, in a fresh process.

usage: predict_script.py MODEL IMAGES OUTPUT
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np

from whatchanged.models import dual_attention

model = keras.saving.load_model(sys.argv[1])
images = np.load(sys.argv[2])
np.savez(sys.argv[3], model.predict(images, verbose=0), dual_attention.attention_maps(model, images))
