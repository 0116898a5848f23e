"""Distances of output patches x to source patches y, both less the mean source patch m, and their gradient.

With x' = x - m and y' = y - m, the distance "cosine" is (1 - cos(x', y')) / 2 and "squared" is |x' - y'|^2 / V, where V
is the mean of |y'|^2. Both have the form (x' . y') scale_x scale_y + add_x + add_y, and x' . y' = x . y - x . m - y . m
+ m . m: no patch has to be cut out to be centred.

The gradient of a distance with respect to x has a part along y', which is scale_x scale_y y', and a part along x',
which is (flat_x + slope_x * distance) x'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.patches.chunks import Tile
from texsynth.patches.cut import grid, size_of
from texsynth.patches.products import Products, products

DISTANCES = ("cosine", "squared")


@dataclass(frozen=True)
class CentredSources:
    """The N source patches of a layer.

    kind: one of DISTANCES.
    shift: (1, C, 1, 1), which is taken off all maps first; it changes nothing but precision.
    products, mean: the inner products with all patches y, and with m.
    square, variance: m . m, and V.
    offset: y . m - m . m, (N,).
    scale, add: scale_y and add_y, (N,).
    """

    kind: str
    patch: int
    stride: int
    shift: Tensor
    products: Products
    mean: Products
    square: Tensor
    offset: Tensor
    scale: Tensor
    add: Tensor
    variance: Tensor


@dataclass(frozen=True)
class CentredTargets:
    """The patches x of an output map, on its grid (rows, columns).

    layer: the map (1, C, h, w), less the shift of the sources and continued where it wraps.
    along: x . m, (rows, columns).
    scale, add, flat, slope: the factors of x in the distance and in its gradient, (rows, columns).
    """

    sources: CentredSources
    layer: Tensor
    along: Tensor
    scale: Tensor
    add: Tensor
    flat: Tensor
    slope: Tensor

    def distances(self, tile: Tile) -> Tensor:
        """The distances of the patches of a tile to all source patches: (tile.count, N), at least 0."""
        sources = self.sources
        inner = sources.products.inner(tile.pixels(self.layer, sources.patch, sources.stride), tile)
        inner.sub_(tile.column(self.along)).sub_(sources.offset)
        inner.mul_(tile.column(self.scale)).mul_(sources.scale)
        return inner.add_(tile.column(self.add)).add_(sources.add).clamp_(min=0)


def centred_sources(
    maps: Sequence[Tensor], usable: Sequence[Tensor], kind: str, patch: int, stride: int
) -> CentredSources:
    """The patches of source maps (1, C, H, W), none of them smaller than a patch.

    usable: for each map which of its patches count in the mean, (n,) bool.
    """
    shift = torch.cat([m.flatten(2) for m in maps], 2).mean(2)[:, :, None, None]
    shifted = [m - shift for m in maps]
    shares = [u.to(shift) / sum(int(each.sum()) for each in usable) for u in usable]
    mean = torch.stack([_mean(m, s, patch, stride) for m, s in zip(shifted, shares, strict=True)]).sum(0)
    alone, square = products([mean], patch, stride), (mean**2).sum()
    alongs, squares = zip(*(_measure(m, alone, square, patch, stride) for m in shifted), strict=True)
    along, norms = (torch.cat([each.flatten() for each in grids]) for grids in (alongs, squares))
    variance = (norms * torch.cat(shares)).sum().clamp_min(torch.finfo(norms.dtype).tiny * 1e6)
    scale, add = torch.ones_like(norms), norms / variance
    if kind == "cosine":
        scale, add = norms.clamp_min(variance * 1e-10).rsqrt(), torch.zeros_like(norms)
    every = products(shifted, patch, stride)
    return CentredSources(kind, patch, stride, shift, every, alone, square, along - square, scale, add, variance)


def centred_targets(layer: Tensor, sources: CentredSources) -> CentredTargets:
    """The patches of an output map (1, C, h, w) that is already less the shift and continued where it wraps."""
    along, norms = _measure(layer, sources.mean, sources.square, sources.patch, sources.stride)
    ones = torch.ones_like(norms)
    if sources.kind == "squared":
        factor = 2 / sources.variance * ones
        return CentredTargets(sources, layer, along, -factor, norms / sources.variance, factor, 0 * ones)
    norms = norms.clamp_min(sources.variance * 1e-10)
    return CentredTargets(sources, layer, along, -0.5 * norms.rsqrt(), 0.5 * ones, 0.5 / norms, -1 / norms)


@dataclass(frozen=True)
class DistanceGradient:
    """The gradient of a function of the distances with respect to the output map; one tile after the other adds to it.

    along_sources: what comes along y, (1, C, h, w).
    of_targets, of_mean: the factors of x' and of -m for each patch, (rows, columns).
    """

    targets: CentredTargets
    along_sources: Tensor
    of_targets: Tensor
    of_mean: Tensor

    @classmethod
    def zero(cls, targets: CentredTargets) -> DistanceGradient:
        return cls(targets, *(torch.zeros_like(t) for t in (targets.layer, targets.along, targets.along)))

    def add(self, tile: Tile, weights: Tensor, total: Tensor, moment: Tensor) -> None:
        """Add the part of a tile.

        weights: the derivative of the function by each distance, (tile.count, N); it is overwritten.
        total, moment: (tile.count, 1), the sum of the weights, and of the weights times the distances.
        """
        targets, sources = self.targets, self.targets.sources
        factor = total * tile.column(targets.flat) + moment * tile.column(targets.slope)
        weights.mul_(tile.column(targets.scale)).mul_(sources.scale)
        tile.pixels(self.along_sources, sources.patch, sources.stride).add_(sources.products.pull(weights, tile))
        mean = weights.sum(1, keepdim=True) + factor
        for values, column in ((self.of_targets, factor), (self.of_mean, mean)):
            tile.of(values).copy_(column.view(tile.rows, tile.columns))

    def result(self) -> Tensor:
        """The gradient, (1, C, h, w), once all tiles are in."""
        layer, sources = self.targets.layer, self.targets.sources
        whole, cut = Tile(0, 0, *self.targets.along.shape), (sources.patch, sources.stride)
        pixels = whole.pixels(self.along_sources, *cut)
        pixels += whole.pixels(layer, *cut) * _ones(layer, *cut).pull(self.of_targets.view(-1, 1), whole)
        pixels -= sources.mean.pull(self.of_mean.view(-1, 1), whole)
        return self.along_sources


def _mean(layer: Tensor, shares: Tensor, patch: int, stride: int) -> Tensor:
    """The sum of a map's patches times their shares (n,): (1, C, patch, patch)."""
    weights = shares.view(1, 1, *grid(size_of(layer), patch, stride))
    return F.conv2d(layer.transpose(0, 1), weights, dilation=stride)[:, :, :patch, :patch].transpose(0, 1)


def _measure(layer: Tensor, mean: Products, square: Tensor, patch: int, stride: int) -> tuple[Tensor, Tensor]:
    """x . m and |x - m|^2 of all patches x of a map (1, C, h, w): (rows, columns) each."""
    size = grid(size_of(layer), patch, stride)
    whole = Tile(0, 0, *size)
    power = _ones(layer, patch, stride).inner((layer**2).sum(1, keepdim=True), whole)
    along = mean.inner(layer, whole)
    return along.view(size), (power - 2 * along + square).clamp_min_(0).view(size)


def _ones(like: Tensor, patch: int, stride: int) -> Products:
    """A patch of ones, whose products are sums over patches."""
    return products([like.new_ones(1, 1, patch, patch)], patch, stride)
