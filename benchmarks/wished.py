"""The pairs that wishes.py shows every tool: pages of gray words, of which each wish changes something else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 480, 360
PATCH = np.s_[100:140, 340:400]  # what changes, unless a wish says otherwise: a clock beside the words
ELSEWHERE = np.s_[200:220, 340:400]
ROWS = np.s_[130:154, :]  # inserted
STRIP = np.s_[380:400, 20:220]  # what stands in the rows that only the taller page has
COLOR = (0, 90, 160)


def page(seed: int = 0, height: int = HEIGHT) -> np.ndarray:
    """Lines of gray words on white; the right third and the last rows are free: uint8 (H, W, 3)."""
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw, chance = ImageDraw.Draw(picture), random.Random(seed)
    for y in range(20, 300, 16):
        x = 20
        while x < 260:
            width = chance.randint(8, 50)
            draw.rectangle((x, y, x + width, y + 7), fill=(chance.randrange(80),) * 3)
            x += width + 6
    return np.array(picture)


def patched(picture: np.ndarray, *windows: tuple[slice, slice]) -> np.ndarray:
    """The picture with some windows painted over."""
    picture = picture.copy()
    for window in windows:
        picture[window] = COLOR
    return picture


def draw_pairs(folder: Path) -> None:
    """Write all pictures of all wishes into a folder."""
    before = page()
    rows = np.full_like(before, 255)
    rows[:130], rows[154:] = before[:130], before[130 : HEIGHT - 24]
    rows[136:148, 20:220] = COLOR
    tall = np.full((HEIGHT + 60, WIDTH, 3), 255, np.uint8)
    tall[:HEIGHT] = before
    compared = np.full_like(before, 255)
    compared[PATCH] = 0
    pictures = {
        "before": before,
        "after": patched(before, PATCH),
        "both": patched(before, PATCH, ELSEWHERE),
        "rows": rows,
        "tall": patched(tall, PATCH, STRIP),
        "compared": compared,
        "before/same": before,
        "after/same": before,
        "before/changed": before,
        "after/changed": patched(before, PATCH),
        "before/removed": page(1),
        "after/added": page(2),
    }
    for side in ("before", "after"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    pages = [page(seed) for seed in range(3)]
    for side, second in (("before", pages[1]), ("after", patched(pages[1], PATCH))):
        first, *others = [Image.fromarray(one) for one in (pages[0], second, pages[2])]
        for ending in ("tiff", "gif"):
            first.save(folder / f"{side}.{ending}", save_all=True, append_images=others)
