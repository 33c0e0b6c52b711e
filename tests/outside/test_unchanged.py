"""What is no change stays silent; and a similarity of 1 is said only where nothing differs."""

from __future__ import annotations

import numpy as np
import pytest
from support import save_picture

from tests.outside import pages, screens, silent
from tests.outside.cameras import scene
from tests.outside.claims import by_command, quiet
from tests.outside.pages import Look
from whatchanged.detection import detect


def picture(kind: str) -> np.ndarray:
    rng, look = np.random.default_rng(21), Look(800, 15)
    if kind == "page":
        return pages.stack(pages.document(rng, look, 560), 560, look.paper)
    return screens.screen(rng, (800, 560)).pixels if kind == "screen" else scene(kind, (640, 480))


@pytest.mark.parametrize("change", silent.CHANGES)
@pytest.mark.parametrize("kind", ["page", "screen", "motorcycle", "grass"])
def test_compressed_or_dithered(kind, change):
    before = picture(kind)
    quiet(before, silent.CHANGES[change](before))


@pytest.mark.parametrize("shift", [0.2, 1 / 3, 0.5])
@pytest.mark.parametrize("px", [13, 18, 25])
def test_text_set_a_part_of_a_pixel_further_on(px, shift):
    before, after = silent.set_again(px, Look(700, px), 14, shift)
    assert (before != after).any()
    quiet(before, after)


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
@pytest.mark.parametrize("kind", ["page", "flower"])
def test_the_same_picture_twice(method, kind):
    before = picture(kind)
    assert quiet(before, before.copy(), method=method).similarity == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 1), (2, 2), (7, 3), (16, 16)])
def test_a_tiny_picture_twice(size):
    before = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    assert quiet(before, before.copy()).similarity == 1


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
def test_a_similarity_of_one_is_printed_only_where_nothing_differs(tmp_path, method):
    before = np.full((1080, 1920, 3), 255, np.uint8)
    after = before.copy()
    after[500:503, 700:703] = 0
    assert detect(before, after, method=method).similarity < 1
    paths = [save_picture(tmp_path / f"{name}.png", one) for name, one in (("before", before), ("after", after))]
    _, _, said = by_command(*paths, "--method", method)
    assert "similarity 1.0000" not in said
    _, _, said = by_command(paths[0], paths[0], "--method", method)
    assert "similarity 1.0000" in said
