"""Pictures on disk and in memory are the same ones; a map of a file serves as well as an array."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import scenes, surfaces
from helpers.changes import SubtleDiffDataset, write_dataset
from helpers.datasets import labeled_csv_images
from whatchanged.alignment import aligned


def test_pairs_are_kept_aligned_and_found_again_though_written_anew(tmp_path, monkeypatch):
    def written():
        return write_dataset(tmp_path / "pairs", (scenes.subtle_pair(0, place) for place in range(6)))

    data = SubtleDiffDataset(written(), transform=aligned, size=48)
    part = data.subset([4, 0, 2])
    for given in (data, part):
        whole = given.on_disk(tmp_path / "kept" / "train")
        assert np.array_equal(whole.images, given.in_memory().images)
        assert np.array_equal(whole.labels, given.labels)
        assert whole.resident
    (file,) = (tmp_path / "kept").glob("*.npy")
    before = file.stat().st_mtime_ns
    written()
    again = SubtleDiffDataset(tmp_path / "pairs", transform=aligned, size=48).subset([4, 0, 2])
    again.on_disk(tmp_path / "kept" / "train")
    assert file.stat().st_mtime_ns == before
    for other in (data.subset([4, 0, 1]), SubtleDiffDataset(tmp_path / "pairs", size=48).subset([4, 0, 2])):
        other.on_disk(tmp_path / "kept" / "train")
        assert not file.exists(), "another pair, or not aligned"
        assert len(list((tmp_path / "kept").glob("*.npy"))) == 1


def test_pictures_that_come_from_no_files_stay_in_memory(tmp_path):
    with pytest.raises(ValueError, match="these images come from no files: they are in memory, and stay there"):
        surfaces.surfaces(0, 4, size=32).on_disk(tmp_path / "kept")


def test_files_of_single_pictures_are_kept_by_size(tmp_path):
    folder = surfaces.write_labeled_csv(tmp_path / "set", surfaces.surfaces(0, 6, size=32))
    shapes = [labeled_csv_images(folder, size).on_disk(tmp_path / "kept").images.shape for size in (32, 16)]
    assert shapes == [(6, 32, 32, 3), (6, 16, 16, 3)]
