"""EnhancedDiffBLIP2: prefix, losses and captions against transformers; formats; full size on paper."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import SCRIPTS
from tiny_tblip2 import sides, small
from transformers import Blip2Config, Blip2ForConditionalGeneration

from helpers import scenes
from whatchanged import training
from whatchanged.models import caption_loss
from whatchanged.models.blip2 import load_blip2, small_blip2
from whatchanged.models.caption_loss import CaptionLoss
from whatchanged.models.finetuning import parameter_groups
from whatchanged.models.prepared import PreparedPairs
from whatchanged.models.tblip2 import EnhancedDiffBLIP2
from whatchanged.models.tblip2_options import OPTIONS, TBLIP2Options
from whatchanged.tolerance import change_map


@pytest.mark.parametrize(("streams", "globals_"), [("two", 4), ("one", 2)])
def test_the_prefix_is_global_difference_and_cluster_tokens(pairs, streams, globals_):
    model = small(pairs, streams=streams, max_clusters=3)
    visual = model.visual(*sides(pairs))
    assert visual.prefix.shape == (4, globals_ + 2 + 2 * 3, 64)
    found = [len(clusters) for clusters in model.diff_detector(model.compute_difference_map(*sides(pairs))).clusters]
    assert found[0] == 0, "nothing changed: no cluster, and an answer all the same"
    assert visual.detected.present.sum(dim=1).tolist() == found
    without = small(pairs, streams=streams, clusters=False).visual(*sides(pairs))
    assert without.prefix.shape == (4, globals_ + 2, 64)


def test_tokens_begin_as_what_blip2_itself_gives(pairs):
    """Before any training the fusion passes them on, so a checkpoint's language model reads what it was taught to."""
    model = small(pairs, clusters=False)
    torch.nn.init.zeros_(model.fusion_layer.self_attn.out_proj.weight)
    torch.nn.init.zeros_(model.fusion_layer.linear2.weight)
    batch = model._batch(*sides(pairs))
    prefix = model.visual(batch).prefix
    processor = model.processor.image_processor
    for place, side in enumerate(("before", "after")):
        pixels = processor(list(batch[side]), return_tensors="pt")["pixel_values"]
        assert torch.allclose(model._normalized(batch[side]), pixels, atol=1e-5), "normalized as the processor does"
        own = model.blip2_model.get_image_features(pixels).pooler_output
        assert torch.allclose(prefix[:, 2 * place : 2 * place + 2], own, atol=1e-4)


def test_one_stream_lets_each_picture_see_the_other(pairs):
    batch = small(pairs)._batch(*sides(pairs[1:2]))
    other = batch["after"].flip(-1)
    for streams, seen in (("two", False), ("one", True)):
        model = small(pairs, streams=streams)
        first, _ = model.encode_images(batch["before"], batch["after"])
        again, _ = model.encode_images(batch["before"], other)
        assert first.shape == (1, 37, 32)
        assert torch.allclose(first, again, atol=1e-5) is not seen


def test_losses_are_those_of_transformers_and_of_the_formulas(pairs):
    model = small(pairs)
    captions = [pair.captions[0] for pair in pairs]
    out = model(*sides(pairs), captions, return_loss=True)
    given, mask = model.language.prompted(out.visual.prefix, model.options.prompt)
    words = model.language.tokens(captions, end=True)
    labels = torch.cat(
        [torch.full(mask.shape, -100), words["input_ids"].masked_fill(words["attention_mask"] == 0, -100)], 1
    )
    text = model.blip2_model.language_model
    own = text(
        inputs_embeds=torch.cat([given, text.get_input_embeddings()(words["input_ids"])], 1),
        attention_mask=torch.cat([mask, words["attention_mask"]], 1),
        labels=labels,
    )
    assert out.parts["lm"].item() == pytest.approx(own.loss.item(), rel=1e-5)
    logits = out.matched.similarity / model.matching.temperature
    target = torch.arange(4)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    assert out.parts["itc"].item() == pytest.approx(expected.item(), rel=1e-5)
    tokens = model.language.tokens([model.options.prompt], begin=True)["input_ids"][0]
    assert model.processor.tokenizer.decode(tokens) == "</s> Diff:", "the language model begins as it was taught to"


def test_the_words_of_a_caption_are_sought_in_its_clusters(pairs):
    model = small(pairs)
    captions = [pair.captions[0] for pair in pairs]
    out = model(*sides(pairs), captions, return_loss=True)
    detected, vocabulary = out.visual.detected, model.processor.tokenizer.get_vocab()
    total = count = 0.0
    for row, caption in enumerate(captions):
        parts = [*detected.tokens[row][detected.present[row]].flatten(0, 1), model.absent]
        unseen = torch.stack([1 - torch.sigmoid(model.word_head(one)) for one in parts]).prod(dim=0)
        said = [vocabulary[word] for word in set(caption.split())]
        rest = [word for word in vocabulary.values() if word not in said]
        total -= torch.log(1 - unseen[said]).sum().item() + torch.log(unseen[rest]).sum().item()
        count += len(said)
    assert out.parts["words"].item() == pytest.approx(total / count, rel=1e-4)
    plain = small(pairs, clusters=False)(*sides(pairs), captions, return_loss=True)
    assert set(plain.parts) == {"lm", "itm", "itc"}, "without clusters there is nowhere to look"


def test_each_sentence_is_sought_in_one_cluster(pairs):
    """Where the options say what stands between sentences: the loss of each on each cluster, by the formula."""
    model = small(pairs, join=" and ")
    captions = [pair.captions[0] for pair in pairs]
    out = model(*sides(pairs), captions, return_loss=True)
    detected, vocabulary = out.visual.detected, model.processor.tokenizer.get_vocab()
    of_sentences, of_clusters = [], []
    for row, caption in enumerate(captions):
        there = detected.tokens[row][detected.present[row]]
        views = [[*one, model.absent] for one in there] or [[model.absent]]
        losses = []
        for sentence in caption.split(" and "):
            said = [vocabulary[word] for word in set(sentence.split())]
            rest = [word for word in vocabulary.values() if word not in said]
            unseen = [
                torch.stack([1 - torch.sigmoid(model.word_head(one)) for one in own]).prod(dim=0) for own in views
            ]
            losses.append([-(torch.log(1 - u[said]).sum() + torch.log(u[rest]).sum()) / len(said) for u in unseen])
        table = torch.tensor([[float(one) for one in own] for own in losses])
        of_sentences += (-torch.log(torch.exp(-table).mean(dim=1))).tolist()
        of_clusters += (-torch.log(torch.exp(-table).mean(dim=0))).tolist()
    expected = sum(of_sentences) / len(of_sentences) / 2 + sum(of_clusters) / len(of_clusters) / 2
    assert out.parts["words"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_a_caption_does_not_depend_on_the_batch(pairs, options):
    """Batches of transformers' own prompts, with their image tokens, once broke here."""
    model = small(pairs)
    with torch.no_grad():  # random weights hardly listen to the prefix, and would say the same of all pairs
        model.blip2_model.language_projection.weight.mul_(3)
    together = model.generate(*sides(pairs), max_new_tokens=16, **options)
    alone = [model.generate([pair.before], [pair.after], max_new_tokens=16, **options)[0] for pair in pairs]
    assert together == alone
    assert len(set(together)) > 1
    batch = model._batch(*sides(pairs))
    visual, one = model.visual(batch), model.visual({name: value[2:3] for name, value in batch.items()})
    torch.testing.assert_close(visual.prefix[2:3], one.prefix, rtol=1e-3, atol=1e-3)


def test_sampling_follows_the_seed(pairs):
    model = small(pairs)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(model.generate(*sides(pairs), max_new_tokens=6, do_sample=True))
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_map_is_the_aligned_difference_with_the_features_in_their_share(pairs):
    model, plain = small(pairs, feature_weight=0.25), small(pairs)
    pixels = plain.compute_difference_map(*sides(pairs))
    for row, pair in zip(pixels, pairs, strict=True):
        assert np.abs(row.numpy() - change_map(pair.before, pair.after)[2]).max() <= 0.5 / 255 + 1e-6
    mixed = model.compute_difference_map(*sides(pairs))
    assert ((mixed >= 0) & (mixed <= 1)).all()
    features = (mixed - 0.75 * pixels) / 0.25
    assert features.amax(dim=(1, 2)).max() <= 1 + 1e-4
    assert features[1].std() > 0.01
    assert "present" not in model.prepare(pairs[1].before, pairs[1].after), "clusters wait for the features"
    assert model.generate(*sides(pairs), max_new_tokens=3)


def test_pictures_as_tensors_are_the_same_pictures(pairs):
    model = small(pairs)
    tensors = [torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) / 255 for side in sides(pairs)]
    assert torch.allclose(model.visual(*tensors).prefix, model.visual(*sides(pairs)).prefix, atol=1e-5)


def test_pictures_come_in_twos(pairs):
    model, (before, after) = small(pairs), sides(pairs)
    with pytest.raises(ValueError, match="there are 4 pictures before and 3 after: give as many of each"):
        model.visual(before, after[:3])
    with pytest.raises(ValueError, match="img2 is None: give the pictures after"):
        model.generate(before)
    with pytest.raises(ValueError, match="return_loss needs captions: there is nothing to compare with"):
        model(before, after, return_loss=True)


def test_features_of_a_frozen_encoder_are_kept(pairs):
    model = small(pairs, freeze_vision=True)
    batch = model._batch(*sides(pairs))
    assert batch["features"].shape == (4, 2, 37, 32)
    kept = model.visual(batch).prefix
    fresh = model.visual({name: value for name, value in batch.items() if name != "features"}).prefix
    assert torch.allclose(kept, fresh, atol=1e-5)
    assert not model.train().blip2_model.vision_model.training
    with pytest.raises(ValueError, match="cannot be flipped: do not augment"):
        caption_loss.flipped(batch)


def prepared(model, count=8, draw=True):
    def read(number):
        pair = scenes.scene_pair(5, number, size=48, changes=(number % 3, number % 3))
        return pair.before, pair.after, pair.captions

    return PreparedPairs.in_memory(count, read, model.prepare, draw=draw)


def test_checkpointed_activations_give_the_same_gradients(pairs):
    gradients = []
    for checkpointing in (False, True):
        model = small(pairs, lora=4, freeze_vision=True, checkpointing=checkpointing).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        torch.manual_seed(1)
        out = model(*sides(pairs), [pair.captions[0] for pair in pairs], return_loss=True)
        sum(out.parts.values()).backward()
        gradients.append(model.diff_detector.cnn[0].weight.grad)
    assert torch.allclose(*gradients, atol=1e-6)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("kind", ["opt", "t5"])
def test_a_published_checkpoint_trains_with_lora_and_comes_back(pairs, tmp_path, kind):
    """A BLIP-2 on disk as the hub has it, loaded by its path: two steps, saved, reloaded, the same words."""
    words = [caption for i in range(8) for caption in scenes.scene_pair(5, i, size=48, changes=(i % 3, i % 3)).captions]
    blip2, processor = small_blip2(words, image_size=48, dim=64)
    if kind == "t5":
        text = {"model_type": "t5", "vocab_size": len(processor.tokenizer), "d_model": 64, "d_kv": 16, "d_ff": 128}
        text |= {"num_layers": 1, "num_heads": 4, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        config = blip2.config.to_dict() | {"text_config": text, "use_decoder_only_language_model": False}
        torch.manual_seed(0)
        blip2 = Blip2ForConditionalGeneration(Blip2Config.from_dict(config))
    blip2.save_pretrained(tmp_path / "hub")
    processor.save_pretrained(tmp_path / "hub")
    loaded, reader = load_blip2(str(tmp_path / "hub"))
    model = EnhancedDiffBLIP2(loaded, reader, TBLIP2Options(min_samples=4, lora=4, align_dim=32))
    frozen = {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}
    captions = [pair.captions[0] for pair in pairs]
    before = model.eval()(*sides(pairs), captions).logits
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.02))
    recipe = training.Recipe(loss=CaptionLoss(), metrics={}, optimizer=optimizer, precision="fp32")
    past = training.fit(model, prepared(model), recipe=recipe, epochs=1, batch_size=4, progress=False)
    assert len(past.step_loss) == 2
    assert {"train_lm", "train_itm", "train_itc", "train_itc_recall", "train_temperature"} <= past.epochs[0].keys()
    assert all(torch.equal(weight, frozen[name]) for name, weight in model.named_parameters() if name in frozen)
    logits = model.eval()(*sides(pairs), captions).logits
    assert not torch.allclose(logits, before, atol=0.01), "two steps at this rate must show"
    words = model.generate(*sides(pairs), max_new_tokens=12)
    model.save_pretrained(tmp_path / "mine")
    again = EnhancedDiffBLIP2.from_pretrained(tmp_path / "mine")
    assert again.generate(*sides(pairs), max_new_tokens=12) == words
    assert torch.allclose(again(*sides(pairs), captions).logits, logits, atol=1e-3)
    assert again.options == model.options
    assert not list((tmp_path / "mine").glob("*.bin"))


def test_a_half_written_model_is_not_taken_for_a_whole_one(pairs, tmp_path):
    small(pairs).save_pretrained(tmp_path)
    (tmp_path / OPTIONS).unlink()
    with pytest.raises(ValueError, match="holds no options.json: save_pretrained writes it"):
        EnhancedDiffBLIP2.from_pretrained(tmp_path)


def test_a_damaged_model_is_refused(pairs, tmp_path):
    path = small(pairs).save_pretrained(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.safetensors is damaged, copy it again or train again"):
        EnhancedDiffBLIP2.from_pretrained(tmp_path)


def test_full_size_on_paper():
    """blip2-opt-2.7b by its published configuration, without a byte of weights: tokens, adapters and groups."""
    text = {"model_type": "opt", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32}
    text |= {"ffn_dim": 10240, "word_embed_proj_dim": 2560, "vocab_size": 50304, "max_position_embeddings": 2048}
    config = Blip2Config(text_config=text, image_token_index=50265)
    _, processor = small_blip2(["a"], image_size=224, dim=64)
    with torch.device("meta"):
        options = TBLIP2Options(lora=16, checkpointing=True)
        model = EnhancedDiffBLIP2(Blip2ForConditionalGeneration(config), processor, options)
    counts = {name: sum(w.numel() for w in part.parameters()) for name, part in model.blip2_model.named_children()}
    assert counts["vision_model"] == 985_952_256
    adapters = {name: w for name, w in model.named_parameters() if "lora_" in name}
    assert len(adapters) == 32 * 2 * 2, "queries and values of 32 layers, two matrices each"
    assert {name.split(".")[-4] for name in adapters} == {"q_proj", "v_proj"}
    assert sum(w.numel() for w in adapters.values()) == 32 * 2 * 16 * (2560 + 2560)
    groups = {group["name"]: group["params"] for group in parameter_groups(model)}
    old = sum(w.numel() for w in groups["BLIP-2"])
    assert (
        old == sum(w.numel() for w in adapters.values()) + counts["qformer"] + counts["language_projection"] + 32 * 768
    )
    assert model.word_head.weight.shape == (50272 + 32, 768)
    new = sum(w.numel() for n, w in model.named_parameters() if not n.startswith("blip2_model"))
    assert sum(w.numel() for w in groups["new"]) == new
    batch = {
        "before": torch.zeros(2, 3, 224, 224, dtype=torch.uint8, device="meta"),
        "after": torch.zeros(2, 3, 224, 224, dtype=torch.uint8, device="meta"),
        "features": torch.zeros(2, 2, 257, 1408, device="meta"),
        "map": torch.zeros(2, 224, 224, device="meta"),
    }
    first, second = model._features(batch)
    queries = model._queries(first, second)
    difference = model._query(model._where_it_differs(first, second, batch["map"]))
    tokens = torch.cat([*queries, difference, torch.zeros(2, 10, 768, device="meta")], dim=1)
    prefix = model.blip2_model.language_projection(model.fusion_layer(tokens))
    assert prefix.shape == (2, 32 + 32 + 32 + 2 * 5, 2560)
    assert all(weight.is_meta for weight in model.parameters())


@pytest.mark.process
def test_killed_in_the_middle_of_an_epoch_and_resumed_gives_the_same_weights(tmp_path):
    def run(name, folder, *flags, expect=0):
        output = tmp_path / f"{name}.pt"
        command = [sys.executable, SCRIPTS / "tblip2_script.py", tmp_path / folder, output, *flags]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stderr
        assert "shared tensor" not in done.stderr, "what a reader need not know is not told"
        return torch.load(output, weights_only=True) if output.exists() else None

    whole = run("whole", "a")
    assert run("killed", "b", "--die", expect=-signal.SIGKILL) is None
    assert max(path.name for path in (tmp_path / "b").glob("checkpoint-*")) == "checkpoint-00000006", "epoch 2, step 2"
    resumed = run("resumed", "b", "--resume")
    assert [path.name for path in (tmp_path / "b").glob("epoch-*")] == ["epoch-0002.safetensors"]
    assert whole["history"] == resumed["history"]
    assert all(torch.equal(value, resumed["weights"][name]) for name, value in whole["weights"].items())
