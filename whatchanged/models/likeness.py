"""Whether pictures are like those that a model learned from: of others its answer may mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import user_path, write_whole

MAY_MEAN_NOTHING = "unlike the pictures that the model learned from: what it says may mean nothing"
FILE = "likeness.safetensors"  # in the folder of a model that is one
LEARNED, HELD_OUT = 400, 500  # pictures to keep, of each a vector of 120 numbers; samples to calibrate on
NEIGHBOR = 5

_AT_MOST, _SURE = 0.05, 0.95
_STAGES = slice(2, 4)  # of Lite0: after edges, before things
_AT_ONCE = 64

Sample = Sequence[np.ndarray]
"""The pictures of one answer, uint8 (H, W, 3), as the model sees them: a pair, or a single one; all of one size."""


@dataclass(frozen=True, eq=False)
class Likeness:
    """How far pictures are from those that a model learned from, and from where on they are unlike them.

    What is compared is the mean over the picture of what two stages of an EfficientNet-Lite0 see, which ImageNet
    taught. The model's own features would not do: it has learned to overlook whatever its task does not ask for. The
    distance is that to the fifth nearest neighbor [1]_; of a pair that of the picture which is farther off.

    The limit comes from other samples of the same world by conformal calibration [2]_: with a confidence of 95 %, at
    most 5 % of further ones lie beyond it.

    Parameters
    ----------
    learned : float16 array (n, d), what was seen of pictures that the model learned from, less `center`, by `spread`.
    center, spread : float32 arrays (d,), mean and deviation of what was seen of them.
    limit : the largest distance that is not unlike.

    References
    ----------
    .. [1] Sun, Ming, Zhu and Li, Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022.
    .. [2] Vovk, Conditional Validity of Inductive Conformal Predictors, ACML 2012.
    """

    learned: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    limit: float

    @classmethod
    def of(cls, learned: Sequence[Sample], held_out: Sequence[Sample]) -> Likeness | None:
        """That of a model, or None where it cannot be known: under 59 samples are held out.

        Parameters
        ----------
        learned : samples that the model learned from; about `LEARNED` pictures are enough.
        held_out : others of the same world, from which it did not learn; about `HELD_OUT` are enough.
        """
        place = limit_rank(len(held_out))
        if place is None or not learned:
            return None
        known = seen_in([one for sample in learned for one in sample])
        center, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
        made = cls(((known - center) / spread).astype(np.float16), center, spread, np.inf)
        return replace(made, limit=float(np.sort(made.distances(held_out))[place - 1]))

    def distances(self, samples: Sequence[Sample]) -> np.ndarray:
        """How far each sample is from what was learned: float32 array (n,)."""
        seen = (seen_in([one for sample in samples for one in sample]) - self.center) / self.spread
        known = self.learned.astype(np.float32)
        nearest = min(NEIGHBOR, len(known)) - 1
        apart = [np.partition(np.linalg.norm(known - one, axis=1), nearest)[nearest] for one in seen]
        ends = np.cumsum([len(sample) for sample in samples])[:-1]
        return np.array([one.max() for one in np.split(np.array(apart, np.float32), ends)], np.float32)

    def unlike(self, *pictures: np.ndarray) -> bool:
        """Whether a sample of these pictures is beyond the limit."""
        return bool(self.distances([pictures])[0] > self.limit)

    def tensors(self, before: str = "") -> dict[str, Any]:
        """All of it as tensors; `before` stands before their names."""
        import torch

        parts = {name: getattr(self, name) for name in ("learned", "center", "spread")}
        return {before + name: torch.tensor(one) for name, one in (parts | {"limit": np.float32(self.limit)}).items()}

    @classmethod
    def of_tensors(cls, found: Mapping[str, Any], before: str = "") -> Likeness | None:
        """What `tensors` gave; None where it is not among them, as in a file of a model without it."""
        if f"{before}limit" not in found:
            return None
        learned, center, spread = (found[before + name].numpy() for name in ("learned", "center", "spread"))
        return cls(learned, center, spread, float(found[f"{before}limit"]))

    def save(self, folder: str | Path) -> Path:
        """Write it into a model's folder, whole or not at all."""
        from safetensors.torch import save

        return write_whole(user_path(folder) / FILE, save(self.tensors()))

    @classmethod
    def load(cls, folder: str | Path) -> Likeness | None:
        """What `save` wrote; None where there is no such file; ValueError where it is damaged."""
        from safetensors.torch import load_file

        from whatchanged.weights import whole_weights

        path = user_path(folder) / FILE
        if not path.is_file():
            return None
        with whole_weights(path):
            return cls.of_tensors(load_file(path))


def limit_rank(count: int) -> int | None:
    """Which of so many distances, from the nearest, is the limit; None where not even the farthest is far enough.

    Of further samples the share within the k-th of n is distributed as Beta(k, n + 1 - k). The limit is the first k of
    which that is at least 95 % with a confidence of 95 %.
    """
    from scipy.stats import beta

    places = np.arange(1, count + 1)
    enough = places[beta.sf(1 - _AT_MOST, places, count + 1 - places) >= _SURE]
    return int(enough[0]) if len(enough) else None


def evenly(count: int, most: int) -> list[int]:
    """Numbers of at most so many of `count` things, at even distances: of each folder that they came from some."""
    return sorted({*np.linspace(0, count - 1, min(count, most)).astype(int).tolist()})


def seen_in(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """What Lite0 sees of pictures of one size, uint8 (H, W, 3), over all of each: float32 array (n, 120)."""
    import torch

    from whatchanged.devices import device
    from whatchanged.weights import to_tensor

    eyes, found = _eyes(), []
    with torch.inference_mode():
        for first in range(0, len(pictures), _AT_ONCE):
            batch = to_tensor(np.stack(pictures[first : first + _AT_ONCE])).to(device())
            stages = eyes.stages(batch)[_STAGES]
            found.append(torch.cat([one.mean(dim=(2, 3)) for one in stages], dim=1).float().cpu().numpy())
    return np.concatenate(found)


@lru_cache(maxsize=1)
def _eyes() -> Any:
    from whatchanged import lite0
    from whatchanged.devices import device

    return lite0.pretrained().to(device())
