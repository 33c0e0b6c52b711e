"""How often a caption is told to be of another world: of more of the notebook's scenes, and of pictures unlike them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import scenes
from helpers.nuisances import Nuisance
from helpers.photographs import GROUNDS, PHOTOGRAPHS, photo_pair
from helpers.things import KINDS
from whatchanged.images import read_image
from whatchanged.models.blip2 import small_blip2
from whatchanged.models.describer import Describer, remember_likeness
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

HAND = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=4)
SHARES = {"train": (0.15, 0.35, 0.5), "validation": (0.2, 0.6, 0.2), "test": (0.1, 0.6, 0.3)}  # 0, 1, 2 changes
FIRST = {"train": 0, "validation": 100_000, "test": 200_000}
PARTS = {"train": 6000, "validation": 200}


def scene(part, index):
    """As notebook 05 draws them."""
    index += FIRST[part]
    rng = np.random.default_rng([0, index])
    changes = int(rng.choice(3, p=SHARES[part]))
    alike = part == "train" and changes == 2 and rng.random() < 0.35
    kinds = ("added", "removed", "moved") if alike else KINDS
    return scenes.scene_pair(0, index, changes=(changes, changes), kinds=kinds, nuisance=HAND)


class Few(PreparedPairs):
    """As many pairs as the notebook has, of which only those that are asked for are made."""

    def __init__(self, part, prepare):
        self.part, self.prepare, self.prepared = part, prepare, self

    def __len__(self):
        return PARTS[self.part]

    def __getitem__(self, index):
        one = scene(self.part, index)
        return self.prepare(one.before, one.after)


@pytest.fixture(scope="module")
def unlike(tmp_path_factory):
    """Whether the warning comes, by a model as the notebook saves it; of pictures alone, so that it is not trained."""
    folder = tmp_path_factory.mktemp("model")
    words = [caption for index in range(60) for caption in scene("train", index).captions]
    options = TBLIP2Options(lora=0, freeze_vision=False, align_dim=64, eps=3.5, min_samples=8)
    model = EnhancedDiffBLIP2(*small_blip2(words, seed=0), options)
    model.save_pretrained(folder)
    remember_likeness(folder, Few("train", model.prepare), Few("validation", model.prepare))
    teller = Describer(folder)
    return lambda before, after: teller.unlike(teller.model.prepare(before, after))


@pytest.mark.process
def test_of_a_thousand_other_scenes_at_most_one_in_twenty_is_warned(unlike):
    warned = [unlike(pair.before, pair.after) for pair in (scene("test", index) for index in range(1000))]
    assert np.mean(warned) <= 0.05
    assert sum(warned) > 0, "a limit that nothing reaches would be no limit"


@pytest.mark.process
def test_of_edited_photographs_nearly_all_are_warned(unlike):
    """Of every photograph that scikit-image ships: edited alone, or taken anew as well."""
    names = sorted({*PHOTOGRAPHS, *GROUNDS})
    pairs = [
        photo_pair(17, number, name=names[number % len(names)], nuisance=HAND if number % 2 else None)
        for number in range(12 * len(names))
    ]
    assert len(pairs) >= 100
    assert np.mean([unlike(pair.before, pair.after) for pair in pairs]) >= 0.95


def real_pairs(folder):
    """Kind -> both files of each pair."""
    screens, maps, boards = folder / "screens", folder / "screenshots", folder / "deep-pcb"
    tunnel = {side: sorted((folder / "tunnel-cracks" / side).iterdir()) for side in ("before", "after")}
    return {
        "screens": [(screens / f"{n:03}_before.png", screens / f"{n:03}_after.png") for n in range(110)],
        "maps": [(maps / f"{n}a.png", maps / f"{n}b.png") for n in (1, 4, 6)],
        "boards": [(one, one.with_name(one.name.replace("_temp", "_test"))) for one in boards.glob("*_temp.jpg")],
        "tunnel": list(zip(tunnel["before"], tunnel["after"], strict=True)),
    }


@pytest.mark.real
@pytest.mark.process
@pytest.mark.parametrize(("kind", "count"), [("screens", 110), ("maps", 3), ("boards", 60), ("tunnel", 11)])
def test_of_real_pairs_nearly_all_are_warned(unlike, real_data, kind, count):
    pairs = real_pairs(real_data)[kind]
    assert len(pairs) == count
    assert np.mean([unlike(*map(read_image, pair)) for pair in pairs]) >= 0.95
