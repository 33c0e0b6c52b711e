"""Picture files opened page by page; what cannot be read is refused by the name of its kind, with the way out."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from whatchanged.levels import BITS_PER_SAMPLE, SAMPLE_FORMAT, SAMPLES_PER_PIXEL, Decoded, decoded

MAX_PIXELS = 200_000_000
# Of others, as phones' JPEGs (MPO), PSD and ICO, what follows the first is a thumbnail, a depth map, a layer, a size.
PAGED = {"TIFF", "GIF", "WEBP", "PNG", "AVIF", "DCX", "FLI"}
COMPRESSION, SUBFILE, DNG_VERSION = 259, 254, 50706
REDUCED, MASK = 1, 4  # bits of the subfile type: a smaller copy of a page, the transparency of a page
CAMERAS = {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".iiq", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw", ".x3f"}
RAW = "a camera's raw file", "develop it to TIFF or PNG, for example with darktable or dcraw"
# What a file begins with, what that is, and how it becomes a picture. The first that fits counts.
FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (rb".{128}DICM", "a DICOM file", "export it as PNG or TIFF with 16 bits, for example with dcm2pnm or pydicom"),
    (rb"%PDF-", "a PDF file", "render its pages as PNG, for example with pdftoppm -png"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file", "render it as PNG, for example with Ghostscript"),
    (rb"\xd7\xcd\xc6\x9a|\x01\x00\x09\x00", "a Windows metafile", "render it as PNG, for example with Inkscape"),
    (rb"\s*(<\?xml.*|<!.*)?<svg", "an SVG drawing", "render it as PNG, for example with Inkscape"),
    (rb"\s*(<!DOCTYPE html|<html)", "a web page", "download the picture itself"),
    (rb".{4}ftyp(hei|hev|mif1|msf1)", "a HEIC picture", "convert it to PNG, for example with heif-convert"),
    (rb".{4}ftypavi[fs]", "an AVIF picture, damaged or too new for this Pillow", "convert it to PNG with avifdec"),
    (rb"\xff\x0a|.{4}JXL ", "a JPEG XL picture", "convert it to PNG, for example with djxl"),
    (rb"v/1\x01", "an OpenEXR picture", "convert it to a floating-point TIFF of one channel, or to PNG"),
    (rb"#\?R", "a Radiance HDR picture", "convert it to PNG"),
    (rb"8BPS", "a Photoshop file of a kind that is not read", "export it as PNG or TIFF"),
    (rb"\x93NUMPY", "a NumPy array", "load it with numpy.load and give detect both arrays"),
    (rb"\x89HDF", "an HDF5 file", "save the picture in it as TIFF"),
    (rb".{8}CR|IIR[OS]|IIU\x00|FUJIFILM|.{4}ftypcrx|FOVb", *RAW),
    (rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI|\x00\x00\x01\xba", "a video", "take frames out of it with ffmpeg"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive", "unpack it first"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with git lfs pull"),
)


class ImageError(ValueError):
    """A file that is not an image that can be read."""


def read_each(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Generator[Decoded, None, None]:
    """The pages of a file, one after the other, each decoded when it is asked for.

    A smaller copy of a page, as a pyramid in a TIFF holds, is none, nor is a mask.

    Parameters
    ----------
    path : whatever Pillow reads.
    max_pixels : a larger page is refused before it is decoded.

    Raises
    ------
    ImageError
        The file is absent, empty, damaged, of a kind that cannot be read, has more than four bands, or a page of it
        holds more than `max_pixels`.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes)")
    if path.suffix.lower() in CAMERAS:
        raise ImageError(f"{path} is {RAW[0]}: {RAW[1]}")
    with _told(path, 1, max_pixels):
        image = Image.open(path)
    with ExitStack() as stack:
        stack.callback(image.close)  # once: older versions of Pillow fail at a second time
        index, page, more = 0, 1, True
        while more:
            with _told(path, page, max_pixels, image):
                if not _at(image, index):
                    return
                index += 1
                tags: dict[int, Any] = getattr(image, "tag_v2", {})
                if index > 1 and tags.get(SUBFILE, 0) & (REDUCED | MASK):
                    continue
                _refuse(path, page, image, tags, max_pixels)
                more = image.format in PAGED and getattr(image, "is_animated", False)
                found = decoded(image)
                if not more:
                    stack.close()  # lets go of Pillow's own copy, while ours is compared
            yield found
            del found  # before the next is decoded
            page += 1


def _at(image: Image.Image, index: int) -> bool:
    """Go to a page of a file; whether there is such a one."""
    if index == 0:
        return True
    try:
        image.seek(index)
    except EOFError:
        if index < getattr(image, "n_frames", 1):
            raise
        return False
    return True


def _refuse(path: Path, page: int, image: Image.Image, tags: dict[int, Any], max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageError(_too_large(path, page, f"{image.width}x{image.height}", max_pixels))
    if DNG_VERSION in tags:  # what Pillow would show of it is a thumbnail
        raise ImageError(f"{path} is {RAW[0]}: {RAW[1]}")
    if tags.get(SAMPLES_PER_PIXEL, 1) > 4:  # of some of these Pillow reads three, and does not say so
        raise ImageError(_tiff_refused(path, page, tags))


def _named(path: Path, page: int) -> str:
    return f"page {page} of {path}" if page > 1 else str(path)


def _too_large(path: Path, page: int, size: str, max_pixels: int) -> str:
    most = f"at most {max_pixels:,} are read; shrink it or cut it into parts"
    return f"{_named(path, page)} has {size} pixels: {most}"


@contextmanager
def _told(path: Path, page: int, max_pixels: int, image: Image.Image | None = None) -> Iterator[None]:
    """Whatever Pillow raises within it becomes an `ImageError` of one sentence."""
    with _patience(max_pixels):
        try:
            yield
        except (ImageError, MemoryError):
            raise
        except Image.DecompressionBombError as error:
            size = f"{int(count[0]):,}" if (count := re.search(r"\d+", str(error))) else "too many"
            raise ImageError(_too_large(path, page, size, max_pixels)) from error
        except Exception as error:  # of a damaged file, Pillow's readers let through errors of every kind
            reason = _kind(path) or _tiff_kind(path, page, image, error)
            if reason is None and isinstance(error, UnidentifiedImageError):
                reason = f"{path} is not an image that can be read"
            raise ImageError(reason or f"{_named(path, page)} is damaged: {error}") from error


def _kind(path: Path) -> str | None:
    """The refusal of a file that is known by what it begins with."""
    with path.open("rb") as file:
        head = file.read(2048)
    for pattern, kind, way_out in FOREIGN:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE if pattern.startswith(rb"\s") else re.DOTALL):
            return f"{path} is {kind}: {way_out}"
    return None


def _tiff_kind(path: Path, page: int, image: Image.Image | None, error: Exception) -> str | None:
    """The refusal of a TIFF that is whole but holds what Pillow has no mode or no decoder for."""
    if image is not None and not isinstance(error, SyntaxError | LookupError):
        return None
    tags: Any = getattr(image, "tag_v2", None)
    if image is None:
        try:
            with path.open("rb") as file:
                head = file.read(8)
                tags = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8) if head[2:3] == b"+" else head)
                file.seek(tags.next)
                tags.load(file)
        except Exception:  # no TIFF, or too damaged to tell
            return None
    return _tiff_refused(path, page, tags) if tags and BITS_PER_SAMPLE in tags else None


def _tiff_refused(path: Path, page: int, tags: Any) -> str:
    bands, bits = tags.get(SAMPLES_PER_PIXEL, 1), tags.get(BITS_PER_SAMPLE, (1,))
    if bands > 4:
        way_out = "export three of them as an RGB picture, for example with gdal_translate -b 1 -b 2 -b 3"
        return f"{_named(path, page)} has {bands} bands: {way_out}"
    number = {2: "signed ", 3: "floating-point "}.get(tags.get(SAMPLE_FORMAT, (1,))[0], "")
    kind = f"{number}{'x'.join(map(str, bits))} bits, compression {tags.get(COMPRESSION, 1)}"
    return f"{_named(path, page)} is a TIFF of a kind that is not read ({kind}): save it with 8 or 16 bits as PNG"


class _Patience:
    """Pillow's own limit lifted to ours, and its warnings unheard, while at least one thread reads.

    Both belong to the whole process. So readers are counted: the first keeps what was there, the last puts it back.
    A limit stays, for Pillow checks it where we cannot, as in the frames of a GIF.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.limit: int | None = None
        self.quiet = warnings.catch_warnings()

    def enter(self, max_pixels: int) -> None:
        with self.lock:
            if self.readers == 0:
                self.limit = Image.MAX_IMAGE_PIXELS
                self.quiet = warnings.catch_warnings()
                self.quiet.__enter__()
                warnings.simplefilter("ignore")
            self.readers += 1
            if Image.MAX_IMAGE_PIXELS is not None:  # Pillow refuses more than twice that; up to there we name the size
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)

    def leave(self) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0:
                Image.MAX_IMAGE_PIXELS = self.limit
                self.quiet.__exit__(None, None, None)


_reading = _Patience()


@contextmanager
def _patience(max_pixels: int) -> Iterator[None]:
    _reading.enter(max_pixels)
    try:
        yield
    finally:
        _reading.leave()
