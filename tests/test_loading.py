"""Images of every kind are read right, and what is no image is refused with one sentence that names the file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from helpers import loading, scenes

PHOTO = scenes.photograph("coffee")[:60, :80]


def save(path, image, **options):
    Image.fromarray(image).save(path, **options)
    return path


def test_color_and_gray(tmp_path):
    assert np.array_equal(loading.read_image(save(tmp_path / "a.png", PHOTO)), PHOTO)
    gray = PHOTO[..., 0].copy()
    assert np.array_equal(loading.read_image(save(tmp_path / "b.png", gray)), np.repeat(gray[..., None], 3, 2))


def test_transparent_pixels_lie_on_white(tmp_path):
    image = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    image[:10, :, 3] = 0
    image[10:20, :, 3] = 51
    found = loading.read_image(save(tmp_path / "a.png", image))
    assert (found[:10] == 255).all()
    assert np.abs(found[10:20].astype(float) - (0.2 * PHOTO[10:20] + 0.8 * 255)).max() <= 1
    assert np.array_equal(found[20:], PHOTO[20:])


def test_16_bit_gray_is_scaled(tmp_path):
    values = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(32, 32)
    found = loading.read_image(save(tmp_path / "a.png", values))
    assert np.abs(found[..., 1] - values / 257.0).max() <= 0.5


def test_16_bit_color_is_scaled(tmp_path):
    import cv2

    values = (PHOTO.astype(np.uint16) * 257)[..., ::-1]
    cv2.imwrite(str(tmp_path / "a.png"), values)
    assert np.array_equal(loading.read_image(tmp_path / "a.png"), PHOTO)


def test_palette(tmp_path):
    image = Image.fromarray(PHOTO).quantize(64)
    image.save(tmp_path / "a.png")
    assert np.array_equal(loading.read_image(tmp_path / "a.png"), np.array(image.convert("RGB")))


@pytest.mark.parametrize(("tag", "turned"), [(3, np.rot90(PHOTO, 2)), (6, np.rot90(PHOTO, -1)), (8, np.rot90(PHOTO))])
def test_exif_rotation(tmp_path, tag, turned):
    exif = Image.Exif()
    exif[0x0112] = tag
    found = loading.read_image(save(tmp_path / "a.png", PHOTO, exif=exif))
    assert np.array_equal(found, turned)


def test_bad_files_are_named(tmp_path):
    data = io.BytesIO()
    Image.fromarray(PHOTO).save(data, "png")
    whole = tmp_path / "whole.jpg"
    save(whole, PHOTO)
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
        with pytest.raises(loading.ImageError, match=f"{name} {message}"):
            loading.read_image(tmp_path / name)
    with pytest.raises(loading.ImageError, match="is not a file"):
        loading.read_image(tmp_path)


def test_too_many_pixels_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_PIXELS", 1000)
    with pytest.raises(loading.ImageError, match="80x60 pixels: at most 1,000"):
        loading.read_image(save(tmp_path / "a.png", PHOTO))


def test_pairs_by_name(tmp_path):
    for name in ["x_before.png", "x_after.png", "7.png", "7_2.png", "alone.png"]:
        save(tmp_path / name, PHOTO)
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        save(tmp_path / side / "k.png", PHOTO)
    found = [(a.relative_to(tmp_path).as_posix(), b.name) for a, b in loading.find_pairs(tmp_path)]
    assert found == [("7.png", "7_2.png"), ("before/k.png", "k.png"), ("x_before.png", "x_after.png")]


def test_pairs_in_a_csv(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("before,after\na.png,b.png\n")
    assert loading.find_pairs(table) == [(tmp_path / "a.png", tmp_path / "b.png")]
    table.write_text("before,next\na.png,b.png\n")
    with pytest.raises(ValueError, match=r"pairs.csv has no column after"):
        loading.find_pairs(table)
    table.write_text("before,after\na.png,b.png\nc.png,\n")
    with pytest.raises(ValueError, match=r"pairs.csv, line 3: give both"):
        loading.find_pairs(table)
    with pytest.raises(ValueError, match=r"nothing.csv does not exist"):
        loading.find_pairs(tmp_path / "nothing.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="holds no pairs"):
        loading.find_pairs(tmp_path / "none")


def test_deep_pcb_format(tmp_path):
    save(tmp_path / "00041_temp.jpg", PHOTO)
    save(tmp_path / "00041_test.jpg", PHOTO)
    (tmp_path / "00041.txt").write_text("10 20 40 50 3\n1 2 3 4 6\n\n")
    (board,) = loading.deep_pcb(tmp_path)
    assert board.boxes.tolist() == [[10, 20, 30, 30], [1, 2, 2, 2]]
    assert board.kinds == ("mousebite", "pin-hole")
    (tmp_path / "00041.txt").write_text("10 20 40 50 3\n1 2 3 4 9\n")
    with pytest.raises(ValueError, match=r"00041.txt, line 2: '1 2 3 4 9'"):
        list(loading.deep_pcb(tmp_path))
    with pytest.raises(ValueError, match="no DeepPCB pairs"):
        list(loading.deep_pcb(tmp_path / "nowhere"))
