"""`tests/offline` takes the network away."""

from __future__ import annotations

import pytest
from support import ROOT, run_offline, write_notebook


@pytest.mark.process
def test_the_network_is_blocked(tmp_path):
    path = ROOT / "notebooks" / "zz_network.ipynb"
    try:
        source = "import urllib.request\nurllib.request.urlopen('http://example.org', timeout=5)"
        write_notebook(path.parent, path.stem, 'PROFILE = "quick"', source)
        process = run_offline(path, tmp_path)
    finally:
        path.unlink()
    assert process.returncode == 1
    assert "network is blocked" in process.stdout
