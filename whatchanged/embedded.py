"""The pictures of a pair as HTML embeds them: each as a data URI, and where it and its boxes lie among the others."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from whatchanged import images
from whatchanged.alignment import Alignment
from whatchanged.detection import sized
from whatchanged.layout import Layout, cut, layout_of
from whatchanged.pages import Page
from whatchanged.regions import Difference, Region

if TYPE_CHECKING:
    from PIL import Image

RENDERED_PIXELS = 25_000_000
"""Larger pages are scaled down for show."""
CAMERA_PIXELS = 2_000_000
"""Larger photographs are scaled down for show."""

_HEAT_PIXELS = 2_000_000
_LEVELS = 15  # of the heat map, beside none
_SEEN = 4  # the least level of a pixel that counts as changed
_QUALITY = 85
_DRAWN = 4096  # most colors of a picture for which PNG is tried where it need not be exact
_LONGEST_WEBP = 16383  # pixels a side, by the format
_SMALL = 96  # pixels along the longer side of a region's thumbnail
_NOT_SHOWN = 128  # the gray of what the after picture does not show

Place = tuple[float, float, float, float]
"""left, top, width, height, in percent."""


@dataclass(frozen=True)
class Layer:
    """A picture of a pair on the stage, all of whose layers lie on each other at the upper left.

    Attributes
    ----------
    source : the picture as a data URI.
    width, height : its size on the stage.
    boxes : number of each region, and its box in percent of the picture.
    """

    source: str
    width: int
    height: int
    boxes: list[tuple[int, Place]]


@dataclass(frozen=True)
class Stage:
    """The layers of one page of a pair.

    Attributes
    ----------
    before, after : the pictures; None where that file has no such page. Of two equal ones there is one, `before`.
    laid : the after picture laid under the before picture, by its alignment or row by row; None where it lies there
        already.
    heat : how much each place differs, to be laid over the before picture.
    highest : the difference of the heat map's strongest color, 0 to 1.
    told : in words, what one should know of the laid picture; usually empty.
    scaled : the pictures are smaller than they are.
    """

    before: Layer | None
    after: Layer | None
    laid: Layer | None = None
    heat: Layer | None = None
    highest: float = 1.0
    told: str = ""
    scaled: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that hold all layers."""
        shown = [one for one in (self.before, self.after, self.laid) if one]
        return max(one.width for one in shown), max(one.height for one in shown)


def stage_of(page: Page, found: Difference, size: str = "pad", pixels: int | None = None) -> Stage:
    """Everything that is shown of one page.

    Parameters
    ----------
    page, found : as `documents.detect_pages` yields them.
    size : the `Options.size` that it was compared with.
    pixels : larger pictures are scaled down for show; None: `RENDERED_PIXELS` or `CAMERA_PIXELS`.
    """
    before, after, numbered = page.before, page.after, list(enumerate(found.regions, start=1))
    rendered = found.kind != "camera"
    most = pixels or (RENDERED_PIXELS if rendered else CAMERA_PIXELS)

    def layer(picture: np.ndarray, extent: tuple[int, ...], boxes: list[tuple[int, Place]]) -> Layer:
        lossless = rendered and not _large(picture, most)  # scaled down it is not exact anyway
        return Layer(data_uri(_within(picture, most), lossless), extent[1], extent[0], boxes)

    if before is None or after is None:
        alone = before if after is None else after
        assert alone is not None  # a page is in one of the files at least
        only = layer(alone, alone.shape, [(number, percent(one.box, alone)) for number, one in numbered])
        return Stage(only if after is None else None, only if before is None else None, scaled=_large(alone, most))
    scaled = _large(before, most) or _large(after, most)
    compared, other = sized(before, after, size)
    layout = layout_of(compared, other) if found.kind == "layout" else Layout()
    old = layer(before, before.shape, [(number, percent(_marked(one, layout), before)) for number, one in numbered])
    if not numbered and before.shape == after.shape and np.array_equal(before, after):
        return Stage(old, None, scaled=scaled)
    there = [(number, percent(one.after or one.box, after)) for number, one in numbered]
    new = layer(after, before.shape if size == "scale" else after.shape, there)
    extent = before.shape if size == "scale" else compared.shape
    highest = max(0.25, float(found.map.max()))
    heat = Layer(_heat(found.map, found.mask, highest, min(most, _HEAT_PIXELS)), extent[1], extent[0], [])
    stage = Stage(old, new, None, heat, highest, scaled=scaled)
    if found.kind == "layout":
        picture, told = _row_by_row(compared, other, layout)
    elif found.alignment is None or found.alignment.is_identity:
        return stage
    else:
        picture, partly = laid_under(compared, other, found.alignment)
        told = "Gray: what the after picture does not show." if partly else ""
    if picture is None:
        return stage
    to = np.empty(extent, np.uint8)  # the boxes are in pixels of the before picture as it was given
    boxes = [(number, percent(one.place or _marked(one, layout), to)) for number, one in numbered]
    return replace(stage, laid=layer(picture, extent, boxes), told=told)


def percent(box: Sequence[int], picture: np.ndarray) -> Place:
    """A box (x, y, width, height) in percent of a picture, within it; one outside becomes a line at its edge."""
    height, width = picture.shape[:2]
    x0, y0 = min(max(box[0], 0), width), min(max(box[1], 0), height)
    x1, y1 = min(max(box[0] + box[2], x0), width), min(max(box[1] + box[3], y0), height)
    return 100 * x0 / width, 100 * y0 / height, 100 * (x1 - x0) / width, 100 * (y1 - y0) / height


def laid_under(before: np.ndarray, after: np.ndarray, alignment: Alignment) -> tuple[np.ndarray, bool]:
    """The after picture as seen from where the before picture was taken, gray where it shows nothing of it.

    Returns
    -------
    picture : uint8 array (H, W, 3) of the size of before.
    partly : whether anything is gray.
    """
    height, width = before.shape[:2]
    below, right = max(0, height - after.shape[0]), max(0, width - after.shape[1])
    wide = cv2.copyMakeBorder(after, 0, below, 0, right, cv2.BORDER_REPLICATE)
    laid = alignment.warp(wide)[:height, :width].copy()
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(np.ones(after.shape[:2], np.uint8), alignment.matrix, (width, height), flags=flags)
    laid[seen == 0] = _NOT_SHOWN
    return laid, not seen.all()


def _marked(region: Region, layout: Layout) -> Sequence[int]:
    """Where a region is marked in the before page: what came between others has no size there, and is a line."""
    x, y, width, height = region.box
    if region.what != "added" or not any(_holds(rect, region.after or region.box) for _, rect in layout.added):
        return region.box
    return (x, y, width, 0) if width >= height else (x, y, 0, height)


def _holds(rect: Sequence[int], box: Sequence[int]) -> bool:
    return all(rect[axis] <= box[axis] <= box[axis] + box[axis + 2] <= rect[axis] + rect[axis + 2] for axis in (0, 1))


def _row_by_row(before: np.ndarray, after: np.ndarray, layout: Layout) -> tuple[np.ndarray | None, str]:
    """The after page with its rows where they were before, and what is to be said of that; None where nothing came or
    went that pushed them away, or where most of the before page is gone.
    """
    pieces = layout.pieces
    if all(one == two for one, two in pieces) or not (layout.removed or layout.added):
        return None, ""
    laid, gone = np.full_like(before, _NOT_SHOWN), np.ones(before.shape[:2], bool)
    for one, two in pieces:
        cut(laid, one)[:] = cut(after, two)
        cut(gone, one)[:] = False
    if gone.mean() > 0.5:
        return None, ""
    gray = " Gray: what the after page lacks." if gone.any() else ""
    line = " A line is where something was added: see it side by side." if layout.added else ""
    return laid, f"What moved lies where it was before.{line}{gray}"


def thumbnail(image: np.ndarray, longest: int = 160) -> np.ndarray:
    """A small copy of a picture, for `report.Entry`: uint8 (H, W, 3), at most `longest` pixels a side."""
    return images.color(images.shrink(image, longest)).copy()


def cutout(picture: np.ndarray | None, box: Sequence[int], lossless: bool) -> str | None:
    """A box (x, y, width, height) of a picture with what is around it, as a small data URI; None outside of it."""
    if picture is None:
        return None
    room = max(8, max(box[2:]) // 4)
    height, width = picture.shape[:2]
    x0, x1 = max(0, box[0] - room), min(width, box[0] + box[2] + room)
    y0, y1 = max(0, box[1] - room), min(height, box[1] + box[3] + room)
    if x0 >= x1 or y0 >= y1:
        return None
    cut_out = picture[y0:y1, x0:x1]
    return data_uri(images.shrink(cut_out, _SMALL), lossless and max(cut_out.shape[:2]) <= _SMALL)


def data_uri(picture: np.ndarray, lossless: bool = True) -> str:
    """A picture, uint8 (H, W, 3), as a data URI: PNG; if it need not be exact, WebP where that is less than half as
    large, as of photographs.
    """
    if lossless or max(picture.shape) > _LONGEST_WEBP:
        return _uri(_png(picture), "png")
    lossy = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()
    exact = _png(picture) if _drawn(picture) else b""  # slow, of a photograph
    return _uri(exact, "png") if exact and len(exact) <= 2 * len(lossy) else _uri(lossy, "webp")


def _drawn(picture: np.ndarray) -> bool:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(picture)).getcolors(_DRAWN) is not None


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _png(picture: np.ndarray) -> bytes:
    """With a palette where 256 colors are enough, as in most screens: a quarter smaller."""
    from PIL import Image

    whole = Image.fromarray(np.ascontiguousarray(picture))
    if whole.getcolors(256) is None:
        return _saved(whole)
    colors, indices = np.unique(images.packed(picture), return_inverse=True)
    few = Image.fromarray(indices.reshape(picture.shape[:2]).astype(np.uint8))
    few.putpalette(colors.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    return _saved(few)


def _saved(picture: Image.Image, **options: bytes) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def _large(picture: np.ndarray, pixels: int) -> bool:
    return picture.shape[0] * picture.shape[1] > pixels


def _within(picture: np.ndarray, pixels: int) -> np.ndarray:
    """The picture with at most about so many pixels."""
    factor = (pixels / (picture.shape[0] * picture.shape[1])) ** 0.5
    return images.shrink(picture, max(1, int(max(picture.shape[:2]) * factor))) if factor < 1 else picture


def _heat(strength: np.ndarray, mask: np.ndarray, highest: float, most: int) -> str:
    """How much each place differs, in colors on nothing; in `most` pixels, too, each changed one is seen."""
    from PIL import Image

    levels: np.ndarray = np.rint(np.clip(strength / highest, 0, 1) * _LEVELS).astype(np.uint8)
    levels[mask] = np.maximum(levels[mask], _SEEN)
    step = int(np.ceil((levels.size / most) ** 0.5))
    if step > 1:
        below, right = -levels.shape[0] % step, -levels.shape[1] % step
        levels = cv2.dilate(cv2.copyMakeBorder(levels, 0, below, 0, right, cv2.BORDER_REPLICATE), np.ones((step, step)))
        levels = np.ascontiguousarray(levels[step // 2 :: step, step // 2 :: step])
    picture = Image.fromarray(levels)
    picture.putpalette(heat_colors().tobytes())
    return _uri(_saved(picture, transparency=bytes([0, *[235] * _LEVELS])), "png")


def heat_colors() -> np.ndarray:
    """The colors of the heat map from none to the strongest: uint8 array (16, 3), RGB."""
    shades = np.linspace(70, 255, _LEVELS + 1).astype(np.uint8)
    return cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO).reshape(-1, 3)[:, ::-1].copy()
