"""The website in a real browser, from files: no server, no network."""

from __future__ import annotations

import pytest
from browsing import SCREENSHOTS, barriers, opened
from playwright.sync_api import expect

from course import website
from course.notebooks import NOTEBOOKS

PAGES = website.pages_of(NOTEBOOKS)
DOCS = sorted(path.stem for path in website.DOCS.glob("*.md") if path.name not in website.APART)
NAMES = ["index", *(f"notebooks/{place.removesuffix('.ipynb')}" for place in PAGES), *(f"docs/{name}" for name in DOCS)]


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
        if name.endswith(("index", "01_classic_diff", "your_pictures")):
            page.screenshot(path=SCREENSHOTS / f"site_{name.split('/')[-1]}_{size}_{scheme}.png")
        page.context.close()


def test_search(browser, site):
    page = opened(browser, f"{(site / 'search.html').as_uri()}?q=papermill")
    expect(page.locator("#search-results a").first).to_be_visible()
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
