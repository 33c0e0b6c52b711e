"""What the values of a picture file mean: deep gray, profiles and transparency as 8-bit RGB, alone or two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from whatchanged.profiles import in_srgb

WHITE = (255, 255, 255)
BACKGROUNDS = (WHITE, (192, 192, 192), (0, 0, 0), (255, 0, 255), (0, 255, 0), (0, 255, 255), (255, 128, 0), (0, 0, 255))
NEARBY = 4  # bins of 8 levels: a color closer to the background than that, in each channel, is hard to tell from it
BITS = (8, 10, 12, 14, 16)  # of sensors; their values come in files of 16
BLOCK = 1 << 22  # values scaled at a time: a large picture as float64 would not fit into memory
ORIENTATION, BITS_PER_SAMPLE, SAMPLES_PER_PIXEL, SAMPLE_FORMAT, PROFILE, NO_DATA = 274, 258, 277, 339, 34675, 42113


@dataclass(frozen=True, eq=False)
class Decoded:
    """A page as its file has it.

    Parameters
    ----------
    values : uint8 (H, W, 3), sRGB; or deep gray (H, W) of uint16, int32, uint32 or float32, in the file's own range.
    alpha : uint8 (H, W), of which some are below 255; None where all is opaque. Deep gray that is no number, or what
        the file calls no data, is transparent.
    notes : what the values do not tell of the file, in words.
    """

    values: np.ndarray
    alpha: np.ndarray | None
    notes: tuple[str, ...]

    @property
    def deep(self) -> bool:
        return self.values.dtype != np.uint8


def decoded(image: Image.Image) -> Decoded:
    """Decode an opened picture, turn it as its EXIF tag says, and convert it by its color profile.

    Raises whatever Pillow raises of a damaged one.
    """
    tags: Any = getattr(image, "tag_v2", {})
    # Pillow keeps a profile of an earlier page of a TIFF in `info`.
    profile = tags.get(PROFILE) if image.format == "TIFF" else image.info.get("icc_profile")
    notes = _lost(image, tags)
    image.load()
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)  # a copy: in place, the next frame would not fit
    if image.mode == "F" or image.mode.startswith("I"):
        return _deep(image, tags, notes)
    alpha: np.ndarray | None = None
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        opacity = np.array(whole.getchannel("A"))
        alpha = opacity if opacity.min() < 255 else None
        image = image.convert("L") if image.mode in ("L", "LA", "1") else whole.convert("RGB")
    elif image.mode == "1":
        image = image.convert("L")  # a quarter of the memory of Pillow's RGB
    image, note = in_srgb(image, profile)
    if image.mode == "L":
        return Decoded(cv2.cvtColor(np.asarray(image), cv2.COLOR_GRAY2RGB), alpha, (*notes, *filter(None, [note])))
    return Decoded(np.array(image), alpha, (*notes, *filter(None, [note])))


def _lost(image: Image.Image, tags: dict[int, Any]) -> tuple[str, ...]:
    """What Pillow will leave out of a picture that is not decoded yet."""
    found = []
    ways = [args if isinstance(args, tuple) else (args,) for *_, args in getattr(image, "tile", ())]
    raw = any(isinstance(one, str) and ";16" in one for args in ways for one in args)
    portable = image.format == "PPM" and any(isinstance(one, int) and one > 255 for args in ways for one in args)
    if (raw or portable) and not (image.mode == "F" or image.mode.startswith("I")):
        found.append("only the upper 8 bits of its 16-bit colors are compared")
    bands = tags.get(SAMPLES_PER_PIXEL, 0)
    if bands > len(image.getbands()):
        found.append(f"only {len(image.getbands())} of its {bands} bands are compared")
    return tuple(found)


def _deep(image: Image.Image, tags: dict[int, Any], notes: tuple[str, ...]) -> Decoded:
    values = np.asarray(image)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if tags.get(BITS_PER_SAMPLE) == (32,) and tags.get(SAMPLE_FORMAT, (1,)) == (1,) and values.dtype == np.int32:
        values = values.view(np.uint32)  # which Pillow has no mode for
    absent = np.isnan(values)
    for empty in (image.info.get("transparency"), tags.get(NO_DATA)):
        if isinstance(empty, int | float | str):
            absent |= _equals(values, empty)
    return Decoded(values, np.where(absent, np.uint8(0), np.uint8(255)) if absent.any() else None, notes)


def _equals(values: np.ndarray, empty: float | str) -> np.ndarray:
    """bool (H, W): where a value is the one that stands for none; GDAL writes it as text."""
    try:
        number = float(str(empty).strip("\0 "))
    except ValueError:
        return np.zeros(values.shape, bool)
    return values == (np.float32(number) if values.dtype == np.float32 else number)


def shown_alone(page: Decoded) -> np.ndarray:
    """uint8 (H, W, 3) of one page as a viewer shows it: deep gray by its own range, what is transparent on white."""
    return _laid(_rgb(page, _own_range(page)), page.alpha, WHITE)


def shown_together(before: Decoded, after: Decoded) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Two pages made comparable: deep gray by the range of both, what is transparent on one background.

    Returns
    -------
    before, after : uint8 (H, W, 3), each of its own size.
    notes : what the two arrays do not show, in words.
    """
    notes = [f"{name}: {note}" for name, page in (("before", before), ("after", after)) for note in page.notes]
    ranges = _joint_ranges(before, after)
    first, second = (_rgb(page, span) for page, span in zip((before, after), ranges, strict=True))
    if ranges[0] == ranges[1] and before.deep and after.deep:
        notes += _unseen(before, after, first, second, ranges[0])
    if before.alpha is not None or after.alpha is not None:
        background = _background([(first, before.alpha), (second, after.alpha)])
        first, second = _laid(first, before.alpha, background), _laid(second, after.alpha, background)
    return first, second, tuple(notes)


def _extremes(page: Decoded) -> tuple[float, float] | None:
    """The least and the greatest finite value that is not transparent; None where there is none."""
    values = page.values if page.alpha is None else page.values[page.alpha > 0]
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _own_range(page: Decoded) -> tuple[float, float]:
    """The values that are black and white where a deep picture is seen alone."""
    if not page.deep:
        return 0.0, 255.0
    found = _extremes(page)
    if found is None:
        return 0.0, 1.0
    low, high = found
    if page.values.dtype.kind == "f":
        return (0.0, 1.0) if low >= 0 and high <= 1 else found
    fitting = [float(2**bits - 1) for bits in BITS if high < 2**bits]
    return (0.0, fitting[0]) if low >= 0 and fitting else found


def _joint_ranges(before: Decoded, after: Decoded) -> list[tuple[float, float]]:
    """The range of both together, twice; each its own where the two are not of one kind or hold one single value.

    Fractions from 0 to 1 and whole numbers are different units: one is the other, scaled.
    """
    own = [_own_range(page) for page in (before, after)]
    found = [_extremes(page) for page in (before, after) if page.deep]
    fractions = [page.values.dtype.kind == "f" and own[at] == (0, 1) for at, page in enumerate((before, after))]
    if len(found) < 2 or None in found or fractions[0] != fractions[1]:
        return own
    low, high = min(one[0] for one in found if one), max(one[1] for one in found if one)
    return [(low, high)] * 2 if low < high else own


def _rgb(page: Decoded, span: tuple[float, float]) -> np.ndarray:
    if not page.deep:
        return page.values
    (low, high), values = span, page.values
    levels = np.empty(values.shape, np.uint8)
    rows = max(1, BLOCK // values.shape[1])
    for start in range(0, len(values), rows):
        part = values[start : start + rows].astype(np.float64) - low
        part = np.nan_to_num(part * (255 / (high - low) if high > low else 1), nan=0, posinf=255, neginf=0)
        levels[start : start + rows] = np.rint(np.clip(part, 0, 255))
    return cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)


def _unseen(
    before: Decoded, after: Decoded, first: np.ndarray, second: np.ndarray, span: tuple[float, float]
) -> list[str]:
    """A note where values differ by less than a level of the two pictures."""
    if first.shape != second.shape:
        return []
    hidden = (before.values != after.values) & (first[..., 0] == second[..., 0])
    for page in (before, after):
        if page.alpha is not None:
            hidden &= page.alpha > 0
    count = np.count_nonzero(hidden)
    step = f"{(span[1] - span[0]) / 255:.3g}"
    return [f"the values of {count:,} pixels differ by less than 8 bits show (steps of {step})"] if count else []


def _background(pages: list[tuple[np.ndarray, np.ndarray | None]]) -> tuple[int, int, int]:
    """The color that the fewest visible pixels of two pictures are near to; the first of several.

    Visible pixels of an opaque picture count too: what is transparent in the other must differ from them.
    """
    counts = sum(cv2.calcHist([rgb], [0, 1, 2], alpha, [32] * 3, [0, 256] * 3) for rgb, alpha in pages)
    near = []
    for color in BACKGROUNDS:
        around = tuple(slice(max(0, (one >> 3) - NEARBY), (one >> 3) + NEARBY + 1) for one in color)
        near.append(float(np.sum(np.asarray(counts)[around])))
    return BACKGROUNDS[int(np.argmin(near))]


def _laid(rgb: np.ndarray, alpha: np.ndarray | None, background: tuple[int, int, int]) -> np.ndarray:
    if alpha is None:
        return rgb
    whole = Image.fromarray(np.dstack([rgb, alpha]))
    return np.array(Image.alpha_composite(Image.new("RGBA", whole.size, background), whole).convert("RGB"))
