"""`whatchanged app`: the interactive page."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any


def add(commands: Any) -> None:
    """The options of `app`."""
    app = commands.add_parser(
        "app",
        help="serve the interactive page",
        description="Serve a page that compares pictures, describes what changed, and looks for defects. Stop it with"
        " Ctrl-C.",
    )
    app.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (127.0.0.1)")
    app.add_argument("--port", type=int, help="port to listen on (the first free one from 7860)")
    app.add_argument("--model-path", metavar="DIR", help="a trained T-BLIP2 that describes")
    app.add_argument("--defect-model", metavar="FILE", help="a trained classifier that judges surfaces")
    app.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from whatchanged.page.app import launch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what visitors left is deleted on the way out
    launch(options.host, options.port, describer=options.model_path, classifier=options.defect_model, block=True)
    return 0
