"""Models as the notebooks leave them, small and untrained: what they say is compared with what they say elsewhere."""

from __future__ import annotations

from pathlib import Path


def describer(folder: Path) -> Path:
    """A folder as notebook 05 writes it."""
    import torch

    from helpers import scenes
    from whatchanged.models import blip2, tblip2
    from whatchanged.models.tblip2_options import TBLIP2Options

    captions = [caption for index in range(60) for caption in scenes.scene_pair(0, index).captions]
    torch.manual_seed(0)
    blip2 = blip2.small_blip2(captions, dim=64, layers=1)
    return tblip2.EnhancedDiffBLIP2(*blip2, TBLIP2Options(lora=0, align_dim=64)).save_pretrained(folder)


def classifier(path: Path) -> Path:
    """A file as notebook 02 writes it."""
    import torch

    from whatchanged.models import resnet18

    torch.manual_seed(0)
    return resnet18.Classifier(resnet18.build(2), 64, ("sound", "cracked")).save(path)
