"""A picture in memory, and the samples that files hold of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from texsynth.errors import InputError
from texsynth.image import codecs, scratch

VALUES_AT_ONCE = 1 << 18  # values of a plane that are converted at once: bounds the memory
PIXELS_AT_ONCE = 1 << 21  # of a strip, where the one who asks does not mind
LEVELS = {"uint8": 255, "uint16": 65535}
DEPTHS = (*LEVELS, "float16", "float32")


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture in memory.

    pixels: (1, C, H, W) float32, C = 1 grey or 3 RGB; integer depths scaled to [0, 1], floats as stored.
    alpha: (1, 1, H, W) float32 in [0, 1], straight (not premultiplied), or None.
    depth: "uint8", "uint16", "float16" or "float32", of the files that are written from it.
    icc: the bytes of the ICC profile, or None.
    tags: what else its file says of the colours, and of the resolution; it is carried over to files, not interpreted.
    remark: what was chosen of its file, where that left a choice; "" otherwise.
    """

    pixels: torch.Tensor
    alpha: torch.Tensor | None = None
    depth: str = "uint8"
    icc: bytes | None = None
    tags: codecs.Tags = codecs.PLAIN
    remark: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3) or 0 in shape:
            raise InputError(f"picture pixels have shape {shape}; (1, 1 or 3, height, width) is needed")
        wanted = (1, 1, *shape[2:])
        if self.alpha is not None and tuple(self.alpha.shape) != wanted:
            raise InputError(f"picture alpha has shape {tuple(self.alpha.shape)}; {wanted} is needed")
        for part in (self.pixels, self.alpha):
            if part is not None and part.dtype != torch.float32:
                raise InputError(f"picture pixels or alpha are {part.dtype}; torch.float32 is needed")
        if self.depth not in DEPTHS:
            raise InputError(f"picture depth is {self.depth!r}; allowed: {', '.join(DEPTHS)}")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[3])

    @property
    def channels(self) -> int:
        """Colour channels without alpha: 1 grey, 3 RGB."""
        return int(self.pixels.shape[1])


def rgb(picture: Picture) -> torch.Tensor:
    """Colour as (1, 3, H, W) float32; the channels of grey share their memory."""
    return picture.pixels.expand(-1, 3, -1, -1)


def from_array(array: np.ndarray, *, icc: bytes | None = None) -> Picture:
    """Picture from HxW or HxWx1 (grey), HxWx2 (grey + alpha), HxWx3 (RGB) or HxWx4 (RGB + alpha).

    uint8 and uint16 are scaled to [0, 1]; finite floats are kept (float64 becomes float32), in alpha clamped to [0, 1].
    Raises InputError for any other type, shape or value.
    """
    array = np.asarray(array)
    if array.dtype.name not in (*DEPTHS, "float64"):
        raise InputError(f"array of {array.dtype.name}; allowed: uint8, uint16, float16, float32, float64")
    samples = array[..., None] if array.ndim == 2 else array
    if samples.ndim != 3 or samples.shape[2] not in (1, 2, 3, 4) or 0 in samples.shape:
        raise InputError(f"array of shape {array.shape}; allowed: HxW, HxWx1, HxWx2, HxWx3, HxWx4, not empty")
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is refused below
        samples = samples.astype(np.float32) if samples.dtype.name == "float64" else samples
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise InputError("array holds NaN, infinite or too large values; only finite float32 are allowed")
    return picture_of(codecs.Decoded(samples, icc))


def to_array(picture: Picture) -> np.ndarray:
    """Array in the picture's depth: HxW grey, HxWx2 grey + alpha, HxWx3 RGB, HxWx4 RGB + alpha. Values beyond [0, 1]
    are clamped for integer depths, beyond its range for float16."""
    samples = samples_of(picture, picture.depth)
    return samples[..., 0] if samples.shape[2] == 1 else samples


def picture_of(decoded: codecs.Decoded) -> Picture:
    """Picture from (H, W, C) samples in one of the four depths, and what comes with them."""
    samples = decoded.samples
    colours = 1 if samples.shape[2] < 3 else 3
    alpha = _planes(samples[..., colours:]) if samples.shape[2] in (2, 4) else None
    if alpha is not None and samples.dtype.kind == "f":
        for top, bottom in spans(samples.shape[:2]):
            scratch.release(alpha[:, :, top:bottom].clamp_(0, 1))
    depth = decoded.depth or samples.dtype.name
    return Picture(_planes(samples[..., :colours]), alpha, depth, decoded.icc, decoded.tags, decoded.remark)


def _planes(samples: np.ndarray) -> torch.Tensor:
    """(1, C, H, W) float32 of (H, W, C) samples, in scratch where they are large; integers scaled to [0, 1]."""
    height, width, channels = samples.shape
    values = scratch.empty((1, channels, height, width), np.float32)
    for top, bottom in spans((height, width), VALUES_AT_ONCE):
        part = values[0, :, top:bottom]
        part[...] = samples[top:bottom].transpose(2, 0, 1)
        if samples.dtype.name in LEVELS:
            part /= np.float32(LEVELS[samples.dtype.name])
        scratch.release(part)
        scratch.release(samples[top:bottom])
    return torch.from_numpy(values)


def spans(size: tuple[int, int], pixels: int | None = None) -> Iterator[tuple[int, int]]:
    """The first row and the one after the last of strips that cover (height, width); of about so many pixels."""
    rows = max(1, (pixels or PIXELS_AT_ONCE) // size[1])
    return ((top, min(top + rows, size[0])) for top in range(0, size[0], rows))


def samples_of(picture: Picture, depth: str) -> np.ndarray:
    """(H, W, C) samples of the colour and alpha, quantised to `depth`; a strip at a time, which bounds the memory."""
    parts = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha]
    samples = np.empty((picture.height, picture.width, sum(part.shape[1] for part in parts)), depth)
    rows = max(1, VALUES_AT_ONCE // picture.width)
    for top in range(0, picture.height, rows):
        first = 0
        for part in parts:
            values = part[0, :, top : top + rows].detach().cpu().numpy().transpose(1, 2, 0)
            samples[top : top + rows, :, first : first + values.shape[2]] = _quantised(values, depth)
            first += values.shape[2]
    return samples


def _quantised(values: np.ndarray, depth: str) -> np.ndarray:
    """Floats as the values that `depth` has."""
    if depth in LEVELS:
        return np.asarray(np.rint(np.clip(values, 0, 1) * np.float32(LEVELS[depth])))
    return np.clip(values, -65504, 65504) if depth == "float16" else values


def is_finite(values: torch.Tensor) -> bool:
    """Is none of them NaN or infinite? By the least and the greatest, which takes no memory."""
    return bool(torch.isfinite(torch.stack(values.aminmax())).all())


def size_in_memory(picture: Picture) -> int:
    """The bytes of a picture's colours and alpha, as far as they are not mapped from scratch."""
    return sum(scratch.in_memory(part) for part in (picture.pixels, picture.alpha) if part is not None)
