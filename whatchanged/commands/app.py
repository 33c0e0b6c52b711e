"""`whatchanged app`: the interactive page."""

from __future__ import annotations

import argparse
import errno
import signal
import socket
import sys
from typing import Any

from whatchanged.commands.status import announce

FIRST_PORT, TRIED = 7860, 100


def add(commands: Any) -> None:
    """The options of `app`."""
    app = commands.add_parser(
        "app",
        help="serve the interactive page",
        description="Serve a page that compares pictures, describes what changed, and looks for defects. Stop it with"
        " Ctrl-C.",
        epilog="Exit status: 0 stopped, 2 trouble.",
    )
    app.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (127.0.0.1)")
    port = f"port to listen on; where it is taken, the next free one, which is told ({FIRST_PORT})"
    app.add_argument("--port", metavar="N", default=str(FIRST_PORT), help=port)
    app.add_argument("--model-path", metavar="DIR", help="a trained T-BLIP2 that describes")
    app.add_argument("--defect-model", metavar="FILE", help="a trained classifier that judges surfaces")
    app.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    port = _free_port(options.host, options.port)  # what is wrong with it is told before the page loads
    from whatchanged.page.app import launch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what visitors left is deleted on the way out
    try:
        launch(host=options.host, port=port, describer=options.model_path, classifier=options.defect_model, block=True)
    except KeyboardInterrupt:  # which is how one ends it, and no trouble
        announce("whatchanged: stopped")
    return 0


def _free_port(host: str, asked: str) -> int:
    """The port that is asked for, or the first free one after it, which is told."""
    if not (asked.isascii() and asked.isdigit() and 0 < int(asked[:6]) < 65536):
        raise ValueError(f"--port is {asked!r}: give a number from 1 to 65535, or leave it out")
    first = int(asked)
    last = min(first + TRIED, 65536) - 1
    for port in range(first, last + 1):
        if _is_free(host, port):
            if port != first:
                announce(f"whatchanged: port {first} is taken, so the page is on port {port}")
            return port
    raise ValueError(f"the ports from {first} to {last} are all taken: give another one by --port")


def _is_free(host: str, port: int) -> bool:
    """Whether a page can listen there; on this machine's own address too, where Gradio looks whether it answers."""
    way_out = "give 127.0.0.1, for this machine alone, or 0.0.0.0, which lets others in"
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ValueError(f"--host is {host!r}, which is not known here: {way_out}") from error
    others = 0
    for family, *_, address in [*found, (socket.AF_INET, ("127.0.0.1", port))]:
        try:
            with socket.socket(family) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                raise ValueError(f"port {port} is not for every user: give one from 1024 by --port") from error
            others += 1
    if others == len(found):
        raise ValueError(f"--host is {host!r}, which is no address of this machine: {way_out}")
    return True
