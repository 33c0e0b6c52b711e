"""A trained model asked: outputs and probabilities of a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from whatchanged.devices import autocast
from whatchanged.training.sending import chosen_workers, sent


@torch.inference_mode()
def predict(
    model: nn.Module, dataset: Any, *, batch_size: int = 200, precision: str | None = None, workers: int | None = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and labels of a dataset, in its order, with the model in evaluation mode on the device it lies on.

    Parameters
    ----------
    precision : "fp32", "bf16", "fp16" (GPU), or None for the best of the device.
    workers : processes that load data; None chooses, as in `fit`.

    Returns
    -------
    outputs : float32 array (n, classes), logits.
    labels : array (n, ...).
    """
    on = next(model.parameters()).device
    was_training = model.training
    model.eval()
    places = list(range(len(dataset)))
    batches = [places[i : i + batch_size] for i in range(0, len(dataset), batch_size)]
    workers = chosen_workers(dataset, batch_size) if workers is None else workers
    torch.empty((), dtype=torch.int64).random_()  # as a DataLoader draws: what trains later stays as it was
    found = []
    for inputs, labels in sent(dataset, batches, on, workers=workers):
        with autocast(on, precision):
            found.append((model(inputs).float(), labels))
    model.train(was_training)
    outputs, labels = (torch.cat(column).cpu().numpy() for column in zip(*found, strict=True))
    return outputs, labels


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of each yes/no label, from logits of any shape."""
    return torch.from_numpy(logits).double().sigmoid().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of logits (n, classes)."""
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()
