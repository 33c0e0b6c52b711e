"""This project beside other tools: seconds at 1080p and 4K, and what each finds under each nuisance.

`make bench-peers` installs them into build/peers and writes the tables of benchmarks/README.md. A tool that is not
there is left out, and named.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "build" / "peers" / "python"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tables
from skimage.metrics import structural_similarity

from helpers import evaluation
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair, photograph
from whatchanged import detection
from whatchanged.images import read_image, read_pair, write_image
from whatchanged.pixels import pixel_difference
from whatchanged.regions import Difference, regions
from whatchanged.ssim import structural_difference

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "build" / "peers"
BIN = PEERS / "node_modules" / ".bin"
SIZES = {"1080p": (1080, 1920), "4K": (2160, 3840)}
PATIENCE = 100.0  # seconds after which a tool is not tried again, nor at a larger size


def command(*parts: object) -> None:
    """Run a tool; that pictures differ is no error."""
    subprocess.run([str(part) for part in parts], cwd=ROOT, capture_output=True, check=False)


# ---------------------------------------------------------------------------------------------------------------------
# Speed


def photographs(folder: Path, size: str) -> list[Path]:
    """Two PNG files of a photograph; a sixth of the second one is painted over."""
    height, width = SIZES[size]
    before = cv2.resize(photograph("astronaut"), (width, height), interpolation=cv2.INTER_CUBIC)
    after = before.copy()
    after[height // 3 : height // 2, width // 3 : width // 2] = before[:1, :1]
    return [write_image(folder / f"{size}_{name}.png", image) for name, image in (("before", before), ("after", after))]


def of_arrays(before: np.ndarray, after: np.ndarray) -> dict[str, Callable[[], object]]:
    """Tools that take decoded pictures."""
    ways = {
        "this project, pixel": partial(pixel_difference, before, after),
        "this project, SSIM": partial(structural_difference, before, after),
        "scikit-image, SSIM": partial(structural_similarity, before, after, full=True, channel_axis=2),
    }
    if (PEERS / "python" / "pixelmatch").is_dir():
        from pixelmatch.core import pixelmatch

        flat = [np.dstack([one, np.full(one.shape[:2], 255, np.uint8)]).ravel().tolist() for one in (before, after)]
        ways["pixelmatch (Python)"] = partial(pixelmatch, *flat, before.shape[1], before.shape[0])
    return ways


def of_files(before: Path, after: Path) -> dict[str, Callable[[], object]]:
    """Tools that decode the files themselves, called in this process."""

    def reading(compare: Callable) -> Callable[[], object]:
        return lambda: compare(*read_pair(before, after))

    ways = {
        "this project, pixel": reading(pixel_difference),
        "this project, SSIM": reading(structural_difference),
        "scikit-image, SSIM": reading(partial(structural_similarity, full=True, channel_axis=2)),
    }
    if (PEERS / "python" / "blazediff").is_dir():
        import blazediff

        ways["blazediff (Python)"] = partial(blazediff.compare, str(before), str(after))
    return ways


def whole_commands(before: Path, after: Path, output: Path) -> dict[str, Callable[[], object]]:
    """Start, decode, compare, write a picture."""
    ours = [sys.executable, "-m", "whatchanged", "diff", before, after, "--set", "align=false", "--output", output]
    ways = {f"this project, {method}": partial(command, *ours, "--method", method) for method in ("pixel", "ssim")}
    alone = partial(command, *ours, "--method", "pixel", "--picture", "after")
    ways["this project, pixel, one picture"] = alone
    for name in ("odiff", "blazediff", "pixelmatch"):
        if (BIN / name).exists():
            ways[f"{name} (command)"] = partial(command, BIN / name, before, after, output)
    if shutil.which("compare"):
        ways["ImageMagick compare"] = partial(command, "compare", "-metric", "AE", before, after, output)
    return ways


def speed(folder: Path) -> Iterator[str]:
    """A table for each size and kind of measurement, as lines of Markdown; the fastest first, the others as ratios."""
    given_up = set()
    for size in SIZES:
        before, after = photographs(folder, size)
        kinds = {
            "decoded pictures": of_arrays(read_image(before), read_image(after)),
            "files": of_files(before, after),
            "whole command": whole_commands(before, after, folder / "out.png"),
        }
        for kind, ways in kinds.items():
            measured = {}
            for name, work in ways.items():
                if name not in given_up:
                    measured[name] = tables.seconds(work, patience=PATIENCE)
                    given_up |= {name} if measured[name][0] > PATIENCE / 5 else set()
                    print(f"{size}, {kind}, {name}: {measured[name][0]:.3f} s", file=sys.stderr)
            best = min(took for took, _ in measured.values())
            yield from (
                f"**{size}, {kind}**",
                "",
                "| tool | seconds | times the fastest | noise |",
                "| --- | --- | --- | --- |",
            )
            for name, (took, noise) in sorted(measured.items(), key=lambda one: one[1][0]):
                yield f"| {name} | {took:.3f} | {took / best:.1f} | {noise:.0%} |"
            yield ""


# ---------------------------------------------------------------------------------------------------------------------
# Quality


def boxed(name: str, mask: np.ndarray) -> Difference:
    """The boxes of a tool's mask, fragments joined as this project joins its own."""
    found = regions(mask, mask.astype(np.float32), merge=8, min_area=20)
    return Difference(name, 1 - float(mask.mean()), found, mask.astype(np.float32), mask)


def by_command(name: str, parts: list[object], is_changed: Callable[[np.ndarray], np.ndarray], before, after):
    """What a command marks in the picture that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{side}.png" for side in ("before", "after", "diff")]
        for path, image in zip(files, (before, resized_to(before, after)), strict=False):
            write_image(path, image)
        command(*(dict(zip(("BEFORE", "AFTER", "DIFF"), files, strict=True)).get(part, part) for part in parts))
        if not files[2].exists():  # some write nothing where nothing differs
            return boxed(name, np.zeros(before.shape[:2], bool))
        return boxed(name, is_changed(np.array(Image.open(files[2]).convert("RGBA"))))


def resized_to(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The after picture at the size of the before picture: the other tools want equal sizes."""
    return (
        cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_CUBIC) if after.shape != before.shape else after
    )


def by_ssim(before: np.ndarray, after: np.ndarray) -> Difference:
    """The usual recipe with scikit-image: SSIM map, Otsu's threshold, boxes."""
    _, values = structural_similarity(before, resized_to(before, after), full=True, channel_axis=2)
    apart = np.clip(127.5 * (1 - values.mean(axis=2)), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(apart, 0, 255, cv2.THRESH_OTSU)
    return boxed("scikit-image", apart > level)


def quality_methods() -> dict[str, Callable]:
    """name -> function of two pictures that finds boxes."""
    marked = lambda rgba: rgba[..., 3] > 0  # noqa: E731
    ways = {
        "this project": partial(detection.detect, size="scale"),
        "this project, pixel": partial(detection.detect, size="scale", method="pixel"),
        "scikit-image SSIM": by_ssim,
    }
    for name in ("odiff", "blazediff"):
        if (BIN / name).exists():
            ways[name] = partial(by_command, name, [BIN / name, "BEFORE", "AFTER", "DIFF", "--diff-mask"], marked)
    if (BIN / "pixelmatch").exists():
        red = lambda rgba: (rgba[..., 0] > 250) & (rgba[..., 1] < 5) & (rgba[..., 2] < 5)  # noqa: E731
        ways["pixelmatch"] = partial(by_command, "pixelmatch", [BIN / "pixelmatch", "BEFORE", "AFTER", "DIFF"], red)
    if shutil.which("compare"):
        colors = ["-compose", "Src", "-highlight-color", "white", "-lowlight-color", "black"]
        parts = ["compare", "-fuzz", "10%", *colors, "BEFORE", "AFTER", "DIFF"]
        ways["ImageMagick"] = partial(by_command, "ImageMagick", parts, lambda rgba: rgba[..., 0] > 127)
    return ways


def quality(pairs: int) -> Iterator[str]:
    """Box F1 on edited photographs: a row a nuisance, a column a tool."""

    def make(seed, index, *, nuisance, changed):
        return photo_pair(seed, index, nuisance=nuisance, edits=(1, 3) if changed else (0, 0))

    scores = evaluation.compare_methods(quality_methods(), CONDITIONS, make, pairs=pairs, seed=0)
    table = evaluation.score_table(scores, lambda one: one.score.f1)
    yield f"| F1 of boxes, {pairs} pairs | " + " | ".join(table.columns) + " |"
    yield "| --- |" + " --- |" * len(table.columns)
    for condition, row in table.iterrows():
        yield f"| {condition} | " + " | ".join(f"{value:.2f}" for value in row) + " |"


# ---------------------------------------------------------------------------------------------------------------------


def left_out() -> str:
    """The tools that were not there."""
    missing = [name for name in ("odiff", "blazediff", "pixelmatch") if not (BIN / name).exists()]
    return f" Not installed, left out: {', '.join(missing)}." if missing else ""


def main() -> None:
    """Measure and write the tables into README.md, between its two marks."""
    parser = argparse.ArgumentParser(description="This project beside other tools.")
    parser.add_argument("--pairs", type=int, default=30, help="edited photographs for each nuisance (30)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        measured = tables.about("numpy", "opencv-python", "scikit-image") + left_out()
        tables.write("peers", [measured, "", *speed(Path(folder)), *quality(options.pairs)])


if __name__ == "__main__":
    main()
