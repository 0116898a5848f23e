"""What is added to the distances of patches, so that looks alone do not decide: guides and the local context.

The distances of guides are those of Zhou et al. 2023. Nothing depends on the output's colours: there is no gradient.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.patches.chunks import Tile
from texsynth.patches.cut import OPEN, cut, grid, wrapped
from texsynth.task import Guide

# The distance of patches that must not match: beyond all others, and finite, since 0 times infinity is not a number
FAR = 1e12

Penalty = Callable[[Tile], Tensor]  # what is added to the distances of a tile to all source patches, (tile.count, N)


@dataclass(frozen=True)
class PatchLayout:
    """How the source maps and the output map of one layer, of these (height, width), are cut into patches."""

    sources: tuple[tuple[int, int], ...]
    output: tuple[int, int]
    patch: int
    stride: int
    tile: tuple[bool, bool] = OPEN

    @property
    def output_grid(self) -> tuple[int, int]:
        return grid(self.output, self.patch, self.stride, self.tile)

    @property
    def source_grids(self) -> list[tuple[int, int]]:
        return [grid(size, self.patch, self.stride) for size in self.sources]


def penalty(
    layout: PatchLayout, guides: Sequence[tuple[Guide, Sequence[Tensor]]], context: float, like: Tensor, memory: int
) -> Penalty | None:
    """The sum of the terms of all guides and of the context; None where there is neither.

    guides: each with its map on every source, (1, C, H, W).
    context: how far, in shares of the sides, a match may be from the same relative place; 0 for anywhere.
    like: a tensor of the type and on the device of the distances.
    memory: the terms are kept if all of them fit into so many bytes, and worked out anew each time if not.
    """
    terms = [_guide(guide, sources, layout, like) for guide, sources in guides]
    terms += [_context(layout, context, like)] if context > 0 else []
    if not terms:
        return None

    def total(tile: Tile) -> Tensor:
        return reduce(operator.iadd, (term(tile) for term in terms))

    entries = math.prod(layout.output_grid) * sum(map(math.prod, layout.source_grids))
    return total if entries * like.element_size() > memory else cache(total)


def _guide(guide: Guide, sources: Sequence[Tensor], layout: PatchLayout, like: Tensor) -> Penalty:
    """The weighted distance of the guide's patches, which are cut where those of the layer are."""
    patch, stride = layout.patch, layout.stride
    # Bring all maps to the sizes of the layer and cut those of the sources
    whole = zip((guide.target, *sources), (layout.output, *layout.sources), strict=True)
    maps = [F.interpolate(m.to(like), size, mode="nearest") for m, size in whole]
    target, *others = _one_hot(maps) if guide.distance == "l0" else maps
    target = wrapped(target, patch, layout.tile)
    table = torch.cat([cut(m, patch, stride) for m in others])  # (N, C * patch * patch)
    norms, area = (table**2).sum(1), patch**2
    # Both ids of a mismatch count in a sum of squares over one-hot codes, and the two vectors of a direction likewise
    scale = guide.weight / (area * (target.shape[1] if guide.distance == "l2" else 2))
    strength = None
    if guide.strength is not None:
        strength = wrapped(F.interpolate(guide.strength.to(like), layout.output, mode="nearest"), patch, layout.tile)

    def of(tile: Tile) -> Tensor:
        rows = cut(tile.pixels(target, patch, stride), patch, stride)
        products = _unsigned(rows, table, area) if guide.distance == "direction" else rows @ table.T
        term = products.mul_(-2).add_((rows**2).sum(1)[:, None]).add_(norms).clamp_(min=0).mul_(scale)
        if strength is None:
            return term
        return term.mul_(cut(tile.pixels(strength, patch, stride), patch, stride).mean(1, keepdim=True))

    return of


def _unsigned(rows: Tensor, table: Tensor, area: int) -> Tensor:
    """The sum over the positions of a patch of |t . r|: the sign of a direction is free, at each position by itself."""
    total = rows.new_zeros(len(rows), len(table))
    targets, sources = (x.unflatten(1, (-1, area)) for x in (rows, table))  # (N, C, area)
    for position in range(area):
        total += (targets[:, :, position] @ sources[:, :, position].T).abs_()
    return total


def _one_hot(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps of ids (1, C, h, w), rounded, as maps with one channel for each id that occurs in any."""
    flat = [m[0].flatten(1).T.round() for m in maps]  # (pixels, C)
    every = torch.cat(flat)
    single = every.shape[1] == 1  # many times faster than rows are
    ids, index = every.flatten().unique(return_inverse=True) if single else every.unique(dim=0, return_inverse=True)
    codes = torch.eye(len(ids), dtype=maps[0].dtype, device=maps[0].device)[index]
    parts = codes.split([len(f) for f in flat])
    return [part.T.reshape(1, -1, *m.shape[2:]) for part, m in zip(parts, maps, strict=True)]


def _context(layout: PatchLayout, context: float, like: Tensor) -> Penalty:
    """FAR for source patches whose relative place along an axis differs by more than the context.

    Half the step of a coarse grid is always allowed, so that every output patch has something to match.
    """
    axes = zip(layout.output, layout.output_grid, layout.tile, strict=True)
    places = [_places(length, count, layout.stride, wraps).to(like) for length, count, wraps in axes]

    def too_far(axis: int, start: int, count: int) -> list[Tensor]:
        """Whether places along an axis differ too much, for each source: (count, places)."""
        out = []
        for size, source_grid in zip(layout.sources, layout.source_grids, strict=True):
            theirs = _places(size[axis], source_grid[axis], layout.stride, wraps=False).to(like)
            reach = max(context, 0.5 / max(1, len(theirs) - 1)) + 1e-6
            out.append((places[axis][start : start + count, None] - theirs).abs() > reach)
        return out

    def of(tile: Tile) -> Tensor:
        pairs = zip(too_far(0, tile.top, tile.rows), too_far(1, tile.left, tile.columns), strict=True)
        far = [(down[:, None, :, None] | across[None, :, None, :]).reshape(tile.count, -1) for down, across in pairs]
        return torch.cat(far, 1).to(like.dtype).mul_(FAR)

    return of


def _places(length: int, count: int, stride: int, wraps: bool) -> Tensor:
    """Relative places of patches along an axis: from 0 for the first to 1 for the last, short of 1 where it wraps."""
    if wraps:
        return torch.arange(count) * (stride / length)
    return torch.linspace(0, 1, count) if count > 1 else torch.full((1,), 0.5)
