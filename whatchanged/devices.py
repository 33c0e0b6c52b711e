"""What this process computes on: device, precision, cores, rank among several; and libraries kept quiet."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rank() -> int:
    """Which of the processes of one training this is, from 0; 0 where there is one."""
    return int(os.environ.get("RANK", 0))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> Any:
    """The `torch.device` to compute on: CUDA (each process of a training its own), then Apple's MPS, then the CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision(on: Any = None) -> str:
    """ "bf16" where the processor or GPU computes in bfloat16, "fp16" on other GPUs, "fp32" everywhere else."""
    import torch

    kind = (on or device()).type
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if kind == "cpu" and Path("/proc/cpuinfo").is_file():
        return "bf16" if re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", Path("/proc/cpuinfo").read_text()) else "fp32"
    return "fp32"


def autocast(on: Any = None, to: str | None = None) -> Any:
    """A context in which PyTorch computes in "bf16", "fp16" or "fp32"; None takes the `precision()` of the device."""
    import torch

    on = on or device()
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(to or precision(on))
    return torch.autocast(on.type, dtype=half or torch.bfloat16, enabled=half is not None)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallow what is written to stderr, also by compiled code, unless the block raises: then it is written after all.

    For libraries that greet. A notebook would keep their lines on its page.
    """
    with tempfile.TemporaryFile() as told:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(told.fileno(), 2)
        try:
            yield
        except BaseException:
            told.seek(0)
            os.write(kept, told.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
