"""Coarser levels of pictures, maps and masks. A level counts the halvings below full size and may be a fraction.

Every size is rounded up, so that each pixel of a fine level has a parent in the coarser one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows


def octaves(shorter_side: int, coarsest: int, finest: int) -> tuple[int, int]:
    """The levels at which the shorter side is about `finest` (0: full size) and about `coarsest` pixels."""
    bottom = max(0, round(math.log2(shorter_side / finest))) if finest else 0
    return bottom, max(bottom, round(math.log2(shorter_side / coarsest)))


def halved(size: int, level: float) -> int:
    """A length `level` halvings down, rounded up."""
    return math.ceil(size / 2**level - 1e-6)


def _as_it_is(values: Tensor) -> Tensor:
    return values


def shrink(
    image: Tensor, level: float, nearest: bool = False, change: Callable[[Tensor], Tensor] = _as_it_is
) -> Tensor:
    """Reduction (1, C, H, W) -> (1, C, ceil(H / 2^level), ceil(W / 2^level)), by boxes for whole levels, of what
    `change` makes of it pixel by pixel. Border cells average what they hold, so no row is dropped and parents line up
    with children exactly."""
    size = halved(image.shape[2], level), halved(image.shape[3], level)
    if nearest:
        small = F.interpolate(change(image), size, mode="nearest")
        rows.release(image)
        return small
    if level != int(level):
        return F.interpolate(change(image), size, mode="bilinear", antialias=True)
    cell = 1 << int(level)

    def make(top: int, bottom: int) -> Tensor:
        values = change(image[:, :, cell * top : cell * bottom])
        return F.avg_pool2d(values, cell, stride=cell, ceil_mode=True, count_include_pad=False)

    channels = change(image[:, :, :1, :1]).shape[1]
    return rows.composed((1, channels, *size), make, image, cell=cell)


def shrink_valid(valid: Tensor, level: float) -> Tensor:
    """The usable pixels (1, 1, H, W) bool of a coarser level: those of which most is usable at full size."""
    share = shrink(valid, level, change=Tensor.float)
    return (share > 0) & (share >= min(0.5, float(share.max())))


def shrink_hole(hole: Tensor, level: float) -> Tensor:
    """Every cell that the hole (1, 1, H, W) bool touches, so that the pixels around it stay clean. Scattered specks
    would take more than half of the pixels outside the hole in this way; the coarse hole is then every cell of which at
    least half lies in the hole."""
    share = shrink(hole, level, change=Tensor.float)
    touched = share > 0
    return touched if float((~touched).float().mean()) > 0.5 * float((1 - share).mean()) else share >= 0.5


def middles(values: Tensor, level: float) -> Tensor:
    """Values (1, C, H, W) at a coarser level: those of the pixel in the middle of each cell."""
    h, w = values.shape[2:]
    down, across = (
        ((torch.arange(halved(n, level), device=values.device) + 0.5) * 2**level).long().clamp(max=n - 1)
        for n in (h, w)
    )
    few = values[:, :, down][:, :, :, across]
    rows.release(values)
    return few


def shrink_pointers(pointers: Tensor, level: float) -> Tensor:
    """Coordinates (1, 2, H, W) at a coarser level: those of the pixel in the middle of each cell, scaled down."""
    return middles(pointers, level) / 2**level


def enlarge_pointers(pointers: Tensor, cell: int, size: tuple[int, int], limits: Sequence[int]) -> Tensor:
    """Coordinates (1, 2, h, w) of cells of so many pixels a side as those of pixels, (1, 2, *size): a pixel comes from
    its own place in the cell that its cell comes from, as far as that lies in a picture of `limits`; NaN stays."""
    last = torch.tensor(limits).view(1, 2, 1, 1) - 1.0
    across = torch.arange(size[1])

    def make(top: int, bottom: int) -> Tensor:
        down = torch.arange(top, bottom)
        within = torch.stack(torch.meshgrid(down % cell, across % cell, indexing="ij"))
        return torch.minimum(cell * pointers[:, :, (down // cell)[:, None], across // cell] + within, last)

    return rows.composed((1, 2, *size), make)


def shrink_guide(values: Tensor, level: float, distance: str) -> Tensor:
    """The map of a guide (1, C, H, W) at a coarser level, by the guide's distance. "l0" (labels) takes the nearest
    pixel, "l2" the mean, "direction" the mean of the vectors' outer products, in which opposite signs do not cancel."""
    if distance == "direction":
        return axis(shrink(values, level, change=tensor_of))
    return shrink(values, level, nearest=distance == "l0")


def tensor_of(direction: Tensor) -> Tensor:
    """Vectors (1, 2, h, w) as (x, y) -> the entries xx, yy, xy of their outer products, (1, 3, h, w)."""
    x, y = direction[:, :1], direction[:, 1:]
    return torch.cat([x * x, y * y, x * y], 1)


def axis(tensor: Tensor) -> Tensor:
    """The leading eigenvector of symmetric 2 x 2 matrices with the entries xx, yy, xy: (1, 3, h, w) -> (1, 2, h, w)."""
    angle = torch.atan2(2 * tensor[:, 2:], tensor[:, :1] - tensor[:, 1:2]) / 2
    return torch.cat([angle.cos(), angle.sin()], 1)
