"""Pages of which rows or columns were put in, taken out, scrolled or moved, with the exact truth of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from tests.outside import pages, screens
from tests.outside.pages import Look, Strip
from tests.outside.truths import Box, Edited, Truth, changed_box

Part = tuple[Strip | None, Strip | None]  # a strip as it is in before and in after; None where it is not there
CONTENTS = ("line", "paragraph", "blank", "band", "picture")
PLACES = ("top", "middle", "bottom")
SHEETS = {
    "screen": (1000, 860, 16),
    "small": (640, 480, 12),
    "full HD": (1920, 1080, 15),
    "A4, 150 dpi": (1240, 1754, 21),
    "phone": (390, 844, 14),
}
"""Width, height and height of a letter, in pixels."""
PAPERS = (((255, 255, 255), (20, 20, 20)), ((250, 246, 236), (60, 44, 30)), ((28, 30, 36), (222, 224, 230)))


def random_look(rng: np.random.Generator, sheet: str) -> Look:
    width, _, px = SHEETS[sheet]
    paper, ink = PAPERS[int(rng.integers(len(PAPERS)))]
    return Look(width, px, ink, paper, leading=float(rng.uniform(1.35, 2)), margin=int(rng.integers(1, 4)) * px)


def new_strips(rng: np.random.Generator, look: Look, content: str, rows: int) -> list[Strip]:
    """What is put in. Of a line or a paragraph `rows` only says about how high."""
    if content == "line":
        return [Strip(pages.line(look, pages.sentence(rng, pages.letters(look) * 2 // 3)))]
    if content == "paragraph":
        made = pages.paragraph(rng, look, max(2, rows // look.step))
        return [*map(Strip, made), Strip(pages.blank(look, look.px))]
    if content == "blank":
        return [Strip(pages.blank(look, rows))]
    if content == "band":
        return [Strip(pages.band(look, rows, tuple(rng.integers(60, 180, 3).tolist())))]
    return [Strip(pages.picture(rng, look, max(8, rows)))]


def composed(name: str, parts: Sequence[Part], look: Look, height: int | None = None) -> Edited:
    """The pair that the parts make, cut off at a height where one is given, and the truth of every part."""
    before, after = (pages.stack([part[side] for part in parts if part[side]], height, look.paper) for side in (0, 1))
    truth, above, below = [], 0, 0  # rows so far, in before and in after
    for kind, group in groupby(parts, key=_kind):
        run = list(group)
        old, new = (np.concatenate([one[side].pixels for one in run]) if run[0][side] else None for side in (0, 1))
        if kind in ("added", "removed"):
            truth.append(_one(kind, new if old is None else old, before, look, (above, below)))
        elif kind == "replaced":
            x, y, wide, high = changed_box(old, new)
            truth.append(Truth(kind, (x, above + y, wide, high), (x, below + y, wide, high)))
        above, below = above + (0 if old is None else len(old)), below + (0 if new is None else len(new))
    if height is not None:
        truth += _pushed(before, after, below - above, look)
    return Edited(name, before, after, tuple(truth))


def _kind(part: Part) -> str:
    if part[0] is None:
        return "added"
    if part[1] is None:
        return "removed"
    return "kept" if part[0] is part[1] else "replaced"


def _one(kind: str, pixels: np.ndarray, before: np.ndarray, look: Look, at: tuple[int, int]) -> Truth:
    """The truth of rows that one picture has: their ink, or all of them in the room of the gap where they are blank."""
    box = pages.ink(pixels, look.paper)
    if box is not None:
        x, y, wide, high = box
        return Truth(kind, (x, at[0] + y, wide, high), (x, at[1] + y, wide, high))
    rows = len(pixels)
    plain = (before == np.array(look.paper, np.uint8)).all(axis=(1, 2))
    over = _run(plain[: at[0]][::-1])
    under = _run(plain[at[0] + (rows if kind == "removed" else 0) :])
    room = (0, at[0] - over, look.width, over + rows + under)
    return Truth(kind, (0, at[0], look.width, rows), (0, at[1], look.width, rows), room)


def _run(flags: np.ndarray) -> int:
    """How many of the first flags are set."""
    return len(flags) if flags.all() else int(flags.argmin())


def _pushed(before: np.ndarray, after: np.ndarray, longer: int, look: Look) -> list[Truth]:
    """What the end of the page lost because more stands above, or gained: it may be told."""
    rows, height = abs(longer), len(before)
    if not rows:
        return []
    box = pages.ink((before if longer > 0 else after)[-rows:], look.paper)
    if box is None:
        return []
    inner = (box[0], height - rows + box[1], box[2], box[3])
    outer = (box[0], inner[1] + rows, box[2], box[3])
    ends = (inner, outer) if longer > 0 else (outer, inner)
    return [Truth("removed" if longer > 0 else "added", *ends, must=False)]


def swapped(edited: Edited, name: str) -> Edited:
    """The pair the other way round."""
    other = {"added": "removed", "removed": "added"}
    truth = [replace(t, what=other.get(t.what, t.what), before=t.after, after=t.before) for t in edited.truth]
    return Edited(name, edited.after, edited.before, tuple(truth))


def inserted(
    rng: np.random.Generator, sheet: str, content: str, rows: int, where: str = "middle", *, grows=False, dense=False
) -> Edited:
    """Rows put in at the top, in the middle or at the bottom; the page grows, or loses as much at its end."""
    look, height = random_look(rng, sheet), SHEETS[sheet][1]
    if dense:
        look = replace(look, leading=1.25)
    strips, new = pages.document(rng, look, height, dense=dense), new_strips(rng, look, content, rows)
    added = sum(len(one.pixels) for one in new)
    tops = np.cumsum([0, *(len(one.pixels) for one in strips)])
    # Of a page that does not grow some lines below stay in sight: else the end may as well have been replaced.
    room = height - added - 5 * look.step
    last = len(strips) if grows else int(np.searchsorted(tops, room, side="right")) - 1
    at = {"top": int(rng.integers(2)), "middle": int(rng.integers(last // 4, last * 3 // 4 + 1)), "bottom": last}[where]
    kept = [(one, one) for one in strips]
    parts = [*kept[:at], *((None, one) for one in new), *kept[at:]]
    return composed(f"{content} of {added} rows, {where}", parts, look, None if grows else height)


def removed(rng: np.random.Generator, *arguments, **options) -> Edited:
    made = inserted(rng, *arguments, **options)
    return swapped(made, f"without {made.name}")


def edited_below(rng: np.random.Generator, sheet: str) -> Edited:
    """A line put in, and further below one that reads differently."""
    look, height = random_look(rng, sheet), SHEETS[sheet][1]
    strips = pages.document(rng, look, height)
    tops = np.cumsum([0, *(len(one.pixels) for one in strips)])
    middle = int(np.searchsorted(tops, height // 2))
    parts: list[Part] = [(one, one) for one in strips]
    room = pages.letters(look)
    # Every digit differs: where some stay, two boxes are as right as one.
    digits = rng.integers(0, 10, 4)
    numbers = ("".join(map(str, one)) for one in (digits, (digits + 5) % 10))
    old, new = (Strip(pages.line(look, f"Total of all items due: {number}.00")) for number in numbers)
    at, wide = int(rng.integers(1, middle // 2 + 1)), pages.sentence(rng, room // 2)
    parts[middle:middle] = [(old, new)]
    parts[at:at] = [(None, Strip(pages.line(look, wide)))]
    return composed("a line put in, a number below it changed", parts, look, height)


def scrolled(rng: np.random.Generator, sheet: str, rows: int, *, head: bool = False) -> Edited:
    """The page scrolled by so many rows, under a head that stays where there is one."""
    look, height = random_look(rng, sheet), SHEETS[sheet][1]
    long = pages.stack(pages.document(rng, look, height + rows))
    fixed = pages.band(replace(look, margin=1), 3 * look.px if head else 0, look.accent)
    before, after = (np.concatenate([fixed, long[at : at + height - len(fixed)]]) for at in (0, rows))
    gone, came = long[:rows], after[-rows:]
    truth = []
    for what, part, top in (("removed", gone, len(fixed)), ("added", came, height - rows)):
        x, y, wide, high = pages.ink(part, look.paper) or (0, 0, look.width, rows)
        here = (x, top + y, wide, high)
        other = (x, top + y - rows if what == "removed" else top + y + rows, wide, high)
        truth.append(Truth(what, here, other) if what == "removed" else Truth(what, other, here))
    return Edited(f"scrolled by {rows} rows", before, after, tuple(truth))


def moved(rng: np.random.Generator, sheet: str) -> Edited:
    """A block that stands elsewhere; what lies between moves up or down by its height."""
    look, height = random_look(rng, sheet), SHEETS[sheet][1]
    strips = pages.document(rng, look, height)
    blocks = [[strips[0]]]
    for one in strips[1:]:
        if one.block >= 0 and blocks[-1][-1].block != one.block:
            blocks.append([])
        blocks[-1].append(one)
    heights = [sum(len(one.pixels) for one in block) for block in blocks]
    choices = [  # it passes more than itself, or else the others moved
        (i, j)
        for i in range(1, len(blocks))
        for j in range(i + 1, len(blocks))
        if sum(heights[i + 1 : j + 1]) > 1.6 * heights[i] and heights[i] > 2 * look.step
    ]
    i, j = choices[int(rng.integers(len(choices)))]
    other = [*blocks[:i], *blocks[i + 1 : j + 1], blocks[i], *blocks[j + 1 :]]
    before, after = (pages.stack([one for block in order for one in block]) for order in (blocks, other))
    x, y, wide, high = pages.ink(pages.stack(blocks[i]), look.paper)
    there, rows = sum(heights[:i]) + y, sum(heights[i + 1 : j + 1])
    edited = Edited(
        "a block moved down", before, after, (Truth("moved", (x, there, wide, high), (x, there + rows, wide, high)),)
    )
    return edited if rng.integers(2) else swapped(edited, "a block moved up")


def beside_sidebar(rng: np.random.Generator, sheet: str, content: str, rows: int) -> Edited:
    """Rows put into the content while the sidebar to the left stays."""
    width, height, px = SHEETS[sheet]
    side = width // 5
    fixed = screens.sidebar(rng, side, height, px).pixels
    look = Look(width - side, px, margin=2 * px)
    strips, new = pages.document(rng, look, height), new_strips(rng, look, content, rows)
    at = int(rng.integers(1, len(strips) // 2))
    parts = [*((s, s) for s in strips[:at]), *((None, s) for s in new), *((s, s) for s in strips[at:])]
    made = composed("", parts, look, height)
    truth = [
        replace(t, before=_right(t.before, side), after=_right(t.after, side), room=_right(t.room, side))
        for t in made.truth
    ]
    pair = (np.concatenate([fixed, one], axis=1) for one in (made.before, made.after))
    return Edited(f"{content} beside a sidebar", *pair, tuple(truth))


def _right(box: Box | None, by: int) -> Box | None:
    return box and (box[0] + by, *box[1:])


def column_inserted(rng: np.random.Generator, sheet: str, *, grows: bool = False) -> Edited:
    """A table of many columns, of which one is new."""
    width, height, px = SHEETS[sheet]
    lines, columns = height // (2 * px) - 2, 0
    made = []
    while columns < width:
        look = Look(int(rng.integers(5, 10)) * px, px, margin=0, leading=2.0)
        strips = pages.table(rng, look, lines, 1)
        column = pages.stack([Strip(pages.blank(look, px)), *map(Strip, strips)], height)
        made.append(column)
        columns += look.width
    starts = np.cumsum([0, *(one.shape[1] for one in made)])
    last = int(np.searchsorted(starts, width - 10 * px)) - 1
    at = int(rng.integers(1, max(2, last)))
    new = made.pop(at)
    before, after = np.concatenate(made, axis=1), np.concatenate([*made[:at], new, *made[at:]], axis=1)
    x, y, wide, high = pages.ink(new, (255, 255, 255))
    box = (int(starts[at]) + x, y, wide, high)
    truth = [Truth("added", box, box)]
    if not grows:
        cut = min(width, before.shape[1])
        lost = (cut - new.shape[1], 0, new.shape[1], height)
        truth.append(Truth("removed", lost, _right(lost, new.shape[1]), must=False))
        before, after = before[:, :cut].copy(), after[:, :cut].copy()
    return Edited("a column put in", before, after, tuple(truth))


def random_layout(seed: int, index: int) -> Edited:
    """One of the edits above on one of the pages, at random; the kinds take turns by the index."""
    rng = np.random.default_rng((seed, index))
    sheet = str(rng.choice(list(SHEETS), p=[0.3, 0.3, 0.15, 0.1, 0.15]))
    content, where = str(rng.choice(CONTENTS)), str(rng.choice(PLACES))
    rows = int(np.exp(rng.uniform(0, np.log(SHEETS[sheet][1] // 3))))  # as many below 10 as above 100
    grows, dense = bool(rng.random() < 0.3), bool(rng.random() < 0.25)
    kinds: list[Callable[[], Edited]] = [
        lambda: inserted(rng, sheet, content, rows, where, grows=grows, dense=dense),
        lambda: removed(rng, sheet, content, rows, where, grows=grows, dense=dense),
        lambda: inserted(rng, sheet, "line", 1, where, grows=grows, dense=dense),
        lambda: removed(rng, sheet, "line", 1, where, grows=grows, dense=dense),
        lambda: edited_below(rng, sheet),
        lambda: scrolled(rng, sheet, max(60, rows), head=dense),
        lambda: moved(rng, sheet),
        lambda: beside_sidebar(rng, sheet, content, max(4, rows)),
        lambda: column_inserted(rng, sheet, grows=grows),
    ]
    return kinds[index % len(kinds)]()
