"""What a camera does that is no change: moved, turned, brighter, noisier, compressed, smaller."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import cv2
import numpy as np


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
    out = warped(image, nuisance)
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
    if keeps_geometry(nuisance):
        return mask
    return warped(mask.astype(np.uint8) * 255, nuisance, border=cv2.BORDER_CONSTANT) > 127


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress a uint8 RGB image as JPEG of that quality (1 to 100) and decode it again."""
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def keeps_geometry(nuisance: Nuisance) -> bool:
    return replace(nuisance, gain=1, bias=0, gradient=0, vignette=0, shadow=0, blur=0, noise=0, jpeg=0) == Nuisance()


def warped(image: np.ndarray, nuisance: Nuisance, border: int = cv2.BORDER_REFLECT_101) -> np.ndarray:
    if keeps_geometry(nuisance):
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
