"""A page, and the app as a user starts it; nothing may ask for anything outside this machine."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
PATIENCE = 90_000  # milliseconds; a first comparison loads PyTorch


def opened(browser: Browser, address: str, size: str = "desktop", **options) -> Page:
    """A page in a context of its own; `page.foreign` lists what it asked for outside this machine."""
    page = browser.new_context(viewport=SIZES[size], accept_downloads=True, **options).new_page()
    page.set_default_timeout(PATIENCE)
    page.foreign = []
    page.on("request", lambda request: _note(page.foreign, request.url))
    page.goto(address)
    return page


def _note(foreign: list[str], url: str) -> None:
    if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1", "ws://127.0.0.1")):
        foreign.append(url)


def barriers(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds serious or worse: the rule, and the first place.

    A color that is still on its way from one to another has no contrast yet to speak of.
    """
    page.wait_for_function("document.getAnimations().every(one => !(one instanceof CSSTransition))")
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def field(page: Page, label: str) -> Locator:
    """The block with this label."""
    return page.locator(".block", has=page.get_by_text(label, exact=True)).last


def drop(page: Page, label: str, path: Path) -> None:
    """Drag a file from outside onto the field with this label."""
    script = """([data, name]) => {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, {type: 'image/png'}));
        return transfer;
    }"""
    data = [base64.b64encode(path.read_bytes()).decode(), path.name]
    transfer = page.evaluate_handle(script, data)
    zone = field(page, label).get_by_role("button", name=re.compile("upload|drop", re.IGNORECASE)).first
    for event in ("dragenter", "dragover", "drop"):
        zone.dispatch_event(event, {"dataTransfer": transfer})
    expect(field(page, label).locator("img")).to_be_visible()


def put(page: Page, label: str, *paths: Path) -> None:
    """Choose files in the field's dialog, and wait until they have arrived."""
    with page.expect_response(re.compile("/upload"), timeout=PATIENCE):
        field(page, label).locator("input[type=file]").set_input_files([str(path) for path in paths])
    page.wait_for_timeout(500)


def press(page: Page, name: str) -> None:
    """Click the button with this name."""
    page.get_by_role("button", name=name, exact=True).click()


def open_settings(page: Page) -> None:
    """Open the settings of the tab that is open, and wait as a hand would until they hold still.

    A frame after it opened them, Gradio writes into each what it had, and so over what was typed within that frame.
    """
    page.get_by_text("Settings").locator("visible=true").click()
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(frame)
    page.evaluate(frame)


def downloaded(page: Page, name: str) -> Path:
    """What a button of the tab that is open has for download."""
    button = page.get_by_role("button", name=name, exact=True).or_(page.get_by_role("link", name=name, exact=True))
    with page.expect_download() as download:
        button.locator("visible=true").click()
    return Path(download.value.path())


def many(page: Page) -> Page:
    """The page with its tab for many pairs."""
    page.get_by_role("tab", name="Many pairs").click()
    return page


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


class App:
    """`whatchanged app` in a process of its own, without a network."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self.temporary = f"http://127.0.0.1:{port}/", folder
        offline = os.pathsep.join([str(ROOT / "tests" / "offline"), str(ROOT)])
        environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": offline, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "whatchanged", "app", "--port", str(port), *options]
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.address, timeout=2)
            except OSError:
                time.sleep(0.3)
            else:
                return
        raise AssertionError(f"the app did not start: {self.log.read_text()}")

    def files(self) -> list[Path]:
        """What visitors left or made; the examples are not theirs."""
        found = (
            Path(folder, name)
            for session in self.temporary.glob("differences-*")
            for folder, _, names in os.walk(session)  # unlike glob, it bears that a folder is deleted meanwhile
            for name in names
        )
        return [path for path in found if path.is_file() and "examples" not in path.parts]
