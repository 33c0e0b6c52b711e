"""Color profiles: a picture in the colors of its profile, as sRGB."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
NOISE = 2  # levels of 255 by which profiles that all call themselves sRGB differ, in their rounding


def in_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """A picture as sRGB shows it.

    Relative colorimetric, with black on black: then a color that both spaces hold stays that color, so that the same
    picture saved in two spaces comes out the same. A perceptual conversion would move it, each profile in its own way.

    Parameters
    ----------
    image : a decoded picture of mode L, RGB, CMYK, LAB or another that Pillow converts to RGB.
    profile : the ICC profile of the file, or None.

    Returns
    -------
    image : of mode L or RGB; unchanged to the bit where the profile is that of sRGB.
    note : "" or, in words, why the profile was not used.
    """
    if image.mode not in SPACES:
        image = image.convert("RGB")
    convert, note = None, ""
    if profile or image.mode == "LAB":
        try:
            # Pillow's LAB is the connection space itself, whatever the file's profile adds.
            convert, note = _conversion(None if image.mode == "LAB" else profile, image.mode)
        except (OSError, ValueError, TypeError, OverflowError) as error:
            note = f"its color profile is damaged and was not used ({error})"
    if convert is not None:
        return convert(image), note
    return (image if image.mode in ("L", "RGB") else image.convert("RGB")), note


@lru_cache(maxsize=8)
def _conversion(profile: bytes | None, mode: str) -> tuple[Callable[[Image.Image], Image.Image] | None, str]:
    """What converts a picture of a mode, and a note; no conversion where it would change nothing, or cannot be.

    Kept, for the pages of a file, and the files of a folder, mostly have one profile.
    """
    from PIL import ImageCms

    how, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
        space = source.profile.xcolor_space.strip()
        if mode == "L" and space == "RGB":
            mode = "RGB"  # a gray picture in a color space: its gray is the space's own
        if space != SPACES[mode]:
            return None, f"its color profile is of {space}, the picture of {SPACES[mode]}: it was not used"
        if mode == "L":
            flags |= ImageCms.Flags.NOOPTIMIZE  # optimized, dark grays of a steep curve are several levels off
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", how, flags)
    except ImageCms.PyCMSError as error:
        raise ValueError(error) from error
    if mode in ("L", "RGB"):
        samples = _samples(mode)
        found, given = (np.asarray(one, np.int16) for one in (transform.apply(samples), samples.convert("RGB")))
        if np.abs(found - given).max() <= NOISE:
            return None, ""
        if mode == "L":
            return (lambda image: image.point(found[0, :, 1].tolist())), ""
    return (lambda image: transform.apply(image.convert(mode))), ""


def _samples(mode: str) -> Image.Image:
    """All grays, or colors evenly over the cube and all grays."""
    grays = np.arange(256, dtype=np.uint8)
    if mode == "L":
        return Image.fromarray(grays[None])
    cube = np.linspace(0, 255, 16).astype(np.uint8)
    colors = np.stack(np.meshgrid(cube, cube, cube), axis=-1).reshape(-1, 3)
    return Image.fromarray(np.concatenate([colors, np.repeat(grays[:, None], 3, axis=1)])[None])
