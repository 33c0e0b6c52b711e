"""By hypothesis: an edit of nine pixels and forty levels in a pair that is otherwise the same is never missed."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import FUZZ

from tests.outside import pages
from tests.outside.cameras import photograph
from tests.outside.pages import Look
from tests.outside.truths import touches
from whatchanged.detection import detect

LEAST, CONTRAST = 9, 40
GROUNDS = ("flat", "noise", "text", "gradient", "photograph")
FIGURES = ("square", "row", "column", "dots")
TEXT = pages.stack(pages.document(np.random.default_rng(41), Look(400, 13, margin=6), 400), 400)


def ground(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "flat":
        return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "gradient":
        ramp = np.linspace(0, 255, height + width)[np.arange(height)[:, None] + np.arange(width)]
        return np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)
    image = TEXT if kind == "text" else photograph(str(rng.choice(["flower", "grass", "chelsea", "motorcycle"])))
    y, x = (
        int(rng.integers(max(1, have - want + 1))) for have, want in zip(image.shape, (height, width), strict=False)
    )
    part = image[y : y + height, x : x + width]
    return np.pad(part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)), mode="symmetric")


def figure(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Which pixels change: bool (height, width), nine at least where the picture has room for them."""
    mask = np.zeros((height, width), bool)
    if kind == "row":
        length = int(rng.integers(min(LEAST, width), min(width, 60) + 1))
        x = int(rng.integers(width - length + 1))
        mask[int(rng.integers(height)), x : x + length] = True
    elif kind == "column":
        length = int(rng.integers(min(LEAST, height), min(height, 60) + 1))
        y = int(rng.integers(height - length + 1))
        mask[y : y + length, int(rng.integers(width))] = True
    else:
        high, wide = (int(rng.integers(min(3, side), min(side, 16) + 1)) for side in (height, width))
        y, x = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
        dots = rng.random((high, wide)) < (1 if kind == "square" else 0.4)
        mask[y : y + high, x : x + wide] = dots
    return mask


@settings(
    max_examples=120 * (FUZZ or 1),
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    kind=st.sampled_from(GROUNDS),
    shape=st.sampled_from(FIGURES),
    channels=st.sampled_from([(0, 1, 2), (0,), (1,), (2,)]),
    seed=st.integers(0, 2**16),
)
def test_an_edit_is_never_missed(height, width, kind, shape, channels, seed):
    rng = np.random.default_rng(seed)
    before = ground(kind, height, width, rng)
    mask = figure(shape, height, width, rng)
    # With more of the picture edited, the pair might as well be another light; those are in test_small.
    assume(mask.sum() >= LEAST and mask.sum() <= 0.25 * mask.size)
    after = before.copy()
    for channel in channels:
        values = before[..., channel].astype(int)
        after[..., channel][mask] = np.where(values > 127, values - CONTRAST, values + CONTRAST)[mask]
    ys, xs = np.nonzero(mask)
    box = (int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)
    regions = detect(before, after).regions
    assert any(touches(one.box, box) for one in regions), (
        f"{mask.sum()} pixels in {box}: {[one.box for one in regions]}"
    )
