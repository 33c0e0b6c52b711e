"""Pairs with sentences, prepared once for a training: in memory, or in files that the next run finds and maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from whatchanged import kept
from whatchanged.files import user_path
from whatchanged.images import one_a_core

if TYPE_CHECKING:
    from whatchanged.models.tblip2 import EnhancedDiffBLIP2

ROUNDED = 0.02  # of the mean: so far the features of one pair may be from those of the same pair among others


class PairOfFiles(Protocol):
    """Two pictures on disk and what is said of them."""

    @property
    def before(self) -> Path: ...
    @property
    def after(self) -> Path: ...
    @property
    def captions(self) -> tuple[str, ...]: ...
    def read(self) -> tuple[np.ndarray, np.ndarray]: ...


class PreparedPairs:
    """Pairs that are prepared, for `training.fit`: an item is what was prepared with "caption" and "meaning".

    "meaning" is a number; pairs of which the same captions are true share it.

    Parameters
    ----------
    prepared : of each pair a dict, as `EnhancedDiffBLIP2.prepare` gives it.
    captions : of each pair.
    draw : each time draw one of the captions, by torch's generator; otherwise take the first.
    """

    def __init__(
        self, prepared: Sequence[dict[str, Tensor]], captions: Sequence[tuple[str, ...]], *, draw: bool = False
    ) -> None:
        self.prepared, self.captions, self.draw = prepared, captions, draw
        known: dict[frozenset[str], int] = {}
        self.meanings = [known.setdefault(frozenset(one), len(known)) for one in captions]

    @classmethod
    def in_memory(
        cls,
        count: int,
        read: Callable[[int], tuple[np.ndarray, np.ndarray, Sequence[str]]],
        prepare: Callable[[np.ndarray, np.ndarray], dict[str, Tensor]],
        *,
        draw: bool = False,
    ) -> PreparedPairs:
        """All of them read and prepared now, on all cores.

        Parameters
        ----------
        count : how many there are.
        read : number of a pair -> before, after (uint8 arrays (H, W, 3)) and its captions.
        prepare : before, after -> a dict, as `EnhancedDiffBLIP2.prepare`.
        """

        def one(number: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
            before, after, captions = read(number)
            return prepare(before, after), tuple(captions)

        with one_a_core() as pool:
            done = list(pool.map(one, range(count)))
        return cls([pair for pair, _ in done], [captions for _, captions in done], draw=draw)

    @classmethod
    def on_disk(
        cls, place: str | Path, pairs: Sequence[PairOfFiles], model: EnhancedDiffBLIP2, *, draw: bool = False
    ) -> PreparedPairs:
        """The same in one file, or, where the image encoder is frozen, two: what its features are in the second.

        Both are maps: in memory are the pairs of a batch, however many there are. An earlier run's are found again
        where pictures and options are the same (`kept.on_disk`). Features keep the precision that the encoder has, and
        are made many at a time, on the model's device.

        Parameters
        ----------
        place : where the files are, and how their names begin.
        pairs : at least one.
        """
        place = user_path(place)

        def prepare(number: int) -> dict[str, Tensor]:
            return model.prepare(*pairs[number].read(), encode=False)

        files = [path for pair in pairs for path in (pair.before, pair.after)]
        content = kept.digest(files, f"{model.image_size} {model.options}")
        packed = kept.on_disk(place, content, len(pairs), lambda number: _packed(prepare(number)))
        prepared = _Rows(packed, prepare(0))
        if model.options.freeze_vision:
            prepared.keep_features(place, content, model)
        return cls(prepared, [tuple(pair.captions) for pair in pairs], draw=draw)

    def __len__(self) -> int:
        return len(self.prepared)

    def __getitem__(self, index: int) -> dict[str, Any]:
        captions = self.captions[index]
        caption = captions[int(torch.randint(len(captions), ()))] if self.draw else captions[0]
        return self.prepared[index] | {"caption": caption, "meaning": self.meanings[index]}


class _Rows(Sequence):
    """What was prepared: a pair's bytes are a row of a map; all have the shapes and dtypes of the first."""

    def __init__(self, packed: np.ndarray, first: dict[str, Tensor]) -> None:
        self.packed = packed
        self.layout = {name: (one.dtype, one.shape) for name, one in first.items()}
        self.ends = np.cumsum([one.nbytes for one in first.values()])[:-1].tolist()
        self.features: Callable[[int], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: Any) -> dict[str, Tensor]:  # type: ignore[override]  # no slices
        row = _taken(self.packed, range(len(self))[index])
        parts = zip(torch.tensor_split(row, self.ends), self.layout.items(), strict=True)
        # a copy begins where any dtype may begin
        pair = {name: part.clone().view(dtype).view(shape) for part, (name, (dtype, shape)) in parts}
        return pair | ({"features": self.features(index)} if self.features else {})

    def keep_features(self, place: Path, content: str, model: EnhancedDiffBLIP2) -> None:
        """Put what the model's encoder says of each pair into a file beside."""

        def encoded(numbers: Sequence[int]) -> Tensor:
            pairs = [self[number] for number in numbers]
            return model.kept_features(*(torch.stack([pair[side] for pair in pairs]) for side in ("before", "after")))

        dtype = encoded([0]).dtype
        bits = {2: torch.int16, 4: torch.int32}[dtype.itemsize]  # numpy knows no bfloat16

        def several(numbers: Sequence[int]) -> np.ndarray:
            return encoded(numbers).view(bits).numpy()

        def alike(one: np.ndarray, other: np.ndarray) -> bool:
            first, second = (torch.from_numpy(np.array(values)).view(dtype).float() for values in (one, other))
            return bool((first - second).abs().mean() <= ROUNDED * second.abs().mean())

        place = place.with_name(f"{place.name}-features")
        content = kept.digest([], f"{content} {model.base} {dtype}")
        arrays = kept.on_disk(
            place, content, len(self), lambda number: several([number])[0], several=several, alike=alike
        )
        self.features = lambda index: _taken(arrays, range(len(self))[index]).view(dtype)


def _taken(arrays: np.ndarray, index: int) -> Tensor:
    return torch.from_numpy(kept.taken(arrays, [index])[0])


def _packed(pair: dict[str, Tensor]) -> np.ndarray:
    return torch.cat([one.contiguous().view(-1).view(torch.uint8) for one in pair.values()]).numpy()
