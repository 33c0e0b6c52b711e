"""Many pairs: two folders or archives, or one folder, archive or CSV file of pairs."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from whatchanged.commands.cluster import run_cluster
from whatchanged.commands.limits import limit
from whatchanged.commands.outputs import Outputs, compare_pair
from whatchanged.commands.places import Places
from whatchanged.commands.results import Entries, Small, Tally, named, record_of, told_line
from whatchanged.files import write_json, write_whole

if TYPE_CHECKING:
    from whatchanged.listing import Item
    from whatchanged.options import Options

Key = tuple[str | None, str | None]


def add_many(diff: argparse.ArgumentParser) -> None:
    """The options of many pairs."""
    many = diff.add_argument_group("many pairs")
    many.add_argument(
        "--pairs",
        metavar="SOURCE",
        help="compare the pairs of a folder or an archive, by their names, or those of a CSV file with before,after",
    )
    many.add_argument(
        "--pair-pattern",
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help='how the names in --pairs go together, as "{id}_temp" "{id}_test"; without it, in all the usual ways',
    )
    many.add_argument("--output-dir", metavar="DIR", help="a picture a pair goes here, and results.jsonl")
    many.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="for very many, N processes of this machine compare them; results go into Parquet files, no pictures, and"
        " a run that was stopped goes on when the same command is given again",
    )
    many.add_argument("--scheduler", metavar="ADDRESS", help="the same on the Dask cluster there, as tcp://host:8786")


def are_asked(options: argparse.Namespace) -> bool:
    """Whether the command line names many pairs."""
    many = (options.pairs, options.pair_pattern, options.output_dir, options.scheduler)
    return any(many) or options.workers is not None or _trees(options)


def _trees(options: argparse.Namespace) -> bool:
    from whatchanged.listing import is_tree

    return any(name is not None and is_tree(name) for name in (options.before, options.after))


def run(options: argparse.Namespace, how: dict[str, Any]) -> int:
    """Compare them; the exit status."""
    on_dask = options.workers is not None or options.scheduler
    _hold_together(options, bool(on_dask))
    places = Places(options.output_dir, options.json, options.report)
    with _items(options, places) as items:
        read = [options.pairs, options.before, options.after, options.mask]
        if on_dask:
            places.hold_apart(items, read)
            return run_cluster(options, how, items)
        from whatchanged.options import Options

        todo = _Run(items, Options(**how), options, places)
        places.hold_apart(items, read, todo.written)
        return _compared(items, todo, options, places)


def _hold_together(options: argparse.Namespace, on_dask: bool) -> None:
    """ValueError where the options do not go together."""
    both = options.before is not None and options.after is not None and _trees(options)
    if options.pairs and options.before is not None:
        raise ValueError(f"--pairs goes without BEFORE and AFTER, here {options.before}: give the one or the others")
    if not options.pairs and not both:
        if on_dask:
            raise ValueError("--workers and --scheduler go with --pairs or two folders")
        if options.pair_pattern:
            raise ValueError("--pair-pattern goes with --pairs")
        if options.output_dir:
            raise ValueError("--output-dir goes with --pairs or two folders; for one pair use --output and --json")
        raise ValueError(f"{options.before} is compared with nothing: give two folders, or --pairs {options.before}")
    if options.pair_pattern and not options.pairs:
        raise ValueError("--pair-pattern goes with --pairs: two folders are compared by equal names")
    if options.output or options.mask_output:
        raise ValueError("--output and --mask-output go with one pair: of many --output-dir gets a picture each")
    if options.picture and (on_dask or not options.output_dir):
        raise ValueError("--picture goes with --output or --output-dir, and without --workers and --scheduler")
    if on_dask and (not options.output_dir or options.json or options.report or options.fail_above):
        raise ValueError(
            "--workers and --scheduler go with --output-dir, and without --json, --report and --fail-above"
        )


@contextmanager
def _items(options: argparse.Namespace, places: Places) -> Iterator[Sequence[Item]]:
    if options.pairs:
        from whatchanged.pairs import searched

        places.hold_beside_pairs(options.pairs)
        with searched(options.pairs, options.pair_pattern, places.written) as items:
            yield items
    else:
        from whatchanged.trees import in_both

        places.hold_outside(options.before, options.after)
        with in_both(options.before, options.after) as items:
            yield items


def _compared(items: Sequence[Item], run: _Run, options: argparse.Namespace, places: Places) -> int:
    """Each pair's record is kept at once; a run that was stopped goes on, one after it that finished begins anew."""
    from whatchanged.journal import Journal, told

    tally = Tally(limit(options.fail_above) if options.fail_above else None)
    with ExitStack() as stack:
        kept = places.journal(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whatchanged-"))))
        places.make()
        journal = stack.enter_context(Journal(kept, None, run.about, _key, run.is_fresh))
        missing = set(journal.missing(list(run.planned)))
        for record in run.records([run.planned[key] for key in run.planned if key in missing]):
            journal.add(record)
        for item in items:
            if item.state != "compared":
                journal.add(run.alone(item))
        records = [journal.done[item.names] for item in items]
        tally.earlier = sum(item.state == "compared" and item.names not in missing for item in items)
        for record in records:
            tally.add(record)
        if options.report:
            from whatchanged.report import report_index

            title = options.pairs or f"{options.before} and {options.after}"
            write_whole(options.report, report_index(title, Entries(records, places.pages.name)).encode())
        if options.json:
            whole = {"summary": tally.numbers(), "results": [told(record) for record in records]}
            if options.json == "-":
                print(json.dumps(whole, indent=2))
            else:
                write_json(options.json, whole)
        if options.output_dir:
            journal.finish([item.names for item in items])
        else:
            journal.discard()
    if options.json != "-":
        print(tally.summary())
    return tally.status


def _key(record: dict[str, Any]) -> Key:
    return record["before"], record["after"]


class _Run:
    """What one run does with its items."""

    def __init__(self, items: Sequence[Item], every: Options, options: argparse.Namespace, places: Places) -> None:
        self.every, self.options, self.places = every, options, places
        self.quiet = bool(options.json or options.report or options.output_dir)
        self.about = json.loads(json.dumps(asdict(every) | {"picture": options.picture}))
        self.planned: dict[Key, Item] = {}  # one that comes twice is compared once
        self.stems: dict[Key, str] = {}
        digits = len(str(len(items)))
        for number, item in enumerate(items, start=1):
            key = item.names
            if item.state == "compared" and key not in self.planned:
                stem = re.sub(r"[^\w.\- ]", "_", Path(item.name).stem)[:60]
                self.planned[key], self.stems[key] = item, f"{number:0{digits}d}_{stem}"

    @property
    def written(self) -> Iterator[Path]:
        """The files of all pairs."""
        return (path for item in self.planned.values() for path in self._outputs(item) if path)

    def is_fresh(self, record: dict[str, Any]) -> bool:
        """Whether an earlier record is of the same files, and what it wrote is there."""
        item = self.planned.get(_key(record))
        if item is None or record.get("_seen") != self._seen(item):
            return False
        picture, page = self._outputs(item)
        return (
            (picture is None or (record.get("_picture") == picture.name and picture.is_file()))
            and (page is None or (record.get("_page") == page.name and page.is_file()))
            and (page is None or record.get("_small") is not None)
        )

    def records(self, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
        """Compare pairs, one after the other."""
        from tqdm import tqdm

        from whatchanged.pairs import each

        bar = tqdm(items, unit="pair", disable=None)
        for item, record, reason in each(bar, self._one):
            if record is None:
                told = {"name": item.name, "state": "compared", "error": item.told(reason)}
                record = {**named(item), "method": self.every.method, **told} | self._small(item)
            if not self.quiet and (record.get("error") or record["regions"]):
                bar.write(told_line(record), file=sys.stdout)
            yield record

    def _one(self, item: Item) -> dict[str, Any]:
        seen, small = self._seen(item), Small()
        picture, page = self._outputs(item)
        outputs = Outputs(
            output=picture,
            picture=self.options.picture,
            report=page,
            index=quote(f"../{self.places.report.name}") if self.places.report else "",
        )
        before, after = (str(file.path) for file in item.files)
        record = compare_pair((before, after), self.every, outputs, named(item), small.look if page else None)
        kept = {"_picture": picture and picture.name, "_page": page and page.name, "_small": small.packed()}
        return record | {"name": item.name, "state": "compared", "_seen": seen} | (kept if picture or page else {})

    def alone(self, item: Item) -> dict[str, Any]:
        """The record of what is compared with nothing."""
        record = record_of(item)
        if not self.quiet:
            print(told_line(record))
        return record | (self._small(item) if item.state != "left out" else {})

    def _small(self, item: Item) -> dict[str, Any]:
        """Small pictures of files that are not compared, for the page over all."""
        if not self.places.report:
            return {}
        small = Small()
        small.read(item)
        return {"_small": small.packed()}

    def _outputs(self, item: Item) -> tuple[Path | None, Path | None]:
        stem = self.stems[item.names]
        places = self.places
        return (
            places.folder / f"{stem}.png" if places.folder else None,
            places.pages / f"{stem}.html" if places.report else None,
        )

    def _seen(self, item: Item) -> list[Any]:
        """What tells that files are those that were compared."""
        paths = [file.path for file in item.files]
        return [_stamp(path) for path in (*paths, *filter(None, [self.options.mask]))]


def _stamp(path: str | Path) -> list[int] | None:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return [seen.st_size, seen.st_mtime_ns]
