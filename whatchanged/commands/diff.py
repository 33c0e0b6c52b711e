"""`whatchanged diff`: the regions in which two pictures differ, of one pair or of many."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whatchanged.commands.status import DIFFERENT, SAME, TROUBLE, announce, count, refuse_cluster
from whatchanged.files import write_json
from whatchanged.options import METHODS, PAIR_KINDS, SIZES


def add(commands: Any) -> None:
    """The options of `diff`."""
    diff = commands.add_parser(
        "diff",
        help="find the regions in which two pictures differ",
        description="Find the regions in which two pictures differ, and say what happened there. Each pair says itself"
        " what it is: of screens and pages every pixel counts, also where rows moved; photographs are laid on each"
        " other first, in one light. Every page of a TIFF and every frame of an animation is compared.",
        epilog="Exit status: 0 no difference, 1 differences, 2 trouble (with --pairs: 2 where any pair is bad).",
    )
    diff.add_argument("before", nargs="?", help="image file")
    diff.add_argument("after", nargs="?", help="image file")
    diff.add_argument(
        "--method",
        choices=tuple(METHODS),
        default="tolerant",
        help="how the pictures are compared: tolerant, the best; or a classic method",
    )
    diff.add_argument(
        "--align", action=argparse.BooleanOptionalAction, help="lay the after photograph on the before one first"
    )
    kind = (
        "what the pair is: exact, the same rendering, where every pixel counts; layout, a page whose rows moved;"
        " camera, photographs and scans; without it, the pair says itself what it is"
    )
    diff.add_argument("--kind", choices=PAIR_KINDS, help=kind)
    size = (
        "of pictures of different sizes compare: pad, all, and tell what only one has (the usual); crop, what both have"
        " at the top left; scale, both at the smaller size, for a picture in another resolution"
    )
    diff.add_argument("--size", choices=SIZES, default="pad", help=size)
    diff.add_argument(
        "--sensitivity", type=float, default=1.0, metavar="X", help="above 1 reports weaker differences (1)"
    )
    diff.add_argument(
        "--weights", metavar="FILE", help="of the ResNet50 for features: imagenet or a checkpoint; without it, random"
    )
    diff.add_argument("--output", metavar="PNG", help="write the pictures with the differences boxed")
    shown = "write both side by side, or the after picture alone (both)"
    diff.add_argument("--picture", choices=("both", "after"), help=shown)
    diff.add_argument(
        "--json", metavar="FILE", help="write the result: kind, similarity, and each region with its boxes"
    )
    diff.add_argument("--pairs", metavar="CSV|FOLDER", help="compare many pairs: a CSV with before,after, or a folder")
    diff.add_argument("--output-dir", metavar="DIR", help="with --pairs: a picture a pair goes here, and results.jsonl")
    diff.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="with --pairs: for very many, N processes of this machine compare them; results go into Parquet files, no"
        " pictures, and a run that was stopped goes on when the same command is given again",
    )
    diff.add_argument("--scheduler", metavar="ADDRESS", help="the same on the Dask cluster there, as tcp://host:8786")
    diff.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    single, on_dask = options.before is not None, options.workers is not None or options.scheduler
    if options.picture and (on_dask or not (options.output or options.output_dir)):
        raise ValueError("--picture goes with --output or --output-dir, and without --workers and --scheduler")
    if options.pairs:
        if single or options.output or options.json or not options.output_dir:
            raise ValueError("--pairs goes with --output-dir, and without image files, --output and --json")
        return _diff_on_dask(options) if on_dask else _diff_many(options)
    if on_dask:
        raise ValueError("--workers and --scheduler go with --pairs")
    if not single or options.after is None:
        raise ValueError("give two image files, or --pairs with --output-dir")
    if options.output_dir:
        raise ValueError("--output-dir goes with --pairs; for one pair use --output and --json")
    record = _compare(options, (options.before, options.after), options.output)
    if options.json:
        write_json(options.json, record)
    _print(record)
    return _status(record)


def _compare(options: argparse.Namespace, pair: tuple[str, str], output: str | Path | None) -> dict[str, Any]:
    """Compare two files and, if asked, write the picture; returns the record that the JSON holds."""
    from whatchanged.documents import as_record, detect_pages
    from whatchanged.options import Options

    drawn: dict[bool, list[Any]] = {True: [], False: []}  # pages that differ, and those that do not

    def seen() -> Iterator[Any]:
        for page, difference in detect_pages(*pair, Options(**_how(options))):
            differs = bool(difference.regions)
            if output and (differs or not any(drawn.values())):
                from whatchanged.drawing import draw_regions

                drawn[differs].append(draw_regions(page.before, page.after, difference, options.picture or "both"))
            yield difference

    record = as_record(seen())
    if output:
        from whatchanged.drawing import below_each_other
        from whatchanged.images import write_image

        write_image(output, below_each_other(drawn[True] or drawn[False]))
    return {"before": pair[0], "after": pair[1]} | record


def _how(options: argparse.Namespace) -> dict:
    """The options of `detect` among those of the command."""
    return {name: getattr(options, name) for name in ("method", "kind", "align", "size", "sensitivity", "weights")}


def _diff_many(options: argparse.Namespace) -> int:
    """Each pair's record is kept at once; a run that was stopped goes on, one after it that finished begins anew."""
    from tqdm import tqdm

    from whatchanged.journal import Journal
    from whatchanged.pairs import each, find_pairs

    pairs = find_pairs(options.pairs)
    folder, digits = Path(options.output_dir), len(str(len(pairs)))
    folder.mkdir(parents=True, exist_ok=True)
    order = [(str(before), str(after)) for before, after in pairs]
    pictures: dict[tuple[str, str], Path] = {}  # one that comes twice is compared once
    for number, pair in enumerate(order, start=1):
        pictures.setdefault(pair, folder / f"{number:0{digits}d}_{Path(pair[0]).stem}.png")
    about = _how(options) | {"picture": options.picture}

    def key(record: dict[str, Any]) -> tuple[str, str]:
        return record["before"], record["after"]

    def fresh(record: dict[str, Any], since: float) -> bool:
        picture = pictures.get(key(record))
        return picture is not None and picture.is_file() and not _changed(key(record), since)

    with Journal(folder / "results.jsonl", None, about, key, fresh) as journal:
        missing = journal.missing(list(pictures))
        bar = tqdm(missing, unit="pair", disable=None)
        for pair, record, reason in each(bar, lambda pair: _compare(options, pair, pictures[pair])):
            failed = {"before": pair[0], "after": pair[1], "method": options.method, "error": reason}
            journal.add(record or failed)
        journal.finish(order)
    counts = {SAME: 0, DIFFERENT: 0, TROUBLE: 0}
    for pair in order:
        counts[_status(journal.done[pair])] += 1
    return _summary(counts, sum(pair not in missing for pair in order))


def _changed(pair: tuple[str, str], since: float) -> bool:
    """Whether one of the two files is newer than what is known of them."""
    return any(os.path.isfile(path) and os.path.getmtime(path) > since for path in pair)


def _status(record: dict[str, Any]) -> int:
    return TROUBLE if record.get("error") else DIFFERENT if record["regions"] else SAME


def _summary(counts: dict[int, int], earlier: int = 0) -> int:
    """Print how many pairs there were of each kind; returns the exit status."""
    total = sum(counts.values())
    before = f" ({earlier} by an earlier run)" if earlier else ""
    print(f"{count(total, 'pair')}{before}: {counts[DIFFERENT]} differ, {counts[SAME]} do not, {counts[TROUBLE]} bad")
    return max((status for status, count in counts.items() if count), default=SAME)


def _diff_on_dask(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from whatchanged.many import compare_pairs
    from whatchanged.pairs import find_pairs

    refuse_cluster(options)
    pairs = [(str(before.absolute()), str(after.absolute())) for before, after in find_pairs(options.pairs)]
    with tqdm(total=len(pairs), unit="pair", disable=None) as bar:
        done = compare_pairs(
            pairs,
            options.output_dir,
            _how(options),
            scheduler=options.scheduler,
            workers=options.workers,
            announce=announce,
            progress=bar.update,
        )
    return _summary({SAME: done.same, DIFFERENT: done.differ, TROUBLE: len(done.bad)}, done.earlier)


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
