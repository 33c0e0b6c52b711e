"""Images with labels: tensors, folders, CSV files; each fault is named with its file."""

from __future__ import annotations

import numpy as np
import pytest
from support import save_picture

from helpers import datasets, surfaces
from helpers.photographs import photograph
from whatchanged.weights import to_tensor

PHOTO = photograph("coffee")[:60, :80]


def course_tensors(folder, count=3, size=24):
    import torch

    rng = np.random.default_rng(0)
    for name in ("Positive_tensors", "Negative_tensors"):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            picture = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
            torch.save(to_tensor(picture).contiguous(), folder / name / f"{index}.pt")
    return folder


@pytest.mark.parametrize("nested", [False, True])
def test_course_tensors(tmp_path, nested):
    import torch

    place = course_tensors(tmp_path / "inner" if nested else tmp_path)
    data = datasets.defect_images(tmp_path, 24)
    assert data.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert [data.name(i) for i in range(3)] == [
        "Positive_tensors/0.pt",
        "Negative_tensors/0.pt",
        "Positive_tensors/1.pt",
    ]
    expected = torch.load(place / "Positive_tensors" / "1.pt", weights_only=True)
    tensor, label = data[2]
    assert torch.equal(tensor, expected)
    assert label == 1
    smaller, _ = datasets.defect_images(tmp_path, 12)[2]
    assert smaller.shape == (3, 12, 12)
    assert abs(smaller.mean() - expected.mean()) < 0.05


def test_course_split():
    train, validation = datasets.course_split(40_000)
    assert (len(train), len(validation)) == (30_000, 10_000)
    assert train[-1] + 1 == validation[0]
    assert [len(part) for part in datasets.course_split(8)] == [6, 2]


def test_image_folders_subsets_and_memory(tmp_path):
    for name, value in (("Positive", 200), ("Negative", 50)):
        (tmp_path / name).mkdir()
        for index in range(2):
            save_picture(tmp_path / name / f"{index}.png", np.full((30, 40, 3), value + index, np.uint8))
    data = datasets.defect_images(tmp_path, 16)
    assert data.picture(0).shape == (16, 16, 3)
    kept = data.in_memory()
    assert [int(image[0, 0, 0]) for image in kept.images] == [200, 50, 201, 51]
    part = data.subset([3, 0])
    assert part.labels.tolist() == [0, 1]
    assert part.name(0) == "Negative/1.png"
    assert part.picture(1)[0, 0, 0] == 200
    assert part[1][1] == 1
    assert part.in_memory().subset([1]).picture(0)[0, 0, 0] == 200


def test_folders_without_classes_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds no picture in the folder of a class: put the pictures of each class"):
        datasets.defect_images(tmp_path, 16)
    with pytest.raises(ValueError, match="nowhere is no folder"):
        datasets.defect_images(tmp_path / "nowhere", 16)
    for name in ("Positive", "Negative"):
        (tmp_path / name).mkdir()
    save_picture(tmp_path / "Positive" / "a.png", PHOTO)
    with pytest.raises(ValueError, match=r"holds pictures in Positive/ alone: .* as Positive/ and Negative/"):
        datasets.defect_images(tmp_path, 16)


@pytest.fixture
def labeled(tmp_path):
    return surfaces.write_labeled_csv(tmp_path / "set", surfaces.surfaces(0, 12, size=32))


def test_labeled_csv_images_are_those_written(labeled):
    made = surfaces.surfaces(0, 12, size=32)
    data = datasets.labeled_csv_images(labeled, 32, made.names)
    order = np.argsort(made.labels, kind="stable")
    assert data.labels.tolist() == made.labels[order].tolist()
    assert data.names == made.names
    for place, number in enumerate(order):
        assert data.name(place) == f"{made.labels[number]}/{number:05}.png"
        assert np.array_equal(data.picture(place), made.images[number])


def _rewrite(name, change):
    def apply(folder):
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(change(lines)) + "\n")

    return apply


def _cell(row, column, value):
    def change(lines):
        cells = lines[row].split(",")
        cells[column] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return change


BROKEN_CSV = {
    "missing image": (_rewrite("1.csv", _cell(2, 0, "none.png")), r"1.csv, row 2: .*none.png does not exist"),
    "outside": (_rewrite("1.csv", _cell(2, 0, "../0.csv")), r"1.csv, row 2: .* does not exist"),
    "target": (_rewrite("0.csv", _cell(3, 1, "2")), "0.csv, row 3: target is '2', it must be 0 or 1"),
    "no target": (_rewrite("0.csv", _cell(1, 1, "")), "0.csv, row 1: target is '', it must be 0 or 1"),
    "twice": (
        _rewrite("0.csv", lambda lines: [*lines, lines[1]]),
        "row 7: .* comes a second time, first in 0.csv, row 1",
    ),
    "empty": (_rewrite("1.csv", lambda lines: lines[:1]), "1.csv holds no row"),
    "column": (_rewrite("1.csv", lambda lines: ["image_name,label", *lines[1:]]), "1.csv has no column target"),
    "no file": (lambda folder: (folder / "1.csv").unlink(), "1.csv does not exist"),
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN_CSV.values(), ids=BROKEN_CSV)
def test_a_fault_in_a_csv_file_is_named_with_its_row(labeled, spoil, message):
    spoil(labeled)
    with pytest.raises(datasets.CsvError, match=message):
        datasets.labeled_csv_images(labeled, 32)


def test_a_name_in_both_classes_is_refused(labeled):
    name = (labeled / "0.csv").read_text().splitlines()[2].split(",")[0]
    _rewrite("1.csv", _cell(4, 0, name))(labeled)
    with pytest.raises(datasets.CsvError, match=f"1.csv, row 4: '{name}' comes a second time, first in 0.csv, row 2"):
        datasets.labeled_csv_images(labeled, 32)
