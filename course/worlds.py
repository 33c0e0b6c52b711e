"""Where notebook 05's pairs come from: drawn by the course, with a truth that is known, or a published data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from helpers import evaluation, runtime, scenes
from helpers.captioned import CaptionedPairs
from helpers.nuisances import Nuisance
from helpers.sentences import change_tuples
from helpers.things import KINDS, SHAPES, TEXTURES, Change, Pair
from whatchanged.models.caption_loss import flipped
from whatchanged.models.prepared import PreparedPairs

# Of pairs with 0, 1 and 2 changes. Training is made harder than the test.
SHARES = {"train": (0.1, 0.25, 0.65), "validation": (0.2, 0.6, 0.2), "test": (0.1, 0.6, 0.3), "new": (0, 2 / 3, 1 / 3)}
HAND = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=4)
# Six of the thirty combinations of shape and texture are kept back, one a shape: only the part "new" holds them.
KEPT_BACK = {(shape, TEXTURES[row % len(TEXTURES)]) for row, shape in enumerate(SHAPES)}
_KNOWN = {(shape, texture) for shape in SHAPES for texture in TEXTURES} - KEPT_BACK
# Of a part's scenes, so that no part shares one.
_FIRST = {"train": 0, "validation": 100_000, "test": 200_000, "new": 300_000}
Claims = set[tuple[str, str, str]]


@dataclass(frozen=True)
class GeneratedWorld:
    """Scenes that are drawn: what changed in each is known, and its captions have a grammar.

    Attributes
    ----------
    seed : of all scenes.
    counts : "train", "validation", "test" and "new" -> how many pairs.
    shares : the same -> the shares of pairs with no, one, two ... changes, which add up to 1.
    hand : the strongest nuisance.
    alike : of the training pairs with two changes the share in which things are added, removed or moved only.
    """

    seed: int
    counts: Mapping[str, int]
    shares: Mapping[str, Sequence[float]] = field(default_factory=lambda: SHARES)
    hand: Nuisance = HAND
    alike: float = 0.35

    beside = ("new",)  # further parts, to be judged after the test
    join = " and "  # stands between the sentences of a caption, and nowhere else
    augment = staticmethod(flipped)  # no caption tells above from below

    def told(self) -> list[str]:
        """How many pairs there are, as a line."""
        return [str(dict(self.counts))]

    def scene(self, part: str, index: int) -> Pair:
        """A pair of a part, with its truth; in each of the part "new" a thing that changed is of a new combination."""
        if part != "new":
            return self._drawn(part, index, _KNOWN)
        tries = (self._drawn(part, 1000 * index + number, None) for number in count())
        return next(pair for pair in tries if any(is_new(change) for change in pair.changes))

    def _drawn(self, part: str, index: int, combinations: Collection[tuple[str, str]] | None) -> Pair:
        index += _FIRST[part]
        rng = np.random.default_rng([self.seed, index])
        changes = int(rng.choice(len(self.shares[part]), p=self.shares[part]))
        alike = part == "train" and changes == 2 and rng.random() < self.alike
        kinds = ("added", "removed", "moved") if alike else KINDS
        how: dict[str, Any] = {"kinds": kinds, "nuisance": self.hand, "combinations": combinations}
        return scenes.scene_pair(self.seed, index, changes=(changes, changes), **how)

    def read(self, part: str, index: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Both pictures of a pair, uint8 (H, W, 3), and its captions."""
        pair = self.scene(part, index)
        return pair.before, pair.after, pair.captions

    def boxes(self, index: int) -> np.ndarray:
        """The true boxes of a test pair, (n, 4): x, y, width, height."""
        return self.scene("test", index).boxes

    def vocabulary(self, pairs: int = 1500) -> list[str]:
        """Captions that hold all words of this world, of so many training pairs."""
        return [one for index in range(pairs) for one in self.scene("train", index).captions]

    def prepared(self, part: str, model: Any, place: Path) -> PreparedPairs:
        """The pairs of a part, ready for a model, in memory; training pairs draw one of their captions."""

        def read(index: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
            return self.read(part, index)

        return PreparedPairs.in_memory(self.counts[part], read, model.prepare, draw=part == "train")

    def found_by(self, find: Callable[[np.ndarray, np.ndarray], Sequence[Any]], pairs: int = 200) -> dict[str, float]:
        """How good clusters are on test pairs, by name of the measure.

        Parameters
        ----------
        find : before, after -> clusters, each with `area`, `density` and `box`.
        """
        drawn = [self.scene("test", index) for index in range(pairs)]
        found = [find(one.before, one.after) for one in drawn]
        boxes = [one.boxes for one in drawn]
        quality = evaluation.score_clusters(list(zip(found, boxes, strict=True)), drawn[0].before.shape[:2])
        silent = [not one for one, own in zip(found, drawn, strict=True) if not own.changes]
        told = {"pixels of a cluster": quality.size, "share of its box that it fills": quality.density}
        told |= {"coverage": quality.coverage, "IoU": quality.iou, "false clusters a pair": quality.false}
        return told | {"pairs without a change that have no cluster": float(np.mean(silent)) if silent else np.nan}

    def claims(self, captions: Iterable[str]) -> list[Claims]:
        """What each caption says, exactly."""
        return [change_tuples(caption) for caption in captions]

    def right(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """Whether each caption says what changed, all of it and nothing else: bool array (n,)."""
        pairs = zip(self.claims(said), self.claims(own[0] for own in references), strict=True)
        return np.array([one == other for one, other in pairs])

    def exact_scores(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """F1 of the claims of all captions, and the share of those that know whether anything changed."""
        pairs = list(zip(self.claims(said), self.claims(own[0] for own in references), strict=True))
        known = np.mean([bool(one) == bool(other) for one, other in pairs])
        return {"tuple F1": evaluation.score_sets(pairs).f1, "no change": float(known)}

    def exact_intervals(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        """The F1 with its 95 % interval, test pairs drawn again."""
        pairs = list(zip(self.claims(said), self.claims(own[0] for own in references), strict=True))

        def f1(drawn: Iterable[int]) -> float:
            return evaluation.score_sets([pairs[one] for one in drawn]).f1

        return {"tuple F1": evaluation.resampled_interval(f1, len(pairs))}

    def anew(
        self, describe: Callable[[PreparedPairs], Sequence[str]], data: Mapping[str, PreparedPairs]
    ) -> dict[str, float]:
        """F1 of the claims of captions where a combination is new, by name; `data` has the parts `beside` the test."""
        said = {part: describe(data[part]) for part in self.beside}
        scores = {part: self.exact_scores(own, data[part].captions)["tuple F1"] for part, own in said.items()}
        return {f"tuple F1, {part} combinations": score for part, score in scores.items()}

    def cause(self, index: int, caption: str, found: Sequence[Sequence[int]]) -> str:
        """Why a caption of a test pair is wrong: the first of these that holds.

        Parameters
        ----------
        found : the boxes of the clusters that the model got: x, y, width, height.
        """
        pair = self.scene("test", index)
        inside = _overlaps(pair.boxes, np.reshape(found, (-1, 4)))  # pixels of each true box in each cluster
        if (inside.sum(axis=1) == 0).any():
            return "cluster missed"
        if ((inside > 0.3 * pair.boxes[:, 2:].prod(axis=1, keepdims=True)).sum(axis=0) > 1).any():
            return "clusters merged"
        if (inside.sum(axis=0) == 0).any():
            return "false cluster"
        if len(pair.boxes) < inside.shape[1]:
            return "cluster torn"
        said, true = change_tuples(caption), change_tuples(pair.captions[0])
        if any(not thing for thing, _, _ in said):
            return "wording"
        if len(said) != len(true):
            return "one told too few or many"
        words = [sorted(" ".join(f"{thing} {became}" for thing, _, became in own).split()) for own in (said, true)]
        return "binding" if words[0] == words[1] else "attribute"

    def check(self, name: str, value: float | None, **bounds: float) -> None:
        """`runtime.check`: the bounds were set for these pairs."""
        runtime.check(name, np.nan if value is None else value, **bounds)


@dataclass(frozen=True)
class PublishedWorld:
    """Pairs of a published data set, with sentences that people wrote: what changed is not known beyond these.

    Attributes
    ----------
    parts : "train", "validation" and "test" -> their pairs.
    most : some of these -> take so many pairs at most; None takes all.
    """

    parts: Mapping[str, CaptionedPairs]
    most: Mapping[str, int | None]

    beside = ()
    join = None  # no word is sure to stand between two sentences
    augment = None  # a sentence may tell above from below

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs a part has."""
        return {part: min(len(own), self.most.get(part) or len(own)) for part, own in self.parts.items()}

    def told(self) -> list[str]:
        """A line for each part of which pairs were left out, with one reason; then how many pairs there are."""
        own = {part: pairs.skipped for part, pairs in self.parts.items() if pairs.skipped}
        return [*(f"{part}: {len(one)} left out, as {one[0]}" for part, one in own.items()), str(self.counts)]

    def read(self, part: str, index: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Both pictures of a pair, uint8 (H, W, 3), and its captions."""
        pair = self.parts[part][index]
        return (*pair.read(), pair.captions)

    def boxes(self, index: int) -> np.ndarray:
        """None are known: int array (0, 4)."""
        return np.zeros((0, 4), int)

    def vocabulary(self) -> list[str]:
        """All captions of the training pairs."""
        return [one for pair in self.parts["train"] for one in pair.captions]

    def prepared(self, part: str, model: Any, place: Path) -> PreparedPairs:
        """The pairs of a part, ready for a model, in files in a folder that the next run finds."""
        own = self.parts[part][: self.counts[part]]
        return PreparedPairs.on_disk(place / part, own, model, draw=part == "train")

    def found_by(self, find: Callable[[np.ndarray, np.ndarray], Sequence[Any]]) -> dict[str, float]:
        """Nothing: where the changes are is not known."""
        return {}

    def claims(self, captions: Iterable[str]) -> list[Claims]:
        """Nothing of each: free sentences have no grammar to read them by."""
        return [set() for _ in captions]

    def right(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        """Whether each caption is one of its references: bool array (n,)."""
        return np.array([one in own for one, own in zip(said, references, strict=True)])

    def exact_scores(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
        """Nothing, as `claims`."""
        return {}

    def exact_intervals(self, said: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Nothing, as `claims`."""
        return {}

    def anew(
        self, describe: Callable[[PreparedPairs], Sequence[str]], data: Mapping[str, PreparedPairs]
    ) -> dict[str, float]:
        """Nothing: no combinations are known."""
        return {}

    def cause(self, index: int, caption: str, found: Sequence[Sequence[int]]) -> str:
        """Not known, as nothing is known of the changes."""
        return "not known"

    def check(self, name: str, value: float | None, **bounds: float) -> None:
        """Nothing is held to a bound that was set for other pairs; a line says so."""
        print(f"{name}: not held to a bound, which was set for generated pairs")


def is_new(change: Change) -> bool:
    """Whether what changed was, or became, of one of `KEPT_BACK`."""
    return any(one is not None and (one.shape, one.texture) in KEPT_BACK for one in (change.before, change.after))


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pixels that each box (n, 4) shares with each of the others (m, 4): (n, m)."""
    first, second = boxes[:, None], others[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    return (high - low).clip(0).prod(axis=2)
