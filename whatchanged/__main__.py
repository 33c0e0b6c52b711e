"""The command line: `whatchanged before.png after.png`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from whatchanged.commands.status import Version, answer

COMMANDS = ("diff", "describe", "app")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 no difference, 1 differences, 2 trouble."""
    given = with_command(sys.argv[1:] if arguments is None else arguments)
    return answer(parser(given[:1] if given and given[0] in COMMANDS else COMMANDS), given)


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """These commands, each with its options; the others are not loaded."""
    whole = argparse.ArgumentParser(prog="whatchanged", description="What changed between these two pictures?")
    whole.add_argument("--version", action=Version, help="print the version")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for name in names:
        import_module(f"whatchanged.commands.{name}").add(commands)
    return whole


def with_command(arguments: list[str]) -> list[str]:
    """Two pictures without a command are compared; a picture called as a command is written `./diff`."""
    if not arguments or arguments[0] in COMMANDS or arguments[0] in ("-h", "--help", "--version"):
        return arguments
    return ["diff", *arguments]


if __name__ == "__main__":
    sys.exit(main())
