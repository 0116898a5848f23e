"""Cutting feature maps into patches.

A map is (1, C, h, w). Its patches of side p lie at every s-th position, s being the stride, and are numbered in raster
order: those of a map that wraps start at every row and column, the others only where they fit.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

OPEN = (False, False)  # a map that wraps along neither (y, x)


def wrapped(layer: Tensor, patch: int, tile: tuple[bool, bool]) -> Tensor:
    """A map continued by patch - 1 at the bottom and the right along the axes that wrap, where patches cross them."""
    if tile[0]:
        layer = torch.cat([layer, layer[:, :, : patch - 1]], 2)
    if tile[1]:
        layer = torch.cat([layer, layer[:, :, :, : patch - 1]], 3)
    return layer


def cut(layer: Tensor, patch: int, stride: int, tile: tuple[bool, bool] = OPEN) -> Tensor:
    """All patches of a map (1, C, h, w) in raster order: (N, C * patch * patch)."""
    if patch == 1 and stride == 1:
        return layer[0].flatten(1).T  # (h * w, C)
    return F.unfold(wrapped(layer, patch, tile), patch, stride=stride)[0].T


def size_of(layer: Tensor) -> tuple[int, int]:
    """The height and the width of a map (1, C, h, w)."""
    return layer.shape[2], layer.shape[3]


def grid(size: tuple[int, int], patch: int, stride: int, tile: tuple[bool, bool] = OPEN) -> tuple[int, int]:
    """The number of patches down and across a map of `size`; 0 where it is smaller than a patch."""
    rows, columns = (max(0, (n - (1 if wraps else patch)) // stride + 1) for n, wraps in zip(size, tile, strict=True))
    return rows, columns


def usable(valid: Tensor, size: tuple[int, int], patch: int, stride: int) -> Tensor:
    """Whether each patch of a map of `size` lies on valid pixels only, (N,) bool. valid: (1, 1, H, W) in pixels."""
    return cut(F.adaptive_max_pool2d((~valid).float(), size), patch, stride).amax(1) == 0


def patch_weights(
    pixel_weights: Tensor | None, layer: Tensor, patch: int, stride: int, tile: tuple[bool, bool] = OPEN
) -> Tensor:
    """How much each patch of a map (1, C, h, w) counts, (rows, columns): as much as the pixel in it that counts most.

    pixel_weights: (1, 1, H, W) in pixels, or None where every pixel counts 1.
    """
    if pixel_weights is None:
        return layer.new_ones(grid(size_of(layer), patch, stride, tile))
    coarse = F.adaptive_max_pool2d(pixel_weights.to(layer), size_of(layer))
    return F.max_pool2d(wrapped(coarse, patch, tile), patch, stride)[0, 0]


def pixel_indices(numbers: Tensor, size: tuple[int, int], patch: int, stride: int) -> Tensor:
    """The flat indices of the pixels of the patches (n,) of these numbers in a map of `size`: (n, patch * patch)."""
    columns = grid(size, patch, stride)[1]
    corner = (numbers // columns * size[1] + numbers % columns) * stride
    span = torch.arange(patch, device=numbers.device)
    return corner[:, None] + (span[:, None] * size[1] + span).flatten()


def gather(pixels: Tensor, indices: Tensor) -> Tensor:
    """Patches from pixels (h * w, C), by the indices (n, patch * patch) of their pixels: (n, patch * patch * C)."""
    return pixels.index_select(0, indices.flatten()).view(len(indices), -1)


def scatter_add(pixels: Tensor, indices: Tensor, patches: Tensor) -> None:
    """The adjoint of `gather`: add patches, all different, to their pixels, always in the same order."""
    for index, values in zip(indices.T, patches.view(*indices.shape, -1).unbind(1), strict=True):
        pixels.index_add_(0, index, values)
