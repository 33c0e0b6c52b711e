"""What notebooks 02 and 04 measure on real photographs, by their own cells."""

from __future__ import annotations

import notebook_checks as checks
import numpy as np
import pytest
import torch
from scipy.stats import betabinom, fisher_exact
from support import NOTEBOOKS, read_notebook
from test_first_cells import begin

from helpers import keras_training, surfaces
from whatchanged.models import dual_attention, resnet18

pytestmark = [pytest.mark.real, pytest.mark.slow]


def go_on(names: dict, *begun: str, number: str = "02") -> None:
    """Execute the cells that hold these words, in the names that earlier ones left."""
    cells = checks.code_cells(read_notebook(next(path for path in NOTEBOOKS if path.name.startswith(number))))
    for words in begun:
        (cell,) = [cell for cell in cells if words in cell.source]
        exec(compile(cell.source, cell.id, "exec"), names)


@pytest.fixture
def names(real_data, tmp_path):
    made = begin("02", tmp_path, REAL=str(real_data))
    made |= {"nn": torch.nn}
    go_on(made, "def patches(")
    return made


def test_sound_tiles_alone_tell_those_with_a_defect(names):
    """Rejected sound tiles are as many as the calibration by 60 others allows; 58 of 61 ranks lie below the limit."""
    go_on(names, "def odds(", "def tiles(")
    assert names["auroc"].low > 0.5, "guessing"
    odd, labels, limit = (names[name] for name in ("odd", "labels", "limit"))
    low, high = betabinom((labels == 0).sum(), 61 - 58, 58).interval(0.95)
    assert low <= (odd[labels == 0] > limit).sum() <= high
    table = [[(odd[labels == label] > limit).sum(), (odd[labels == label] <= limit).sum()] for label in (1, 0)]
    assert fisher_exact(table, alternative="greater").pvalue < 0.01


def test_brick_walls_by_what_frozen_networks_see(names):
    """ImageNet is worth at least five points, in each draw of the folds; crops of one wall on both sides flatter."""
    names |= {"pretrained": resnet18.build(12), "display": lambda table: None}
    go_on(names, "def own(", "def statistics(", "def headless(")
    shares = {name: np.array(each) for name, each in names["each"].items()}
    assert shares["Lite0, ImageNet"].min() >= shares["Lite0, random"].max() + 0.05
    assert shares["Lite0, ImageNet"].min() >= shares["six simple statistics"].max() + 0.05
    assert abs(shares["six simple statistics"].mean() - shares["Lite0, random"].mean()) < 0.02
    assert shares["crops, at random"].mean() > shares["crops, by walls"].mean()


def test_brick_walls_by_a_network_that_learned_generated_ones(real_data, tmp_path):
    """Unseen it ranks them well above chance; frozen it is as good as random weights, and both beat darkness."""
    keras = dual_attention.keras
    made = begin("04", tmp_path, REAL=str(real_data)) | {"display": lambda table: None}
    keras.utils.set_random_seed(0)
    made["model"] = dual_attention.build(64)
    made["model"].compile("adam", "binary_crossentropy", jit_compile=False)
    learned = surfaces.surfaces(0, 1600, size=64)
    flow = keras_training.batches(learned, 16, shuffle=True, augment=True)
    made["model"].fit(flow, epochs=3, shuffle=False, verbose=0)
    go_on(made, "three dark values", number="04")
    assert made["score"].roc_auc.low > 0.75
    shares = {name: np.mean(each) for name, each in made["each"].items()}
    assert shares["trained on generated walls"] > shares["three dark values"] + 0.03
    assert abs(shares["trained on generated walls"] - shares["random weights"]) < 0.03
