"""The distance from each crop of an output to the nearest crop of the exemplar, all of them, by matrix products.

With crops on a grid, the squared distance of two crops is the sum of the squared distances of their 8 x 8 blocks, and
all blocks are compared in one matrix product; so no sample of crops is needed, and no crop goes through a network of
its own. Crops of the output lie at every 8th pixel, those of the exemplar at every `step`-th.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
AREA = 1 << 17  # pixels: an output of more is looked at through random tiles of that many together

Describe = Callable[[Tensor], Mapping[str, Tensor]]  # image (1, 3, H, W) -> its maps, by layer


@dataclass(frozen=True)
class View:
    """How crops are seen. cells: pixels per position of each layer. crop: their side in pixels. step: pixels between
    those of the exemplar."""

    describe: Describe
    cells: Mapping[str, int]
    crop: int
    step: int

    @property
    def coarsest(self) -> int:
        return max(self.cells.values())


@dataclass(frozen=True)
class Blocks:
    """A window cut into blocks. rows, columns: how many there are. vectors: by layer, (rows * columns, D)."""

    rows: int
    columns: int
    vectors: Mapping[str, Tensor]


def nearest(exemplar: Tensor, output: Tensor, view: View, rng: torch.Generator) -> Tensor:
    """The squared distance of each crop of the output to the nearest of the exemplar, (n,).

    It is the sum over channels, and the mean over the positions of a crop and over layers. Both pictures are at least
    as large as a crop. Larger outputs than AREA are seen through tiles of two crops a side.
    """
    made = view.describe(output)
    tiles = [_blocks(made, view, *tile) for tile in _tiles((output.shape[2], output.shape[3]), view, rng)]
    best = [torch.full((), torch.inf, device=output.device)] * len(tiles)
    for sources in _shifted(exemplar, view):
        found = [_distances(tile, sources, view.crop).flatten(2).amin(2) for tile in tiles]
        best = [torch.minimum(old, new) for old, new in zip(best, found, strict=True)]
    return torch.cat([distances.flatten() for distances in best]).clamp(min=0)


def _tiles(size: tuple[int, int], view: View, rng: torch.Generator) -> list[tuple[int, int, int, int]]:
    """The windows (y, x, height, width) of an output of `size` that are looked at."""
    h, w = size
    if h * w <= AREA:
        return [(0, 0, h, w)]
    side, cell = 2 * view.crop, view.coarsest
    high, wide = min(h, side), min(w, side)
    count = max(1, AREA // side**2)
    ys, xs = (torch.randint((free + cell) // cell, (count,), generator=rng) * cell for free in (h - high, w - wide))
    return [(y, x, high, wide) for y, x in zip(ys.tolist(), xs.tolist(), strict=True)]


def _shifted(exemplar: Tensor, view: View) -> Iterator[Blocks]:
    """The exemplar's blocks from every start inside the first block, in steps. Starts between the positions of the
    coarsest layer need maps of their own."""
    for top in range(0, view.coarsest, view.step):
        for left in range(0, view.coarsest, view.step):
            image = exemplar[:, :, top:, left:]
            if min(image.shape[2:]) < view.crop:
                continue
            maps = view.describe(image)
            for y in range(0, BLOCK, max(view.coarsest, view.step)):
                for x in range(0, BLOCK, max(view.coarsest, view.step)):
                    h, w = image.shape[2] - y, image.shape[3] - x
                    if min(h, w) >= view.crop:
                        yield _blocks(maps, view, y, x, h, w)


def _blocks(maps: Mapping[str, Tensor], view: View, y: int, x: int, h: int, w: int) -> Blocks:
    """The window of h x w pixels at (y, x), both multiples of the coarsest cell, in whole blocks, so scaled that
    squared distances of blocks add up to the distance of crops."""
    rows, columns = h // BLOCK, w // BLOCK
    vectors = {}
    for name, pixels in view.cells.items():
        side = BLOCK // pixels
        window = maps[name][:, :, y // pixels :, x // pixels :][:, :, : rows * side, : columns * side]
        share = (view.crop // pixels) ** 2 * len(view.cells)  # mean over the positions of a crop and over layers
        vectors[name] = F.unfold(window * share**-0.5, side, stride=side)[0].T.contiguous()
    return Blocks(rows, columns, vectors)


def _distances(tile: Blocks, sources: Blocks, crop: int) -> Tensor:
    """Squared distance of each crop of one to each of the other: (rows, columns, rows, columns) of crops."""
    pairs = [(a, sources.vectors[name]) for name, a in tile.vectors.items()]
    lengths = [torch.stack([side.square().sum(1) for side in sides]).sum(0) for sides in zip(*pairs, strict=True)]
    apart = lengths[0][:, None] + lengths[1]
    for a, b in pairs:
        apart.addmm_(a, b.T, alpha=-2)
    apart = apart.view(tile.rows, tile.columns, sources.rows, sources.columns)
    for dim in (0, 1):  # the blocks of a crop move together on both sides
        k = 1
        while k < crop // BLOCK:  # sums over 2, 4, 8 of them and so on
            n, m = apart.shape[dim] - k, apart.shape[dim + 2] - k
            apart = apart.narrow(dim, 0, n).narrow(dim + 2, 0, m) + apart.narrow(dim, k, n).narrow(dim + 2, k, m)
            k *= 2
    return apart
