"""An HTTP or HTTPS server on loopback that breaks off and lies as told, and what an archive for it to serve holds."""

from __future__ import annotations

import http.server
import json
import os
import ssl
import threading

PICTURE = os.urandom(300_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`, with ranges and ETags, and misbehaves as it is told."""

    daemon_threads = True

    def __init__(self, certificate=None, key=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []  # path and range
        self.break_after: list[int] = []  # bytes of each answer in turn after which the connection is cut
        self.etag = '"1"'
        self.length_factor = 1.0
        self.headers: dict[str, str] = {}
        self.slow = 0.0  # seconds a 10 kB block
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name):
        return f"{self.scheme}://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, name = self.server, self.path.lstrip("/")
        wanted = self.headers.get("Range")
        server.requests.append((name, wanted))
        if name not in server.files:
            self.send_error(404)
            return
        body, start = server.files[name], 0
        if wanted and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(int((len(body) - start) * server.length_factor)))
        if server.etag:
            self.send_header("ETag", server.etag)
        for header in server.headers.items():
            self.send_header(*header)
        self.end_headers()
        stop = start + server.break_after.pop(0) if server.break_after else len(body)
        for at in range(start, min(stop, len(body)), 10_000):
            self.wfile.write(body[at : min(at + 10_000, stop)])
            threading.Event().wait(server.slow)  # not time.sleep, which the tests take away from the downloader


GOOD = [("Positive/a.png", PICTURE), ("Positive/b.png", b"b" * 1000), ("Negative/", b""), ("Negative/c.png", b"c")]


def registry(tmp_path, server, *, names=("data.zip",), urls=None, name="set", entry=None, **source):
    """A registry with one data set; `entry` holds more of its fields, `source` those of each of its files."""
    source = {"unpacks_to": ["Positive/a.png"]} | source
    sources = [{"name": one, "urls": urls or [server.url(one)]} | source for one in names]
    whole = {"title": "test", "licence": "CC0", "citation": "nobody", "page": "none", "sources": sources}
    path = tmp_path / "registry.json"
    path.write_text(json.dumps({name: whole | (entry or {})}))
    return path


def assert_good(tmp_path):
    folder = tmp_path / "data" / "set"
    assert (folder / "Positive" / "a.png").read_bytes() == PICTURE
    assert (folder / "Negative" / "c.png").read_bytes() == b"c"
    assert sorted(path.name for path in (tmp_path / "data").iterdir() if not path.name.endswith(".lock")) == ["set"]
