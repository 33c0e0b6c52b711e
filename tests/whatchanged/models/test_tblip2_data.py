"""What T-BLIP2 takes, in whatever form pictures come, and what it gives back in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_tblip2 import hub, sides, small

from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_data import pictures_of
from whatchanged.models.tblip2_options import TBLIP2Options

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (2, 20, 30, 3)).astype(np.uint8)
TENSORS = torch.from_numpy(PICTURES).movedim(-1, 1)


@pytest.mark.parametrize(
    "given",
    [
        PICTURES,
        list(PICTURES),
        [PICTURES],
        tuple(map(Image.fromarray, PICTURES)),
        PICTURES / 255,
        list((PICTURES / 255).astype(np.float32)),
        TENSORS,
        list(TENSORS),
        TENSORS / 255,
        (TENSORS / 255).half(),
        (TENSORS.float() / 255).requires_grad_(True),
        [PICTURES[0], TENSORS[1] / 255],
    ],
    ids=lambda one: f"{type(one).__name__} {getattr(one, 'dtype', '')}",
)
def test_the_same_pictures_whatever_they_come_as(given):
    found = pictures_of(given, "img1")
    assert [one.dtype for one in found] == [np.uint8] * 2
    assert np.array_equal(np.stack(found), PICTURES)


def test_one_picture_is_a_batch_of_one():
    for one in (PICTURES[0], TENSORS[0], PICTURES[0] / 255, Image.fromarray(PICTURES[0])):
        (found,) = pictures_of(one, "img1")
        assert np.array_equal(found, PICTURES[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PICTURES * 1.0, r"img2 has floats from 0 to 255: give 0 to 1, or uint8"),
        (PICTURES / 127.5 - 1, r"img2 has floats from -1 to 1: give 0 to 1"),
        (np.full((4, 4, 3), np.nan), "img2 has floats from nan to nan"),
        (PICTURES.astype(int), "img2 is int64: give uint8, 0 to 255, or floats"),
        (PICTURES[..., 0], r"img2 has the shape \(2, 20, 30\): give arrays \(H, W, 3\) or tensors"),
        (TENSORS.movedim(1, -1), r"img2 has the shape \(2, 20, 30, 3\)"),
        ([PICTURES[0], PICTURES[0, 0]], r"img2 has the shape \(30, 3\)"),
    ],
)
def test_what_is_no_picture_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        pictures_of(given, "img2")


def test_forward_and_generate_take_single_pictures(pairs):
    model, pair = small(pairs), pairs[1]
    listed = model.generate([pair.before], [pair.after], max_new_tokens=8)
    assert model.generate(pair.before, pair.after, max_new_tokens=8) == listed
    logits = model([pair.before], [pair.after], [pair.captions[0]]).logits
    assert torch.equal(model(pair.before, pair.after, pair.captions[0]).logits, logits)
    with pytest.raises(ValueError, match="there are 1 captions of 4 pairs: give one of each"):
        model(*sides(pairs), ["only one"])


def test_encode_images_takes_what_forward_takes(pairs):
    """And floats are not divided by 255 again."""
    model, (before, after) = small(pairs), sides(pairs)
    features = model.encode_images(before, after)
    sized = [torch.from_numpy(np.stack(side)).movedim(-1, 1) for side in (before, after)]
    for given in (sized, [one / 255 for one in sized], [np.stack(before) / 255, np.stack(after) / 255]):
        for found, expected in zip(model.encode_images(*given), features, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    large = np.kron(before[0], np.ones((2, 2, 1), np.uint8))
    again, _ = model.encode_images(large, large)
    torch.testing.assert_close(again, features[0][:1], atol=0.2, rtol=0.2)


def test_in_training_the_answer_is_the_loss_with_its_parts(pairs):
    model = small(pairs).train()
    captions = [pair.captions[0] for pair in pairs]
    model.aln_weight_itm, model.aln_weight_itc = 0.5, 1.5
    torch.manual_seed(1)
    loss = model(*sides(pairs), captions)
    assert loss.shape == ()
    assert set(loss.parts) == {"lm", "itm", "itc", "words"}
    parts = {name: one.item() for name, one in loss.parts.items()}
    weighed = parts["lm"] + 0.5 * parts["itm"] + 1.5 * parts["itc"] + parts["words"]
    assert loss.item() == pytest.approx(weighed, rel=1e-6)
    assert f"{loss:.4f}" == f"{weighed:.4f}"
    (loss / 2).backward()
    halves = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    assert len(halves) > 50
    model.zero_grad()
    torch.manual_seed(1)
    model(*sides(pairs), captions).backward()
    for name, one in model.named_parameters():
        if name in halves:
            torch.testing.assert_close(one.grad, 2 * halves[name], rtol=1e-3, atol=1e-6)
    assert model(*sides(pairs), captions, return_loss=False).parts == {}
    assert model.eval()(*sides(pairs), captions).parts == {}, "asked, it gives logits"


def test_a_plain_loop_over_it_learns(pairs):
    """As its users write it: no `fit`, no recipe."""
    model = small(pairs).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    seen = []
    for epoch in range(6):
        model.aln_weight_itc = 1.5 if epoch < 4 else 1.0
        loss = model(*sides(pairs), [pair.captions[0] for pair in pairs])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(loss.parts["lm"].item())
    assert seen[-1] < 0.8 * seen[0]


def test_the_processor_is_that_beside_the_checkpoint(pairs, tmp_path):
    from transformers import Blip2ForConditionalGeneration

    place = hub(tmp_path / "hub", pairs)
    blip2 = Blip2ForConditionalGeneration.from_pretrained(place)
    model = EnhancedDiffBLIP2(blip2, options=TBLIP2Options(lora=0, align_dim=32, min_samples=4)).eval()
    assert model.processor.tokenizer.get_vocab() == small(pairs).processor.tokenizer.get_vocab()
    assert len(model.generate(*sides(pairs), max_new_tokens=4)) == 4
    with pytest.raises(ValueError, match="there is no processor for this BLIP-2: give it .* not loaded from a checkpo"):
        EnhancedDiffBLIP2(small(pairs).blip2_model)
    for path in place.glob("*token*"):
        path.unlink()
    (place / "processor_config.json").unlink()
    with pytest.raises(ValueError, match="there is no processor for this BLIP-2: give it as the second argument"):
        EnhancedDiffBLIP2(blip2)
