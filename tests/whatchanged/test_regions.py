"""Masks become regions: merged, measured, wherever they lie."""

from __future__ import annotations

import numpy as np
import pytest

from whatchanged.regions import regions


def test_regions_merge_fragments_and_measure():
    mask = np.zeros((60, 80), bool)
    mask[10:20, 10:20] = mask[10:20, 23:30] = mask[40:50, 60:70] = mask[0, 0] = True
    strength = np.where(mask, 0.5, 0).astype(np.float32)
    strength[45, 65] = 0.9
    apart = regions(mask, strength, min_area=2)
    assert [r.box for r in apart] == [(60, 40, 10, 10), (10, 10, 10, 10), (23, 10, 7, 10)]
    assert apart[0].strength == pytest.approx(0.9)
    merged = regions(mask, strength, merge=6, min_area=2, pad=3)
    assert [r.box for r in merged] == [(57, 37, 16, 16), (7, 7, 26, 16)]
    assert [r.area for r in merged] == [100, 170]
    with pytest.raises(ValueError, match="same shape"):
        regions(mask, strength[1:])


@pytest.mark.parametrize("merge", [0, 1, 5, 12])
def test_regions_do_not_depend_on_where_the_rest_of_the_picture_ends(merge):
    """Only the part with changed pixels is looked at; more picture around it shifts the boxes and does nothing else."""
    rng = np.random.default_rng(merge)
    mask = rng.random((40, 50)) < 0.02
    strength = rng.random(mask.shape, np.float32)
    around = ((30, 17), (23, 11))
    found = regions(mask, strength, merge=merge)
    wider = regions(np.pad(mask, around), np.pad(strength, around), merge=merge)
    assert [(one.x + 23, one.y + 30, *one.box[2:], one.area, one.strength) for one in found] == [
        (*one.box, one.area, one.strength) for one in wider
    ]
    assert sum(one.area for one in found) == mask.sum()
    assert regions(np.zeros_like(mask), strength, merge=merge) == []
