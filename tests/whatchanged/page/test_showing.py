"""What the page tells of a pair: counts are those of what was found, and what is not shown is told."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from whatchanged.drawing import draw_regions
from whatchanged.images import read_image
from whatchanged.page import showing
from whatchanged.page.app import examples
from whatchanged.page.comparing import Models, Settings, Words, see
from whatchanged.report import report_page

NO_MODELS = Models()


@pytest.fixture
def seen_of(tmp_path):
    """Two arrays, or lists of pages, and the settings -> what was found."""

    def show(before, after, settings):
        paths = []
        for name, pages in (("a", before), ("b", after)):
            first, *rest = [Image.fromarray(one) for one in (pages if isinstance(pages, list) else [pages])]
            paths.append(tmp_path / f"{name}.{'tif' if rest else 'png'}")
            first.save(paths[-1], **({"save_all": True, "append_images": rest} if rest else {}))
        return see(*paths, settings, NO_MODELS)

    return show


def dotted(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A white page, and one with so many squares on it."""
    before = np.full((400, 400, 3), 255, np.uint8)
    after = before.copy()
    for number in range(count):
        y, x = 20 + 60 * (number // 6), 20 + 60 * (number % 6)
        after[y : y + 8, x : x + 8] = (200 - number, 20, 20)
    return before, after


def test_regions_that_are_not_shown_are_told(seen_of):
    seen = seen_of(*dotted(30), Settings(most=10))
    assert (seen.count, seen.shown, len(seen.record["regions"])) == (30, 10, 30)
    assert showing.summary(seen, Settings(most=10)) == (
        "30 regions differ: 30 added. The 10 strongest are shown; JSON has all."
    )
    assert showing.view(seen, Settings()).count('class="region"') == 10
    all_of_them = seen_of(*dotted(30), Settings(most=30))
    assert showing.summary(all_of_them, Settings(most=30)) == "30 regions differ: 30 added."


def test_files_to_download_are_whole(seen_of, tmp_path):
    before, after = dotted(30)
    settings = Settings(most=10)
    seen = seen_of(before, after, settings)
    names = (str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    (tmp_path / "made").mkdir()
    said = Words("the dot is gone", unlike=True)
    picture, record, page = showing.written(*names, seen, said, settings, tmp_path / "made")
    np.testing.assert_array_equal(read_image(picture), draw_regions(before, after, seen.pages[0][1]))
    told = json.loads(record.read_text())
    assert (told["before"], told["after"], len(told["regions"])) == ("a.png", "b.png", 30)
    assert (told["words"], told["unlike"]) == ("the dot is gone", True)
    expected = report_page("a.png and b.png", seen.pages, {"before": "a.png", "after": "b.png"} | seen.record)
    assert page.read_text() == expected
    assert str(tmp_path) not in record.read_text() + expected


def test_pages_are_told(seen_of):
    plain, marked = dotted(0)[0], dotted(2)[1]
    seen = seen_of([plain] * 3, [plain, marked, marked], Settings())
    assert showing.summary(seen, Settings()) == "4 regions differ: 4 added. 2 of 3 pages differ."
    assert [page.number for page, _ in seen.pages] == [2, 3]
    assert re.findall(r"Page \d: [^<]+", showing.view(seen, Settings())) == ["Page 2: 2 regions", "Page 3: 2 regions"]
    many = seen_of([plain] * 15, [plain, *[marked] * 14], Settings(most=1))
    assert showing.summary(many, Settings(most=1)) == (
        "28 regions differ: 28 added. The strongest of each page is shown; JSON has all."
        " 14 of 15 pages differ; the first 12 of those are shown."
    )


@pytest.mark.parametrize(
    ("size", "told"), [("pad", ""), ("crop", " Only what both"), ("scale", " They are compared at")]
)
def test_two_sizes(seen_of, size, told):
    before, after = dotted(3)
    settings = Settings(size=size)
    said = showing.summary(seen_of(before, after[:300], settings), settings)
    assert (told.strip() in said) if told else said.endswith(".") and "compared" not in said


def test_the_same_picture_has_no_difference(seen_of):
    plain = dotted(3)[1]
    seen = seen_of(plain, plain, Settings())
    assert showing.summary(seen, Settings()) == "No difference."
    assert "no pixel differs" in showing.view(seen, Settings())


def test_a_note_is_shown(seen_of):
    seen = seen_of(*dotted(1), Settings())
    seen.record["note"] = "faint, along edges"
    assert "Faint, along edges." in showing.view(seen, Settings())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("scene, one change", "1 region differs: moved."),
        ("scene, nothing changed", "No difference."),
        ("coffee, the camera moved", "1 region differs: added."),
        ("cat, edited", "3 regions differ: 2 added, 1 recolored."),
    ],
)
def test_examples_show_what_their_names_say(name, told):
    pairs, _ = examples()
    assert showing.summary(see(*pairs[name], Settings(), NO_MODELS), Settings()) == told
