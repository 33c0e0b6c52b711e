"""Fetch a dataset by name, verify it and unzip it: `python download_and_unzip.py [NAME] [--data-dir data]`.

Without a name it is the tensors of concrete with and without cracks. A download that breaks off is resumed; a dataset
that is there already is left alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from course.downloads import fetch
from course.registry import REGISTRY, DownloadError, listing, mirrored, read_registry

USUAL = "concrete-tensors"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 2 where the dataset cannot be had."""
    parser = argparse.ArgumentParser(description="Fetch a dataset by name, verify it and unzip it.")
    parser.add_argument("name", nargs="?", help=f"of the dataset; see --list ({USUAL})")
    parser.add_argument("--data-dir", default="data", help="where its folder goes (data)")
    parser.add_argument("--list", action="store_true", help="say what there is, with size, licence and citation")
    parser.add_argument(
        "--registry",
        metavar="JSON",
        default=REGISTRY,
        help="datasets of your own: see data/README.md",
    )
    parser.add_argument(
        "--mirror",
        metavar="ADDRESS",
        help="ask here first: an address or a folder that holds NAME/FILE, as a school's server or a disk",
    )
    options = parser.parse_args(arguments)
    try:
        datasets, data_dir = read_registry(options.registry), Path(options.data_dir)
        if options.list:
            print(listing(datasets, data_dir))
            return 0
        name = USUAL if options.name is None and USUAL in datasets else options.name
        if name not in datasets:
            what = f"there is no dataset {name!r}" if name else "give the name of a dataset"
            raise DownloadError(f"{what}: choose from {', '.join(datasets)}")
        dataset = mirrored(name, datasets[name], options.mirror) if options.mirror else datasets[name]
        fetch(name, dataset, data_dir)
        return 0
    except DownloadError as error:
        print(f"download_and_unzip: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("download_and_unzip: stopped; the same command goes on from here", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
