"""What a notebook's parameters name is opened in its first cells, and refused there by the parameter's own name."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import notebook_checks as checks
import numpy as np
import pytest
import torch
import torchvision
from support import NOTEBOOKS, ROOT, read_notebook, run_offline, save_picture

from course import opening
from helpers import runtime, scenes
from helpers.changes import write_dataset
from whatchanged.models import resnet18

SOON = 6  # code cells: set-up, parameters, imports, and two or three that open


def begin(number: str, output: Path, **parameters: object) -> dict:
    """Execute a notebook's first cells, to the last one that opens what a parameter names; returns their names."""
    notebook = read_notebook(next(path for path in NOTEBOOKS if path.name.startswith(number)))
    cells = checks.code_cells(notebook)
    last = max(place for place, cell in enumerate(cells) if "opening.given(" in cell.source)
    assert last < SOON
    names: dict = {"runtime": runtime}  # all that the set-up cell gives, which looks for the course around this folder
    for cell in cells[1 : last + 1]:
        exec(compile(cell.source, cell.id, "exec"), names)
        if "parameters" in checks.tags(cell):
            assert parameters.keys() <= names.keys()
            names |= parameters | {"OUTPUT_DIR": str(output)}
    return names


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Things that a parameter may name by mistake: an empty folder, three classes, pictures alone, other weights."""
    place = tmp_path_factory.mktemp("named")
    (place / "empty").mkdir()
    rng = np.random.default_rng(0)
    for name in ("dry", "wet", "green"):
        (place / "three" / name).mkdir(parents=True)
        for index in range(6):
            save_picture(place / "three" / name / f"{index}.png", rng.integers(0, 256, (40, 40, 3), np.uint8))
    torch.save({"weight": torch.zeros(3)}, place / "other.pt")
    (place / "other.weights.h5").write_bytes(b"none")
    torch.manual_seed(0)
    resnet18.Classifier(resnet18.build(2), 32, ("sound", "cracked")).save(place / "classifier.safetensors")
    options = {"size": 48, "things": (1, 1), "kinds": ("color",), "nuisance": None}
    pairs = (scenes.scene_pair(0, index, changes=(index % 2, index % 2), **options) for index in range(30))
    write_dataset(place / "colors", pairs)
    return place


REFUSED = [
    ("DATA_DIR", "nowhere", "there is no .*nowhere nor .*nowhere; python download_and_unzip.py --list", "1234 56"),
    ("INBOX", "nowhere", "there is no", "23456"),
    ("WEIGHTS", "nowhere.pt", "there is no", "1234"),
    ("DATA_DIR", "empty", "holds no", "123456"),
    ("INBOX", "empty", "holds no", "23456"),
    ("DATA_DIR", "three", r"holds the classes \(.*dry.*\): give two", "24"),
    ("DATA_DIR", "colors", "in all .* pairs of the part 'train' shape is the same", "3"),
    ("WEIGHTS", "other.pt", "not those of a resnet50", "13"),
    ("WEIGHTS", "other.pt", "not those of a resnet18", "2"),
    ("WEIGHTS", "other.weights.h5", "does not hold the weights of a ResNet50", "4"),
    ("SCREENS", "nowhere", "there is no", "1"),
    ("SCREENS", "empty", "holds no screens/verdicts.csv", "1"),
    ("REAL", "nowhere", "there is no", "24"),
    ("REAL", "empty", "holds neither brickwork-cracks/ nor", "2"),
    ("REAL", "empty", "holds no brickwork-cracks/", "4"),
    ("CHECKPOINT", "nowhere", "there is no", "2345"),
    ("CHECKPOINT", None, "there is no .*model", "2345"),
    ("CHECKPOINT", "other.pt", "is damaged|is not a .keras file", "234"),
    ("CHECKPOINT", "classifier.safetensors", "holds no dbt_resnet50 that judges", "3"),
    ("CHECKPOINT", "empty", "holds no options.json", "5"),
    ("MODELS", "nowhere", "there is no", "6"),
    ("MODELS", "empty", "no model of notebook 02 and 03 and 04 and 05 lies there: `make course NOTEBOOK=02`", "6"),
    ("MODELS", None, "no model of notebook 02 and 03 and 04 and 05 lies there: `make course NOTEBOOK=02`", "6"),
    ("MODEL_NAME", "empty", "without a configuration that could be read; give a folder or the hub's name", "5"),
]


@pytest.mark.parametrize(
    ("number", "name", "value", "message"),
    [(f"0{one}", *case[:3]) for case in REFUSED for one in case[3].replace(" ", "")],
)
def test_what_cannot_be_used_is_refused_at_once(folders, tmp_path, monkeypatch, number, name, value, message):
    monkeypatch.chdir(folders)
    parameters = {name: value} | ({"MODE": "test"} if name == "CHECKPOINT" else {})
    with pytest.raises(ValueError, match=f"^{name} is .*{message}") as refused:
        begin(number, tmp_path, **parameters)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", ["02", "03", "04", "05"])
def test_a_mode_that_is_none_is_refused(tmp_path, number):
    with pytest.raises(ValueError, match="MODE is 'both': choose 'train' or 'test'"):
        begin(number, tmp_path, MODE="both")


@pytest.mark.parametrize(("number", "architecture"), [("01", "resnet50"), ("02", "resnet18"), ("03", "resnet50")])
def test_weights_as_torchvision_publishes_them_are_taken_from_its_cache(tmp_path, monkeypatch, number, architecture):
    """What torch before 0.4.1 wrote: each weight a Parameter, and no `num_batches_tracked`."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = torchvision.models.get_model(architecture)
    old = {name: value for name, value in network.state_dict(keep_vars=True).items() if "num_batches" not in name}
    address = torchvision.models.get_model_weights(architecture).DEFAULT.url
    kept = tmp_path / "hub" / "checkpoints" / address.rpartition("/")[2]
    kept.parent.mkdir(parents=True)
    torch.save(OrderedDict(old), kept)
    assert begin(number, tmp_path / "out", WEIGHTS="imagenet")["weights"] == "imagenet"


@pytest.mark.process
def test_without_the_models_notebook_06_stops_before_anything_else(tmp_path):
    """By papermill: the cells after the one that opens are not reached, and the sentence names the command."""
    done = run_offline(ROOT / "notebooks" / "06_one_case.ipynb", tmp_path)
    assert done.returncode == 1
    told = "no model of notebook 02 and 03 and 04 and 05 lies there: `make course NOTEBOOK=02` and"
    assert any("raised ValueError: MODELS is" in line and told in line for line in done.stdout.splitlines()), (
        done.stdout
    )
    cells = checks.code_cells(read_notebook(tmp_path / "06_one_case.failed.ipynb"))
    failed = [place for place, cell in enumerate(cells) if any(one.output_type == "error" for one in cell.outputs)]
    assert len(failed) == 1
    assert "opening.given(" in cells[failed[0]].source
    assert [cell.execution_count for cell in cells[failed[0] + 1 :] if cell.execution_count] == []


def test_what_is_there_is_opened(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(folders)
    assert begin("02", tmp_path)["images"] is None
    names = begin("02", tmp_path, INBOX="three/dry", MODE="test", CHECKPOINT="classifier.safetensors")
    assert names["size"] == 32
    assert len(names["waiting"]) == 6
    assert begin("03", tmp_path, INBOX="colors")["inbox"] == folders / "colors"


def test_cells_that_are_left_out_begin_with_the_line_that_the_notebooks_know():
    """A line that differs by a letter would let a cell train in MODE "test"."""
    for number in ("02", "03", "04", "05"):
        notebook = read_notebook(next(path for path in NOTEBOOKS if path.name.startswith(number)))
        first = [cell.source.splitlines()[0] for cell in checks.code_cells(notebook)]
        assert [one for one in first if one.lower().startswith("# left out") and one != opening.LEFT_OUT] == []
        trains = [
            cell for cell in checks.code_cells(notebook) if "training.fit(" in cell.source or " fit(" in cell.source
        ]
        assert trains
        for cell in trains:
            at_once = [
                line for line in cell.source.splitlines() if "fit(" in line and not line.startswith((" ", "def"))
            ]
            assert not at_once or cell.source.startswith(opening.LEFT_OUT), cell.source
