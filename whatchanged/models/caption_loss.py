"""The loss of T-BLIP2 and its augmentation: captions, matching, contrast and words, each with its weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

ITC_SCHEDULE = ((0, 1.5), (4, 1.0), (8, 0.7))  # from this epoch on, counted from 0, this weight


def flipped(batch: dict) -> dict:
    """A batch of what `prepare` gave, by chance every second pair upside down, clusters and all: for training, where no
    caption tells above from below.

    Features that were kept cannot be flipped: pairs that have them are refused.
    """
    if "features" in batch:
        raise ValueError(
            "these pairs come with the features of a frozen encoder, which cannot be flipped: do not augment"
        )
    out, over = dict(batch), torch.randint(2, (len(batch["map"]),), device=batch["map"].device).bool()
    for name in ("before", "after", "map"):
        out[name] = batch[name].clone()
        out[name][over] = batch[name][over].flip(-2)
    if "squares" not in batch:  # the detector looks for itself
        return out
    side, over = batch["map"].shape[-1], (over[:, None] & batch["present"])[..., None]
    x1, y1, x2, y2 = batch["squares"].unbind(-1)
    out["squares"] = torch.where(over, torch.stack([x1, side - y2, x2, side - y1], -1), batch["squares"])
    x, y, *rest = batch["geometry"].unbind(-1)
    out["geometry"] = torch.where(over, torch.stack([x, 1 - y, *rest], -1), batch["geometry"])
    return out


class CaptionLoss:
    """The model's losses as one, for a training loop.

    A batch is what `prepare` gives, with "caption", a sentence each, and, if there is one, "meaning": numbers; pairs of
    which the same captions are true share one. Without it those are alike whose captions are equal.

    Parameters
    ----------
    lm, words : weights.
    itm : weight; None is the model's own `aln_weight_itm`, as it is at each step.
    itc : weight by epoch: pairs of (from this epoch on, weight), epochs counted from 0; None is the model's own
        `aln_weight_itc`, as it is at each step.
    """

    def __init__(
        self,
        lm: float = 1.0,
        itm: float | None = None,
        itc: Sequence[tuple[int, float]] | None = None,
        words: float = 1.0,
    ) -> None:
        self.lm, self.itm, self.itc, self.words, self.epoch = lm, itm, itc, words, 0

    def start_epoch(self, epoch: int) -> None:
        """Told by the loop before each epoch, counted from 0."""
        self.epoch = epoch

    def weights(self, model: Any) -> dict[str, float]:
        """Of each loss in the present epoch."""
        weights = model.loss_weights() | {"lm": self.lm, "words": self.words}
        if self.itm is not None:
            weights["itm"] = self.itm
        if self.itc is not None:
            weights["itc"] = [weight for at, weight in self.itc if at <= self.epoch][-1]
        return weights

    def __call__(self, model: nn.Module, batch: dict) -> tuple[Tensor, None, dict[str, Tensor]]:
        meaning = batch.get("meaning")
        same = None if meaning is None else meaning[:, None] == meaning
        out = model(batch, captions=batch["caption"], return_loss=True, same=same)
        heads: Any = getattr(model, "module", model)  # what several processes train lies in a wrapper
        weights = self.weights(heads)
        loss = sum(weights[name] * value for name, value in out.parts.items())
        parts = out.parts | {"itm_accuracy": out.matched.itm_accuracy, "itc_recall": out.matched.recall}
        parts |= {"temperature": heads.temperature, "itc_temperature": heads.matching.temperature}
        return loss, None, {name: value.detach() for name, value in parts.items()}
