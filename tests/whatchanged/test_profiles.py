"""Colors become sRGB by their profile; sRGB's own changes no bit."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers.photographs import photograph
from whatchanged.images import read_image
from whatchanged.pages import read_pages

PHOTO = photograph("coffee")[:60, :80]
# To XYZ of D50, as http://www.brucelindbloom.com/index.html?Eqn_RGB_XYZ_Matrix.html has them.
ADOBE = [[0.6097559, 0.2052401, 0.149224], [0.3111242, 0.625656, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
SRGB = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
SRGB_FILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(one * 65536) for one in (0.9642, 1, 0.8249)))
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
    tags = {b"wtpt": white, b"desc": name, b"cprt": b"text\0\0\0\0none\0"} | tags
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">2I", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(data), b"lcms", 0x02400000, kind, space, connection, b"", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def srgb_curve() -> bytes:
    """As HP's profile has it: a table of 1024 values."""
    shown = np.arange(1024) / 1023
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *np.rint(linear * 65535).astype(int))


def matrix_profile(to_xyz: list[list[float]], gamma: float | None) -> bytes:
    tags = {}
    for name, column in zip("rgb", np.transpose(to_xyz), strict=True):
        tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(one * 65536) for one in column))
        tags[f"{name}TRC".encode()] = curve(gamma) if gamma else srgb_curve()
    return profile(b"RGB ", b"mntr", b"XYZ ", tags)


def cmyk_profile(lightness_of_cyan: int) -> bytes:
    """Paper is white, cyan a gray of that lightness (0 to 255), whatever holds more ink is black."""
    identity = bytes(range(256))
    grid = [(0, 128, 128)] * 16  # of C, M, Y, K, the last the fastest
    grid[0], grid[8] = (255, 128, 128), (lightness_of_cyan, 128, 128)
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + identity * 4 + bytes(sum(grid, ())) + identity * 3
    return profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": table})


def by_formula(values: np.ndarray, to_xyz: list[list[float]], gamma: float) -> np.ndarray:
    linear = (values / 255.0) ** gamma @ np.transpose(to_xyz) @ np.transpose(np.linalg.inv(SRGB))
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def saved(path, image, icc_profile=None):
    image.save(path, **({"icc_profile": icc_profile} if icc_profile else {}))
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_a_wider_space_becomes_srgb_as_the_formula_says(tmp_path, ending):
    found = read_image(saved(tmp_path / f"a.{ending}", Image.fromarray(PHOTO), matrix_profile(ADOBE, 2.19921875)))
    if ending == "webp":  # which loses some before the profile counts
        plain = read_image(saved(tmp_path / "plain.webp", Image.fromarray(PHOTO)))
        assert np.abs(found - by_formula(plain, ADOBE, 2.19921875)).max() < 2
    else:
        assert np.abs(found - by_formula(PHOTO, ADOBE, 2.19921875)).max() < 2
        assert np.abs(found.astype(int) - PHOTO).max() > 10


@pytest.mark.parametrize("given", ["L", "P", "RGB", "RGBA", "LA"])
def test_srgb_changes_no_bit(tmp_path, given):
    image = Image.fromarray(PHOTO).convert(given)
    with_it = read_image(saved(tmp_path / "a.png", image, SRGB_FILE))
    assert np.array_equal(with_it, read_image(saved(tmp_path / "b.png", image)))


def test_a_profile_that_is_srgb_but_for_its_rounding_changes_no_bit(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    theirs = matrix_profile((np.array(SRGB) * [1, 1.002, 0.998]).tolist(), None)
    source = ImageCms.ImageCmsProfile(io.BytesIO(theirs))
    rounded = ImageCms.profileToProfile(Image.fromarray(colors), source, ImageCms.createProfile("sRGB"), 1)
    assert not np.array_equal(np.array(rounded), colors)
    assert np.array_equal(read_image(saved(tmp_path / "a.png", Image.fromarray(colors), theirs)), colors)


def test_a_gray_picture_in_a_color_space(tmp_path):
    ramp = np.arange(0, 256, 5, dtype=np.uint8)[None]
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(ramp), matrix_profile(SRGB, 1.8)))
    assert np.abs(found[0] - by_formula(np.repeat(ramp[0, :, None], 3, 1), SRGB, 1.80078125)).max() < 2
    assert np.abs(found[0, :, 0].astype(int) - ramp[0]).max() > 10


def test_the_same_colors_in_two_spaces_are_the_same(tmp_path):
    to_adobe = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(_file(tmp_path, ADOBE)), "RGB", "RGB", 1
    )
    before = saved(tmp_path / "a.png", Image.fromarray(PHOTO))
    elsewhere = to_adobe.apply(Image.fromarray(PHOTO))
    del elsewhere.info["icc_profile"]
    after = saved(tmp_path / "b.png", elsewhere, matrix_profile(ADOBE, 2.2))
    (page,) = read_pages(before, after)
    assert np.abs(page.before.astype(int) - page.after).max() <= 3  # each is rounded twice
    (page,) = read_pages(before, saved(tmp_path / "c.png", elsewhere))
    assert np.abs(page.before.astype(int) - page.after).max() > 10


def _file(folder, to_xyz):
    (folder / "space.icc").write_bytes(matrix_profile(to_xyz, 2.2))
    return str(folder / "space.icc")


def test_transparency_stays_through_a_profile(tmp_path):
    image = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    image[:10, :, 3] = 0
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(image), matrix_profile(ADOBE, 2.2)))
    assert (found[:10] == 255).all()
    assert np.abs(found[10:] - by_formula(PHOTO[10:], ADOBE, 2.2)).max() < 2


@pytest.mark.parametrize("given", ["L", "LA"])
def test_a_gray_picture_has_a_gray_profile(tmp_path, given):
    ramp = np.arange(256, dtype=np.uint8)[None]
    gray = profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": curve(1)})
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(ramp).convert(given), gray))
    linear = np.arange(256) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(found[0] - expected[:, None]).max() < 1.5


def test_inks_become_colors_with_a_profile_and_without(tmp_path):
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, 1, 0] = inks[0, 2, 3] = 255  # paper, cyan, black
    image = Image.fromarray(inks, "CMYK")
    plain = read_image(saved(tmp_path / "a.tif", image))
    assert plain.tolist() == [[[255, 255, 255], [0, 255, 255], [0, 0, 0]]]
    found = read_image(saved(tmp_path / "b.tif", image, cmyk_profile(136)))  # L* = 136 / 2.55 = 53.3
    linear = ((136 / 2.55 + 16) / 116) ** 3
    gray = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(found - np.array([[[255] * 3, [gray] * 3, [0] * 3]])).max() < 3


def test_lab_becomes_colors(tmp_path):
    lab = np.array([[[255, 0, 0], [136, 0, 0], [0, 0, 0]]], np.uint8)
    saved(tmp_path / "a.tif", Image.fromarray(lab, "LAB"))
    found = read_image(tmp_path / "a.tif")
    assert np.abs(found.astype(int) - np.array([255, 127, 0])[None, :, None]).max() <= 1


def test_the_profile_of_a_page_is_not_that_of_the_page_before(tmp_path):
    first, second = Image.fromarray(PHOTO), Image.fromarray(PHOTO)
    first.info["icc_profile"] = matrix_profile(ADOBE, 2.2)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.tif") as opened:
        opened.seek(1)
        if 34675 in opened.tag_v2:
            pytest.skip("this Pillow writes the profile of the first page into all")
    pages = list(read_pages(tmp_path / "a.tif", tmp_path / "a.tif"))
    assert np.array_equal(pages[1].before, PHOTO)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b"no profile", "before: its color profile is damaged and was not used"),
        (matrix_profile(ADOBE, 2.2)[:150], "before: its color profile is damaged and was not used"),
        (cmyk_profile(136), "before: its color profile is of CMYK, the picture of RGB: it was not used"),
    ],
)
def test_a_profile_that_does_not_fit_is_left_out_and_told(tmp_path, broken, told):
    path = saved(tmp_path / "a.png", Image.fromarray(PHOTO), broken)
    assert np.array_equal(read_image(path), PHOTO)
    (page,) = read_pages(path, saved(tmp_path / "b.png", Image.fromarray(PHOTO)))
    assert page.note.startswith(told)
    (page,) = read_pages(path, path)
    assert page.note == ""
