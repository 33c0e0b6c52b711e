"""Split data so that no picture of the validation side has a near-duplicate on the training side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

NEAR = 8  # of 64 bits


@dataclass(frozen=True)
class Groups:
    """Which pictures belong together.

    Attributes
    ----------
    of : int array (n,): the number of each picture's group; a picture like no other is a group of its own.
    """

    of: np.ndarray

    @property
    def repeated(self) -> list[np.ndarray]:
        """The groups of more than one picture, each as an array of places."""
        order = np.argsort(self.of, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self.of[order])) + 1)
        return [part for part in parts if len(part) > 1]

    def __str__(self) -> str:
        repeated = self.repeated
        held = sum(map(len, repeated))
        groups = (
            "1 group of near-duplicates holds"
            if len(repeated) == 1
            else f"{len(repeated)} groups of near-duplicates hold"
        )
        return f"{groups} {held} of {len(self.of)} images"

    def conflicts(self, labels: np.ndarray) -> list[np.ndarray]:
        """The groups whose pictures do not share one label."""
        return [part for part in self.repeated if len(set(labels[part].tolist())) > 1]


def near_duplicates(pictures: Iterable[np.ndarray], near: int = NEAR) -> Groups:
    """Group pictures that show the same: repeated files, other sizes and compressions of one, crops that nearly agree.

    Each picture's perceptual hash [1]_ is 64 bits that say which low frequencies are strong. Pictures whose hashes
    differ in at most `near` bits belong together, and so does whatever is near to one of them. A mirrored or turned
    picture counts as the same. Crops that share less than about nine tenths of their area are not found.

    Parameters
    ----------
    pictures : uint8 arrays (H, W, 3).
    near : 0 (equal hashes only) to 63.

    References
    ----------
    .. [1] Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010; the package `imagehash`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0 <= near < 64:
        raise ValueError(f"near is {near}: give a number of bits from 0 to 63")
    every = [_hashes(picture) for picture in pictures]
    if not every:
        raise ValueError("there are no pictures to compare")
    turned = np.array(every)
    upright, count = turned[:, 0], len(turned)
    links = []
    for index in range(count):
        differing = np.bitwise_count(turned[index, :, None] ^ upright[None, index + 1 :]).min(axis=0)
        links += [(index, index + 1 + other) for other in np.flatnonzero(differing <= near)]
    rows, columns = np.array(links, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    return Groups(connected_components(graph, directed=False)[1])


def _hashes(picture: np.ndarray) -> np.ndarray:
    """uint64 array (8,): the perceptual hash of the picture and of its seven mirror images and quarter turns."""
    from imagehash import phash

    small = Image.fromarray(picture).convert("L").resize((64, 64), Image.Resampling.BOX)
    turns = [None, *Image.Transpose]
    views = [small if turn is None else small.transpose(turn) for turn in turns]
    bits = np.array([phash(view).hash.ravel() for view in views])
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel()


def stratified(
    labels: np.ndarray, seed: int, shares: Sequence[float] = (0.7, 0.15, 0.15), groups: Groups | None = None
) -> list[np.ndarray]:
    """Disjoint random parts of the data that hold the classes in proportion.

    Parameters
    ----------
    labels : int array (n,).
    seed : decides who goes where.
    shares : of the parts; they add up to 1.
    groups : of the same pictures; each group stays in one part, and counts with the label of its first picture.

    Returns
    -------
    list of sorted index arrays, one a share; every index is in one of them.

    Raises
    ------
    ValueError
        The shares do not add up to 1, or a class has too few pictures for so many parts.
    """
    from sklearn.model_selection import train_test_split

    if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
        raise ValueError(f"shares is {tuple(shares)}: give positive numbers that add up to 1")
    of = np.arange(len(labels)) if groups is None else groups.of
    rest, first = np.unique(of, return_index=True)
    kinds, parts = np.asarray(labels)[first], []
    for place, share in enumerate(shares[:-1]):
        part = share / sum(shares[place:])
        try:
            chosen, rest, _, kinds = train_test_split(rest, kinds, train_size=part, stratify=kinds, random_state=seed)
        except ValueError as error:
            raise ValueError(
                f"{np.bincount(labels).tolist()} pictures of the classes cannot be split: {error}"
            ) from error
        parts.append(chosen)
    return [np.flatnonzero(np.isin(of, part)) for part in [*parts, rest]]


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

    least = np.bincount(labels).min()
    if not 2 <= count <= least:
        raise ValueError(f"{count} folds: give from 2 to {least}, the size of the smallest class")
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [tuple(pair) for pair in splitter.split(np.zeros(len(labels)), labels, groups.of)]
