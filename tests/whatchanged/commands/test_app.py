"""`whatchanged app` as a user types it: ports, addresses, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import ROOT

from whatchanged.__main__ import main


@contextmanager
def taken() -> Iterator[int]:
    """A port on which something listens, with a free one after it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def started(folder, *arguments: str, **options) -> subprocess.Popen:
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, "-m", "whatchanged", "app", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "80000"], "--port is '80000': give a number from 1 to 65535, or leave it out"),
        (["--port", "abc"], "--port is 'abc': give"),
        (["--port", "0"], "--port is '0': give"),
        (["--port=-1"], "--port is '-1': give"),
        (["--port", ""], "--port is '': give"),
        (["--port", "78.5"], "--port is '78.5': give"),
        (["--port", "9" * 5000], "give a number from 1 to 65535"),
        (
            ["--host", "no-such-host.invalid"],
            "--host is 'no-such-host.invalid', which is not known here: give 127.0.0.1",
        ),
        (["--host", "a" * 300], "which is not known here: give 127.0.0.1"),
        (["--host", "192.0.2.1"], "--host is '192.0.2.1', which is no address of this machine: give 127.0.0.1"),
    ],
)
def test_app_says_what_is_wrong(arguments, told, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)  # it is told before the page loads
    assert main(["app", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_no_port_is_left(capsys):
    with socket.socket() as last:
        last.bind(("127.0.0.1", 65535))
        last.listen()
        assert main(["app", "--port", "65535"]) == 2
    assert "the ports from 65535 to 65535 are all taken: give another one by --port" in capsys.readouterr().err


@pytest.mark.process
def test_a_taken_port_is_told_and_another_serves_until_ctrl_c(tmp_path):
    """And what visitors left is gone with it."""
    with taken() as port, started(tmp_path, "--port", str(port), stdout=subprocess.PIPE) as app:
        try:
            told = app.stderr.readline()
            found = re.fullmatch(rf"whatchanged: port {port} is taken, so the page is on port (\d+)\n", told)
            assert found, told
            assert f"http://127.0.0.1:{found[1]}/" in app.stdout.readline()
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=30) as page:
                assert page.status == 200
            app.send_signal(signal.SIGINT)
            assert app.communicate(timeout=60)[1] == "whatchanged: stopped\n"
        finally:
            app.kill()
    assert app.returncode == 0
    assert list(tmp_path.glob("differences-*")) == []


@pytest.mark.process
def test_app_ends_quietly_where_nobody_reads_its_address(tmp_path):
    """`whatchanged app | head -0`"""
    end, pipe = os.pipe()
    os.close(end)
    with taken() as port, started(tmp_path, "--port", str(port), stdout=pipe) as app:
        os.close(pipe)
        try:
            told = app.communicate(timeout=60)[1]
        finally:
            app.kill()
    assert re.fullmatch(r"whatchanged: port \d+ is taken, so the page is on port \d+\n", told)
    assert app.returncode == 141
    assert list(tmp_path.glob("differences-*")) == []
