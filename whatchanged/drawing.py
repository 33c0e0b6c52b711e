"""What is drawn into pictures with OpenCV alone, so that the command line need not load matplotlib."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged.regions import Difference

_WHITE = (255, 255, 255)
FOUND = "#D55E00"  # what a method found


def draw_regions(
    before: np.ndarray | None, after: np.ndarray | None, difference: Difference, picture: str = "both"
) -> np.ndarray:
    """The pictures with the regions boxed and numbered: uint8 array (H, W, 3).

    Each box stands where the region is in that picture. The lower of two pictures of different heights goes on in
    white.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3); None where one of two files lacks the page, which is empty then.
    picture : "both" side by side, or "after" alone.
    """
    one, two = before, after
    if one is None or two is None:
        one, two = (np.full_like(other, 255) if side is None else side for side, other in ((one, two), (two, one)))
    shown = [two.copy()] if picture == "after" else [one.copy(), two.copy()]
    thickness = max(2, min(one.shape[:2]) // 250)
    out = thickness + 2  # so far outside of the box, whose content stays free
    color = tuple(int(FOUND[i : i + 2], 16) for i in (1, 3, 5))
    for number, region in enumerate(difference.regions, start=1):
        boxes = [region.box, region.after or region.box]
        for image, (x, y, width, height) in zip(shown, boxes[-len(shown) :], strict=True):
            for paint, stroke in (((255, 255, 255), 2 * thickness), (color, thickness)):  # a white edge sets it off
                cv2.rectangle(
                    image, (x - out, y - out), (x + width + out, y + height + out), paint, stroke, cv2.LINE_AA
                )
            _label(image, str(number), np.array([x - 2 * out, y - 2 * out]), color, thickness)
    if picture == "after":
        return shown[0]
    tallest = max(len(image) for image in shown)
    shown = [cv2.copyMakeBorder(one, 0, tallest - len(one), 0, 0, cv2.BORDER_CONSTANT, value=_WHITE) for one in shown]
    gap = np.full((tallest, max(4, one.shape[1] // 50), 3), 255, np.uint8)
    return np.concatenate([shown[0], gap, shown[1]], axis=1)


def below_each_other(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures (H, W, 3) of any sizes as one, white where one is narrower."""
    widest = max(picture.shape[1] for picture in pictures)
    gap = max(4, widest // 50)
    padded = [
        cv2.copyMakeBorder(one, gap if number else 0, 0, 0, widest - one.shape[1], cv2.BORDER_CONSTANT, value=_WHITE)
        for number, one in enumerate(pictures)
    ]
    return np.concatenate(padded)


def _label(image: np.ndarray, text: str, corner: np.ndarray, ground: tuple[int, ...], thickness: int) -> None:
    """A number in white, its lower left corner on the upper left one of the box, or in the box at the upper edge."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.25 * thickness
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    x, bottom = int(corner[0]), max(int(corner[1]), height + 2 * thickness)
    cv2.rectangle(image, (x, bottom - height - 2 * thickness), (x + width + 2 * thickness, bottom), ground, -1)
    place = (x + thickness, bottom - thickness)
    cv2.putText(image, text, place, font, scale, (255, 255, 255), max(1, thickness // 2), cv2.LINE_AA)


def overlay(picture: np.ndarray, heat: np.ndarray, *, highest: float | None = None) -> np.ndarray:
    """A heat map, laid over the gray picture: uint8 array (H, W, 3).

    Parameters
    ----------
    picture : uint8 array (H, W, 3).
    heat : float array of any size; it is enlarged to the picture's.
    highest : scale the map from 0 to this; None from its lowest to its highest value.
    """
    heat = cv2.resize(np.asarray(heat, np.float32), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    lowest, span = (heat.min(), float(np.ptp(heat))) if highest is None else (0, highest)
    heat = np.clip((heat - lowest) / max(span, 1e-6), 0, 1)
    colored = cv2.applyColorMap(np.minimum(heat * 256, 255).astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1]
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return np.rint(0.55 * gray + 0.45 * colored).astype(np.uint8)
