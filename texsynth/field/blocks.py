"""All the square blocks that a quilt may be cut from, as one table, so that one product compares them all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas

MOST = 8192  # blocks in a table: more are sampled, so that memory does not depend on the exemplar


@dataclass(frozen=True)
class Blocks:
    """All source blocks of `side` pixels. corners: (n,) flat index of the top-left pixel; inner: (side^2,) offsets of a
    block's pixels; colours: (N, 3) the atlas in standard deviations; table: (n, side^2 * 3) and its square.

    Use is counted in cells of `cell` pixels. cells: (homes,) cell of each un-copied source pixel; sites: (n, m) pixels
    spread over each block, seen: (n, m) their cells.
    """

    side: int
    overlap: int
    cell: int
    corners: Tensor
    inner: Tensor
    colours: Tensor
    table: Tensor
    square: Tensor
    cells: Tensor
    sites: Tensor
    seen: Tensor

    @property
    def count(self) -> int:
        """How many cells there are."""
        return int(self.cells[-1]) + 1


def largest_blocks(atlas: Atlas, side: int, overlap: float, rng: torch.Generator) -> Blocks | None:
    """Blocks of `side` pixels that lie on valid pixels only, halved until there are some; None below 4 pixels."""
    while side >= 4:
        corners = _corners(atlas, side)
        if len(corners) > 0:
            return _cut_out(atlas, side, max(2, round(side * overlap)), _sample(corners, rng))
        side //= 2
    return None


def _corners(atlas: Atlas, side: int) -> Tensor:
    valid = atlas.valid.view(atlas.planes, 1, atlas.rows, atlas.row).float()
    whole = -F.max_pool2d(-valid, side, stride=1) > 0.5
    plane, _, y, x = whole.nonzero(as_tuple=True)
    return (plane * atlas.rows + y) * atlas.row + x


def _sample(corners: Tensor, rng: torch.Generator) -> Tensor:
    if len(corners) <= MOST:
        return corners
    return corners[torch.randperm(len(corners), generator=rng)[:MOST].sort().values.to(corners.device)]


def _cut_out(atlas: Atlas, side: int, overlap: int, corners: Tensor) -> Blocks:
    span = torch.arange(side, device=corners.device)
    inner = (span[:, None] * atlas.row + span).flatten()
    usable = atlas.colours[atlas.valid]
    colours = atlas.colours / (usable.var(0, unbiased=False).sum().sqrt() + 1e-6)
    table = colours[corners[:, None] + inner].flatten(1)
    cell = max(2, round(min(min(size) for size in atlas.exemplars) / 16))
    cells = _cells(atlas, cell)
    spread = inner.view(side, side)[min(cell, side) // 2 :: cell, min(cell, side) // 2 :: cell].flatten()
    sites = atlas.home[corners[:, None] + spread]
    return Blocks(side, overlap, cell, corners, inner, colours, table, table**2, cells, sites, cells[sites])


def _cells(atlas: Atlas, cell: int) -> Tensor:
    out, start = [], 0
    for h, w in atlas.exemplars:
        y, x = torch.arange(h) // cell, torch.arange(w) // cell
        out.append((start + y[:, None] * (int(x[-1]) + 1) + x).flatten())
        start = int(out[-1][-1]) + 1
    return torch.cat(out).to(atlas.home.device)
