"""`whatchanged` starts light, and every command explains itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib

import pytest
from PIL import Image
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


def test_an_exact_pair_loads_no_more_than_it_needs(tmp_path):
    for name, color in (("before", 0), ("after", 200)):
        picture = Image.new("RGB", (200, 100), "white")
        picture.paste((color, 0, 0), (50, 40, 90, 60))
        picture.save(tmp_path / f"{name}.png")
    script = (
        "import sys; from whatchanged.__main__ import main; print(main(sys.argv[1:]),"
        "{'whatchanged.camera', 'whatchanged.alignment', 'numpy.ma', 'whatchanged.drawing'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "before.png"), str(tmp_path / "after.png")]
    done = subprocess.run([*command, "--json", str(tmp_path / "a.json")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 set()"


def test_help_loads_nothing_heavy():
    script = "import sys; import whatchanged.__main__ as m; m.parser(); "
    script += "print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", ["diff", "describe", "app"])
def test_every_command_has_help(command, capsys):
    assert_help(parser(), command, capsys)


def version_in(folder, *options):
    """What `python -m whatchanged --version` says there."""
    command = [sys.executable, *options, "-m", "whatchanged", "--version"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout


def test_version_of_a_checkout():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version_in(ROOT) == f"whatchanged {version}\n"


def test_version_of_a_copy(tmp_path):
    """Beside a pyproject.toml of another project, whose version is not meant; first not installed, then installed."""
    shutil.copytree(ROOT / "whatchanged", tmp_path / "whatchanged", ignore=shutil.ignore_patterns("examples"))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "7"\n')
    assert version_in(tmp_path, "-S") == "whatchanged of unknown version: it is neither installed nor a checkout\n"
    (tmp_path / "whatchanged-4.5.dist-info").mkdir()
    (tmp_path / "whatchanged-4.5.dist-info" / "METADATA").write_text("Name: whatchanged\nVersion: 4.5\n")
    assert version_in(tmp_path) == "whatchanged 4.5\n"


@pytest.mark.parametrize("module", ["whatchanged", "course"])
def test_a_bare_call_is_helped_and_is_no_success(module):
    """0 would say "no difference" to a script whose variables are empty."""
    bare, asked = (
        subprocess.run([sys.executable, "-m", module, *more], cwd=ROOT, capture_output=True, text=True, check=False)
        for more in ([], ["--help"])
    )
    assert (bare.returncode, bare.stdout) == (2, "")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert bare.stderr == asked.stdout
