"""Notebook 05's code cells in this process, without Jupyter; prints how many T-BLIP2s stood at once, and in what.

usage: one_model_script.py PARAMETERS, a JSON object of what differs from the notebook's own.
"""

from __future__ import annotations

import builtins
import gc
import json
import sys
import weakref
from pathlib import Path

import matplotlib

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from course.opening import LEFT_OUT
from whatchanged.models import tblip2

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[2]
standing: weakref.WeakSet = weakref.WeakSet()
told: dict = {"built": 0, "most": 0, "frozen": [], "trained": []}
begin = tblip2.EnhancedDiffBLIP2.__init__


def counted(self, *args, **options):
    """As it is, and counted: each model while it is built, beside those that are still there."""
    gc.collect()
    told["built"] += 1
    told["most"] = max(told["most"], len(standing) + 1)
    begin(self, *args, **options)
    standing.add(self)
    for name, wanted in (("frozen", False), ("trained", True)):
        kinds = {str(one.dtype) for one in self.parameters() if one.requires_grad is wanted}
        told[name] = sorted(kinds | set(told[name]))


tblip2.EnhancedDiffBLIP2.__init__ = counted
builtins.display = lambda *things: None
given = json.loads(sys.argv[1])
left_out = LEFT_OUT if given.get("MODE") == "test" else None
known: dict = {"__name__": "__main__"}
for cell in json.loads((ROOT / "notebooks" / "05_t_blip2.ipynb").read_text(encoding="utf-8"))["cells"]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "code" and source.partition("\n")[0] != left_out:
        exec(compile(source, "notebook 05", "exec"), known)
        if "parameters" in cell["metadata"].get("tags", []):
            known |= given
print(json.dumps(told))
