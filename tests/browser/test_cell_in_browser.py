"""The cell of `compare` where neither script nor style sheet is left of it, as in a notebook that is not trusted."""

from __future__ import annotations

import re

import numpy as np
from browsing import SCREENSHOTS, opened
from playwright.sync_api import expect

from whatchanged.comparison import compare


def sanitized(html: str) -> str:
    """What JupyterLab leaves of the HTML of a notebook that is not trusted."""
    html = re.sub(r"<(style|script)>.*?</\1>|</?dialog[^>]*>", "", html, flags=re.S)
    html = re.sub(r' (?:data-|aria-|role=|tabindex=)[\w-]*(?:="?[^" >]*"?)?', "", html)
    return re.sub(r"(?<= )hidden(?![=\w])|--[a-z]+:\d+;?", "", html)


def test_it_is_both_pictures_with_boxes(browser):
    before = np.full((300, 400, 3), 200, np.uint8)
    before[::7] = 90
    after = before.copy()
    after[60:120, 100:180] = (20, 40, 160)
    left = sanitized(compare(before, after).html)
    assert "<style" not in left
    assert "data-scripted" not in left
    page = opened(browser, "about:blank")
    page.set_content(f"<body style='width: 300px'>{left}</body>")
    for name in ("Before", "After"):
        picture = page.get_by_alt_text(f"{name}, 400 × 300 pixels", exact=True)
        edge = picture.bounding_box()
        box = picture.locator("xpath=..").locator(".box").bounding_box()
        scale = edge["width"] / 400
        place = [(box["x"] - edge["x"]) / scale, (box["y"] - edge["y"]) / scale]
        assert np.allclose(place, [100, 60], atol=2)
        assert np.allclose([box["width"] / scale, box["height"] / scale], [80, 60], atol=8)  # and its border
    expect(page.locator(".region")).to_contain_text("x 100, y 60, 80 × 60")
    expect(page.locator("button:not(.region)").locator("visible=true")).to_have_count(0)
    expect(page.get_by_text("next region")).to_be_hidden()
    expect(page.locator("img.heat")).to_be_hidden()
    page.screenshot(path=SCREENSHOTS / "cell_not_trusted.png", full_page=True)


def test_with_its_script_everything_is_there(browser):
    before = np.full((300, 400, 3), 200, np.uint8)
    after = before.copy()
    after[60:120, 100:180] = (20, 40, 160)
    page = opened(browser, "about:blank")
    page.set_content(compare(before, after).html)
    assert page.locator(".box").first.evaluate("(box) => getComputedStyle(box).borderWidth") == "0px"
    page.get_by_role("button", name="Heat map").click()
    expect(page.locator("img.heat")).to_be_visible()
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_text("next region")).to_be_visible()
