"""What is drawn into pictures with OpenCV alone, so that the command line need not load matplotlib."""

from __future__ import annotations

import cv2
import numpy as np

from whatchanged.regions import Difference

FOUND = "#D55E00"  # what a method found


def draw_regions(before: np.ndarray, after: np.ndarray, difference: Difference, picture: str = "both") -> np.ndarray:
    """The pictures with the regions boxed and numbered: uint8 array (H, W, 3).

    Where an alignment is known the boxes on the after picture follow it. An after picture of another size is shown at
    that of the before picture.

    Parameters
    ----------
    picture : "both" side by side, or "after" alone.
    """
    if after.shape[:2] != before.shape[:2]:
        after = cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA)
    shown = [after.copy()] if picture == "after" else [before.copy(), after.copy()]
    compared = difference.map.shape
    matrix = np.eye(3) if difference.alignment is None else difference.alignment.matrix
    grow = np.diag([before.shape[1] / compared[1], before.shape[0] / compared[0], 1.0])
    matrix = grow @ matrix @ np.linalg.inv(grow)
    thickness = max(2, min(before.shape[:2]) // 160)
    color = tuple(int(FOUND[i : i + 2], 16) for i in (1, 3, 5))
    strokes = (((255, 255, 255), 2 * thickness), (color, thickness))  # a white edge sets the box off from the picture
    for number, (x, y, width, height) in enumerate(difference.boxes.tolist(), start=1):
        corners = np.array([[[x, y], [x + width, y], [x + width, y + height], [x, y + height]]], float)
        moved = cv2.perspectiveTransform(corners, matrix)
        for image, outline in zip(shown, (corners[0], moved[0])[-len(shown) :], strict=True):
            for paint, stroke in strokes:
                cv2.polylines(image, [np.rint(outline).astype(np.int32)], True, paint, stroke, cv2.LINE_AA)
            _label(image, str(number), outline[0], color, thickness)
    if picture == "after":
        return shown[0]
    gap = np.full((before.shape[0], max(4, before.shape[1] // 50), 3), 255, np.uint8)
    return np.concatenate([shown[0], gap, shown[1]], axis=1)


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
