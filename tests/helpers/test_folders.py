"""Folders of pictures and of pairs, judged; a bad one has its reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers import folders


def test_a_folder_is_classified_into_a_csv(tmp_path):
    """A network that says "bright" where the mean is above a half; a file that is no image gets its reason."""
    from PIL import Image

    class Bright(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(5.0))

        def forward(self, images):
            mean = images.mean(dim=(1, 2, 3)) * self.scale
            return torch.stack([-mean, mean], dim=1)

    folder = tmp_path / "in"
    folder.mkdir()
    for name, value in (("b.png", 250), ("a.jpg", 5)):
        Image.fromarray(np.full((20, 30, 3), value, np.uint8)).save(folder / name)
    (folder / "c.png").write_text("no image")
    (folder / "notes.txt").write_text("ignored")
    (folder / "._a.jpg").write_bytes(b"\0\5\x16\7 what a Mac leaves")
    (folder / "d.png").mkdir()
    names = ("dark", "bright")
    table = folders.predict_folder(Bright(), folder, size=16, names=names, csv=tmp_path / "out.csv")
    assert table.file.tolist() == ["a.jpg", "b.png", "c.png"]
    assert table.prediction.tolist()[:2] == ["dark", "bright"]
    assert table.probability[:2].min() > 0.9
    assert "c.png is not an image" in table.error[2]
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "file,prediction,probability,error"
    assert lines[1].startswith("a.jpg,dark,")
    asked = {"size": 16, "names": names, "unlike": lambda picture: picture.mean() > 100}
    table = folders.predict_folder(Bright(), folder, **asked)
    assert table.columns.tolist() == ["file", "prediction", "probability", "unlike", "error"]
    assert table.unlike.tolist()[:2] == [False, True]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none holds no file with one of"):
        folders.predict_folder(Bright(), tmp_path / "none", size=16, names=names)
    with pytest.raises(ValueError, match="nowhere is no folder"):
        folders.predict_folder(Bright(), tmp_path / "nowhere", size=16, names=names)


class Brighter(torch.nn.Module):
    """Says yes to the first label where the second picture is brighter; the second label is always 0.6."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(20.0))

    def forward(self, pairs):
        before, after = pairs.mean(dim=(2, 3, 4)).unbind(1)
        return torch.stack([self.scale * (after - before), torch.full_like(after, 0.405)], dim=1)


def test_pairs_of_a_folder_are_judged(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    picture = rng.integers(60, 160, (40, 40, 3), np.uint8)
    for name, shift in (("a", 60), ("b", -50)):
        Image.fromarray(picture).save(tmp_path / f"{name}_before.png")
        Image.fromarray(picture + np.uint8(shift % 256)).save(tmp_path / f"{name}_after.png")
    Image.fromarray(picture).save(tmp_path / "c_before.png")
    (tmp_path / "c_after.png").write_text("no image")
    Image.fromarray(picture).save(tmp_path / "d_before.png")
    Image.fromarray(picture[:20]).save(tmp_path / "d_after.png")
    Image.fromarray(picture).save(tmp_path / "e_after.png")
    options = {"size": 32, "names": ("brighter", "other"), "thresholds": (0.5, 0.7), "csv": tmp_path / "out.csv"}
    table = folders.predict_pairs(Brighter(), tmp_path, **options)
    assert table.before.tolist() == ["a_before.png", "b_before.png", "c_before.png", "d_before.png", "e_after.png"]
    assert table.changed.tolist()[:2] == ["brighter", "nothing"]
    assert table.other[0] == pytest.approx(0.6, abs=0.01)
    assert "c_after.png is not an image" in table.error[2]
    assert "before is 40x40 and after is 40x20" in table.error[3]
    assert table.error[4] == "there is no e_before.png"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 6
    easy = folders.predict_pairs(Brighter(), tmp_path, size=32, names=("brighter", "other"))
    assert easy.changed.tolist()[:2] == ["brighter, other", "other"]
