"""Seeds, profiles, checks, folders, and an import graph that only goes down."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from support import ROOT

from helpers import runtime
from whatchanged.devices import autocast, precision, quiet_stderr


def test_everything_is_seeded():
    import random

    import torch

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    runtime.seed_everything(3)
    first = draw()
    runtime.seed_everything(3)
    assert draw() == first
    runtime.seed_everything(4)
    assert draw() != first
    for seed in (-1, 2**32, 1.5, "1"):
        with pytest.raises(ValueError, match="SEED is"):
            runtime.seed_everything(seed)


def test_check_passes_fails_and_records(tmp_path, capsys):
    runtime.start(tmp_path, 0)
    runtime.check("accuracy", 0.97, at_least=0.95)
    runtime.check("loss", np.float32(0.5), at_most=0.6)
    runtime.check("both", 1, at_least=0, at_most=1)
    assert capsys.readouterr().out.splitlines() == [
        "accuracy >= 0.95: passed",
        "loss <= 0.6: passed",
        "both >= 0 and <= 1: passed",
    ]
    for value in (0.94, float("nan")):
        with pytest.raises(runtime.CheckFailed, match="accuracy >= 0.95: failed with"):
            runtime.check("accuracy", value, at_least=0.95)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == {"value": None, "bound": ">= 0.95", "passed": False}
    assert metrics["loss"] == {"value": 0.5, "bound": "<= 0.6", "passed": True}
    with pytest.raises(ValueError, match="has no bound"):
        runtime.check("nothing", 1)
    runtime.start(tmp_path, 0)
    assert not (tmp_path / "metrics.json").exists(), "an earlier run's checks must not be taken for this one's"


def test_check_without_start_is_refused(monkeypatch):
    monkeypatch.setattr(runtime, "_output_folder", None)
    with pytest.raises(RuntimeError, match=r"call runtime.start"):
        runtime.check("x", 1, at_least=0)


def test_profile():
    quick, full = {"PAIRS": 10, "WEIGHTS": None}, {"PAIRS": 100, "WEIGHTS": "imagenet"}
    assert vars(runtime.profile("quick", quick=quick, full=full)) == quick
    chosen = runtime.profile("full", quick=quick, full=full, PAIRS=3, WEIGHTS=None)
    assert (chosen.PAIRS, chosen.WEIGHTS) == (3, "imagenet")
    with pytest.raises(ValueError, match="PROFILE is 'fast': choose one of quick, full"):
        runtime.profile("fast", quick=quick, full=full)
    with pytest.raises(ValueError, match="PAIRS"):
        runtime.profile("quick", quick={}, full={"PAIRS": 1})


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runtime.start("../build/test_folders", 0) == ROOT / "build" / "test_folders"
    (tmp_path / "mine").mkdir()
    assert runtime.data_folder("mine") == tmp_path / "mine"
    assert runtime.data_folder("../helpers") == ROOT / "helpers"
    with pytest.raises(FileNotFoundError, match="DATA_DIR is 'nowhere', and neither"):
        runtime.data_folder("nowhere")


def test_precision_and_autocast():
    import torch

    cpu = torch.device("cpu")
    assert precision(cpu) in ("bf16", "fp32")
    a = torch.ones(4, 4)
    with autocast(cpu):
        expected = torch.bfloat16 if precision(cpu) == "bf16" else torch.float32
        assert (a @ a).dtype == expected


def test_show_source_is_the_code():
    assert "def check(" in runtime.show_source(runtime.check).data


def test_colab_installs_only_what_is_missing(tmp_path, monkeypatch):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# comment\nnumpy>=1.26\nno-such-package-xyz>=2  # why\ntorch\n")
    assert runtime.missing_requirements(requirements) == ["no-such-package-xyz>=2"]
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    monkeypatch.setattr(runtime, "ROOT", tmp_path)
    runtime.setup()
    assert commands == [], "outside Colab nothing is installed"
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    runtime.setup()
    assert "no-such-package-xyz>=2" in commands[0]
    assert f"numpy=={np.__version__}" in (tmp_path / "build" / "keep.txt").read_text()


def test_requirements_admit_the_tested_versions_and_these():
    import importlib.metadata

    from packaging.requirements import Requirement

    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    for line in lines:
        requirement = Requirement(line)
        for version in (importlib.metadata.version(requirement.name), pins[requirement.name.lower()]):
            assert version in requirement.specifier, requirement


FLOORS = [
    {"runtime", "images"},
    {"scenes", "surfaces", "loading", "splits", "alignment", "journal"},
    {"differences", "augmentation", "clusters", "captioned", "matching"},
    {"models", "drawing"},
    {"training", "evaluation", "captioning", "plotting"},
    {"comparing", "scale", "website"},
    {"app", "course"},
    {"sweep"},
    {"__main__"},
]


def test_imports_go_down_only():
    floor = {name: height for height, names in enumerate(FLOORS) for name in names}
    for path in (ROOT / "helpers").rglob("*.py"):
        module = path.relative_to(ROOT / "helpers").parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers"):
                below = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                for name in below:
                    assert floor[name] < floor[module], f"{module} imports {name}"


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


def test_stderr_is_swallowed_unless_something_fails(capfd):
    with quiet_stderr():
        os.write(2, b"hello from compiled code")
    assert capfd.readouterr().err == ""

    def fail():
        with quiet_stderr():
            os.write(2, b"what was wrong")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert capfd.readouterr().err == "what was wrong"


def test_the_lock_holds_the_tested_versions():
    """requirements.lock: those of constraints.txt, with hashes, and the licences of docs/licences.md cover them."""

    def pins(text):
        return {name.lower().replace("_", "-"): version for name, version in re.findall(r"^(\S+)==(\S+)", text, re.M)}

    tested = pins((ROOT / "constraints.txt").read_text())
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"^(?=[^\s#])", lock, flags=re.M)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    locked = pins(lock)
    assert {name: locked.get(name) for name in tested} == tested
    listed = {
        name.lower().replace("_", "-")
        for name in re.findall(r"^\| (\S+)", (ROOT / "docs/licences.md").read_text(), re.M)
    }
    assert set(tested) <= listed
