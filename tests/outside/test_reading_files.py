"""Files as people have them, through the command line: pages, depths, profiles, transparency; and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageDraw
from support import save_picture

from tests.outside import pages
from tests.outside.cameras import scene
from tests.outside.claims import box_of, by_command, near, placed
from tests.outside.pages import Look
from tests.outside.truths import touches

BOX = (200, 100, 130, 60)
ANIMATED = {".tif": {}, ".gif": {}, ".webp": {"lossless": True}, ".png": {}}
PHOTO = scene("coffee", (480, 360))


def three_pages():
    look = Look(500, 14)
    return [pages.stack(pages.document(np.random.default_rng(i), look, 300), 300) for i in range(3)]


def edited(page, color=(200, 60, 40)):
    after, (x, y, width, height) = page.copy(), BOX
    after[y : y + height, x : x + width] = color
    return after


def save_pages(path, arrays):
    first, *rest = map(Image.fromarray, arrays)
    first.save(path, save_all=True, append_images=rest, **ANIMATED[path.suffix])
    return path


def same(before, after):
    status, regions, said = by_command(before, after)
    assert (status, regions) == (0, []), said


def differ(before, after, *boxes, extra=0):
    status, regions, said = by_command(before, after)
    assert status == 1, said
    placed([box_of(one) for one in regions], boxes, extra)
    return regions


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("suffix", ANIMATED)
def test_a_page_that_differs(tmp_path, suffix, page):
    before = three_pages()
    after = [edited(one) if number == page else one for number, one in enumerate(before, 1)]
    paths = save_pages(tmp_path / f"before{suffix}", before), save_pages(tmp_path / f"after{suffix}", after)
    same(paths[0], paths[0])
    assert [one["page"] for one in differ(*paths, BOX)] == [page]


@pytest.mark.parametrize("what", ["added", "removed"])
@pytest.mark.parametrize("suffix", [".tif", ".gif"])
def test_a_page_that_only_one_has(tmp_path, suffix, what):
    every = three_pages()
    longer, shorter = save_pages(tmp_path / f"long{suffix}", every), save_pages(tmp_path / f"short{suffix}", every[:2])
    status, regions, said = by_command(*((shorter, longer) if what == "added" else (longer, shorter)))
    assert status == 1, said
    assert {(one["page"], one["what"]) for one in regions} == {(3, what)}
    assert any(near(box_of(one), (0, 0, 500, 300), 0) for one in regions)


@pytest.mark.parametrize("top", [1023, 4095, 65535])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_bits_in_a_file_of_sixteen(tmp_path, suffix, top):
    gray = np.random.default_rng(0).normal(top * 0.37, top * 0.015, (300, 400)).clip(0, top).astype(np.uint16)
    bright = gray.copy()
    bright[100:150, 220:280] += np.uint16(top * 0.3)
    before, after = (save_picture(tmp_path / f"{i}{suffix}", one) for i, one in enumerate((gray, bright)))
    same(before, before)
    differ(before, after, (220, 100, 60, 50))


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(np.int32, 0, 4000), (np.int32, -500, 90000), (np.float32, 0, 1), (np.float32, -3.5, 12), (np.float32, 0, 255)],
)
def test_thirty_two_bits(tmp_path, kind, low, high):
    ramp = np.linspace(0.2, 0.8, 400)[None] * np.ones((300, 1))
    ramp[100:150, 60:120] = np.array([[0.9]])
    other = ramp.copy()
    other[200:240, 250:300] = 0.1
    before, after = (
        save_picture(tmp_path / f"{i}.tif", (low + one * (high - low)).astype(kind))
        for i, one in enumerate((ramp, other))
    )
    same(before, before)
    differ(before, after, (250, 200, 50, 40))


def test_floats_that_are_no_numbers(tmp_path):
    values = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (150, 1))
    values[:10, :10] = np.nan
    other = values.copy()
    other[60:90, 40:70] = 0.95
    differ(*(save_picture(tmp_path / f"{i}.tif", one) for i, one in enumerate((values, other))), (40, 60, 30, 30))


def test_with_and_without_an_srgb_profile(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same(save_picture(tmp_path / "a.png", PHOTO), save_picture(tmp_path / "b.png", PHOTO, icc_profile=srgb))


def test_the_same_colors_in_another_profile(tmp_path):
    """Red and green change places in the file and in its profile: who reads the profile sees the same picture."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = (bytes(srgb[:256]).index(name, 128) for name in (b"rXYZ", b"gXYZ"))
    srgb[red : red + 4], srgb[green : green + 4] = b"gXYZ", b"rXYZ"
    swapped = np.ascontiguousarray(PHOTO[..., [1, 0, 2]])
    before = save_picture(tmp_path / "a.png", PHOTO)
    same(before, save_picture(tmp_path / "b.png", swapped, icc_profile=bytes(srgb)))
    status, _, _ = by_command(before, save_picture(tmp_path / "c.png", PHOTO, icc_profile=bytes(srgb)))
    assert status == 1


def logo(fill, back=(0, 0, 0, 0)):
    image = Image.new("RGBA", (300, 200), back)
    ImageDraw.Draw(image).ellipse((60, 40, 240, 160), fill=fill)
    return image


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (128, 128, 128)])
def test_a_logo_on_transparency_gone(tmp_path, color):
    before, after = tmp_path / "a.png", tmp_path / "b.png"
    logo((*color, 255)).save(before)
    Image.new("RGBA", (300, 200), (0, 0, 0, 0)).save(after)
    differ(before, after, (60, 40, 181, 121))


def test_a_logo_that_becomes_half_transparent(tmp_path):
    before, after = tmp_path / "a.png", tmp_path / "b.webp"
    logo((200, 30, 30, 255)).save(before)
    logo((200, 30, 30, 90)).save(after, lossless=True)
    differ(before, after, (60, 40, 181, 121))


def test_other_colors_under_full_transparency(tmp_path):
    before, after = tmp_path / "a.png", tmp_path / "b.png"
    logo((20, 90, 200, 255)).save(before)
    logo((20, 90, 200, 255), back=(90, 140, 30, 0)).save(after)
    same(before, after)


def test_a_palette_with_transparency_and_the_same_in_full(tmp_path):
    before, after = tmp_path / "a.png", tmp_path / "b.png"
    full = logo((20, 90, 200, 255))
    full.save(before)
    index = Image.fromarray((np.asarray(full)[..., 3] > 0).astype(np.uint8), "P")
    index.putpalette([0, 0, 0, 20, 90, 200])
    index.save(after, transparency=0)
    same(before, after)


@pytest.mark.parametrize("bands", [5, 8])
def test_a_tiff_of_many_bands_is_refused(tmp_path, bands):
    planes = np.zeros((bands, 60, 80), np.uint16)
    tifffile.imwrite(tmp_path / "bands.tif", planes, photometric="minisblack", planarconfig="separate")
    refused(tmp_path, "bands.tif", "band|channel")


def test_a_dicom_file_is_refused(tmp_path):
    (tmp_path / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(400))
    refused(tmp_path, "scan.dcm", "DICOM")


def refused(folder, name, words):
    good = save_picture(folder / "good.png", PHOTO)
    for pair in ((folder / name, good), (good, folder / name)):
        status, _, said = by_command(*pair)
        assert status == 2
        assert name in said
        assert re.search(words, said.replace(str(folder), "").replace(name, ""), re.IGNORECASE), said
        assert said.count("\n") == 1


def test_pages_that_differ_in_size(tmp_path):
    before = three_pages()
    after = [before[0], before[1][:240], before[2]]
    paths = save_pages(tmp_path / "a.tif", before), save_pages(tmp_path / "b.tif", after)
    status, regions, said = by_command(*paths)
    assert status == 1, said
    assert {(one["page"], one["what"]) for one in regions} == {(2, "removed")}
    assert all(touches(box_of(one), (0, 240, 500, 60)) for one in regions)
