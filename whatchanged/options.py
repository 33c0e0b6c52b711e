"""How two pictures are compared: everything that one may say to `detect`, with what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

METHODS = {"tolerant": "Tolerant, the best", "pixel": "Pixel", "ssim": "SSIM", "features": "Features"}
"""Every method by the name that code and commands use, with the one that people read."""

PAIR_KINDS = ("exact", "layout", "camera")
"""What a pair of pictures may be: the same rendering, where each pixel counts; a page whose rows moved; photographs,
scans and whatever else has noise.
"""

MOTIONS = ("translation", "euclidean", "affine", "perspective")
"""How a camera may have moved between two photographs, each more freely than the one before it."""

SIZES = ("pad", "crop", "scale")
"""What becomes of two pictures of different sizes."""

Box = tuple[int, int, int, int]
"""x, y, width, height."""


@dataclass(frozen=True)
class Options:
    """What `detect` does.

    Attributes
    ----------
    method : one of `METHODS`; "tolerant" is the best in tests.
    align, normalize : register the after image first; remove differences of light first. None: as the method is
        meant, which is yes for "tolerant" and no for the three classic ones.
    kind : one of `PAIR_KINDS`; None: the pair says itself what it is. To the three classic methods all are "camera",
        and so is what was scaled or is to be aligned, where no kind is given.
    motion : what `align` may do: "translation", "euclidean", "affine" or "perspective"; None: what the pair needs.
    size : how pictures of different sizes are compared: "pad", each as it is, aligned by what it shows or at the top
        left, so that what only one has is told; "crop", what both have at the top left; "scale", squeezed to the
        smaller size, for a picture of another resolution. Boxes stay in pixels of the pictures as they were given.
    tolerance, one_sided : see `tolerance.tolerant_difference`.
    sensitivity : above 1 reports weaker differences, below 1 only stronger ones.
    merge, min_area : see `regions.regions`; None: 1/24 of the smaller side; at least 12 pixels, or 1/5000 of the
        picture.
    pad : pixels that each box grows on every side.
    weights : of the network for "features", see `features.feature_similarity`.
    ignore : boxes (x, y, width, height) of the before picture in which nothing is compared, as a clock; what only the
        after picture has is ignored by its place there.
    mask : a picture of the size of the before picture, as a file or an array (H, W): only where it is white (above 127,
        or True), pixels are compared.

    Raises
    ------
    ValueError
        An unknown method, kind, motion or size, a sensitivity that is not positive, pixels below 0, or a box that is
        none.
    """

    method: str = "tolerant"
    align: bool | None = None
    normalize: bool | None = None
    motion: str | None = None
    size: str = "pad"
    kind: str | None = None
    tolerance: int = 1
    one_sided: bool = False
    sensitivity: float = 1.0
    merge: int | None = None
    min_area: int | None = None
    pad: int = 0
    weights: str = "lite0"
    ignore: tuple[Box, ...] = ()
    mask: str | Path | np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}: choose one of {', '.join(METHODS)}")
        if self.kind not in (None, *PAIR_KINDS):
            raise ValueError(f"kind is {self.kind!r}: choose one of {', '.join(PAIR_KINDS)}, or None")
        if self.motion not in (None, *MOTIONS):
            raise ValueError(f"motion is {self.motion!r}: choose one of {', '.join(MOTIONS)}, or None")
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size!r}: choose one of {', '.join(SIZES)}")
        if not self.sensitivity > 0:
            raise ValueError(f"sensitivity is {self.sensitivity}: give a number above 0 (1 is the usual)")
        for name in ("tolerance", "merge", "min_area", "pad"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name} is {value}: give a number of pixels, 0 or more")
        object.__setattr__(self, "ignore", tuple(_box(one) for one in self.ignore))

    @property
    def aligns(self) -> bool:
        """Whether the after image is registered first."""
        return self.method == "tolerant" if self.align is None else self.align

    @property
    def normalizes(self) -> bool:
        """Whether differences of light are removed first."""
        return self.method == "tolerant" if self.normalize is None else self.normalize


def _box(given: Any) -> Box:
    try:
        x, y, width, height = (int(one) for one in given)
    except (TypeError, ValueError):
        x = y = width = height = -1
    if min(x, y) < 0 or min(width, height) < 1:
        raise ValueError(f"ignore has {given!r}: give boxes of x,y,width,height in pixels, as 10,20,300,40")
    return x, y, width, height


PRESETS: dict[str, dict[str, Any]] = {
    "screen": {"kind": "layout"},
    "document": {"merge": 16},
    "photo": {"kind": "camera"},
    "board": {
        "kind": "camera",
        "motion": "translation",
        "normalize": False,
        "tolerance": 3,
        "one_sided": True,
        "sensitivity": 0.15,
        "merge": 8,
        "min_area": 20,
        "pad": 10,
    },
}
"""What one knows of a pair beforehand, as `Options(**PRESETS["board"])`: a screen, where each pixel counts and rows may
have moved; a document, rendered or scanned, of which words are wanted, not paragraphs; a photograph; a board, or other
line art of high contrast whose lines lie a few pixels off: its boxes have room around the fault, as the annotators of
DeepPCB drew them, and it was chosen on 60 pairs of that data set, so that its score there is a fit.
"""
