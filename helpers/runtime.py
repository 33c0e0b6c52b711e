"""What every notebook needs before its first idea: seed, device, precision, profile, folders and `check()`."""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import platform
import random
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from whatchanged.devices import device, precision
from whatchanged.files import read_json, user_path, write_json

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("quick", "full")
# In a notebook, tqdm asks for widgets when some library imports it; the course's bars are text.
warnings.filterwarnings("ignore", message="IProgress not found")
_output_folder: Path | None = None


class CheckFailed(AssertionError):
    """A notebook's result left the range that its text promises."""


def start(output_dir: str | Path, seed: int) -> Path:
    """Seed everything, make the output folder, and forget the checks of an earlier run.

    Parameters
    ----------
    output_dir : folder for everything the notebook writes; a relative path counts from `notebooks/`,
        wherever the kernel runs (papermill runs in the caller's folder, Jupyter in the notebook's).
    seed : non-negative integer.

    Returns
    -------
    Path
        The absolute output folder, which exists.
    """
    global _output_folder
    seed_everything(seed)
    _output_folder = (ROOT / "notebooks" / user_path(output_dir)).resolve()
    _output_folder.mkdir(parents=True, exist_ok=True)
    (_output_folder / "metrics.json").unlink(missing_ok=True)
    return _output_folder


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, OpenCV and, where they are installed or loaded, PyTorch and TensorFlow."""
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"SEED is {seed!r}: use a whole number from 0 to {2**32 - 1}")
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if importlib.util.find_spec("cv2"):
        import cv2

        cv2.setRNGSeed(seed % 2**31)
    if importlib.util.find_spec("torch"):
        import torch

        torch.manual_seed(seed)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(seed)


def profile(name: str, *, quick: dict, full: dict, **chosen: Any) -> SimpleNamespace:
    """Settings of one profile; a parameter the reader set (not None) wins over the profile's value.

    Parameters
    ----------
    name : "quick" (generated data, two CPU cores, no network) or "full" (real data, published weights, a GPU).
    quick, full : the settings of each profile; both hold the same names.
    **chosen : parameters of the notebook; None means "as the profile says".
    """
    if name not in PROFILES:
        raise ValueError(f"PROFILE is {name!r}: choose one of {', '.join(PROFILES)}")
    if quick.keys() != full.keys():
        raise ValueError(f"the profiles differ in {sorted(quick.keys() ^ full.keys())}: give both the same names")
    settings = dict({"quick": quick, "full": full}[name])
    return SimpleNamespace(**settings | {key: value for key, value in chosen.items() if value is not None})


def versions(*packages: str) -> str:
    """One line each: Python, the named packages, the device with its precision, and the number of cores."""
    from importlib.metadata import version

    lines = [f"Python       {platform.python_version()}"]
    lines += [f"{name:<12} {version(name)}" for name in packages]
    if "torch" in packages:
        lines.append(f"{'device':<12} {device().type}, {precision()}")
    lines.append(f"{'cores':<12} {os.cpu_count()}")
    return "\n".join(lines)


def check(name: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
    """Hold a result to the range its notebook promises, print a line that never changes, and record the value.

    Parameters
    ----------
    name : what was measured; unique in the notebook.
    value : the measured number; NaN never passes.
    at_least, at_most : inclusive bounds; at least one of them.

    Raises
    ------
    CheckFailed
        The value is out of range. It is recorded in `metrics.json` all the same.
    """
    if at_least is None and at_most is None:
        raise ValueError(f"check {name!r} has no bound: give at_least or at_most")
    if _output_folder is None:
        raise RuntimeError("check() has no folder to write to: call runtime.start(OUTPUT_DIR, SEED) first")
    value = float(value)
    bounds = [f">= {at_least}"] * (at_least is not None) + [f"<= {at_most}"] * (at_most is not None)
    claim = f"{name} {' and '.join(bounds)}"
    passed = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    entry = {"value": value if math.isfinite(value) else None, "bound": " and ".join(bounds), "passed": passed}
    path = _output_folder / "metrics.json"
    write_json(path, (read_json(path) if path.is_file() else {}) | {name: entry})
    if not passed:
        raise CheckFailed(f"{claim}: failed with {value:.6g}")
    print(f"{claim}: passed")


def show_source(*things: Any) -> Any:
    """The highlighted source of functions or classes, so that code lives in one file and is read in the notebook."""
    from IPython.display import Code

    return Code("\n\n".join(inspect.getsource(thing).rstrip() for thing in things), language="python")
