"""A browser, the app with and without trained models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models
from browsing import SCREENSHOTS, App
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "these tests need Chromium: on Debian, apt-get install chromium"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    describer = tiny_models.describer(folder / "describer", knows=True)
    return describer, tiny_models.classifier(folder / "classifier.safetensors", knows=True)


@pytest.fixture(scope="session")
def app(tmp_path_factory, trained) -> Iterator[App]:
    describer, classifier = map(str, trained)
    app = App(tmp_path_factory.mktemp("app"), "--model-path", describer, "--defect-model", classifier)
    yield app
    app.process.terminate()
    app.process.wait(20)
    assert app.files() == [], "what visitors left is deleted when the server stops"


@pytest.fixture(scope="session")
def bare_app(tmp_path_factory) -> Iterator[App]:
    """The app of someone who has trained nothing yet."""
    app = App(tmp_path_factory.mktemp("bare"), "--model-path", "nowhere", "--defect-model", "nowhere")
    yield app
    app.process.terminate()
    app.process.wait(20)
