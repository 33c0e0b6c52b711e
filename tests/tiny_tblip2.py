"""EnhancedDiffBLIP2 around a tiny BLIP-2, for pairs of 48 pixels."""

from __future__ import annotations

import torch

from whatchanged.models.blip2 import load_blip2, small_blip2
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

CHANGES = (0, 1, 2, 1)


def small(pairs, **options):
    torch.manual_seed(0)
    words = [caption for pair in pairs for caption in pair.captions]
    blip2, processor = small_blip2(words, image_size=48, dim=64)
    options = {"min_samples": 4, "freeze_vision": False, "lora": 0, "align_dim": 32} | options
    model = EnhancedDiffBLIP2(blip2, processor, TBLIP2Options(**options)).eval()
    for name, parameter in model.fusion_layer.named_parameters():
        if name in ("self_attn.out_proj.weight", "linear2.weight"):
            torch.nn.init.normal_(parameter, std=0.1)  # as after some training: it begins as zero
    return model


def hub(folder, pairs, **sizes):
    """A folder with a tiny BLIP-2 as the hub has it, for pairs of 48 pixels."""
    for part in small_blip2([caption for pair in pairs for caption in pair.captions], image_size=48, dim=64, **sizes):
        part.save_pretrained(folder)
    return folder


def on_hub(folder, dtype=None, **options):
    """EnhancedDiffBLIP2 on that of a folder, of which the adapters, the Q-Former and all that is new are trained."""
    torch.manual_seed(0)
    options = {"min_samples": 4, "lora": 4, "align_dim": 32} | options
    return EnhancedDiffBLIP2(*load_blip2(str(folder), dtype), TBLIP2Options(**options)).eval()


def sides(pairs):
    return [pair.before for pair in pairs], [pair.after for pair in pairs]
