"""Files are opened page by page, within our limit and not Pillow's; what cannot be read is refused by name."""

from __future__ import annotations

import struct
import threading
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support import save_picture
from tiffs import tiff

from helpers.photographs import photograph
from whatchanged import formats
from whatchanged.formats import ImageError, read_each

PHOTO = photograph("coffee")[:60, :80]


def png_that_claims(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes whose header names a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rows + chunk(b"IEND", b""))
    return path


@pytest.fixture
def small_limit(monkeypatch):
    """Pillow refuses more than 2,000 pixels, as it refuses more than 178,956,970 else."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as told:
        list(read_each(path))
    return str(told.value)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.gif", "a.webp", "a.jpg", "a.bmp", "lzw.tif"])
def test_what_pillow_finds_too_large_is_read_and_pillows_limit_and_warnings_stay(tmp_path, small_limit, name):
    path = save_picture(tmp_path / name, PHOTO, **({"compression": "tiff_lzw"} if name.startswith("lzw") else {}))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as heard:
        assert [page.values.shape for page in read_each(path)] == [PHOTO.shape]
    assert heard == []
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == (1000, before)
    with pytest.raises(ImageError, match="at most 100 are read"):
        list(read_each(path, max_pixels=100))
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_the_promised_two_hundred_million_pixels_are_opened_and_more_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "decoded", lambda image: image.size)  # decoding takes seconds
    assert list(read_each(png_that_claims(tmp_path / "a.png", 20_000, 10_000))) == [(20_000, 10_000)]
    monkeypatch.setattr(formats, "decoded", lambda image: pytest.fail("decoded"))
    told = refused(png_that_claims(tmp_path / "b.png", 20_000, 10_001))
    assert told.endswith("b.png has 20000x10001 pixels: at most 200,000,000 are read; shrink it or cut it into parts")
    told = refused(png_that_claims(tmp_path / "c.png", 100_000, 100_000))
    assert "c.png has 10,000,000,000 pixels: at most 200,000,000 are read" in told


def test_the_limit_is_lifted_as_long_as_one_of_several_threads_reads(tmp_path, small_limit, monkeypatch):
    path = save_picture(tmp_path / "a.png", PHOTO)
    inside, go_on = threading.Event(), threading.Event()

    def slowly(image: Image.Image) -> str:
        inside.set()
        assert go_on.wait(10)
        return "read"

    monkeypatch.setattr(formats, "decoded", slowly)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(read_each(path)))
    thread.start()
    assert inside.wait(10)
    monkeypatch.setattr(formats, "decoded", lambda image: "other")
    assert list(read_each(path)) == ["other"]
    assert Image.MAX_IMAGE_PIXELS == formats.MAX_PIXELS  # for the first still reads
    go_on.set()
    thread.join()
    assert (found, Image.MAX_IMAGE_PIXELS) == (["read"], 1000)


def test_what_else_pillow_warns_of_is_unheard(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "decoded", lambda image: warnings.warn("odd", stacklevel=1))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        list(read_each(save_picture(tmp_path / "a.png", PHOTO)))
        values = tiff(tmp_path / "a.tif", np.zeros((6, 7), np.float64)).read_bytes()
        (tmp_path / "a.tif").write_bytes(values[:-30])  # of which Pillow warns as long as it looks for a reason
        refused(tmp_path / "a.tif")
    assert heard == []


def test_too_little_memory_is_no_damaged_file(tmp_path, monkeypatch):
    def full(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(formats, "decoded", full)
    with pytest.raises(MemoryError):
        list(read_each(save_picture(tmp_path / "a.png", PHOTO)))


def test_pages_are_decoded_when_they_are_asked_for(tmp_path, monkeypatch):
    pages = [Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (1, 2, 3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    decoded, given = formats.decoded, []
    monkeypatch.setattr(formats, "decoded", lambda image: given.append(0) or decoded(image))
    found = read_each(tmp_path / "a.tif")
    assert ([next(found).values[0, 0, 0], next(found).values[0, 0, 0]], len(given)) == ([1, 2], 2)


def test_a_smaller_copy_of_a_page_and_a_mask_are_no_pages(tmp_path):
    pages = [Image.fromarray(np.full((4, 5), level, np.uint8)) for level in range(4)]
    kinds = (0, formats.REDUCED, formats.MASK, 2)  # 2: a page of several
    with (tmp_path / "a.tif").open("w+b") as file, TiffImagePlugin.AppendingTiffWriter(file, new=True) as writer:
        for page, kind in zip(pages, kinds, strict=True):
            page.save(writer, "TIFF", tiffinfo={formats.SUBFILE: kind})
            writer.newFrame()
    assert [page.values[0, 0, 0] for page in read_each(tmp_path / "a.tif")] == [0, 3]


def test_only_the_picture_of_a_phones_jpeg_and_the_largest_of_an_icon_count(tmp_path):
    small = Image.fromarray(PHOTO).resize((20, 15))
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[small])
    assert Image.open(tmp_path / "a.jpg").n_frames == 2
    Image.fromarray(PHOTO[:48, :48]).save(tmp_path / "a.ico", sizes=[(16, 16), (48, 48)])
    assert [page.values.shape for page in read_each(tmp_path / "a.jpg")] == [PHOTO.shape]
    assert [page.values.shape for page in read_each(tmp_path / "a.ico")] == [(48, 48, 3)]


@pytest.mark.parametrize("extra", [(0, 0), (0, 0, 0), (0,) * 5])
def test_many_bands_are_refused_also_where_pillow_reads_three_of_them(tmp_path, extra):
    values = np.zeros((6, 7, 3 + len(extra)), np.uint8)
    path = tiff(tmp_path / "x.tif", values, t338=extra)
    if len(extra) < 4:
        assert Image.open(path).mode == "RGB"
    told = refused(path)
    assert f"x.tif has {3 + len(extra)} bands: export three of them as an RGB picture" in told


@pytest.mark.parametrize(
    ("values", "tags", "told"),
    [
        (np.zeros((6, 7), np.float64), {}, "floating-point 64 bits, compression 1"),
        (np.zeros((6, 7, 3), np.float32), {}, "floating-point 32x32x32 bits"),
        (np.zeros((6, 7), np.uint8), {"t259": 34712}, "8 bits, compression 34712"),
    ],
)
def test_a_tiff_that_pillow_has_no_mode_or_decoder_for_is_no_damaged_one(tmp_path, values, tags, told):
    assert f"is a TIFF of a kind that is not read ({told}" in refused(tiff(tmp_path / "x.tif", values, **tags))


def test_a_big_tiff_is_known_too(tmp_path):
    path = save_picture(tmp_path / "x.tif", PHOTO, big_tiff=True)
    entry = struct.Struct("<HHQH")
    path.write_bytes(path.read_bytes().replace(entry.pack(259, 3, 1, 1), entry.pack(259, 3, 1, 34712)))
    assert "is a TIFF of a kind that is not read (8x8x8 bits, compression 34712)" in refused(path)


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("x.dcm", bytes(128) + b"DICM\x02\x00", "is a DICOM file: export it as PNG or TIFF with 16 bits"),
        ("x.pdf", b"%PDF-1.7\n", "is a PDF file: render its pages as PNG"),
        ("x.eps", b"%!PS-Adobe-3.0\n", "is a PostScript file"),
        ("x.svg", b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg">', "an SVG drawing"),
        ("x.png", b"\n<!doctype HTML><p>not found", "is a web page: download the picture itself"),
        ("x.heic", bytes(4) + b"ftypheic", "is a HEIC picture"),
        ("x.jxl", b"\xff\x0a\x00", "is a JPEG XL picture"),
        ("x.exr", b"v/1\x01", "is an OpenEXR picture"),
        ("x.psd", b"8BPS\x00\x01", "is a Photoshop file"),
        ("x.npy", b"\x93NUMPY\x01", "is a NumPy array"),
        ("x.raw", b"FUJIFILMCCD-RAW", "is a camera's raw file"),
        ("x.mp4", bytes(4) + b"ftypisom", "is a video"),
        ("x.png", b"PK\x03\x04", "is an archive: unpack it first"),
        ("x.jpg", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    ],
)
def test_a_known_kind_that_is_no_picture_is_named_with_the_way_out(tmp_path, name, head, told):
    (tmp_path / name).write_bytes(head + bytes(200))
    found = refused(tmp_path / name)
    assert found.startswith(f"{tmp_path / name} is ")
    assert told in found


def test_a_raw_file_is_refused_though_its_thumbnail_could_be_read(tmp_path):
    path = save_picture(tmp_path / "a.tif", PHOTO).rename(tmp_path / "a.nef")
    assert "is a camera's raw file: develop it" in refused(path)
    path = tiff(tmp_path / "b.tif", np.zeros((6, 7), np.uint8), t50706=0x0401)
    assert "is a camera's raw file: develop it" in refused(path)


def test_a_damaged_page_is_named(tmp_path):
    pages = [Image.fromarray(PHOTO + level) for level in (0, 1)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    data = (tmp_path / "a.tif").read_bytes()
    with Image.open(tmp_path / "a.tif") as opened:
        opened.seek(1)
        start, length = opened.tag_v2[273][0], opened.tag_v2[279][0]
    (tmp_path / "a.tif").write_bytes(data[:start] + bytes(length) + data[start + length :])
    found = read_each(tmp_path / "a.tif")
    assert np.array_equal(next(found).values, PHOTO)
    with pytest.raises(ImageError, match=r"^page 2 of .*a.tif is damaged: "):
        next(found)


def test_each_page_has_the_limit_for_itself(tmp_path):
    pages = [Image.new("L", size) for size in ((10, 10), (10, 10), (11, 10))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    found = read_each(tmp_path / "a.tif", max_pixels=100)
    assert [next(found).values.shape, next(found).values.shape] == [(10, 10, 3)] * 2
    with pytest.raises(ImageError, match=r"^page 3 of .*a.tif has 11x10 pixels: at most 100"):
        next(found)


def test_a_bomb_is_refused_at_once(tmp_path):
    start = time.perf_counter()
    refused(png_that_claims(tmp_path / "a.png", 2_000_000_000, 2_000_000_000))
    assert time.perf_counter() - start < 1
