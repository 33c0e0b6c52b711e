"""The course from the command line: `python -m helpers diff before.png after.png`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from helpers.runtime import write_json, write_whole

SAME, DIFFERENT, TROUBLE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 no difference, 1 differences, 2 trouble."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, ConnectionError) as error:
        return _trouble(error)
    except KeyboardInterrupt:
        return _trouble("stopped")


def _trouble(message: object) -> int:
    print(f"helpers: {message}", file=sys.stderr)
    return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="What changed between these two pictures?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_diff(commands)
    _add_course(commands)
    return parser


def _add_diff(commands) -> None:
    diff = commands.add_parser(
        "diff",
        help="find the regions in which two pictures differ",
        description="Find the regions in which two pictures differ. Without --method it uses the course's best"
        " configuration, which aligns the pictures, evens out their light and tolerates a pixel of misalignment.",
        epilog="Exit status: 0 no difference, 1 differences, 2 trouble (with --pairs: 2 where any pair is bad).",
    )
    diff.add_argument("before", nargs="?", help="image file")
    diff.add_argument("after", nargs="?", help="image file")
    diff.add_argument("--method", choices=("tolerant", "pixel", "ssim", "features"), default="tolerant")
    diff.add_argument("--align", action=argparse.BooleanOptionalAction, help="register the after image first")
    diff.add_argument("--resize", action="store_true", help="compare pictures of different sizes at the smaller size")
    diff.add_argument("--sensitivity", type=float, default=1.0, help="above 1 reports weaker differences (1)")
    diff.add_argument("--weights", help="of the ResNet50 for features: imagenet or a checkpoint; without it, random")
    diff.add_argument("--output", metavar="PNG", help="write both pictures side by side, differences boxed")
    diff.add_argument("--json", metavar="FILE", help="write similarity and regions, in pixels of the before image")
    diff.add_argument("--pairs", metavar="CSV|FOLDER", help="compare many pairs: a CSV with before,after, or a folder")
    diff.add_argument("--output-dir", metavar="DIR", help="with --pairs: results.jsonl and one picture a pair go here")
    diff.set_defaults(run=_diff)


def _diff(options: argparse.Namespace) -> int:
    single = options.before is not None
    if options.pairs:
        if single or options.output or options.json or not options.output_dir:
            raise ValueError("--pairs goes with --output-dir, and without image files, --output and --json")
        return _diff_many(options)
    if not single or options.after is None:
        raise ValueError("give two image files, or --pairs with --output-dir")
    if options.output_dir:
        raise ValueError("--output-dir goes with --pairs; for one pair use --output and --json")
    record = _compare(options, options.before, options.after, options.output)
    if options.json:
        write_json(options.json, record)
    _print(record)
    return DIFFERENT if record["regions"] else SAME


def _compare(options: argparse.Namespace, before: str | Path, after: str | Path, output: str | Path | None) -> dict:
    """Compare two files and, if asked, write the picture; returns the record that the JSON holds."""
    from helpers.differences import detect
    from helpers.loading import read_image

    first, second = read_image(before), read_image(after)
    found = detect(
        first,
        second,
        method=options.method,
        align=options.align,
        resize=options.resize,
        sensitivity=options.sensitivity,
        weights=options.weights,
    )
    if output:
        from helpers.plotting import draw_regions

        _write_png(Path(output), draw_regions(first, second, found))
    return {
        "before": str(before),
        "after": str(after),
        "method": found.method,
        "similarity": round(found.similarity, 6),
        "regions": [
            {
                "x": region.x,
                "y": region.y,
                "width": region.width,
                "height": region.height,
                "area": region.area,
                "strength": round(region.strength, 4),
            }
            for region in found.regions
        ],
    }


def _diff_many(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from helpers.loading import find_pairs

    pairs = find_pairs(options.pairs)
    folder = Path(options.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {SAME: 0, DIFFERENT: 0, TROUBLE: 0}
    digits = len(str(len(pairs)))
    with (folder / "results.jsonl").open("w", encoding="utf-8") as results:
        for number, (before, after) in enumerate(tqdm(pairs, unit="pair", disable=None), start=1):
            picture = folder / f"{number:0{digits}d}_{before.stem}.png"
            try:
                record = _compare(options, before, after, picture)
                counts[DIFFERENT if record["regions"] else SAME] += 1
            except (ValueError, OSError) as error:
                record = {"before": str(before), "after": str(after), "method": options.method, "error": str(error)}
                counts[TROUBLE] += 1
            print(json.dumps(record), file=results, flush=True)
    total = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    print(f"{total}: {counts[DIFFERENT]} differ, {counts[SAME]} do not, {counts[TROUBLE]} bad")
    return max(status for status, count in counts.items() if count)


def _print(record: dict) -> None:
    print(f"similarity {record['similarity']:.4f} ({record['method']})")
    for number, region in enumerate(record["regions"], start=1):
        place = f"x={region['x']} y={region['y']} width={region['width']} height={region['height']}"
        print(f"{number}: {place} area={region['area']} strength={region['strength']:.2f}")
    if not record["regions"]:
        print("no difference")


def _write_png(path: Path, image: np.ndarray) -> None:
    import cv2

    write_whole(path, cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def _add_course(commands) -> None:
    course = commands.add_parser(
        "course",
        help="execute the notebooks and render them",
        description="Execute the notebooks through papermill, render them to HTML, and link them in an index page.",
    )
    course.add_argument("--notebook", default="", metavar="NN", help="only the notebook whose name begins so, as 01")
    course.add_argument("--profile", choices=("quick", "full"), default="quick")
    course.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    course.add_argument("--build", default="build", metavar="DIR", help="where everything goes (build)")
    course.add_argument("--save", action="store_true", help="put the executed notebooks back, ready to commit")
    course.set_defaults(run=_course)


def _course(options: argparse.Namespace) -> int:
    from helpers.course import run

    parameters = dict(options.parameter)
    return run(options.notebook, {"PROFILE": options.profile, **parameters}, Path(options.build), save=options.save)


if __name__ == "__main__":
    sys.exit(main())
