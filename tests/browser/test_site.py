"""The website in a real browser, from files: no server, no network."""

from __future__ import annotations

import pytest
from browsing import SCREENSHOTS, barriers, opened
from playwright.sync_api import expect

from course import website
from course.notebooks import NOTEBOOKS

PAGES = website.pages_of(NOTEBOOKS)
DOCS = sorted(path.stem for path in website.DOCS.glob("*.md") if path.name not in website.APART)
NOTES = [f"notebooks/{place.removesuffix('.ipynb')}" for place in PAGES]
NAMES = ["index", "api", "command_line", website.QUESTIONS, *NOTES, *(f"docs/{name}" for name in DOCS)]
WIDE = {"width": 1440, "height": 900}
BROAD = """[...document.querySelectorAll("article table")].filter((table) => {
    let one = table;
    while (one.tagName !== "ARTICLE" && getComputedStyle(one).overflowX !== "auto") one = one.parentElement;
    return one.tagName === "ARTICLE" && table.getBoundingClientRect().right > one.getBoundingClientRect().right;
}).length"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site") / "site"
    assert website.build(PAGES, target) == []
    return target


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_accessible_and_whole(browser, site, name, size):
    for scheme in ("light", "dark"):
        page = opened(browser, (site / f"{name}.html").as_uri(), size, color_scheme=scheme)
        assert barriers(page) == [], scheme
        assert page.foreign == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert page.evaluate(BROAD) == 0, "a table scrolls in itself"
        if name.endswith(("index", "01_classic_diff", "your_pictures")):
            page.screenshot(path=SCREENSHOTS / f"site_{name.split('/')[-1]}_{size}_{scheme}.png")
        page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_code_fits_its_box(browser, site, name):
    """What a reader reads as code, with no line wrapped; what else is too long, as a printed list, is wrapped."""
    page = opened(browser, (site / f"{name}.html").as_uri())
    page.set_viewport_size(WIDE)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    broad = "[...document.querySelectorAll('pre')].filter((one) => one.scrollWidth > one.clientWidth).length"
    assert page.evaluate(broad) == 0
    page.add_style_tag(content=".cell_input pre, .highlight-python pre { white-space: pre !important; }")
    assert page.evaluate(broad) == 0
    page.context.close()


def test_a_figure_opens_as_large_as_it_is(browser, site):
    page = opened(browser, (site / "notebooks" / "01_classic_diff.html").as_uri(), "phone")
    figure = page.locator("article .cell_output img").first
    small, large = figure.evaluate("one => [one.clientWidth, one.naturalWidth]")
    assert small < large
    figure.click()
    page.wait_for_url("**/_images/*.png")
    assert page.locator("img").evaluate("one => one.naturalWidth") == large


def test_search(browser, site):
    """From files, where a page may not fetch another, there are excerpts all the same."""
    page = opened(browser, f"{(site / 'search.html').as_uri()}?q=papermill")
    expect(page.locator("#search-results a").first).to_be_visible()
    expect(page.locator("#search-results p.context", has_text="papermill alone does not refuse").first).to_be_visible()
    assert page.foreign == []
    page = opened(browser, f"{(site / 'search.html').as_uri()}?q=hippopotamus")
    expect(page.get_by_text("did not match any documents")).to_be_visible()


def test_from_the_front_page_to_the_docs_and_on(browser, site):
    page = opened(browser, (site / "index.html").as_uri())
    page.locator("article").get_by_role("link", name="Your pictures").click()
    assert page.url.endswith("docs/your_pictures.html")
    page.locator("article").get_by_role("link", name="From one machine to many").click()
    assert page.url.endswith("docs/scale.html")
    expect(page.get_by_role("heading", name="Very many pairs")).to_be_visible()


def test_ways_through_the_site(browser, site):
    page = opened(browser, (site / "index.html").as_uri())
    page.get_by_role("heading", name="01 ").get_by_role("link").first.click()
    assert page.url.endswith("01_classic_diff.html")
    page.locator("a.right-next").click()
    assert page.url.endswith("02_resnet18_defects.html")
    page.locator("a.left-prev").click()
    assert page.url.endswith("01_classic_diff.html")
    expect(page.locator("button.copybtn").nth(10)).to_be_attached()
    for mode in ("dark", "light"):
        page.get_by_label("Color mode").click()
        page.locator(f".theme-change-button[data-mode={mode}]").first.click()
        expect(page.locator("html")).to_have_attribute("data-theme", mode)
    page.get_by_label("Download this page").click()
    notebook = page.locator("a[href$='_sources/notebooks/01_classic_diff.ipynb']").first
    expect(notebook).to_be_visible()  # from a disk the browser opens it, from a server it saves it
