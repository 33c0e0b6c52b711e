"""Pairs with sentences on disk; folders of pairs described."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import write_whole
from whatchanged.images import read_image
from whatchanged.pairs import each, pairs_and_rest


@dataclass(frozen=True)
class CaptionedPair:
    """Two pictures on disk and what is said of them.

    Attributes
    ----------
    name : unique in its data set.
    before, after : image files; the same one twice where a data set has single pictures.
    captions : one sentence or more, each true of the pair by itself.
    source : the data set, as "spot-the-diff".
    """

    name: str
    before: Path
    after: Path
    captions: tuple[str, ...]
    source: str

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Both pictures: uint8 arrays (H, W, 3), RGB."""
        return read_image(self.before), read_image(self.after)


def describe_pairs(
    describe: Callable[[np.ndarray, np.ndarray], tuple[str, bool | None]],
    source: str | Path,
    csv: str | Path | None = None,
) -> Any:
    """Say of every pair of a folder or CSV file what changed.

    Parameters
    ----------
    describe : before, after (uint8 arrays (H, W, 3)) -> a caption, and whether the pair is unlike those of the
        training, as `describer.Describer.say`.
    source : as in `whatchanged.find_pairs`. What cannot be read or has no partner gets a row that says why.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a pair: "before", "after" (file names), "caption", "unlike", "error".
    """
    import pandas

    rows: list[dict[str, Any]] = []
    pairs, rest = pairs_and_rest(source)
    for (before, after), said, reason in each(pairs, lambda pair: describe(*map(read_image, pair))):
        caption, unlike = said or ("", None)
        names = {"before": before.name, "after": after.name}
        rows.append(names | {"caption": caption, "unlike": unlike, "error": reason})
    rows += [dict(item.row()) | {"caption": ""} for item in rest]
    table = pandas.DataFrame(rows, columns=["before", "after", "caption", "unlike", "error"])
    if csv is not None:
        write_whole(csv, table.to_csv(index=False).encode())
    return table


class CaptionedPairs(list):
    """A list of `CaptionedPair`.

    Attributes
    ----------
    skipped : list of str: what was wrong with the records left out.
    """

    def __init__(self, pairs: Iterable[CaptionedPair] = (), skipped: Iterable[str] = ()) -> None:
        super().__init__(pairs)
        self.skipped = list(skipped)
