"""What all commands share: exit statuses, one sentence for what went wrong, and the words of a summary."""

from __future__ import annotations

import argparse
import sys

SAME, DIFFERENT, TROUBLE = 0, 1, 2
EXTRAS = {
    "gradio": "page",
    "dask": "many",
    "distributed": "many",
    "pyarrow": "many",
    "accelerate": "models",
    "captum": "models",
    "peft": "models",
    "safetensors": "models",
    "scipy": "models",
    "torch": "models",
    "torchvision": "models",
    "transformers": "models",
    "keras": "keras",
    "tensorflow": "keras",
}
"""What is not installed by default: the module, and the extra of the package that brings it."""


def answer(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> int:
    """Run the command that the arguments choose; the exit status, `TROUBLE` with a sentence on stderr."""
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, ConnectionError) as error:
        announce(f"{parser.prog}: {error}")
    except ImportError as error:
        announce(f"{parser.prog}: {_how_to_install(error)}")
    except KeyboardInterrupt:
        announce(f"{parser.prog}: stopped")
    return TROUBLE


def _how_to_install(error: ImportError) -> str:
    """What is missing, and how to get it; the error again where only its author can tell."""
    module = (error.name or "").split(".")[0]
    if module in EXTRAS:
        how = f'pip install ".[{EXTRAS[module]}]" in the folder of the package'
        return f"this needs {module}, which is not installed: {how}"
    if "libGL" in str(error):  # a Linux without a desktop; the windows that need it are never opened
        return f"OpenCV cannot be loaded ({error}): apt-get install libgl1, or pip install opencv-python-headless"
    raise error


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
