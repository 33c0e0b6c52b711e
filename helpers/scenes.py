"""Before/after pairs whose every change is known: generated scenes and edited photographs, with nuisances.

A *change* is what a detector must find: a thing that got another color, shape or texture, was added, removed or
moved. A *nuisance* is what it must not report: another camera position, another exposure, noise, compression.
Everything follows from `(seed, index)`, whatever was generated before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from helpers.runtime import write_json

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 45, 48),
    "orange": (242, 133, 34),
    "yellow": (245, 213, 61),
    "green": (52, 158, 70),
    "cyan": (70, 197, 214),
    "blue": (40, 96, 196),
    "purple": (132, 66, 176),
    "pink": (244, 143, 186),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
TEXTURES = ("plain", "striped", "dotted", "checked", "ringed")
ATTRIBUTES = ("color", "shape", "texture")
KINDS = (*ATTRIBUTES, "added", "removed", "moved")
_VALUES: dict[str, tuple[str, ...]] = {"color": tuple(COLORS), "shape": SHAPES, "texture": TEXTURES}


@dataclass(frozen=True)
class Thing:
    """One object of a scene. Position and radius are fractions of the image's smaller side; the angle is in radians."""

    color: str
    shape: str
    texture: str
    x: float
    y: float
    radius: float
    angle: float

    def __str__(self) -> str:
        return f"{self.color} {self.texture} {self.shape}"


@dataclass(frozen=True)
class Nuisance:
    """How the second picture was taken, apart from what changed. The defaults do nothing.

    Attributes
    ----------
    rotation : degrees, counter-clockwise.
    shift_x, shift_y : pixels, to the right and down.
    scale : zoom factor about the center.
    size : resolution of the after image as a factor of the before image's; 0.8 gives a smaller file.
    gain, bias : the new value is `gain * value + bias`, bias in gray levels of 255.
    gradient : lighting ramp across the picture; 0.2 goes from 0.8 to 1.2.
    vignette : darkening in the corners; 0.3 leaves 70 % there.
    shadow : darkness of one soft-edged shadow; 0.4 leaves 60 %.
    blur : standard deviation of a Gaussian, pixels.
    noise : standard deviation of the sensor noise, gray levels of 255.
    jpeg : quality from 1 to 100; 0 means not compressed.
    """

    rotation: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    size: float = 1.0
    gain: float = 1.0
    bias: float = 0.0
    gradient: float = 0.0
    vignette: float = 0.0
    shadow: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: int = 0

    def sample(self, rng: np.random.Generator) -> Nuisance:
        """A random nuisance no stronger than this one: each value between nothing and it, on either side."""
        signed = {"rotation", "shift_x", "shift_y", "bias"}
        drawn: dict[str, Any] = {}
        for field in fields(self):
            limit, nothing = getattr(self, field.name), field.default
            if limit == nothing:
                continue
            u = rng.random()
            if field.name in signed:
                drawn[field.name] = (2 * u - 1) * limit
            elif field.name in ("scale", "gain"):
                drawn[field.name] = float(np.exp((2 * u - 1) * abs(np.log(limit))))
            elif field.name == "jpeg":
                drawn[field.name] = round(limit + u * (95 - limit)) if limit < 95 else limit
            else:
                drawn[field.name] = nothing + u * (limit - nothing)
        return Nuisance(**drawn)

    def scaled(self, factor: float) -> Nuisance:
        """The same nuisance `factor` times as strong; the JPEG quality falls by as much as it was below 100."""
        ratio = {"scale", "size", "gain"}
        out = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "jpeg":
                out[field.name] = max(1, round(100 - factor * (100 - value))) if value else 0
            else:
                out[field.name] = value**factor if field.name in ratio else value * factor
        return Nuisance(**out)

    def matrix(self, shape: tuple[int, ...]) -> np.ndarray:
        """The 3x3 transform from pixels of the before image, of `shape` (H, W, ...), to pixels of the after image."""
        height, width = shape[:2]
        center = ((width - 1) / 2, (height - 1) / 2)
        moved = np.vstack([cv2.getRotationMatrix2D(center, self.rotation, self.scale), [0, 0, 1]])
        moved[:2, 2] += self.shift_x, self.shift_y
        if self.size == 1:
            return moved
        out_height, out_width = self.output_shape(shape)
        sx, sy = out_width / width, out_height / height  # pixel centers, as cv2.resize places them
        return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1.0]]) @ moved

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the after image."""
        return max(1, round(shape[0] * self.size)), max(1, round(shape[1] * self.size))


@dataclass(frozen=True)
class Change:
    """One change with its exact place. Each list has one entry, or two (old and new place) for "moved".

    Attributes
    ----------
    kinds : what changed: some of `KINDS`; several attributes of one object may change at once.
    before, after : the object on either side, None where it is absent (and for edits of photographs).
    boxes_before, boxes_after : int array (n, 4): x, y, width, height, in pixels of that image.
    masks_before, masks_after : bool array (n, H, W) of that image.
    """

    kinds: tuple[str, ...]
    before: Thing | None
    after: Thing | None
    boxes_before: np.ndarray
    boxes_after: np.ndarray
    masks_before: np.ndarray
    masks_after: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two pictures and all that is known about them.

    Attributes
    ----------
    before, after : uint8 array (H, W, 3), RGB.
    changes : the changes; empty where nothing changed.
    captions : several wordings of the same truth.
    things : the objects of the before image.
    nuisance : how the after image was taken.
    transform : float array (3, 3), pixels of the before image to pixels of the after image.
    """

    before: np.ndarray
    after: np.ndarray
    changes: tuple[Change, ...]
    captions: tuple[str, ...]
    things: tuple[Thing, ...]
    nuisance: Nuisance
    transform: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        """All boxes in pixels of the before image: int array (n, 4): x, y, width, height."""
        return np.concatenate([change.boxes_before for change in self.changes] or [np.zeros((0, 4), int)])

    @property
    def labels(self) -> dict[str, bool]:
        """For each of `KINDS`, whether some object changed that way."""
        present = {kind for change in self.changes for kind in change.kinds}
        return {kind: kind in present for kind in KINDS}


# ---------------------------------------------------------------------------------------------------------------------
# Scenes


def scene_pair(
    seed: int,
    index: int = 0,
    *,
    size: int | tuple[int, int] = 96,
    things: tuple[int, int] = (2, 4),
    changes: tuple[int, int] = (1, 1),
    kinds: Sequence[str] = KINDS,
    several: float = 0.0,
    together: bool = False,
    combinations: Collection[tuple[str, str]] | None = None,
    nuisance: Nuisance | None = None,
) -> Pair:
    """A generated scene before and after some of its objects changed.

    Parameters
    ----------
    seed, index : together they determine the pair.
    size : the side, or (height, width), in pixels; the same scene at any size.
    things : fewest and most objects, inclusive.
    changes : fewest and most changed objects, inclusive; (0, 0) changes nothing.
    kinds : the kinds of change to draw from, some of `KINDS`.
    several : probability from 0 to 1 that one object changes in more than one attribute.
    together : every changed object changes in all of `kinds`, which must be attributes.
    combinations : the (shape, texture) that objects may have, before and after. None: all of them.
    nuisance : the strongest nuisance; each pair draws its own within it (`Nuisance.sample`). None: none.

    Raises
    ------
    ValueError
        An unknown kind, an empty range, a side under 16 pixels, or combinations too few to change within.
    """
    height, width = (size, size) if isinstance(size, int) else size
    _check_scene(height, width, things, changes, kinds, together)
    rng = np.random.default_rng((seed, index))
    spots = _place(rng, int(rng.integers(things[0], things[1] + 1)) + 2, height, width)
    spare, spots = spots[-2:], spots[:-2]  # free places for what is added or moved
    draw = _Draw(rng, tuple(kinds), several, together, combinations)
    present = tuple(draw.thing(spot) for spot in spots)
    plan = _plan(draw, present, spare, int(rng.integers(changes[0], changes[1] + 1)))
    captions, noise_seed = _captions(rng, plan), int(rng.integers(2**32))
    taken = (nuisance or Nuisance()).sample(rng)
    background = _background(rng, height, width)  # last: how much it draws depends on the size
    added = [new for _, old, new in plan if old is None]
    replaced = {old: new for _, old, new in plan if old is not None}
    before = _draw(background, present)
    after = _draw(background, [thing for thing in (*(replaced.get(t, t) for t in present), *added) if thing])
    moved = taken.matrix(before.shape)
    records = tuple(_change(step, (height, width), taken) for step in plan)
    return Pair(before, take(after, taken, noise_seed), records, captions, present, taken, moved)


SUBTLE = Nuisance(rotation=2, shift_x=1.5, shift_y=1.5, gain=1.12, noise=8)
"""How strongly `subtle_pair` is disturbed unless told otherwise, at 96 pixels."""


def subtle_pair(seed: int, index: int = 0, *, nuisance: Nuisance | None = SUBTLE, **options: Any) -> Pair:
    """A scene of which one object, or none, changed in color, shape and texture: all eight combinations equally likely.

    So each label is true in half of the pairs, tells nothing about the other two, and one pair in eight shows no
    change at all.

    Parameters
    ----------
    seed, index : together they determine the pair.
    nuisance, **options : as in `scene_pair`: `size`, `things`, `combinations`.
    """
    chosen = int(np.random.default_rng((seed, index, 1)).integers(8))
    kinds = tuple(name for bit, name in enumerate(ATTRIBUTES) if chosen >> bit & 1)
    changes = (1, 1) if kinds else (0, 0)
    return scene_pair(
        seed, index, kinds=kinds or ATTRIBUTES, together=True, changes=changes, nuisance=nuisance, **options
    )


def write_dataset(folder: str | Path, pairs: Iterable[Pair]) -> Path:
    """Write pairs to disk as `loading.SubtleDiffDataset` reads them: `before/`, `after/` and `annotations.json`.

    Beside the labels, a record holds the boxes, how many objects there are, the captions and the nuisance. The
    annotations are written last: a folder that has them is whole.

    Parameters
    ----------
    folder : made where it is missing; a data set that it holds is replaced.
    pairs : from `subtle_pair` or `scene_pair`.
    """
    folder, records = Path(folder), []
    (folder / "annotations.json").unlink(missing_ok=True)
    for side in ("before", "after"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for number, pair in enumerate(pairs):
        name = f"{number:06}"
        for side in ("before", "after"):
            path = folder / side / f"{name}.png"
            path.write_bytes(cv2.imencode(".png", getattr(pair, side)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
        record = {"id": name, "before": f"{name}.png", "after": f"{name}.png"}
        record |= {kind: int(pair.labels[kind]) for kind in ATTRIBUTES}
        record |= {"boxes": pair.boxes.tolist(), "objects": len(pair.things), "captions": list(pair.captions)}
        records.append(record | {"nuisance": asdict(pair.nuisance)})
    write_json(folder / "annotations.json", records)
    return folder


def _check_scene(height, width, things, changes, kinds, together) -> None:
    if min(height, width) < 16:
        raise ValueError(f"size is {height}x{width}: a scene needs at least 16x16 pixels")
    if not 1 <= things[0] <= things[1] <= 8:
        raise ValueError(f"things is {things}: give the fewest and the most objects, from 1 to 8")
    if not 0 <= changes[0] <= changes[1]:
        raise ValueError(f"changes is {changes}: give the fewest and the most changed objects, from 0")
    unknown = set(kinds) - set(KINDS)
    if unknown or not kinds:
        raise ValueError(f"kinds is {list(kinds)}: choose from {', '.join(KINDS)}")
    if together and not set(kinds) <= set(ATTRIBUTES):
        raise ValueError(f"kinds is {list(kinds)}: only {', '.join(ATTRIBUTES)} can change together")


def _place(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Centers and radii (count, 3) of discs that keep clear of each other and of the border, in smaller sides."""
    side = min(height, width)
    high, wide = height / side, width / side
    biggest = min(0.15, 0.33 * np.sqrt(high * wide / count))
    while True:
        radii = rng.uniform(0.72, 1.0, count) * biggest
        order = np.argsort(-radii[: count - 2], kind="stable")
        radii[: count - 2] = radii[order]
        spots: list[tuple[float, float, float]] = []
        tries = rng.random((60 * count, 2))
        for x, y in tries:
            r = radii[len(spots)]
            x, y = r + 0.04 + x * (wide - 2 * r - 0.08), r + 0.04 + y * (high - 2 * r - 0.08)
            if all((x - a) ** 2 + (y - b) ** 2 > (1.12 * (r + c)) ** 2 for a, b, c in spots):
                spots.append((x, y, r))
                if len(spots) == count:
                    return np.array(spots)
        biggest *= 0.9


def _pick(rng: np.random.Generator, values: Sequence, other_than: Any = None) -> Any:
    values = [value for value in values if value != other_than]
    return values[int(rng.integers(len(values)))]


@dataclass(frozen=True)
class _Draw:
    """Draws things, and other attributes for them."""

    rng: np.random.Generator
    kinds: tuple[str, ...]
    several: float
    together: bool
    combinations: Collection[tuple[str, str]] | None

    def thing(self, spot: np.ndarray) -> Thing:
        def attempt() -> Thing:
            color, shape, texture = (_pick(self.rng, values) for values in _VALUES.values())
            return Thing(color, shape, texture, *map(float, spot), angle=float(self.rng.uniform(-0.35, 0.35)))

        return self._allowed(attempt)

    def altered(self, thing: Thing, kind: str) -> tuple[tuple[str, ...], Thing, Thing]:
        """Which attributes change, the thing before and after."""
        attributes, altered = [k for k in self.kinds if k in ATTRIBUTES], {kind}
        if self.together:
            altered = set(attributes)
        elif len(attributes) > 1 and self.rng.random() < self.several:
            altered |= {attribute for attribute in attributes if self.rng.random() < 0.5}
        names = tuple(name for name in ATTRIBUTES if name in altered)

        def attempt() -> Thing:
            return replace(thing, **{name: _pick(self.rng, _VALUES[name], getattr(thing, name)) for name in names})

        return names, thing, self._allowed(attempt)

    def _allowed(self, attempt: Callable[[], Thing]) -> Thing:
        for _ in range(1000):
            thing = attempt()
            if self.combinations is None or (thing.shape, thing.texture) in self.combinations:
                return thing
        raise ValueError(
            f"combinations holds {len(self.combinations)} of (shape, texture), too few for what shall change: give each"
            " shape and each texture at least two"
        )


def _plan(draw, present, spare, count) -> list[tuple[tuple[str, ...], Thing | None, Thing | None]]:
    """What changes: (kinds, thing before, thing after); there are only two free places for added and moved."""
    rng, plan, free = draw.rng, [], list(spare)
    chosen = iter(rng.permutation(len(present)))
    for _ in range(min(count, len(present))):
        thing = present[int(next(chosen))]
        possible = [kind for kind in draw.kinds if free or kind not in ("added", "moved")]
        if not possible:
            break
        kind = _pick(rng, possible)
        if kind == "added":
            plan.append((("added",), None, draw.thing(free.pop())))
        elif kind == "removed":
            plan.append((("removed",), thing, None))
        elif kind == "moved":
            x, y, _ = free.pop()
            plan.append((("moved",), thing, replace(thing, x=float(x), y=float(y))))
        else:
            plan.append(draw.altered(thing, kind))
    return plan


def _change(step, shape: tuple[int, int], taken: Nuisance) -> Change:
    kinds, before, after = step
    if "moved" in kinds:
        masks = [_mask(before, shape), _mask(after, shape)]
    else:
        masks = [np.logical_or.reduce([_mask(thing, shape) for thing in (before, after) if thing])]
    return _located(kinds, before, after, np.stack(masks), taken)


def _located(kinds, before, after, masks: np.ndarray, taken: Nuisance) -> Change:
    seen = np.stack([take_mask(mask, taken) for mask in masks])
    return Change(kinds, before, after, _boxes(masks), _boxes(seen), masks, seen)


def _boxes(masks: np.ndarray) -> np.ndarray:
    """The bounding box of each mask: int array (n, 4); zeros where the mask is empty."""
    return np.array([cv2.boundingRect(mask.view(np.uint8)) for mask in masks], dtype=int).reshape(-1, 4)


def _mask(thing: Thing, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    where, _, coverage = _rendered(thing, shape)
    mask[where] = coverage > 0.5
    return mask


def _draw(background: np.ndarray, things: Sequence[Thing]) -> np.ndarray:
    """Paint the things over a float32 background (H, W, 3); returns uint8."""
    image = background.copy()
    for thing in things:
        where, paint, coverage = _rendered(thing, background.shape[:2])
        patch = image[where]
        patch += (paint - patch) * coverage[..., None]
    return np.rint(image).astype(np.uint8)


@lru_cache(maxsize=64)
def _rendered(thing: Thing, shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Where a thing lies, its paint (h, w, 3) in 0..255 and its coverage (h, w) in 0..1, both float32."""
    side = min(shape)
    cx, cy, r = thing.x * side - 0.5, thing.y * side - 0.5, thing.radius * side
    x0, y0 = max(0, int(cx - r - 2)), max(0, int(cy - r - 2))
    x1, y1 = min(shape[1], int(cx + r + 3)), min(shape[0], int(cy + r + 3))
    x = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(cx)
    y = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(cy)
    c, s = np.float32(np.cos(thing.angle)), np.float32(np.sin(thing.angle))
    u, v = c * x + s * y, c * y - s * x
    coverage = np.clip(0.5 - _SHAPES[thing.shape](u, v, r), 0, 1)
    ink = _TEXTURES[thing.texture](u, v, max(4.0, 0.5 * r))[..., None]
    color = np.array(COLORS[thing.color], np.float32)
    light = (1.04 - 0.06 * (u + v) / max(r, 1))[..., None]  # lit from the upper left
    paint = np.clip((color + (_ink_color(thing.color) - color) * ink) * light, 0, 255)
    return (slice(y0, y1), slice(x0, x1)), paint, coverage


def _ink_color(color: str) -> np.ndarray:
    """The second color of a texture: white on dark paint, a dark shade of itself on bright paint."""
    paint = np.array(COLORS[color], np.float32)
    return paint * 0.35 if paint @ (0.299, 0.587, 0.114) > 150 else paint * 0.15 + 0.85 * 255


# Signed distance, in pixels, from a shape of radius r at the origin: negative inside. Half a pixel either side of the
# edge becomes partial coverage, which is what makes the edges smooth at any size.
_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "circle": lambda u, v, r: np.hypot(u, v) - 0.92 * r,
    "square": lambda u, v, r: np.maximum(np.abs(u), np.abs(v)) - 0.78 * r,
    "triangle": lambda u, v, r: np.maximum(v, 0.866 * np.abs(u) - 0.5 * v) - 0.5 * r,
    "star": lambda u, v, r: _star(u, v, r),
    "cross": lambda u, v, r: np.minimum(
        np.maximum(np.abs(u) - 0.92 * r, np.abs(v) - 0.3 * r), np.maximum(np.abs(u) - 0.3 * r, np.abs(v) - 0.92 * r)
    ),
    "ring": lambda u, v, r: np.abs(np.hypot(u, v) - 0.7 * r) - 0.25 * r,
}


def _star(u: np.ndarray, v: np.ndarray, r: float) -> np.ndarray:
    """A five-pointed star: every point is folded into one tenth of the circle, whose edge is one straight line."""
    sector = np.float32(2 * np.pi / 5)
    angle = np.arctan2(u, -v)
    angle = np.abs(angle - sector * np.rint(angle / sector))
    distance = np.hypot(u, v)
    x, y = distance * np.sin(angle), distance * np.cos(angle)  # tip at (0, r), notch at half a sector
    inner = 0.45 * r
    nx, ny = inner * np.sin(sector / 2), inner * np.cos(sector / 2)
    length = np.hypot(nx, r - ny)
    return (x * (r - ny) + (y - r) * nx) / length


def _half(wave: np.ndarray, period: float) -> np.ndarray:
    """1 in every second half period of a coordinate in pixels, 0 in between, with edges one pixel soft."""
    distance = np.abs(np.mod(wave / period, 1) - 0.5) * period
    return np.clip(distance - period / 4 + 0.5, 0, 1)


def _checks(u: np.ndarray, v: np.ndarray, p: float) -> np.ndarray:
    a, b = _half(u, 1.4 * p), _half(v, 1.4 * p)
    return a + b - 2 * a * b


def _dots(u: np.ndarray, v: np.ndarray, p: float) -> np.ndarray:
    p = 1.1 * p
    return np.clip(0.3 * p + 0.5 - np.hypot(u - p * np.rint(u / p), v - p * np.rint(v / p)), 0, 1)


# How much ink (0..1) lies on each point of a thing; p is the period in pixels.
_TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "plain": lambda u, v, p: np.zeros_like(u),
    "striped": lambda u, v, p: _half(v, p),
    "dotted": _dots,
    "checked": _checks,
    "ringed": lambda u, v, p: _half(np.hypot(u, v) + 0.25 * p, p),
}


def _background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A softly mottled, nearly gray surface: float32 (H, W, 3)."""
    base = rng.uniform(150, 205) + rng.uniform(-12, 12, 3)
    coarse = rng.normal(0, 7, (5, 5)).astype(np.float32)
    mottle = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((height, width), np.float32)
    return (base.astype(np.float32) + (mottle + grain)[..., None]).clip(0, 255)


# ---------------------------------------------------------------------------------------------------------------------
# Captions

_TEMPLATES = {
    "added": ("{a_new} was added", "there is a new {new}", "{a_new} has appeared"),
    "removed": ("the {old} was removed", "the {old} is gone", "the {old} has disappeared"),
    "moved": ("the {old} moved", "the {old} is in another place", "the {old} was moved elsewhere"),
    "altered": ("the {old} became {a_new}", "the {old} is now {a_new}", "the {old} turned into {a_new}"),
}
_NOTHING = ("nothing has changed", "there is no difference", "the two pictures show the same")


def _captions(rng: np.random.Generator, plan: list) -> tuple[str, ...]:
    """Three wordings of all changes, told from left to right (by where a thing was, or is if it is new)."""
    if not plan:
        return _NOTHING
    plan = sorted(plan, key=lambda step: (step[1] or step[2]).x)
    order = rng.permutation(3)
    return tuple(" and ".join(_say(step, int(order[(w + i) % 3])) for i, step in enumerate(plan)) for w in range(3))


def _say(step, wording: int) -> str:
    kinds, old, new = step
    template = _TEMPLATES[kinds[0] if kinds[0] in _TEMPLATES else "altered"][wording]
    article = "an" if str(new)[0] in "aeiou" else "a"
    return template.format(old=old, new=new, a_new=f"{article} {new}")


def change_tuples(caption: str) -> set[tuple[str, str, str]]:
    """What a caption of a scene says, exactly: a set of (object, attribute, what became of it).

    "the red plain ring became a blue plain ring" is ("red plain ring", "color", "blue"); an object that was added,
    removed or moved is (object, "", kind); "nothing has changed" is the empty set. Words that describe no scene are
    ("", "", words): a claim that is never true.
    """
    if caption in _NOTHING:
        return set()
    return {claim for part in caption.split(" and ") for claim in _claims(part)}


def _claims(part: str) -> list[tuple[str, str, str]]:
    for kind, templates in _TEMPLATES.items():
        for template in templates:
            found = re.fullmatch(template.format(old=_OLD, new=_NEW, a_new=f"an? {_NEW}"), part)
            if found and kind != "altered":
                return [(*found.groups(), "", kind)]
            if found:
                values = zip(("color", "texture", "shape"), *(thing.split() for thing in found.groups()), strict=True)
                return [(found["old"], attribute, after) for attribute, before, after in values if after != before]
    return [("", "", part)]


_THING = " ".join(f"(?:{'|'.join(values)})" for values in (COLORS, TEXTURES, SHAPES))
_OLD, _NEW = f"(?P<old>{_THING})", f"(?P<new>{_THING})"


# ---------------------------------------------------------------------------------------------------------------------
# Nuisances


def take(image: np.ndarray, nuisance: Nuisance, seed: int = 0) -> np.ndarray:
    """The image as a camera under this nuisance would have taken it.

    Parameters
    ----------
    image : uint8 array (H, W, 3), RGB.
    nuisance : what happens, in this order: geometry, blur, light, noise, JPEG.
    seed : of the noise, and of the direction of gradient and shadow.

    Returns
    -------
    uint8 array (H', W', 3), where H' and W' are H and W times `nuisance.size`. Where the camera looks past the
    border the picture is mirrored.
    """
    out = _warp(image, nuisance)
    if nuisance.blur:
        out = cv2.GaussianBlur(out, (0, 0), nuisance.blur)
    rng = np.random.default_rng(seed)
    light = _light(rng, out.shape[:2], nuisance)
    if light is not None or nuisance.bias or nuisance.noise:
        values = out.astype(np.float32)
        if light is not None:
            values *= light
        if nuisance.noise:
            values += np.float32(nuisance.noise) * rng.standard_normal(values.shape, np.float32)
        values += np.float32(nuisance.bias + 0.5)  # the cast below cuts off the fraction
        out = np.clip(values, 0, 255, out=values).astype(np.uint8)
    return jpeg(out, nuisance.jpeg) if nuisance.jpeg else out


def take_mask(mask: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """Where the pixels of a bool mask (H, W) lie in the image that `take` gives."""
    if _stays(nuisance):
        return mask
    return _warp(mask.astype(np.uint8) * 255, nuisance, border=cv2.BORDER_CONSTANT) > 127


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress a uint8 RGB image as JPEG of that quality (1 to 100) and decode it again."""
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def _stays(nuisance: Nuisance) -> bool:
    return replace(nuisance, gain=1, bias=0, gradient=0, vignette=0, shadow=0, blur=0, noise=0, jpeg=0) == Nuisance()


def _warp(image: np.ndarray, nuisance: Nuisance, border: int = cv2.BORDER_REFLECT_101) -> np.ndarray:
    if _stays(nuisance):
        return image.copy()
    height, width = nuisance.output_shape(image.shape)
    matrix = nuisance.matrix(image.shape)[:2]
    if nuisance.size < 1:  # a smaller sensor averages over what it no longer resolves
        image = cv2.GaussianBlur(image, (0, 0), 0.5 / nuisance.size)
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=border)


def _light(rng: np.random.Generator, shape: tuple[int, int], nuisance: Nuisance) -> np.ndarray | None:
    """The factor on every pixel, float32 (H, W, 1) or a scalar; None where the light stays as it was."""
    light: Any = np.float32(nuisance.gain)
    direction = rng.uniform(0, 2 * np.pi)
    if nuisance.gradient or nuisance.vignette or nuisance.shadow:
        y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
        ramp = np.float32(np.cos(direction)) * x + np.float32(np.sin(direction)) * y
        light = light * (1 + np.float32(nuisance.gradient / np.sqrt(2)) * ramp)
        light *= 1 - np.float32(nuisance.vignette / 2) * (x * x + y * y)
        if nuisance.shadow:
            edge = np.clip((ramp - np.float32(rng.uniform(-0.5, 0.5))) / 0.3 + 0.5, 0, 1)
            light *= 1 - np.float32(nuisance.shadow) * edge
        return light[..., None]
    return None if nuisance.gain == 1 else light


# ---------------------------------------------------------------------------------------------------------------------
# Photographs

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "brick", "gravel")
EDITS = ("pasted", "removed", "recolored")
VISIBLE = 12  # gray levels; an edited pixel that differs by less is not counted as changed


@lru_cache(maxsize=len(PHOTOGRAPHS))
def photograph(name: str) -> np.ndarray:
    """One of the photographs that scikit-image ships: uint8 array (H, W, 3), RGB, not to be written to."""
    if name not in PHOTOGRAPHS:
        raise ValueError(f"there is no photograph {name!r}: choose one of {', '.join(PHOTOGRAPHS)}")
    from skimage import data

    image = getattr(data, name)()
    image = np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))
    image.setflags(write=False)
    return image


def photo_pair(
    seed: int,
    index: int = 0,
    *,
    size: tuple[int, int] = (288, 384),
    edits: tuple[int, int] = (1, 3),
    kinds: Sequence[str] = EDITS,
    nuisance: Nuisance | None = None,
    name: str | None = None,
) -> Pair:
    """A real photograph, and the same one with objects pasted in, removed (painted over) or recolored.

    Parameters
    ----------
    seed, index : together they determine the pair; the photographs take turns by index unless `name` says which.
    size : (height, width) of the crop, in pixels.
    edits : fewest and most edits, inclusive; (0, 0) changes nothing.
    kinds : some of `EDITS`.
    nuisance : exactly how the after image was taken (not sampled). None: as the before image.
    name : one of `PHOTOGRAPHS`.

    Notes
    -----
    The true mask of an edit holds the pixels that differ by at least `VISIBLE` gray levels in some channel between the
    two pictures before any nuisance. The camera never looks past the crop's border onto invented pixels: the
    photograph goes on there.
    """
    rng = np.random.default_rng((seed, index))
    nuisance = nuisance or Nuisance()
    name = name or PHOTOGRAPHS[index % len(PHOTOGRAPHS)]
    margin = 0 if _stays(replace(nuisance, size=1)) else 12
    before = _crop(rng, photograph(name), size[0] + 24, size[1] + 24)
    inner = np.s_[12:-12, 12:-12]
    after, masks, drawn = before.copy(), [], []
    free = np.zeros(before.shape[:2], np.uint8)
    free[20:-20, 20:-20] = 1
    for _ in range(int(rng.integers(edits[0], edits[1] + 1))):
        kind = _pick(rng, kinds)
        edited = _edit(rng, after, free, kind, name)
        if edited is not None:
            after, mask = edited
            masks.append(mask[inner])
            drawn.append(kind)
            free[cv2.dilate(mask.view(np.uint8), np.ones((33, 33), np.uint8)) > 0] = 0
    frame = np.s_[12 - margin : before.shape[0] - 12 + margin, 12 - margin : before.shape[1] - 12 + margin]
    shot = _shoot(after[frame], nuisance, margin, int(rng.integers(2**32)))
    changes = tuple(
        _located((kind,), None, None, mask[None], nuisance) for kind, mask in zip(drawn, masks, strict=True)
    )
    captions = tuple(f"something was {kind}" for kind in drawn) or _NOTHING
    clean = np.ascontiguousarray(before[inner])
    return Pair(clean, shot, changes, captions, (), nuisance, nuisance.matrix(clean.shape))


def _shoot(image: np.ndarray, nuisance: Nuisance, margin: int, seed: int) -> np.ndarray:
    """Geometry on the picture with its margin, the rest on what the camera keeps."""
    if not margin:
        return take(image, nuisance, seed)
    moved = _warp(image, replace(nuisance, size=1))[margin:-margin, margin:-margin]
    if nuisance.size != 1:
        moved = _warp(moved, Nuisance(size=nuisance.size))
    return take(moved, replace(nuisance, rotation=0, shift_x=0, shift_y=0, scale=1, size=1), seed)


def _crop(rng: np.random.Generator, image: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = max(height / image.shape[0], width / image.shape[1], 1.0)
    if scale > 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    y = int(rng.integers(image.shape[0] - height + 1)) if image.shape[0] > height else 0
    x = int(rng.integers(image.shape[1] - width + 1)) if image.shape[1] > width else 0
    return image[y : y + height, x : x + width].copy()


def _edit(rng, image: np.ndarray, free: np.ndarray, kind: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """One visible edit of a random blob in the free area: the new image and its mask; None if none was found."""
    for _ in range(40):
        coverage = _blob(rng, image.shape[:2])
        if (free[coverage > 0] == 0).any():
            continue
        paint = _EDITS[kind](rng, image, coverage, name)
        mixed = image + (paint.astype(np.float32) - image) * coverage[..., None]
        new = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        mask = (cv2.absdiff(new, image).max(axis=2) >= VISIBLE) & (coverage > 0.5)
        if mask.sum() >= 0.6 * (coverage > 0.5).sum():
            return new, mask
    return None


def _blob(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Coverage (H, W) in 0..1 of a rounded, irregular patch about a tenth of the picture across."""
    side = min(shape)
    cy, cx = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    radius, stretch, turn = side * rng.uniform(0.04, 0.09), rng.uniform(0.7, 1.4), rng.uniform(0, np.pi)
    waves = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x, y = x - np.float32(cx), y - np.float32(cy)
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    u, v = u / stretch, v * stretch
    angle = np.arctan2(v, u)
    edge = radius * (1 + 0.12 * np.sin(2 * angle + waves[0]) + 0.08 * np.sin(3 * angle + waves[1]))
    return np.clip(0.5 - (np.hypot(u, v) - edge), 0, 1).astype(np.float32)


def _paste(rng, image, coverage, name) -> np.ndarray:
    """The content of another photograph under the blob."""
    other = photograph(_pick(rng, PHOTOGRAPHS, name))
    return _crop(rng, other, *image.shape[:2])


def _inpaint(rng, image, coverage, name) -> np.ndarray:
    """The blob filled in from around it, as a retoucher removes an object."""
    return cv2.inpaint(image, (coverage > 0).astype(np.uint8), 5, cv2.INPAINT_TELEA)


def _recolor(rng, image, coverage, name) -> np.ndarray:
    """Another hue at the same lightness."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    direction = rng.uniform(0, 2 * np.pi)
    lab[..., 1:] += 40 * np.array([np.cos(direction), np.sin(direction)], np.float32)
    return cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


_EDITS = {"pasted": _paste, "removed": _inpaint, "recolored": _recolor}


CONDITIONS: dict[str, Nuisance] = {
    "clean": Nuisance(),
    "noise": Nuisance(noise=3),
    "JPEG 75": Nuisance(jpeg=75),
    "brighter": Nuisance(gain=1.08),
    "shift 2 px": Nuisance(shift_x=2),
    "sub-pixel": Nuisance(shift_x=0.6, shift_y=-0.4),
    "rotation": Nuisance(rotation=0.5),
    "vignette": Nuisance(vignette=0.3),
    "size 0.8": Nuisance(size=0.8),
    "all": Nuisance(noise=3, jpeg=75, gain=1.08, shift_x=2, rotation=0.5, vignette=0.3, size=0.8),
}
"""Ten ways to take the second picture, on which the methods are compared; "all" is the others at once."""


def describe_nuisance(nuisance: Nuisance) -> str:
    """The values that differ from doing nothing, as one line: "noise 3, jpeg 75"."""
    nothing = asdict(Nuisance())
    parts = [f"{key} {value:g}" for key, value in asdict(nuisance).items() if value != nothing[key]]
    return ", ".join(parts) or "none"
