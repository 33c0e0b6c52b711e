"""One training loop on Accelerate for all models in PyTorch: `fit`; and `predict` after it."""

from whatchanged.training.checkpoints import KEPT_CHECKPOINTS, Keeping
from whatchanged.training.fit import fit
from whatchanged.training.history import PARTS_EVERY, History, TrainingError
from whatchanged.training.interrupted import finished, interrupted
from whatchanged.training.losses import accuracy, classification, label_accuracy, multi_label, one_cycle
from whatchanged.training.predict import predict, sigmoid, softmax
from whatchanged.training.recipe import PRECISIONS, Recipe
