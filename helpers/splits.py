"""Split data so that no picture of the validation side has a near-duplicate on the training side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.datasets import COURSE_TRAINING, PARTS, LabeledImages, course_split
from whatchanged.copies import NEAR, Groups, near_duplicates
from whatchanged.dealing import dealt, trouble_in


def stratified(
    labels: np.ndarray, seed: int, shares: Sequence[float] = (0.7, 0.15, 0.15), groups: Groups | None = None
) -> list[np.ndarray]:
    """Disjoint random parts of the data that hold the classes in proportion.

    Parameters
    ----------
    labels : int array (n,).
    seed : decides who goes where.
    shares : of the parts; they add up to 1.
    groups : of the same pictures; each group stays in one part, and counts with the rarest label in it.

    Returns
    -------
    list of sorted index arrays, one a share; every index is in one of them.

    Raises
    ------
    ValueError
        The shares do not add up to 1, or a class has fewer pictures, or groups, than there are parts.
    """
    from sklearn.model_selection import train_test_split

    if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
        raise ValueError(f"shares is {tuple(shares)}: give positive numbers that add up to 1")
    labels = np.asarray(labels)
    sizes = np.bincount(labels)
    if groups is not None or sizes[sizes > 0].min() * min(shares) < 2:
        return dealt(labels, np.arange(len(labels)) if groups is None else groups.of, shares, seed)
    rest, parts = np.arange(len(labels)), []
    for place, share in enumerate(shares[:-1]):
        part = share / sum(shares[place:])
        chosen, rest = train_test_split(rest, train_size=part, stratify=labels[rest], random_state=seed)
        parts.append(np.sort(chosen))
    return [*parts, np.sort(rest)]


@dataclass(frozen=True)
class Parts:
    """Data in parts, as `divided` makes them.

    Attributes
    ----------
    train, validation, test : the parts; of `test` None where nobody asked for it and the data have none.
    note : in a sentence or more, how it was done, and what is to be known of it.
    """

    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages | None
    note: str


def divided(found: LabeledImages, seed: int, shares: Sequence[float] = (0.8, 0.2)) -> Parts:
    """Labeled images in parts to train, to validate and, with three shares, to test.

    The parts that the data come in are taken as they are, and what is missing of them is drawn from what is to train.
    Of up to 30,000 images near-duplicates stay in one part, as far as each part then has every class and enough images;
    where not, only what is more surely a copy does. More are split as the course does.

    Parameters
    ----------
    found : as `datasets.defect_images` reads them.
    seed : decides who goes where.
    shares : of the parts that are drawn.

    Raises
    ------
    ValueError
        A class has too few images, a part of the data lacks one, or there is no part to train on.
    """
    given = dict(found.splits) or {"train": np.arange(len(found))}
    if "train" not in given:
        raise ValueError(f"the images are all in {' and '.join(given)}: put those to train on into train/")
    asked, notes = PARTS[: len(shares)], []
    drawn = {part: share for part, share in zip(PARTS, shares, strict=False) if part == "train" or part not in given}
    if found.splits:
        own = ", ".join(f"{part} {len(places)}" for part, places in given.items())
        notes.append(f"parts as the folder has them: {own}")
    if len(drawn) > 1:
        whole = given["train"]
        inside, note = _drawn(found.subset(whole), seed, [share / sum(drawn.values()) for share in drawn.values()])
        given |= {part: whole[places] for part, places in zip(drawn, inside, strict=True)}
        notes.append(f"drawn from train: {', '.join([*drawn][1:])}; {note}" if found.splits else note)
    for part, places in given.items():
        lacking = [name for label, name in enumerate(found.names) if label not in found.labels[places]]
        if lacking and part in asked:
            way = (
                "put some there" if part == "train" else "put some there, or take the folder away: train/ is then split"
            )
            raise ValueError(f"{part} has no image of {lacking[0]!r}: {way}")
        notes += [f"{part} has no image of {name!r}" for name in lacking]
    parts = {part: found.subset(places) for part, places in given.items()}
    return Parts(parts["train"], parts["validation"], parts.get("test"), "; ".join(notes))


def _drawn(images: LabeledImages, seed: int, shares: Sequence[float]) -> tuple[list[np.ndarray], str]:
    """Parts that each have every class, and how they were made."""
    labels = images.labels
    for name, count in zip(images.names, np.bincount(labels, minlength=len(images.names)), strict=True):
        if count < len(shares):
            raise ValueError(f"{count} images of {name!r} are too few: {len(shares)} parts need one each at least")
    if len(images) > COURSE_TRAINING:
        parts = list(course_split(len(images)))
        if len(shares) > 2 or trouble_in(parts, labels, shares):
            parts = stratified(labels, seed, shares)
        return parts, f"more than {COURSE_TRAINING:,} images: near-duplicates are not looked for"
    notes: list[str] = []
    for near in (NEAR, NEAR // 2, 0):
        groups = near_duplicates((images.picture(index) for index in range(len(images))), near)
        parts, trouble = stratified(labels, seed, shares), "a class has too few"
        if most_folds(labels, groups) >= len(shares):
            parts = stratified(labels, seed, shares, groups)
            trouble = trouble_in(parts, labels, shares)
        if not trouble:
            mixed = len(groups.conflicts(labels))
            notes.append(f"{groups}, each in one part" + f"; groups with several labels: {mixed}" * bool(mixed))
            return parts, "; ".join(notes)
        notes.append(
            f"{groups} (differing in {near} of 64 bits at most), which is too much to keep together: {trouble}"
        )
    return stratified(labels, seed, shares), "; ".join([*notes, "so copies are on both sides, and the scores flatter"])


def most_folds(labels: np.ndarray, groups: Groups) -> int:
    """How many folds there can be: the groups of the class that has fewest."""
    return min(len(np.unique(groups.of[labels == label])) for label in np.unique(labels))


def folds(labels: np.ndarray, groups: Groups, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cross-validation that keeps each group on one side and the classes in proportion.

    Parameters
    ----------
    labels : int array (n,).
    groups : of the same pictures.
    count : of folds, 2 or more.
    seed : decides who goes where.

    Returns
    -------
    list of (training, validation) pairs of index arrays. Every picture is on the validation side once.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    most = most_folds(labels, groups)
    if not 2 <= count <= most:
        raise ValueError(
            f"{count} folds: give from 2 to {most}, the size of the smallest class, near-duplicates as one"
        )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [tuple(pair) for pair in splitter.split(np.zeros(len(labels)), labels, groups.of)]
