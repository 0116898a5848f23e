"""Cutting feature maps into patches: what several losses share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def wrapped(layer: Tensor, patch: int, tile: tuple[bool, bool]) -> Tensor:
    """(1, C, h, w) continued by patch - 1 at the bottom and the right along the axes that tile, so that patches cross
    the border."""
    if tile[0]:
        layer = torch.cat([layer, layer[:, :, : patch - 1]], 2)
    if tile[1]:
        layer = torch.cat([layer, layer[:, :, :, : patch - 1]], 3)
    return layer


def cut(layer: Tensor, patch: int, stride: int, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """All patches of a map (1, C, h, w) in raster order: (N, C * patch * patch)."""
    if patch == 1 and stride == 1:
        return layer[0].flatten(1).T  # (h * w, C)
    return F.unfold(wrapped(layer, patch, tile), patch, stride=stride)[0].T


def grid(size: tuple[int, int], patch: int, stride: int, tile: tuple[bool, bool] = (False, False)) -> tuple[int, int]:
    """How many patches there are down and across a map of `size`; 0 where it is smaller than a patch."""
    rows, columns = (max(0, (n - (1 if wraps else patch)) // stride + 1) for n, wraps in zip(size, tile, strict=True))
    return rows, columns


def usable(valid: Tensor, size: tuple[int, int], patch: int, stride: int) -> Tensor:
    """Which patches of a layer of `size` see nothing but valid pixels, (N,) bool. valid: (1, 1, H, W) in pixels."""
    holes = F.adaptive_max_pool2d((~valid).float(), size)
    return cut(holes, patch, stride).amax(1) == 0


def wanted(
    share: Tensor | None, layer: Tensor, patch: int, stride: int, tile: tuple[bool, bool] = (False, False)
) -> Tensor:
    """How much each patch of an output layer (1, C, h, w) counts, (rows, columns): as its most wanted pixel does.

    share: (1, 1, H, W) in pixels, or None where all count 1.
    """
    size = layer.shape[2], layer.shape[3]
    if share is None:
        return layer.new_ones(grid(size, patch, stride, tile))
    coarse = F.adaptive_max_pool2d(share.to(layer), size)
    return F.max_pool2d(wrapped(coarse, patch, tile), patch, stride)[0, 0]


def seats(index: Tensor, size: tuple[int, int], patch: int, stride: int) -> Tensor:
    """Where the pixels of patches lie in a map of `size`, flat: (n, patch * patch). index: (n,), numbers in raster
    order."""
    columns = grid(size, patch, stride)[1]
    corner = (index // columns * size[1] + index % columns) * stride
    span = torch.arange(patch, device=index.device)
    return corner[:, None] + (span[:, None] * size[1] + span).flatten()


def pick(pixels: Tensor, places: Tensor) -> Tensor:
    """Patches from pixels (h * w, C), by their seats: (n, patch * patch * C)."""
    return pixels.index_select(0, places.flatten()).view(len(places), -1)


def put(pixels: Tensor, places: Tensor, patches: Tensor) -> None:
    """The adjoint of `pick`: add different patches to the pixels below them, in an order that is always the same."""
    for place, values in zip(places.T, patches.view(*places.shape, -1).unbind(1), strict=True):
        pixels.index_add_(0, place, values)
