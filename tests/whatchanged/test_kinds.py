"""What kind of pair it is: every edit of a clean picture is exact, whatever a codec or a sensor touched is not."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from tests.outside import pages, silent
from tests.outside.pages import Look
from whatchanged.detection import detect
from whatchanged.kinds import is_exact, same_rows

PAGE = pages.stack(pages.document(np.random.default_rng(3), Look(600, 15), 440), 440)


def edited(image, box, color):
    x, y, width, height = box
    after = image.copy()
    after[y : y + height, x : x + width] = color
    return after


@pytest.mark.parametrize("box", [(80, 40, 3, 3), (20, 20, 400, 300), (0, 0, 600, 400), (0, 0, 600, 440)])
def test_an_edited_page_is_exact(box):
    assert is_exact(PAGE, edited(PAGE, box, (30, 160, 80)))


@pytest.mark.parametrize("kind", silent.CHANGES)
def test_a_page_that_a_codec_touched_is_not(kind):
    after = silent.CHANGES[kind](PAGE)
    assert (after != PAGE).any()
    assert not is_exact(PAGE, after)
    assert not is_exact(after, PAGE)


@pytest.mark.parametrize(("first", "second"), [(75, 90), (50, 95)])
def test_a_page_compressed_twice_is_not(first, second):
    assert not is_exact(silent.reencoded(PAGE, "JPEG", first), silent.reencoded(PAGE, "JPEG", second))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_photograph_is_exact_where_nothing_but_the_edits_differs(condition):
    pair = photo_pair(5, 3, nuisance=CONDITIONS[condition], edits=(2, 2))
    if pair.before.shape == pair.after.shape:
        assert is_exact(pair.before, pair.after) == (condition == "clean")


def test_a_picture_pasted_into_a_page_does_not_pass_for_noise():
    photo = photo_pair(1, name="coffee", size=(150, 200)).before
    after = PAGE.copy()
    after[200:350, 300:500] = photo
    assert is_exact(PAGE, after)


def test_rows_in_common():
    assert same_rows(PAGE, np.roll(PAGE, 40, axis=0))
    assert not same_rows(PAGE, silent.dithered(PAGE))


def test_rows_that_agree_only_in_some_pixels_are_not_in_common():
    photo = photo_pair(1, name="coffee", size=(150, 200)).before
    other = 255 - photo
    other[:, :: photo.shape[1] // 32] = photo[:, :: photo.shape[1] // 32]
    assert not same_rows(photo, other)
    assert same_rows(photo, np.roll(photo, 30, axis=0))


def test_a_kind_that_the_user_names_is_taken():
    after = edited(PAGE, (80, 40, 3, 3), 0)
    assert detect(PAGE, after).kind == "exact"
    assert detect(PAGE, after, kind="camera").kind == "camera"
    assert detect(PAGE, after, align=True).kind == "camera"
    assert detect(PAGE, silent.dithered(PAGE), kind="exact").kind == "exact"
    with pytest.raises(ValueError, match="kind is 'scan': choose one of exact, layout, camera, or None"):
        detect(PAGE, after, kind="scan")
    with pytest.raises(ValueError, match="size is 'stretch': choose one of pad, crop, scale"):
        detect(PAGE, after, size="stretch")
