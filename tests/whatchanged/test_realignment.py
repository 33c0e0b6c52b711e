"""Pictures in which much changed, laid on each other by what did not."""

import numpy as np

from helpers import scenes
from helpers.nuisances import Nuisance
from whatchanged.alignment import align
from whatchanged.realignment import align_unchanged

HAND = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=4)
PLACES = np.array([[x, y, 1] for x in (8, 48, 88) for y in (8, 48, 88)], float)


def off(matrix, transform):
    """How far the worst of nine places lies from where the generator put it, pixels."""
    first, second = (PLACES @ one.T for one in (np.asarray(matrix), np.asarray(transform)))
    return float(np.abs(first[:, :2] / first[:, 2:] - second[:, :2] / second[:, 2:]).max())


def test_two_changes_do_not_pull_the_pictures_apart():
    """On pairs that nothing was tuned on: the generator's transform is the truth."""
    pairs = [scenes.scene_pair(77, index, changes=(2, 2), nuisance=HAND) for index in range(150)]
    astray = {
        find: sum(off(find(one.before, one.after).matrix, one.transform) > 0.5 for one in pairs)
        for find in (lambda a, b: align(a, b, "euclidean"), align_unchanged)
    }
    before, after = astray.values()
    assert before >= 10, "what it is for is there"
    assert after <= before / 3


def test_a_sure_alignment_stays_as_it_is():
    pair = scenes.scene_pair(3, 0, changes=(0, 0), nuisance=HAND)
    plain, again = align(pair.before, pair.after, "euclidean"), align_unchanged(pair.before, pair.after)
    assert plain.confidence > 0.75
    assert np.array_equal(plain.matrix, again.matrix)


def test_the_same_picture_is_not_moved():
    before = scenes.scene_pair(3, 1, changes=(0, 0)).before
    assert align_unchanged(before, before.copy()).is_identity
