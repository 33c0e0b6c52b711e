"""One file from one address: a download that goes on where it broke off, and names what came instead of the file."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from tqdm import tqdm

from course.registry import Source
from whatchanged.archives import hold_room, readable_size

CHUNK = 1 << 14  # what the connection breaks off in is lost
ATTEMPTS = 5  # without a new byte between them


class NotThere(Exception):
    """An address does not give the file, and why; another one may."""


class ResumingDownloader:
    """A downloader for pooch that goes on where an earlier try, or an earlier run, broke off.

    What has come so far lies in `<name>.part` beside `<name>.part.json`, which says from which address and in which
    version (ETag or date). It is continued only with `If-Range` on that version; otherwise it starts anew.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.part = folder / f"{source.name}.part"
        self.note = folder / f"{source.name}.part.json"

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        tries = 0
        while tries < ATTEMPTS:
            before = self._have()
            try:
                self._go_on(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                tries = 0 if self._have() > before else tries + 1
                lasting = _lasting(error, url)
                if lasting or tries == ATTEMPTS or (self._have() == 0 and not isinstance(error, requests.Timeout)):
                    raise NotThere(lasting or self._broken()) from error
            except (requests.exceptions.RequestException, UnicodeError) as error:
                raise NotThere(f"no address to fetch from: {error}") from error
                time.sleep(min(0.2 * 2**tries, 10))
        os.replace(self.part, output_file)
        self.note.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _broken(self) -> str:
        have = self._have()
        if not have:
            return "no connection: is there a network?"
        return f"the connection broke after {readable_size(have)}: run the same command again to go on from there"

    def _go_on(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        version = self._version_of_part(url)
        if version:
            headers |= {"Range": f"bytes={self._have()}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=(20, 60)) as response:
            if response.status_code == 416:  # the part is as long as the file, or longer
                self.part.unlink()
                raise requests.ConnectionError("the part did not fit")
            if response.status_code >= 400 or "html" in response.headers.get("Content-Type", ""):
                raise NotThere(_page_of(response, url))
            resumed = response.status_code == 206 and _first_byte(response) == self._have()
            if response.status_code == 206 and not resumed:
                self.part.unlink(missing_ok=True)
                raise requests.ConnectionError("the answer starts elsewhere")
            self._receive(response, url, self._have() if resumed else 0)

    def _version_of_part(self, url: str) -> str | None:
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        return note["version"] if note.get("url") == url and self._have() else None

    def _receive(self, response: requests.Response, url: str, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        hold_room(self.part.parent, (total or self.source.size or 0) - start, self.source.name)
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if version and not version.startswith("W/"):
            self.note.write_text(json.dumps({"url": url, "version": version}))
        else:
            self.note.unlink(missing_ok=True)
        name = self.source.name
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, unit_divisor=1000, desc=name, mininterval=0.5)
        with self.part.open("ab" if start else "wb") as file, bar:
            for count, chunk in enumerate(response.iter_content(CHUNK)):
                if not count and not start and re.match(rb"\s*<(!doctype html|html)", chunk, re.IGNORECASE):
                    raise NotThere(_page_says(chunk.decode("utf-8", "replace"), response.url, url))
                if count % 4096 == 0:
                    hold_room(self.part.parent, len(chunk), name)
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and self._have() != total:
            raise requests.ConnectionError("the file ended early")


def _first_byte(response: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


# ---------------------------------------------------------------------------------------------------------------------
# What came instead


def _lasting(error: requests.RequestException, url: str) -> str:
    """Why a connection fails and will fail again, in words; nothing where it may just have broken off."""
    if isinstance(error, requests.exceptions.ProxyError):
        scheme = urlsplit(url).scheme
        proxy = _bare(requests.utils.get_environ_proxies(url).get(scheme, "of the system"))
        if "407" in str(error):
            return f"the proxy {proxy} wants a name and a password: {_with_password(scheme)}"
        return f"the proxy {proxy} gives no connection: correct or unset {scheme.upper()}_PROXY"
    if isinstance(error, requests.exceptions.SSLError):
        found = re.search(r"certificate verify failed: ([^(\]]+)|(doesn't match)", str(error))
        if found:
            return (
                f"its certificate is not trusted: {(found[1] or 'it is of another host').strip()}; behind a proxy that"
                " opens connections, set REQUESTS_CA_BUNDLE to the file of the certificate that your network gives"
            )
        return "no secure connection: the server, or a proxy before it, does not speak TLS as it should"
    return ""


def _with_password(scheme: str) -> str:
    return f"set {scheme.upper()}_PROXY to http://name:password@host:port"


def _bare(address: str) -> str:
    """An address without the name and the password that may be in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _page_of(response: requests.Response, url: str) -> str:
    """What an answer that is not the file says."""
    status = f"{response.status_code} {response.reason}"
    if response.status_code == 407:
        return f"{status}: the proxy wants a name and a password: {_with_password(urlsplit(url).scheme)}"
    if response.status_code == 401:
        return f"{status}: it wants a sign-in"
    is_page = "html" in response.headers.get("Content-Type", "")
    text = next(response.iter_content(1 << 16), b"").decode("utf-8", "replace") if is_page else ""
    if response.status_code < 400:
        return _page_says(text, response.url, url)
    known = _known_page(text)
    return f"{status}: {known}" if known else status


def _page_says(text: str, came_from: str, url: str) -> str:
    """A web page in the place of the file, by its name."""
    known = _known_page(text)
    if not known:
        title = re.search(r"<title[^>]*>\s*(.*?)\s*</title", text, re.IGNORECASE | re.DOTALL)
        named = f", {' '.join(title[1].split())[:80]!r}," if title and title[1] else ""
        known = f"it answers with a web page{named} instead of the file"
    host = urlsplit(came_from).hostname
    return known if host == urlsplit(url).hostname else f"it leads to {host}: {known}"


_PAGES = {
    r"google drive\W+quota exceeded|too many users have (viewed|downloaded)": (
        "Google Drive has given this file to too many people today: try again in a day"
    ),
    r"virus scan warning|can(no|')t scan this file for viruses": "Google Drive asks first whether to take it unscanned",
    r"type\s*=\s*[\"']?password|accounts\.google\.com/|<title[^>]*>[^<]*\b(sign[ -]?in|log[ -]?in)\b": (
        "it wants a sign-in: a login page came instead of the file"
    ),
}


def _known_page(text: str) -> str:
    return next((words for sign, words in _PAGES.items() if re.search(sign, text, re.IGNORECASE)), "")
