"""The other tabs of the app in a real browser: many pairs, and defects; and the page that a notebook opens."""

from __future__ import annotations

import csv
import json
import re
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from browsing import PATIENCE, SCREENSHOTS, barriers, downloaded, field, fits, many, open_settings, opened, press, put
from PIL import Image
from playwright.sync_api import Page, expect

from helpers import scenes, surfaces
from helpers.changes import write_dataset
from helpers.photographs import photograph
from whatchanged.detection import detect
from whatchanged.images import read_image
from whatchanged.models import resnet18

expect.set_options(timeout=PATIENCE)


def told(page: Page, text: str | re.Pattern):
    return expect(page.locator("#pairs-status")).to_contain_text(text)


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_many_pairs_in_a_zip(browser, app, tmp_path, size):
    data = write_dataset(tmp_path / "data", (scenes.scene_pair(1, index, changes=(index, index)) for index in range(3)))
    (data / "after" / "000001.png").write_text("this is no image")
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for path in sorted(data.rglob("*.png")):
            archive.write(path, path.relative_to(data))
        archive.write(data / "before" / "000000.png", "before/alone.png")
    page = many(opened(browser, app.address, size))
    field(page, "Pictures, folders or a zip").wait_for()
    assert barriers(page) == []
    put(page, "Pictures, folders or a zip", tmp_path / "pairs.zip")
    press(page, "Compare all")
    told(page, "3 pairs: 1 differ, 1 do not, 1 bad; 1 left out.")
    entries = page.locator("#pairs-view .entries > li")
    assert entries.count() == 4
    assert page.locator("#pairs-view .thumbs img").count() == 4
    expect(entries.filter(has_text="alone.png")).to_contain_text("there is no after/alone.png")
    expect(entries.filter(has_text="unreadable")).to_contain_text("000001.png is not an image that can be read")
    assert "/differences-" not in page.locator("#pairs-view").text_content(), "no path of the server"
    labels = "[...document.querySelectorAll('[aria-label], [title]')].map((one) => one.ariaLabel + ' ' + one.title)"
    assert [one for one in page.evaluate(labels) if "common." in one] == []
    press(page, "Changed 1")
    expect(page.locator("#pairs-view .entries > li:visible")).to_have_count(1)
    records = json.loads(downloaded(page, "Download JSON").read_text())
    expected = detect(*(data / side / "000002.png" for side in ("before", "after"))).summary()
    by_name = {record["name"]: record for record in records}
    assert expected.items() <= by_name["before/000002.png"].items()
    assert by_name["before/000000.png"]["regions"] == []
    rows = list(csv.DictReader(downloaded(page, "Download CSV").read_text().splitlines()))
    assert [row["name"] for row in rows] == [record["name"] for record in records]
    assert (
        by_name["before/000002.png"]["words"] == rows[[row["name"] for row in rows].index("before/000002.png")]["words"]
    )
    with zipfile.ZipFile(downloaded(page, "Download the report")) as archive:
        assert len([name for name in archive.namelist() if name.startswith("pages/")]) == 2
        assert str(app.temporary) not in archive.read("index.html").decode()
    assert fits(page)
    page.screenshot(path=SCREENSHOTS / f"many_pairs_{size}.png", full_page=True)
    page.locator("#pairs-view .entries > li:visible .thumbs").click()
    expect(page.locator("#one-view .region")).to_have_count(len(expected["regions"]))
    expect(page.locator("#one-status")).to_contain_text("000002.png")
    assert fits(page)
    assert page.foreign == []


def test_pictures_in_their_order_and_by_a_pattern(browser, app, tmp_path):
    plain = np.full((60, 80, 3), 250, np.uint8)
    marked = plain.copy()
    marked[20:40, 30:50] = 10
    for name, picture in (("p1", plain), ("p2", marked), ("p3", plain), ("p4", plain)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    page = many(opened(browser, app.address))
    put(page, "Pictures, folders or a zip", *(tmp_path / f"p{number}.png" for number in (1, 2, 3, 4)))
    page.get_by_label("In their order").check()
    press(page, "Compare all")
    told(page, "2 pairs: 1 differ, 1 do not, 0 bad.")
    page.get_by_label("By a pattern").check()
    page.get_by_label("Pattern of the pictures before").fill("{id}1")
    page.get_by_label("Pattern of the pictures after").fill("{id}4")
    press(page, "Compare all")
    told(page, "1 pair: 0 differ, 1 do not, 0 bad; 2 left out.")


def large_zip(folder: Path) -> Path:
    """Forty pairs each of which takes a while."""
    big = np.full((1200, 1600, 3), 90, np.uint8)
    big[:100, :100] = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
    for name in ("x.png", "x_2.png"):
        Image.fromarray(big).save(folder / name)
    with zipfile.ZipFile(folder / "pairs.zip", "w") as archive:
        for number in range(40):
            for name in ("x.png", "x_2.png"):
                archive.write(folder / name, f"{number}{name[1:]}")
    return folder / "pairs.zip"


def test_work_is_cancelled_within_a_second(browser, app, tmp_path):
    """In the best of three tries, for the machine may have something else to do."""
    page = many(opened(browser, app.address))
    cancel = page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")
    expect(cancel).to_be_disabled()
    put(page, "Pictures, folders or a zip", large_zip(tmp_path))
    took = []
    for _ in range(3):
        press(page, "Compare all")
        told(page, re.compile(r"\d+ of 40 …"))
        began = time.monotonic()
        cancel.click()
        told(page, "Stopped.")
        took.append(time.monotonic() - began)
        expect(cancel).to_be_disabled()
    assert min(took) < 1
    page.wait_for_timeout(3000)
    told(page, "Stopped.")
    assert page.locator("#pairs-view .entries > li").count() < 40


def test_a_reload_in_mid_run_says_what_was_lost(browser, app, tmp_path):
    page = many(opened(browser, app.address))
    put(page, "Pictures, folders or a zip", large_zip(tmp_path))
    press(page, "Compare all")
    told(page, re.compile(r"\d+ of 40 …"))
    page.reload()
    expect(page.locator(".lost")).to_contain_text("the run was ended, and the pictures were deleted")
    put(many(page), "Pictures, folders or a zip", tmp_path / "x.png")
    expect(page.locator("#pairs-files .filename")).to_have_count(1)
    page.reload()
    expect(page.locator(".lost")).to_contain_text("the pictures and results that were on it are deleted")


def bomb(path: Path, side: int) -> Path:
    """A small PNG that says it has side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(side + 1) * 100)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_a_bomb_is_refused_when_it_is_chosen(browser, app, tmp_path):
    page = opened(browser, app.address)
    put(page, "Before", bomb(tmp_path / "bomb.png", 30_000))
    expect(page.locator("#pair-status")).to_contain_text(
        "bomb.png has 900,000,000 pixels: at most 200,000,000 are read"
    )
    assert "Traceback" not in app.log.read_text()


def test_a_picture_unlike_the_training_set_is_told(browser, app, tmp_path):
    Image.fromarray(photograph("astronaut")).save(tmp_path / "astronaut.png")
    page = opened(browser, app.address)
    page.get_by_role("tab", name="Defects").click()
    put(page, "A surface", tmp_path / "astronaut.png")
    press(page, "Judge")
    told = "This picture is unlike the pictures that the model learned from: what it says may mean nothing."
    expect(page.locator("#defects-status [role=alert]")).to_contain_text(told)
    expect(page.locator("#defects-view")).to_contain_text("Like what it learned fromno")
    assert json.loads(downloaded(page, "Download JSON").read_text())["unlike"] is True
    assert told in downloaded(page, "Download the report").read_text()


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_surface_is_judged(browser, app, trained, tmp_path, size):
    wall = surfaces.surface(21, 1, size=64).image
    Image.fromarray(wall).save(tmp_path / "wall.png")
    page = opened(browser, app.address, size)
    page.get_by_role("tab", name="Defects").click()
    expect(page.get_by_text("Of a picture that shows something else its answer means nothing")).to_be_visible()
    put(page, "A surface", tmp_path / "wall.png")
    expect(field(page, "A surface").locator("img")).to_be_visible()
    press(page, "Judge")
    probabilities, _ = resnet18.Classifier.load(trained[1])(wall)
    likely = max(probabilities, key=probabilities.get)
    status, view = page.locator("#defects-status"), page.locator("#defects-view")
    expect(status).to_have_text(f"The answer is “{likely}”, {probabilities[likely]:.0%} sure.")
    captions = {"sound": "What comes closest to “cracked”, and is not", "cracked": "What spoke for “cracked”"}
    expect(view.get_by_alt_text(captions[likely])).to_be_visible()
    expect(status).to_be_in_viewport()
    record = json.loads(downloaded(page, "Download JSON").read_text())
    assert (record["picture"], record["answer"]) == ("wall.png", likely)
    assert record["probabilities"] == pytest.approx(probabilities, abs=1e-5)
    assert read_image(downloaded(page, "Download the picture")).shape == wall.shape
    assert captions[likely] in downloaded(page, "Download the report").read_text()
    assert fits(page)
    assert barriers(page) == []
    page.screenshot(path=SCREENSHOTS / f"defects_{size}.png", full_page=True)
    other = {"sound": "cracked", "cracked": "sound"}[likely]
    open_settings(page)
    assert barriers(page) == []
    threshold = page.get_by_label("number input for Called cracked from, in percent")
    threshold.fill("1" if other == "cracked" else "99")
    threshold.press("Enter")
    expect(status).to_contain_text(f"The answer is “{other}”, {probabilities[other]:.0%} sure: by the settings")
    expect(view.get_by_alt_text(captions[other])).to_be_visible()
    assert json.loads(downloaded(page, "Download JSON").read_text())["answer"] == other
    page.get_by_label("Sharply").check()
    expect(view).to_contain_text("Heat mapsharp; the less sure, the darker")
    page.get_by_label("The strongest place brightest").check()
    expect(view).to_contain_text("Heat mapsharp; the strongest place is the brightest")
    assert page.foreign == []


@pytest.mark.process
def test_the_page_opens_with_a_pair(browser, tmp_path):
    """As in a notebook: with arrays and files, already compared."""
    code = """
import numpy as np, sys
from whatchanged.page.app import launch
before = np.full((90, 120, 3), 255, np.uint8); after = before.copy(); after[30:50, 40:70] = 0
try:
    launch(before)
except ValueError as error:
    print(error)
page = launch(before, after)
print(page.height, flush=True)
sys.stdin.read()
"""
    run = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    try:
        lines = [run.stdout.readline().strip() for _ in range(3)]
        assert lines[0] == "there is no picture after: give both or none"
        height = int(lines[2])
        page = opened(browser, re.search(r"http://\S+?/", lines[1])[0])
        expect(page.locator("#pair-status")).to_contain_text("1 region differs: added.")
        expect(page.locator("#pair-view .region")).to_contain_text("x 40, y 30, 30 × 20")
        assert height - 300 < page.evaluate("document.documentElement.scrollHeight") <= height
    finally:
        run.stdin.close()
        run.terminate()
        run.wait(20)
