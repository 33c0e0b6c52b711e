"""The command line: `whatchanged diff before.png after.png`."""

from __future__ import annotations

import argparse
import sys

from whatchanged.commands import app, describe, diff
from whatchanged.commands.status import Version, answer


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 no difference, 1 differences, 2 trouble."""
    return answer(parser(), arguments)


def parser() -> argparse.ArgumentParser:
    """All commands, each with its options."""
    whole = argparse.ArgumentParser(prog="whatchanged", description="What changed between these two pictures?")
    whole.add_argument("--version", action=Version, help="print the version")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for command in (diff, describe, app):
        command.add(commands)
    return whole


if __name__ == "__main__":
    sys.exit(main())
