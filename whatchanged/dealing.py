"""Labeled things dealt into parts, as training and validation: each part has its share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def dealt(labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Parts in which each group is whole, and each class as near to its share as the groups allow.

    Of each class every part gets a small group first. The others follow, large ones before small ones, each to the part
    that lacks most.

    Parameters
    ----------
    labels, groups : int arrays (n,). A group counts with the rarest class that it holds.
    shares : of the parts; they add up to 1.
    seed : decides among groups of one size.

    Returns
    -------
    list of sorted index arrays, one a share; every index is in one of them.

    Raises
    ------
    ValueError
        A class has fewer groups than there are parts.
    """
    rng = np.random.default_rng(seed)
    sizes, of = np.bincount(labels), np.full(int(groups.max()) + 1, -1)
    for label in np.argsort(-sizes, kind="stable"):
        of[groups[labels == label]] = label  # the rarest last
    size = np.bincount(groups)
    to, owed = np.zeros(len(of), int), np.zeros(len(shares))
    for label in np.flatnonzero(sizes):
        mine = rng.permutation(np.flatnonzero(of == label))
        if len(mine) < len(shares):
            raise ValueError(
                f"{len(mine)} of class {label} are too few for {len(shares)} parts, near-duplicates as one"
            )
        mine = mine[np.argsort(size[mine], kind="stable")]
        small = rng.permutation(mine[: len(shares)])
        to[small] = np.arange(len(shares))
        owed += np.array(shares) * size[mine].sum() - size[small]
        for group in mine[len(shares) :][::-1]:
            to[group] = owed.argmax()
            owed[to[group]] -= size[group]
    return [np.flatnonzero(to[groups] == part) for part in range(len(shares))]


def trouble_in(parts: Sequence[np.ndarray], labels: np.ndarray, shares: Sequence[float]) -> str:
    """What is wrong with parts of data, in words: one lacks a class, or has less than a tenth of all, where it is to
    have a good deal more; empty where nothing is.

    Parameters
    ----------
    parts : index arrays, one a share.
    labels : int array (n,).
    shares : of the parts, which were asked for.
    """
    for part, share in zip(parts, shares, strict=True):
        left = sorted(set(np.unique(labels)) - set(labels[part]))
        if left:
            return f"a part of {len(part)} images has none of class {left[0]}"
        if len(part) < min(0.1, share * 2 / 3) * len(labels):
            return f"a part has {len(part)} of {len(labels)} images"
    return ""
