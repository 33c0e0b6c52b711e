"""`whatchanged` starts light, and every command explains itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import ROOT, assert_help

from whatchanged.__main__ import parser


def test_what_is_heavy_loads_late(tmp_path):
    script = (
        "import sys; from whatchanged.__main__ import main; main(sys.argv[1:]);"
        "print(sorted({'torch', 'tensorflow', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    image = str(ROOT / "images" / "changes.png")
    for method in ("pixel", "ssim", "tolerant"):
        command = [sys.executable, "-c", script, "diff", image, image, "--method", method]
        command += ["--output", str(tmp_path / "drawn.png")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_help_loads_nothing_heavy():
    script = "import sys; import whatchanged.__main__ as m; m.parser(); "
    script += "print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", ["diff", "describe", "app"])
def test_every_command_has_help(command, capsys):
    assert_help(parser(), command, capsys)
