"""Rows and columns that were inserted, removed or moved: two rendered pages laid on each other piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from whatchanged.images import packed
from whatchanged.rows import Rows, apart_by_row, common_rows, full

Rect = tuple[int, int, int, int]
"""x, y, width, height."""

_DEPTH = 4  # rows, columns within them, rows within those, columns
_WORTH = 0.5  # of the pixels that differ in place, at most as many may be left where rows moved
_BLOCK = 64  # pixels a side from which on something is a part of the page rather than a word
_LITTLE = 1 / 1000  # of the values of a page, too little for columns that moved
_MORE = 1.5  # how many times as many pixels may be left where columns come first
_NEW = 0.25  # how much of what only one page shows counts as left, where parts of the page moved
_EMPTY = 0.02  # how much of an inserted empty row counts as changed, beside pixels that show something


@dataclass
class Layout:
    """How the after page lies under the before page.

    Attributes
    ----------
    pieces : rectangles of the before page and those of the same size of the after page that belong there; they may
        still differ in single pixels.
    removed : rectangles of the before page that are gone, and the place in the after page where they were.
    added : the place in the before page where something new stands, and the rectangle of it in the after page.
    moved : those of the pieces that went elsewhere while all around them stayed.
    """

    pieces: list[tuple[Rect, Rect]] = field(default_factory=list)
    removed: list[tuple[Rect, tuple[int, int]]] = field(default_factory=list)
    added: list[tuple[tuple[int, int], Rect]] = field(default_factory=list)
    moved: list[tuple[Rect, Rect]] = field(default_factory=list)

    @property
    def is_shifted(self) -> bool:
        """Whether anything lies elsewhere than it did."""
        return bool(self.removed or self.added or any(before != after for before, after in self.pieces))


def layout_of(before: np.ndarray, after: np.ndarray) -> Layout:
    """Match the rows of two pages by their content, as `diff` does with lines; and the columns of what is left.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), of any two sizes.

    Notes
    -----
    Rows that occur once in each page are its anchors, as in the patience diff of Bram Cohen; from each of them the
    match grows over equal rows. What lies between is matched again by its columns, then again by its rows. Where the
    page has columns of its own, as a sidebar that stays, it is better to begin with those: that is taken where fewer
    places are to be told, or half as many pixels. Pages of the same size stay in place unless laying them so leaves at
    most half of the pixels that differ there. Empty rows are told where they push something away, not where they merely
    make up for it at the end.
    """
    pages = _Pages(before, after)
    whole = (0, 0, before.shape[1], before.shape[0]), (0, 0, after.shape[1], after.shape[0])
    pages.match(*whole, True, _DEPTH)
    by_rows = pages.found
    if not by_rows.is_shifted and pages.left(by_rows) < _LITTLE * before.size:
        return by_rows
    pages.found = Layout()
    pages.match(*whole, False, _DEPTH)
    by_columns, left = pages.found, (pages.left(by_rows), pages.left(pages.found))
    fewer = pages.places(by_columns) < pages.places(by_rows)
    most = (_MORE if by_columns.is_shifted else 1) if fewer else _WORTH
    return by_columns if left[1] < most * left[0] or (fewer and left[1] == left[0]) else by_rows


class _Pages:
    """The two pages, and what is known of their layout."""

    def __init__(self, before: np.ndarray, after: np.ndarray) -> None:
        self.before, self.after, self.found = packed(before), packed(after), Layout()
        self.grounds = ground(self.before), ground(self.after)

    def places(self, layout: Layout) -> int:
        """How many rectangles a layout leaves to be told."""
        differ = [one for one in layout.pieces if not np.array_equal(cut(self.before, one[0]), cut(self.after, one[1]))]
        return len(differ) + len(layout.removed) + len(layout.added) + len(layout.moved)

    def left(self, layout: Layout) -> int:
        """How many pixels a layout leaves to be told."""
        alone = [(self.before, rect, self.grounds[0]) for rect, _ in layout.removed]
        alone += [(self.after, rect, self.grounds[1]) for _, rect in layout.added]
        shown = sum(int(np.count_nonzero(content(*one))) for one in alone)
        return shown + sum(int(apart_by_row(cut(self.before, a), cut(self.after, b)).sum()) for a, b in layout.pieces)

    def match(self, a: Rect, b: Rect, by_rows: bool, depth: int, tried: int = 0) -> None:
        """Lay two rectangles on each other: by rows or by columns, then what is left the other way."""
        if not (a[2] and a[3] and b[2] and b[3]):
            return self._one_sided(a, b)
        first, second = cut(self.before, a), cut(self.after, b)
        if first.shape == second.shape and np.array_equal(first, second):
            return self.found.pieces.append((a, b))
        if depth == 0 or tried == 2:
            return self._leaf(a, b)
        if a[3 - by_rows] != b[3 - by_rows]:
            return self._by_size(a, b, not by_rows, lambda one, two: self.match(one, two, by_rows, depth, tried))
        lines = [image if by_rows else image.swapaxes(0, 1) for image in (first, second)]
        runs = common_rows(lines[0], lines[1])
        inner = depth < _DEPTH  # a part of the page, whose content goes elsewhere where a page's is pushed away
        if inner or not by_rows:  # letters are set anew a pixel further on, without a person seeing it
            runs = [run for run in runs if abs(run[0] - run[1]) != 1 or len(lines[0]) != len(lines[1])]
        parts = _Parts(runs, lines, self.grounds, inner)
        if len(lines[0]) == len(lines[1]) and not parts.worth(_NEW if min(*a[2:]) >= _BLOCK else 1.0):
            parts = _Parts([run for run in runs if run[0] == run[1]], lines, self.grounds, inner)
        part = _rows if by_rows else _columns
        for number, (i, j, count) in enumerate(parts.runs):
            if count:
                self.found.pieces.append((part(a, i, count), part(b, j, count)))
                if number in parts.moved:
                    self.found.moved.append(self.found.pieces[-1])
            h1, h2 = parts.gaps[number]
            if (h1 or h2) and number not in parts.quiet:
                gap = part(a, i + count, h1), part(b, j + count, h2)
                self.match(*gap, not by_rows, depth - 1, 0 if len(parts.runs) > 1 else tried + 1)
        return None

    def _one_sided(self, a: Rect, b: Rect) -> None:
        if a[2] and a[3]:
            self.found.removed.append((a, b[:2]))
        elif b[2] and b[3]:
            self.found.added.append((a[:2], b))

    def _leaf(self, a: Rect, b: Rect) -> None:
        """What could not be matched stays in place; what is longer or wider gets its rows where they fit best."""
        if not (a[2] and a[3] and b[2] and b[3]):
            self._one_sided(a, b)
        elif a[3] != b[3]:
            self._by_size(a, b, True, self._leaf)
        elif a[2] != b[2]:
            self._by_size(a, b, False, self._leaf)
        else:
            self.found.pieces.append((a, b))

    def _by_size(self, a: Rect, b: Rect, by_rows: bool, go_on: Callable[[Rect, Rect], None]) -> None:
        """Take out the rows that make one of the two longer, where the fewest pixels differ then."""
        first, second = cut(self.before, a), cut(self.after, b)
        if not by_rows:
            first, second = first.swapaxes(0, 1), second.swapaxes(0, 1)
        least, width = min(len(first), len(second)), min(first.shape[1], second.shape[1])
        top = apart_by_row(first[:least, :width], second[:least, :width])
        bottom = apart_by_row(first[len(first) - least :, :width], second[len(second) - least :, :width])
        cost = np.concatenate([[0], np.cumsum(top)]) + np.concatenate([np.cumsum(bottom[::-1])[::-1], [0]])
        at = int(np.argmin(cost))
        if cost[at] >= _WORTH * cost[-1]:
            at = least  # at the end, unless there is a reason
        part = _rows if by_rows else _columns
        h1, h2 = len(first) - least, len(second) - least
        self._one_sided(part(a, at, h1), part(b, at, h2))
        go_on(part(a, 0, at), part(b, 0, at)) if at else None
        go_on(part(a, at + h1, least - at), part(b, at + h2, least - at)) if at < least else None


class _Parts:
    """Runs of equal rows, and what lies between them.

    Attributes
    ----------
    runs : the first one is empty, at the top.
    gaps : after each run, how many rows before and after until the next.
    quiet : numbers of the gaps that are no change by themselves.
    moved : numbers of the runs that moved while all around them stayed.
    """

    def __init__(self, runs: list[Rows], lines: list[np.ndarray], grounds: tuple[int, int], inner: bool) -> None:
        ends = [*((i, j) for i, j, _ in runs), (len(lines[0]), len(lines[1]))]
        self.runs = [(0, 0, 0), *runs]
        self.gaps = [(k - i - n, m - j - n) for (i, j, n), (k, m) in zip(self.runs, ends, strict=True)]
        self.lines, self.grounds, self.inner = lines, grounds, inner
        self.quiet: set[int] = set()
        self.moved: set[int] = set()
        if len(lines[0]) == len(lines[1]) and any(i != j for i, j, _ in runs):
            self._judge()

    def _judge(self) -> None:
        inks = [full(self.lines[0][i : i + count]) for i, _, count in self.runs]
        empty = [0 in gap and gap != (0, 0) and self._ink(number) == 0 for number, gap in enumerate(self.gaps)]
        for number in reversed(range(len(self.gaps))):  # what only makes up for it at the end
            if inks[number + 1 : number + 2] and inks[number + 1]:
                break
            if empty[number]:
                self.quiet.add(number)
            elif self.gaps[number] != (0, 0):
                break
        start = 0
        ends = [number for number, (i, j, _) in enumerate(self.runs) if i == j]
        for number in [*ends, len(self.runs)] if self.inner else ends:
            between = range(start + 1, number)
            if between and empty[start] and empty[number - 1] and (self.inner or sum(inks[number:])):
                self.moved |= set(between)
                self.quiet |= {start, number - 1}
            start = number

    def _ink(self, number: int) -> int:
        (i, j, count), gap = self.runs[number], self.gaps[number]
        return sum(
            int(np.count_nonzero(content(lines, (0, start + count, lines.shape[1], rows), color)))
            for lines, start, rows, color in zip(self.lines, (i, j), gap, self.grounds, strict=True)
            if rows
        )

    def worth(self, new: float) -> bool:
        """Whether rows that moved explain so much that they must have moved; what only one page has counts by a factor,
        as it would differ in place, too.
        """
        if all(i == j for i, j, _ in self.runs):
            return True
        left = 0.0
        for number, ((i, j, count), (h1, h2)) in enumerate(zip(self.runs, self.gaps, strict=True)):
            if not (h1 and h2):
                left += new * self._ink(number) + _EMPTY * (h1 + h2) * self.lines[0].shape[1]
                continue
            one, two = self.lines[0][i + count : i + count + h1], self.lines[1][j + count : j + count + h2]
            both = min(h1, h2)
            left += min(
                apart_by_row(one[:both], two[:both]).sum(), apart_by_row(one[h1 - both :], two[h2 - both :]).sum()
            )
            left += abs(h1 - h2) / max(h1, h2) * self._ink(number)
        return left <= _WORTH * float(apart_by_row(*self.lines).sum())


def cut(image: np.ndarray, rect: Rect) -> np.ndarray:
    x, y, width, height = rect
    return image[y : y + height, x : x + width]


def _rows(rect: Rect, start: int, count: int) -> Rect:
    return rect[0], rect[1] + start, rect[2], count


def _columns(rect: Rect, start: int, count: int) -> Rect:
    return rect[0] + start, rect[1], count, rect[3]


def ground(page: np.ndarray) -> int:
    """The color that most pixels of a packed page have."""
    few = page[:: max(1, page.shape[0] // 200), :: max(1, page.shape[1] // 200)]
    colors, counts = np.unique(few, return_counts=True)
    return int(colors[counts.argmax()])


def content(page: np.ndarray, rect: Rect, color: int) -> np.ndarray:
    """Which pixels of a rectangle of a packed page show something: bool (height, width) of the rectangle.

    Something is what does not merely go on: the row above it, the row below, the columns beside it, or the ground.
    """
    x, y, width, height = rect
    inner = cut(page, rect)
    beside = [page[at : at + 1, x : x + width] for at in (y - 1, y + height) if 0 <= at < len(page)]
    beside += [page[y : y + height, at : at + 1] for at in (x - 1, x + width) if 0 <= at < page.shape[1]]
    return min((inner != one for one in [np.int32(color), *beside]), key=np.count_nonzero)
