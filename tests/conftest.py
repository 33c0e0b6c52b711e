"""Where the real images are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import REAL


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is missing."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not on this machine")
    return REAL
