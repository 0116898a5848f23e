"""The styles that Optimal Textures (Risser 2020) matches features to, and the region of the output of each.

Without labels or a blend there is one region, the whole output, and its style is all features of the exemplars. Labels
make a region for every label, whose style is the features of the exemplars under this label. A blend makes a region for
every mixture of shares. Its style is a mixture of rows: each row is drawn from one exemplar, by the shares, and moved
from there to all other exemplars by their shares. Regions overlap near their borders, where their results are mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.optimal_textures.matching import Match
from texsynth.learned.shared.margins import extended
from texsynth.task import Guide, Task

MOST_MIXTURES = 16  # with more different shares than these, shares are rounded
SHARE_STEPS = 4  # to multiples of 1 / SHARE_STEPS


@dataclass(frozen=True)
class Region:
    """A part of the output, and where the exemplars show its style.

    share: (1, 1, h, w), the weight of the region at each pixel; the shares of all regions add up to 1.
    mixture: the share of each exemplar; None takes all of them as one source.
    places: for each exemplar (1, 1, H, W) bool, the pixels that show the style; None for all pixels.
    """

    share: Tensor
    mixture: tuple[float, ...] | None
    places: tuple[Tensor | None, ...]


def regions(task: Task, softness: int) -> list[Region]:
    """The regions of a task at its level; neighbouring ones are mixed over `softness` pixels."""
    valid = tuple(exemplar.valid for exemplar in task.exemplars)
    everywhere = torch.ones(1, 1, *task.size)
    if task.blend is not None:
        parts = _softened(*_mixtures(task.blend.cpu()), softness, task.tile)
        return [Region(share, tuple(mixture.tolist()), valid) for mixture, share in parts]
    if not task.guides:
        return [Region(everywhere, None, valid)]
    guide = task.guides[0]
    parts = _softened(*_distinct(guide.target.cpu()), softness, task.tile)
    strength = everywhere if guide.strength is None else guide.strength.cpu()
    labelled = [Region(share * strength, None, _under(guide, label, valid)) for label, share in parts]
    return labelled if guide.strength is None else [*labelled, Region(everywhere - strength, None, valid)]


def _distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different columns of (1, C, h, w), (R, C), and the number of the column at each pixel, (h, w)."""
    kinds, number = values[0].flatten(1).T.unique(dim=0, return_inverse=True)
    return kinds, number.view(values.shape[2:])


def _mixtures(blend: Tensor) -> tuple[Tensor, Tensor]:
    """The different mixtures of a blend as `_distinct` gives them; where there are too many, of rounded shares that
    still add up to 1."""
    kinds, number = _distinct(blend)
    if len(kinds) <= MOST_MIXTURES:
        return kinds, number
    ends = (blend.cumsum(1) * SHARE_STEPS).round() / SHARE_STEPS  # sums are rounded, so that nothing is lost
    return _distinct(torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])))


def _softened(kinds: Tensor, number: Tensor, softness: int, tile: tuple[bool, bool]) -> list[tuple[Tensor, Tensor]]:
    """Each kind with its share of every pixel, (1, 1, h, w), which falls from 1 to 0 around its border."""
    by = min(softness // 2, *(n - 1 for n in number.shape))
    parts = []
    for k, kind in enumerate(kinds):
        share = (number == k).float()[None, None]
        if by > 0 and len(kinds) > 1:
            share = F.avg_pool2d(extended(share, by, tile), 2 * by + 1, 1)
        parts.append((kind, share))
    return parts


def _under(guide: Guide, label: Tensor, valid: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The places of each exemplar that have a label and are valid; all that are valid where no exemplar has it."""
    labelled = [(source == label.view(1, -1, 1, 1).to(source)).all(1, keepdim=True) for source in guide.sources]
    places = [here if ok is None else here & ok.to(here.device) for here, ok in zip(labelled, valid, strict=True)]
    return tuple(places) if any(bool(here.any()) for here in places) else tuple(valid)


def rows(layer: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C)."""
    return layer[0].flatten(1).T.contiguous()


def table(region: Region, layers: Sequence[Tensor], match: Match, rng: torch.Generator) -> Tensor:
    """The style of a region, (M, C), in the features (1, C, h, w) of each exemplar; in mixtures `match` moves rows of
    one exemplar onto those of another."""
    tables = [_rows_at(layer, places) for layer, places in zip(layers, region.places, strict=True)]
    if region.mixture is None:
        return torch.cat(tables)
    mixed = [(share, table) for share, table in zip(region.mixture, tables, strict=True) if share > 0]
    if len(mixed) == 1:
        return mixed[0][1]
    total = max(len(table) for _, table in mixed)
    drawn = []
    for number, (share, source) in enumerate(mixed):
        moved = torch.stack(
            [s * (source if n == number else match(source, other)) for n, (s, other) in enumerate(mixed)]
        )
        picks = torch.randint(len(source), (max(1, round(share * total)),), generator=rng).to(source.device)
        drawn.append(moved.sum(0)[picks])
    return torch.cat(drawn)


def _rows_at(layer: Tensor, places: Tensor | None) -> Tensor:
    """The rows of the cells of a layer that lie in the places; where no cell lies inside, those that lie there most."""
    if places is None:
        return rows(layer)
    share = _cells(places.float(), layer)
    most = share.max()
    return rows(layer)[(share >= most) & (most > 0)]


def _cells(share: Tensor, layer: Tensor) -> Tensor:
    """The mean of shares (1, 1, H, W) over each cell of a layer, (h * w,)."""
    return F.adaptive_avg_pool2d(share, (layer.shape[2], layer.shape[3])).flatten().to(layer.device)


def matched(layer: Tensor, parts: Sequence[tuple[Tensor, Callable[[Tensor], Tensor]]]) -> Tensor:
    """Move the rows of a layer (1, C, h, w) region by region, and mix the results by the regions' shares.

    parts: for each region its share (1, 1, H, W), and its map of rows (n, C) -> (n, C).
    """
    table = rows(layer)
    out, total = torch.zeros_like(table), table.new_zeros(len(table), 1)
    for share, move in parts:
        weight = _cells(share, layer)
        index = (weight > 0).nonzero()[:, 0]
        if len(index):
            out.index_add_(0, index, move(table[index]) * weight[index, None])
            total.index_add_(0, index, weight[index, None])
    return (out / total).T.reshape(layer.shape)
