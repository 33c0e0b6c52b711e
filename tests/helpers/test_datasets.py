"""Images with labels: tensors, folders, CSV files; each fault is named with its file."""

from __future__ import annotations

import numpy as np
import pytest
from support import save_picture

from helpers import datasets, surfaces
from helpers.photographs import photograph
from whatchanged.labels import CsvError
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


def photographed(folder, *names, size=(30, 40, 3)):
    """Pictures of noise, each another."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, np.random.default_rng(number).integers(0, 256, size).astype(np.uint8))
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


def test_a_cut_picture_is_left_out_and_told_or_named_when_it_is_read(tmp_path):
    names = [
        f"{part}/{kind}/{n}.jpg" for part in ("train", "val") for kind in ("Positive", "Negative") for n in range(2)
    ]
    cut(photographed(tmp_path, *names) / "train/Positive/1.jpg")
    (tmp_path / "notes.txt").touch()
    strict = datasets.defect_images(tmp_path, 16)
    assert len(strict) == 8
    broken = strict.paths.index(tmp_path / "train/Positive/1.jpg")
    with pytest.raises(ValueError, match="train/Positive/1.jpg is damaged"):
        strict.picture(broken)
    with pytest.raises(ValueError, match="train/Positive/1.jpg is damaged"):
        strict.in_memory()
    found = datasets.defect_images(tmp_path, 16, strict=False)
    assert [found.name(place) for place in range(7)] == [strict.name(place) for place in range(8) if place != broken]
    assert found.labels.tolist() == np.delete(strict.labels, broken).tolist()
    parts = {part: {found.name(place).split("/")[0] for place in places} for part, places in found.splits.items()}
    assert parts == {"train": {"train"}, "validation": {"val"}}
    assert sum(map(len, found.splits.values())) == 7
    assert found.skipped[0].startswith("train/Positive/1.jpg: it is damaged")
    assert found.skipped[1:] == ["notes.txt: no picture: its name ends with .txt"]
    assert found.told().splitlines()[0] == "7 images: 4 sound, 3 cracked, 3 train, 4 validation"
    assert found.told().splitlines()[1].startswith("left out 2: train/Positive/1.jpg (it is damaged")
    kept = found.in_memory()
    assert (kept.splits, kept.skipped) == (found.splits, found.skipped)


def test_a_cut_tensor_is_left_out_and_told(tmp_path):
    course_tensors(tmp_path)
    cut(tmp_path / "Negative_tensors" / "1.pt")
    found = datasets.defect_images(tmp_path, 24, strict=False)
    assert found.labels.tolist() == [1, 0, 1, 1, 0]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("Negative_tensors/1.pt: it is not a tensor file: only files that torch.save")
    assert isinstance(found, datasets.TensorFiles)


def test_a_class_of_which_nothing_can_be_read_is_named(tmp_path):
    photographed(tmp_path, "a/1.png", "b/1.png")
    cut(tmp_path / "b/1.png")
    with pytest.raises(ValueError, match="no picture of 'b' can be read: b/1.png: it is damaged"):
        datasets.defect_images(tmp_path, 16, strict=False)


def test_files_of_a_mac_are_no_pictures(tmp_path):
    """Case 05."""
    photographed(tmp_path, "Positive/0.jpg", "Negative/0.jpg")
    for kind in ("Positive", "Negative"):
        (tmp_path / kind / "._0.jpg").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert datasets.defect_images(tmp_path, 16).in_memory().images.shape == (2, 16, 16, 3)


def test_uneven_classes_are_spread_over_the_courses_split(tmp_path):
    names = [f"Negative/{n:03}.jpg" for n in range(90)] + [f"Positive/{n:03}.jpg" for n in range(15)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = datasets.defect_images(tmp_path, 16)
    train, validation = (np.bincount(found.labels[part]) for part in datasets.course_split(len(found)))
    assert train.tolist() == [67, 11]
    assert validation.tolist() == [23, 4]


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
    with pytest.raises(CsvError, match=message):
        datasets.labeled_csv_images(labeled, 32)


def test_rows_that_cannot_be_used_are_left_out_and_told(labeled):
    made = datasets.labeled_csv_images(labeled, 32)
    names = [made.name(place) for place in range(len(made))]
    _rewrite("0.csv", _cell(2, 1, "2"))(labeled)
    _rewrite("1.csv", _cell(1, 0, "none.png"))(labeled)
    cut(labeled / names[-1])
    found = datasets.labeled_csv_images(labeled, 32, strict=False)
    first_of_1 = next(place for place, name in enumerate(names) if name.startswith("1/"))
    left = {1, first_of_1, len(names) - 1}
    kept = [place for place in range(len(names)) if place not in left]
    assert [found.name(place) for place in range(len(found))] == [names[place] for place in kept]
    assert found.labels.tolist() == made.labels[kept].tolist()
    assert [reason.split(": ")[0] for reason in found.skipped] == [names[-1], "0.csv, row 2", "1.csv, row 1"]
    (labeled / "1.csv").write_bytes("image_name,target\nü.png,1\n".encode("cp1252"))
    with pytest.raises(CsvError, match="1.csv is no text in UTF-8: save it as CSV in UTF-8"):
        datasets.labeled_csv_images(labeled, 32, strict=False)


def test_a_name_in_both_classes_is_refused(labeled):
    name = (labeled / "0.csv").read_text().splitlines()[2].split(",")[0]
    _rewrite("1.csv", _cell(4, 0, name))(labeled)
    with pytest.raises(CsvError, match=f"1.csv, row 4: '{name}' comes a second time, first in 0.csv, row 2"):
        datasets.labeled_csv_images(labeled, 32)
