"""Inner products of patches, and the sums of patches that their gradients need, in two ways with one result.

`Table` cuts all patches out and multiplies them, which is best for few channels. `Diagonal` never cuts a patch. Patches
overlap on the grid, so pairs of them share products of pixels: with stride s, pixel s i + a of one map meets pixel
s j + a of the other in every pair of patches (i - u, j - u). Each phase a is multiplied once, pixels against pixels,
and the patches sum these products along diagonals, across and then down. Windows of 7 at stride 3 take 9 products of
pixels a pair in place of 49.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.patches.chunks import Tile
from texsynth.patches.cut import cut, grid, size_of

TABLE_CHANNELS = 8  # up to which cutting patches out is the faster way


@dataclass(frozen=True)
class Table:
    """The N source patches y_j of all source maps in raster order, cut out: (N, C * patch * patch)."""

    patches: Tensor
    patch: int
    stride: int
    margin = 0  # as in Diagonal

    @property
    def width(self) -> int:
        """The numbers in a row of the largest matrix."""
        return len(self.patches)

    def inner(self, pixels: Tensor, tile: Tile) -> Tensor:
        """x_i . y_j for the patches x_i of a tile, of which these are the pixels (1, C, h, w): (tile.count, N)."""
        return cut(pixels, self.patch, self.stride).view(tile.count, -1) @ self.patches.T

    def pull(self, weights: Tensor, tile: Tile) -> Tensor:
        """The patches sum_j w_ij y_j of a tile, summed where they overlap: (tile.count, N) -> (1, C, h, w)."""
        size = _extent((tile.rows, tile.columns), self.patch, self.stride)
        return F.fold((self.patches.T @ weights.T)[None], size, self.patch, stride=self.stride)


@dataclass(frozen=True)
class PhasedMap:
    """A map split into phases.

    grid: the number of its patches, down and across.
    pitch: the grid with its margin.
    tables: the pixels for each pair of groups of phases, down and across, (pitch[0] * pitch[1], phases * C).
    """

    grid: tuple[int, int]
    pitch: tuple[int, int]
    tables: tuple[tuple[Tensor, ...], ...]


@dataclass(frozen=True)
class Diagonal:
    """The same patches, on maps that are split into phases."""

    sources: tuple[PhasedMap, ...]
    patch: int
    stride: int

    @property
    def width(self) -> int:
        """The numbers in a row of the largest matrix."""
        return sum(math.prod(source.pitch) for source in self.sources)

    @property
    def margin(self) -> int:
        """The rows and columns by which a tile grows in that matrix."""
        return -(-self.patch // self.stride) - 1

    def inner(self, pixels: Tensor, tile: Tile) -> Tensor:
        target = _phased(pixels, self.patch, self.stride)
        sums = (self._gathered(target, source)[: tile.rows, : tile.columns] for source in self.sources)
        parts = [part.reshape(tile.count, -1) for part in sums]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def pull(self, weights: Tensor, tile: Tile) -> Tensor:
        pitch = tile.rows + self.margin, tile.columns + self.margin
        first, _ = _groups(self.patch, self.stride)[0]
        channels = self.sources[0].tables[0][0].shape[1] // (first.stop - first.start) ** 2
        pixels = weights.new_zeros(pitch[0], self.stride, pitch[1], self.stride, channels)
        start = 0
        for source in self.sources:
            end = start + math.prod(source.grid)
            self._scatter(weights[:, start:end].view(tile.rows, tile.columns, *source.grid), source, pixels)
            start = end
        height, width = _extent((tile.rows, tile.columns), self.patch, self.stride)
        return pixels.flatten(2, 3).flatten(0, 1)[:height, :width].permute(2, 0, 1)[None]

    def _gathered(self, target: PhasedMap, source: PhasedMap) -> Tensor:
        """Inner products of two maps' patches, (rows, columns, rows', columns'); those beyond the grid mean nothing."""
        groups, (down, across) = _groups(self.patch, self.stride), _steps(target.pitch, source.pitch)
        total: Tensor | None = None
        for (_, shifts_down), xs, ys in zip(groups, target.tables, source.tables, strict=True):
            band: Tensor | None = None
            for (_, shifts), x, y in zip(groups, xs, ys, strict=True):
                band = _gather(band, (x @ y.T).flatten(), shifts, across)
            assert band is not None
            total = _gather(total, band, shifts_down, down)
        assert total is not None
        return total.view(*target.pitch, *source.pitch)[:, :, : source.grid[0], : source.grid[1]]

    def _scatter(self, weights: Tensor, source: PhasedMap, pixels: Tensor) -> None:
        """The adjoint of `_gathered`: add sums of source pixels to pixels in phases (rows, s, columns, s, C)."""
        pitch = pixels.shape[0], pixels.shape[2]
        groups, (down, across) = _groups(self.patch, self.stride), _steps(pitch, source.pitch)
        whole = weights.new_zeros(*pitch, *source.pitch)
        whole[: weights.shape[0], : weights.shape[1], : source.grid[0], : source.grid[1]] = weights
        for (rows, shifts_down), ys in zip(groups, source.tables, strict=True):
            band = _scatter(whole.flatten(), shifts_down, down)
            for (columns, shifts), y in zip(groups, ys, strict=True):
                sums = _scatter(band, shifts, across).view(-1, len(y)) @ y
                part = pixels[:, rows, :, columns].transpose(1, 2)
                part += sums.view(part.shape)


Products = Table | Diagonal


def products(maps: Sequence[Tensor], patch: int, stride: int) -> Products:
    """The patches of source maps (1, C, H, W), none of them smaller than a patch, in the faster of the two ways."""
    if maps[0].shape[1] <= TABLE_CHANNELS:
        return Table(torch.cat([cut(m, patch, stride) for m in maps]), patch, stride)
    return Diagonal(tuple(_phased(m, patch, stride) for m in maps), patch, stride)


def _groups(patch: int, stride: int) -> list[tuple[slice, int]]:
    """The phases that occur once more in a patch than the others, then these, if any; and how often, along one axis."""
    most = -(-patch // stride)
    full = patch - (most - 1) * stride
    groups = [(slice(0, full), most)]
    if full < stride and most > 1:
        groups.append((slice(full, stride), most - 1))
    return groups


def _steps(target: tuple[int, int], source: tuple[int, int]) -> tuple[int, int]:
    """The distance in memory between the products of a pair of pixels and of the pair one down, and one across."""
    width = math.prod(source)
    return target[1] * width + source[1], width + 1


def _gather(total: Tensor | None, products: Tensor, shifts: int, step: int) -> Tensor:
    """Add products[n], products[n + step] ... to total[n]; sums that run past the end of a row lie beyond the grid."""
    if total is None:
        total = products.clone() if shifts > 1 else products
    else:
        total += products
    for shift in range(step, shifts * step, step):
        total[:-shift] += products[shift:]
    return total


def _scatter(weights: Tensor, shifts: int, step: int) -> Tensor:
    """The adjoint of `_gather`."""
    total = weights.clone() if shifts > 1 else weights
    for shift in range(step, shifts * step, step):
        total[shift:] += weights[:-shift]
    return total


def _extent(size: tuple[int, int], patch: int, stride: int) -> tuple[int, int]:
    """The pixels that a grid of patches spans, down and across."""
    return (size[0] - 1) * stride + patch, (size[1] - 1) * stride + patch


def _phased(layer: Tensor, patch: int, stride: int) -> PhasedMap:
    """A map (1, C, h, w) split into phases, continued by zeros where the last patches end."""
    size = grid(size_of(layer), patch, stride)
    margin = -(-patch // stride) - 1
    pitch = size[0] + margin, size[1] + margin
    height, width = _extent(size, patch, stride)
    padded = layer.new_zeros(pitch[0] * stride, pitch[1] * stride, layer.shape[1])
    padded[:height, :width] = layer[0, :, :height, :width].permute(1, 2, 0)
    pixels = padded.view(pitch[0], stride, pitch[1], stride, -1)
    slices = [phases for phases, _ in _groups(patch, stride)]
    tables = (tuple(pixels[:, a, :, b].transpose(1, 2).reshape(math.prod(pitch), -1) for b in slices) for a in slices)
    return PhasedMap(size, pitch, tuple(tables))
