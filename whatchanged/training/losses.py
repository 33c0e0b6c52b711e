"""Losses and metrics of one label and of many, and the schedule of the learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def classification(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a batch (inputs, labels), and the logits (n, classes)."""
    inputs, labels = batch
    logits = model(inputs)
    return nn.functional.cross_entropy(logits.float(), labels), logits


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the rows of `logits` (n, classes) whose largest entry is at the label: a tensor of one, 0 to 1."""
    return (logits.argmax(dim=1) == labels).float().mean()


def multi_label(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy of a batch (inputs, labels float (n, labels)), the mean over labels, and the logits."""
    inputs, labels = batch
    logits = model(inputs)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels), logits


def label_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of right answers among all yes/no labels: `logits` and `labels` (n, labels), yes above 0; a tensor of one,
    0 to 1."""
    return ((logits > 0) == (labels > 0.5)).float().mean()


def one_cycle(optimizer: torch.optim.Optimizer, steps: int, rise: float = 0.3) -> torch.optim.lr_scheduler.LRScheduler:
    """The one-cycle schedule [1]_: up to each group's rate over the first `rise` of the steps, then down to nothing.

    References
    ----------
    .. [1] Smith and Topin, Super-Convergence, 2019.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=rise)
