"""The rows that two pages have in common, found by their content, as `diff` finds lines."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np

Rows = tuple[int, int, int]
"""From which row before, from which row after, how many rows are equal."""

_SLIDE = 200  # rows that what came or went is moved up at most
_FEWEST = 3  # rows with something on them that hang together before a shift is believed


def apart_by_row(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many pixels of each row differ: int array (rows,)."""
    return np.count_nonzero(first != second, axis=1)


def common_rows(first: np.ndarray, second: np.ndarray) -> list[Rows]:
    """The rows that are equal and in the same order in both, in order."""
    least = min(len(first), len(second))
    head = _leading(apart_by_row(first[:least], second[:least]) == 0)
    rest = least - head
    tail = _leading(apart_by_row(first[len(first) - rest :], second[len(second) - rest :])[::-1] == 0)
    inner = [np.ascontiguousarray(lines[head : len(lines) - tail]) for lines in (first, second)]
    keys = [[hash(row.tobytes()) for row in lines] for lines in inner]
    blank = {
        key
        for lines, own in zip(inner, keys, strict=True)
        for key, one in zip(own, (lines == lines[:, :1]).all(axis=1).tolist(), strict=True)
        if one
    }
    found = [(i + head, j + head, count) for i, j, count in _matches(keys, blank)]
    ends = [(0, 0, head), *found, (len(first) - tail, len(second) - tail, tail)]
    return _slid(_joined([run for run in ends if run[2]], first), (first, second))


def _leading(equal: np.ndarray) -> int:
    """How many of the first are true."""
    return len(equal) if equal.all() else int(np.argmin(equal))


def _matches(keys: list[list[int]], blank: set[int]) -> list[Rows]:
    """The rows with equal keys, in the same order in both."""
    found: list[Rows] = []
    todo = [(0, len(keys[0]), 0, len(keys[1]))]
    while todo:
        a0, a1, b0, b1 = todo.pop()
        head = _equal(keys, a0, b0, min(a1 - a0, b1 - b0))
        tail = _equal(keys, a1 - 1, b1 - 1, min(a1 - a0, b1 - b0) - head, -1)
        found += [(a0, b0, head), (a1 - tail, b1 - tail, tail)]
        a0, b0, a1, b1 = a0 + head, b0 + head, a1 - tail, b1 - tail
        anchors = _anchors(keys, (a0, a1), (b0, b1), blank)
        for (i, j), (k, m) in zip([(a0, b0), *anchors], [*anchors, (a1, b1)], strict=True) if anchors else []:
            todo.append((i, k, j, m))
    return sorted(run for run in found if run[2])


def _equal(keys: list[list[int]], i: int, j: int, most: int, step: int = 1) -> int:
    count = 0
    while count < most and keys[0][i + step * count] == keys[1][j + step * count]:
        count += 1
    return count


def _anchors(keys: list[list[int]], a: tuple[int, int], b: tuple[int, int], blank: set[int]) -> list[tuple[int, int]]:
    """Rows with something on them that occur once in both, as many as are in the same order in both.

    Where no row does, equal rows that follow each other count as one, as those of a bar; a few such bars must agree.
    """
    pairs = _once(keys, range(*a), range(*b), blank)
    if not pairs:
        pairs = _once(keys, _starts(keys[0], a), _starts(keys[1], b), blank)
        pairs = pairs if len(pairs) >= _FEWEST else []
    return _longest_rising(pairs)


def _starts(own: list[int], span: tuple[int, int]) -> list[int]:
    """The rows that are not as the one above."""
    return [i for i in range(*span) if i == span[0] or own[i] != own[i - 1]]


def _once(keys: list[list[int]], a: Sequence[int], b: Sequence[int], blank: set[int]) -> list[tuple[int, int]]:
    """Pairs of these rows that are equal, and like no other of them."""
    first, second = (Counter(own[i] for i in rows) for own, rows in zip(keys, (a, b), strict=True))
    places = {keys[1][j]: j for j in b}
    return [(i, places[key]) for i in a if (key := keys[0][i]) not in blank and first[key] == second[key] == 1]


def _longest_rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The most pairs whose second numbers rise, of pairs whose first ones do."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        at = bisect_left(ends, j)
        before.append(last[at - 1] if at else -1)
        ends[at : at + 1], last[at : at + 1] = [j], [index]
    chain, index = [], last[-1] if last else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _joined(runs: list[Rows], lines: np.ndarray) -> list[Rows]:
    """Runs that follow each other as one; those that moved and hold too little to believe it are left out."""
    whole: list[Rows] = []
    for i, j, count in runs:
        if whole and whole[-1][0] + whole[-1][2] == i and whole[-1][1] + whole[-1][2] == j:
            whole[-1] = (whole[-1][0], whole[-1][1], whole[-1][2] + count)
        else:
            whole.append((i, j, count))
    return [run for run in whole if run[0] == run[1] or full(lines[run[0] : run[0] + run[2]]) >= _FEWEST]


def full(lines: np.ndarray) -> int:
    """How many rows show something."""
    return int(np.count_nonzero((lines != lines[:, :1]).any(axis=1)))


def _slid(runs: list[Rows], pages: tuple[np.ndarray, np.ndarray]) -> list[Rows]:
    """Where rows that only one page has may as well begin some rows higher, they begin below an empty row."""
    runs = list(runs)
    for number, ((i, j, count), (k, m, more)) in enumerate(zip(runs, runs[1:], strict=False)):
        if (k == i + count) == (m == j + count):
            continue
        lines, start, end = (pages[1], j + count, m) if k == i + count else (pages[0], i + count, k)
        for by in range(min(count, _SLIDE)):
            if _is_start(lines, start - by):
                runs[number : number + 2] = [(i, j, count - by), (k - by, m - by, more + by)]
                break
            if not np.array_equal(lines[start - by - 1], lines[end - by - 1]):
                break
    return runs


def _is_start(lines: np.ndarray, at: int) -> bool:
    """Whether something begins there, below an empty row."""
    return full(lines[at : at + 1]) == 1 and full(lines[at - 1 : at]) == 0
