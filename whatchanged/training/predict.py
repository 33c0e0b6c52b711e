"""A trained model asked: outputs and probabilities of a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from whatchanged.devices import autocast


@torch.inference_mode()
def predict(
    model: nn.Module, dataset: Any, *, batch_size: int = 200, precision: str | None = None, workers: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels of a dataset, in its order, with the model in evaluation mode on the device it lies on.

    Parameters
    ----------
    precision : "fp32", "bf16", or None for the best of the device.
    workers : processes that load data.

    Returns
    -------
    outputs : float32 array (n, classes), logits.
    labels : array (n, ...).
    """
    on = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found = []
    for inputs, labels in DataLoader(dataset, batch_size, num_workers=workers):
        with autocast(on, precision):
            found.append((model(inputs.to(on)).float().cpu(), labels))
    model.train(was_training)
    outputs, labels = zip(*found, strict=True)
    return torch.cat(outputs).numpy(), torch.cat(labels).numpy()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of each yes/no label, from logits of any shape."""
    return torch.from_numpy(logits).double().sigmoid().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of logits (n, classes)."""
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()
