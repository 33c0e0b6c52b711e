"""Figures on real pictures of ../shared: screenshots, boards, a tunnel; where the folder is missing, none."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import cv2
import numpy as np
from outside_figures import SHARED, Figure, Sizes, boxed, regions, share, spread

from helpers.evaluation.boxes import score_boxes
from tests.deep_pcb import deep_pcb
from tests.outside import silent
from tests.outside.claims import near
from tests.outside.truths import touches
from whatchanged.images import read_image
from whatchanged.options import PRESETS

DATA = SHARED / "data"
NAME = (162, 240, 74, 30)  # of screenshots 4: "Zurich" before, with an umlaut after
GROWN = np.ones((41, 41), np.uint8)


def screens(sizes: Sizes) -> Iterator[Figure]:
    """Failed pairs of a visual regression suite, those that passed, and what is no change."""
    folder, verdicts = DATA / "screens", {}
    if not folder.is_dir():
        return
    for row in csv.DictReader((folder / "verdicts.csv").open()):
        verdicts.setdefault((row["size"], row["verdict"]), []).append(row["pair"])
    pair = {
        one: [read_image(folder / f"{one}_{side}.png") for side in ("before", "after")]
        for one in sum(verdicts.values(), [])
    }
    failed = verdicts["same", "fail"]
    found = dict(zip(pair, spread(lambda one: regions(*pair[one]), pair, sizes.threads), strict=True))
    missed = [one for one in failed if not found[one]]
    yield Figure("of 70 failed pairs of one size, reported", len(failed) - len(missed), ">= 68", missed)
    areas = {one: _areas(*pair[one], found[one]) for one in failed if found[one]}
    wide = [f"{one}: {mine / theirs:.1f}" for one, (mine, theirs) in areas.items() if mine > 3 * theirs]
    total = np.sum(list(areas.values()), axis=0) if areas else (0, 1)
    yield Figure("area in boxes by area of the changed pixels grown by 20", total[0] / total[1], "<= 3", wide)
    yield Figure("pairs where it is over 3", len(wide), "<= 0", wide)
    other = verdicts["other size", "fail"]
    untold = [one for one in other if not any(_new(region, *pair[one]) for region in found[one])]
    yield Figure("of 25 of another size, told in what is new", len(other) - len(untold), ">= 25", untold)
    loud = [one for one in verdicts["same", "pass"] if found[one]]
    yield Figure("of 15 passed pairs, with a region", len(loud), "<= 0", loud)
    for name, change in silent.CHANGES.items():
        every = spread(lambda one, change=change: regions(pair[one][0], change(pair[one][0])), pair, sizes.threads)
        loud = [f"{one}: {len(there)}" for one, there in zip(pair, every, strict=True) if there]
        yield Figure(f"of {len(pair)} pictures {name}, with a region", len(loud), "<= 0", loud)


def _areas(before: np.ndarray, after: np.ndarray, found: list) -> tuple[int, int]:
    """Pixels in boxes, and pixels within 20 of a changed one."""
    changed = (before != after).any(axis=2).astype(np.uint8)
    there = boxed((one.box for one in found), changed.shape)
    return int(there.sum()), int(np.count_nonzero(cv2.dilate(changed, GROWN)))


def _new(region, before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a region is told as what only one picture has, or lies beyond what both have."""
    high, wide = (min(before.shape[axis], after.shape[axis]) for axis in (0, 1))
    boxes = [region.box, *([region.after] if region.after else [])]
    beyond = any(x + width > wide or y + height > high for x, y, width, height in boxes)
    return beyond or region.what in ("added", "removed")


def screenshots(sizes: Sizes) -> Iterator[Figure]:
    """A map drawn anew, of which one name is spelled differently."""
    folder = DATA / "screenshots"
    if folder.is_dir():
        found = regions(read_image(folder / "4a.png"), read_image(folder / "4b.png"))
        named = [one for one in found if near(one.box, NAME)]  # a box around the whole map does not tell it
        yield Figure("the changed name is boxed", float(bool(named)), ">= 1")
        yield Figure("regions elsewhere", len(found) - len(named), "<= 12", [str(one.box) for one in found])


def boards(sizes: Sizes) -> Iterator[Figure]:
    """Printed circuit boards; the preset was chosen on all 60, the 30 of larger numbers are the figure."""
    if not (DATA / "deep-pcb").is_dir():
        return
    every = sorted(deep_pcb(DATA / "deep-pcb"), key=lambda one: int(one.name))[-30:]
    preset = spread(lambda one: regions(one.before, one.after, **PRESETS["board"]), every, sizes.threads)
    usual = spread(lambda one: regions(one.before, one.after), every, sizes.threads)
    boxes = [
        (np.array([one.box for one in found]).reshape(-1, 4), board.boxes)
        for found, board in zip(preset, every, strict=True)
    ]
    yield Figure("preset board, F1 at IoU .3", score_boxes(boxes, 0.3).f1, ">= 0.85")
    hit = faults = elsewhere = 0
    poor = []
    for found, board in zip(usual, every, strict=True):
        touched = sum(any(touches(one.box, box) for one in found) for box in board.boxes)
        wrong = sum(not any(touches(one.box, box) for box in board.boxes) for one in found)
        hit, faults, elsewhere = hit + touched, faults + len(board.boxes), elsewhere + wrong
        if touched < len(board.boxes) or wrong:
            poor.append(f"{board.name}: {touched} of {len(board.boxes)}, {wrong} elsewhere")
    yield Figure("default: share of faults touched", share(hit, faults), ">= 0.9", poor)
    yield Figure("default: regions elsewhere a board", elsewhere / len(every), "<= 1")


def tunnel(sizes: Sizes) -> Iterator[Figure]:
    """A tunnel's lining at two dates, with masks of where cracks grew."""
    folder = DATA / "tunnel-cracks"
    if not folder.is_dir():
        return
    names = sorted(path.name for path in (folder / "mask").iterdir())
    pair = [[read_image(folder / side / name) for side in ("before", "after", "mask")] for name in names]
    touching = boxes = covered = changed = area = whole = 0
    poor = []
    for name, (_, _, mask), found in zip(
        names, pair, spread(lambda one: regions(*one[:2]), pair, sizes.threads), strict=True
    ):
        grown = mask.max(axis=2) > 127
        good = sum(bool(grown[y : y + h, x : x + w].any()) for x, y, w, h in (one.box for one in found))
        there = boxed((one.box for one in found), grown.shape)
        touching, boxes = touching + good, boxes + len(found)
        covered, changed = covered + int((there & grown).sum()), changed + int(grown.sum())
        area, whole = area + int(there.sum()), whole + there.size
        inside = share((there & grown).sum(), grown.sum())
        poor.append(f"{name}: {good} of {len(found)} boxes, {inside:.2f} inside, {there.mean():.2f} boxed")
    yield Figure("share of boxes that touch a changed pixel", share(touching, boxes), ">= 0.6", poor)
    yield Figure("share of changed pixels in boxes", share(covered, changed), ">= 0.95")
    yield Figure("share of the pictures in boxes", share(area, whole), "<= 0.25")
