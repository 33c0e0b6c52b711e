"""What the set-up cell installs, and what it leaves alone: with real packages, made here, and a pip that is real."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support import ROOT

from course import installing

PIP_OFFLINE = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}


def wheel(folder, name, version, needs=()):
    """A package of one empty module, as pip installs it."""
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
        archive.writestr(f"{stem}.dist-info/METADATA", "\n".join(["Metadata-Version: 2.1", *metadata, ""]))
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture
def kernel(tmp_path):
    """Python code run in an environment of its own that a set-up cell may install into; `numpy` there is a dummy."""
    shop, place = tmp_path / "shop", tmp_path / "env"
    shop.mkdir()
    for name, version in [("numpy", "1.26"), ("numpy", "2.4"), ("alpha", "1.0"), ("alpha", "3.0"), ("beta", "2.0")]:
        wheel(shop, name, version, needs=["numpy"] if name == "beta" else ())
    wheel(shop, "six", "1.16.0")
    wheel(shop, "six", "1.17.0")
    wheel(shop, "packaging", "99")
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    environment = os.environ | PIP_OFFLINE | {"PIP_FIND_LINKS": str(shop), "PYTHONPATH": str(ROOT)}
    import packaging

    site = next((place / "lib").glob("python3.*/site-packages"))
    (site / "packaging").symlink_to(os.path.dirname(packaging.__file__))
    table = tmp_path / "pyproject.toml"

    def run(*code, has=(), needs=()):
        if has:
            subprocess.run([place / "bin" / "python", "-m", "pip", "install", "-q", *has], check=True, env=environment)
        quoted = ", ".join(f'"{one}"' for one in needs)
        table.write_text(f"[project]\ndependencies = []\n[dependency-groups]\nnotebook-01 = [{quoted}]\n")
        begin = ["import sys, types, pathlib", "from course import installing"]
        begin.append('sys.modules["google.colab"] = types.ModuleType("google.colab")')
        begin.append(f"whole = installing.requirements_of; table = pathlib.Path({str(table)!r})")
        begin.append("installing.requirements_of = lambda notebook: whole(notebook, table)")
        command = [place / "bin" / "python", "-c", "\n".join([*begin, *(code or ['installing.install_for("01")'])])]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    run.site = site
    return run


def test_what_is_absent_or_too_old_is_missing_and_nothing_else():
    asked = ["numpy>=1.26", "numpy>=99", "no-such-package-xyz>=2", "torch", "pillow>=1,<99"]
    assert installing.missing_requirements(asked) == ["numpy>=99", "no-such-package-xyz>=2"]
    assert installing.versions_found()["numpy"] == np.__version__


def test_a_notebook_asks_for_its_own_group_alone():
    first, captions = installing.requirements_of("01"), installing.requirements_of("05")
    assert {"numpy>=2.0", "torch>=2.6", "scikit-image>=0.24"} <= set(first)
    assert not any(one.startswith(("distributed", "gradio", "sphinx", "transformers", "keras")) for one in first)
    assert any(one.startswith("transformers>=") for one in captions)


def test_outside_colab_nothing_happens(monkeypatch, capsys):
    monkeypatch.setattr(installing, "requirements_of", lambda notebook: ["no-such-package-xyz>=2"])
    installing.install_for("01")
    assert capsys.readouterr().out == ""


@pytest.mark.process
def test_what_is_lacking_comes_and_what_suffices_stays(kernel):
    done = kernel(has=["numpy==1.26", "alpha==1.0"], needs=["numpy>=1.20", "alpha", "beta>=2"])
    assert (done.returncode, done.stdout) == (0, "installed beta 2.0\n"), done.stderr
    assert kernel(needs=["numpy>=1.20", "alpha", "beta>=2"]).stdout == "", "a second time there is nothing to do"


@pytest.mark.process
def test_what_is_too_old_is_upgraded_and_a_loaded_one_wants_a_restart(kernel):
    done = kernel(has=["alpha==1.0"], needs=["alpha>=2"])
    assert done.stdout == "upgraded alpha 1.0 to 3.0\n", done.stderr
    kernel(has=["alpha==1.0"])
    done = kernel("import alpha", 'installing.install_for("01")', needs=["alpha>=2"])
    assert done.stdout == (
        "upgraded alpha 1.0 to 3.0; restart the session once, since alpha had been loaded in the older version\n"
    )


@pytest.mark.process
def test_numpy_stays_however_old_and_that_is_told(kernel):
    done = kernel(has=["numpy==1.26"], needs=["numpy>=2.0", "beta"])
    assert done.stdout == (
        "installed beta 2.0; kept 1.26 of numpy>=2.0, another would break this runtime: take a newer one\n"
    ), done.stderr


@pytest.mark.process
def test_a_package_that_lies_twice_on_the_path_hinders_nothing(kernel, tmp_path):
    """As six in Colab: in two folders of the path, in two versions. The one that an import takes is looked at."""
    second = tmp_path / "dist-packages"
    (kernel.site / "second.pth").write_text(f"{second}\n")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", second]
    subprocess.run([*pip, tmp_path / "shop" / "six-1.16.0-py3-none-any.whl"], check=True)
    done = kernel(has=["six==1.17.0"], needs=["six>=1.17", "beta"])
    assert done.stdout == "installed beta 2.0, numpy 2.4\n", done.stderr


@pytest.mark.process
def test_what_cannot_be_had_is_named(kernel):
    done = kernel(needs=["gamma>=7"])
    assert "RuntimeError: pip could not install gamma>=7: " in done.stderr
    assert "No matching distribution found for gamma>=7" in done.stderr
