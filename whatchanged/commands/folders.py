"""Many pairs: two folders, or one folder or CSV file of pairs."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whatchanged.commands.limits import status
from whatchanged.commands.outputs import Outputs, compare_pair
from whatchanged.commands.status import DIFFERENT, SAME, TROUBLE, announce, count, refuse_cluster


def add_many(diff: argparse.ArgumentParser) -> None:
    """The options of many pairs."""
    many = diff.add_argument_group("many pairs")
    many.add_argument("--pairs", metavar="CSV|FOLDER", help="compare many pairs: a CSV with before,after, or a folder")
    many.add_argument("--output-dir", metavar="DIR", help="with --pairs: a picture a pair goes here, and results.jsonl")
    many.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="with --pairs: for very many, N processes of this machine compare them; results go into Parquet files, no"
        " pictures, and a run that was stopped goes on when the same command is given again",
    )
    many.add_argument("--scheduler", metavar="ADDRESS", help="the same on the Dask cluster there, as tcp://host:8786")


def are_asked(options: argparse.Namespace) -> bool:
    """Whether the command line names many pairs."""
    return bool(options.pairs or options.output_dir or options.workers is not None or options.scheduler)


def run(options: argparse.Namespace, how: dict[str, Any]) -> int:
    """Compare them; the exit status."""
    on_dask = options.workers is not None or options.scheduler
    if not options.pairs:
        raise ValueError(
            "--workers and --scheduler go with --pairs"
            if on_dask
            else "--output-dir goes with --pairs; for one pair use --output and --json"
        )
    if options.picture and on_dask:
        raise ValueError("--picture goes with --output or --output-dir, and without --workers and --scheduler")
    if options.before is not None or options.output or options.json or not options.output_dir:
        raise ValueError("--pairs goes with --output-dir, and without image files, --output and --json")
    return _diff_on_dask(options, how) if on_dask else _diff_many(options, how)


def _diff_many(options: argparse.Namespace, how: dict[str, Any]) -> int:
    """Each pair's record is kept at once; a run that was stopped goes on, one after it that finished begins anew."""
    from tqdm import tqdm

    from whatchanged.journal import Journal
    from whatchanged.options import Options
    from whatchanged.pairs import each, find_pairs

    pairs = find_pairs(options.pairs)
    folder, digits = Path(options.output_dir), len(str(len(pairs)))
    folder.mkdir(parents=True, exist_ok=True)
    order = [(str(before), str(after)) for before, after in pairs]
    pictures: dict[tuple[str, str], Path] = {}  # one that comes twice is compared once
    for number, pair in enumerate(order, start=1):
        pictures.setdefault(pair, folder / f"{number:0{digits}d}_{Path(pair[0]).stem}.png")
    every = Options(**how)
    about = json.loads(json.dumps(asdict(every) | {"picture": options.picture}))

    def key(record: dict[str, Any]) -> tuple[str, str]:
        return record["before"], record["after"]

    def fresh(record: dict[str, Any], since: float) -> bool:
        picture = pictures.get(key(record))
        return picture is not None and picture.is_file() and not _changed(key(record), since)

    with Journal(folder / "results.jsonl", None, about, key, fresh) as journal:
        missing = journal.missing(list(pictures))
        bar = tqdm(missing, unit="pair", disable=None)

        def one(pair: tuple[str, str]) -> dict[str, Any]:
            return compare_pair(pair, every, Outputs(output=pictures[pair], picture=options.picture))

        for pair, record, reason in each(bar, one):
            failed = {"before": pair[0], "after": pair[1], "method": every.method, "error": reason}
            journal.add(record or failed)
        journal.finish(order)
    counts = {SAME: 0, DIFFERENT: 0, TROUBLE: 0}
    for pair in order:
        counts[status(journal.done[pair])] += 1
    return _summary(counts, sum(pair not in missing for pair in order))


def _changed(pair: tuple[str, str], since: float) -> bool:
    """Whether one of the two files is newer than what is known of them."""
    return any(os.path.isfile(path) and os.path.getmtime(path) > since for path in pair)


def _summary(counts: dict[int, int], earlier: int = 0) -> int:
    """Print how many pairs there were of each kind; returns the exit status."""
    total = sum(counts.values())
    before = f" ({earlier} by an earlier run)" if earlier else ""
    print(f"{count(total, 'pair')}{before}: {counts[DIFFERENT]} differ, {counts[SAME]} do not, {counts[TROUBLE]} bad")
    return max((status for status, count in counts.items() if count), default=SAME)


def _diff_on_dask(options: argparse.Namespace, how: dict[str, Any]) -> int:
    from tqdm import tqdm

    from whatchanged.many import compare_pairs
    from whatchanged.pairs import find_pairs

    refuse_cluster(options)
    pairs = [(str(before.absolute()), str(after.absolute())) for before, after in find_pairs(options.pairs)]
    with tqdm(total=len(pairs), unit="pair", disable=None) as bar:
        done = compare_pairs(
            pairs,
            options.output_dir,
            how,
            scheduler=options.scheduler,
            workers=options.workers,
            announce=announce,
            progress=bar.update,
        )
    return _summary({SAME: done.same, DIFFERENT: done.differ, TROUBLE: len(done.bad)}, done.earlier)
