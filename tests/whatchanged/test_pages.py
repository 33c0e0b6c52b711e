"""Every page of a document and every frame of an animation is compared; one that is missing is told."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import save_picture

from helpers.photographs import photograph
from whatchanged import formats
from whatchanged.formats import ImageError
from whatchanged.images import read_image
from whatchanged.pages import read_pages

PHOTO = photograph("coffee")[:60, :80]
FRAMES = [np.roll(PHOTO, 9 * one, axis=1) for one in range(3)]
LOSSLESS = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}


def document(path: Path, frames: list[np.ndarray]) -> Path:
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, **LOSSLESS.get(path.suffix[1:], {}))
    return path


@pytest.mark.parametrize("ending", ["tif", "png", "webp", "gif"])
def test_every_page_is_compared_and_a_missing_one_told(tmp_path, ending):
    frames = FRAMES if ending != "gif" else [frame // 64 * 64 for frame in FRAMES]  # at most 64 colors
    changed = [frame.copy() for frame in frames[:2]]
    changed[1][20:30, 20:30] = 128
    before, after = document(tmp_path / f"a.{ending}", frames), document(tmp_path / f"b.{ending}", changed)
    found = list(read_pages(before, after))
    assert [page.number for page in found] == [1, 2, 3]
    for page, frame in zip(found, frames, strict=True):
        assert np.array_equal(page.before, frame)
        assert page.note == ""
    assert np.array_equal(found[0].after, frames[0])
    assert np.array_equal(found[1].after, changed[1])
    assert found[2].after is None
    (_, _, third) = read_pages(after, before)
    assert third.before is None
    assert np.array_equal(third.after, frames[2])
    assert np.array_equal(read_image(before), frames[0])


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="this Pillow reads no AVIF")
def test_frames_of_avif(tmp_path):
    path = document(tmp_path / "a.avif", FRAMES)
    for page, frame in zip(read_pages(path, path), FRAMES, strict=True):
        assert np.abs(page.before.astype(int) - frame).max() < 30


def test_pages_of_a_fax(tmp_path):
    pages = [np.full((4, 6), level, np.uint8) for level in (10, 200)]
    files = [save_picture(tmp_path / f"{number}.pcx", page).read_bytes() for number, page in enumerate(pages)]
    head = struct.pack("<4I", 0x3ADE68B1, 16, 16 + len(files[0]), 0)
    (tmp_path / "a.dcx").write_bytes(head + files[0] + files[1])
    found = list(read_pages(tmp_path / "a.dcx", tmp_path / "a.dcx"))
    assert [page.after[0, 0, 0] for page in found] == [10, 200]


def test_frames_of_a_gif_are_those_that_are_shown(tmp_path):
    """A frame holds only what changed; one that is cleared leaves nothing behind."""
    pictures = [Image.new("P", (40, 30), 0) for _ in range(3)]
    for number, picture in enumerate(pictures):
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        picture.paste(number + 1, (10 * number, 0, 10 * number + 10, 10))
    options = {"save_all": True, "append_images": pictures[1:], "transparency": 0}
    pictures[0].save(tmp_path / "kept.gif", disposal=1, **options)
    pictures[0].save(tmp_path / "cleared.gif", disposal=2, **options)
    red, green = (255, 0, 0), (0, 255, 0)
    kept, cleared = [list(read_pages(path, path))[1].before for path in sorted(tmp_path.glob("*.gif"), reverse=True)]
    assert [tuple(kept[5, x]) for x in (5, 15)] == [red, green]
    assert [tuple(cleared[5, x]) for x in (5, 15)] == [(255, 255, 255), green]


def test_pages_may_differ_in_size_and_in_how_they_are_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = save_picture(tmp_path / "a.png", PHOTO, exif=exif)
    (page,) = read_pages(turned, save_picture(tmp_path / "b.png", PHOTO))
    assert np.array_equal(page.before, np.rot90(PHOTO, -1))
    assert np.array_equal(page.after, PHOTO)
    first, *others = map(Image.fromarray, FRAMES)
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, lossless=True, exif=exif)
    for page, frame in zip(read_pages(tmp_path / "a.webp", turned), FRAMES, strict=True):
        assert np.array_equal(page.before, np.rot90(frame, -1))


def test_the_pages_of_a_document_have_a_range_each(tmp_path):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for name, more in (("a", 0), ("b", 1)):
        document(tmp_path / f"{name}.tif", [ramp * 4 + more, ramp * 200 + 50 * more])
    one, other = read_pages(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (one.before.max(), one.after.max(), other.after.max(), other.before.min()) == (255, 255, 255, 0)


def test_both_files_are_decoded_at_once_and_one_page_at_a_time(tmp_path, monkeypatch):
    both, decoded, given = threading.Barrier(2, timeout=10), formats.decoded, []

    def counted(image):
        both.wait()  # breaks where one waits for the other
        given.append(image)
        return decoded(image)

    monkeypatch.setattr(formats, "decoded", counted)
    path = document(tmp_path / "a.tif", FRAMES)
    pages = read_pages(path, path)
    assert next(pages).number == 1
    assert len(given) == 2
    assert next(pages).number == 2
    assert len(given) == 4
    pages.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted by Linux")
def test_files_that_are_left_half_read_are_closed(tmp_path):
    path, limit = document(tmp_path / "a.gif", FRAMES), Image.MAX_IMAGE_PIXELS

    def opened() -> list[str]:
        return [one for one in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if one == str(path)]

    pages = read_pages(path, path)
    next(pages)
    assert (len(opened()), Image.MAX_IMAGE_PIXELS) == (2, limit)
    pages.close()
    assert opened() == []


def test_a_page_that_is_damaged_is_told_when_it_is_its_turn(tmp_path):
    whole = document(tmp_path / "a.png", FRAMES)
    data = whole.read_bytes()
    (tmp_path / "b.png").write_bytes(data[: data.rindex(b"fdAT") + 100])
    pages = read_pages(whole, tmp_path / "b.png")
    assert [next(pages).number, next(pages).number] == [1, 2]
    with pytest.raises(ImageError, match=r"^page 3 of .*b.png is damaged"):
        next(pages)


@pytest.mark.parametrize("kept", [-4, 34])  # of the last frame nothing, or its head, which is a chunk of 38 bytes
def test_an_animation_that_ends_before_its_last_frame_is_damaged(tmp_path, kept):
    whole = document(tmp_path / "a.png", FRAMES)
    data = whole.read_bytes()
    (tmp_path / "b.png").write_bytes(data[: data.rindex(b"fcTL") + kept] + data[-12:])
    with pytest.raises(ImageError, match=r"^page 3 of .*b.png is damaged"):
        list(read_pages(whole, tmp_path / "b.png"))


def test_a_file_that_is_absent_is_told(tmp_path):
    with pytest.raises(ImageError, match=r"none.png does not exist"):
        next(read_pages(save_picture(tmp_path / "a.png", PHOTO), tmp_path / "none.png"))
    with pytest.raises(ImageError, match=r"at most 100 are read"):
        next(read_pages(tmp_path / "a.png", tmp_path / "a.png", max_pixels=100))
