"""The pictures of the page in `images/`: `python tests/browser/pictures.py [options of whatchanged app]` takes them."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from browsing import ROOT, App, opened, press, put
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

EXAMPLES = ROOT / "whatchanged" / "page" / "examples"
MOST = 250_000  # bytes of a picture


def taken(page: Page, path: Path) -> None:
    """Write a screenshot of the whole page, with as many colors as fit."""
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    page.screenshot(path=path, full_page=True)
    for colors in (256, 192, 128, 96, 64, 48):
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(colors, dither=Image.Dither.NONE)
        small = path.with_suffix(".small.png")
        few.save(small, optimize=True)
        if small.stat().st_size <= MOST:
            break
    small.replace(path)


def two_pictures(browser: Browser, app: App) -> None:
    page = opened(browser, app.address)
    press(page, "Try: coffee, the camera moved")
    expect(page.locator(".picture img")).to_have_count(2)
    press(page, "Compare")
    expect(page.get_by_role("button", name="Download JSON").first).to_be_enabled(timeout=90_000)  # it comes last
    taken(page, ROOT / "images" / "app.png")


def many_pairs(browser: Browser, app: App, folder: Path) -> None:
    with zipfile.ZipFile(folder / "pairs.zip", "w") as archive:
        for path in sorted(EXAMPLES.glob("* before.png")):
            name = path.name.removesuffix(" before.png")
            for side in ("before", "after"):
                archive.write(path.with_name(f"{name} {side}.png"), f"{name}_{side}.png")
        archive.writestr("street_before.png", "this is no picture")
        archive.write(path, "street_after.png")
        archive.write(path, "yard_before.png")
    page = opened(browser, app.address)
    page.get_by_role("tab", name="Many pairs").click()
    put(page, "Pictures, folders or a zip", folder / "pairs.zip")
    press(page, "Compare all")
    expect(page.locator("#pairs-status")).to_contain_text(re.compile("left out"), timeout=90_000)
    taken(page, ROOT / "images" / "app_pairs.png")


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        app = App(Path(name), *sys.argv[1:])
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            two_pictures(browser, app)
            many_pairs(browser, app, Path(name))
        finally:
            browser.close()
            app.process.terminate()
            app.process.wait(20)


if __name__ == "__main__":
    main()
