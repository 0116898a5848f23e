"""The guided correspondence loss (Zhou et al. 2023): every output patch should match one source patch clearly best.

With d_ij the distance of output patch i to source patch j, plus guides and a price on sources that are used too often,
the similarity of i to j is the softmax over j of (1 - d_ij / (min_j d_ij + eps)) / h. The loss is minus the logarithm
of the largest similarity of each output patch, averaged over output patches and summed over layers: in
[0, layers * log N].

Differs from the paper in: the logarithm is taken in closed form, so small values are exact; where there are too many
output patches, whole squares of them are drawn and not single ones; uneven use is counted at the place in the exemplar
also for turned copies, rows and columns rounded separately; layers too small for two source patches are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Features, Loss, Reference, Setup, layer_names, total, usable_sources
from texsynth.patches.chunks import Tile, rows_at_once, tiles, with_gradient
from texsynth.patches.cut import grid, patch_weights, size_of, wrapped
from texsynth.patches.distances import DISTANCES, CentredSources, DistanceGradient, centred_sources, centred_targets
from texsynth.patches.nearest import row_minimum
from texsynth.patches.penalties import FAR, PatchLayout, Penalty, penalty
from texsynth.settings import setting

FEWEST_SQUARES = 8  # that a sample of output patches is drawn in


@dataclass(frozen=True)
class Settings:
    """The settings of guided correspondence; the defaults are the paper's.

    patch: The side of the patches that are compared, in cells of the layer.
    stride: The step from one patch to the next, in cells of the layer.
    h: The bandwidth of the similarity; with a smaller one only the nearest patch counts.
    occurrence: The price of a source patch that is used as often as the average.
    distance: How two patches are compared: cosine takes the angle between patches less their mean, and squared takes
        the squared difference divided by the source's variance, which suits raw windows.
    sample: At most this many output patches are drawn anew at each evaluation; 0 takes all of them.
    context: A patch may match only within this share of the sides from its own relative place; 0 allows any place.
    eps: A small number that is added to the least distance.
    """

    patch: int = setting(7, low=1, high=31)
    stride: int = setting(3, low=1, high=31)
    h: float = setting(0.5, low=1e-3, high=100.0)
    occurrence: float = setting(0.05, low=0.0, high=10.0)
    distance: str = setting("cosine", choices=DISTANCES)
    sample: int = setting(10_000, low=0)
    context: float = setting(0.0, low=0.0, high=1.0)
    eps: float = setting(1e-8, low=1e-16, high=1.0)


@dataclass(frozen=True)
class SourceMatching:
    """The N source patches of a layer, and how output patches are compared with them.

    barred: (N,), FAR for source patches that must not be used, 0 for others.
    cells: (N,), the number of the place in the exemplars that each patch shows.
    used_places: the number of different places among the patches that may be used.
    """

    sources: CentredSources
    barred: Tensor
    cells: Tensor
    used_places: int
    settings: Settings
    setup: Setup


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The loss over the layers of `references`; layers in which it cannot be had count 0."""
    every = {name: _layer(name, references, settings, setup) for name in layer_names(references)}
    layers = {name: layer for name, layer in every.items() if layer is not None}

    def loss(features: Features) -> Tensor:
        large = [n for n in layers if n in features and min(size_of(features[n])) >= settings.patch]
        return total([layers[name](features[name]) for name in large], features)

    return loss


def _layer(
    name: str, references: Sequence[Reference], settings: Settings, setup: Setup
) -> Callable[[Tensor], Tensor] | None:
    """The loss of one layer, or None where fewer than two source patches can be used."""
    patch, stride = settings.patch, settings.stride
    usable = usable_sources(name, references, patch, stride)
    masks = [mask for _, _, mask in usable]
    if sum(int(mask.sum()) for mask in masks) < 2:
        return None
    owners, maps, mask = [r for r, _, _ in usable], [m for _, m, _ in usable], torch.cat(masks)
    sizes = tuple(map(size_of, maps))
    sources = centred_sources(maps, masks, settings.distance, patch, stride)
    barred = (~mask).to(sources.offset).mul_(FAR)
    cells = _cells(owners, [grid(size, patch, stride) for size in sizes]).to(barred.device)
    matching = SourceMatching(sources, barred, cells, len(cells[mask].unique()), settings, setup)
    guides = [(guide, [r.guides[n] for r in owners]) for n, guide in enumerate(setup.guides)]
    penalties: dict[tuple[int, int], Penalty | None] = {}

    def compare(layer: Tensor) -> Tensor:
        size = size_of(layer)
        if size not in penalties:
            layout = PatchLayout(sizes, size, patch, stride, setup.tile)
            penalties[size] = penalty(layout, guides, settings.context, layer.detach(), setup.memory)
        weights = patch_weights(setup.pixel_weights, layer, patch, stride, setup.tile)
        squares = _draw(weights, matching)
        if not squares:
            return layer.sum() * 0
        evaluate = partial(_evaluate, matching=matching, added=penalties[size], squares=squares, weights=weights)
        return with_gradient(wrapped(layer - sources.shift, patch, setup.tile), evaluate)

    return compare


def _cells(references: Sequence[Reference], grids: Sequence[tuple[int, int]]) -> Tensor:
    """For every source patch the number of the place in its exemplar that it shows, on the exemplar's grid: (N,).

    Patches of turned copies share the number of the place they were copied from.
    """
    exemplar_grids: dict[int, tuple[int, int]] = {}
    for reference, size in zip(references, grids, strict=True):
        if reference.place is None or reference.exemplar not in exemplar_grids:
            exemplar_grids[reference.exemplar] = size
    # Number the places of one exemplar after those of another
    ends = accumulate(map(math.prod, exemplar_grids.values()), initial=0)
    starts = dict(zip(exemplar_grids, ends, strict=False))
    # Read the places that copies show, and number those of plain exemplars in order
    cells = []
    for reference, size in zip(references, grids, strict=True):
        numbers = torch.arange(math.prod(size))
        if reference.place is not None:
            whole = exemplar_grids[reference.exemplar]
            at = F.interpolate(reference.place.float().cpu(), size, mode="bilinear", align_corners=True)[0]
            y, x = ((axis * (n - 1)).round().long().clamp(0, n - 1) for axis, n in zip(at, whole, strict=True))
            numbers = (y * whole[1] + x).flatten()
        cells.append(starts[reference.exemplar] + numbers)
    return torch.cat(cells)


def _draw(weights: Tensor, matching: SourceMatching) -> list[Tile]:
    """The parts of the output's grid, of which each patch counts so much, that are compared; none where none counts."""
    products, sample, rng = matching.sources.products, matching.settings.sample, matching.setup.rng
    most = rows_at_once(products.width, weights, matching.setup.memory)
    if not 0 < sample < int((weights > 0).sum()):
        return _squares(weights, most, products.margin)
    side = math.isqrt(max(1, sample // FEWEST_SQUARES))
    every = _squares(weights, min(most, (side + products.margin) ** 2), products.margin)
    count = max(1, sample // max(tile.count for tile in every))
    return [every[n] for n in torch.randperm(len(every), generator=rng)[:count].tolist()]


def _squares(weights: Tensor, most: int, margin: int) -> list[Tile]:
    """The rectangle around all patches that count, cut into tiles of which each holds some."""
    spans = [(weights > 0).any(axis).nonzero()[:, 0].tolist() for axis in (1, 0)]
    if not spans[0]:
        return []
    (top, bottom), (left, right) = ((span[0], span[-1] + 1) for span in spans)
    every = tiles((bottom - top, right - left), most, margin)
    moved = [replace(tile, top=tile.top + top, left=tile.left + left) for tile in every]
    return [tile for tile in moved if tile.of(weights).any()]


def _evaluate(
    layer: Tensor, needs_gradient: bool, matching: SourceMatching, added: Penalty | None, squares: Sequence[Tile],
    weights: Tensor,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The loss of one layer, and its gradient where needed.

    layer: (1, C, h, w), less the shift and continued where it wraps. weights: (rows, columns), of the output patches.
    """
    settings, cells = matching.settings, matching.cells
    count = sum(tile.count for tile in squares)
    weight = sum(float(tile.of(weights).sum()) for tile in squares)
    targets = centred_targets(layer, matching.sources)
    # Keep the distances between the two passes if they fit into memory
    kept: dict[Tile, Tensor] = {}
    if settings.occurrence > 0 and count * len(cells) * layer.element_size() <= matching.setup.memory:
        kept = {tile: targets.distances(tile) for tile in squares}

    def distances(tile: Tile) -> Tensor:
        return kept[tile] if kept else targets.distances(tile)

    def priced(plain: Tensor, price: Tensor, tile: Tile) -> Tensor:
        return plain + price if added is None else (plain + price).add_(added(tile))

    # First pass: count how often each place is matched, and price its patches by that
    price = matching.barred
    if settings.occurrence > 0:
        used = layer.new_zeros(int(cells.max()) + 1)
        for tile in squares:
            _, best = row_minimum(priced(distances(tile), price, tile))
            used.index_add_(0, cells[best], tile.column(weights)[:, 0])
        price = price + settings.occurrence * matching.used_places / weight * used[cells]
    # Second pass: add up the contrasts and their derivatives
    value, gradient = layer.new_zeros(()), DistanceGradient.zero(targets)
    for tile in squares:
        plain = distances(tile)
        values, slopes, sums = _contrast(priced(plain, price, tile), settings.h, settings.eps)
        counts = tile.column(weights)
        value += (values * counts[:, 0]).sum()
        if needs_gradient:
            slopes, sums = slopes.mul_(counts), sums * counts
            moment = (slopes * plain).sum(1, keepdim=True)
            gradient.add(tile, slopes, sums, moment)
    return value / weight, gradient.result() / weight if needs_gradient else None


def _contrast(distances: Tensor, h: float, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Minus the logarithm of the best softmax over each row of (n, N), which is overwritten.

    Gives the values, (n,), their derivatives by the distances, (n, N), and the sums of these, (n, 1). With d the least
    distance and t_j = (d - d_j) / (d + eps) / h the value is log sum_j exp(t_j). The best j counts 1 in the sum and is
    left out of it, so nothing is lost where the rest is small.
    """
    least, best = (x[:, None] for x in row_minimum(distances))
    slope = 1 / (least + eps) / h
    exponents = distances.sub_(least).mul_(-slope)
    weights = exponents.exp().scatter_(1, best, 0)
    rest = weights.sum(1, keepdim=True)
    values = torch.log1p(rest).where(least < FAR / 2, 0)  # nothing may be matched: no loss
    sums = -h * slope * exponents.mul_(weights).sum(1, keepdim=True) / (1 + rest)
    weights.mul_(-slope / (1 + rest)).scatter_(1, best, sums + slope * rest / (1 + rest))
    return values[:, 0], weights, sums
