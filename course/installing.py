"""What a notebook needs and this Python lacks: in Colab it is installed, and told in one line."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.runtime import ROOT

# Another one under a running kernel breaks it, and what Colab compiled against it: these keep their versions.
UNTOUCHED = ("numpy", "tensorflow", "torch", "torchvision")


def install_for(notebook: str) -> None:
    """In Colab, install what one notebook needs and Colab lacks, and say so in a line; elsewhere, do nothing.

    Parameters
    ----------
    notebook : its number, as "02".

    Raises
    ------
    RuntimeError
        pip could not install it; the message ends with pip's own.
    """
    if "google.colab" not in sys.modules:
        return
    lacking = missing_requirements(requirements_of(notebook))
    too_old = [one for one in lacking if Requirement(one).name in UNTOUCHED and _installed(one)]
    wanted = [one for one in lacking if one not in too_old]
    before = versions_found()
    if wanted:
        _install(wanted)
    told = _changes(before, versions_found())
    told += [f"kept {_installed(one)} of {one}, another would break this runtime: take a newer one" for one in too_old]
    if told:
        print("; ".join(told))


def requirements_of(notebook: str, table: Path = ROOT / "pyproject.toml") -> list[str]:
    """What the package itself needs, and one notebook, by the table in `pyproject.toml`: requirements, sorted."""
    written = tomllib.loads(table.read_text(encoding="utf-8"))
    groups = written["dependency-groups"]

    def lines(entries: list[Any]) -> set[str]:
        own = {one for one in entries if isinstance(one, str)}
        return own.union(*(lines(groups[one["include-group"]]) for one in entries if not isinstance(one, str)))

    return sorted(set(written["project"]["dependencies"]) | lines(groups[f"notebook-{notebook}"]))


def missing_requirements(requirements: Iterable[str]) -> list[str]:
    """Those whose package is not installed, or in a version that does not suffice, in order."""
    return [one for one in requirements if not _suffices(Requirement(one))]


def versions_found() -> dict[str, str]:
    """Every installed package with the version that an import takes: that of the first folder on the path."""
    found: dict[str, str] = {}
    for one in distributions():
        found.setdefault(canonicalize_name(one.name or ""), one.version)
    return found


def _suffices(requirement: Requirement) -> bool:
    found = _installed(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _installed(requirement: str) -> str | None:
    try:
        return version(Requirement(requirement).name)
    except PackageNotFoundError:
        return None


def _install(wanted: list[str]) -> None:
    """By pip, with the versions of what must not change as the only constraints."""
    kept = [f"{name}=={found}" for name in UNTOUCHED if (found := _installed(name))]
    with tempfile.TemporaryDirectory() as folder:
        keep = Path(folder) / "keep.txt"
        keep.write_text("\n".join(kept))
        command = [sys.executable, "-m", "pip", "install", "--quiet", *wanted, "--constraint", str(keep)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    if done.returncode:
        raise RuntimeError(f"pip could not install {', '.join(wanted)}: {done.stderr.strip()}")


def _changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was installed and upgraded, and what of it this kernel had loaded already."""
    new = [f"{name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    other = [name for name in sorted(after.keys() & before.keys()) if after[name] != before[name]]
    told = [f"installed {', '.join(new)}"] if new else []
    if other:
        told.append("upgraded " + ", ".join(f"{name} {before[name]} to {after[name]}" for name in other))
        modules = packages_distributions()
        loaded = sorted(
            one for one in modules if one in sys.modules and {*map(canonicalize_name, modules[one])} & {*other}
        )
        if loaded:
            told.append(f"restart the session once, since {', '.join(loaded)} had been loaded in the older version")
    return told
