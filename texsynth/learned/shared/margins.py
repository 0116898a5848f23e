"""Borders and sizes of pictures and maps: what lies beyond a border, and how a picture is brought to another size.

A network with pools takes pictures whose sides are whole cells. Along an axis that tiles, a picture is stretched to
whole cells, so that it still wraps; along any other axis it is mirrored beyond its border, and cut again afterwards.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 4  # cells beyond a border that does not wrap, where networks would show that the picture is mirrored there


def extended(x: Tensor, by: int, tile: tuple[bool, bool]) -> Tensor:
    """Add `by` rows and columns to each side of a map (n, C, h, w): from the opposite side along axes that tile; along
    others they are mirrored, or the border is repeated where there are too few rows to mirror."""
    for wraps, size, pads in zip(tile, x.shape[2:], ([0, 0, by, by], [by, by, 0, 0]), strict=True):
        x = F.pad(x, pads, mode="circular" if wraps else "reflect" if size > by else "replicate")
    return x


def whole(image: Tensor, cell: int, tile: tuple[bool, bool]) -> Tensor:
    """Bring (1, C, h, w) to sides that are multiples of `cell`, with a margin along axes that do not tile."""
    for dim, wraps in zip((2, 3), tile, strict=True):
        size = image.shape[dim]
        rounded = math.ceil(size / cell) * cell
        if wraps:
            image = _resampled(image, dim, rounded, wraps)
        else:  # small pictures are mirrored more than once
            margin = MARGIN * cell
            at = torch.arange(-margin, rounded + margin, device=image.device) % (2 * size)
            image = image.index_select(dim, torch.minimum(at, 2 * size - 1 - at))
    return image


def part(image: Tensor, cell: int, size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """Undo `whole`: (1, C, *size)."""
    for dim, (wraps, length) in enumerate(zip(tile, size, strict=True), 2):
        image = _resampled(image, dim, length, wraps) if wraps else image.narrow(dim, MARGIN * cell, length)
    return image


def stretched(image: Tensor, size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """Resize (1, C, h, w) to (1, C, *size), bilinearly; an enlarged picture still wraps along axes that tile."""
    if size[0] < image.shape[2] or size[1] < image.shape[3]:
        return F.interpolate(image, size, mode="bilinear", antialias=True)
    for dim, (wraps, length) in enumerate(zip(tile, size, strict=True), 2):
        image = _resampled(image, dim, length, wraps)
    return image


def _resampled(image: Tensor, dim: int, size: int, wraps: bool) -> Tensor:
    """Bring one axis to another length, linearly between the two nearest pixels."""
    count = image.shape[dim]
    if size == count:
        return image
    at = (torch.arange(size, device=image.device) + 0.5) * count / size - 0.5
    low = at.floor()
    first, second = (
        image.index_select(dim, n.remainder(count) if wraps else n.clamp(0, count - 1))
        for n in (low.long(), low.long() + 1)
    )
    share = (at - low).view([-1 if n == dim else 1 for n in range(image.ndim)])
    return first.lerp(second, share)
