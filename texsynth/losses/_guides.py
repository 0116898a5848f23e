"""What steers which source patch an output patch may match, besides looking like it: guides and the local context.

The distances of guides are those of Guided Correspondence (Zhou et al. 2023). They do not depend on the output's
colours, so no gradient comes from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Reference
from texsynth.patches.chunks import Tile
from texsynth.patches.cut import cut, grid, wrapped
from texsynth.task import Guide

FAR = 1e12  # the distance of patches that must not match: beyond all others, and finite, since 0 x inf is no number

Extra = Callable[[Tile], Tensor]  # what to add to the distances of a tile: (tile.count, N)


@dataclass(frozen=True)
class Cut:
    """How a layer is cut into patches: their size and step, does the output wrap in (y, x), and how far from its own
    relative place an output patch may match (0: anywhere)."""

    patch: int
    stride: int
    tile: tuple[bool, bool] = (False, False)
    context: float = 0.0


def extra(
    references: Sequence[Reference], guides: Sequence[Guide], sizes: Sequence[tuple[int, int]], size: tuple[int, int],
    how: Cut, like: Tensor, memory: int,
) -> Extra | None:  # fmt: skip
    """The sum of all guide terms and of the price of leaving the context; None where there is neither.

    sizes: of the layer of each reference, in pixels; size: of the output's. What is worked out is kept if all of it
    fits into `memory` bytes.
    """
    terms = [_guide(guide, [r.guides[n] for r in references], sizes, size, how, like) for n, guide in enumerate(guides)]
    if how.context > 0:
        terms.append(_context(sizes, size, how, like))
    if not terms:
        return None
    target = grid(size, how.patch, how.stride, how.tile)
    sources = sum(math.prod(grid(s, how.patch, how.stride)) for s in sizes)
    kept: dict[Tile, Tensor] | None = {}
    if math.prod(target) * sources * like.element_size() > memory:
        kept = None

    def of(tile: Tile) -> Tensor:
        if kept is None:
            return _total(terms, tile)
        if tile not in kept:
            kept[tile] = _total(terms, tile)
        return kept[tile]

    return of


def _total(terms: Sequence[Extra], tile: Tile) -> Tensor:
    total = terms[0](tile)
    for term in terms[1:]:
        total += term(tile)
    return total


def _guide(
    guide: Guide, sources: Sequence[Tensor], sizes: Sequence[tuple[int, int]], size: tuple[int, int], how: Cut,
    like: Tensor,
) -> Extra:  # fmt: skip
    """The weighted distance of the guide's patches, cut where the patches of the layer are."""
    whole = zip((guide.target, *sources), (size, *sizes), strict=True)
    maps = [F.interpolate(m.to(like), s, mode="nearest") for m, s in whole]
    target, *others = _one_hot(maps) if guide.distance == "l0" else maps
    target = wrapped(target, how.patch, how.tile)
    strength = None if guide.strength is None else F.interpolate(guide.strength.to(like), size, mode="nearest")
    table = torch.cat([cut(m, how.patch, how.stride) for m in others])  # (N, C * patch * patch)
    norms, area = (table**2).sum(1), how.patch**2
    # Both ids of a mismatch count in a sum of squares over one-hot codes, and the two vectors of a direction likewise
    scale = guide.weight / (area * (target.shape[1] if guide.distance == "l2" else 2))

    def of(tile: Tile) -> Tensor:
        rows = cut(tile.pixels(target, how.patch, how.stride), how.patch, how.stride)
        products = _unsigned(rows, table, area) if guide.distance == "direction" else rows @ table.T
        term = products.mul_(-2).add_((rows**2).sum(1)[:, None]).add_(norms).clamp_(min=0).mul_(scale)
        if strength is None:
            return term
        wide = wrapped(strength, how.patch, how.tile)
        return term.mul_(cut(tile.pixels(wide, how.patch, how.stride), how.patch, how.stride).mean(1, keepdim=True))

    return of


def _unsigned(rows: Tensor, table: Tensor, area: int) -> Tensor:
    """Sum over the places of a patch of |t . r|: the sign of a direction is free, at every place on its own."""
    total = rows.new_zeros(len(rows), len(table))
    ours, theirs = (x.unflatten(1, (-1, area)) for x in (rows, table))  # (N, C, area)
    for place in range(area):
        total += (ours[:, :, place] @ theirs[:, :, place].T).abs_()
    return total


def _one_hot(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps of ids (1, C, h, w), rounded, as maps with one channel for each id that occurs in any."""
    flat = [m[0].flatten(1).T.round() for m in maps]  # (pixels, C)
    every = torch.cat(flat)
    if every.shape[1] == 1:  # many times faster than rows are
        ids, index = torch.unique(every[:, 0], return_inverse=True)
    else:
        ids, index = torch.unique(every, dim=0, return_inverse=True)
    codes = torch.eye(len(ids), dtype=maps[0].dtype, device=maps[0].device)[index]
    parts = codes.split([len(f) for f in flat])
    return [part.T.reshape(1, -1, *m.shape[2:]) for part, m in zip(parts, maps, strict=True)]


def _context(sizes: Sequence[tuple[int, int]], size: tuple[int, int], how: Cut, like: Tensor) -> Extra:
    """FAR for source patches whose relative place differs by more than the context, or by more than half the
    step of a coarse grid: every output patch has something to match."""
    target = grid(size, how.patch, how.stride, how.tile)
    places = [_places(s, n, how, wraps).to(like) for s, n, wraps in zip(size, target, how.tile, strict=True)]

    def apart(axis: int, start: int, count: int) -> list[Tensor]:
        """Too far apart along an axis, for each reference: (count, places)."""
        found = []
        for s in sizes:
            theirs = _places(s[axis], grid(s, how.patch, how.stride)[axis], how, wraps=False).to(like)
            reach = max(how.context, 0.5 / max(1, len(theirs) - 1)) + 1e-6
            found.append((places[axis][start : start + count, None] - theirs).abs() > reach)
        return found

    def of(tile: Tile) -> Tensor:
        downs, acrosses = apart(0, tile.top, tile.rows), apart(1, tile.left, tile.columns)
        far = [
            (down[:, None, :, None] | across[None, :, None, :]).reshape(tile.count, -1)
            for down, across in zip(downs, acrosses, strict=True)
        ]
        return torch.cat(far, 1).to(like.dtype).mul_(FAR)

    return of


def _places(length: int, count: int, how: Cut, wraps: bool) -> Tensor:
    """Relative places of patches along an axis: from 0 for the first to 1 for the last, short of 1 where it wraps."""
    if wraps:
        return torch.arange(count) * (how.stride / length)
    return torch.linspace(0, 1, count) if count > 1 else torch.full((1,), 0.5)
