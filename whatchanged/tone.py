"""Both pictures in one tone: contrast, gamma, white balance and lighting, learned from what did not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from whatchanged import images

_GRID = 72  # points along the longer side that the tone is learned from
_KNOTS = np.array([0, 8, 18, 32, 50, 72, 100, 130, 160, 192, 224, 255.0])  # between which the tone curve is straight
_CLIPPED = 8, 245  # gray levels; clipped pixels come back from JPEG and interpolation a little inside 0 and 255
_ALIKE = 2.0  # gray levels that points of two pictures in one light differ by at most, noise apart
_SHORT = 24  # gray levels that a picture's white may be darker than the other one's
_FEW = 4  # white points that tell
_BAND = 64  # rows lit at once: what they take stays near the processor
_LEAST = 0.3  # share of its contrast that a picture keeps in another light
_STAYED = 0.08  # share of points that only an unchanged light explains, from which it is believed

_ENDS = [(255 * end).astype(np.uint8) for end in (np.arange(256) <= 1, np.arange(256) >= 253)]  # cut off there
_WHITE = np.where(np.arange(256) >= _CLIPPED[1], 255, 0).astype(np.uint8)
_NOT_BLACK = np.where(np.arange(256) <= _CLIPPED[0], 0, 255).astype(np.uint8)


class _Points(NamedTuple):
    """Float arrays (n,): values of both pictures, position (-1 to 1); int array (n,): the channel."""

    before: np.ndarray
    after: np.ndarray
    x: np.ndarray
    y: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True)
class _Tone:
    """`curve[channel](value) * (1 + across(x, y)) + lift(x, y)`."""

    curve: np.ndarray  # float (3, knots): gray levels
    across: np.ndarray  # float (5,)
    lift: np.ndarray  # float (5,): gray levels

    def __call__(self, points: _Points) -> np.ndarray:
        toned = np.empty(len(points.before))
        for number in range(3):
            own = points.channel == number
            toned[own] = np.interp(points.before[own], _KNOTS, self.curve[number])
        basis = np.stack(_basis(points.x, points.y))
        return toned * (1 + self.across @ basis) + self.lift @ basis


def one_tone(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give both pictures the same contrast, gamma, white balance and lighting.

    Parameters
    ----------
    before, after : uint8 arrays (H, W, 3) of the same size, aligned.
    valid : bool array (H, W): the pixels to learn from.

    Returns
    -------
    before, after : uint8 arrays (H, W, 3). The picture with more contrast is brought down to the other one, so that
        no noise is raised and nothing is pushed past white. Pictures that agree already, and those of which a good
        part is as it was, come back as they are: a light changes all of a picture.

    Notes
    -----
    The tone is a curve for each channel (straight between twelve gray levels), and across the picture a quadratic
    factor and a quadratic offset. It is fitted by least squares with Tukey's weights, which give points that do not
    fit (the changes) no say, first with wide ones and then with ever narrower ones. White points may have been cut off
    there; they only have a say against a tone that makes them too bright.
    """
    points, cell, white = _points(before, after, valid)
    sure = ~white.any(axis=0)
    if np.count_nonzero(sure) < 64:
        return before, after
    swap = _contrast(points.before[sure], points.channel[sure]) < _contrast(points.after[sure], points.channel[sure])
    if swap:
        points, white = points._replace(before=points.after, after=points.before), white[::-1]
    tone = _fitted(points, white)
    toned = tone(points)
    if _contrast(toned[sure], points.channel[sure]) < _LEAST * _contrast(points.before[sure], points.channel[sure]):
        return before, after  # what takes away all of a picture is no light
    apart = np.abs(points.after - toned)
    if not _worth_it(np.abs(points.after - points.before)[sure], apart[sure], cell[sure]):
        return before, after
    short = _short_of_white(points, toned, white)
    if swap:
        return before, _toned(after, tone, before, short)
    return _toned(before, tone, after, short), after


def is_rendered(image: np.ndarray) -> bool:
    """Whether most of a picture is exactly flat, as no camera takes it: a page, a screenshot, a drawing."""
    return float(np.mean(images.local_range(images.gray(image)) == 0)) > 0.6


def _points(before: np.ndarray, after: np.ndarray, valid: np.ndarray) -> tuple[_Points, np.ndarray, np.ndarray]:
    """Points on a coarse grid; the number of the grid's cell; and in which of both pictures a point is white, so that
    it may have been brighter: bool (2, n). Black ones are left out.
    """
    height, width = before.shape[:2]
    factor = min(1.0, _GRID / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = [_averaged(image, size).astype(float) for image in (before, after)]
    usable, white = np.minimum(*small) > 4, []
    for image, values in zip((before, after), small, strict=True):
        black, clipped = (_averaged(cv2.LUT(image, ends), size) for ends in _ENDS)
        usable &= black < 25  # a tenth
        white.append((clipped >= 25) | (values >= _CLIPPED[1]))
    usable &= ~(white[0] & white[1])
    usable &= _averaged(valid.view(np.uint8) * 255, size)[..., None] > 250
    row, column, channel = np.nonzero(usable)
    x, y = 2 * (column + 0.5) / size[0] - 1, 2 * (row + 0.5) / size[1] - 1
    points = _Points(small[0][usable], small[1][usable], x, y, channel)
    return points, row * size[0] + column, np.stack([one[usable] for one in white])


def _averaged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image at that width and height; halved as often as leaves plenty, which takes a fifth of the time."""
    while min(image.shape[1] // size[0], image.shape[0] // size[1]) >= 8:
        image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _contrast(values: np.ndarray, channel: np.ndarray) -> float:
    """How far the values spread in each channel, together: what a change of the light's color does not reach."""
    return float(np.mean([np.std(values[channel == c]) for c in range(3) if (channel == c).any()]))


def _basis(x, y) -> list:
    return [x, y, x * x - 1 / 3, x * y, y * y - 1 / 3]


def _hats(value: np.ndarray) -> np.ndarray:
    """The share of each knot in a value: float (n, knots)."""
    knots, rows = len(_KNOTS), np.arange(len(value))
    left = np.clip(np.searchsorted(_KNOTS, value, side="right") - 1, 0, knots - 2)
    share = (value - _KNOTS[left]) / np.diff(_KNOTS)[left]
    out = np.zeros((len(value), knots))
    out[rows, left] = 1 - share
    out[rows, left + 1] = share
    return out


def _ridge(count: int) -> tuple[np.ndarray, np.ndarray]:
    """What is held against a tone without reason: bends of the curve, and a surface. (matrix, right-hand side)"""
    knots = len(_KNOTS)
    bend = np.diff(np.diff(np.eye(knots), axis=0) * (32 / np.diff(_KNOTS))[:, None], axis=0)
    curve = 1e-3 * bend.T @ bend + 1e-6 * np.eye(knots)
    matrix = np.zeros((3 * knots + 10, 3 * knots + 10))
    for channel in range(3):
        own = slice(channel * knots, (channel + 1) * knots)
        matrix[own, own] = curve
    # a factor rather than an offset, where both would do
    matrix[3 * knots :, 3 * knots :] = np.diag([2e-2] * 5 + [2e-4] * 5)
    right = np.zeros(len(matrix))
    right[: 3 * knots] = np.tile(1e-6 * _KNOTS, 3)
    return matrix * count, right * count


def _fitted(points: _Points, white: np.ndarray) -> _Tone:
    source, target, x, y, channel = points
    knots, basis = len(_KNOTS), np.stack(_basis(x, y), axis=1)
    hats = _hats(source)
    design = np.concatenate([hats, basis, basis, target[:, None]], axis=1).astype(np.float32)  # half the memory
    planes = [np.flatnonzero(channel == number) for number in range(3)]
    ridge, right = _ridge(len(source))
    tone = _Tone(np.tile(_KNOTS, (3, 1)), np.zeros(5), np.zeros(5))
    weight, toned = np.where(white.any(axis=0) | ~_likely(source, target), 0.0, 1.0), source
    for turn in range(14):
        design[:, knots : knots + 5] = basis * toned[:, None]
        moments = _moments(design, np.sqrt(weight), planes)
        found = np.linalg.solve(moments[:-1, :-1] + ridge, moments[:-1, -1] + right)
        curve, across, lift = found[: 3 * knots].reshape(3, -1), found[3 * knots : -5], found[-5:]
        last, tone = tone, _Tone(np.maximum.accumulate(curve, axis=1), across, lift)
        terms = np.concatenate([curve[channel], np.tile(found[3 * knots :], (len(source), 1))], axis=1)
        residual = target - np.einsum("ij,ij->i", design[:, :-1], terms)
        toned = np.einsum("ij,ij->i", hats, curve[channel])
        weight = _weight(residual, turn)
        weight[white[0] & (residual > 0) | white[1] & (residual < 0)] = 0  # a white point only says "at least"
        if turn > 5 and np.abs(last.curve - tone.curve).max() < 0.05:
            break
    return tone


def _likely(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where one value may be the other one in another light. In a dark picture, what was put there is most of what is
    bright: had it a say from the start, the curve would follow it.
    """
    return (target >= _LEAST * source) & (255 - target >= _LEAST * (255 - source))


def _moments(design: np.ndarray, root: np.ndarray, planes: list[np.ndarray]) -> np.ndarray:
    """The products of all columns: the curves of three channels, of which a point has a share in its own one, and what
    all share, the target last.
    """
    knots = len(_KNOTS)
    size = design.shape[1] + 2 * knots
    moments = np.zeros((size, size))
    for number, rows in enumerate(planes):
        columns = np.r_[number * knots : (number + 1) * knots, 3 * knots : size]
        own = design[rows] * root[rows, None].astype(np.float32)
        # on a busy machine many times as fast as BLAS
        moments[np.ix_(columns, columns)] += cv2.mulTransposed(own, True, dtype=cv2.CV_64F)
    return moments


def _weight(residual: np.ndarray, turn: int) -> np.ndarray:
    """Tukey's biweight, wide in the first turns: 1 where the residual is small, 0 where it is an outlier."""
    wide = 1 + 4 * 0.5**turn
    scale = wide * max(0.7, 1.4826 * float(np.median(np.abs(residual))))
    return np.clip(1 - (residual / (4.685 * scale)) ** 2, 0, None) ** 2


def _worth_it(as_it_was: np.ndarray, toned: np.ndarray, cell: np.ndarray) -> bool:
    """Whether the light changed: the tone explains noticeably more, and there is no part that only the old light
    explains, as there is where much of a picture was painted anew.
    """
    gain = float(np.median(as_it_was) - np.median(toned))
    if gain < 0.25 or (as_it_was - toned).mean() < 0.25:
        return False
    worst = np.zeros((2, int(cell.max()) + 1))
    for row, apart in zip(worst, (as_it_was, toned), strict=True):
        np.maximum.at(row, cell, apart)
    here = worst[:, np.unique(cell)]
    alike = max(_ALIKE, 0.5 * float(np.median(here[1])))
    stayed = (here[0] < alike) & (here[1] > 2 * alike)
    return float(stayed.mean()) < _STAYED


def _short_of_white(points: _Points, toned: np.ndarray, white: np.ndarray) -> np.ndarray:
    """By how many levels what is white in one picture is darker in the other one than the tone says, in each channel:
    of the image that is toned, and of the other one; uint8 (2, 3).

    A camera that cuts off first and balances its colors then has no 255 any more: its white is darker.
    """
    found = np.zeros((2, 3), np.uint8)
    for row, mask, sign in zip(found, white, (-1, 1), strict=True):
        for number in range(3):
            short = sign * (points.after - toned)[mask & (points.channel == number)]
            if short.size >= _FEW:
                row[number] = np.clip(np.rint(np.median(short)), 0, _SHORT)
    return found


def _toned(image: np.ndarray, tone: _Tone, other: np.ndarray, short: np.ndarray) -> np.ndarray:
    """The image in the tone of the other one. A pixel near white or black may have been cut off there: all it says is
    "at least white", so where the other picture shows more than it would have, that is believed. So is white that is
    `short` of it.
    """
    curves = np.stack([np.interp(np.arange(256), _KNOTS, curve) for curve in tone.curve], axis=1)
    if np.abs(tone.across).max() > 1e-3 or np.abs(tone.lift).max() > 0.1:
        lit = _unevenly_lit(image, curves.astype(np.float32), tone)
    else:
        lit = cv2.LUT(image, np.clip(curves + 0.5, 0, 255).astype(np.uint8)[:, None, :])
    if short.any():
        darker, brighter = (
            np.minimum(cv2.subtract(lit, other), short[0]),
            np.minimum(cv2.subtract(other, lit), short[1]),
        )
        lit = cv2.subtract(lit, cv2.bitwise_and(darker, cv2.LUT(image, _WHITE)))
        lit = cv2.add(lit, cv2.bitwise_and(brighter, cv2.LUT(other, _WHITE)))
    lit = cv2.max(lit, cv2.bitwise_and(other, cv2.LUT(image, _WHITE)))
    return cv2.min(lit, cv2.bitwise_or(other, cv2.LUT(image, _NOT_BLACK)))


def _unevenly_lit(image: np.ndarray, curves: np.ndarray, tone: _Tone) -> np.ndarray:
    """The image through the curves, float32 (256, 3), a factor and an offset that vary across it."""
    height, width = image.shape[:2]
    x = (2 * (np.arange(width, dtype=np.float32) + 0.5) / width - 1)[None, :]
    y = (2 * (np.arange(height, dtype=np.float32) + 0.5) / height - 1)[:, None]
    lit = np.empty_like(image)
    for top in range(0, height, _BAND):
        band = np.s_[top : top + _BAND]
        across, lift = (
            sum(np.float32(c) * term for c, term in zip(terms, _basis(x, y[band]), strict=True))
            for terms in (tone.across, tone.lift)
        )
        planes = cv2.split(cv2.LUT(image[band], curves[:, None, :]))
        toned = [cv2.add(cv2.multiply(plane, 1 + across), lift, dtype=cv2.CV_8U) for plane in planes]
        cv2.merge(toned, lit[band])
    return lit
