"""How benchmarks/wishes.py judges what a tool did with a wish."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image
from support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import judged
import wished
import wishes


def ran(folder, status=1, text="", *, windows=(), height=wished.HEIGHT):
    """A tool that marked these windows in red in its picture."""
    picture = np.full((height, wished.WIDTH, 3), 255, np.uint8)
    for window in windows:
        picture[window] = (255, 0, 0)
    Image.fromarray(picture).save(folder / "diff.png")
    return judged.read(folder, 1, status, text)


def test_rows_put_in_are_told_only_without_what_they_pushed_down(tmp_path):
    below = np.s_[200:220, 20:200]
    assert judged.rows(ran(tmp_path, windows=[wished.ROWS]))[0] == "yes"
    assert judged.rows(ran(tmp_path, windows=[wished.ROWS, below]))[0] == "no"
    assert judged.rows(ran(tmp_path))[0] == "no"
    assert judged.rows(ran(tmp_path, 2, "Error: differs"))[0] == "refused"


def test_sizes_ask_for_the_change_and_for_what_is_new(tmp_path):
    both = [wished.PATCH, wished.STRIP]
    assert judged.sizes(ran(tmp_path, windows=both, height=420))[0] == "yes"
    assert judged.sizes(ran(tmp_path, windows=both[:1]))[0] == "partly"
    assert judged.sizes(ran(tmp_path, 1, '{"error": "Layout differs"}', windows=both))[0] == "refused"


@pytest.mark.parametrize(
    ("statuses", "verdict"), [((0, 1), "yes"), ((1, 1), "no"), ((0, 0), "no"), ((2, 1), "refused")]
)
def test_what_is_ignored_passes_and_what_is_not_fails(tmp_path, statuses, verdict):
    assert judged.silent_then_told(*(ran(tmp_path, status) for status in statuses))[0] == verdict


def test_a_mask_shows_nothing_but_the_changed_pixels(tmp_path):
    assert judged.mask(ran(tmp_path, windows=[wished.PATCH]))[0] == "yes"
    assert judged.mask(ran(tmp_path, windows=[wished.ROWS]))[0] == "no"


def test_folders_and_pages(tmp_path):
    assert judged.folders(ran(tmp_path, text="changed.png\nadded.png only after\nremoved.png only before"))[0] == "yes"
    assert judged.folders(ran(tmp_path, text="[1/3] changed.png\nadded.png"))[0] == "partly"
    silent = ran(tmp_path, 0, "Images are identical")
    assert judged.pages(silent, silent)[0] == "wrong"
    (tmp_path / "found.json").write_text(json.dumps({"regions": [{"page": 2}]}))
    told = ran(tmp_path)
    assert judged.pages(told, told)[0] == "yes"


def test_the_options_of_a_help_that_are_named_like_a_wish():
    assert wishes.named("mask", "  --diff-mask   only\n  mask of words\n") == "`--diff-mask`"
    assert wishes.named("pages", "  --diff-mask") == "none"


def test_every_wish_has_words_and_every_tool_a_command():
    assert set(wishes.WORDS) == set(wishes.WISHES)
    assert all(
        "plain" in tool.typed and set(tool.typed) - {"plain"} <= set(wishes.WISHES) for tool in wishes.TOOLS.values()
    )
