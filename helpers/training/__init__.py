"""One training loop on Accelerate for every notebook in PyTorch: `fit`; and `predict` after it."""

from helpers.training.checkpoints import KEPT_CHECKPOINTS, Keeping
from helpers.training.fit import fit
from helpers.training.history import PARTS_EVERY, History, TrainingError
from helpers.training.losses import accuracy, classification, label_accuracy, multi_label, one_cycle
from helpers.training.predict import classify_folder, predict, predict_folder, predict_pairs, sigmoid, softmax
from helpers.training.recipe import PRECISIONS, Recipe
