"""What the page does with pictures: the same as the library underneath, or a sentence that names the file."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from helpers.photographs import photo_pair
from whatchanged.detection import detect
from whatchanged.formats import ImageError
from whatchanged.page import comparing
from whatchanged.page.comparing import Models, Settings

NO_MODELS = Models("nowhere", "nowhere")


@pytest.fixture(scope="module")
def pair():
    return photo_pair(2, name="coffee", edits=(3, 3))


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.mark.parametrize("method", ["tolerant", "pixel", "ssim"])
def test_it_is_detect(pair, method):
    found = comparing.compare(pair.before, pair.after, Settings(method, align=False, sensitivity=1.5), NO_MODELS)
    expected = detect(pair.before, pair.after, method=method, align=False, sensitivity=1.5)
    np.testing.assert_array_equal(found.boxes, expected.boxes[:10])
    assert found.similarity == expected.similarity
    few = comparing.compare(pair.before, pair.after, Settings(method, align=False, sensitivity=1.5, most=1), NO_MODELS)
    np.testing.assert_array_equal(few.boxes, expected.boxes[:1])


def test_without_a_model_it_says_how_to_get_one(pair):
    said, why = comparing.describe(pair.before, pair.after, Settings(), NO_MODELS)
    assert said == ""
    assert "no trained model in nowhere: give the folder that" in why
    with pytest.raises(ValueError, match="no trained model in nowhere: give the file that"):
        _ = NO_MODELS.defects
    with pytest.raises(ValueError, match="no trained model in nowhere: give the folder that"):
        comparing.compare(pair.before, pair.after, Settings("words"), NO_MODELS)


def test_a_picture_is_named_as_its_owner_knows_it(tmp_path, monkeypatch):
    (tmp_path / "letter.png").write_text("no image")
    with pytest.raises(ImageError, match=r"^letter.png is not an image"):
        comparing.read(tmp_path / "letter.png")
    monkeypatch.setattr(comparing, "LARGEST", 100)
    save(tmp_path / "big.png", np.zeros((11, 10, 3), np.uint8))
    with pytest.raises(ImageError, match=r"^big.png has 10x11 pixels: at most 100 are read"):
        comparing.read(tmp_path / "big.png")


def test_uploads_are_laid_out(tmp_path, monkeypatch):
    one = save(tmp_path / "a" / "x.png", np.zeros((8, 8, 3), np.uint8))
    two = save(tmp_path / "b" / "x.png", np.zeros((8, 8, 3), np.uint8))
    three = save(tmp_path / "c" / "x_2.png", np.zeros((8, 8, 3), np.uint8))
    assert {path.name for path in comparing.lay_out([one, three], tmp_path / "1").iterdir()} == {"x.png", "x_2.png"}
    with pytest.raises(ValueError, match=r"two files are called x.png"):
        comparing.lay_out([one, two], tmp_path / "2")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(one, "mine/before/x.png")
        archive.write(two, "mine/after/x.png")
        archive.writestr("__MACOSX/mine/x", "")
    folder = comparing.lay_out([tmp_path / "all.zip"], tmp_path / "3")
    assert folder == tmp_path / "3" / "mine"
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("../outside.png", "x")
    with pytest.raises(ValueError, match="would leave the folder"):
        comparing.lay_out([tmp_path / "bad.zip"], tmp_path / "4")
    assert not (tmp_path / "outside.png").exists()
    (tmp_path / "no.zip").write_text("no zip")
    with pytest.raises(ValueError, match=r"no.zip is not an archive"):
        comparing.lay_out([tmp_path / "no.zip"], tmp_path / "5")
    monkeypatch.setattr(comparing, "MAX_ARCHIVE", 10)
    with pytest.raises(ValueError, match="unpacks to more than"):
        comparing.lay_out([tmp_path / "all.zip"], tmp_path / "6")


def test_many_pairs(pair, tmp_path, monkeypatch):
    for name, picture in (("a", pair.before), ("a_2", pair.after), ("b", pair.before), ("b_2", pair.before)):
        save(tmp_path / f"{name}.png", picture)
    (tmp_path / "c.png").write_text("no image")
    save(tmp_path / "c_2.png", pair.after)
    rows = [row for _, *row in comparing.batch(tmp_path, Settings(), NO_MODELS)]
    records = [record for record, _ in rows]
    assert records[0]["boxes"] == detect(pair.before, pair.after).boxes.tolist()
    assert [record["regions"] for record in records] == [3, 0, ""]
    assert records[2]["error"] == "c.png is not an image that can be read"
    page = comparing.table(rows)
    assert page.count("<img") == 2
    assert page.count('alt="') == 2
    monkeypatch.setattr(comparing, "MAX_PAIRS", 2)
    with pytest.raises(ValueError, match="these are 3 pairs: at most 2"):
        list(comparing.batch(tmp_path, Settings(), NO_MODELS))


def test_a_table_says_names_as_text(tmp_path):
    record = dict.fromkeys(comparing.COLUMNS, "") | {"number": 1, "before": "<b>x", "error": "<script>"}
    page = comparing.table([(record, "")])
    assert "<script>" not in page
    assert "&lt;b&gt;x" in page
