"""Files that somebody damaged, or wrote with bad intent: one sentence each, quickly, in little memory, nothing astray.

Over 5,000 mutants of small files in every format that the course reads; and, by hypothesis, values of every shape:
the same ones in each run, or FUZZ times as many, at random, where the environment has FUZZ.
"""

import csv
import io
import json
import resource
import tarfile
import time
import zipfile
from functools import partial

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from safetensors.torch import save
from support import FUZZ

from course import sweep
from course.notebooks import select, title
from course.parameters import declared
from helpers import datasets, splits
from helpers.caption_sets import clevr_change, coco_captions, nlvr2, spot_the_diff, vist
from helpers.changes import SubtleDiffDataset
from helpers.evaluation import captioning
from helpers.sentences import change_tuples
from whatchanged import clusters, detection
from whatchanged.archives import unpack
from whatchanged.images import read_image
from whatchanged.pairs import find_pairs
from whatchanged.weights import model_weights

LONGEST, MOST = 5.0, 1_000_000  # seconds a file; kB that memory may grow


def examples(count):
    return settings(
        max_examples=count * (FUZZ or 1),
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def mutants(original, count, seed=FUZZ):
    """Variants of a file: bytes changed, cut off, cut out, doubled, blanked or put in."""
    rng = np.random.default_rng([seed, len(original), count])
    for _ in range(count):
        data = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            at, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
            way = rng.integers(6)
            if way == 0:
                for place in rng.integers(len(data), size=rng.integers(1, 9)) if data else ():
                    data[place] = rng.integers(256)
            elif way == 1:
                del data[at:]
            elif way == 2:
                del data[at : at + length]
            elif way == 3:
                data[at:at] = data[at : at + length]
            elif way == 4:
                data[at : at + length] = bytes(len(data[at : at + length]))
            else:
                data[at:at] = rng.bytes(length)
        yield bytes(data)


def image_bytes(kind):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (24, 31, 3), np.uint8))
    file = io.BytesIO()
    options = {"exif": b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"}
    image.save(file, kind, **options if kind in ("JPEG", "WebP") else {})
    return file.getvalue()


def torch_bytes(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def zip_bytes():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/one.txt", "one " * 100)
        archive.writestr("two.bin", bytes(range(256)) * 3)
    return file.getvalue()


def tar_bytes():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in (("a/one.txt", b"one " * 100), ("two.bin", bytes(range(256)) * 3)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def notebook_bytes():
    cells = [nbformat.v4.new_markdown_cell("# Title\n\nText"), nbformat.v4.new_code_cell("X = 1  # why\nY = 'a'")]
    cells[1].metadata["tags"] = ["parameters"]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def keras_bytes(folder):
    from whatchanged.models import dual_attention

    images = dual_attention.keras.Input((8, 8, 3))
    vector = dual_attention.keras.layers.GlobalAveragePooling2D()(dual_attention.GlobalAttention()(images))
    dual_attention.keras.Model(images, vector).save(folder / "whole.keras")
    return (folder / "whole.keras").read_bytes()


def read_notebook(path):
    declared(path)
    return title(path)


def read_weights(path):
    return model_weights(path, "resnet18")


def read_keras(path):
    from whatchanged.models import dual_attention

    return dual_attention.load(path)


WEIGHTS = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}
FILES = {
    **{
        kind: (lambda _, kind=kind: image_bytes(kind), read_image, 500)
        for kind in ("PNG", "JPEG", "GIF", "TIFF", "WebP", "BMP")
    },
    "pt": (lambda _: torch_bytes(torch.zeros(3, 8, 8)), datasets.read_tensor, 500),
    "checkpoint.pt": (lambda _: torch_bytes(WEIGHTS), read_weights, 500),
    "safetensors": (lambda _: save(WEIGHTS), read_weights, 400),
    "zip": (lambda _: zip_bytes(), None, 400),
    "tar.gz": (lambda _: tar_bytes(), None, 300),
    "ipynb": (lambda _: notebook_bytes(), read_notebook, 400),
    "keras": (keras_bytes, read_keras, 100),
}


def test_there_are_enough_mutants():
    assert sum(count for _, _, count in FILES.values()) >= 5000


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_costs_one_sentence(kind, tmp_path):
    make, read, count = FILES[kind]
    original = make(tmp_path)
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / f"file.{kind.lower()}"
    refused, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, data in enumerate(mutants(original, count)):
        path.write_bytes(data)
        began = time.perf_counter()
        try:
            if read is None:
                (inside / "out").mkdir(exist_ok=True)
                unpack(path, inside / "out", limit=10_000_000)
            else:
                read(path)
        except ValueError as error:
            refused += 1
            one_sentence(error, path, f"mutant {number}")
        assert time.perf_counter() - began < LONGEST, f"mutant {number}"
    assert refused > count / 10, "the mutants are hardly damaged"
    assert {one.name for one in tmp_path.iterdir()} <= {"inside", "whole.keras"}, "something was written elsewhere"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST


def one_sentence(error, path, which):
    """The error is ours, names the file, and is short."""
    text = str(error)
    assert path.name in text, f"{which}: {error!r} does not name the file"
    assert "\n" not in text, f"{which}: {text}"
    assert len(text) < 500, f"{which}: {text}"


# What JSON can hold, and JSON that nearly is what is asked for.

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 10**18), st.floats(allow_nan=False), st.text(max_size=8))
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def nearly(**fields):
    """Lists of records in which any field may be missing or anything."""
    record = {name: value | anything for name, value in fields.items()}
    return anything | st.lists(st.fixed_dictionaries({}, optional=record) | anything, max_size=4)


pictures = st.sampled_from(["1.png", "../outside.png", "/etc/passwd", "missing.png", ""])
numbers = st.sampled_from(["1", "2", 1, 0])
texts = st.lists(st.text(max_size=8), max_size=2)
photographs = nearly(id=numbers, file_name=pictures)
sentences = nearly(image_id=numbers, caption=st.text(max_size=8))
steps = nearly(story_id=numbers, photo_flickr_id=numbers, worker_arranged_photo_order=numbers, text=st.text(max_size=8))
numbered = anything | st.dictionaries(st.just("CLEVR_default_000001.png"), texts | anything)
KINDS_OF_JSON = {
    "train.json": (nearly(img_id=numbers, sentences=texts), spot_the_diff),
    "captions_train.json": (
        anything | st.fixed_dictionaries({"images": photographs, "annotations": sentences}),
        coco_captions,
    ),
    "train.story-in-sequence.json": (anything | st.fixed_dictionaries({"annotations": steps}), vist),
    "splits.json": (
        anything | st.fixed_dictionaries({"train": anything | st.lists(numbers | anything, max_size=3)}),
        clevr_change,
    ),
    "change_captions.json": (numbered, clevr_change),
    "annotations.json": (
        nearly(id=numbers, before=pictures, after=pictures, color=numbers, shape=numbers, texture=numbers),
        lambda folder, _: SubtleDiffDataset(folder),
    ),
}


@pytest.fixture
def pictured(tmp_path):
    """A folder with a picture where the formats look for one, and the files that the others come with."""
    (tmp_path / "splits.json").write_text('{"train": [1]}')
    for kind in ("change", "no_change"):
        (tmp_path / f"{kind}_captions.json").write_text('{"CLEVR_default_000001.png": ["said"]}')
    for name in ("1.png", "1_2.png", "before/1.png", "after/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", KINDS_OF_JSON)
def test_json_of_any_content_is_read_or_refused(name, pictured):
    values, read = KINDS_OF_JSON[name]

    @examples(150)
    @given(values)
    def try_it(value):
        (pictured / name).write_text(json.dumps(value))
        with_sentence(read, pictured, "train")

    try_it()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("splits.json", {"two\nlines": [1]}),
        ("train.json", [{"img_id": "two\nlines", "sentences": ["said"]}]),
        ("annotations.json", [{"id": "1", "color": 0, "shape": 0, "texture": 0, "before": "two\nlines.png"}]),
        ("annotations.json", [{"id": "1", "color": 0, "shape": 0, "texture": 0, "before": "null\0.png"}]),
    ],
)
def test_names_with_line_ends_are_quoted_in_one_line(name, value, pictured):
    (pictured / name).write_text(json.dumps(value))
    with pytest.raises(ValueError, match=r"two\\nlines|null\\x00") as refused:
        KINDS_OF_JSON[name][1](pictured, "train")
    assert "\n" not in str(refused.value)


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["before", "after", "1.png", "0"]
)
TABLES = (find_pairs, lambda path: sweep.parameter_rows(path, select("01")[0]))
tables = st.lists(st.lists(cells, max_size=4), max_size=5)


@examples(150)
@given(
    st.lists(anything | st.fixed_dictionaries({"identifier": numbers, "sentence": scalars, "label": st.just("True")}))
)
def test_lines_of_json_of_any_content_are_read_or_refused(pictured, records):
    (pictured / "train.json").write_text("\n".join(map(json.dumps, records)))
    with_sentence(nlvr2, pictured, "train")


@examples(150)
@given(tables)
def test_a_csv_file_of_any_content_is_read_or_refused(pictured, rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path = pictured / "table.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    for read in TABLES:
        with_sentence(read, path)


@examples(150)
@given(st.binary(max_size=200))
def test_a_csv_file_of_any_bytes_is_read_or_refused(pictured, data):
    (pictured / "table.csv").write_bytes(data)
    for read in TABLES:
        with_sentence(read, pictured / "table.csv")


def with_sentence(read, *arguments):
    """Read it, or be refused in one line; what is read, or None."""
    said = ""
    try:
        return read(*arguments)
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
    return None


@examples(200)
@given(st.text(max_size=60))
def test_a_caption_of_any_text_claims_something_or_nothing(text):
    assert isinstance(change_tuples(text), (set, frozenset))
    assert 0 <= captioning.distinct([text], 2) <= 1
    assert captioning.exact_matches({"1": [text]}, {"1": text}).tolist() == [True]


sides = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
images = sides.flatmap(lambda shape: arrays(np.uint8, (*shape, 3)))
maps = sides.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))


@examples(60)
@given(images, st.sampled_from(["tolerant", "pixel", "ssim"]), st.sampled_from([None, True, False]))
def test_pictures_of_any_content_are_compared(image, method, align):
    for other in (image, image[::-1].copy()):
        found = with_sentence(partial(detection.detect, method=method, align=align), image, other)
        if found is None:
            continue
        assert (-1 if method == "ssim" else 0) <= found.similarity <= 1 + 1e-6
        height, width = image.shape[:2]
        for x, y, w, h in found.boxes:
            assert 0 <= x < x + w <= width
            assert 0 <= y < y + h <= height


@examples(100)
@given(maps)
def test_maps_of_any_content_have_clusters_inside(values):
    for one in clusters.find_clusters(values):
        x, y, w, h = one.box
        assert 0 <= x < x + w <= values.shape[1]
        assert 0 <= y < y + h <= values.shape[0]
        assert 0 < one.density <= 1


@examples(60)
@given(st.lists(images, min_size=1, max_size=4))
def test_pictures_of_any_content_are_grouped(pictures):
    groups = splits.near_duplicates(pictures)
    assert len(groups.of) == len(pictures)
