"""A trained model asked: a dataset, a folder of pictures, pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from helpers.datasets import Pictures
from whatchanged.alignment import aligned
from whatchanged.devices import autocast
from whatchanged.files import write_whole
from whatchanged.images import ImageError, image_files, read_image, resized
from whatchanged.pairs import find_pairs


def classify_folder(
    classify: Callable[[np.ndarray], np.ndarray],
    folder: str | Path,
    *,
    size: int,
    names: Sequence[str],
    csv: str | Path | None = None,
) -> Any:
    """Classify every image of a folder.

    Parameters
    ----------
    classify : function of uint8 (n, size, size, 3), RGB, that returns the probabilities of the classes, float
        (n, len(names)).
    folder : its image files are read, not those of folders inside it. A file that cannot be read gets a row that says
        why; the others are classified all the same.
    size : of the images the model was trained on, pixels.
    names : of the classes.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a file: "file", "prediction", "probability" (of the prediction), "error"; sorted by name.

    Raises
    ------
    ValueError
        The folder holds no image.
    """
    import pandas

    rows, read = [], []
    for path in image_files(folder):
        try:
            read.append((path.name, resized(read_image(path), size)))
        except ImageError as error:
            rows.append({"file": path.name, "error": str(error)})
    if read:
        files, pictures = zip(*read, strict=True)
        for file, row in zip(files, classify(np.stack(pictures)), strict=True):
            rows.append({"file": file, "prediction": names[row.argmax()], "probability": float(row.max()), "error": ""})
    columns = ["file", "prediction", "probability", "error"]
    table = pandas.DataFrame(sorted(rows, key=lambda row: row["file"]), columns=columns)
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table


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


def predict_folder(
    model: nn.Module, folder: str | Path, *, size: int, names: Sequence[str], csv: str | Path | None = None
) -> Any:
    """Classify every image of a folder by a torch model; see `loading.classify_folder`."""

    def classify(images: np.ndarray) -> np.ndarray:
        logits, _ = predict(model, Pictures(images, np.zeros(len(images)), names))
        return softmax(logits)

    return classify_folder(classify, folder, size=size, names=names, csv=csv)


def predict_pairs(
    model: nn.Module,
    source: str | Path,
    *,
    size: int,
    names: Sequence[str],
    thresholds: Sequence[float] | None = None,
    csv: str | Path | None = None,
) -> Any:
    """Say of every pair of a folder or CSV file which labels apply, each pair aligned first.

    Parameters
    ----------
    source : as in `loading.find_pairs`. A pair that cannot be read or differs in size gets a row that says why.
    size : of the pictures the model was trained on, pixels.
    names : of the labels.
    thresholds : one a label; None is 0.5.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a pair: "before", "after" (file names), "changed" (the labels that apply, or "nothing"), the probability
        of each label, "error".
    """
    import pandas

    least = np.full(len(names), 0.5) if thresholds is None else np.asarray(thresholds)
    rows = []
    for paths in find_pairs(source):
        row = {"before": paths[0].name, "after": paths[1].name, "error": ""}
        try:
            before, after = map(read_image, paths)
            pair = np.stack([resized(one, size) for one in aligned(before, after)])
        except ValueError as error:  # unreadable, or of two sizes
            rows.append(row | {"error": str(error)})
            continue
        logits, _ = predict(model, Pictures(pair[None], np.zeros((1, len(names))), names))
        probabilities = sigmoid(logits)[0]
        said = [name for name, value, at in zip(names, probabilities, least, strict=True) if value >= at]
        rows.append(row | {"changed": ", ".join(said) or "nothing"} | dict(zip(names, probabilities, strict=True)))
    table = pandas.DataFrame(rows, columns=["before", "after", "changed", *names, "error"])
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of each yes/no label, from logits of any shape."""
    return torch.from_numpy(logits).double().sigmoid().numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) of logits (n, classes)."""
    return torch.from_numpy(logits).double().softmax(dim=1).numpy()
