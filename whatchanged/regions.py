"""What was found: regions with box, area and strength; and how a mask of changed pixels becomes regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from whatchanged.alignment import Alignment

HAPPENED = ("added", "removed", "moved", "recolored", "replaced", "resized")
"""What may have happened to a region; "changed" where nobody asked."""


@dataclass(frozen=True)
class Region:
    """One place where the pictures differ, in pixels of the before image.

    Attributes
    ----------
    x, y, width, height : the box.
    area : number of changed pixels in it.
    strength : the strongest difference in it, 0 to 1.
    what : what happened there, one of `HAPPENED`.
    after : the box (x, y, width, height) in pixels of the after image: where something moved, the place that it went
        to; where something was removed, the place that it left. None where nobody asked.
    page : the page of the file, from 1.
    place : of something that moved or was resized, its new box in pixels of the before image.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    strength: float
    what: str = "changed"
    after: tuple[int, int, int, int] | None = None
    page: int = 1
    place: tuple[int, int, int, int] | None = None

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.width, self.height

    @property
    def places(self) -> list[tuple[int, int, int, int]]:
        """The boxes of the before image that differ: one, or two of something that went farther than its size."""
        if self.place is None:
            return [self.box]
        x, y = min(self.x, self.place[0]), min(self.y, self.place[1])
        right = max(self.x + self.width, self.place[0] + self.place[2])
        below = max(self.y + self.height, self.place[1] + self.place[3])
        if right - x >= self.width + self.place[2] or below - y >= self.height + self.place[3]:
            return [self.box, self.place]
        return [(x, y, right - x, below - y)]

    def record(self) -> dict[str, Any]:
        """As it stands in a JSON file: the names above, "after" as x, y, width, height."""
        after = None if self.after is None else dict(zip(("x", "y", "width", "height"), self.after, strict=True))
        told = asdict(self) | {"strength": round(self.strength, 4), "after": after}
        del told["place"]
        return told


@dataclass(frozen=True, repr=False)
class Difference:
    """What `detect` found.

    Attributes
    ----------
    method : the name of the method.
    similarity : 1 for identical pictures, otherwise less, each method on its own scale; "ssim" and "features" may fall
        below 0.
    regions : strongest first.
    map : float32 array (H, W), 0 to 1: how much each pixel of the compared pictures differs.
    mask : bool array (H, W): the pixels counted as changed.
    alignment : how the after image lies under the before image; None where nobody asked.
    kind : what kind of pair it is, one of `options.PAIR_KINDS`.
    note : in words, what the regions alone do not tell; usually empty.
    compared, pixels : how many pixels were compared, and of how many: those of the before picture, or of the larger
        picture of pages. Of photographs only what both show is compared; nor is what the options ignore.
    """

    method: str
    similarity: float
    regions: list[Region]
    map: np.ndarray
    mask: np.ndarray
    alignment: Alignment | None = None
    kind: str = "camera"
    note: str = ""
    compared: int = 0
    pixels: int = 0

    def __repr__(self) -> str:
        regions = f"{len(self.regions)} region{'' if len(self.regions) == 1 else 's'}"
        return f"Difference({regions}, similarity {rounded_down(self.similarity, 4):.4f}, {self.method}, {self.kind})"

    def noted(self, more: str) -> Difference:
        """The same with one more note."""
        return replace(self, note="; ".join(filter(None, (self.note, more))))

    @property
    def changed(self) -> int:
        """The changed pixels of all regions; what moved counts here and there."""
        return sum(region.area for region in self.regions)

    @property
    def changed_share(self) -> float:
        """Of the pixels that were compared, 0 to 1, how many changed."""
        return min(1.0, self.changed / self.compared) if self.compared else 0.0

    @property
    def boxes(self) -> np.ndarray:
        """int array (n, 4): x, y, width, height of each place of the before image that differs."""
        places = [box for one in self.regions for box in one.places]
        return np.array(places, dtype=int).reshape(-1, 4)

    def summary(self) -> dict[str, Any]:
        """As it stands in a JSON file: see `result.schema.json`."""
        return {
            "method": self.method,
            "kind": self.kind,
            "similarity": rounded_down(self.similarity, 6),
            "changed_pixels": self.changed,
            "changed_share": round(self.changed_share, 9),
            "uncompared_share": round(1 - self.compared / self.pixels, 9) if self.pixels else 0.0,
            "transform": None if self.alignment is None else self.alignment.record(),
            "note": self.note,
            "regions": [region.record() for region in self.regions],
        }


@dataclass
class Compared:
    """Two pictures compared pixel by pixel, before the pixels become regions.

    Attributes
    ----------
    similarity : as in `Difference`.
    strength : float32 array (H, W), 0 to 1.
    mask : bool array (H, W): the changed pixels.
    valid : bool array (H, W): the pixels that could be compared.
    before, after : uint8 arrays (H, W, 3): what was compared, the after image under the before image, in one light.
    merge, min_area : what `regions` is to take where the user says nothing: follows from the noise of the pair.
    alignment : how the after image was laid; None where it was not.
    note : in words, what a reader of the result should know; usually empty.
    """

    similarity: float
    strength: np.ndarray
    mask: np.ndarray
    valid: np.ndarray
    before: np.ndarray
    after: np.ndarray
    merge: int
    min_area: int
    alignment: Alignment | None = None
    note: str = ""


def regions(mask: np.ndarray, strength: np.ndarray, *, merge: int = 0, min_area: int = 1, pad: int = 0) -> list[Region]:
    """The boxes of a mask, fragments that lie close together as one.

    Parameters
    ----------
    mask : bool array (H, W).
    strength : float32 array (H, W), 0 to 1.
    merge : fragments up to this many pixels apart become one region.
    min_area : regions with fewer changed pixels are dropped.
    pad : pixels that each box grows on every side, within the picture.

    Returns
    -------
    list of Region
        Strongest first.
    """
    if mask.shape != strength.shape:
        raise ValueError(f"mask is {mask.shape} and strength is {strength.shape}: give both the same shape")
    x0, y0, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    reach = merge // 2 + 2  # the rest of the picture cannot matter
    x0, y0, width, height = _padded((x0, y0, width, height), reach, mask.shape)
    there = np.s_[y0 : y0 + height, x0 : x0 + width]
    near = mask[there].astype(np.uint8)
    if merge:
        near = (cv2.distanceTransform(1 - near, cv2.DIST_L2, 5) <= merge / 2).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    found = []
    for label in range(1, count):
        x, y, width, height = stats[label, :4]
        window = np.s_[y : y + height, x : x + width]
        part = (labels[window] == label) & mask[there][window]
        if np.count_nonzero(part) < max(1, min_area):
            continue
        bx, by, bw, bh = cv2.boundingRect(part.view(np.uint8))
        box = _padded((x0 + x + bx, y0 + y + by, bw, bh), pad, mask.shape)
        found.append(Region(*box, int(np.count_nonzero(part)), float(strength[there][window][part].max())))
    return strongest_first(found)


def _padded(box: tuple[int, ...], pad: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x, y, width, height = map(int, box)
    x0, y0 = max(0, x - pad), max(0, y - pad)
    return x0, y0, min(shape[1], x + width + pad) - x0, min(shape[0], y + height + pad) - y0


def rounded_down(similarity: float, digits: int) -> float:
    """So that 1 means that nothing differs."""
    return math.floor(similarity * 10**digits + 1e-9) / 10**digits if similarity < 1 else 1.0


def region_of(box: Sequence[int], mask: np.ndarray, strength: np.ndarray) -> Region:
    """The region in a box (x, y, width, height): its area in the mask, its strongest difference."""
    x, y, width, height = map(int, box)
    window = np.s_[y : y + height, x : x + width]
    return Region(x, y, width, height, int(np.count_nonzero(mask[window])), float(strength[window].max()))


def strongest_first(found: list[Region]) -> list[Region]:
    return sorted(found, key=lambda region: (-region.strength, -region.area, region.y, region.x))


def hysteresis(values: np.ndarray, threshold: float, low: float = 0.5) -> np.ndarray:
    """Pixels over `low * threshold` that hang together with one over the threshold: bool (H, W)."""
    weak = (values > low * threshold).astype(np.uint8)
    count, labels = cv2.connectedComponents(weak, connectivity=8)
    keep = np.zeros(count, bool)
    keep[labels[values > threshold]] = True
    keep[0] = False
    return keep[labels]
