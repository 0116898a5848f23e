"""All the square blocks that a quilt may be cut from, as one table, so that one product compares them all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas
from texsynth.field.space import draw

LARGEST_TABLE = 8192  # blocks: of more a sample is taken, so that memory does not depend on the exemplar
SMALLEST_BLOCK = 4  # pixels


@dataclass(frozen=True)
class Blocks:
    """All source blocks of one size. Use is counted in square cells of source pixels.

    side, overlap, cell: in pixels.
    corners: (n,), the flat index of each block's top-left pixel.
    inner: (side^2,), the offsets of a block's pixels from its corner.
    colours: (N, 3), those of the atlas in standard deviations.
    table, square: (n, side^2 * 3), the colours of each block and their squares.
    cells: (homes,), the cell of each pixel of the exemplars.
    sites, site_cells: (n, m), pixels of the exemplars spread over each block, and their cells.
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
    site_cells: Tensor

    @property
    def count(self) -> int:
        """How many cells there are."""
        return int(self.cells[-1]) + 1


def largest_blocks(atlas: Atlas, side: int, overlap: float, rng: torch.Generator) -> Blocks | None:
    """Blocks of `side` pixels that lie on valid pixels only; the side is halved until there are some, and below
    SMALLEST_BLOCK the result is None. overlap: a share of the side."""
    valid = atlas.picture(atlas.valid.float())
    while side >= SMALLEST_BLOCK:
        plane, _, y, x = (-F.max_pool2d(-valid, side, stride=1) > 0.5).nonzero(as_tuple=True)
        if len(plane) > 0:
            corners = draw((plane * atlas.rows + y) * atlas.row + x, LARGEST_TABLE, rng)
            return _cut_out(atlas, side, max(2, round(side * overlap)), corners)
        side //= 2
    return None


def _cut_out(atlas: Atlas, side: int, overlap: int, corners: Tensor) -> Blocks:
    span = torch.arange(side, device=corners.device)
    inner = (span[:, None] * atlas.row + span).flatten()
    colours = atlas.colours / atlas.deviation
    table = colours[corners[:, None] + inner].flatten(1)
    cell = max(2, round(min(min(size) for size in atlas.exemplars) / 16))
    cells, first = _cells(atlas, cell), min(cell, side) // 2
    spread = inner.view(side, side)[first::cell, first::cell].flatten()
    sites = atlas.home[corners[:, None] + spread]
    return Blocks(side, overlap, cell, corners, inner, colours, table, table**2, cells, sites, cells[sites])


def _cells(atlas: Atlas, cell: int) -> Tensor:
    """The number of the cell of each un-copied source pixel, (homes,), one exemplar after the other."""
    out, start = [], 0
    for h, w in atlas.exemplars:
        y, x = torch.arange(h) // cell, torch.arange(w) // cell
        out.append((start + y[:, None] * (int(x[-1]) + 1) + x).flatten())
        start = int(out[-1][-1]) + 1
    return torch.cat(out).to(atlas.home.device)
