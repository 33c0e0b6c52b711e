"""The data sets of sentences as their authors publish them, file by file and field by field; the pictures are made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import scenes

SPLITS = {"train": 0, "validation": 1, "test": 2}


def write_published(name: str, folder: Path, *, size: int = 48, **counts: int) -> Path:
    """Write the published data set of this name, with so many records for each part.

    A record of clevr-change makes two pairs (something changed, nothing did), and one of vist, a story, makes four. In
    coco-captions what is to validate and to test lies in val2014, half and half.
    """
    writers = {"spot-the-diff": _spot_the_diff, "clevr-change": _clevr_change, "nlvr2": _nlvr2}
    writers |= {"coco-captions": _coco_captions, "vist": _vist}
    writers[name](folder, counts, size)
    return folder


def _scene(part, index, size, changes=1):
    return scenes.scene_pair(SPLITS[part], index, size=size, changes=(changes, changes))


def _picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _spot_the_diff(folder, counts, size):
    for part, count in counts.items():
        records = []
        for index in range(count):
            pair, name = _scene(part, index, size), f"{SPLITS[part]}{index:03}"
            _picture(folder / "resized_images" / f"{name}.png", pair.before)
            _picture(folder / "resized_images" / f"{name}_2.png", pair.after)
            _picture(folder / "resized_images" / f"{name}_diff.jpg", pair.after)
            records.append({"img_id": name, "sentences": list(pair.captions)})
        _json(folder / f"{'val' if part == 'validation' else part}.json", records)


def _clevr_change(folder, counts, size):
    told, same, splits, number = {}, {}, {}, 0
    for part, count in counts.items():
        numbers = splits.setdefault("val" if part == "validation" else part, [])
        for index in range(count):
            pair, name = _scene(part, index, size), f"CLEVR_default_{number:06}.png"
            _picture(folder / "data" / "images" / name, pair.before)
            _picture(folder / "data" / "sc_images" / f"CLEVR_semantic_{number:06}.png", pair.after)
            _picture(folder / "data" / "nsc_images" / f"CLEVR_nonsemantic_{number:06}.png", pair.before[:, ::-1])
            told[name], same[name] = list(pair.captions), ["no change was made", "the scene remains the same"]
            numbers.append(number)
            number += 1
    files = {"change_captions": told, "no_change_captions": same, "splits": splits}
    for name, content in files.items():
        _json(folder / "data" / f"{name}.json", content)


def _nlvr2(folder, counts, size):
    for part, count in counts.items():
        split = {"train": "train", "validation": "dev", "test": "test1"}[part]
        lines = []
        for index in range(count):
            pair, name = _scene(part, index, size), f"{split}-{index}-0"
            place = folder / "images" / split / (str(index % 100) if split == "train" else "")
            _picture(place / f"{name}-img0.png", pair.before)
            _picture(place / f"{name}-img1.png", pair.after[: size * 3 // 4])  # no two photographs are of one size
            for number, (sentence, label) in enumerate([(pair.captions[0], "True"), ("There is a dog.", "False")]):
                record = {"validation": {"4": label}, "sentence": sentence, "left_url": "https://images.example/0.jpg"}
                record |= {"writer": "4", "label": label, "synset": "scene", "query": "scenes0"}
                record |= {"identifier": f"{name}-{number}", "right_url": "https://images.example/1.jpg"}
                lines.append(json.dumps(record | ({"directory": index % 100} if split == "train" else {})))
        (folder / f"{split}.json").write_text("\n".join(lines) + "\n")


def _coco_captions(folder, counts, size):
    for split, parts in {"train2014": ["train"], "val2014": ["validation", "test"]}.items():
        images, told = [], []
        for part in parts:
            for index in range(counts[part]):
                pair, number = _scene(part, index, size), 1000 * SPLITS[part] + index
                name = f"COCO_{split}_{number:012}.jpg"
                _picture(folder / split / name, pair.after)
                image = {"license": 5, "file_name": name, "coco_url": f"http://images.example/{split}/{name}"}
                image |= {"height": size, "width": size, "date_captured": "2013-11-14 16:28:13", "id": number}
                images.append(image | {"flickr_url": "http://photographs.example/1.jpg"})
                told += [
                    {"image_id": number, "id": 10 * number + n, "caption": f"{number}: {text}"}
                    for n, text in enumerate(pair.captions)
                ]
        content = {"info": {"year": 2014}, "images": images, "licenses": [{"id": 5}], "annotations": told[::-1]}
        _json(folder / "annotations" / f"captions_{split}.json", content)


def _vist(folder, counts, size):
    for part, count in counts.items():
        split = "val" if part == "validation" else part
        steps, images = [], []
        for index in range(count):
            story = str(30000 + 1000 * SPLITS[part] + index)
            for order in range(5):
                pair, photo = _scene(part, 5 * index + order, size), f"26{SPLITS[part]}{5 * index + order:07}"
                _picture(folder / "images" / split / f"{photo}.jpg", pair.after)
                images.append({"id": photo, "album_id": "1", "datetaken": "2005-03-16 10:00:00", "title": ""})
                step = {"original_text": pair.captions[0], "album_id": "1", "photo_flickr_id": photo}
                step |= {"setting": "first-2-pick-and-tell", "worker_id": "FJROI8NWDRIPAM1", "story_id": story}
                step |= {"tier": "story-in-sequence", "worker_arranged_photo_order": order, "text": pair.captions[0]}
                steps.append([step | {"storylet_id": f"{story}{order}"}])
        content = {
            "info": {"version": "SIND 1.0"},
            "images": images,
            "annotations": steps[::-1],
            "albums": [{"id": "1"}],
        }
        _json(folder / "sis" / f"{split}.story-in-sequence.json", content)
