"""One training loop on Accelerate for every notebook in PyTorch: `fit`; and `predict` after it."""

from helpers.training.checkpoints import KEPT_CHECKPOINTS
from helpers.training.fit import PRECISIONS, fit
from helpers.training.history import PARTS_EVERY, History, TrainingError
from helpers.training.losses import accuracy, classification, label_accuracy, multi_label, one_cycle
from helpers.training.predict import classify_folder, predict, predict_folder, predict_pairs, sigmoid, softmax

__all__ = [
    "History",
    "KEPT_CHECKPOINTS",
    "PARTS_EVERY",
    "PRECISIONS",
    "TrainingError",
    "accuracy",
    "classification",
    "classify_folder",
    "fit",
    "label_accuracy",
    "multi_label",
    "one_cycle",
    "predict",
    "predict_folder",
    "predict_pairs",
    "sigmoid",
    "softmax",
]
