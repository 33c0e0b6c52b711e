"""Pictures with labels as a training feeds on them: one at a time, or a batch of bytes that the device normalizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from whatchanged.weights import normalized, to_tensor

Indices = Sequence[int] | np.ndarray


class PictureBatches:
    """What makes a dataset of labeled pictures: an item is (tensor, label), and `training.fit` may take whole batches.

    A subclass has `picture(index)`, a uint8 array (H, W, 3), or of a pair (2, H, W, 3); all are of one size.

    Attributes
    ----------
    labels : array (n,) or (n, names).
    resident : whether nothing is left to decode.
    """

    labels: np.ndarray
    resident = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """float32 tensor (3, H, W) or (2, 3, H, W), normalized as `to_tensor` does, and the label or labels."""
        return to_tensor(self.picture(index)), self.labels[index]

    def picture(self, index: int) -> np.ndarray:
        """The image as uint8 array (H, W, 3), or the pair as (2, H, W, 3)."""
        raise NotImplementedError

    def pictures(self, indices: Indices) -> np.ndarray:
        """Several, as one uint8 array (n, H, W, 3) or (n, 2, H, W, 3)."""
        return np.stack([self.picture(index) for index in indices])

    def batch_of(self, indices: Indices) -> tuple[Any, Any]:
        """Several with their labels, as they are sent to the device."""
        if type(self).__getitem__ is PictureBatches.__getitem__:
            return self.pictures(indices), self.labels[indices]
        from torch.utils.data import default_collate  # a kind that has an item of its own

        return tuple(default_collate([self[index] for index in indices]))

    def on_device(self, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        """What the loss gets of such a batch: bytes become what `[index]` gives."""
        return batch[0] if batch[0].is_floating_point() else normalized(batch[0]), batch[1]
