"""Images of every kind are read right, and what is no image is refused with one sentence that names the file."""

from __future__ import annotations

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image
from support import save_picture

from helpers.photographs import photograph
from whatchanged.detection import detect
from whatchanged.formats import ImageError
from whatchanged.images import as_arrays, middle, one_a_core, read_image, read_pair


def test_opencv_shares_no_picture_among_cores_within_the_pool_and_does_again_after_it():
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        with one_a_core() as pool:
            assert cv2.getNumThreads() == 1
            assert pool._max_workers == os.cpu_count()
            assert list(pool.map(str, range(3))) == ["0", "1", "2"]
        assert cv2.getNumThreads() == 3
        with pytest.raises(ValueError, match="here"), one_a_core():
            raise ValueError("here")
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_the_middle_is_the_median(count, kind):
    values = (np.random.default_rng(count).random(count) * 255).astype(kind)
    assert middle(values) == pytest.approx(np.median(values))


PHOTO = photograph("coffee")[:60, :80]


def test_color_and_gray(tmp_path):
    assert np.array_equal(read_image(save_picture(tmp_path / "a.png", PHOTO)), PHOTO)
    gray = PHOTO[..., 0].copy()
    assert np.array_equal(read_image(save_picture(tmp_path / "b.png", gray)), np.repeat(gray[..., None], 3, 2))


def test_transparent_pixels_lie_on_white(tmp_path):
    image = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    image[:10, :, 3] = 0
    image[10:20, :, 3] = 51
    found = read_image(save_picture(tmp_path / "a.png", image))
    assert (found[:10] == 255).all()
    assert np.abs(found[10:20].astype(float) - (0.2 * PHOTO[10:20] + 0.8 * 255)).max() <= 1
    assert np.array_equal(found[20:], PHOTO[20:])


def test_16_bit_gray_is_scaled(tmp_path):
    values = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(32, 32)
    found = read_image(save_picture(tmp_path / "a.png", values))
    assert np.abs(found[..., 1] - values / 257.0).max() <= 0.5


def test_16_bit_color_is_scaled(tmp_path):
    import cv2

    values = (PHOTO.astype(np.uint16) * 257)[..., ::-1]
    cv2.imwrite(str(tmp_path / "a.png"), values)
    assert np.array_equal(read_image(tmp_path / "a.png"), PHOTO)


def test_palette(tmp_path):
    image = Image.fromarray(PHOTO).quantize(64)
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.array(image.convert("RGB")))


@pytest.mark.parametrize(("tag", "turned"), [(3, np.rot90(PHOTO, 2)), (6, np.rot90(PHOTO, -1)), (8, np.rot90(PHOTO))])
def test_exif_rotation(tmp_path, tag, turned):
    exif = Image.Exif()
    exif[0x0112] = tag
    found = read_image(save_picture(tmp_path / "a.png", PHOTO, exif=exif))
    assert np.array_equal(found, turned)


def test_bad_files_are_named(tmp_path):
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, "png")
    whole = tmp_path / "whole.jpg"
    save_picture(whole, PHOTO)
    files = {
        "absent.png": (None, "does not exist"),
        "empty.png": (b"", r"is empty \(0 bytes\)"),
        "text.png": (b"hello, this is no image", "is not an image"),
        "cut.png": (data.getvalue()[: len(data.getvalue()) // 2], "is damaged"),
        "cut.jpg": (whole.read_bytes()[: whole.stat().st_size // 2], "is damaged"),
    }
    for name, (content, message) in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=f"{name} {message}"):
            read_image(tmp_path / name)
    with pytest.raises(ImageError, match="is not a file"):
        read_image(tmp_path)


def test_a_pair_is_read_like_two_pictures(tmp_path):
    gray = np.arange(4800, dtype=np.uint16).reshape(60, 80) * 13
    paths = save_picture(tmp_path / "a.png", PHOTO), save_picture(tmp_path / "b.png", gray)
    before, after = read_pair(*paths)
    assert np.array_equal(before, PHOTO)
    assert np.array_equal(after, read_image(paths[1]))
    assert before.flags.writeable
    with pytest.raises(ImageError, match=r"none.png does not exist"):
        read_pair(paths[0], tmp_path / "none.png")


def test_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = save_picture(tmp_path / "a.png", PHOTO)
    with pytest.raises(ImageError, match="80x60 pixels: at most 1,000 are read"):
        read_image(path, max_pixels=1000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow refuses before it tells the size
    with pytest.raises(ImageError, match="has 4,800 pixels: at most 150 are read"):
        read_image(path, max_pixels=150)


class TestAnyPicture:
    """`as_arrays`: files, pictures of Pillow, arrays; each as the others."""

    gray = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    color = np.dstack([gray, gray[::-1], 255 - gray])

    @pytest.fixture(params=["file", "text", "pillow", "array"])
    def given(self, request, tmp_path):
        path = tmp_path / "a.png"
        Image.fromarray(self.color).save(path)
        return {"file": path, "text": str(path), "pillow": Image.open(path), "array": self.color}[request.param]

    def test_each_is_the_same(self, given):
        first, second, note = as_arrays(given, self.color)
        assert np.array_equal(first, self.color)
        assert np.array_equal(second, self.color)
        assert note == ""

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16", "CMYK"])
    def test_modes_of_pillow_are_read_as_their_files(self, tmp_path, mode):
        picture = (
            Image.fromarray(self.gray.astype(np.uint16) * 257)
            if mode == "I;16"
            else Image.fromarray(self.color).convert(mode)
        )
        picture.save(tmp_path / "a.tif")
        for pair in ((picture, picture), (tmp_path / "a.tif", picture)):
            first, second, _ = as_arrays(*pair)
            assert first.shape == (6, 8, 3)
            assert np.array_equal(first, second)

    def test_a_picture_of_pillow_is_left_as_it_is(self):
        picture = Image.fromarray(self.color).convert("RGBA")
        picture.putpixel((0, 0), (1, 2, 3, 0))
        as_arrays(picture, picture)
        assert picture.mode == "RGBA"
        assert picture.getpixel((0, 0)) == (1, 2, 3, 0)

    def test_what_is_transparent_or_lost_is_compared_as_in_files(self):
        opaque = Image.fromarray(self.color)
        clear = opaque.convert("RGBA")
        clear.putalpha(0)
        assert detect(opaque, clear).regions
        assert not detect(clear, clear.copy()).regions

    def test_what_is_none(self):
        with pytest.raises(ValueError, match=r"before is a int64 array of shape \(4, 4\): give uint8"):
            as_arrays(np.zeros((4, 4), np.int64), "a.png")
        with pytest.raises(ImageError, match="nowhere.png does not exist"):
            detect("nowhere.png", self.color)
