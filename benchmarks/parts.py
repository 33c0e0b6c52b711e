"""Parts by themselves: DBSCAN beside scikit-learn, scenes a second, and what it takes to start.

`make bench-parts` writes the table of benchmarks/README.md.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables

from course.notebooks import select
from helpers import scenes
from helpers.nuisances import CONDITIONS, Nuisance
from helpers.runtime import ROOT
from whatchanged import clusters

MASKS = {1_000: (480, 640), 10_000: (1080, 1920), 100_000: (2160, 3840), 1_000_000: (2160, 3840)}
EPS, MIN_SAMPLES = 3.5, 20
HELP = """
from whatchanged.__main__ import main
try:
    main(["--help"])
except SystemExit:
    pass
"""


def mask_of(points: int) -> np.ndarray:
    """A mask of so many pixels or a few more: ellipses with gaps, and scattered specks; bool array (H, W)."""
    rng, (height, width) = np.random.default_rng(0), MASKS[points]
    drawn = np.zeros((height, width), np.uint8)
    solid = rng.random(drawn.shape) < 0.95
    specks = rng.random(drawn.shape) < 0.05 * points / drawn.size
    while np.count_nonzero(mask := (drawn > 0) & solid | specks) < points:
        center, axes = rng.integers((0, 0), (width, height)).tolist(), rng.integers(5, 35, 2).tolist()
        cv2.ellipse(drawn, center, axes, 30, 0, 360, 1, -1)
    return mask


def by_scikit_learn(mask: np.ndarray) -> np.ndarray:
    """The labels of `clusters.dbscan`, by scikit-learn."""
    from sklearn.cluster import DBSCAN

    labels, points = np.zeros(mask.shape, np.int32), np.argwhere(mask)
    labels[tuple(points.T)] = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES).fit(points).labels_ + 1
    return labels


def dbscan() -> Iterator[str]:
    """A row for each mask; the two must agree in every pixel."""
    yield "| DBSCAN of a mask | this project, s | scikit-learn, s | ratio | noise of either |"
    yield "| --- | --- | --- | --- | --- |"
    for points, (height, width) in MASKS.items():
        mask = mask_of(points)
        ours, theirs = partial(clusters.dbscan, mask, EPS, MIN_SAMPLES), partial(by_scikit_learn, mask)
        if not np.array_equal(ours(), theirs()):
            raise RuntimeError(f"the labels of {points} pixels differ from scikit-learn's")
        (fast, noise), (slow, other) = tables.seconds(ours), tables.seconds(theirs, 3)
        cells = f"{fast:.4f} | {slow:.4f} | {slow / fast:.1f} | {noise:.0%}, {other:.0%}"
        yield f"| {points:,} pixels of {width} x {height} | {cells} |"


def generators() -> Iterator[str]:
    """Pairs a second on one core."""
    turned = Nuisance(**{**vars(CONDITIONS["all"]), "size": 1.0})
    yield "| scenes of 96 px, on one core | pairs a second | noise |"
    yield "| --- | --- | --- |"
    for name, nuisance in {"clean": None, "all nuisances": turned}.items():
        made = partial(scenes.scene_pair, 0, nuisance=nuisance)
        took, noise = tables.seconds(lambda made=made: [made(index) for index in range(100)])
        yield f"| {name} | {100 / took:.0f} | {noise:.0%} |"


def starts() -> Iterator[str]:
    """What a command and the notebooks import, beyond the start of Python itself."""
    yield "| to start | seconds | noise | of it Python itself | loads PyTorch, TensorFlow |"
    yield "| --- | --- | --- | --- | --- |"
    bare, _ = tables.seconds(started("pass"))
    yield f"| `whatchanged --help` | {told(HELP, bare)}"
    for path in select(""):
        yield f"| imports of notebook {path.stem[:2]} | {told(imports_of(path), bare)}"


def started(code: str) -> Callable[[], object]:
    """A function that runs code in a Python of its own."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print('torch' in sys.modules, 'tensorflow' in sys.modules)"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return lambda: subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def told(code: str, bare: float) -> str:
    """The cells of a row."""
    work = started(code)
    loaded = ", ".join({"True": "yes", "False": "no"}[one] for one in work().split()[-2:])
    took, noise = tables.seconds(work)
    return f"{took:.2f} | {noise:.0%} | {bare:.2f} | {loaded} |"


def imports_of(path: Path) -> str:
    """The import statements of a notebook, but those of its setup cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][1:]
    statements = (one for source in sources for one in ast.parse(source).body)
    return "\n".join(ast.unparse(one) for one in statements if isinstance(one, ast.Import | ast.ImportFrom))


def main() -> None:
    cv2.setNumThreads(1)
    lines = [line for kind in (dbscan(), generators(), starts()) for line in [*kind, ""]]
    tables.write("parts", [tables.about("numpy", "scikit-learn", "opencv-python"), "", *lines[:-1]])


if __name__ == "__main__":
    main()
