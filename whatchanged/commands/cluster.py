"""Very many pairs, on processes of this machine or on a Dask cluster."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whatchanged.commands.results import Tally, record_of
from whatchanged.commands.status import announce, refuse_cluster
from whatchanged.files import write_whole

if TYPE_CHECKING:
    from whatchanged.listing import Item

UNPAIRED = "unpaired.jsonl"


def run_cluster(options: argparse.Namespace, how: dict[str, Any], items: Sequence[Item]) -> int:
    """Compare them; the exit status. What has no partner lies in a file of its own."""
    from tqdm import tqdm

    from whatchanged.many import compare_pairs

    refuse_cluster(options)
    tally = Tally()
    for item in items:
        for file in item.files:
            if not os.path.lexists(file.name) and os.path.lexists(file.path):
                raise ValueError(f"{file.name} lies in an archive: unpack it first for --workers and --scheduler")
    pairs = [(_absolute(item.before), _absolute(item.after)) for item in items if item.state == "compared"]
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
    tally.pairs(done.same, done.differ, len(done.bad), done.earlier)
    records = [record_of(item) for item in items if item.state != "compared"]
    for record in records:
        tally.add(record)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    write_whole(Path(options.output_dir) / UNPAIRED, lines.encode())
    print(tally.summary())
    return tally.status


def _absolute(file: Any) -> str:
    return os.path.abspath(file.path)
