"""The rows of features that Optimal Textures (Risser 2020) matches to, and the part of the output that each is for.

Without labels or a blend there is one region, the whole output, and its style is all that the exemplars show. Labels
make a region for every label, whose style is what the exemplars show under it. A blend makes a region for every mixture
of shares, and its style is a mixture of rows: each is drawn from one exemplar, by the shares, and moved from there to
all others by theirs. Regions overlap near their borders, where what they give is mixed by distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.shared.margins import extended
from texsynth.task import Guide, Task

MIXTURES = 16  # different shares that are kept as they are; more are rounded
STEPS = 4  # to this fraction

Match = Callable[[Tensor, Tensor], Tensor]  # rows (N, C), style (M, C) -> (N, C)


@dataclass(frozen=True)
class Region:
    """A part of the output and what it shall look like.

    share: (1, 1, h, w), how much the region decides at each pixel; all regions' add up to 1. mixture: the share of each
    exemplar, None for all as one source. places: for each exemplar (1, 1, H, W) bool, the pixels that may be learned
    from, or None.
    """

    share: Tensor
    mixture: tuple[float, ...] | None
    places: tuple[Tensor | None, ...]


def regions(task: Task, softness: int) -> list[Region]:
    """The regions of a task at its level. softness: pixels over which one goes over into another."""
    valid = tuple(exemplar.valid for exemplar in task.exemplars)
    whole = torch.ones(1, 1, *task.size)
    if task.blend is not None:
        parts = _softened(*_mixtures(task.blend.cpu()), softness, task.tile)
        return [Region(share, tuple(mixture.tolist()), valid) for mixture, share in parts]
    if not task.guides:
        return [Region(whole, None, valid)]
    guide = task.guides[0]
    parts = _softened(*_distinct(guide.target.cpu()), softness, task.tile)
    strength = whole if guide.strength is None else guide.strength.cpu()
    made = [Region(share * strength, None, _under(guide, label, valid)) for label, share in parts]
    return made if guide.strength is None else [*made, Region(whole - strength, None, valid)]


def _distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different columns of (1, C, h, w), (R, C), and the number of each pixel's, (h, w)."""
    kinds, number = values[0].flatten(1).T.unique(dim=0, return_inverse=True)
    return kinds, number.view(values.shape[2:])


def _mixtures(blend: Tensor) -> tuple[Tensor, Tensor]:
    """As `_distinct`; where shares change from pixel to pixel, of shares rounded to fourths that still add up to 1."""
    kinds, number = _distinct(blend)
    if len(kinds) <= MIXTURES:
        return kinds, number
    ends = (blend.cumsum(1) * STEPS).round() / STEPS  # of the sums, so that nothing is lost
    return _distinct(torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])))


def _softened(kinds: Tensor, number: Tensor, softness: int, tile: tuple[bool, bool]) -> list[tuple[Tensor, Tensor]]:
    """Each kind with its share of every pixel, (1, 1, h, w), which falls from 1 to 0 around the border."""
    by = min(softness // 2, *(n - 1 for n in number.shape))
    parts = []
    for k, kind in enumerate(kinds):
        share = (number == k).float()[None, None]
        if by > 0 and len(kinds) > 1:
            share = F.avg_pool2d(extended(share, by, tile), 2 * by + 1, 1)
        parts.append((kind, share))
    return parts


def _under(guide: Guide, label: Tensor, valid: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Where the exemplars have a label and are valid, for `Region.places`; where none has it, all that is valid."""
    held = [(source == label.view(1, -1, 1, 1).to(source)).all(1, keepdim=True) for source in guide.sources]
    held = [here if ok is None else here & ok.to(here.device) for here, ok in zip(held, valid, strict=True)]
    return tuple(held) if any(bool(here.any()) for here in held) else tuple(valid)


def rows(layer: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C)."""
    return layer[0].flatten(1).T.contiguous()


def table(region: Region, layers: Sequence[Tensor], match: Match, rng: torch.Generator) -> Tensor:
    """The style of a region, (M, C). layers: of each exemplar, (1, C, h, w)."""
    known = [_seen(layer, places) for layer, places in zip(layers, region.places, strict=True)]
    if region.mixture is None:
        return torch.cat(known)
    used = [(share, own) for share, own in zip(region.mixture, known, strict=True) if share > 0]
    if len(used) == 1:
        return used[0][1]
    total = max(len(own) for _, own in used)
    drawn = []
    for number, (share, own) in enumerate(used):
        moved = torch.stack([s * (own if n == number else match(own, other)) for n, (s, other) in enumerate(used)])
        picks = torch.randint(len(own), (max(1, round(share * total)),), generator=rng).to(own.device)
        drawn.append(moved.sum(0)[picks])
    return torch.cat(drawn)


def _seen(layer: Tensor, places: Tensor | None) -> Tensor:
    """The rows of a layer whose cells may be learned from; those that show the most of it where none does in whole."""
    if places is None:
        return rows(layer)
    share = _at(places.float(), layer)
    most = share.max()
    return rows(layer)[(share >= most) & (most > 0)]


def _at(share: Tensor, layer: Tensor) -> Tensor:
    """Shares (1, 1, H, W) of the cells of a layer, (h * w,)."""
    return F.adaptive_avg_pool2d(share, (layer.shape[2], layer.shape[3])).flatten().to(layer.device)


def regional(layer: Tensor, parts: Sequence[tuple[Tensor, Callable[[Tensor], Tensor]]]) -> Tensor:
    """Every region's rows of a layer (1, C, h, w) moved by its own map, and mixed by the regions' shares. parts: shares
    (1, 1, H, W), with a map of rows (n, C) -> (n, C)."""
    own = rows(layer)
    out, total = torch.zeros_like(own), own.new_zeros(len(own), 1)
    for share, move in parts:
        weight = _at(share, layer)
        index = (weight > 0).nonzero()[:, 0]
        if len(index):
            out.index_add_(0, index, move(own[index]) * weight[index, None])
            total.index_add_(0, index, weight[index, None])
    return (out / total).T.reshape(layer.shape)
