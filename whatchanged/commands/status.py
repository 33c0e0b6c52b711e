"""What all commands share: exit statuses, one sentence for what went wrong, and the words of a summary."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from whatchanged.extras import how_to_install

SAME, DIFFERENT, TROUBLE = 0, 1, 2
UNREAD = 141  # as the shell says it of a program whose reader is gone, as `head` is once it has its lines


def answer(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> int:
    """Run the command that the arguments choose; the exit status, `TROUBLE` with a sentence on stderr.

    Without arguments it is the help on stderr, and `TROUBLE`: in a script whose variables are empty, 0 would say that
    there is no difference.
    """
    try:
        try:
            return _answered(parser, arguments)
        finally:
            sys.stdout.flush()  # here, for Python would complain of it at its end
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


def _answered(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help(sys.stderr)
        return TROUBLE
    options = parser.parse_args(given)
    try:
        return options.run(options)
    except BrokenPipeError as error:
        print(flush=True)  # fails again where it is what we print that nobody reads
        announce(f"{parser.prog}: {error}")
    except (ValueError, OSError, ConnectionError) as error:
        announce(f"{parser.prog}: {error}")
    except ImportError as error:
        if not (told := how_to_install(error)):
            raise
        announce(f"{parser.prog}: {told}")
    except KeyboardInterrupt:
        announce(f"{parser.prog}: stopped")
    return TROUBLE


class Version(argparse.Action):
    """`--version`, which is looked up only where it is asked for."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(parser.prog, version())
        parser.exit()


def version() -> str:
    """That of the checkout which this file lies in, else of the installed package; of a mere copy nobody knows it."""
    checkout = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if checkout.is_file():
        import tomllib

        project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "whatchanged":  # another project may keep its packages beside its own file
            return project["version"]
    from importlib import metadata

    try:
        return metadata.version("whatchanged")
    except metadata.PackageNotFoundError:
        return "of unknown version: it is neither installed nor a checkout"


def announce(text: str) -> None:
    """Tell the user, apart from the results."""
    print(text, file=sys.stderr)


def count(number: int, what: str) -> str:
    """ "1 pair", "2 pairs"."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def refuse_cluster(options: argparse.Namespace) -> None:
    """ValueError where --workers and --scheduler say nothing sensible together."""
    if options.workers is not None and options.scheduler:
        raise ValueError(
            "--workers starts a cluster on this machine, --scheduler takes one that runs: give one of them"
        )
    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers is {options.workers}: give 1 or more")
