"""A trained T-BLIP2, ready to say what changed between two pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from whatchanged.clusters import difference_mask, find_clusters
from whatchanged.devices import device
from whatchanged.files import user_path
from whatchanged.models.likeness import HELD_OUT, LEARNED, Likeness, Sample, evenly
from whatchanged.models.parts import Locating
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import OPTIONS
from whatchanged.regions import Difference, Region
from whatchanged.weights import BEST_WEIGHTS, CHECKPOINTS, saved_state, whole_weights

if TYPE_CHECKING:
    from torch import Tensor

    from whatchanged.models.prepared import PreparedPairs


class Describer:
    """A trained model, ready to say what changed: a function of two pictures.

    Parameters
    ----------
    folder : what `EnhancedDiffBLIP2.save_pretrained` wrote.
    **options : of its `generate`.

    Attributes
    ----------
    likeness : which pairs are unlike those that it learned from; None where the folder does not tell.

    Raises
    ------
    ValueError
        There is no model.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        if not (user_path(folder) / OPTIONS).is_file():
            raise ValueError(f"there is no trained model in {folder}: give the folder that its save_pretrained wrote")
        self.model, self.options = EnhancedDiffBLIP2.from_pretrained(folder).to(device()), options
        self.likeness = Likeness.load(folder)

    def __call__(self, before: np.ndarray, after: np.ndarray, most: int | None = None) -> str:
        """What changed between two pictures, uint8 (H, W, 3), read from the `most` strongest clusters."""
        return self.say(before, after, most)[0]

    def say(self, before: np.ndarray, after: np.ndarray, most: int | None = None) -> tuple[str, bool | None]:
        """The same, and whether the pair is unlike those that the model learned from; None where that is not known."""
        pair = self.model.prepare(before, after, most)
        batch = {name: value[None].to(device()) for name, value in pair.items()}
        return self.model.generate(batch, **self.options)[0], self.unlike(pair)

    def unlike(self, pair: dict[str, Tensor]) -> bool | None:
        """Whether a pair, as the model's `prepare` gives it, is unlike those that it learned from; None: not known."""
        return None if self.likeness is None else self.likeness.unlike(*_sides(pair))

    def difference(self, before: np.ndarray, after: np.ndarray) -> Difference:
        """The clusters that the model reads, as regions of the picture before; the map as the model sees it.

        A detector of one's own has no clusters to show: then these are those of the map, by the model's options.
        """
        values = self.model.prepare(before, after)["map"].numpy().astype(np.float32)
        percentile = self.model.options.threshold_percentile
        mask = difference_mask(values, threshold_percentile=percentile)
        found = clusters_in(self.model, values, before.shape)
        return Difference("T-BLIP2", 1 - float(values.mean()) / 255, found, values / 255, mask)


def remember_likeness(folder: str | Path, learned: PreparedPairs, held_out: PreparedPairs) -> Likeness | None:
    """Write beside a model which pairs are unlike those that it learned from, as `Describer.say` then tells.

    Parameters
    ----------
    folder : what its `save_pretrained` wrote.
    learned : pairs that it learned from, or some of them.
    held_out : others of the same world; where there are under 59 nothing is known, and nothing written.
    """
    found = Likeness.of(_some(learned, LEARNED // 2), _some(held_out, HELD_OUT))
    if found is not None:
        found.save(folder)
    return found


def _some(pairs: PreparedPairs, most: int) -> list[Sample]:
    return [_sides(pairs.prepared[number]) for number in evenly(len(pairs), most)]


def _sides(pair: dict[str, Tensor]) -> Sample:
    """Both pictures, a little blurred: how much grain is left depends on how large they were, and tells of no world."""
    both = (pair[side].cpu().numpy().transpose(1, 2, 0) for side in ("before", "after"))
    return [cv2.GaussianBlur(one, (0, 0), 1) for one in both]


def clusters_in(model: EnhancedDiffBLIP2, values: np.ndarray, shape: tuple[int, ...]) -> list[Region]:
    """The clusters of a difference map as regions of a picture, which may be wide or high where the map is square.

    Parameters
    ----------
    values : float array (S, S), 0 to 255: "map" of the model's `prepare`.
    shape : of the picture, (H, W) or (H, W, 3).
    """
    options, detector = model.options, model.diff_detector
    how = {name: getattr(options, name) for name in ("max_clusters", "eps", "min_samples", "threshold_percentile")}
    clusters = detector.clusters(values) if isinstance(detector, Locating) else find_clusters(values, **how)
    found, grow = [], np.array(shape[1::-1]) / values.shape[::-1]
    for cluster in clusters:
        x, y, width, height = np.rint(np.array(cluster.box).reshape(2, 2) * grow).astype(int).ravel().tolist()
        area, strength = round(cluster.area * grow.prod()), float(values[cluster.mask].max() / 255)
        found.append(Region(x, y, width, height, area, strength))
    return found


def load_best_model(model: EnhancedDiffBLIP2, place: str | Path = CHECKPOINTS) -> EnhancedDiffBLIP2:
    """The model with the weights of its best epoch.

    Parameters
    ----------
    model : changed in place.
    place : folder of the training, which keeps `best.safetensors` there; the default is the same as for training. Or a
        file, as `torch.save({"model_state_dict": model.state_dict()}, file)` writes it.

    Raises
    ------
    ValueError
        There is no such file, it is damaged, or it holds the weights of another model.
    """
    path = user_path(place)
    path = path if path.is_file() else path / BEST_WEIGHTS
    if not path.is_file():
        raise ValueError(f"{path} does not exist: train with validation data and keep=Keeping() first")
    with whole_weights(path):
        model.load_state_dict(saved_state(path))
    return model
