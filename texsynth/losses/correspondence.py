"""The guided correspondence loss (Zhou et al. 2023): every output patch should match one source patch clearly best.

Distances of all output patches to all source patches, plus guides and a price on sources that are used too often, are
divided by each output patch's least distance; a softmax over the sources makes of them similarities, and the loss is
minus the logarithm of the largest, averaged over output patches and summed over layers: in [0, layers * log N].

Differs from the paper in: the logarithm is taken in closed form, so small values are exact; where there are too many
output patches, whole squares of them are drawn and not single ones; uneven use is counted at the place in the exemplar
also for turned copies, rows and columns rounded separately; layers too small for two source patches are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Features, Loss, Reference, Setup, all_layers
from texsynth.losses._guides import FAR, Cut, Extra, extra
from texsynth.patches import distances as centred
from texsynth.patches.chunks import Tile, height, nearest, scalar, tiles
from texsynth.patches.cut import grid, usable, wanted, wrapped
from texsynth.patches.distances import Source
from texsynth.settings import setting

PARTS = 8  # a sample of output patches is drawn in at least so many squares


@dataclass(frozen=True)
class Settings:
    """Defaults of the paper."""

    patch: int = setting(7, "side of the patches, in cells of the layer", low=1, high=31)
    stride: int = setting(3, "step from patch to patch", low=1, high=31)
    h: float = setting(0.5, "bandwidth of similarity", low=1e-3, high=100.0)
    occurrence: float = setting(0.05, "price of a source patch used as often as the average", low=0.0, high=10.0)
    distance: str = setting(
        "cosine",
        "cosine of centred patches, or squared difference by the source's variance (for raw windows)",
        choices=("cosine", "squared"),
    )
    sample: int = setting(10_000, "output patches at most, drawn anew each time; 0 takes all", low=0)
    context: float = setting(
        0.0, "match only within this share of the sides from the same place; 0 is off", low=0.0, high=1.0
    )
    eps: float = setting(1e-8, "added to the least distance", low=1e-16, high=1.0)


@dataclass(frozen=True)
class Part:
    """What the loss compares output patches with, in one layer. barred: (N,), FAR for source patches that must not be
    used. cells: (N,), the place in the exemplars that each shows, below `end`; `places` of these can be used."""

    source: Source
    barred: Tensor
    cells: Tensor
    end: int
    places: int
    extra: Extra | None


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The loss over the layers of `references`; layers in which it cannot be had count 0."""
    made = {name: _layer(name, references, settings, setup) for name in all_layers(references)}
    layers = {name: layer for name, layer in made.items() if layer is not None}

    def loss(features: Features) -> Tensor:
        fits = [n for n in layers if n in features and min(features[n].shape[2:]) >= settings.patch]
        if not fits:
            return next(iter(features.values())).sum() * 0
        return torch.stack([layers[name](features[name]) for name in fits]).sum()

    return loss


def _layer(
    name: str, references: Sequence[Reference], settings: Settings, setup: Setup
) -> Callable[[Tensor], Tensor] | None:
    """The loss of one layer, or None where fewer than two source patches can be used."""
    patch, stride = settings.patch, settings.stride
    large = [r for r in references if name in r.features and min(r.features[name].shape[2:]) >= patch]
    every = [(r, _seen(r, _size(r.features[name]), patch, stride)) for r in large]
    held = [r for r, s in every if s.any()]
    maps = [r.features[name] for r in held]
    sizes, seen = [_size(m) for m in maps], [s.to(r.features[name].device) for r, s in every if s.any()]
    if sum(int(s.sum()) for s in seen) < 2:
        return None
    source = centred.source(maps, seen, settings.distance, patch, stride)
    barred = (~torch.cat(seen)).to(source.offset).mul_(FAR)
    cells = _cells(held, [grid(size, patch, stride) for size in sizes]).to(barred.device)
    end, places = int(cells.max()) + 1, len(cells[torch.cat(seen)].unique())
    how = Cut(patch, stride, setup.tile, settings.context)
    parts: dict[tuple[int, int], Part] = {}

    def compare(layer: Tensor) -> Tensor:
        size = _size(layer)
        if size not in parts:
            more = extra(held, setup.guides, sizes, size, how, layer.detach(), setup.memory)
            parts[size] = Part(source, barred, cells, end, places, more)
        weights = wanted(setup.share, layer, patch, stride, setup.tile)
        squares = _draw(weights, source, settings, setup)
        if not squares:
            return layer.sum() * 0
        work = partial(
            _evaluate, part=parts[size], squares=squares, weights=weights, settings=settings, memory=setup.memory
        )
        return scalar(wrapped(layer - source.shift, patch, setup.tile), work)

    return compare


def _size(layer: Tensor) -> tuple[int, int]:
    return layer.shape[2], layer.shape[3]


def _seen(reference: Reference, size: tuple[int, int], patch: int, stride: int) -> Tensor:
    """Which patches of a reference's layer may be used, (n,) bool."""
    if reference.valid is None:
        return torch.ones(math.prod(grid(size, patch, stride)), dtype=torch.bool)
    return usable(reference.valid, size, patch, stride)


def _cells(references: Sequence[Reference], grids: Sequence[tuple[int, int]]) -> Tensor:
    """For every source patch a number for the place in its exemplar that it shows, on the exemplar's own grid: (N,).

    Patches of turned copies share the number of the place they were copied from.
    """
    own: dict[int, tuple[int, int]] = {}
    for reference, size in zip(references, grids, strict=True):
        if reference.place is None or reference.exemplar not in own:
            own[reference.exemplar] = size
    first, cells = 0, {}
    for exemplar, size in own.items():
        cells[exemplar] = first
        first += math.prod(size)
    return torch.cat([
        cells[r.exemplar] + _cell(r.place, size, own[r.exemplar]) for r, size in zip(references, grids, strict=True)
    ])  # fmt: skip


def _cell(place: Tensor | None, size: tuple[int, int], own: tuple[int, int]) -> Tensor:
    """Cells of one reference's patches, (n,). size, own: of its grid and of the exemplar's."""
    if place is None:
        return torch.arange(math.prod(size))
    at = F.interpolate(place.float().cpu(), size, mode="bilinear", align_corners=True)[0]
    y, x = ((axis * (n - 1)).round().long().clamp(0, n - 1) for axis, n in zip(at, own, strict=True))
    cells: Tensor = (y * own[1] + x).flatten()
    return cells


def _draw(weights: Tensor, source: Source, settings: Settings, setup: Setup) -> list[Tile]:
    """The parts of the output's grid to look at this time, where any patch counts. weights: (rows, columns)."""
    margin, count = source.products.margin, int((weights > 0).sum())
    most = height(source.products.width, weights, setup.memory)
    if not 0 < settings.sample < count:
        return _parts(weights, most, margin)
    share = math.isqrt(max(1, settings.sample // PARTS))
    every = _parts(weights, min(most, (share + margin) ** 2), margin)
    some = max(1, settings.sample // max(tile.count for tile in every))
    return [every[n] for n in torch.randperm(len(every), generator=setup.rng)[:some].tolist()]


def _parts(weights: Tensor, most: int, margin: int) -> list[Tile]:
    """The rectangle around all patches that count, cut into parts that hold some."""
    spans = [(weights > 0).any(axis).nonzero()[:, 0].tolist() for axis in (1, 0)]
    if not spans[0]:
        return []
    (top, bottom), (left, right) = ((span[0], span[-1] + 1) for span in spans)
    every = tiles((bottom - top, right - left), most, margin)
    moved = [replace(tile, top=tile.top + top, left=tile.left + left) for tile in every]
    return [tile for tile in moved if tile.of(weights).any()]


def _evaluate(
    layer: Tensor,
    wants: bool,
    part: Part,
    squares: Sequence[Tile],
    weights: Tensor,
    settings: Settings,
    memory: int,
) -> tuple[Tensor, Tensor | None]:
    """The loss of one layer (1, C, h, w), less the shift and continued, and its gradient where wanted. weights: (rows,
    columns), how much each output patch counts."""
    source, count = part.source, sum(tile.count for tile in squares)
    weight = sum(float(tile.of(weights).sum()) for tile in squares)
    target = centred.target(layer, source)
    known: dict[Tile, Tensor] | None = None
    if settings.occurrence > 0 and count * len(part.cells) * layer.element_size() <= memory:
        known = {tile: centred.distances(target, source, tile) for tile in squares}

    def distances(tile: Tile) -> Tensor:
        return centred.distances(target, source, tile) if known is None else known[tile]

    price = part.barred
    if settings.occurrence > 0:
        used = layer.new_zeros(part.end)
        for tile in squares:
            _, best = nearest(_dearer(distances(tile), price, part.extra, tile))
            used.index_add_(0, part.cells[best], tile.column(weights)[:, 0])
        price = price + settings.occurrence * part.places / weight * used[part.cells]
    value, gradient = layer.new_zeros(()), centred.begin(target)
    for tile in squares:
        plain = distances(tile)
        values, slopes, total = _contrast(_dearer(plain, price, part.extra, tile), settings.h, settings.eps)
        counts = tile.column(weights)
        value += (values * counts[:, 0]).sum()
        if wants:
            slopes, total = slopes.mul_(counts), total * counts
            moment = (slopes * plain).sum(1, keepdim=True)
            centred.add(gradient, target, source, tile, slopes, total, moment)
    return value / weight, centred.end(gradient, target, source) / weight if wants else None


def _dearer(plain: Tensor, price: Tensor, extra: Extra | None, tile: Tile) -> Tensor:
    """Distances with all that is added to them."""
    dear = plain + price
    return dear if extra is None else dear.add_(extra(tile))


def _contrast(distances: Tensor, h: float, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Minus the logarithm of the best softmax over each row of (n, N), which is overwritten: (n,); its derivatives with
    respect to the distances, (n, N); and their sums, (n, 1).

    With d the least distance and t_j = (d - d_j) / (d + eps) / h it is log sum_j exp(t_j). The best j counts 1 in the
    sum and is left out of it, so nothing is lost where the rest is small.
    """
    least, best = (x[:, None] for x in nearest(distances))
    slope = 1 / (least + eps) / h
    exponents = distances.sub_(least).mul_(-slope)
    weights = exponents.exp().scatter_(1, best, 0)
    rest = weights.sum(1, keepdim=True)
    values = torch.log1p(rest).where(least < FAR / 2, 0)  # nothing may be matched: no loss
    total = -h * slope * exponents.mul_(weights).sum(1, keepdim=True) / (1 + rest)
    weights.mul_(-slope / (1 + rest)).scatter_(1, best, total + slope * rest / (1 + rest))
    return values[:, 0], weights, total
