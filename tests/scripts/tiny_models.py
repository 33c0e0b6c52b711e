"""Models as the notebooks leave them, small and untrained: what they say is compared with what they say elsewhere."""

from __future__ import annotations

from pathlib import Path


def describer(folder: Path, *, knows: bool = False) -> Path:
    """A folder as notebook 05 writes it; one that `knows` tells which pairs are unlike generated scenes."""
    import torch

    from helpers import scenes
    from whatchanged.models import blip2, tblip2
    from whatchanged.models.describer import remember_likeness
    from whatchanged.models.prepared import PreparedPairs
    from whatchanged.models.tblip2_options import TBLIP2Options

    made = [scenes.scene_pair(0, index) for index in range(60)]
    torch.manual_seed(0)
    blip2 = blip2.small_blip2([caption for pair in made for caption in pair.captions], dim=64, layers=1)
    model = tblip2.EnhancedDiffBLIP2(*blip2, TBLIP2Options(lora=0, align_dim=64))
    model.save_pretrained(folder)
    if knows:

        def read(number):
            pair = scenes.scene_pair(0, number)
            return pair.before, pair.after, pair.captions

        learned = PreparedPairs.in_memory(60, read, model.prepare)
        held_out = PreparedPairs.in_memory(100, lambda number: read(1000 + number), model.prepare)
        remember_likeness(folder, learned, held_out)
    return folder


def classifier(path: Path, *, knows: bool = False) -> Path:
    """A file as notebook 02 writes it; one that `knows` tells which pictures are unlike generated surfaces."""
    import torch

    from helpers.surfaces import surfaces
    from whatchanged.models import resnet18

    torch.manual_seed(0)
    likeness = resnet18.likeness_to(surfaces(0, 200, size=64), surfaces(1, 200, size=64), 64) if knows else None
    return resnet18.Classifier(resnet18.build(2), 64, ("sound", "cracked"), likeness).save(path)
