"""DDLA: the sum over clusters by hand, regions, and sentences that it learns."""

from __future__ import annotations

import pytest
import torch

from whatchanged.models import ddla
from whatchanged.models.blip2 import word_processor
from whatchanged.models.ddla import DDLA

SAYINGS = ("the ring moved", "a star was added", "nothing changed")


@pytest.fixture
def tokenizer():
    return word_processor(SAYINGS, 48).tokenizer


def batch(places, size=48, color=None):
    """Pairs with clusters at (x, y), shares of the picture, 0.2 wide; the after picture is painted there."""
    n, most = len(places), 3
    present, geometry = torch.zeros(n, most, dtype=torch.bool), torch.zeros(n, most, 6)
    before = torch.full((n, 3, size, size), 128, dtype=torch.uint8)
    after = before.clone()
    for row, own in enumerate(places):
        for place, (x, y) in enumerate(own):
            present[row, place] = True
            geometry[row, place] = torch.tensor((x, y, 0.2, 0.2, 0.04, 1.0))
            left, top = int((x - 0.1) * size), int((y - 0.1) * size)
            paint = 255 if color is None else color[row][place]
            after[row, :, top : top + 10, left : left + 10] = torch.tensor(paint, dtype=torch.uint8).view(-1, 1, 1)
    return {"before": before, "after": after, "present": present, "geometry": geometry}


@pytest.mark.parametrize("prior", ddla.PRIORS)
def test_a_sentence_sums_over_the_clusters_it_may_be_about(tokenizer, prior):
    torch.manual_seed(0)
    model = DDLA(tokenizer, prior=prior, dim=16).eval()
    both = batch([[(0.2, 0.2), (0.7, 0.7)]])
    found = model(both, [["the ring moved", "a star was added"]])
    ranks = model.rank(both["geometry"])[0, :2, 0] if prior == "learned" else torch.zeros(2)
    for place, sentence in enumerate(("the ring moved", "a star was added")):
        each = []
        for cluster in range(2):
            own = both | {"present": torch.zeros(1, 3, dtype=torch.bool)}
            own["present"][0, cluster] = True
            each.append(model(own, [[sentence]])[0].exp())
        expected = (ranks.softmax(dim=0) * torch.stack(each)).sum().log()
        assert found[place].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_sentence_sees_its_region_only(tokenizer):
    torch.manual_seed(0)
    model = DDLA(tokenizer, dim=16).eval()
    one = batch([[(0.2, 0.2)]]) | {"before": torch.randint(256, (1, 3, 48, 48), dtype=torch.uint8)}
    plain = model(one, [["the ring moved"]])
    near, far = (one | {"before": one["before"].clone()} for _ in range(2))
    near["before"][0, :, 6:14, 6:14] = 0
    far["before"][0, :, 42:, 42:] = 0
    assert torch.allclose(model(far, [["the ring moved"]]), plain, atol=1e-6)
    assert not torch.allclose(model(near, [["the ring moved"]]), plain, atol=1e-6)


def test_a_pair_without_a_cluster_is_read_as_a_whole(tokenizer):
    model = DDLA(tokenizer, dim=16).eval()
    nothing = batch([[]])
    features, regions, prior = model._encode(nothing)
    assert regions[0, 0].view(6, 6).nonzero().tolist() == [[y, x] for y in (0, 2, 4) for x in (0, 2, 4)]
    assert prior[0].tolist() == [0.0, float("-inf"), float("-inf")]
    assert torch.isfinite(model(nothing, [["nothing changed"]])).all()
    assert len(model.generate(nothing)) == 1


def test_padding_and_neighbors_change_nothing(tokenizer):
    torch.manual_seed(0)
    model = DDLA(tokenizer, dim=16).eval()
    pairs = batch([[(0.2, 0.2)], [(0.7, 0.3), (0.2, 0.7)]])
    together = model(pairs, [["the ring moved"], ["a star was added", "nothing changed"]])
    second = {name: value[1:] for name, value in pairs.items()}
    assert torch.allclose(together[1:], model(second, [["a star was added", "nothing changed"]]), atol=1e-4)


def test_it_learns_which_cluster_a_sentence_is_about(tokenizer):
    """Red patches are stars, blue ones rings; which sentence belongs to which patch is never told."""
    torch.manual_seed(0)
    model = DDLA(tokenizer, join=" and ", dim=32)
    red, blue = (255, 0, 0), (0, 0, 255)
    sayings = {red: "a star was added", blue: "the ring moved"}
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)

    def draw(count=16):
        colors = [[(red, blue)[int(torch.randint(2, (), generator=generator))] for _ in range(2)] for _ in range(count)]
        return batch([[(0.25, 0.3), (0.75, 0.6)]] * count, color=colors), colors

    for _ in range(60):
        pairs, colors = draw()
        captions = [" and ".join(sayings[color] for color in own[::-1]) for own in colors]
        loss, _ = ddla.alignment_loss(model, pairs | {"caption": captions})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    pairs, colors = draw(40)
    said = model.generate(pairs)
    right = [
        set(text.split(" and ")) == {sayings[color] for color in own} for text, own in zip(said, colors, strict=True)
    ]
    assert sum(right) >= 38
    single = model.generate(pairs, multi=False)
    assert all(text in {sayings[color] for color in own} for text, own in zip(single, colors, strict=True))


def test_a_caption_is_one_sentence_unless_its_grammar_says_otherwise(tokenizer):
    """In free text "and" stands between anything: "the man and the woman near the red car are gone"."""
    free, made = DDLA(tokenizer, dim=16).eval(), DDLA(tokenizer, join=" and ", dim=16).eval()
    made.load_state_dict(free.state_dict())
    caption = "the ring and a star moved"
    assert free.sentences(caption) == [caption]
    assert made.sentences(caption) == ["the ring", "a star moved"]
    one = batch([[(0.2, 0.2), (0.7, 0.7)]])
    for model in (free, made):
        loss, _ = ddla.alignment_loss(model, one | {"caption": [caption]})
        assert loss.item() == pytest.approx(-model(one, [model.sentences(caption)]).mean().item(), rel=1e-6)


def test_an_unknown_prior_is_named(tokenizer):
    with pytest.raises(ValueError, match="prior is 'flat': choose 'uniform' or 'learned'"):
        DDLA(tokenizer, prior="flat")
