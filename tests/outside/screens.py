"""Screens of programs: a sidebar with icons, a head, cards with text and buttons; and where each thing stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image, ImageDraw

from tests.outside.pages import Box, Color, Look, Strip, blank, font, letters, line, sentence

BACK, CARD, EDGE, SIDE = (243, 244, 247), (255, 255, 255), (214, 217, 224), (33, 41, 60)


@dataclass
class Screen:
    """A screen, uint8 (H, W, 3), and the boxes (x, y, width, height) of its things by their kind."""

    pixels: np.ndarray
    places: dict[str, list[Box]] = field(default_factory=dict)


def icon(rng: np.random.Generator, side: int, ink: Color, back: Color) -> np.ndarray:
    """A small figure of a random kind: uint8 (side, side, 3)."""
    tile = Image.new("RGB", (4 * side, 4 * side), back)
    draw, kind, low, high = ImageDraw.Draw(tile), int(rng.integers(4)), side // 2, 4 * side - side // 2
    if kind == 0:
        draw.ellipse((low, low, high, high), outline=ink, width=side // 3)
    elif kind == 1:
        draw.polygon([(low, high), (2 * side, low), (high, high)], fill=ink)
    elif kind == 2:
        for top in range(low, high, side):
            draw.rectangle((low, top, high, top + side // 3), fill=ink)
    else:
        draw.rectangle((low, low, high, high), outline=ink, width=side // 3)
        draw.line((low, low, high, high), fill=ink, width=side // 4)
    return np.asarray(tile.resize((side, side), Image.Resampling.BOX)).copy()


def sidebar(rng: np.random.Generator, width: int, height: int, px: int = 14) -> Screen:
    """A dark column with a line of text and an icon for each entry."""
    look = Look(width, px, (222, 226, 235), SIDE, margin=3 * px)
    shown, step = Screen(blank(look, height)), 3 * px
    for top in range(2 * px, height - step, step):
        text = sentence(rng, max(4, letters(look) - 2))
        shown.pixels[top : top + look.step] = line(look, text)
        at = top + (look.step - px) // 2
        shown.pixels[at : at + px, px : 2 * px] = icon(rng, px, (130, 190, 250), SIDE)
        shown.places.setdefault("icon", []).append((px, at, px, px))
        shown.places.setdefault("entry", []).append((0, top, width, look.step))
    return shown


def card(rng: np.random.Generator, width: int, px: int = 14) -> Screen:
    """A white card on gray with a title, some lines and a button, as a strip of the whole width."""
    inner = Look(width - 4 * px, px, (40, 44, 52), CARD, margin=px)
    title = line(
        Look(inner.width, round(1.3 * px), (20, 24, 32), CARD, margin=px), sentence(rng, letters(inner) // 3), bold=True
    )
    texts = [line(inner, sentence(rng, letters(inner) - 6)) for _ in range(int(rng.integers(1, 4)))]
    body = np.concatenate([blank(inner, px // 2), title, *texts, blank(inner, 3 * px)])
    image, high = Image.fromarray(body), len(body)
    wide = 8 * px
    corner = (px, high - round(2.6 * px), px + wide, high - px // 2)
    ImageDraw.Draw(image).rounded_rectangle(corner, radius=px // 2, fill=(36, 99, 235))
    ImageDraw.Draw(image).text(
        (2 * px, corner[1] + px // 3), str(rng.choice(["Save", "Open", "Send"])), font=font(px), fill=CARD
    )
    body = np.asarray(image).copy()
    cv2.rectangle(body, (0, 0), (inner.width - 1, high - 1), EDGE, 1)
    shown = Screen(blank(Look(width), high + 2 * px, BACK))
    shown.pixels[px : px + high, 2 * px : 2 * px + inner.width] = body
    shown.places = {
        "card": [(2 * px, px, inner.width, high)],
        "button": [(2 * px + corner[0], px + corner[1], wide + 1, corner[3] - corner[1] + 1)],
    }
    return shown


def cards(rng: np.random.Generator, width: int, rows: int, px: int = 14) -> list[Strip]:
    """Cards under each other, at least so many rows."""
    strips, height = [], 0
    while height < rows:
        strips.append(Strip(card(rng, width, px).pixels, len(strips)))
        height += len(strips[-1].pixels)
    return strips


def screen(rng: np.random.Generator, size: tuple[int, int] = (1280, 800), px: int = 14) -> Screen:
    """A whole screen (width, height): head, sidebar, cards."""
    width, height = size
    side, head = min(width // 4, 16 * px), 4 * px
    shown = Screen(np.full((height, width, 3), BACK, np.uint8))
    left = sidebar(rng, side, height, px)
    shown.pixels[:, :side] = left.pixels
    shown.places.update(left.places)
    look = Look(width - side, round(1.4 * px), (30, 34, 44), CARD, margin=2 * px)
    title = line(look, sentence(rng, letters(look) // 2), bold=True)
    shown.pixels[:head, side:] = CARD
    shown.pixels[px : px + len(title), side:] = title
    shown.pixels[head - 1, side:] = EDGE
    top = head + px
    while True:
        one = card(rng, width - side, px)
        if top + len(one.pixels) > height:
            return shown
        shown.pixels[top : top + len(one.pixels), side:] = one.pixels
        for kind, boxes in one.places.items():
            shown.places.setdefault(kind, []).extend((x + side, y + top, w, h) for x, y, w, h in boxes)
        top += len(one.pixels)
