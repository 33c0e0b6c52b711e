"""The HTML report, read back: its pictures, boxes, words and counts."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from PIL import Image

from whatchanged.alignment import Alignment
from whatchanged.detection import detect
from whatchanged.documents import as_record, detect_pages
from whatchanged.embedded import data_uri, laid_under, percent, stage_of, thumbnail
from whatchanged.markup import tag
from whatchanged.pages import Page
from whatchanged.regions import Difference, Region
from whatchanged.report import STATES, Entry, pair_fragment, report_index, report_page

FOREIGN = '<b onclick="x()">&\'é日本.png'
EMPTY = {"img", "input", "meta", "br", "link"}


class Elements(HTMLParser):
    """Every element of a document: its name, attributes, and the text in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[dict] = []
        self.inside: list[dict] = []
        self.feed(text)
        self.close()
        assert self.inside == [], "each element ends"

    def handle_starttag(self, name, attributes):
        assert len(dict(attributes)) == len(attributes)
        self.all.append({"tag": name, "text": "", **dict(attributes)})
        if name not in EMPTY:
            self.inside.append(self.all[-1])

    def handle_endtag(self, name):
        assert self.inside.pop()["tag"] == name

    def handle_data(self, data):
        for one in self.inside:
            one["text"] += data

    def of(self, name: str, **attributes: str) -> list[dict]:
        """Those with this name whose attributes hold these words."""
        return [
            one
            for one in self.all
            if one["tag"] == name
            and all(word in (one.get(key.rstrip("_")) or "").split() for key, word in attributes.items())
        ]


def decoded(uri: str) -> np.ndarray:
    kind, data = uri.split(";base64,")
    assert kind.startswith("data:image/")
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def boxes(document: Elements) -> list[list[float]]:
    return [
        [float(one) for one in re.findall(r":([\d.]+)%", box["style"])] for box in document.of("span", class_="box")
    ]


def screen(width: int = 200, height: int = 120) -> np.ndarray:
    picture = np.full((height, width, 3), 240, np.uint8)
    picture[20:40, 10:60] = (20, 60, 200)
    picture[70:80, 30:150] = 0
    return picture


@pytest.fixture(scope="module")
def changed() -> tuple[Page, Difference]:
    before, after = screen(), screen()
    after[90:110, 150:190] = (200, 0, 0)
    after[20:40, 10:60] = (20, 160, 20)
    found = detect(before, after, kind="exact")
    assert len(found.regions) == 2
    return Page(1, before, after), found


def page_of(*seen: tuple[Page, Difference], **more) -> str:
    record = {"before": FOREIGN, "after": "b.png"} | as_record(found for _, found in seen) | more
    return report_page(FOREIGN, seen, record, index="index.html")


def test_the_pictures_of_a_rendered_pair_are_exact(changed):
    document = Elements(page_of(changed))
    pictures = {one["alt"]: decoded(one["src"]) for one in document.of("img") if one["alt"]}
    assert list(pictures) == ["Before, 200 × 120 pixels", "After, 200 × 120 pixels"]
    for picture, given in zip(pictures.values(), (changed[0].before, changed[0].after), strict=True):
        np.testing.assert_array_equal(picture, given)


@pytest.mark.parametrize("colors", [2, 256, 257])
def test_a_palette_changes_no_pixel(colors):
    numbers = np.arange(64 * 64) % colors
    picture = np.stack([numbers % 256, numbers // 256 * 90, 255 - numbers % 256], axis=1).astype(np.uint8)
    picture = picture.reshape(64, 64, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == colors
    np.testing.assert_array_equal(decoded(data_uri(picture)), picture)


def test_photographs_are_webp_where_that_is_smaller():
    noisy = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noisy, (0, 0), 3)
    assert data_uri(smooth, lossless=False).startswith("data:image/webp")
    assert np.abs(decoded(data_uri(smooth, lossless=False)).astype(int) - smooth).mean() < 3
    drawn = np.zeros((80, 80, 3), np.uint8)
    drawn[::2, ::2] = (255, 0, 0)
    np.testing.assert_array_equal(decoded(data_uri(drawn, lossless=False)), drawn)
    long = np.random.default_rng(0).integers(0, 256, (1, 16384, 3)).astype(np.uint8)
    assert data_uri(long, lossless=False).startswith("data:image/png"), "a WebP has at most 16383 pixels a side"


def test_boxes_lie_where_the_regions_are(changed):
    page, found = changed
    expected = [[x / 2, y / 1.2, w / 2, h / 1.2] for x, y, w, h in (one.box for one in found.regions)]
    there = [[x / 2, y / 1.2, w / 2, h / 1.2] for x, y, w, h in (one.after for one in found.regions)]
    np.testing.assert_allclose(boxes(Elements(page_of(changed))), expected + there, atol=1e-3)


def test_of_pictures_in_two_resolutions_each_has_its_own_boxes():
    before = np.full((120, 200, 3), 240, np.uint8)
    after = np.full((60, 100, 3), 240, np.uint8)
    after[30:40, 50:80] = 0
    found = detect(before, after, size="scale", kind="exact")
    stage = stage_of(Page(1, before, after), found, "scale")
    assert (stage.before.width, stage.after.width, stage.heat.width) == (200, 200, 200)
    assert stage.size == (200, 120)
    np.testing.assert_allclose([stage.before.boxes[0][1], stage.after.boxes[0][1]], [[50, 50, 30, 100 / 6]] * 2)
    cropped = np.concatenate([before, np.zeros((50, 200, 3), np.uint8)])
    stage = stage_of(Page(1, cropped, before), detect(cropped, before, size="crop"), "crop")
    assert (stage.before.height, stage.after.height, stage.heat.height) == (170, 120, 120)


def test_a_box_outside_of_its_picture_is_a_line_at_its_edge():
    picture = screen()
    assert percent((0, 120, 200, 16), picture) == (0, 100, 100, 0)
    assert percent((-20, 60, 40, 30), picture) == (0, 50, 10, 25)


def test_the_after_photograph_is_laid_under_the_before_photograph():
    random = np.random.default_rng(1)
    before = cv2.GaussianBlur(random.integers(0, 256, (90, 120, 3)).astype(np.uint8), (0, 0), 2)
    after = np.roll(before, (-6, -10), axis=(0, 1))  # what is at x, y before is at x - 10, y - 6 after
    matrix = np.array([[1, 0, -10], [0, 1, -6], [0, 0, 1.0]])
    alignment = Alignment(matrix, np.ones((90, 120), bool), 1.0, "ecc")
    laid, partly = laid_under(before, after, alignment)
    assert partly
    np.testing.assert_array_equal(laid[6:, 10:], before[6:, 10:])
    assert (laid[:6] == 128).all()
    assert (laid[:, :10] == 128).all()
    region = Region(60, 30, 12, 9, 100, 0.5, "moved", (80, 24, 12, 9), place=(90, 30, 12, 9))
    mask = np.zeros((90, 120), bool)
    found = Difference("tolerant", 0.9, [region], mask.astype(np.float32), mask, alignment)
    stage = stage_of(Page(1, before, after), found)
    assert [stage.before.boxes, stage.after.boxes, stage.laid.boxes] == [
        [(1, percent(box, before))] for box in (region.box, region.after, region.place)
    ]
    assert Elements(page_of((Page(1, before, after), found))).of("p", class_="for-stack")


def test_rows_that_moved_lie_where_they_were():
    before = np.full((200, 160, 3), 255, np.uint8)
    for y in range(10, 190, 12):
        before[y : y + 6, 10 : 20 + y % 97] = (y, 0, 90)
    inserted = np.concatenate([before[:80], np.full((30, 160, 3), 255, np.uint8), before[80:]])
    inserted[90:100, 20:90] = (200, 0, 0)
    removed = np.concatenate([before[:120], before[140:]])
    for after, gray in ((inserted, False), (removed, True)):
        found = detect(before, after)
        assert found.kind == "layout"
        stage = stage_of(Page(1, before, after), found)
        expected = before.copy()
        if gray:
            expected[120:140] = 128
        np.testing.assert_array_equal(decoded(stage.laid.source), expected)
        assert stage.told.startswith("What moved lies where it was before.")
        assert ("A line is where something was added" in stage.told) != gray
        (line,) = (one[3] for _, one in stage.before.boxes)
        assert (line == 0) != gray, "where a row was added, nothing of the before page is framed"
        assert stage.told.endswith("Gray: what the after page lacks.") == gray
        assert [number for number, _ in stage.laid.boxes] == list(range(1, len(found.regions) + 1))
    longer = np.concatenate([before, before[:40] // 2])
    assert stage_of(Page(1, before, longer), detect(before, longer, kind="layout")).laid is None, "nothing moved"


def test_a_page_on_which_something_moved_is_shown_as_it_is():
    """Laid where it was before, a button that moved would seem not to have moved."""
    before, button = np.full((200, 400, 3), 240, np.uint8), np.full((20, 60, 3), 90, np.uint8)
    button[4:14, 5:50:4] = 255
    before[60:150:10, 20:380:3] = 30
    after = before.copy()
    for page, x in ((before, 300), (after, 120)):
        page[20:40, x : x + 60] = button
    found = detect(before, after, kind="layout")
    assert [(one.what, one.box, one.after) for one in found.regions] == [
        ("moved", (300, 20, 60, 20), (120, 20, 60, 20))
    ]
    assert stage_of(Page(1, before, after), found).laid is None


def test_a_smaller_after_photograph_is_gray_where_it_ends():
    before = np.full((40, 60, 3), 200, np.uint8)
    laid, partly = laid_under(before, before[:30, :50], Alignment(np.eye(3), np.ones((40, 60), bool), 1.0, "ecc"))
    assert partly
    assert (laid[:30, :50] == 200).all()
    assert (laid[30:] == 128).all()
    assert (laid[:, 50:] == 128).all()


def test_large_pictures_are_shown_smaller_and_their_boxes_stay(changed):
    page, found = changed
    whole, small = stage_of(page, found), stage_of(page, found, pixels=3000)
    assert not whole.scaled
    assert small.scaled
    assert decoded(small.before.source).shape[:2] == (42, 70)
    assert (small.before.boxes, small.size) == (whole.before.boxes, whole.size)
    text = report_page("t", [changed], as_record([found]), pixels=3000)
    assert "shown smaller than they are" in text
    assert "shown smaller than they are" not in page_of(changed)


def test_each_changed_pixel_is_seen_in_the_heat_map():
    before = np.zeros((2000, 2100, 3), np.uint8)
    after = before.copy()
    after[777, 1234] = 1
    after[1999, 2099] = 255
    after[0, 0] = 130
    found = detect(before, after, kind="exact", merge=0)
    uri = stage_of(Page(1, before, after), found).heat.source
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA"))
    assert shown.shape[0] * shown.shape[1] <= 2_000_000
    seen = np.argwhere(shown[..., 3] > 0)
    step = 2000 / len(shown)
    np.testing.assert_array_equal(seen, [[0, 0], [777 // step, 1234 // step], [999, 1049]])
    light = shown[..., :3].astype(int).sum(axis=2)[tuple(seen.T)]
    assert light[1] < light[0] < light[2], "the more, the lighter"


def test_nothing_foreign_becomes_html(changed):
    text = page_of(changed, note=FOREIGN, extra={FOREIGN: [FOREIGN, 1]}, path="\udcff.png")
    text.encode()
    document = Elements(text)
    assert document.of("h1")[0]["text"] == document.of("title")[0]["text"] == FOREIGN
    facts = dict(
        zip([one["text"] for one in document.of("dt")], [one["text"] for one in document.of("dd")], strict=True)
    )
    assert facts["Before"] == FOREIGN
    assert facts["Extra"] == f"{FOREIGN} {FOREIGN}, 1"
    assert facts["Path"] == "?.png"
    assert document.of("b", onclick="x()") == []
    entries = [Entry(FOREIGN, "unreadable", FOREIGN, reason=FOREIGN)]
    document = Elements(report_index(FOREIGN, entries))
    assert [one["href"] for one in document.of("a")] == [FOREIGN]
    assert document.of("p", class_="reason")[0]["text"] == FOREIGN
    assert document.of("li")[0]["data-name"] == FOREIGN
    assert tag("p", "<", tag("b", "&"), None, title='"', hidden=True, id=None) == (
        '<p title="&quot;" hidden>&lt;<b>&amp;</b></p>'
    )


def test_nothing_from_outside_may_be_loaded(changed):
    for text in (page_of(changed), report_index("t", [Entry("a", "same")])):
        document = Elements(text)
        policy = next(one["content"] for one in document.of("meta") if "http-equiv" in one)
        (script,) = document.of("script")
        digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
        assert policy.startswith("default-src 'none'; img-src data:;")
        assert f"script-src 'sha256-{digest}';" in policy
        assert "innerHTML" not in text
        for one in document.all:
            assert one.get("src", "data:").startswith("data:")
            assert one["tag"] != "link"
        assert "url(" not in document.of("style")[0]["text"]
        assert "@import" not in text


def test_the_same_pair_gives_the_same_bytes(changed):
    assert page_of(changed) == page_of(changed)


def test_what_was_found_is_told(changed):
    document = Elements(
        page_of(changed, transform={"confidence": 0.98765}, uncompared_share=0.125, found_by={"a_tool": 1234})
    )
    words = [one["text"] for one in document.of("p", class_="verdict")]
    assert sorted(one.what for one in changed[1].regions) == ["added", "recolored"]
    assert words in (
        ["2 regions differ: 1 added, 1 recolored."],
        ["2 regions differ: 1 recolored, 1 added."],
    )
    text = document.of("dl")[0]["text"]
    for fact in (
        "The same rendering",
        "Tolerant",
        "Changed1,800 pixels, 7.5 %",
        "Confidence of the alignment0.9877",
        "Not compared12 %",
        "Found bya tool 1,234",
    ):
        assert fact in text
    listed = [one["text"] for one in document.of("button", class_="region")]
    for number, (one, told) in enumerate(zip(changed[1].regions, listed, strict=True), start=1):
        assert told.startswith(f"{number} · {one.what}x {one.x}, y {one.y}, {one.width} × {one.height}")
        assert f"{one.area:,} pixels, strength {one.strength:.2f}" in told
    failed = Elements(report_page("t", [changed], {"before": "a", "after": "b", "error": "a is no picture"}))
    assert failed.of("p", class_="error")[0]["text"] == "a is no picture"


def test_nearly_all_is_a_number_to_read(changed):
    assert "Not compared100 %" in Elements(page_of(changed, uncompared_share=0.9999)).of("dl")[0]["text"]


def test_thumbnails_show_the_region_with_what_is_around_it(changed):
    page, found = changed
    document = Elements(page_of(changed))
    small = [decoded(one["src"]) for one in document.of("img") if one["alt"] == "" and "class" not in one]
    assert len(small) == 2 * len(found.regions)
    for region, one, other in zip(found.regions, small[::2], small[1::2], strict=True):
        room = max(8, max(region.width, region.height) // 4)
        y, x = max(0, region.y - room), max(0, region.x - room)
        window = np.s_[y : region.y + region.height + room, x : region.x + region.width + room]
        np.testing.assert_array_equal(one, page.before[window])
        np.testing.assert_array_equal(other, page.after[window])


def test_all_pages_of_a_file_are_there(tmp_path):
    pages = [screen(), screen(), screen()]
    pages[1][:30, 100:] = 0
    for name, of in (("before.tiff", [screen()] * 2), ("after.tiff", pages)):
        first, *others = map(Image.fromarray, of)
        first.save(tmp_path / name, save_all=True, append_images=others)
    record: dict = {"before": "before.tiff", "after": "after.tiff"}

    def seen():
        found = []
        for page, difference in detect_pages(tmp_path / "before.tiff", tmp_path / "after.tiff"):
            found.append(difference)
            yield page, difference
        record.update(as_record(found))

    document = Elements(report_page("t", seen(), record))
    assert len(document.of("section", class_="sheet")) == 3
    names = [one["text"] for one in document.of("option") if one["text"].startswith("Page")]
    assert names == ["Page 1: no region", "Page 2: 1 region", "Page 3: 1 region"]
    captions = [one["text"] for one in document.of("figcaption")]
    assert captions[0] == "Before and after, 200 × 120 pixels: no pixel differs"
    assert captions[1:] == ["Before, 200 × 120 pixels", *["After, 200 × 120 pixels"] * 2]
    assert "page 3: before has no such page" in document.of("p", class_="note")[0]["text"].lower()


def test_two_fragments_stand_in_one_document(changed):
    text = pair_fragment([changed], as_record([changed[1]]))
    document = Elements(f"<html><body>{text}{text}</body></html>")
    assert len(document.of("div", class_="whatchanged-pair")) == 2
    assert [one for one in document.all if "id" in one or "for" in one or "name" in one] == []
    assert "<html" not in text


def test_a_pair_without_pages_is_refused():
    with pytest.raises(ValueError, match="there is no page to show"):
        report_page("t", [], {})


def test_the_page_over_many_counts_and_tells_reasons():
    found = {"regions": [{}, {}], "similarity": 0.98765, "method": "tolerant"}
    small = thumbnail(screen(1000, 500))
    assert small.shape == (80, 160, 3)
    entries = [
        Entry("a.png", "changed", "a.html", small, small, found),
        Entry("b.png", "same", "b.html", small, small, {"regions": [], "similarity": 1}),
        Entry("c.png", "added", after=small),
        Entry("d.png", "unreadable", reason="d.png is cut off"),
        Entry("e.png", "unreadable", record={"error": "e.png is empty"}),
        Entry("f.txt", "left out", reason="f.txt is no picture"),
    ]
    document = Elements(report_index("t", entries))
    assert [one["text"] for one in document.of("button") if "data-state" in one] == [
        "All 6", "Changed 1", "Same 1", "Added 1", "Unreadable 2", "Left out 1",
    ]  # fmt: skip
    listed = document.of("li")
    assert [one["data-state"] for one in listed] == [one.state for one in entries]
    assert [one["data-regions"] for one in listed] == ["2", "0", "0", "0", "0", "0"]
    assert "changed 2 regions, similarity 0.9876" in listed[0]["text"]
    assert [one["text"] for one in document.of("p", class_="reason")] == [
        "d.png is cut off", "e.png is empty", "f.txt is no picture",
    ]  # fmt: skip
    assert [one["href"] for one in document.of("a")] == ["a.html", "b.html"]
    pictures = [decoded(one["src"]) for one in document.of("img")]
    assert len(pictures) == 5
    assert max(np.abs(one.astype(int) - small).mean() for one in pictures) < 3
    empty = Elements(report_index("t", []))
    assert [one["text"] for one in empty.of("button") if "data-state" in one] == ["All 0"]
    with pytest.raises(ValueError, match=f"'odd': choose one of {', '.join(STATES)}"):
        Entry("x", "odd")
