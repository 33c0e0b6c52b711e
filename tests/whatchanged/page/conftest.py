"""A pair for what the page does."""

from __future__ import annotations

import pytest

from helpers.photographs import photo_pair


@pytest.fixture(scope="module")
def pair():
    return photo_pair(2, name="coffee", edits=(3, 3))
