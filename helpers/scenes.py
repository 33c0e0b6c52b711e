"""Before/after pairs whose every change is known: generated scenes and edited photographs, with nuisances.

A *change* is what a detector must find: a thing that got another color, shape or texture, was added, removed or
moved. A *nuisance* is what it must not report: another camera position, another exposure, noise, compression.
Everything follows from `(seed, index)`, whatever was generated before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from helpers.nuisances import Nuisance, take, take_mask
from helpers.sentences import captions_of
from helpers.things import ATTRIBUTES, KINDS, VALUES, Change, Pair, Thing, background, rendered


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
    captions, noise_seed = captions_of(rng, plan), int(rng.integers(2**32))
    taken = (nuisance or Nuisance()).sample(rng)
    ground = background(rng, height, width)  # last: how much it draws depends on the size
    added = [new for _, old, new in plan if old is None]
    replaced = {old: new for _, old, new in plan if old is not None}
    before = _draw(ground, present)
    after = _draw(ground, [thing for thing in (*(replaced.get(t, t) for t in present), *added) if thing])
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


def pick(rng: np.random.Generator, values: Sequence, other_than: Any = None) -> Any:
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
            color, shape, texture = (pick(self.rng, values) for values in VALUES.values())
            x, y, radius = map(float, spot)
            return Thing(color, shape, texture, x, y, radius, angle=float(self.rng.uniform(-0.35, 0.35)))

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
            return replace(thing, **{name: pick(self.rng, VALUES[name], getattr(thing, name)) for name in names})

        return names, thing, self._allowed(attempt)

    def _allowed(self, attempt: Callable[[], Thing]) -> Thing:
        for _ in range(1000):
            thing = attempt()
            if self.combinations is None or (thing.shape, thing.texture) in self.combinations:
                return thing
        raise ValueError(
            f"combinations holds {len(self.combinations or ())} of (shape, texture), too few for what shall change:"
            " give each shape and each texture at least two"
        )


Step = tuple[tuple[str, ...], Thing | None, Thing | None]


def _plan(draw: _Draw, present: Sequence[Thing], spare: np.ndarray, count: int) -> list[Step]:
    """What changes: (kinds, thing before, thing after); there are only two free places for added and moved."""
    rng, free = draw.rng, list(spare)
    plan: list[Step] = []
    chosen = iter(rng.permutation(len(present)))
    for _ in range(min(count, len(present))):
        thing = present[int(next(chosen))]
        possible = [kind for kind in draw.kinds if free or kind not in ("added", "moved")]
        if not possible:
            break
        kind = pick(rng, possible)
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
    return located(kinds, before, after, np.stack(masks), taken)


def located(kinds, before, after, masks: np.ndarray, taken: Nuisance) -> Change:
    seen = np.stack([take_mask(mask, taken) for mask in masks])
    return Change(kinds, before, after, _boxes(masks), _boxes(seen), masks, seen)


def _boxes(masks: np.ndarray) -> np.ndarray:
    """The bounding box of each mask: int array (n, 4); zeros where the mask is empty."""
    return np.array([cv2.boundingRect(mask.view(np.uint8)) for mask in masks], dtype=int).reshape(-1, 4)


def _mask(thing: Thing, shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    where, _, coverage = rendered(thing, shape)
    mask[where] = coverage > 0.5
    return mask


def _draw(background: np.ndarray, things: Sequence[Thing]) -> np.ndarray:
    """Paint the things over a float32 background (H, W, 3); returns uint8."""
    image = background.copy()
    for thing in things:
        where, paint, coverage = rendered(thing, background.shape[:2])
        patch = image[where]
        patch += (paint - patch) * coverage[..., None]
    return np.rint(image).astype(np.uint8)
