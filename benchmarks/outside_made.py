"""Figures on generated pairs, whose truth is exact: cases, layouts, edited photographs, what a camera does."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from outside_figures import SHARED, Figure, Sizes, regions, share, spread

from helpers.evaluation import compare_methods
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from tests.outside import cameras, layouts, silent, spots
from tests.outside.truths import judged, touches
from whatchanged.__main__ import main
from whatchanged.detection import detect

SIZE = (480, 360)


def cases(sizes: Sizes) -> Iterator[Figure]:
    """The pairs of ../shared/cases through the command line, within this process."""
    path = SHARED / "cases" / "cases.py"
    if not path.is_file():
        return
    spec = importlib.util.spec_from_file_location("shared_cases", path)
    kinds = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = kinds  # a dataclass looks its own module up
    spec.loader.exec_module(kinds)
    for seed in range(sizes.seeds):
        with tempfile.TemporaryDirectory() as folder:
            made = list(kinds.make(seed))
            said = {one.name: _case(kinds, one, Path(folder), index) for index, one in enumerate(made)}
        wrong = [f"{name}: {answer}" for name, answer in said.items() if answer != "right"]
        yield Figure(f"of {len(said)} cases of seed {seed}, right", len(said) - len(wrong), ">= 31", wrong)


def _case(kinds, case, folder: Path, index: int) -> str:
    before, after = kinds.write(case, folder, index)
    result, said = folder / f"{index}.json", io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(["diff", str(before), str(after), *case.arguments, "--json", str(result)])
    record = json.loads(result.read_text()) if result.is_file() else {"regions": []}
    boxes = [tuple(one[key] for key in ("x", "y", "width", "height")) for one in record["regions"]]
    answer = kinds.judge(case, status, boxes)
    return answer if status != 2 else f"{answer}; {said.getvalue().strip()[-120:]}"


def layout(sizes: Sizes) -> Iterator[Figure]:
    """Generated pages with rows and columns put in, taken out, scrolled and moved."""

    def one(index: int) -> tuple[str, int, int, int]:
        edited = layouts.random_layout(0, index)
        good, elsewhere = judged(regions(edited.before, edited.after), edited)
        return edited.name, good, len(edited.told), elsewhere

    done = spread(one, range(sizes.layouts), sizes.threads)
    short = [f"{i}: {name}: {good} of {told}" for i, (name, good, told, _) in enumerate(done) if good < told]
    extra = [f"{i}: {name}: {more} elsewhere" for i, (name, _, _, more) in enumerate(done) if more]
    boxed = share(sum(good for _, good, _, _ in done), sum(told for _, _, told, _ in done))
    yield Figure(f"share of edits boxed at IoU .3, {len(done)} pages", boxed, ">= 0.95", short)
    yield Figure("regions elsewhere a page", sum(more for *_, more in done) / len(done), "<= 0.05", extra)
    kinds = defaultdict(lambda: [0, 0, 0])
    for index, (_, good, told, more) in enumerate(done):
        for at, value in enumerate((good, told, more)):
            kinds[LAYOUTS[index % len(LAYOUTS)]][at] += value
    for name, (good, told, more) in kinds.items():
        yield Figure(f"  {name}: share boxed ({more} elsewhere)", share(good, told))


LAYOUTS = (
    "rows put in",
    "rows taken out",
    "a line put in",
    "a line taken out",
    "a line put in, a number below",
    "scrolled",
    "a block moved",
    "beside a sidebar",
    "a column put in",
)
"""What `layouts.random_layout` makes, in its order."""


def photographs(sizes: Sizes) -> Iterator[Figure]:
    """Small strong edits in pictures of which all else is the same."""
    touched = edits = extra = 0
    poor = []

    def one(index: int) -> tuple[int, int, int]:
        before, after, boxes = spots.spotted(0, index)
        found = [region.box for region in regions(before, after)]
        hit = sum(any(touches(box, true) for box in found) for true in boxes)
        return hit, len(boxes), sum(not any(touches(box, true) for true in boxes) for box in found)

    for index, (hit, true, wrong) in enumerate(spread(one, range(sizes.photographs), sizes.threads)):
        touched, edits, extra = touched + hit, edits + true, extra + wrong
        if hit < true or wrong:
            poor.append(f"{index}: {hit} of {true}, {wrong} elsewhere")
    yield Figure(f"share of {edits} edits touched", share(touched, edits), ">= 1", poor)
    yield Figure("F1 by touch", 2 * touched / max(1, touched + edits + extra), ">= 0.97")
    yield Figure("regions elsewhere a pair", extra / sizes.photographs, "<= 0.05")


def _random_pair(index: int, changed: bool):
    rng, name = np.random.default_rng((5, index)), cameras.OTHERS[index % len(cameras.OTHERS)]
    wide = cameras.scene(name, (640, 480))
    box = (int(rng.integers(80, 350)), int(rng.integers(80, 240)), int(rng.integers(36, 60)), int(rng.integers(30, 50)))
    edited = cameras.patched(wide, box, SIZE, index) if changed else wide
    return cameras.take(wide, cameras.Shot(), SIZE), cameras.take(edited, cameras.random_shot(rng), SIZE, index), box


def unchanged(sizes: Sizes) -> Iterator[Figure]:
    """All nuisances at once on photographs that helpers/photographs.py does not use; and the same with an edit."""

    def one(index: int) -> tuple[int, bool, int]:
        before, after, _ = _random_pair(index, False)
        quiet = len(regions(before, after))
        before, after, box = _random_pair(index, True)
        found = [region.box for region in regions(before, after)]
        return quiet, any(touches(other, box) for other in found), sum(not touches(other, box, 8) for other in found)

    done = spread(one, range(sizes.pairs), sizes.threads)
    name = [cameras.OTHERS[index % len(cameras.OTHERS)] for index in range(len(done))]
    loud = [f"{i}, {name[i]}: {count}" for i, (count, _, _) in enumerate(done) if count]
    missed = [f"{i}, {name[i]}" for i, (_, hit, _) in enumerate(done) if not hit]
    extra = [f"{i}, {name[i]}: {more}" for i, (_, _, more) in enumerate(done) if more]
    yield Figure(
        f"regions a pair, {len(done)} unchanged pairs", sum(one for one, _, _ in done) / len(done), "<= 0.03", loud
    )
    yield Figure("the same with an edit: share found", sum(hit for _, hit, _ in done) / len(done), "", missed)
    yield Figure(
        "the same with an edit: regions elsewhere a pair", sum(more for *_, more in done) / len(done), "", extra
    )


def camera(sizes: Sizes) -> Iterator[Figure]:
    """Each tone, view and sensor by itself on every photograph: unchanged, and with an edit."""
    box = (200, 150, 52, 40)
    wides = {name: cameras.scene(name, (1300, 1000)) for name in cameras.PHOTOGRAPHS}
    edited = {name: cameras.patched(wide, box, SIZE) for name, wide in wides.items()}
    for title, shot in cameras.ALL.items():

        def one(name: str, shot=shot) -> tuple[int, bool, int]:
            before = cameras.take(wides[name], cameras.Shot(), SIZE)
            quiet = len(regions(before, cameras.take(wides[name], shot, SIZE)))
            found = [region.box for region in regions(before, cameras.take(edited[name], shot, SIZE))]
            return (
                quiet,
                any(touches(other, box) for other in found),
                sum(not touches(other, box, 8) for other in found),
            )

        done = dict(zip(wides, spread(one, wides, sizes.threads), strict=True))
        loud = [f"{name}: {count}" for name, (count, _, _) in done.items() if count]
        missed = [f"{name}: edit missed" for name, (_, hit, _) in done.items() if not hit]
        more = sum(extra for *_, extra in done.values()) / len(done)
        yield Figure(f"{title}: share silent", 1 - len(loud) / len(done), "", loud)
        yield Figure(f"{title}: share of edits found ({more:.2f} elsewhere)", 1 - len(missed) / len(done), "", missed)


def text(sizes: Sizes) -> Iterator[Figure]:
    """Text drawn anew a third of a pixel further on."""
    for fine, where, asked in (
        (True, "a third of a pixel off", "<= 0"),
        (False, "so, each letter on a whole pixel", ""),
    ):
        pairs = [silent.set_again(seed, fine=fine) for seed in range(max(1, sizes.layouts // 8))]
        every = spread(lambda pair: len(regions(*pair)), pairs, sizes.threads)
        loud = [f"{i}: {count}" for i, count in enumerate(every) if count]
        yield Figure(f"of {len(pairs)} pages set {where}, with a region", len(loud), asked, loud)


def nuisances(sizes: Sizes) -> Iterator[Figure]:
    """The ten conditions of notebook 01 on edited photographs, the tolerant method alone."""

    def made(seed: int, index: int, *, nuisance, changed: bool):
        return photo_pair(seed, index, nuisance=nuisance, edits=(1, 3) if changed else (0, 0))

    count = max(1, sizes.pairs // 10)
    scores = compare_methods(
        {"tolerant": partial(detect, size="scale")}, CONDITIONS, made, pairs=count, seed=1, iou=0.3
    )
    for score in scores:
        yield Figure(f"{score.condition}: F1 at IoU .3", score.score.f1, ">= 0.9")
        yield Figure(f"{score.condition}: regions a pair without a change", score.false_boxes, "<= 0.05")
