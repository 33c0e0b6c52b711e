"""Clusters as tokens: what the detector finds, and what each token depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whatchanged.models.detector import DifferenceDetector


def maps(*squares, size=64):
    """A difference map with bright squares at (row, column, strength), 10 pixels wide."""
    values = torch.zeros(size, size)
    for row, column, strength in squares:
        values[row : row + 10, column : column + 10] = strength
    return values


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return DifferenceDetector(16, max_clusters=3).eval()


def test_tokens_of_pairs_with_two_one_and_no_cluster(detector):
    batch = torch.stack([maps((5, 5, 1.0), (40, 40, 2.0)), maps((20, 30, 1.0)), maps()])
    found = detector(batch)
    assert found.tokens.shape == (3, 3, 2, 16), "a token for each side of each cluster"
    assert found.present.tolist() == [[True, True, False], [True, False, False], [False] * 3]
    assert [[one.box for one in clusters] for clusters in found.clusters] == [
        [(40, 40, 10, 10), (5, 5, 10, 10)],
        [(30, 20, 10, 10)],
        [],
    ]
    assert not found.tokens[~found.present].any()
    alone = detector(batch[1:2])
    assert torch.allclose(alone.tokens, found.tokens[1:2], atol=1e-5), "a pair does not depend on its batch"
    assert not detector(batch[2:]).present.any()


def test_a_token_sees_both_pictures_around_its_cluster_and_nowhere_else(detector):
    values, before, after = maps((20, 20, 1.0))[None], torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    plain = detector(values, before, after).tokens[0, 0]
    for place in (0, 1):
        for spot, seen in (((25, 25), True), ((55, 55), False)):
            pictures = [before.clone(), after.clone()]
            pictures[place][:, :, spot[0] - 2 : spot[0] + 3, spot[1] - 2 : spot[1] + 3] = 1
            token = detector(values, *pictures).tokens[0, 0]
            assert torch.allclose(token[place], plain[place], atol=1e-6) is not seen
            assert torch.allclose(token[1 - place], plain[1 - place], atol=1e-6), "the other side's token sees it not"
    assert torch.allclose(detector(values).tokens[0, 0], plain), "no pictures are blank ones"


def test_a_token_knows_where_its_cluster_is(detector):
    one, other = detector(torch.stack([maps((5, 5, 1.0)), maps((45, 40, 1.0))])).tokens[:, 0]
    assert not torch.allclose(one, other, atol=1e-3)


def test_tokens_stand_from_left_to_right_and_clusters_by_strength(detector):
    found = detector(maps((30, 50, 2.0), (5, 5, 1.0), (45, 25, 1.5))[None])
    assert [one.box[0] for one in found.clusters[0]] == [50, 25, 5]
    table = detector.table(found.clusters, torch.zeros(1, 64, 64))
    assert (table["geometry"][0, :, 0] * 64).tolist() == [10, 30, 55]
    strong = DifferenceDetector(16, max_clusters=2)
    kept = strong.table([found.clusters[0]], torch.zeros(1, 64, 64))["geometry"][0, :, 0] * 64
    assert kept.tolist() == [30, 55], "the weakest goes, wherever it lies"


def test_what_fits_is_cut_out_as_it_is(detector):
    values, picture = maps((21, 14, 1.0))[None], torch.rand(1, 3, 64, 64)
    located = detector.table([detector.clusters(values[0].numpy())], values)
    before, _ = detector._crops(located, detector.places(located["present"]), values, picture, picture)
    assert torch.allclose(before[0, :3], picture[0, :, 10:42, 3:35], atol=1e-6)
    assert torch.allclose(before[0, 3], values[0, 10:42, 3:35], atol=1e-6)


def test_the_last_channel_is_the_distance_from_the_color_around(detector, monkeypatch):
    """Two colors on a ground of another: the ground is 0, each color as far as it differs where it does most."""
    seen = []
    monkeypatch.setattr(detector.cnn, "forward", lambda crops: seen.append(crops) or torch.zeros(len(crops), 16))
    ground = torch.tensor([0.3, 0.5, 0.7])[:, None, None].expand(1, 3, 64, 64)
    picture = ground.clone()
    picture[0, :, 28:38, 24:29] = torch.tensor([0.7, 0.5, 0.6])[:, None, None]
    picture[0, :, 28:38, 29:34] = torch.tensor([0.3, 0.3, 0.8])[:, None, None]
    detector(maps((28, 24, 1.0))[None], picture, ground)
    ((before, after),) = (crops[:, 4] for crops in seen)
    assert not after.any()
    values, counts = before.round(decimals=5).unique(return_counts=True)
    assert values.tolist() == pytest.approx([0, 0.2, 0.4])
    assert counts[1:].tolist() == [50, 50]


def test_a_thing_that_moved_is_seen_again_elsewhere(detector):
    """By hand: the largest cosine with another cluster of the same pair, in the other picture."""
    views = torch.randn(6, 2, 16)
    views[0, 0] = views[2, 1]  # of the first pair: before in the first cluster, after in the third
    present = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]]).bool()
    found = detector._elsewhere(views, present, detector.places(present)).detach()
    looks = F.normalize(detector.identity(views), dim=2).detach()
    for own in ([0, 1, 2], [3], [4, 5]):
        for one in own:
            for side in (0, 1):
                best = max([looks[one, side] @ looks[other, 1 - side] for other in own if other != one], default=0.0)
                assert found[one, side].item() == pytest.approx(max(0.0, float(best)), abs=1e-5)
    assert found[0, 0].item() == pytest.approx(1)
    assert found[2, 1].item() == pytest.approx(1)


def test_on_a_gpu_where_all_places_are_looked_at_it_is_the_same(detector, monkeypatch):
    """The tokens and what they teach; a pair without a cluster is among them."""
    values = torch.stack([maps((5, 5, 1.0), (30, 45, 1.0)), torch.zeros(64, 64), maps((45, 40, 1.0))])
    pictures, told = torch.rand(2, 3, 3, 64, 64), []
    asked = torch.randn(3, 3, 2, 16)
    for all_places in (False, True):
        if all_places:
            monkeypatch.setattr(detector, "places", lambda present: torch.arange(present.numel()))
        detector.zero_grad()
        found = detector(values, *pictures)
        (found.tokens * asked).sum().backward()
        told.append([found.tokens.detach(), *(weight.grad.clone() for weight in detector.parameters())])
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*told, strict=True))
    assert (told[1][0][1] == 0).all()
    assert (told[1][0][0, :2] != 0).any(dim=2).all()


def test_every_weight_learns(detector):
    pictures = torch.rand(2, 3, 64, 64)
    found = detector(torch.stack([maps((5, 5, 1.0), (30, 45, 1.0)), maps((45, 40, 1.0))]), pictures, pictures)
    (found.tokens * torch.randn_like(found.tokens)).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in detector.parameters())


def test_clusters_of_a_binary_map():
    detector = DifferenceDetector(8, max_clusters=1, eps=1.5, min_samples=4)
    mask = np.zeros((30, 40), bool)
    mask[2:6, 2:6] = mask[20:25, 30:35] = True
    assert [one.box for one in detector.compute_clusters(mask)] == [(30, 20, 5, 5)]
    strength = np.where(np.arange(40) < 20, 9.0, 1.0) * mask
    assert [one.box for one in detector.compute_clusters(mask, strength)] == [(2, 2, 4, 4)]
    assert detector.compute_clusters(np.zeros((30, 40), bool)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_clusters": 0}, "max_clusters is 0"), ({"crop": 24}, "crop is 24: give a multiple of 16")],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DifferenceDetector(8, **options)
