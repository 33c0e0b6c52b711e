"""TIFF files of kinds that Pillow does not write."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def tiff(path: Path, values: np.ndarray, **tags: int | tuple[int, ...]) -> Path:
    """Write a TIFF of one strip: values (H, W) or (H, W, bands) in the machine's order; tags by number, as t338=0."""
    values = values if values.ndim == 3 else values[..., None]
    height, width, bands = values.shape
    sample = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    known = {256: width, 257: height, 258: (values.itemsize * 8,) * bands, 259: 1, 262: 2 if bands > 2 else 1}
    known |= {273: 8, 277: bands, 278: height, 279: values.nbytes, 339: (sample,) * bands}
    known |= {int(name[1:]): one for name, one in tags.items()}
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    start = 8 + len(data)
    entries, more = b"", b""
    for tag, found in sorted(known.items()):
        numbers = found if isinstance(found, tuple) else (found,)
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(packed) > 4:
            at, more = start + 6 + 12 * len(known) + len(more), more + packed
            packed = struct.pack("<I", at)
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    head = struct.pack("<2sHI", b"II", 42, start)
    path.write_bytes(head + data + struct.pack("<H", len(known)) + entries + bytes(4) + more)
    return path
