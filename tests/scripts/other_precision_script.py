"""A process whose own Accelerator has a precision: prints what `fit` says to that."""

import sys
from pathlib import Path

import torch
from accelerate import Accelerator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from whatchanged import training

Accelerator(cpu=True, mixed_precision="bf16")
try:
    training.fit(torch.nn.Linear(4, 2), [(torch.zeros(4), 0)] * 4, epochs=1, batch_size=2, progress=False)
except ValueError as error:
    print(error)
