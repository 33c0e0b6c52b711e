"""The app in a real browser: what a visitor does, and what they see."""

from __future__ import annotations

import base64
import csv
import json
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from browsing import PATIENCE, SCREENSHOTS, barriers, opened
from PIL import Image
from playwright.sync_api import Page, Route, expect

from helpers import scenes, surfaces
from helpers.changes import write_dataset
from helpers.nuisances import CONDITIONS
from helpers.photographs import photo_pair
from whatchanged.detection import detect
from whatchanged.drawing import draw_regions
from whatchanged.images import read_image
from whatchanged.models import resnet18
from whatchanged.models.describer import Describer
from whatchanged.regions import rounded_down

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two photographs with two edits, as files."""
    folder = tmp_path_factory.mktemp("pair")
    made = photo_pair(2, name="coffee", edits=(2, 2), nuisance=CONDITIONS["shift 2 px"])
    for side in ("before", "after"):
        Image.fromarray(getattr(made, side)).save(folder / f"{side}.png")
    return folder / "before.png", folder / "after.png"


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


def field(page: Page, label: str):
    return page.locator(".block", has=page.get_by_text(label, exact=True)).last


def put(page: Page, label: str, path: Path) -> None:
    """Choose a file in the field's dialog, and wait until it has arrived."""
    with page.expect_response(re.compile("/upload"), timeout=PATIENCE):
        field(page, label).locator("input[type=file]").set_input_files(str(path))
    page.wait_for_timeout(500)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def downloaded(page: Page, name: str) -> Path:
    with page.expect_download() as download:
        page.get_by_text(name, exact=True).click()
    return Path(download.value.path())


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_pair_is_dragged_in_compared_and_described(browser, app, trained, pair, size):
    page = opened(browser, app.address, size)
    for label, path in zip(("Before", "After"), pair, strict=True):
        drop(page, label, path)
    press(page, "Compare")
    before, after = map(read_image, pair)
    found, words = detect(before, after), Describer(trained[0])(before, after)
    expect(page.get_by_label("In words")).to_have_value(re.compile(re.escape(words)))
    expect(page.get_by_label("Similarity, 0 to 1")).to_have_value(f"{rounded_down(found.similarity, 4):.4f}")
    expect(page.get_by_text(f"{len(found.regions)} regions differ. Photographs: laid on each")).to_be_visible()
    assert len(found.regions) == 2
    for one in found.regions:
        row = page.get_by_role("row").filter(has_text=", ".join(map(str, one.box)))
        expect(row).to_contain_text(one.what)
        expect(row).to_contain_text(", ".join(map(str, one.after)))
    boxed = read_image(downloaded(page, "Download this picture"))
    np.testing.assert_array_equal(boxed, draw_regions(before, after, found))
    for name in ("What differs, boxed and numbered", "How much each place differs", "Before and after: drag the line"):
        expect(field(page, name).locator("img").first).to_be_visible()
    assert fits(page)
    assert barriers(page) == []
    page.screenshot(path=SCREENSHOTS / f"two_pictures_{size}.png", full_page=True)

    page.get_by_text("Settings").click()
    page.get_by_label("Exact", exact=True).check()
    press(page, "Compare")
    exact = detect(before, after, kind="exact")
    expect(page.get_by_label("Similarity, 0 to 1")).to_have_value(f"{rounded_down(exact.similarity, 4):.4f}")
    page.get_by_label("Automatic", exact=True).check()
    page.get_by_label("SSIM", exact=True).check()
    page.get_by_label("Off", exact=True).check()
    press(page, "Compare")
    other = detect(before, after, method="ssim", align=False)
    expect(page.get_by_label("Similarity, 0 to 1")).to_have_value(f"{rounded_down(other.similarity, 4):.4f}")
    page.get_by_label("T-BLIP2", exact=True).check()
    press(page, "Compare")
    third = Describer(trained[0]).difference(before, after)
    expect(page.get_by_label("Similarity, 0 to 1")).to_have_value(f"{rounded_down(third.similarity, 4):.4f}")
    assert page.foreign == []


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_many_pairs_in_a_zip(browser, app, tmp_path, size):
    data = write_dataset(tmp_path / "data", (scenes.scene_pair(1, index, changes=(index, index)) for index in range(3)))
    (data / "after" / "000001.png").write_text("this is no image")
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for path in sorted(data.rglob("*.png")):
            archive.write(path, path.relative_to(data))
    page = opened(browser, app.address, size)
    page.get_by_role("tab", name="Many pairs").click()
    put(page, "Pictures or a zip", tmp_path / "pairs.zip")
    press(page, "Compare all")
    expect(page.get_by_text("3 pairs: 1 differ, 1 do not, 1 bad.")).to_be_visible()
    assert page.get_by_label("What differs in each pair").locator("tr").count() == 4
    assert page.get_by_label("What differs in each pair").locator("img").count() == 2
    expect(page.get_by_label("What differs in each pair")).to_contain_text(
        "000001.png is not an image that can be read"
    )
    records = json.loads(downloaded(page, "Download JSON").read_text())
    expected = detect(*(read_image(data / side / "000002.png") for side in ("before", "after")))
    assert [record["regions"] for record in records] == [0, "", len(expected.regions)]
    assert records[2]["boxes"] == [list(region.box) for region in expected.regions]
    assert records[2]["words"]
    rows = list(csv.DictReader(downloaded(page, "Download CSV").open()))
    assert [row["before"] for row in rows] == ["000000.png", "000001.png", "000002.png"]
    assert rows[2]["similarity"] == str(records[2]["similarity"])
    assert fits(page)
    assert page.foreign == []
    page.screenshot(path=SCREENSHOTS / f"many_pairs_{size}.png", full_page=True)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path: Path, side: int) -> Path:
    """A small PNG that says it has side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(side + 1) * 100)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_bad_files_are_refused_in_a_sentence(browser, app, pair, tmp_path):
    (tmp_path / "letter.png").write_text("this is no image")
    page = opened(browser, app.address)
    press(page, "Compare")
    expect(page.get_by_text("There are not two pictures yet: put one into each field.")).to_be_visible()
    put(page, "Before", pair[0])
    put(page, "After", tmp_path / "letter.png")
    press(page, "Compare")
    expect(page.get_by_text("letter.png is not an image that can be read", exact=True)).to_be_visible()
    other = opened(browser, app.address)
    for side, told in ((30_000, "900,000,000"), (8_000, "8000x8000")):
        name = f"bomb {side}.png"
        for label in ("Before", "After"):
            put(other, label, bomb(tmp_path / name, side))
        press(other, "Compare")
        expect(other.get_by_text(f"{name} has {told} pixels: at most 25,000,000 are read")).to_be_visible()
    other.screenshot(path=SCREENSHOTS / "refused.png")
    for one in (page, other):
        assert "Traceback" not in one.content()
    assert "Traceback" not in app.log.read_text()


def test_a_file_that_is_too_large_is_refused(browser, app, tmp_path):
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(43_000_000))
    page = opened(browser, app.address)
    put(page, "Before", tmp_path / "large.png")
    expect(
        page.get_by_text(re.compile(r"exceed the maximum allowed size of 40.0 Mb: .large\.png")).first
    ).to_be_visible()


def test_work_is_cancelled(browser, app, tmp_path):
    big = np.full((1200, 1600, 3), 90, np.uint8)
    big[:100, :100] = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
    for name in ("x.png", "x_2.png"):
        Image.fromarray(big).save(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for number in range(40):
            for name in ("x.png", "x_2.png"):
                archive.write(tmp_path / name, f"{number}{name[1:]}")
    page = opened(browser, app.address)
    page.get_by_role("tab", name="Many pairs").click()
    put(page, "Pictures or a zip", tmp_path / "pairs.zip")
    press(page, "Compare all")
    expect(page.get_by_text(re.compile(r"\d+ of 40 pairs"))).to_be_visible()
    held: list[Route] = []
    page.route("**/cancel", lambda route: held.append(route))
    with page.expect_request("**/cancel"):
        press(page, "Cancel")
    page.wait_for_timeout(2000)  # on a slow line more pairs are compared after the button was pressed
    held[0].continue_()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    page.wait_for_timeout(3000)
    assert page.get_by_label("What differs in each pair").locator("tr").count() < 40
    expect(page.get_by_text("Stopped.")).to_be_visible()


def test_a_surface_is_judged(browser, app, trained, tmp_path):
    wall = surfaces.surface(21, 0, size=96).image
    Image.fromarray(wall).save(tmp_path / "wall.png")
    page = opened(browser, app.address)
    page.get_by_role("tab", name="Defects").click()
    put(page, "A surface", tmp_path / "wall.png")
    expect(field(page, "A surface").locator("img")).to_be_visible()
    press(page, "Judge")
    probabilities, _ = resnet18.Classifier.load(trained[1])(wall)
    likely = max(probabilities, key=probabilities.get)
    expect(field(page, "How sure it is")).to_contain_text(f"{probabilities[likely]:.0%}")
    expect(field(page, "Where the network saw a crack").locator("img")).to_be_visible()
    assert page.foreign == []
    page.screenshot(path=SCREENSHOTS / "defects_desktop.png", full_page=True)


def test_without_trained_models_the_rest_works(browser, bare_app, pair):
    page = opened(browser, bare_app.address)
    for label, path in zip(("Before", "After"), pair, strict=True):
        put(page, label, path)
        expect(field(page, label).locator("img")).to_be_visible()
    press(page, "Compare")
    expect(page.get_by_text("2 regions differ. ")).to_be_visible()
    expect(page.get_by_label("In words")).to_have_value(re.compile("no trained model in nowhere: give the folder"))
    page.get_by_role("tab", name="Defects").click()
    page.get_by_text("Surfaces to begin with").wait_for()
    put(page, "A surface", pair[0])
    expect(field(page, "A surface").locator("img")).to_be_visible()
    press(page, "Judge")
    expect(page.get_by_text(re.compile("there is no trained model in nowhere: give the file"))).to_be_visible()


def test_by_keyboard_and_for_screen_readers(browser, app):
    page = opened(browser, app.address)
    page.get_by_role("button", name="Compare", exact=True).wait_for()
    page.get_by_role("tab", name="Two pictures").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Compare":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("There are not two pictures yet: put one into each field.")).to_be_visible()
    assert barriers(page) == []


def test_dark(browser, app):
    page = opened(browser, app.address, color_scheme="dark")
    page.get_by_role("button", name="Compare", exact=True).wait_for()
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    press(page, "Light or dark")
    assert page.evaluate(ground) != dark


def test_uploads_are_deleted_when_the_visitor_leaves(browser, app, tmp_path):
    before = set(app.files())
    page = opened(browser, app.address)
    Image.fromarray(np.full((64, 64, 3), 7, np.uint8)).save(tmp_path / "mine.png")
    for label in ("Before", "After"):
        put(page, label, tmp_path / "mine.png")
        expect(field(page, label).locator("img")).to_be_visible()
    press(page, "Compare")
    expect(page.get_by_text("No difference. ")).to_be_visible()
    made = set(app.files()) - before
    assert any(path.name == "mine.png" for path in made)
    assert any(path.name == "changes.png" for path in made)
    page.context.close()
    deadline = time.monotonic() + 30
    while made & set(app.files()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert made & set(app.files()) == set()
