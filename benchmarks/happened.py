"""What happened to each region, on pairs with exact truth: F1 of each label, beside blazediff-interpret.

pip install --no-deps --target build/peers/python blazediff-interpret==6.4.1
python benchmarks/happened.py --pairs 36 --first 3000     # writes the table of benchmarks/README.md
python benchmarks/happened.py --fit                       # prints the weights of whatchanged/happened.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "build" / "peers" / "python"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "outside"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables
from edited_pages import PAGES, edited_page
from edits import PHOTOGRAPHS, STUFF, Edit, added_up, by_camera, counted, edited_photograph, f1_of, overlap

from whatchanged.camera import compare_photographs
from whatchanged.evidence import cut_out, measured
from whatchanged.happened import what_happened
from whatchanged.options import Options
from whatchanged.regions import HAPPENED, Region, regions

TUNED = {"photographs": 72, "pages": 60}  # seeds 0 and up of each kind, on which weights and thresholds were chosen
LABELS = {"addition": "added", "deletion": "removed", "color-change": "recolored", "content-change": "replaced"}

Pair = tuple[np.ndarray, np.ndarray, list[Region], np.ndarray, list[Edit]]


def photographs(seed: int, kind: str) -> Pair:
    """An edited photograph under camera motion: both pictures in one place and light, regions, mask and truth."""
    rng = np.random.default_rng((seed, STUFF.index(kind)))
    before, after, truth = edited_photograph(rng, PHOTOGRAPHS[seed % len(PHOTOGRAPHS)], kind)
    before, after = by_camera(rng, before, after)
    seen = compare_photographs(before, after, Options())
    found = regions(seen.mask, seen.strength, merge=seen.merge, min_area=seen.min_area)
    return seen.before, seen.after, found, seen.mask, truth


def pages(seed: int, kind: str) -> Pair:
    """The same of two exact renderings."""
    before, after, truth = edited_page(np.random.default_rng((seed, PAGES.index(kind))), kind)
    apart = cv2.absdiff(before, after).max(axis=2)
    mask = apart > 0
    return before, after, regions(mask, apart / np.float32(255), merge=12, min_area=1), mask, truth


def peer(before: np.ndarray, after: np.ndarray, found: list[Region] | None, mask: np.ndarray) -> list[Region]:
    """What blazediff-interpret says, of its own regions or of these.

    It is meant well with: its boxes, which have a margin, are those of the changed pixels in them; and two regions that
    shifted, which it does not pair, become one "moved" where they are as large.
    """
    import blazediff_interpret

    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/{name}.png" for name in ("before", "after")]
        for path, image in zip(files, (before, after), strict=True):
            cv2.imwrite(path, image[..., ::-1])
        if found is None:
            said = blazediff_interpret.interpret_images(*files)
        else:
            said = blazediff_interpret.interpret_regions(*files, [one.box for one in found]) if found else {}
    told, shifted = [], []
    for one in said.get("regions", []):
        x, y, width, height = (one["bbox"][side] for side in ("x", "y", "width", "height"))
        bx, by, bw, bh = cv2.boundingRect(mask[y : y + height, x : x + width].astype(np.uint8))
        box = (x + bx, y + by, bw, bh) if bw else (x, y, width, height)
        region = Region(*box, 1, 1.0, LABELS.get(one["changeType"], "changed"), box)
        (shifted if one["changeType"] == "shift" else told).append(region)
    while shifted:
        first = shifted.pop()
        size = lambda one, first=first: abs(one.width - first.width) + abs(one.height - first.height)  # noqa: E731
        other = min(shifted, key=size, default=first)
        if other is not first:
            shifted.remove(other)
        # Which of the two is the old place it does not say: the truth decides, see `either_way`.
        told.append(Region(*first.box, 1, 1.0, "moved", other.box))
    return told


def either_way(found: list[Region], truth: list[Edit]) -> list[Region]:
    """Moved regions with old and new place in the order that the truth has."""
    turned = []
    for one in found:
        back = one.what == "moved" and any(
            edit.what == "moved" and overlap(one.after, edit.before) >= 0.3 for edit in truth
        )
        turned.append(Region(*one.after, one.area, one.strength, "moved", one.box) if back else one)
    return turned


def scored(make: Callable[[int, str], Pair], kinds: tuple[str, ...], seeds: range) -> dict[str, dict[str, list]]:
    """Tool -> kind -> counts of each pair."""
    try:
        import blazediff_interpret  # noqa: F401
    except ImportError:
        print("blazediff-interpret is not installed, left out", file=sys.stderr)
        tools = ["this project"]
    else:
        tools = ["this project", "blazediff-interpret", "blazediff-interpret, on these regions"]
    counts: dict[str, dict[str, list]] = {tool: {kind: [] for kind in kinds} for tool in tools}
    for kind in kinds:
        for seed in seeds:
            before, after, found, mask, truth = make(seed, kind)
            for tool in tools:
                if tool == tools[0]:
                    told = what_happened(before, after, found, mask)
                else:
                    told = either_way(peer(before, after, None if tool == tools[1] else found, mask), truth)
                counts[tool][kind].append(counted(told, truth))
    return counts


def table(first: int, pairs: int) -> Iterator[str]:
    """F1 of each label, a row a kind of picture and tool, as lines of Markdown."""
    yield "| | edits | " + " | ".join(HAPPENED) + " | macro | without resized |"
    yield "| --- |" + " --- |" * (len(HAPPENED) + 3)
    for make, kinds in ((photographs, STUFF), (pages, PAGES)):
        for tool, by_kind in scored(make, kinds, range(first, first + pairs)).items():
            rows = {kind: added_up(many) for kind, many in by_kind.items()}
            rows = {make.__name__: added_up(list(rows.values()))} | (rows if tool == "this project" else {})
            for kind, counts in rows.items():
                scores = f1_of(counts)
                five = np.mean([value for what, value in scores.items() if what not in ("macro", "resized")])
                name = f"**{kind}**, {tool}" if kind == make.__name__ else kind
                shown = [f"{scores.get(what, float('nan')):.2f}" for what in HAPPENED]
                edits = sum(int(one[2]) for one in counts.values())
                yield f"| {name} | {edits} | " + " | ".join(shown) + f" | {scores['macro']:.3f} | {five:.3f} |"


def samples() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Label and measures of the regions that are added, removed, recolored or replaced, from the seeds for tuning."""
    for make, kinds in ((photographs, STUFF), (pages, PAGES)):
        for kind, seed in ((kind, seed) for kind in kinds for seed in range(TUNED[make.__name__])):
            before, after, found, mask, truth = make(seed, kind)
            for edit in truth:
                apart = edit.what == "moved" and overlap(edit.before, edit.after) == 0
                known = [("removed", edit.before), ("added", edit.after)] if apart else [(edit.what, edit.before)]
                for what, box in known:
                    best = max(found, key=lambda one, box=box: overlap(one.box, box), default=None)
                    if what not in ("moved", "resized") and best is not None and overlap(best.box, box) >= 0.4:
                        yield what, *measured(cut_out(before, after, best.box, mask))


def fit() -> None:
    """Print the weights of a logistic regression on the samples and on them with the pictures exchanged."""
    from sklearn.linear_model import LogisticRegression

    labels, sides, same = zip(*samples(), strict=True)
    turned = [{"added": "removed", "removed": "added"}.get(what, what) for what in labels]
    values = np.vstack([np.hstack([np.array(sides) * sign, same]) for sign in (1, -1)])
    scale = values.std(axis=0)
    model = LogisticRegression(max_iter=5000).fit(values / scale, [*labels, *turned])
    weights = {
        what: np.append(w / scale, b) for what, w, b in zip(model.classes_, model.coef_, model.intercept_, strict=True)
    }
    added, removed, recolored = (weights[what] - weights["replaced"] for what in ("added", "removed", "recolored"))
    split = len(sides[0])
    print("_LEAN =", np.round((removed - added)[:split] / 2, 2).tolist())
    print("_ONE_SIDED =", np.round((removed + added)[split:-1] / 2, 2).tolist())
    print("_RECOLORED =", np.round(recolored[split:-1], 2).tolist())
    print("_ONE_SIDED_BIAS, _RECOLORED_BIAS =", round((removed + added)[-1] / 2, 2), round(recolored[-1], 2))


def main() -> None:
    """Write the table into README.md, between its two marks."""
    parser = argparse.ArgumentParser(description="What happened to each region, beside blazediff-interpret.")
    parser.add_argument("--pairs", type=int, default=36, help="of each of six kinds (36)")
    parser.add_argument("--first", type=int, default=3000, help="the first seed (3000)")
    parser.add_argument("--fit", action="store_true", help="print weights fitted on the seeds for tuning, and end")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.fit:
        fit()
        return
    last = options.first + options.pairs - 1
    said = f"Seeds {options.first} to {last} of each kind; tuned on seeds 0 to 71 (photographs) and 0 to 59 (pages)."
    about = tables.about("numpy", "opencv-python", "scikit-image")
    tables.write("happened", [f"{about} {said}", "", *table(options.first, options.pairs)])


if __name__ == "__main__":
    main()
