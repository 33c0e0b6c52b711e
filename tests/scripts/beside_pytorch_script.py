"""Keras first, PyTorch after it, in one process: prints what a compiled function and a network give."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import numpy as np

from whatchanged.models import dual_attention

assert "torch" not in sys.modules

compiled = dual_attention.tf.function(lambda x: x * 2 + 1, jit_compile=True)
print(
    float(compiled(dual_attention.tf.constant(3.0))),
    dual_attention.predict(dual_attention.build(32), np.zeros((2, 32, 32, 3), "f4")).shape,
)
