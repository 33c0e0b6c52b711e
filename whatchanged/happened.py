"""What happened to each region: added, removed, moved, recolored, replaced or resized."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from whatchanged.evidence import Cut, cut_out, measured
from whatchanged.fragments import joined
from whatchanged.regions import Region, strongest_first
from whatchanged.shifts import shift_within, size_within
from whatchanged.strokes import SHARP, is_print, is_same_print, what_in_print

MATCHES = 400  # most pairs of regions that are laid on each other to see whether one thing moved
_EACH = 4  # and most of those for one region
_RESIZED = 1.12  # least factor of a size that changed
_SMALLEST = 5  # pixels a side of a region in which a thing is looked for that moved or was resized
_LOOKED_AT = 64  # pixels along the longer side at which two regions are laid on each other

# Fitted by benchmarks/happened.py on edited photographs and pages, see there.
_LEAN = np.array([0.48, 1.01])
_ONE_SIDED = np.array([0.96, -0.33, -0.74, -2.06, -0.37, -1.76, -3.96, -2.29])
_RECOLORED = np.array([-0.24, -1.19, 0.67, -0.77, 9.05, 4.8, -1.37, 2.38])
_ONE_SIDED_BIAS, _RECOLORED_BIAS = 3.4, -8.75
_SURE = (3.5, 1.0)  # scores of one-sided and recolored above which no thing is looked for that moved or was resized


@dataclass(frozen=True)
class _Told:
    """A region, what was measured on it, and by how much more it stands out before than after."""

    region: Region
    cut: Cut
    side: float


def what_happened(before: np.ndarray, after: np.ndarray, found: list[Region], mask: np.ndarray) -> list[Region]:
    """The regions with what happened there, and where it is in the picture after.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3), RGB, the second one laid under the first and in its light: what did not
        change agrees up to noise.
    found : the regions, in pixels of both pictures.
    mask : bool array (H, W): the changed pixels.

    Returns
    -------
    list of Region
        Strongest first. `what` is one of `regions.HAPPENED`; `after` is a box in pixels of `after` as given here. Two
        regions that show the same thing here before and there after become one, "moved", with the area of both and the
        greater strength; where nothing but the changes differs, so do regions that are fragments of one thing, such as
        the four corners at which a disk and a cross differ. Where a thing moved or was resized, `x`, `y`, `width` and
        `height` are its box before, `after` its box after.
    """
    exact = _is_exact(before, after, mask)
    whole = joined(before, after, found, mask) if exact else found
    printed = not exact and bool(whole) and is_print(before) and is_print(after)
    told = [_look(before, after, region, mask, exact, printed, region in found) for region in whole]
    return strongest_first(_paired(before, after, told, mask, exact, printed))


def _is_exact(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the pixels that do not count as changed are equal, but for a hundredth; some rows are looked at."""
    rows = slice(None, None, max(1, len(before) // 64))
    kept = ~mask[rows]
    return bool((before[rows] != after[rows]).any(axis=2)[kept].mean() < 0.01) if kept.any() else True


def _look(
    before: np.ndarray,
    after: np.ndarray,
    region: Region,
    mask: np.ndarray,
    exact: bool,
    printed: bool,
    whole: bool,
) -> _Told:
    """What happened to one region. What holds fragments together, so that it is not `whole`, stands in both pictures:
    it was neither added nor removed; nor was a whole picture.
    """
    cut = cut_out(before, after, region.box, mask)
    sides, same = measured(cut)
    scores = _scores(sides, same)
    one_sided = max(scores["added"], scores["removed"])
    if not whole or cut.own.all():
        del scores["added"], scores["removed"]
    what, side = max(scores, key=lambda one: scores[one]), float(sides.sum())
    region = replace(region, what=what, after=region.box)
    sure = whole and not printed and (one_sided > _SURE[0] or scores["recolored"] > _SURE[1])
    may_be_one = cut.own.any() and not sure and min(region.width, region.height) >= _SMALLEST
    if may_be_one and (moved := _moved(before, after, region, cut, exact, printed)):
        return _Told(moved, cut, 0.0)
    if printed and (known := what_in_print(cut_out(before, after, region.box, mask, SHARP))):
        return _Told(replace(region, what=known), cut, side)
    if may_be_one:
        share, factor, box = size_within(cut)
        if share > (0.78 if exact else 0.5) and not 1 / _RESIZED < factor < _RESIZED:
            return _Told(_resized(region, cut, factor, box), cut, 0.0)
    return _Told(region, cut, side)


def _moved(
    before: np.ndarray, after: np.ndarray, region: Region, cut: Cut, exact: bool, printed: bool
) -> Region | None:
    """The region as that of one thing that moved within it; None where it is none."""
    (dx, dy), share, weaker = shift_within(cut, 12)
    least = (0.93, 0.5) if exact else (0.45, 0.27)
    if share <= least[0] or weaker <= least[1]:
        return None
    moved = _moved_by(region, (dx / cut.factor, dy / cut.factor))
    same = not printed or is_same_print(before, moved.box, after, moved.after or moved.box)
    return moved if same else None


def _moved_by(region: Region, shift: tuple[float, float]) -> Region:
    """Old and new place of a thing by its shift: together they are the region."""
    dx, dy = shift
    width, height = max(1, round(region.width - abs(dx))), max(1, round(region.height - abs(dy)))
    x, y = round(region.x + max(0.0, -dx)), round(region.y + max(0.0, -dy))
    there = (round(x + dx), round(y + dy), width, height)
    return replace(region, what="moved", x=x, y=y, width=width, height=height, after=there)


def _resized(region: Region, cut: Cut, factor: float, box: tuple[float, float, float, float]) -> Region:
    """The region is the larger of the two sizes."""
    x, y, _, _ = cv2.boundingRect(cut.own)
    left, top = region.x + (box[0] - x) / cut.factor, region.y + (box[1] - y) / cut.factor
    small = (round(left), round(top), max(1, round(box[2] / cut.factor)), max(1, round(box[3] / cut.factor)))
    if factor < 1:
        return replace(region, what="resized", after=small)
    return replace(region, what="resized", x=small[0], y=small[1], width=small[2], height=small[3], after=region.box)


def _scores(sides: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """How likely each of four is, against "replaced": a multinomial logistic regression on `evidence.measured`."""
    lean, whole = float(sides @ _LEAN), float(same @ _ONE_SIDED + _ONE_SIDED_BIAS)
    recolored = float(same @ _RECOLORED + _RECOLORED_BIAS)
    return {"removed": whole + lean, "added": whole - lean, "recolored": recolored, "replaced": 0.0}


# ---------------------------------------------------------------------------------------------------------------------
# One thing, two regions


def _paired(
    before: np.ndarray, after: np.ndarray, told: list[_Told], mask: np.ndarray, exact: bool, printed: bool
) -> list[Region]:
    """Regions that show one thing, here before and there after, as one."""
    went = [i for i, one in enumerate(told) if one.side > 0 and one.region.what in ("removed", "replaced", "added")]
    came = [i for i, one in enumerate(told) if one.side < 0 and one.region.what in ("removed", "replaced", "added")]
    taken: set[int] = set()
    moved: list[Region] = []
    matches = [
        (_match(before, after, told[i].region, told[j].region, mask, exact), i, j) for i, j in _alike(told, went, came)
    ]
    for share, i, j in sorted(matches, reverse=True):
        first, second = told[i].region, told[j].region
        if share > (0.6 if exact else 0.5) and not {i, j} & taken:
            if printed and not is_same_print(before, first.box, after, second.box):
                continue
            taken |= {i, j}
            strength = max(first.strength, second.strength)
            area = first.area + second.area
            moved.append(replace(first, what="moved", area=area, strength=strength, after=second.box))
    return moved + [one.region for i, one in enumerate(told) if i not in taken]


def _alike(told: list[_Told], went: list[int], came: list[int]) -> list[tuple[int, int]]:
    """The pairs that are about as large and of about one color, the likeliest first, at most `MATCHES`."""
    if not went or not came:
        return []
    sizes = np.array([(one.region.width, one.region.height) for one in told], float)
    gone = np.array([told[i].cut.before[told[i].cut.own > 0].mean(axis=0) for i in went])
    new = np.array([told[j].cut.after[told[j].cut.own > 0].mean(axis=0) for j in came])
    colors = np.linalg.norm(gone[:, None] - new, axis=2)
    larger = np.maximum(sizes[went][:, None], sizes[came])
    apart = np.abs(sizes[went][:, None] - sizes[came])
    fits = (apart <= np.maximum(4, 0.25 * larger)).all(axis=2) & (colors < 90)
    cost = np.where(fits, colors / 90 + (apart / larger).sum(axis=2), np.inf)
    order = np.argsort(cost, axis=1, kind="stable")[:, :_EACH]
    pairs = [(cost[a, b], went[a], came[b]) for a in range(len(went)) for b in order[a] if np.isfinite(cost[a, b])]
    return [(i, j) for _, i, j in sorted(pairs)[:MATCHES]]


def _match(before: np.ndarray, after: np.ndarray, gone: Region, new: Region, mask: np.ndarray, exact: bool) -> float:
    """How surely what went away in one region is what came in the other one: at most 1; 0 where the shapes differ."""
    if exact and max(abs(gone.width - new.width), abs(gone.height - new.height)) > 1:
        return 0.0
    shapes = [
        cv2.resize(mask[y : y + height, x : x + width].astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
        for x, y, width, height in (gone.box, new.box)
    ]
    alike = float(np.minimum(*shapes).sum() / np.maximum(*shapes).sum())
    if alike < (0.9 if exact else 0.75):
        return 0.0
    there, back = _found(before, after, gone, new, mask, exact), _found(after, before, new, gone, mask, exact)
    return (there + back) / 2 if min(there, back) > 0.3 else 0.0


def _found(
    first: np.ndarray,
    second: np.ndarray,
    gone: Region,
    new: Region,
    mask: np.ndarray,
    exact: bool,
) -> float:
    """How much of what only the first picture shows in a region is found in the other region of the second one: the
    share of the change there, at most 1. Of photographs a gain is light, and no difference; of exact pictures an
    eighth of the pixels must be the same: the others may be edges, which mix with what lies under them.
    """
    x, y, width, height = gone.box
    slack = max(3, round(0.15 * max(width, height)))
    left = round(new.x + new.width / 2 - width / 2) - slack
    top = round(new.y + new.height / 2 - height / 2) - slack
    size = (width + 2 * slack, height + 2 * slack)
    part = cv2.getRectSubPix(second, size, (left + (size[0] - 1) / 2, top + (size[1] - 1) / 2))
    window = np.s_[y : y + height, x : x + width]
    thing, there = first[window], second[window]
    weights = cv2.morphologyEx(mask[window].astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) * 255
    factor = min(1.0, _LOOKED_AT / max(size))
    if factor < 1:
        thing, there, weights, part = (
            cv2.resize(one, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            for one in (thing, there, weights, part)
        )
    thing, there, part = (cv2.GaussianBlur(one.astype(np.float32), (0, 0), 0.8) for one in (thing, there, part))
    shown = np.dstack([(weights > 100).astype(np.float32)] * 3)
    change = float((((thing - there) * shown) ** 2).sum())
    if change <= 0 or part.shape[0] < thing.shape[0] or part.shape[1] < thing.shape[1]:
        return 0.0
    _, _, (column, row), _ = cv2.minMaxLoc(cv2.matchTemplate(part, thing, cv2.TM_SQDIFF, mask=shown))
    same = part[row : row + thing.shape[0], column : column + thing.shape[1]]
    if exact:
        gain = 1.0
        if (np.abs(same - thing).max(axis=2)[shown[..., 0] > 0] < 8).mean() < 1 / 8:
            return 0.0
    else:
        gain = float((same * thing * shown).sum() / max(float((thing * thing * shown).sum()), 1.0))
        gain = min(max(gain, 0.7), 1.4)
    return 1 - float((((same - gain * thing) * shown) ** 2).sum()) / change
