"""The distance from each crop of an output to the nearest crop of the exemplar, over all crops, by matrix products.

With crops on a grid, the squared distance of two crops is the sum of the squared distances of their blocks of 8 x 8
pixels, and one matrix product compares all blocks. So no sample of crops is needed, and no crop goes through a network
of its own. Crops of the output lie at every 8th pixel, those of the exemplar at every `step`-th.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
LARGEST_AREA = 1 << 17  # pixels; of a larger output random tiles are compared that have this many together

Describe = Callable[[Tensor], Mapping[str, Tensor]]  # image (1, 3, H, W) -> its maps, by layer


@dataclass(frozen=True)
class View:
    """How crops are compared.

    pixels_per_cell: the pixels of the picture along a side of one position, by layer.
    crop: the side of a crop in pixels, BLOCK times a power of two.
    step: the pixels from one crop of the exemplar to the next.
    """

    describe: Describe
    pixels_per_cell: Mapping[str, int]
    crop: int
    step: int

    @property
    def coarsest(self) -> int:
        return max(self.pixels_per_cell.values())


@dataclass(frozen=True)
class BlockGrid:
    """A window of a picture, cut into blocks; vectors: (rows * columns, D) in raster order, by layer."""

    rows: int
    columns: int
    vectors: Mapping[str, Tensor]


def nearest_crops(exemplar: Tensor, output: Tensor, view: View, rng: torch.Generator) -> Tensor:
    """The squared distance of each crop of the output to the nearest crop of the exemplar: (n,).

    It is the sum over channels, and the mean over the positions of a crop and over layers. Both pictures are at least
    as large as a crop. An output of more than LARGEST_AREA pixels is represented by random tiles of two crops a side.
    """
    maps = view.describe(output)
    tiles = [_blocks(maps, view, *tile) for tile in _tiles((output.shape[2], output.shape[3]), view, rng)]
    best = [torch.full((), torch.inf, device=output.device)] * len(tiles)
    for sources in _shifted(exemplar, view):
        least = [_distances(tile, sources, view.crop).flatten(2).amin(2) for tile in tiles]
        best = [torch.minimum(old, new) for old, new in zip(best, least, strict=True)]
    return torch.cat([distances.flatten() for distances in best]).clamp(min=0)


def _tiles(size: tuple[int, int], view: View, rng: torch.Generator) -> list[tuple[int, int, int, int]]:
    """The windows (y, x, height, width) of an output of `size` that are compared."""
    h, w = size
    if h * w <= LARGEST_AREA:
        return [(0, 0, h, w)]
    side, cell = 2 * view.crop, view.coarsest
    high, wide = min(h, side), min(w, side)
    count = max(1, LARGEST_AREA // side**2)
    ys, xs = (torch.randint((free + cell) // cell, (count,), generator=rng) * cell for free in (h - high, w - wide))
    return [(y, x, high, wide) for y, x in zip(ys.tolist(), xs.tolist(), strict=True)]


def _shifted(exemplar: Tensor, view: View) -> Iterator[BlockGrid]:
    """The exemplar's blocks from every start inside the first block, in steps.

    Starts between the positions of the coarsest layer need maps of a shifted picture.
    """
    starts = range(0, view.coarsest, view.step)
    inner = range(0, BLOCK, max(view.coarsest, view.step))
    for top, left in product(starts, starts):
        image = exemplar[:, :, top:, left:]
        h, w = image.shape[2:]
        if min(h, w) < view.crop:
            continue
        maps = view.describe(image)
        for y, x in product(inner, inner):
            if min(h - y, w - x) >= view.crop:
                yield _blocks(maps, view, y, x, h - y, w - x)


def _blocks(maps: Mapping[str, Tensor], view: View, y: int, x: int, h: int, w: int) -> BlockGrid:
    """The window of h x w pixels at (y, x), both multiples of the coarsest cell, cut into whole blocks.

    They are scaled so that their squared distances add up to the distance of crops.
    """
    rows, columns = h // BLOCK, w // BLOCK
    vectors = {}
    for name, pixels in view.pixels_per_cell.items():
        side = BLOCK // pixels
        window = maps[name][:, :, y // pixels :, x // pixels :][:, :, : rows * side, : columns * side]
        share = (view.crop // pixels) ** 2 * len(view.pixels_per_cell)  # mean over positions of a crop and over layers
        vectors[name] = F.unfold(window * share**-0.5, side, stride=side)[0].T.contiguous()
    return BlockGrid(rows, columns, vectors)


def _distances(tile: BlockGrid, sources: BlockGrid, crop: int) -> Tensor:
    """The squared distance of each crop of one to each crop of the other: (rows, columns, rows', columns') of crops."""
    # Compare all blocks: |a - b|^2 = |a|^2 + |b|^2 - 2 a . b
    pairs = [(a, sources.vectors[name]) for name, a in tile.vectors.items()]
    lengths = [torch.stack([side.square().sum(1) for side in sides]).sum(0) for sides in zip(*pairs, strict=True)]
    distances = lengths[0][:, None] + lengths[1]
    for a, b in pairs:
        distances.addmm_(a, b.T, alpha=-2)
    distances = distances.view(tile.rows, tile.columns, sources.rows, sources.columns)
    # Sum over the blocks of a crop, which move together on both sides: over 2 of them, then 4, then 8 and so on
    for dim in (0, 1):
        k = 1
        while k < crop // BLOCK:
            n, m = distances.shape[dim] - k, distances.shape[dim + 2] - k
            first, second = (distances.narrow(dim, start, n).narrow(dim + 2, start, m) for start in (0, k))
            distances = first + second
            k *= 2
    return distances
