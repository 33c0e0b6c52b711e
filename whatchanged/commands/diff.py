"""`whatchanged diff`, or no command at all: the regions in which two pictures differ, of one pair or of many."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from typing import Any

from whatchanged.commands import folders
from whatchanged.commands.inputs import as_files
from whatchanged.commands.limits import limit, status
from whatchanged.commands.outputs import Outputs, compare_pair
from whatchanged.commands.settings import add_settings, all_options, settings


def add(commands: Any) -> None:
    """The options of `diff`."""
    diff = commands.add_parser(
        "diff",
        help="find the regions in which two pictures differ, or two folders of them",
        description="Find the regions in which two pictures differ, and say what happened there. Each pair says itself"
        " what it is: of screens and pages every pixel counts, also where rows moved; photographs are laid on each"
        " other first, in one light. Every page of a TIFF and every frame of an animation is compared. Two folders are"
        " compared file by file. The word diff may be left out: whatchanged BEFORE AFTER.",
        epilog="Exit status: 0 no difference, 1 differences, 2 trouble (of many pairs: 2 where any is bad).",
    )
    diff.add_argument("before", nargs="?", help="image file, or - for standard input; or a folder")
    diff.add_argument("after", nargs="?", help="the same after the change")
    add_settings(diff)
    told = diff.add_argument_group("what is told")
    told.add_argument("--json", metavar="FILE", help="write the result: kind, similarity, and each region; - prints it")
    told.add_argument("--output", metavar="FILE", help="write the pictures with the differences boxed")
    told.add_argument(
        "--picture", choices=("both", "after"), help="write both side by side, or the after picture alone (both)"
    )
    told.add_argument("--mask-output", metavar="FILE", help="write a picture that is white where something changed")
    told.add_argument("--report", metavar="HTML", help="write a page to look at, with the pictures in it")
    told.add_argument(
        "--fail-above",
        metavar="LIMIT",
        help="exit with 1 only where more changed: 0.1%% of what is compared, or 50px; without it, where any region"
        " differs",
    )
    folders.add_many(diff)
    diff.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    if "help" in options.set:
        print(all_options())
        return 0
    how = settings(options)
    if folders.are_asked(options):
        return folders.run(options, how)
    if options.before is None or options.after is None:
        raise ValueError("give two image files, two folders, or --pairs with --output-dir")
    outputs = Outputs(options.json, options.output, options.picture, options.mask_output, options.report)
    if options.picture and not options.output:
        raise ValueError("--picture goes with --output or --output-dir, and without --workers and --scheduler")
    allowed = limit(options.fail_above) if options.fail_above else None
    given = (options.before, options.after)
    outputs.hold_apart([path for path in (*given, options.mask) if path and os.path.isfile(path)])
    from whatchanged.options import Options

    with as_files(*given) as pair:
        record = compare_pair(pair.files, Options(**how), outputs, pair.named)
    if options.json == "-":
        print(json.dumps(record, indent=2))
    else:
        _print(record)
    return status(record, allowed)


def _print(record: dict) -> None:
    from whatchanged.regions import rounded_down

    print(f"similarity {rounded_down(record['similarity'], 4):.4f} ({record['method']}, {record['kind']})")
    numbers: Counter[int] = Counter()  # of the regions of each page, as they are drawn
    for region in record["regions"]:
        numbers[region["page"]] += 1
        number = numbers[region["page"]]
        place = f"x={region['x']} y={region['y']} width={region['width']} height={region['height']}"
        page = f"page={region['page']} " if "pages" in record else ""
        to = " to x={x} y={y}".format_map(region["after"]) if region["what"] == "moved" else ""
        print(f"{number}: {page}{region['what']} {place}{to} area={region['area']} strength={region['strength']:.2f}")
    if not record["regions"]:
        noise = " by more than this pair's noise" if record["kind"] == "camera" else ""
        print("no difference" if record["similarity"] == 1 else f"no region differs{noise}")
    if record["note"]:
        print(record["note"])
