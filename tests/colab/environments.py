"""Environments that are like others' computers: Colab, and the lowest versions that the course asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Colab has Debian's packages on its path too, after its own. pip sees both copies, an import takes the first.
OLDER = ["six==1.16.0", "packaging==21.3", "typing_extensions==4.0.1", "zipp==1.0.0", "importlib_metadata==4.6.4"]
DRIVE = '''
    """Drive of somebody: what COURSE_DRIVE names is there once it was mounted."""
    import os
    from pathlib import Path


    def mount(path):
        with Path(os.environ["COLAB_LOG"]).open("a") as log:
            log.write(f"mounted {path}\\n")
        if "COLAB_DRIVE_OF" in os.environ:
            Path(os.environ["COURSE_DRIVE"]).symlink_to(os.environ["COLAB_DRIVE_OF"])
'''


def colab(python: str, folder: Path) -> Path:
    """Colab's versions of what the course touches, two folders of packages on the path, and `google.colab`."""
    listed = (Path(__file__).parent / "colab.txt").read_text().splitlines()
    return _made(python, folder, [line for line in listed if line[:1] != "#"], OLDER)


def lowest(python: str, folder: Path) -> Path:
    """The lowest version of all that the package, its extras and the notebooks ask for."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [*table["project"]["optional-dependencies"].values(), *table["dependency-groups"].values()]
    apart = {one for name in ("course", "test") for one in table["dependency-groups"][name]}
    asked = {one for group in [table["project"]["dependencies"], *groups] for one in group if isinstance(one, str)}
    named = sorted(one for one in asked - apart if not one.startswith(table["project"]["name"]))
    return _made(python, folder, [one.replace(">=", "==") for one in named], [])


def versions(environment: Path) -> dict[str, str]:
    """What pip says is installed, by name."""
    code = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
    listed = subprocess.run([environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = {}
    for name, version in (line.split() for line in listed.stdout.splitlines()):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def copy(environment: Path, folder: Path) -> Path:
    """A copy to install into: its files are links to those of the first, which pip replaces and never changes."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-al", environment, folder], check=True)
    _add_kernel(folder)
    return folder


def _made(python: str, folder: Path, pins: list[str], older: list[str]) -> Path:
    """The environment in `folder`, made anew where its list changed; its stamp is written last."""
    stamp, recipe = folder / "made-from.txt", "\n".join([*pins, *older])
    if stamp.is_file() and stamp.read_text() == recipe:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, *pins], check=True)
    packages = next((folder / "lib").glob("python3.*/site-packages"))
    module = packages / "google" / "colab"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text('"""As Colab\'s own."""\n')
    (module / "drive.py").write_text(textwrap.dedent(DRIVE).lstrip())
    if older:
        second = folder / "lib" / "python3" / "dist-packages"
        subprocess.run([*pip, "--no-deps", "--target", second, *older], check=True)
        (packages / "zz-colab.pth").write_text("../../python3/dist-packages\nsetuptools/_vendor\n")
    stamp.write_text(recipe)
    return folder


def _add_kernel(folder: Path) -> None:
    """A kernel that has `google.colab` loaded from its start, as Colab's has: `JUPYTER_PATH` is `folder`/jupyter."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00-colab.py").write_text("import google.colab\n")
    spec = folder / "jupyter" / "kernels" / "colab"
    spec.mkdir(parents=True, exist_ok=True)
    command = f'["{folder}/bin/python", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    environment = f'{{"IPYTHONDIR": "{folder}/ipython"}}'
    (spec / "kernel.json").write_text(
        f'{{"argv": {command}, "display_name": "Colab", "language": "python", "env": {environment}}}'
    )
