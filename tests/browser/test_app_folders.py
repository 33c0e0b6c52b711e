"""Folders of pictures in the tab for many pairs: chosen, dropped, and packed by the browser."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from browsing import PATIENCE, barriers, downloaded, field, many, opened, press
from playwright.sync_api import Page, expect
from support import save_picture

from whatchanged.page import many_pairs

expect.set_options(timeout=PATIENCE)
FIELD = "Pictures, folders or a zip"


def told(page: Page, text: str):
    return expect(page.locator("#pairs-status")).to_contain_text(text)


@pytest.fixture
def holiday(tmp_path):
    """A folder of two pairs, of which one differs, with what is no picture and a hidden file."""
    plain = np.full((60, 80, 3), 250, np.uint8)
    marked = plain.copy()
    marked[20:40, 30:50] = 10
    for name, picture in {
        "before/ä.png": plain,
        "after/ä.png": marked,
        "before/b.png": plain,
        "after/b.png": plain,
    }.items():
        save_picture(tmp_path / "holiday" / name, picture)
    (tmp_path / "holiday" / "notes.txt").write_text("x" * 1000)
    (tmp_path / "holiday" / ".hidden.png").write_text("x")
    return tmp_path / "holiday"


def test_a_folder_is_chosen(browser, app, holiday):
    page = many(opened(browser, app.address))
    files = field(page, FIELD)
    with page.expect_response(re.compile("/upload")):
        page.locator(".adding input").set_input_files(holiday)
    expect(files).to_contain_text("holiday")
    assert barriers(page) == []
    press(page, "Compare all")
    told(page, "2 pairs: 1 differ, 1 do not, 0 bad; 1 left out.")
    records = json.loads(downloaded(page, "Download JSON").read_text())
    assert sorted((one["name"], one["state"]) for one in records) == [
        ("before/b.png", "compared"),
        ("before/ä.png", "compared"),
        ("notes.txt", "left out"),
    ]
    page.get_by_label("In their order").check()
    press(page, "Compare all")
    expect(page.locator("#pairs-view")).to_contain_text("after/b.png and after/ä.png")
    page.get_by_label("By a pattern").check()
    page.get_by_label("Pattern of the pictures before").fill("before/{id}")
    page.get_by_label("Pattern of the pictures after").fill("after/{id}")
    press(page, "Compare all")
    expect(page.locator("#pairs-view")).to_contain_text("before/b.png and after/b.png")
    told(page, "2 pairs: 1 differ, 1 do not, 0 bad; 1 left out.")
    save_picture(holiday / "lone.png", np.zeros((9, 9, 3), np.uint8))
    with page.expect_file_chooser() as chooser:
        press(page, "Add pictures")
    with page.expect_response(re.compile("/upload")):
        chooser.value.set_files(holiday / "lone.png")
    expect(files).to_contain_text("lone")
    press(page, "Compare all")
    told(page, "2 pairs: 1 differ, 1 do not, 0 bad; 2 left out.")
    assert page.foreign == []


def dropped_from_the_desktop(page: Page, path: Path) -> None:
    """Drop a folder on the field for files, so that the browser itself reads it."""
    edge = page.locator("#pairs-files").bounding_box()
    at = {"x": edge["x"] + edge["width"] / 2, "y": edge["y"] + edge["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    browser_itself = page.context.new_cdp_session(page)
    with page.expect_response(re.compile("/upload")):
        for kind in ("dragEnter", "dragOver", "drop"):
            browser_itself.send("Input.dispatchDragEvent", {"type": kind, "data": data} | at)


def test_folders_are_dropped_one_after_the_other(browser, app, holiday):
    page = many(opened(browser, app.address))
    field(page, FIELD).wait_for()
    for number, name in enumerate(("before", "after"), start=1):
        dropped_from_the_desktop(page, holiday / name)
        expect(page.locator("#pairs-files .filename")).to_have_count(number)
    dropped_from_the_desktop(page, save_picture(holiday / "lone.png", np.zeros((9, 9, 3), np.uint8)))
    expect(page.locator("#pairs-files .filename")).to_have_count(3)
    press(page, "Compare all")
    told(page, "2 pairs: 1 differ, 1 do not, 0 bad; 1 left out.")


def test_a_large_folder_becomes_several_archives(browser, tmp_path):
    """The script alone, with a small bound; what it packs is read by Python's own zipfile."""
    random = np.random.default_rng(0)
    held = {f"album/{place}/ü {number}.png": random.bytes(400 - 90 * number) for place in "ab" for number in range(3)}
    for name, data in held.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    page = opened(browser, "about:blank")
    page.set_content(f"<div id=field><input type=file multiple></div><div id=more>{many_pairs.ADDING}</div>")
    run = """([script, most]) => new Function("element", "props", script)(
        document.getElementById("more"), { field: "field", endings: [".png"], most })"""
    page.evaluate(run, [(Path(many_pairs.__file__).parent / "folder.js").read_text(), 900])
    page.locator("#more input").set_input_files(tmp_path / "album")
    page.wait_for_function("document.querySelector('#field input').files.length")
    sent = page.evaluate("""async () => Promise.all([...document.querySelector("#field input").files].map(async (one) =>
        [one.name, [...new Uint8Array(await one.arrayBuffer())]]))""")
    assert [name for name, _ in sent] == ["album.zip", "album 2.zip", "album 3.zip"]
    found = {}
    for _, data in sent:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            assert archive.testzip() is None
            found |= {name: archive.read(name) for name in archive.namelist()}
    assert found == held
    (tmp_path / "album" / "large.png").write_bytes(bytes(901))
    page.locator("#more input").set_input_files(tmp_path / "album")
    refused = "The folder was not taken: album/large.png has 1 MB, at most 0.0009 MB are taken."
    expect(page.locator("#more [role=status]")).to_have_text(refused)
