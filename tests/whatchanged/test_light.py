"""Light is evened out, and no change with it."""

from __future__ import annotations

import numpy as np

from helpers.nuisances import Nuisance
from helpers.photographs import VISIBLE, photo_pair
from whatchanged.light import normalize_illumination


def test_light_is_evened_out_without_touching_the_change():
    pair = photo_pair(2, size=(360, 480), name="coffee", nuisance=Nuisance(gain=0.8, vignette=0.4))
    before, after = normalize_illumination(pair.before, pair.after)
    changed = np.logical_or.reduce([mask for change in pair.changes for mask in change.masks_before])
    apart = np.abs(before.astype(int) - after)
    assert np.median(np.abs(pair.before.astype(int) - pair.after)) > 15
    assert np.percentile(apart[~changed], 95) <= 3
    assert np.median(apart[changed].max(axis=1)) > VISIBLE / 2
    assert after is pair.after, "the darker picture stays as it is"


def test_pictures_in_the_same_light_stay_as_they_are():
    pair = photo_pair(2, size=(360, 480), name="coffee", nuisance=Nuisance(noise=3))
    before, after = normalize_illumination(pair.before, pair.after)
    assert before is pair.before
    assert after is pair.after
