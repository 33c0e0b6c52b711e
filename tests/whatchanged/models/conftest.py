"""Pairs for the models that describe them."""

from __future__ import annotations

import pytest
from tiny_tblip2 import CHANGES

from helpers import scenes


@pytest.fixture(scope="module")
def pairs():
    return [scenes.scene_pair(3, i, size=48, changes=(count, count)) for i, count in enumerate(CHANGES)]
