"""Photographs as a camera takes them a second time: in another tone, from another place, with noise and JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

OTHERS = (
    "retina",
    "hubble_deep_field",
    "moon",
    "grass",
    "cell",
    "immunohistochemistry",
    "motorcycle",
    "china",
    "flower",
)
"""Photographs that helpers/photographs.py does not use, so that nothing can have been fitted on them."""
PHOTOGRAPHS = (*OTHERS, "astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "brick", "gravel")


@lru_cache(maxsize=len(PHOTOGRAPHS))
def photograph(name: str) -> np.ndarray:
    """A photograph of scikit-image or scikit-learn by its name: uint8 (H, W, 3), not to be written to."""
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        image = load_sample_image(f"{name}.jpg")
    elif name == "motorcycle":
        from skimage import data

        image = data.stereo_motorcycle()[0]
    else:
        from skimage import data

        image = getattr(data, name)()
    image = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3]
    image = np.ascontiguousarray(image)
    image.setflags(write=False)
    return image


@lru_cache(maxsize=32)
def scene(name: str, size: tuple[int, int]) -> np.ndarray:
    """A photograph scaled to cover (width, height), its middle."""
    image, (width, height) = photograph(name), size
    factor = max(width / image.shape[1], height / image.shape[0])
    wide, high = max(width, round(image.shape[1] * factor)), max(height, round(image.shape[0] * factor))
    image = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    left, top = (wide - width) // 2, (high - height) // 2
    image = np.ascontiguousarray(image[top : top + height, left : left + width])
    image.setflags(write=False)
    return image


@dataclass(frozen=True)
class Shot:
    """How the second photograph is taken. As it stands it is the first one again.

    Attributes
    ----------
    contrast, gamma : every value times `contrast` about 128, then to the power of `gamma` (of 0 to 1).
    white : factors of red, green and blue.
    gradient : how much brighter the right border is than the left one, as a share.
    zoom, degrees, shift : about the middle; the shift in pixels of the second picture.
    tilt : how far the corners move, as a share of the picture's sides: perspective.
    noise : standard deviation, in gray levels.
    jpeg : quality; None: not compressed.
    """

    contrast: float = 1.0
    gamma: float = 1.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gradient: float = 0.0
    zoom: float = 1.0
    degrees: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    tilt: float = 0.0
    noise: float = 0.0
    jpeg: int | None = None


def toned(image: np.ndarray, shot: Shot) -> np.ndarray:
    """The picture in another tone, as floats 0..255."""
    values = np.clip((image.astype(np.float32) - 128) * shot.contrast + 128, 0, 255)
    values = 255 * (values / 255) ** shot.gamma * np.float32(shot.white)
    if shot.gradient:
        values *= np.linspace(1 - shot.gradient / 2, 1 + shot.gradient / 2, image.shape[1], dtype=np.float32)[:, None]
    return np.clip(values, 0, 255)


def matrix(shot: Shot, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Where a pixel of the first picture (width, height) lies in the second: float (3, 3)."""
    width, height = size
    turn = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), shot.degrees, shot.zoom), [0, 0, 1]])
    turn[:2, 2] += shot.shift
    if not shot.tilt:
        return turn
    rng = np.random.default_rng(seed)
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners + (rng.uniform(-1, 1, (4, 2)) * shot.tilt * np.array([width, height])).astype(np.float32)
    return cv2.getPerspectiveTransform(corners, moved) @ turn


def take(wide: np.ndarray, shot: Shot, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Photograph the middle of a scene, so that the camera may see beyond the first picture: uint8 (height, width, 3).

    `take(wide, Shot(), size)` is the first picture.
    """
    (width, height), rng = size, np.random.default_rng((seed, 1))
    left, top = (wide.shape[1] - width) // 2, (wide.shape[0] - height) // 2
    view = matrix(shot, size, seed)
    if np.allclose(view, np.eye(3)):
        seen = wide[top : top + height, left : left + width]
    else:
        source = cv2.GaussianBlur(wide, (0, 0), 0.45 / shot.zoom) if shot.zoom < 0.9 else wide
        whole = view @ np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        seen = cv2.warpPerspective(source, whole, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    values = toned(seen, shot)
    if shot.noise:
        values = values + rng.normal(0, shot.noise, values.shape)
    out = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if shot.jpeg is None:
        return out
    coded = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, shot.jpeg])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1])


TONES = {
    "contrast .6": Shot(contrast=0.6),
    "contrast 1.3": Shot(contrast=1.3),
    "gamma .7": Shot(gamma=0.7),
    "gamma 1.5": Shot(gamma=1.5),
    "white balance": Shot(white=(1.1, 1.0, 0.85)),
    "gradient": Shot(gradient=0.3),
}
VIEWS = {
    "tilt of 3 %": Shot(tilt=0.03),
    "zoom .4": Shot(zoom=0.4),
    "zoom .6, shifted": Shot(zoom=0.6, shift=(14, -9)),
    "zoom 1.6": Shot(zoom=1.6),
    "zoom 2.5": Shot(zoom=2.5),
    "turned by 4 degrees": Shot(degrees=4, shift=(6, 3)),
}
SENSORS = {"noise 8": Shot(noise=8), "JPEG 60": Shot(jpeg=60), "noise 12, JPEG 70": Shot(noise=12, jpeg=70)}
ALL = TONES | VIEWS | SENSORS
"""Ways to take a picture again, by their names."""


def random_shot(rng: np.random.Generator) -> Shot:
    """All of them at once, each mild."""
    return Shot(
        contrast=float(rng.uniform(0.8, 1.15)),
        gamma=float(rng.uniform(0.85, 1.2)),
        white=tuple(rng.uniform(0.93, 1.07, 3).tolist()),
        gradient=float(rng.uniform(0, 0.15)),
        zoom=float(rng.uniform(0.9, 1.1)),
        degrees=float(rng.uniform(-2, 2)),
        shift=tuple(rng.uniform(-8, 8, 2).tolist()),
        tilt=float(rng.uniform(0, 0.01)),
        noise=float(rng.uniform(1, 6)),
        jpeg=int(rng.integers(70, 96)),
    )


def patched(wide: np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """The scene with a thing put at a box of the first picture: an ellipse with a stripe, unlike what was there."""
    left, top = (wide.shape[1] - size[0]) // 2, (wide.shape[0] - size[1]) // 2
    x, y, width, height = box
    out, there = wide.copy(), np.s_[top + y : top + y + height, left + x : left + x + width]
    mean = wide[there].reshape(-1, 3).mean(axis=0)
    rng = np.random.default_rng((seed, 2))
    color = np.where(mean > 127, rng.integers(0, 50, 3), rng.integers(205, 256, 3))
    middle, axes = (left + x + width // 2, top + y + height // 2), (width // 2, height // 2)
    cv2.ellipse(out, middle, axes, 0, 0, 360, color.tolist(), -1, cv2.LINE_AA)
    cv2.line(out, (middle[0] - axes[0] // 2, middle[1]), (middle[0] + axes[0] // 2, middle[1]), (127, 127, 127), 2)
    return out
