"""Deep gray by the range of both pictures, transparency on a background that shows what is visible."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from support import save_picture
from tiffs import tiff

from helpers.photographs import photograph
from whatchanged import levels
from whatchanged.images import read_image, read_pair
from whatchanged.pages import Page, read_pages

PHOTO = photograph("coffee")[:60, :80]
RAMP = np.linspace(0, 1, 4800).reshape(60, 80)


def one_page(before, after) -> Page:
    (page,) = read_pages(before, after)
    return page


@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
def test_whole_numbers_alone_are_scaled_by_the_bits_that_hold_them(tmp_path, white):
    values = np.rint(RAMP * white).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        found = read_image(save_picture(tmp_path / name, values))
        assert np.abs(found[..., 1] - values * (255 / white)).max() <= 0.5


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (RAMP * 1000 - 400, -400, 600),
        (RAMP * 0.5, 0, 1),
        (RAMP * 3e38, 0, 3e38),
        (RAMP * 2e9 - 1e9, -1e9, 1e9),
    ],
)
def test_other_numbers_alone_are_scaled_from_least_to_greatest_and_fractions_by_one(tmp_path, values, low, high):
    found = read_image(tiff(tmp_path / "a.tif", values.astype(np.float32)))
    assert np.abs(found[..., 1] - (values - low) * (255 / (high - low))).max() <= 0.51


def test_unsigned_integers_of_32_bits_are_not_read_as_negative(tmp_path):
    values = np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32)
    assert read_image(tiff(tmp_path / "a.tif", values))[0, :, 0].tolist() == [0, 128, 255]
    assert read_image(tiff(tmp_path / "b.tif", values.astype(np.int32)))[0, :, 0].tolist() == [255, 0, 255]


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.uint32, np.float32])
def test_two_deep_pictures_are_scaled_by_the_range_of_both(tmp_path, kind):
    before = np.rint(RAMP * 4000).astype(kind)
    after = before.copy()
    after[20:30, 20:30] += kind(40)  # less than a level of 16 bits
    after[0, 0] = 4095
    page = one_page(tiff(tmp_path / "a.tif", before), tiff(tmp_path / "b.tif", after))
    for found, values in ((page.before, before), (page.after, after)):
        assert np.abs(found[..., 0] - values * (255 / 4095)).max() <= 0.51
    assert (page.after[20:30, 20:30] > page.before[20:30, 20:30]).all()
    assert page.note == ""


def test_what_8_bits_do_not_show_is_told(tmp_path):
    before = np.rint(RAMP * 60000).astype(np.uint16)
    after = before.copy()
    after[30, 5:8] = before[30, 5:8] // 2 * 2 ^ 1
    changed = np.count_nonzero(before != after)
    paths = save_picture(tmp_path / "a.png", before), save_picture(tmp_path / "b.png", after)
    page = one_page(*paths)
    assert np.array_equal(page.before, page.after)
    assert page.note == f"the values of {changed} pixels differ by less than 8 bits show (steps of 235)"
    assert one_page(paths[0], paths[0]).note == ""


def test_a_single_value_is_shown_as_alone_and_differs_from_another(tmp_path):
    paths = [save_picture(tmp_path / f"{one}.png", np.full((4, 5), one, np.uint16)) for one in (300, 301)]
    page = one_page(paths[0], paths[0])
    assert np.array_equal(page.before, read_image(paths[0]))
    page = one_page(*paths)
    assert (page.before[0, 0, 0], page.after[0, 0, 0]) == (0, 255)


def test_fractions_and_whole_numbers_are_each_scaled_by_their_own(tmp_path):
    whole = save_picture(tmp_path / "a.png", np.rint(RAMP * 65535).astype(np.uint16))
    fractions = tiff(tmp_path / "b.tif", RAMP.astype(np.float32))
    page = one_page(whole, fractions)
    assert np.array_equal(page.before, page.after)
    page = one_page(whole, tiff(tmp_path / "c.tif", (RAMP * 65535).astype(np.float32)))
    assert np.array_equal(page.before, page.after)


def test_a_deep_picture_beside_an_8_bit_one_is_scaled_as_alone(tmp_path):
    eight = np.rint(RAMP * 255).astype(np.uint8)
    page = one_page(
        save_picture(tmp_path / "a.png", eight), save_picture(tmp_path / "b.png", eight.astype(np.uint16) * 257)
    )
    assert np.array_equal(page.before, page.after)


def test_what_is_no_number_has_no_color_and_infinity_is_the_end(tmp_path):
    values = (RAMP * 50 + 10).astype(np.float32)
    odd = values.copy()
    odd[0, 1:4], odd[1, 0], odd[2, 0] = np.nan, np.inf, -np.inf
    alone = read_image(tiff(tmp_path / "a.tif", odd))
    assert alone[[0, 1, 2], [1, 0, 0], 0].tolist() == [255, 255, 0]
    assert np.array_equal(alone[10:], read_image(tiff(tmp_path / "b.tif", values))[10:])
    page = one_page(tmp_path / "a.tif", tmp_path / "b.tif")
    assert np.ptp(page.before[0, 1]) > 0  # a color, which no gray is
    assert (page.before[0, 1:4] != page.after[0, 1:4]).any(axis=-1).all()
    assert (read_image(tiff(tmp_path / "c.tif", np.full((4, 5), np.nan, np.float32))) == 255).all()


def test_values_that_are_no_number_in_both_do_not_differ(tmp_path):
    values = RAMP.astype(np.float32)
    values[0, 1:4] = np.nan
    before = tiff(tmp_path / "a.tif", values)
    values[10:20] *= 0.5
    page = one_page(before, tiff(tmp_path / "b.tif", values))
    assert page.note == ""


def test_deep_pictures_of_two_sizes_have_one_range(tmp_path):
    values = np.rint(RAMP * 4000).astype(np.uint16)
    page = one_page(save_picture(tmp_path / "a.png", values), save_picture(tmp_path / "b.png", values[:30]))
    assert np.array_equal(page.before[:30], page.after)
    assert page.before.max() == 255


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_what_gdal_calls_no_data_does_not_stretch_the_range(tmp_path, kind):
    values = (RAMP * 100).astype(kind)
    values[0, :5] = -9999
    image = Image.fromarray(values.astype(np.int32) if kind is np.int16 else values)
    image.save(tmp_path / "a.tif", tiffinfo={levels.NO_DATA: "-9999"})
    found = read_image(tmp_path / "a.tif")
    assert (found[0, :5] == 255).all()
    page = one_page(tmp_path / "a.tif", tmp_path / "a.tif")
    assert np.abs(page.before[1:, :, 0] - values[1:] * 2.55).max() <= 3
    image.save(tmp_path / "b.tif", tiffinfo={levels.NO_DATA: "none"})
    assert read_image(tmp_path / "b.tif")[0, 0, 0] == 0


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_of_16_bit_colors_the_upper_half_is_compared_and_that_is_told(tmp_path, ending):
    values = PHOTO[..., ::-1].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / f"a.{ending}"), values)
    cv2.imwrite(str(tmp_path / f"b.{ending}"), values ^ 1)
    page = one_page(tmp_path / f"a.{ending}", tmp_path / f"b.{ending}")
    assert np.array_equal(page.before, PHOTO)
    assert np.array_equal(page.after, PHOTO)
    told = "only the upper 8 bits of its 16-bit colors are compared"
    assert page.note == f"before: {told}; after: {told}"
    assert one_page(tmp_path / f"a.{ending}", tmp_path / f"a.{ending}").note == ""


def test_16_bit_colors_of_a_portable_pixmap_are_told(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 2 1 65535\n" + bytes(range(12)))
    cv2.imwrite(str(tmp_path / "b.ppm"), PHOTO)
    page = one_page(tmp_path / "a.ppm", tmp_path / "b.ppm")
    assert page.note == "before: only the upper 8 bits of its 16-bit colors are compared"


def test_a_fourth_band_without_a_meaning_is_told(tmp_path):
    values = np.dstack([PHOTO, PHOTO[..., 0]])
    page = one_page(tiff(tmp_path / "a.tif", values, t338=0), save_picture(tmp_path / "b.tif", PHOTO))
    assert np.array_equal(page.before, PHOTO)
    assert page.note == "before: only 3 of its 4 bands are compared"


def drawn(color, box=(slice(10, 30), slice(20, 50)), opacity=255) -> np.ndarray:
    picture = np.zeros((60, 80, 4), np.uint8)
    picture[box] = (*color, opacity)
    return picture


@pytest.mark.parametrize("color", [(255, 255, 255), (250, 250, 250), (0, 0, 0), (192, 192, 192), (255, 0, 255)])
def test_what_is_visible_on_transparent_stays_visible(tmp_path, color):
    before = save_picture(tmp_path / "a.png", drawn(color))
    page = one_page(before, save_picture(tmp_path / "b.png", drawn(color, box=(slice(0, 0),))))
    differs = np.abs(page.before.astype(int) - page.after).max(axis=-1)
    assert (differs[10:30, 20:50] > 30).all()
    assert np.count_nonzero(differs) == 600


def test_colors_under_full_transparency_do_not_count_and_halves_do(tmp_path):
    one, other = drawn((200, 30, 30)), drawn((200, 30, 30))
    one[40:, :, :3], other[40:, :, :3] = 255, 77
    page = one_page(save_picture(tmp_path / "a.png", one), save_picture(tmp_path / "b.png", other))
    assert np.array_equal(page.before, page.after)
    assert page.before[50, 0].tolist() == [255] * 3  # white, which nothing visible is near to
    half = save_picture(tmp_path / "c.png", drawn((200, 30, 30), opacity=128))
    page = one_page(tmp_path / "a.png", half)
    assert page.before[0, 0].tolist() == [255] * 3
    expected = (np.array([200, 30, 30]) * 128 + 255 * 127) / 255
    assert np.abs(page.after[15, 30] - expected).max() <= 1


def test_transparent_differs_from_the_same_laid_on_white(tmp_path):
    image = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    image[:10, :, 3] = 0
    laid = PHOTO.copy()
    laid[:10] = 255
    page = one_page(save_picture(tmp_path / "a.png", image), save_picture(tmp_path / "b.png", laid))
    assert (np.abs(page.before[:10].astype(int) - page.after[:10]).max(axis=-1) > 30).all()
    assert np.array_equal(page.before[10:], page.after[10:])


def test_an_alpha_channel_that_hides_nothing_changes_nothing(tmp_path):
    opaque = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    page = one_page(save_picture(tmp_path / "a.png", opaque), save_picture(tmp_path / "b.png", PHOTO))
    assert np.array_equal(page.before, PHOTO)
    assert np.array_equal(page.after, PHOTO)


def transparent(mode: str) -> tuple[Image.Image, dict]:
    """A white square on transparent, in one of the ways that files have for it."""
    square = np.zeros((60, 80), np.uint8)
    square[10:30, 20:50] = 1
    if mode in ("RGBA", "LA"):
        return Image.fromarray(np.dstack([square * 255] * 4)).convert(mode), {}
    if mode == "P":
        image = Image.fromarray(square, "P")
        image.putpalette([255, 255, 255, 255, 255, 255])
        return image, {"transparency": bytes([0, 255])}
    if mode == "I;16":
        return Image.fromarray(square.astype(np.uint16) * 65535), {"transparency": 0}
    image = Image.fromarray(square * 255).convert(mode)
    return image, {"transparency": (0, 0, 0) if mode == "RGB" else 0}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "1", "I;16"])
def test_every_kind_of_transparency_is_one(tmp_path, mode):
    image, options = transparent(mode)
    image.save(tmp_path / "a.png", **options)
    save_picture(tmp_path / "b.png", drawn((255, 255, 255)))
    page = one_page(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(page.before, page.after)
    assert (page.before[0, 0].tolist(), page.before[15, 30].tolist()) == ([192] * 3, [255] * 3)
    assert (read_image(tmp_path / "a.png") == 255).all()


@pytest.mark.parametrize("ending", ["gif", "webp", "tif", "ico"])
def test_transparency_of_other_formats(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {"sizes": [(80, 60)]} if ending == "ico" else {}
    save_picture(tmp_path / f"a.{ending}", drawn((255, 255, 255)), **options)
    page = one_page(tmp_path / f"a.{ending}", save_picture(tmp_path / "b.png", drawn((255, 255, 255))))
    assert np.array_equal(page.before, page.after)
    assert page.before[0, 0].tolist() == [192] * 3


def test_a_pair_is_made_comparable_too(tmp_path):
    before = np.rint(RAMP * 4000).astype(np.uint16)
    paths = save_picture(tmp_path / "a.png", before), save_picture(tmp_path / "b.png", before + 40)
    pair, page = read_pair(*paths), one_page(*paths)
    assert np.array_equal(pair[0], page.before)
    assert np.array_equal(pair[1], page.after)
    assert (pair[1] > pair[0]).all()
