"""Pictures of a size that a network whose cells are 2, 4 or 8 pixels wide takes whole: Optimal Textures (Risser 2020).

Along an axis that tiles the picture is stretched, so that it still wraps; along others it is continued, and what is
beyond is cut off again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN = 4  # cells beyond a border that does not wrap: networks see that it is mirrored, and make what shows it


def whole(image: Tensor, cell: int, tile: tuple[bool, bool]) -> Tensor:
    """(1, C, h, w) with sides that are multiples of `cell`; larger by a margin along axes that do not tile."""
    for dim, wraps in zip((2, 3), tile, strict=True):
        size = image.shape[dim]
        rounded = math.ceil(size / cell) * cell
        if wraps:
            image = _resampled(image, dim, rounded, wraps)
        else:  # mirrored, again and again where it is that small
            margin = MARGIN * cell
            at = torch.arange(-margin, rounded + margin, device=image.device) % (2 * size)
            image = image.index_select(dim, torch.minimum(at, 2 * size - 1 - at))
    return image


def part(image: Tensor, cell: int, size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """The reverse of `whole`: (1, C, *size)."""
    for dim, (wraps, wanted) in enumerate(zip(tile, size, strict=True), 2):
        image = _resampled(image, dim, wanted, wraps) if wraps else image.narrow(dim, MARGIN * cell, wanted)
    return image


def stretched(image: Tensor, size: tuple[int, int], tile: tuple[bool, bool]) -> Tensor:
    """(1, C, h, w) -> (1, C, *size), bilinear; what wraps still does."""
    if size[0] < image.shape[2] or size[1] < image.shape[3]:
        return F.interpolate(image, size, mode="bilinear", antialias=True)
    for dim, (wraps, wanted) in enumerate(zip(tile, size, strict=True), 2):
        image = _resampled(image, dim, wanted, wraps)
    return image


def _resampled(image: Tensor, dim: int, size: int, wraps: bool) -> Tensor:
    """One axis at another length, linearly between the two nearest pixels."""
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
