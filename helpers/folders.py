"""A trained model asked about a folder of pictures or pairs: a table, in which a bad one has its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from helpers.datasets import Pictures
from whatchanged.alignment import aligned
from whatchanged.files import write_whole
from whatchanged.images import image_files, read_image, read_pair, resized
from whatchanged.pairs import each, pairs_and_rest


def classify_folder(
    classify: Callable[[np.ndarray], np.ndarray],
    folder: str | Path,
    *,
    size: int,
    names: Sequence[str],
    csv: str | Path | None = None,
    unlike: Callable[[np.ndarray], bool | None] | None = None,
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
    unlike : whether an image, uint8 (size, size, 3), is unlike those of the training: a column more.

    Returns
    -------
    pandas DataFrame
        A row a file: "file", "prediction", "probability" (of the prediction), "unlike", "error"; sorted by name.

    Raises
    ------
    ValueError
        The folder holds no image.
    """
    read = list(each(image_files(folder), lambda path: resized(read_image(path), size)))
    pictures = [picture for _, picture, _ in read if picture is not None]
    judged = iter(classify(np.stack(pictures)) if pictures else ())
    rows: list[dict[str, Any]] = []
    for path, picture, reason in read:
        rows.append({"file": path.name, "error": reason})
        if picture is not None:
            given = next(judged)
            rows[-1] |= {"prediction": names[given.argmax()], "probability": float(given.max())}
            rows[-1] |= {"unlike": unlike(picture)} if unlike else {}
    more = ["unlike"] if unlike else []
    return _table(rows, ["file", "prediction", "probability", *more, "error"], csv)


def predict_folder(
    model: Any,
    folder: str | Path,
    *,
    size: int,
    names: Sequence[str],
    csv: str | Path | None = None,
    unlike: Callable[[np.ndarray], bool | None] | None = None,
) -> Any:
    """Classify every image of a folder by a torch model; see `classify_folder`."""
    from whatchanged.training import predict, softmax  # here, for `classify_folder` serves Keras without torch

    def classify(images: np.ndarray) -> np.ndarray:
        return softmax(predict(model, Pictures(images, np.zeros(len(images)), names))[0])

    return classify_folder(classify, folder, size=size, names=names, csv=csv, unlike=unlike)


def predict_pairs(
    model: Any,
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
    source : as in `whatchanged.find_pairs`. What cannot be read, differs in size or has no partner gets a row that
        says why.
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
    from whatchanged.training import predict, sigmoid

    least = np.full(len(names), 0.5) if thresholds is None else np.asarray(thresholds)
    pairs, rest = pairs_and_rest(source)
    prepared = each(pairs, lambda paths: [resized(one, size) for one in aligned(*read_pair(*paths))])
    rows: list[dict[str, Any]] = []
    for (before, after), pair, reason in prepared:
        rows.append({"before": before.name, "after": after.name, "error": reason})
        if pair is not None:
            logits, _ = predict(model, Pictures(np.stack(pair)[None], np.zeros((1, len(names))), names))
            given = dict(zip(names, sigmoid(logits)[0], strict=True))
            said = [name for name, at in zip(names, least, strict=True) if given[name] >= at]
            rows[-1] |= {"changed": ", ".join(said) or "nothing"} | given
    rows += [item.row() for item in rest]
    return _table(rows, ["before", "after", "changed", *names, "error"], csv)


def _table(rows: list[dict[str, Any]], columns: list[str], csv: str | Path | None) -> Any:
    """The rows as a pandas DataFrame, written into a file as well where one is named."""
    import pandas

    table = pandas.DataFrame(rows, columns=columns)
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table
