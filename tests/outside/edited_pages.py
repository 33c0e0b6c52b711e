"""Rendered pages, screens and drawn puzzles with edits of exact truth; see `edits.py` for photographs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from edits import PHOTOGRAPHS, Edit, photograph
from PIL import Image, ImageDraw, ImageFont

from whatchanged.regions import HAPPENED

PAGES = ("document", "screen", "puzzle")
SHAPES = ("disc", "square", "triangle", "star", "cross", "ring", "heart", "arrow")
_WORDS = """
account address after agreement amount annual approved balance before budget cancel chapter city client confirm
contract customer date delivery details discount due email final first goods hours import invoice items last
list market monthly name net notice number offer open order page paid payment period price product quarter rate
report sales service settings shipped street summary tax team terms total transfer unit update user value weekly
"""
WORDS = _WORDS.split()
FINE = 4  # times as large as they are shown are shapes drawn


@dataclass(frozen=True)
class Element:
    """One thing of a page. `look` is a word for text, a shape of `SHAPES`, "button" or the name of a photograph."""

    kind: str
    look: str
    x: int
    y: int
    width: int
    height: int
    color: tuple[int, ...]
    label: str = ""


@cache
def _font(pixels: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = f"mpl-data/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(str(Path(matplotlib.__file__).parent / name), pixels)


def _word(rng, x: int, y: int, pixels: int, color, text: str | None = None) -> Element:
    text = text or str(rng.choice(WORDS))
    left, top, right, bottom = _font(pixels).getbbox(text)
    return Element("text", text, x, y, int(right - left), pixels, color)


def _points(shape: str) -> np.ndarray:
    """The outline of a shape in a unit square."""
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radius = np.where(np.arange(10) % 2, 0.21, 0.5)
        return 0.5 + np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 60)
        x, y = 16 * np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return np.stack([x / 34 + 0.5, (y + 13) / 31], 1)
    corners = {
        "triangle": "50 00 99 99 00 99",
        "cross": "35 00 65 00 65 35 99 35 99 65 65 65 65 99 35 99 35 65 00 65 00 35 35 35",
        "arrow": "00 35 55 35 55 05 99 50 55 95 55 65 00 65",
        "square": "00 00 99 00 99 99 00 99",
    }[shape]
    return np.array(corners.split(), float).reshape(-1, 2) / 99


def _painted(page: Image.Image, element: Element) -> None:
    """Draw one element into a page."""
    x, y, width, height = element.x, element.y, element.width, element.height
    if element.kind == "text":
        ImageDraw.Draw(page).text((x, y), element.look, font=_font(height), fill=element.color)
        return
    if element.kind == "image":
        picture = photograph(element.look)
        side = min(picture.shape[0], picture.shape[1] * height // width)
        part = cv2.resize(picture[:side, : side * width // height], (width, height), interpolation=cv2.INTER_AREA)
        if element.label == "tinted":
            gray = part.mean(axis=2, keepdims=True) / 255
            part = np.rint(gray * element.color + (1 - gray) * 20).astype(np.uint8)
        page.paste(Image.fromarray(part), (x, y))
        return
    big = Image.new("L", (width * FINE, height * FINE), 0)
    draw = ImageDraw.Draw(big)
    if element.kind == "panel":
        draw.rectangle((0, 0, width * FINE, height * FINE), 255)
    elif element.kind == "button":
        draw.rounded_rectangle((0, 0, width * FINE - 1, height * FINE - 1), 5 * FINE, 255)
    elif element.look in ("disc", "ring"):
        draw.ellipse((0, 0, width * FINE - 1, height * FINE - 1), 255)
        if element.look == "ring":
            edge = width * FINE // 5
            draw.ellipse((edge, edge, width * FINE - 1 - edge, height * FINE - 1 - edge), 0)
    else:
        points = _points(element.look) * (width * FINE - 1, height * FINE - 1)
        draw.polygon([tuple(point) for point in points], 255)
    page.paste(element.color, (x, y), big.resize((width, height), Image.Resampling.BOX))
    if element.label:
        light = np.mean(element.color) > 150
        middle = (x + width // 2, y + height // 2)
        font = _font(max(9, height * 2 // 5), bold=True)
        ImageDraw.Draw(page).text(
            middle, element.label, font=font, fill=(20,) * 3 if light else (255,) * 3, anchor="mm"
        )


def _rendered(base: np.ndarray, elements: list[Element]) -> np.ndarray:
    page = Image.fromarray(base)
    for element in elements:
        _painted(page, element)
    return np.asarray(page).copy()


def _box(element: Element) -> tuple[int, int, int, int]:
    """The pixels that an element covers."""
    if element.kind != "text":
        return element.x, element.y, element.width, element.height
    left, top, right, bottom = _font(element.height).getbbox(element.look)
    return element.x + int(left), element.y + int(top), int(right - left), int(bottom - top)


def _color(rng, far_from=(), least: int = 70) -> tuple[int, ...]:
    while True:
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        if all(np.abs(np.subtract(color, other)).max() >= least for other in far_from):
            return color


def _document(rng) -> tuple[np.ndarray, list[Element]]:
    """Paragraphs with gaps, sometimes a picture and a stamp."""
    dark, pixels = rng.random() < 0.2, int(rng.integers(12, 20))
    paper, ink = ((30,) * 3, (225,) * 3) if dark else ((255,) * 3, (20,) * 3)
    base, elements = np.full((800, 640, 3), paper, np.uint8), []
    blank = sorted(rng.choice(np.arange(60, 700), 2))
    for y in range(40, 740, 2 * pixels):
        x = 40
        while True:
            word = _word(rng, x, y, pixels, ink)
            if x + word.width > 590:
                break
            if not (blank[0] < y < blank[0] + 120) and rng.random() < 0.9:
                elements.append(word)
            x += word.width + pixels // 2
    if rng.random() < 0.6:
        side = int(rng.integers(60, 100))
        elements.append(
            Element(
                "image",
                str(rng.choice(PHOTOGRAPHS)),
                int(rng.integers(60, 440)),
                int(blank[0]) + pixels + 8,
                side,
                side - 20,
                (200, 120, 40),
            )
        )
    return base, elements


def _screen(rng) -> tuple[np.ndarray, list[Element]]:
    """A window with a bar, a side list, cards with text, icons, buttons and pictures."""
    dark = rng.random() < 0.35
    back, card, ink = ((24, 26, 32), (40, 44, 54), (230,) * 3) if dark else ((242, 244, 247), (255,) * 3, (35, 38, 45))
    base = np.full((720, 1080, 3), back, np.uint8)
    base[56:, :180] = np.array(card) * 15 // 16
    bar = Element("panel", "", 0, 0, 1080, 56, _color(rng, (back,)))
    elements = [
        _word(rng, 20 + 130 * i, 18, 16, (255,) * 3 if np.mean(bar.color) < 140 else (0,) * 3) for i in range(5)
    ]
    elements = [bar, *elements]
    for i in range(9):
        elements.append(Element("icon", str(rng.choice(SHAPES)), 20, 84 + 52 * i, 22, 22, _color(rng, (card, back))))
        elements.append(_word(rng, 56, 86 + 52 * i, 15, ink))
    for top in (80, 400):
        for left in (210, 500, 790):
            base[top : top + 290, left : left + 260] = card
            elements.append(_word(rng, left + 16, top + 14, 18, ink))
            elements += [_word(rng, left + 16 + 90 * (i % 2), top + 150 + 24 * (i // 2), 13, ink) for i in range(6)]
            elements.append(
                Element("image", str(rng.choice(PHOTOGRAPHS)), left + 16, top + 46, 110, 84, (230, 150, 60))
            )
            side = int(rng.integers(16, 60))
            elements.append(
                Element("icon", str(rng.choice(SHAPES)), left + 170, top + 56, side, side, _color(rng, (card,)))
            )
            label = str(rng.choice(WORDS)).capitalize()
            elements.append(Element("button", "button", left + 16, top + 238, 120, 36, _color(rng, (card,)), label))
    return base, elements


def _puzzle(rng) -> tuple[np.ndarray, list[Element]]:
    """A drawn scene: sky, hills, and many things that overlap what lies behind them."""
    height, width = 560, 800
    sky = np.linspace(_color(rng), _color(rng), height)[:, None]
    base = np.broadcast_to(sky, (height, width, 3)).astype(np.uint8).copy()
    for i in range(4):
        x = np.arange(0, width + 40, 40)
        y = 250 + 70 * i + 40 * np.sin(x / rng.uniform(60, 160) + rng.uniform(0, 6))
        hill = np.concatenate([np.stack([x, y], 1), [[width, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(base, [hill], _color(rng), cv2.LINE_AA)
        cv2.polylines(base, [hill], True, (20, 20, 20), 2, cv2.LINE_AA)
    places = [(x, y) for x in range(20, 740, 90) for y in range(20, 500, 90)]
    elements = []
    for x, y in (places[i] for i in rng.permutation(len(places))[:26]):
        side = int(rng.integers(14, 62))
        kind = "image" if rng.random() < 0.15 else "icon"
        look = str(rng.choice(PHOTOGRAPHS if kind == "image" else SHAPES))
        under = base[y : y + side, x : x + side].reshape(-1, 3)
        color = _color(rng, [tuple(one) for one in under[:: max(1, len(under) // 20)].astype(int)])
        elements.append(Element(kind, look, x, y, side, side, color))
    return base, elements


def edited_page(
    rng: np.random.Generator, kind: str, edits: tuple[int, int] = (1, 4)
) -> tuple[np.ndarray, np.ndarray, list[Edit]]:
    """The same page twice: between the two one to four things happened.

    Parameters
    ----------
    kind : one of `PAGES`.
    edits : fewest and most edits.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3), RGB, equal but for the edits.
    truth : list of Edit.
    """
    base, elements = {"document": _document, "screen": _screen, "puzzle": _puzzle}[kind](rng)
    first, second, truth = list(elements), list(elements), []
    for what in rng.choice(HAPPENED, int(rng.integers(edits[0], edits[1] + 1))):
        for _ in range(80):
            element = elements[int(rng.integers(len(elements)))]
            edited = _edited(rng, base, (first, second), element, str(what), truth)
            if edited is not None:
                first, second, edit = edited
                truth.append(edit)
                break
    return _rendered(base, first), _rendered(base, second), truth


def _edited(rng, base: np.ndarray, pages, element: Element, what: str, truth: list[Edit]):
    """The elements of both pages after one more edit, and the edit; None where it has no room or is not seen."""
    first, second = map(list, pages)
    if element not in first or element not in second or (element.kind == "panel" and what != "recolored"):
        return None
    new = element if what in ("added", "removed") else _changed(rng, element, what, base)
    taken = [box for edit in truth for box in (edit.before, edit.after)]
    if new is None or any(_near(_box(one), other) for one in (element, new) for other in taken):
        return None
    others = [_box(one) for one in first + second if one != element and one.kind != "panel"]
    if what in ("moved", "resized", "replaced") and any(_near(_box(new), one, 2) for one in others):
        return None
    if what == "added":
        first.remove(element)
    elif what == "removed":
        second.remove(element)
    else:
        second[second.index(element)] = new
    seen = [
        not np.array_equal(_rendered(base, one), _rendered(base, other))
        for one, other in zip(pages, (first, second), strict=True)
    ]
    return (first, second, Edit(what, _box(element), _box(new))) if any(seen) else None


def _near(first, second, gap: int = 26) -> bool:
    return all(first[i] < second[i] + second[i + 2] + gap and second[i] < first[i] + first[i + 2] + gap for i in (0, 1))


def _changed(rng, element: Element, what: str, base: np.ndarray) -> Element | None:
    """The element after something happened to it; None where that does not happen to such a thing."""
    under = tuple(int(value) for value in base[element.y, element.x])
    if what == "recolored":
        if element.kind == "image":
            return replace(element, label="tinted", color=_color(rng, least=0))
        return replace(element, color=_color(rng, (element.color, under)))
    if what == "replaced":
        if element.kind == "text":
            fits = [word for word in WORDS if word != element.look and abs(len(word) - len(element.look)) < 2]
            return _word(rng, element.x, element.y, element.height, element.color, str(rng.choice(fits)))
        if element.kind == "button":
            return None
        looks = [look for look in (PHOTOGRAPHS if element.kind == "image" else SHAPES) if look != element.look]
        color = element.color if rng.random() < 0.5 else _color(rng, (element.color, under))
        return replace(element, look=str(rng.choice(looks)), color=color)
    if what == "moved":
        if rng.random() < 0.5:
            dx, dy = rng.integers(-element.width, element.width + 1), rng.integers(-element.height, element.height + 1)
            new = replace(element, x=element.x + int(dx), y=element.y + int(dy))
            if max(abs(dx), abs(dy)) < 3:
                return None
        else:
            new = replace(element, x=int(rng.integers(5, base.shape[1])), y=int(rng.integers(5, base.shape[0])))
    else:
        factor = rng.uniform(1.25, 2) ** rng.choice([-1, 1])
        width, height = round(element.width * factor), round(element.height * factor)
        if element.kind == "text" or min(width, height) < 9:
            return None
        x, y = element.x - (width - element.width) // 2, element.y - (height - element.height) // 2
        new = replace(element, x=x, y=y, width=width, height=height)
    inside = min(new.x, new.y) > 2 and new.x + new.width < base.shape[1] - 2 and new.y + new.height < base.shape[0] - 2
    ground = base[new.y : new.y + new.height, new.x : new.x + new.width].reshape(-1, 3).astype(int) if inside else None
    if ground is None or (element.kind != "image" and np.abs(ground - element.color).max(axis=1).min() < 60):
        return None
    return new
