"""What surfaces and textures are drawn with: grain, clouds, lines, tints, a camera."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from whatchanged.images import one_a_core

FINE = 3  # cracks and lines are drawn this many times finer, then reduced


def hold_size(size: int) -> None:
    if size < 32:
        raise ValueError(f"size is {size}: a surface needs at least 32 pixels")


def many(make: Callable, count: int) -> list:
    if count < 1:
        raise ValueError(f"count is {count}: make at least 1 picture")
    with one_a_core() as pool:
        return list(pool.map(make, range(count)))


def walk(rng, size, walks):
    """Coverage (size, size), 0 to 1, of jagged walks from (start, angle, width, length) and of their branches."""
    canvas = np.zeros((size * FINE, size * FINE), np.uint8)
    walks, most = list(walks), len(walks) + 7
    for start, angle, width, length in walks:  # branches join the list while it is read
        point, heading, jag, step = start, angle, rng.uniform(0.5, 0.9), max(4.0, size / 40)
        for _ in range(int(length / step)):
            to = point + step * direction(heading + rng.normal(0, jag))
            line(canvas, point, to, max(0.8, width * rng.uniform(0.7, 1.3)))
            point, heading = to, heading + rng.normal(0, 0.12)
            if rng.random() < 0.08 and len(walks) < most:
                walks.append((point, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2), 0.75 * width, 0.5 * length))
    return reduced(canvas, size)


def direction(angle):
    return np.array([np.cos(angle), np.sin(angle)])


def camera(rng, image):
    """Exposure, sensor noise and a little blur: uint8 (H, W, 3)."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.6))
    image = image * rng.uniform(0.8, 1.12) + rng.uniform(1, 4) * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def tinted(color, relief):
    return (np.asarray(color, np.float32) * (1 + relief[..., None] / 160)).astype(np.float32)


def darken(image, alpha, contrast):
    """Where `alpha` is 1 a share `contrast` of the light is gone; a negative one brightens."""
    return image * (1 - contrast * alpha[..., None])


def line(canvas, start, end, width):
    """A stroke on a fine canvas; places and width in pixels of the reduced picture."""
    a, b = ((round(x * FINE * 16), round(y * FINE * 16)) for x, y in (start, end))
    cv2.line(canvas, a, b, 255, max(1, round(width * FINE)), cv2.LINE_AA, 4)


def straight(rng, size, width, angle=None, offset=None):
    """Coverage (size, size), 0 to 1, of a straight line across the whole picture."""
    angle = rng.uniform(0, np.pi) if angle is None else angle
    offset = rng.uniform(-0.35, 0.35) * size if offset is None else offset
    y, x = np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2
    away = np.abs(x * np.sin(angle) - y * np.cos(angle) - offset)
    return np.clip(width / 2 + 0.5 - away, 0, 1).astype(np.float32)


def reduced(canvas, size):
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def grain(rng, size, cell):
    """Random values about 0 with deviation 1, one a cell of that many pixels."""
    small = rng.standard_normal((-(-size // cell) + 1,) * 2, np.float32)
    return small[:size, :size] if cell == 1 else cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def clouds(rng, size, octaves):
    """Soft shapes of several scales, each half as large and half as strong as the one before; deviation about 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 3 * 2**octave
        small = rng.standard_normal((cells, cells), np.float32)
        total += cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total
