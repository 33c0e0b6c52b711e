"""Prints how many MB more the features took than a prediction."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import resource

import numpy as np

from whatchanged.models import dual_attention


def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


model, images = dual_attention.build(64), np.zeros((100, 64, 64, 3), "f4")
dual_attention.predict(model, images)
before = most()
dual_attention.features(model, "attention", images)
print(most() - before)
