"""The report in a real browser, from files: by mouse and by keyboard, light and dark, on a desktop and on a phone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SCREENSHOTS, opened
from playwright.sync_api import Page, expect

from whatchanged.detection import detect
from whatchanged.documents import as_record
from whatchanged.embedded import thumbnail
from whatchanged.pages import Page as Sheet
from whatchanged.report import Entry, pair_fragment, report_index, report_page


def pair(kind: str) -> tuple[Sheet, object]:
    """A page of bars three of which changed; or a photograph and one taken a bit to the side."""
    random = np.random.default_rng(3)
    before = np.full((360, 480, 3), 245, np.uint8)
    for y in range(20, 340, 40):
        before[y : y + 16, 30 : int(random.integers(200, 440))] = 60
    if kind == "camera":
        before = cv2.GaussianBlur(random.integers(0, 256, before.shape).astype(np.uint8), (0, 0), 4)
        before = cv2.normalize(before, None, 0, 255, cv2.NORM_MINMAX)
    after = before.copy()
    for y, x in ((100, 60), (180, 300), (300, 120)):
        cv2.circle(after, (x, y), 16, (210, 30, 30), -1)
    if kind == "camera":
        after = cv2.warpAffine(after, np.array([[1, 0.02, 9], [-0.02, 1, -7.0]]), (480, 360))
    found = detect(before, after, kind=kind)
    assert len(found.regions) == 3
    return Sheet(1, before, after), found


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A folder with the reports of two pairs, the page over them, and a page that holds both pairs."""
    folder, entries, fragments = tmp_path_factory.mktemp("reports"), [], []
    for kind in ("exact", "camera"):
        seen = pair(kind)
        record = {"before": f"{kind}_before.png", "after": f"{kind}_after.png"} | as_record([seen[1]])
        (folder / f"{kind}.html").write_text(report_page(f"The {kind} pair", [seen], record, index="index.html"))
        small = thumbnail(seen[0].before), thumbnail(seen[0].after)
        entries.append(Entry(f"{kind}.png", "changed", f"{kind}.html", *small, record))
        fragments.append(pair_fragment([seen], record))
    entries.append(Entry("a same.png", "same", "", *small, {"regions": [], "similarity": 1.0}))
    entries.append(Entry("broken.png", "unreadable", reason="broken.png is cut off"))
    (folder / "index.html").write_text(report_index("Many pairs", entries))
    both = f"<!DOCTYPE html><html lang=en><title>Both</title><main><h1>Both</h1>{''.join(fragments)}</main></html>"
    (folder / "both.html").write_text(both)
    return folder


def violations(page: Page) -> list[tuple[str, str]]:
    """All that axe finds, however slight."""
    return [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def view_of(page: Page) -> str:
    return page.locator(".whatchanged").first.get_attribute("data-view")


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("name", ["exact", "camera", "index"])
def test_no_barrier_and_nothing_from_outside(browser, reports, name, size):
    told: list[str] = []
    for scheme in ("light", "dark"):
        page = opened(browser, (reports / f"{name}.html").as_uri(), size, color_scheme=scheme, offline=True)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.reload()
        for key in "1234" if (name, scheme) == ("camera", "light") else "1":
            page.keyboard.press(key)
            assert violations(page) == [], (scheme, key)
            assert fits(page)
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        page.set_viewport_size({"width": 320, "height": 700})
        assert fits(page)
        page.set_viewport_size({"width": 1280 if size == "desktop" else 390, "height": 900})
        page.screenshot(path=SCREENSHOTS / f"report_{name}_{size}_{scheme}.png")
        assert page.foreign == []
        page.context.close()
    assert told == []


def test_by_keyboard(browser, reports):
    page = opened(browser, (reports / "exact.html").as_uri())
    for key, name in (("2", "swipe"), ("3", "blink"), ("4", "heat"), ("1", "side")):
        page.keyboard.press(key)
        assert view_of(page) == name
    chosen = page.locator(".region[aria-current=true]")
    for key, number in (("n", "1"), ("ArrowRight", "2"), ("p", "1"), ("ArrowLeft", "3"), ("n", "1")):
        page.keyboard.press(key)
        expect(chosen).to_have_attribute("data-region", number)
        expect(page.locator(".tools .status")).to_contain_text(f"Region {number} of 3: ")
        assert page.locator(".box.chosen").count() == 2
    page.keyboard.press("b")
    assert page.locator(".box:visible").count() == 0
    page.keyboard.press("b")
    assert page.locator(".box:visible").count() == 6
    assert page.locator(".box:not(.quiet) b:visible").count() == 6
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    reached = set()
    page.locator("body").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(document.activeElement.ariaLabel || document.activeElement.textContent).trim()"))
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring == "solid" or page.evaluate("document.activeElement === document.body")
    controls = {"Light or dark", "All pairs", "Slider", "Blink", "Heat map", "Boxes", "Next region", "Keys"}
    assert controls <= reached
    assert any(one.startswith("3 · ") for one in reached)


def test_the_slider_shows_before_to_its_left_and_after_to_its_right(browser, reports):
    page = opened(browser, (reports / "exact.html").as_uri())
    page.get_by_role("button", name="Slider").click()
    slider, plane = page.get_by_role("slider"), page.locator(".plane")

    def shown() -> tuple[str, str]:
        return tuple(
            page.evaluate(f"getComputedStyle(document.querySelector('.{side}')).clipPath")
            for side in ("before", "after")
        )

    assert shown() == ("inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)")
    place = plane.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + 20)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 4, place["y"] + 40)
    page.mouse.up()
    page.mouse.move(place["x"], place["y"])
    assert float(slider.input_value()) == pytest.approx(25, abs=0.5)
    slider.focus()
    page.keyboard.press("End")
    assert shown() == ("inset(0px 0% 0px 0px)", "inset(0px 0px 0px 100%)")
    page.keyboard.press("ArrowLeft")
    assert 90 < float(slider.input_value()) < 100
    assert slider.get_attribute("aria-valuetext").endswith("% before")
    assert abs(slider.bounding_box()["width"] - place["width"]) < 1, "the slider is as wide as the picture"


def test_the_pictures_lie_on_each_other(browser, reports):
    """A dot that was added is at its place, wherever the camera stood; beside the dots hardly a pixel differs."""
    page = opened(browser, (reports / "camera.html").as_uri())
    page.keyboard.press("3")
    page.get_by_role("button", name="Pause").click()
    page.keyboard.press("b")
    shots = []
    for _ in range(2):
        shot = page.locator(".plane").screenshot()
        shots.append(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(int))
        page.get_by_role("button", name="Show the other").click()
    factor = shots[0].shape[1] / 480
    inner = np.s_[int(30 * factor) : int(330 * factor), int(30 * factor) : int(450 * factor)]
    apart = np.abs(shots[0] - shots[1])[inner].max(axis=2) > 40
    y, x = np.argwhere(apart).T / factor + 30
    dots = [np.hypot(x - a, y - b) < 18 for a, b in ((60, 100), (300, 180), (120, 300))]
    assert np.logical_or.reduce(dots).mean() > 0.97
    assert min(dot.sum() for dot in dots) > 200


def test_blink_stops_where_motion_is_not_wanted(browser, reports):
    face = "document.querySelector('.whatchanged').dataset.face"
    page = opened(browser, (reports / "exact.html").as_uri(), reduced_motion="reduce")
    page.keyboard.press("3")
    page.wait_for_timeout(1000)
    assert page.evaluate(face) == "before"
    page.keyboard.press(" ")
    assert page.evaluate(face) == "after"
    expect(page.locator(".face")).to_have_text("After")
    page = opened(browser, (reports / "exact.html").as_uri())
    page.keyboard.press("3")
    for side in ("after", "before"):
        expect(page.locator(".whatchanged")).to_have_attribute("data-face", side)
    page.get_by_role("button", name="Pause").click()
    now = page.evaluate(face)
    page.wait_for_timeout(1000)
    assert page.evaluate(face) == now


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_labels_cover_no_box_and_boxes_lie_on_the_picture(browser, reports, size):
    page = opened(browser, (reports / "exact.html").as_uri(), size)
    page.wait_for_timeout(200)
    overlaps = """[...document.querySelectorAll('.frame')].flatMap(frame => {
        const boxes = [...frame.querySelectorAll('.box')];
        return boxes.flatMap((one, number) => boxes.filter((other, also) => {
            const a = one.firstChild.getBoundingClientRect(), b = other.getBoundingClientRect();
            const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
            return number !== also && a.width && !apart;
        }))}).length"""
    assert page.evaluate(overlaps) == 0
    picture, box = page.locator(".before img").first.bounding_box(), page.locator(".before .box").first.bounding_box()
    region = pair("exact")[1].regions[0]
    assert (box["x"] - picture["x"]) / picture["width"] == pytest.approx(region.x / 480, abs=1e-3)
    assert (box["y"] - picture["y"]) / picture["height"] == pytest.approx(region.y / 360, abs=1e-3)
    assert box["width"] / picture["width"] == pytest.approx(region.width / 480, abs=1e-3)
    stacked = page.locator(".after").bounding_box()["y"] > picture["y"] + picture["height"]
    assert stacked == (size == "phone")
    page.locator(".region").last.click()
    expect(page.locator(".before .box.chosen")).to_be_in_viewport()
    page.get_by_label("Size").select_option("200 %")
    assert page.locator(".before img").first.bounding_box()["width"] == 960
    assert fits(page)


def test_enlarged_each_picture_is_a_pane_and_both_show_the_region(browser, reports):
    page = opened(browser, (reports / "exact.html").as_uri())
    page.get_by_label("Size").select_option("400 %")
    for number in (0, -1):
        page.locator(".region").nth(number).click()
        for side in (".before", ".after"):
            expect(page.locator(f"{side} .box.chosen")).to_be_in_viewport()
    places = "[...document.querySelectorAll('figure')].map(one => [one.scrollLeft, one.scrollTop])"
    page.locator("figure.after").hover()
    page.mouse.wheel(-150, -100)
    page.wait_for_function(f"(([one, two]) => String(one) === String(two))({places})")
    page.locator("figure.before").hover()
    page.mouse.wheel(90, 60)
    page.wait_for_function(f"(([one, two]) => String(one) === String(two))({places})")
    assert page.evaluate(places)[0] != [0, 0]
    assert fits(page)
    assert violations(page) == []
    page.get_by_role("button", name="Slider", exact=True).click()
    assert page.locator("figure[tabindex]").count() == 0


def test_light_or_dark_is_remembered(browser, reports):
    page = opened(browser, (reports / "exact.html").as_uri(), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_the_page_over_many_filters_searches_and_sorts(browser, reports):
    page = opened(browser, (reports / "index.html").as_uri())
    shown = page.locator(".entries > li:visible .name")
    expect(shown).to_have_text(["exact.png", "camera.png", "a same.png", "broken.png"])
    page.get_by_role("button", name="Unreadable 1").click()
    expect(shown).to_have_text(["broken.png"])
    expect(page.get_by_role("status")).to_have_text("1 of 4 shown")
    page.get_by_role("button", name="All 4").click()
    page.get_by_label("Search").fill("AM")
    expect(shown).to_have_text(["camera.png", "a same.png"])
    page.get_by_label("Search").fill("")
    page.get_by_label("Order").select_option("Name")
    expect(shown).to_have_text(["a same.png", "broken.png", "camera.png", "exact.png"])
    page.get_by_label("Order").select_option("Least similar")
    expect(shown.last).to_have_text("broken.png")
    page.get_by_role("link", name="camera.png").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The camera pair")
    page.get_by_role("link", name="All pairs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Many pairs")


def test_two_pairs_in_one_page_do_not_know_each_other(browser, reports):
    page = opened(browser, (reports / "both.html").as_uri())
    assert violations(page) == []
    first, second = (page.locator(".whatchanged").nth(number) for number in (0, 1))
    page.keyboard.press("2")
    assert first.get_attribute("data-view") == "side", "keys belong to what has the focus"
    second.get_by_role("button", name="Boxes").focus()
    page.keyboard.press("2")
    page.keyboard.press("n")
    assert [one.get_attribute("data-view") for one in (first, second)] == ["side", "swipe"]
    assert [one.locator("[aria-current=true]").count() for one in (first, second)] == [0, 1]


def test_without_scripts_and_on_paper_both_pictures_stand_there(browser, reports):
    page = opened(browser, (reports / "camera.html").as_uri(), java_script_enabled=False)
    expect(page.locator(".frame img:visible")).to_have_count(2)
    expect(page.locator(".box:visible")).to_have_count(6)
    expect(page.get_by_role("button", name="Slider")).not_to_be_visible()
    page = opened(browser, (reports / "camera.html").as_uri())
    page.keyboard.press("2")
    page.emulate_media(media="print")
    expect(page.locator(".frame img:visible")).to_have_count(2)
    expect(page.get_by_role("button", name="Slider")).not_to_be_visible()


def test_in_the_page_of_a_notebook_no_word_lies_on_another(browser, tmp_path):
    """nbconvert's page, as JupyterLab, has a style for lists, which is not for these."""
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    seen = pair("camera")
    shown = new_output("display_data", data={"text/html": pair_fragment([seen], as_record([seen[1]]), pixels=10_000)})
    html, _ = HTMLExporter().from_notebook_node(new_notebook(cells=[new_code_cell("1", outputs=[shown])]))
    (tmp_path / "cell.html").write_text(html)
    page = opened(browser, (tmp_path / "cell.html").as_uri(), offline=True)
    overlaps = """[...document.querySelectorAll(".summary dl > div")].filter((row) => {
        const [name, value] = [...row.children].map((one) => one.getBoundingClientRect());
        return name.right > value.left || name.bottom > value.bottom + 1;
    }).map((row) => row.textContent)"""
    assert page.locator(".summary dl > div").count() >= 4
    assert page.evaluate(overlaps) == []
    left = [page.locator(one).first.bounding_box()["x"] for one in (".regions", ".regions > li")]
    assert left[0] == left[1], "no room is left for the numbers of a list"
