"""What notebook 02 measures on real photographs, by its own cells."""

from __future__ import annotations

import notebook_checks as checks
import numpy as np
import pandas
import pytest
import torch
from scipy.stats import betabinom, fisher_exact
from support import NOTEBOOKS, read_notebook
from test_first_cells import begin

from whatchanged.models import resnet18

pytestmark = [pytest.mark.real, pytest.mark.slow]


def go_on(names: dict, *begun: str) -> None:
    """Execute the cells that hold these words, in the names that earlier ones left."""
    cells = checks.code_cells(read_notebook(next(path for path in NOTEBOOKS if path.name.startswith("02"))))
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
    names |= {"pretrained": resnet18.build(12), "pandas": pandas, "display": lambda table: None}
    go_on(names, "def headless(", "walls = real")
    shares = {name: np.array(each) for name, each in names["each"].items()}
    assert shares["Lite0, ImageNet"].min() >= shares["Lite0, random"].max() + 0.05
    assert shares["crops, at random"].mean() > shares["crops, by walls"].mean()
