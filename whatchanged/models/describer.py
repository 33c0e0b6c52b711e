"""A trained T-BLIP2, ready to say what changed between two pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from whatchanged.clusters import difference_mask
from whatchanged.devices import device
from whatchanged.files import user_path
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import OPTIONS
from whatchanged.regions import Difference, Region
from whatchanged.weights import BEST_WEIGHTS, CHECKPOINTS, whole_weights


class Describer:
    """A trained model, ready to say what changed: a function of two pictures.

    Parameters
    ----------
    folder : what `EnhancedDiffBLIP2.save_pretrained` wrote.
    **options : of its `generate`.

    Raises
    ------
    ValueError
        There is no model.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        if not (user_path(folder) / OPTIONS).is_file():
            raise ValueError(f"there is no trained model in {folder}: give the folder that its save_pretrained wrote")
        self.model, self.options = EnhancedDiffBLIP2.from_pretrained(folder).to(device()), options

    def __call__(self, before: np.ndarray, after: np.ndarray, most: int | None = None) -> str:
        """What changed between two pictures, uint8 (H, W, 3), read from the `most` strongest clusters."""
        pair = self.model.prepare(before, after, most)
        batch = {name: value[None].to(device()) for name, value in pair.items()}
        return self.model.generate(batch, **self.options)[0]

    def difference(self, before: np.ndarray, after: np.ndarray) -> Difference:
        """The clusters that the model reads, as regions of the picture before; the map as the model sees it."""
        values = self.model.prepare(before, after)["map"].numpy().astype(np.float32)
        detector, grow = self.model.diff_detector, np.array(before.shape[1::-1]) / self.model.image_size
        found = []
        for cluster in detector.clusters(values):
            x, y, width, height = np.rint(np.array(cluster.box).reshape(2, 2) * grow).astype(int).ravel().tolist()
            area, strength = round(cluster.area * grow.prod()), float(values[cluster.mask].max() / 255)
            found.append(Region(x, y, width, height, area, strength))
        mask = difference_mask(values, threshold_percentile=detector.threshold_percentile)
        return Difference("T-BLIP2", 1 - float(values.mean()) / 255, found, values / 255, mask)


def load_best_model(model: EnhancedDiffBLIP2, folder: str | Path = CHECKPOINTS) -> EnhancedDiffBLIP2:
    """The model with the weights of its best epoch.

    Parameters
    ----------
    model : changed in place.
    folder : that of the training, which keeps `best.safetensors` there; the default is the same as for training.

    Raises
    ------
    ValueError
        There is no such file, it is damaged, or it holds the weights of another model.
    """
    path = user_path(folder) / BEST_WEIGHTS
    if not path.is_file():
        raise ValueError(f"{path} does not exist: train with validation data and keep=Keeping() first")
    with whole_weights(path):
        model.load_state_dict(load_file(path))
    return model
