"""Things are drawn with the area that their shape has."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.things import SHAPES, Thing, rendered


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_cover_the_area_they_should(shape):
    r = 40.0
    formula = {
        "circle": np.pi * (0.92 * r) ** 2,
        "square": (1.56 * r) ** 2,
        "triangle": 3 * np.sqrt(3) / 4 * r**2,
        "star": 5 * r * 0.45 * r * np.sin(np.pi / 5),
        "cross": 2 * (1.84 * r * 0.6 * r) - (0.6 * r) ** 2,
        "ring": np.pi * ((0.95 * r) ** 2 - (0.45 * r) ** 2),
    }[shape]
    thing = Thing("red", shape, "plain", 0.5, 0.5, r / 128, 0.2)
    _, _, coverage = rendered(thing, (128, 128))
    assert coverage.sum() == pytest.approx(formula, rel=0.02)
