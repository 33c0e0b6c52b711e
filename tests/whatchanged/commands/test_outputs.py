"""Files that a comparison writes, and those that it must not."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re

import jsonschema
import numpy as np
import pytest
from PIL import Image
from support import save_picture

from whatchanged.__main__ import main
from whatchanged.commands import outputs
from whatchanged.images import WRITTEN, read_image, write_image

ROOT_SCHEMA = json.loads((outputs.Path(outputs.__file__).parents[1] / "result.schema.json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    before = np.full((60, 80, 3), 250, np.uint8)
    before[5:10, 5:60] = 0
    after = before.copy()
    after[30:40, 20:50] = (0, 120, 200)
    save_picture(tmp_path / "a.png", before)
    save_picture(tmp_path / "b.png", after)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("option", ["--json", "--output", "--mask-output", "--report"])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("a.png", "would overwrite the picture a.png: choose another name"),
        ("./sub/../b.png", "would overwrite the picture b.png"),
        ("link.png", "would overwrite the picture a.png"),
        ("sub", "is a folder: give the name of a file"),
        ("nowhere/x.png", "there is no folder nowhere, make it first"),
        ("a.png/x.png", "there is no folder a.png, make it first"),
    ],
)
def test_no_input_is_overwritten_and_nothing_is_left_behind(folder, capsys, option, target, words):
    (folder / "sub").mkdir()
    (folder / "link.png").symlink_to("a.png")
    known = state(folder)
    other = "--json" if option == "--output" else "--output"
    assert main(["a.png", "b.png", other, "fine.png", option, target]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"whatchanged: {option} {target}")
    assert words in told
    assert state(folder) == known


def test_two_outputs_in_one_file(folder, capsys):
    assert main(["a.png", "b.png", "--output", "x.png", "--mask-output", "x.png"]) == 2
    assert "--mask-output x.png would overwrite what --output writes" in capsys.readouterr().err
    assert not (folder / "x.png").exists()


def test_the_mask_that_is_read_is_not_overwritten(folder, capsys):
    save_picture(folder / "m.png", np.full((60, 80), 255, np.uint8))
    assert main(["a.png", "b.png", "--mask", "m.png", "--mask-output", "m.png"]) == 2
    assert "would overwrite the picture m.png" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [*WRITTEN, ".PNG"])
def test_the_picture_is_in_the_format_that_its_name_says(folder, suffix):
    name = f"drawn{suffix}"
    assert main(["a.png", "b.png", "--output", name, "--picture", "after"]) == 1
    with Image.open(name) as picture:
        assert picture.format == {"JPG": "JPEG", "TIF": "TIFF"}.get(suffix[1:].upper(), suffix[1:].upper())
        assert picture.size == (80, 60)


def test_a_format_that_is_not_written(folder, capsys):
    assert main(["a.png", "b.png", "--output", "x.psd"]) == 2
    assert "x.psd: .psd is not written, give one of .png, .jpg" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"70000x2 pixels do not fit into a \.jpg file: write \.png"):
        write_image(folder / "wide.jpg", np.zeros((2, 70000, 3), np.uint8))


def test_the_mask_is_white_where_something_changed(folder):
    assert main(["a.png", "b.png", "--mask-output", "m.png"]) == 1
    found = np.asarray(Image.open("m.png").convert("L"))
    assert set(np.unique(found)) == {0, 255}
    assert np.array_equal(found > 0, (np.asarray(Image.open("a.png")) != np.asarray(Image.open("b.png"))).any(axis=2))


def test_json_alone_is_printed(folder, capsys):
    assert main(["a.png", "b.png", "--json", "-"]) == 1
    printed = capsys.readouterr().out
    assert main(["a.png", "b.png", "--json", "x.json"]) == 1
    assert json.loads(printed) == json.loads((folder / "x.json").read_text())


def test_a_disk_that_is_full_leaves_nothing(folder, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    known = state(folder)
    assert main(["a.png", "b.png", "--output", "x.png"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert state(folder) == known


class TestSchema:
    validator = jsonschema.Draft202012Validator(ROOT_SCHEMA)

    def held(self, capsys, *arguments):
        main([*arguments, "--json", "-"])
        record = json.loads(capsys.readouterr().out)
        self.validator.validate(record)
        return record

    def test_it_is_one(self):
        jsonschema.Draft202012Validator.check_schema(ROOT_SCHEMA)

    @pytest.mark.parametrize("kind", ["exact", "layout", "camera"])
    def test_each_kind(self, folder, capsys, kind):
        record = self.held(capsys, "a.png", "b.png", "--kind", kind)
        assert record["kind"] == kind
        assert (record["transform"] is None) == (kind != "camera")
        assert record["changed_pixels"] == sum(one["area"] for one in record["regions"])

    @pytest.mark.parametrize("method", ["pixel", "ssim", "features"])
    def test_each_method(self, folder, capsys, method):
        if method == "features":
            pytest.importorskip("torchvision")
        self.held(capsys, "a.png", "b.png", "--method", method)

    def test_pages_and_what_is_ignored(self, folder, capsys):
        one, other = Image.open("a.png"), Image.open("b.png")
        one.save("a.tif", save_all=True, append_images=[one])
        other.save("b.tif", save_all=True, append_images=[one, other])
        record = self.held(capsys, "a.tif", "b.tif", "--ignore", "0,0,8,60")
        assert record["pages"] == 3
        assert record["uncompared_share"] == pytest.approx(2 * 8 * 60 / (3 * 60 * 80))

    def test_every_field_is_in_it(self, folder, capsys):
        record = self.held(capsys, "a.png", "b.png", "--kind", "camera")
        assert set(record) <= set(ROOT_SCHEMA["properties"])
        assert set(record["regions"][0]) == set(ROOT_SCHEMA["$defs"]["region"]["properties"])

    def test_it_can_fail(self, folder, capsys):
        record = self.held(capsys, "a.png", "b.png")
        for broken in (
            record | {"similarity": 2},
            record | {"kind": "photo"},
            {name: value for name, value in record.items() if name != "regions"},
            record | {"regions": [record["regions"][0] | {"what": "eaten"}]},
        ):
            assert not self.validator.is_valid(broken)
        self.validator.validate({"before": "a", "after": "b", "method": "tolerant", "error": "b is empty (0 bytes)"})


def pictures_in(page):
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found]


def test_a_report_is_written(folder):
    assert main(["a.png", "b.png", "--report", "r.html"]) == 1
    page = (folder / "r.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "1 region differs: added." in page
    for name in ("a.png", "b.png"):
        assert any(np.array_equal(one, read_image(folder / name)) for one in pictures_in(page))
