"""Notebook 05 in the full profile: what is frozen is half, and no second model stands beside the first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image
from support import SCRIPTS
from tiny_tblip2 import hub

from helpers import scenes


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A tiny checkpoint and a few wide pairs in Spot-the-Diff's format, as parameters of the notebook."""
    folder = tmp_path_factory.mktemp("full")
    drawn = [scenes.scene_pair(0, index, changes=(index % 3, index % 3)) for index in range(20)]
    parts = {"train": range(8), "val": range(8, 12), "test": range(12, 20)}
    (folder / "data").mkdir()
    for part, numbers in parts.items():
        records = []
        for index in numbers:
            for name, picture in ((str(index), drawn[index].before), (f"{index}_2", drawn[index].after)):
                Image.fromarray(picture).resize((160, 90)).save(folder / "data" / f"{name}.png")
            records.append({"img_id": str(index), "sentences": list(drawn[index].captions)})
        (folder / "data" / f"{part}.json").write_text(json.dumps(records))
    place = hub(folder / "hub", drawn)
    chosen = {"PROFILE": "full", "DATA_DIR": str(folder / "data"), "MODEL_NAME": str(place), "PRECISION": "bf16"}
    chosen |= {"OUTPUT_DIR": str(folder / "out"), "EPOCHS": 1, "LORA_RANK": 4, "DBSCAN_MIN_SAMPLES": 4}
    return chosen | {"GRADIENT_ACCUMULATION_STEPS": 2, "CHECKPOINTING": True, "ALN_WEIGHT_ITC": 0.5}


@pytest.mark.slow
@pytest.mark.own_data
def test_one_half_precision_model_at_a_time(given):
    """In training and after it; then again, to judge what was saved."""
    for more, built in (({}, 2), ({"MODE": "test"}, 2)):
        command = [sys.executable, str(SCRIPTS / "one_model_script.py"), json.dumps(given | more)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert told == {"built": built, "most": 1, "frozen": ["torch.bfloat16"], "trained": ["torch.float32"]}
