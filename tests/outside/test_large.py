"""Large things: most of a picture recolored or replaced, dark mode. The whole area is boxed, not only its text."""

from __future__ import annotations

import numpy as np
import pytest

from tests.outside import pages, screens
from tests.outside.cameras import scene
from tests.outside.pages import Look
from whatchanged.detection import detect

SIZE = (600, 440)


def page(seed: int = 3) -> np.ndarray:
    look = Look(SIZE[0], 16)
    return pages.stack(pages.document(np.random.default_rng(seed), look, SIZE[1]), SIZE[1], look.paper)


def covers(before: np.ndarray, after: np.ndarray, box, least: float = 0.95, **how) -> None:
    """The boxes together cover an area, and hardly anything else."""
    boxed, inside = np.zeros(before.shape[:2], bool), np.zeros(before.shape[:2], bool)
    for x, y, width, height in detect(before, after, **how).boxes:
        boxed[y : y + height, x : x + width] = True
    x, y, width, height = box
    inside[y : y + height, x : x + width] = True
    assert (boxed & inside).sum() >= least * inside.sum(), f"{(boxed & inside).sum() / inside.sum():.2f} of it is boxed"
    outside = (boxed & ~inside).sum()
    assert outside <= 0.05 * inside.sum() + 24 * (width + height), f"{outside} pixels elsewhere are boxed"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "colors", [((30, 80, 200), (30, 160, 80)), ((255, 255, 255), (244, 238, 220))], ids=["banner", "paper"]
)
def test_a_share_of_a_page_recolored(share, colors):
    rows, before = round(share * SIZE[1]), page()
    after = before.copy()
    text = before[:rows].min(axis=2) < 128
    for image, color in zip((before, after), colors, strict=True):
        image[:rows] = np.where(text[..., None], image[:rows], np.uint8(color))
    covers(before, after, (0, 0, SIZE[0], rows))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("ground", ["page", "photograph"])
def test_a_share_of_a_picture_replaced(share, ground):
    before = page() if ground == "page" else scene("flower", SIZE)
    after, columns = before.copy(), round(share * SIZE[0])
    after[:, -columns:] = scene("china", SIZE)[:, -columns:]
    covers(before, after, (SIZE[0] - columns, 0, columns, SIZE[1]))


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_dark_mode(kind):
    before = page() if kind == "page" else screens.screen(np.random.default_rng(6), SIZE).pixels
    covers(before, 255 - before, (0, 0, *SIZE))


def test_a_window_opened_over_a_screen():
    before = screens.screen(np.random.default_rng(7), SIZE).pixels
    other = screens.screen(np.random.default_rng(8), (440, 300)).pixels
    other[[0, -1]], other[:, [0, -1]] = 90, 90  # its frame
    after = before.copy()
    after[90:390, 110:550] = other
    covers(before, after, (110, 90, 440, 300), least=0.9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dots", [0, 1, 2])
def test_what_stands_out_of_a_page_in_another_tint(seed, dots):
    """A whole page drawn anew is one region, and a dot that differs far more is one of its own."""
    rng = np.random.default_rng(seed)
    before = page(seed)
    after = (before * rng.uniform(0.75, 0.95, 3)).astype(np.uint8)
    places = [(130, 90), (420, 310)][:dots]
    for x, y in places:
        after[y : y + 4, x : x + 4] = 0 if after[y, x].mean() > 100 else 255
    found = detect(before, after).regions
    small = [one for one in found if one.width * one.height < 0.5 * before.shape[0] * before.shape[1]]
    assert len(found) - len(small) == 1
    assert len(small) == dots
    for one, (x, y) in zip(sorted(small, key=lambda region: region.x), places, strict=True):
        assert (x <= one.x, y <= one.y, one.x + one.width <= x + 4, one.y + one.height <= y + 4) == (True,) * 4
        assert one.area >= 6


def test_what_stands_out_is_as_large_as_was_asked():
    before = page(1)
    after = (before * 0.85).astype(np.uint8)
    after[90:94, 130:134] = 0
    assert len(detect(before, after).regions) == 2
    assert len(detect(before, after, min_area=50).regions) == 1
