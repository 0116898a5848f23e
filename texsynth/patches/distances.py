"""Distances of output patches x to source patches y, both less the mean source patch m, and their gradient.

With x' = x - m and y' = y - m, "cosine" is (1 - cos(x', y')) / 2 and "squared" is |x' - y'|^2 / V, where V is the mean
of |y'|^2. Both have the form (x' . y') scale_x scale_y + add_x + add_y, and x' . y' = x . y - x . m - y . m + m . m: no
patch has to be cut out to be centred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.patches.chunks import Tile
from texsynth.patches.cut import grid
from texsynth.patches.products import Products, products

DISTANCES = ("cosine", "squared")


@dataclass(frozen=True)
class Source:
    """The source patches of a layer, N in all.

    shift: (1, C, 1, 1), taken off all maps beforehand, which changes nothing but precision. mean: of m as the only
    patch. square: m . m. offset: y . m - m . m. offset, scale, add: (N,). variance: V.
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
class Target:
    """The patches of an output map, which is (1, C, h, w) less the shift: tensors (rows, columns), along being x . m.

    The gradient of a distance consists of a part along y' and of (flat + slope * distance) x'.
    """

    layer: Tensor
    along: Tensor
    scale: Tensor
    add: Tensor
    flat: Tensor
    slope: Tensor


def source(maps: Sequence[Tensor], seen: Sequence[Tensor], kind: str, patch: int, stride: int) -> Source:
    """Of maps (1, C, H, W), none smaller than a patch. seen: for each which of its patches count, (n,) bool."""
    shift = torch.cat([m.flatten(2) for m in maps], 2).mean(2)[:, :, None, None]
    shifted = [m - shift for m in maps]
    shares = [s.to(shift) / sum(int(each.sum()) for each in seen) for s in seen]
    mean = torch.stack([_mean(m, s, patch, stride) for m, s in zip(shifted, shares, strict=True)]).sum(0)
    alone, square = products([mean], patch, stride), (mean**2).sum()
    alongs, squares = zip(*(_measure(m, alone, square, patch, stride) for m in shifted), strict=True)
    along, norms = (torch.cat([each.flatten() for each in grids]) for grids in (alongs, squares))
    variance = (norms * torch.cat(shares)).sum().clamp_min(torch.finfo(norms.dtype).tiny * 1e6)
    scale, add = torch.ones_like(norms), norms / variance
    if kind == "cosine":
        scale, add = norms.clamp_min(variance * 1e-10).rsqrt(), torch.zeros_like(norms)
    every = products(shifted, patch, stride)
    return Source(kind, patch, stride, shift, every, alone, square, along - square, scale, add, variance)


def target(layer: Tensor, source: Source) -> Target:
    """Of an output map (1, C, h, w), already less the shift and continued where it wraps."""
    along, norms = _measure(layer, source.mean, source.square, source.patch, source.stride)
    ones = torch.ones_like(norms)
    if source.kind == "squared":
        factor = 2 / source.variance
        return Target(layer, along, -factor * ones, norms / source.variance, factor * ones, 0 * ones)
    norms = norms.clamp_min(source.variance * 1e-10)
    return Target(layer, along, -0.5 * norms.rsqrt(), 0.5 * ones, 0.5 / norms, -1 / norms)


def distances(target: Target, source: Source, tile: Tile) -> Tensor:
    """Of the patches of a tile to all source patches: (tile.count, N), at least 0."""
    inner = source.products.inner(tile.pixels(target.layer, source.patch, source.stride), tile)
    inner.sub_(tile.column(target.along)).sub_(source.offset)
    inner.mul_(tile.column(target.scale)).mul_(source.scale)
    return inner.add_(tile.column(target.add)).add_(source.add).clamp_(min=0)


@dataclass(frozen=True)
class Gradient:
    """A gradient with respect to an output map while tile after tile adds to it.

    pull: what comes along y, (1, C, h, w). own, mean: factors of x' and of -m for each patch, (rows, columns).
    """

    pull: Tensor
    own: Tensor
    mean: Tensor


def begin(target: Target) -> Gradient:
    """Nothing so far."""
    return Gradient(*(torch.zeros_like(t) for t in (target.layer, target.along, target.along)))


def add(
    gradient: Gradient, target: Target, source: Source, tile: Tile, weights: Tensor, total: Tensor, moment: Tensor
) -> None:
    """Add a tile. weights: what a change of each distance is worth, (tile.count, N), overwritten. total, moment:
    (tile.count, 1), the sum of the weights, and of the weights times the distances."""
    own = total * tile.column(target.flat) + moment * tile.column(target.slope)
    weights.mul_(tile.column(target.scale)).mul_(source.scale)
    tile.pixels(gradient.pull, source.patch, source.stride).add_(source.products.pull(weights, tile))
    mean = weights.sum(1, keepdim=True) + own
    for grid_of, column in ((gradient.own, own), (gradient.mean, mean)):
        tile.of(grid_of).copy_(column.view(tile.rows, tile.columns))


def end(gradient: Gradient, target: Target, source: Source) -> Tensor:
    """The whole of it: (1, C, h, w)."""
    whole = Tile(0, 0, *target.along.shape)
    ones = _ones(target.layer, source.patch, source.stride)
    pixels = whole.pixels(gradient.pull, source.patch, source.stride)
    pixels += whole.pixels(target.layer, source.patch, source.stride) * ones.pull(gradient.own.view(-1, 1), whole)
    pixels -= source.mean.pull(gradient.mean.view(-1, 1), whole)
    return gradient.pull


def _mean(layer: Tensor, shares: Tensor, patch: int, stride: int) -> Tensor:
    """The sum of a map's patches times their shares (n,): (1, C, patch, patch)."""
    weights = shares.view(1, 1, *grid((layer.shape[2], layer.shape[3]), patch, stride))
    return F.conv2d(layer.transpose(0, 1), weights, dilation=stride)[:, :, :patch, :patch].transpose(0, 1)


def _measure(layer: Tensor, mean: Products, square: Tensor, patch: int, stride: int) -> tuple[Tensor, Tensor]:
    """x . m and |x - m|^2 of all patches of a map (1, C, h, w): two of (rows, columns)."""
    size = grid((layer.shape[2], layer.shape[3]), patch, stride)
    whole = Tile(0, 0, *size)
    power = _ones(layer, patch, stride).inner((layer**2).sum(1, keepdim=True), whole)
    along = mean.inner(layer, whole)
    return along.view(size), (power - 2 * along + square).clamp_min_(0).view(size)


def _ones(like: Tensor, patch: int, stride: int) -> Products:
    """A patch of ones: its products are sums over patches."""
    return products([like.new_ones(1, 1, patch, patch)], patch, stride)
