"""EnhancedDiffBLIP2 around a tiny BLIP-2, for pairs of 48 pixels."""

from __future__ import annotations

import torch

from whatchanged.models.blip2 import small_blip2
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import TBLIP2Options

CHANGES = (0, 1, 2, 1)


def small(pairs, **options):
    torch.manual_seed(0)
    words = [caption for pair in pairs for caption in pair.captions]
    blip2, processor = small_blip2(words, image_size=48, dim=64)
    options = {"min_samples": 4, "freeze_vision": False, "lora": 0, "align_dim": 32} | options
    model = EnhancedDiffBLIP2(blip2, processor, TBLIP2Options(**options)).eval()
    for parameter in (model.fusion_layer.self_attn.out_proj.weight, model.fusion_layer.linear2.weight):
        torch.nn.init.normal_(parameter, std=0.1)  # as after some training: it begins as zero
    return model


def sides(pairs):
    return [pair.before for pair in pairs], [pair.after for pair in pairs]
