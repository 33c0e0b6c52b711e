"""Pairs with sentences: prepared once, for training; folders of pairs described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from whatchanged.files import write_whole
from whatchanged.images import one_a_core, read_image
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


class PreparedPairs:
    """Pairs in memory, prepared once, for `training.fit`: an item is what was prepared with "caption" and "meaning".

    "meaning" is a number; pairs of which the same captions are true share it.

    Parameters
    ----------
    count : how many there are.
    read : number of a pair -> before, after (uint8 arrays (H, W, 3)) and its captions.
    prepare : before, after -> a dict, as `EnhancedDiffBLIP2.prepare`.
    draw : each time draw one of the captions, by torch's generator; otherwise take the first.

    Attributes
    ----------
    prepared : list of dict.
    captions : list of tuple of str.
    """

    def __init__(
        self,
        count: int,
        read: Callable[[int], tuple[np.ndarray, np.ndarray, Sequence[str]]],
        prepare: Callable[[np.ndarray, np.ndarray], dict[str, Any]],
        *,
        draw: bool = False,
    ) -> None:
        def one(number: int) -> tuple[dict[str, Any], tuple[str, ...]]:
            before, after, captions = read(number)
            return prepare(before, after), tuple(captions)

        with one_a_core() as pool:
            done = list(pool.map(one, range(count)))
        self.prepared, self.captions = [pair for pair, _ in done], [captions for _, captions in done]
        self.draw = draw
        known: dict[frozenset[str], int] = {}
        self.meanings = [known.setdefault(frozenset(captions), len(known)) for captions in self.captions]

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        captions = self.captions[index]
        caption = captions[int(torch.randint(len(captions), ()))] if self.draw else captions[0]
        return self.prepared[index] | {"caption": caption, "meaning": self.meanings[index]}


def describe_pairs(
    describe: Callable[[np.ndarray, np.ndarray], str], source: str | Path, csv: str | Path | None = None
) -> Any:
    """Say of every pair of a folder or CSV file what changed.

    Parameters
    ----------
    describe : before, after (uint8 arrays (H, W, 3)) -> a caption.
    source : as in `whatchanged.find_pairs`. What cannot be read or has no partner gets a row that says why.
    csv : where to write the table as well, whole or not at all.

    Returns
    -------
    pandas DataFrame
        A row a pair: "before", "after" (file names), "caption", "error".
    """
    import pandas

    rows = []
    pairs, rest = pairs_and_rest(source)
    for (before, after), caption, reason in each(pairs, lambda pair: describe(*map(read_image, pair))):
        rows.append({"before": before.name, "after": after.name, "caption": caption or "", "error": reason})
    rows += [{"caption": ""} | item.row() for item in rest]
    table = pandas.DataFrame(rows, columns=["before", "after", "caption", "error"])
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
