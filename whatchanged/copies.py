"""Near-duplicates among pictures; and among the many photographs of one place, which are copies of each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

NEAR = 8  # of 64 bits
AT_ONE_PLACE = 8  # pictures that nearly agree: fewer may all be copies
ALIKE, ONE_PLACE = 0.75, 0.9  # correlations
_ROWS = 256


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

    More than a tenth of all pictures that belong together are photographs of one place by a camera that stands still;
    of them only copies belong together, as `copies_among` finds them.

    Parameters
    ----------
    pictures : uint8 arrays (H, W, 3).
    near : 0 (equal hashes only) to 63.

    References
    ----------
    .. [1] Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010; the package `imagehash`.
    """
    if not 0 <= near < 64:
        raise ValueError(f"near is {near}: give a number of bits from 0 to 63")
    every = [_look(picture) for picture in pictures]
    if not every:
        raise ValueError("there are no pictures to compare")
    return _grouped(np.array([bits for bits, _ in every]), np.array([views for _, views in every]), near)


def _look(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The perceptual hashes of the picture and of its seven mirror images and quarter turns, uint64 array (8,); and the
    picture, small and gray, float32 (32, 32).
    """
    from imagehash import phash

    gray = Image.fromarray(picture).convert("L")
    small = gray.resize((64, 64), Image.Resampling.BOX)
    turns = [small, *map(small.transpose, Image.Transpose)]
    bits = np.array([phash(view).hash.ravel() for view in turns])
    view = cv2.resize(np.asarray(gray, np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel(), view


def _grouped(hashes: np.ndarray, views: np.ndarray, near: int) -> Groups:
    """The groups of pictures by what `_look` gives of each."""
    count = len(hashes)
    links = [np.empty((0, 2), int)]
    for index in range(count):
        differing = np.bitwise_count(hashes[index, :, None] ^ hashes[None, index + 1 :, 0]).min(axis=0)
        others = index + 1 + np.flatnonzero(differing <= near)
        links.append(np.stack([np.full_like(others, index), others], axis=1))
    groups = Groups(_connected(np.concatenate(links), count))
    of = groups.of.copy()
    for part in groups.repeated:
        if len(part) > max(AT_ONE_PLACE, count / 10):
            agreeing, turned = of_one_place(views, part[0])
            whole = np.union1d(part, agreeing)
            of[whole] = of.max() + 1 + _connected(copies_among(turned[whole]), len(whole))
    return Groups(np.unique(of, return_inverse=True)[1])


def _connected(links: np.ndarray, count: int) -> np.ndarray:
    """The number of each thing's group, int array (count,), by the pairs (m, 2) that are linked."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def of_one_place(views: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of the photographs that nearly agree with one of them; and all of them, those in its position.

    Parameters
    ----------
    views : (n, S, S), gray levels; one may be mirrored or turned.
    first : the one.
    """
    wanted = _normal(views[first][None])[0]
    agreement = np.stack([_normal(one) @ wanted for one in _turned(views)])
    agrees = np.flatnonzero(agreement.max(axis=0) > ONE_PLACE)
    turned = views.copy()
    for position, one in enumerate(_turned(views)):
        here = agrees[agreement[:, agrees].argmax(axis=0) == position]
        turned[here] = one[here]
    return agrees, turned


def _normal(views: np.ndarray) -> np.ndarray:
    """Float (n, S * S): of mean 0 and length 1."""
    flat = np.asarray(views, np.float32).reshape(len(views), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def copies_among(views: np.ndarray) -> np.ndarray:
    """The pairs of copies among photographs that a camera made of one place, as of a part that lies before it.

    All of them nearly agree, so that says nothing. What a photograph has beside the place is what is left of it without
    the median of all, however bright and shaded, a little shifted. Most of that is noise, which two photographs do not
    share; a file and its copy do, saved once more, smaller, mirrored or turned. A scratch counts for no more than the
    noise, for two may lie at one place.

    Parameters
    ----------
    views : (n, S, S), gray levels of all of them, in one position.

    Returns
    -------
    int array (m, 2) : places of both in `views`, the smaller one first.
    """
    count, side, _ = views.shape
    flat = np.asarray(views, np.float32).reshape(count, -1)
    place = np.median(flat, axis=0).reshape(side, side)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    common = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, place, *np.gradient(place)]).reshape(9, -1)
    basis = np.linalg.svd(common, full_matrices=False)[2].astype(np.float32)
    shown: np.ndarray = flat
    for _ in range(4):  # a scratch pulls at what is common, so it is cut down to the noise, and that is taken again
        fit = shown @ basis.T @ basis
        noise = np.maximum(1.5 * np.median(np.abs(flat - fit), axis=1, keepdims=True), 0.1)
        shown = fit + np.clip(flat - fit, -2 * noise, 2 * noise)
    own = shown - fit
    bare = np.linalg.norm(own, axis=1) < 0.05 * side  # of a gray level a pixel: it shows the place and nothing else
    own = own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), np.float32(1e-6))
    found = [np.empty((0, 2), int)]
    turned = [one.reshape(count, -1) for one in _turned(own.reshape(views.shape))]
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        best = np.maximum.reduce([own[rows] @ one.T for one in turned])
        first, second = np.nonzero((best > ALIKE) | (bare[rows, None] & bare))
        found.append(np.stack([first + start, second], axis=1)[first + start < second])
    return np.concatenate(found)


def _turned(images: np.ndarray) -> Iterator[np.ndarray]:
    """Square images (n, S, S) in their eight positions."""
    for image in (images, images.transpose(0, 2, 1)):
        for rows in (1, -1):
            yield from (image[:, ::rows, ::columns] for columns in (1, -1))
