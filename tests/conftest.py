"""Where the real images are, which examples property tests try, and that Ctrl-C works."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import FUZZ, REAL

# A shell that runs tests in the background lets them ignore Ctrl-C, and so would all that they start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in each run, so that what passed once passes again; others, and more, where FUZZ says so.
BUSY = [HealthCheck.too_slow, HealthCheck.data_too_large]  # what they blame is the machine, or a folder with much in it
settings.register_profile("this project", derandomize=not FUZZ, deadline=None, suppress_health_check=BUSY)
settings.load_profile("this project")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is missing."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not on this machine")
    return REAL
