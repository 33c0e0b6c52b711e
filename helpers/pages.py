"""Pages as a program draws them: lines of text, colored things; without noise, with smooth edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_FINE = 3  # drawn this many times as large, then reduced: a shift by one there is a third of a pixel here
_INK = (30, 30, 30)
_Color = tuple[int, int, int]


def page(lines: Sequence[str], *, thirds: int | dict[int, int] = 0, ink: dict[int, _Color] | None = None) -> np.ndarray:
    """Lines of text on white: uint8 (240, 380, 3).

    Parameters
    ----------
    lines : nine fit; what stands lower is cut off.
    thirds : of a pixel by which all lines stand further to the right, or line number -> thirds.
    ink : line number -> color, where it is not nearly black.
    """
    import matplotlib

    ttf = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    font = ImageFont.truetype(str(ttf), 14 * _FINE)
    sheet = Image.new("RGB", (380 * _FINE, 240 * _FINE), "white")
    for number, line in enumerate(lines):
        off = thirds.get(number, 0) if isinstance(thirds, dict) else thirds
        place = (20 * _FINE + off, (18 + 24 * number) * _FINE)
        ImageDraw.Draw(sheet).text(place, line, font=font, fill=(ink or {}).get(number, _INK))
    return _reduced(sheet)


def row_of(things: Sequence[tuple[str, float, float, float, _Color]]) -> np.ndarray:
    """Things on a light page: uint8 (120, 420, 3).

    Parameters
    ----------
    things : of each the shape ("disc", "square" or "triangle"), x and y of its middle, size in pixels, color.
    """
    sheet = Image.new("RGB", (420 * _FINE, 120 * _FINE), (245, 245, 245))
    draw = ImageDraw.Draw(sheet)
    for shape, x, y, size, color in things:
        x0, y0, x1, y1 = (_FINE * (at + side * size / 2) for side in (-1, 1) for at in (x, y))
        if shape == "disc":
            draw.ellipse((x0, y0, x1, y1), fill=color)
        elif shape == "square":
            draw.rectangle((x0, y0, x1, y1), fill=color)
        elif shape == "triangle":
            draw.polygon([(x0, y1), (x1, y1), (_FINE * x, y0)], fill=color)
        else:
            raise ValueError(f"shape is {shape!r}: choose disc, square or triangle")
    return _reduced(sheet)


def _reduced(sheet: Image.Image) -> np.ndarray:
    return np.array(sheet.resize((sheet.width // _FINE, sheet.height // _FINE), Image.Resampling.BOX))
