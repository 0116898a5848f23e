"""Minimum patch distance (after Zhou et al. 2023): is every part of the output like some part of the exemplar?

The paper takes 1000 random crops on both sides and LPIPS, a weighted squared distance of VGG features normalised at
each position, and averages over output crops the distance to the nearest exemplar crop. Differs from that in: plain
VGG-19 features at three layers, computed on whole images; no learned weights; and all crops in place of a sample: those
of the output at every 8th pixel and of the exemplar at every 2nd, so that a copy is at most one pixel out of step.

It takes no sample because the sum is cheap: with crops on a grid, the distance of two crops is the sum of the distances
of their 8 x 8 blocks, and all blocks are compared in one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.features import Extract

LOWER_IS_BETTER = True
RANGE: tuple[float, float | None] = (0.0, 2.0)
LAYERS = {"relu1_2": 1, "relu2_2": 2, "relu3_4": 4}  # pixels per position
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": tuple(LAYERS)}
DESCRIPTION = "mean over 64 px crops of the distance to the nearest crop of the exemplar, in normalised VGG-19 features"
CROP, BLOCK, STEP = 64, 8, 2
COARSEST = max(LAYERS.values())
TILE, TILES = 128, 8  # an output of more pixels than that is looked at through so many random tiles


@dataclass(frozen=True)
class Blocks:
    """A window cut into blocks. rows, columns: how many there are. vectors: by layer, (rows * columns, D)."""

    rows: int
    columns: int
    vectors: Mapping[str, Tensor]


@torch.no_grad()
def measure(exemplar: Tensor, output: Tensor, extract: Extract | None, rng: torch.Generator) -> float:
    """0 where the output is made of copies in step with the grid; 2 where no feature is shared."""
    assert extract is not None
    for name, image in (("exemplar", exemplar), ("output", output)):
        if min(image.shape[2:]) < CROP:
            h, w = image.shape[2:]
            raise InputError(f"min_patch: the {name} is {w}x{h}, but crops of {CROP}x{CROP} are compared; enlarge it")
    made = extract(output, tuple(LAYERS))
    tiles = [_blocks(made, *tile) for tile in _tiles((output.shape[2], output.shape[3]), rng)]
    best = [torch.full((), torch.inf, device=output.device)] * len(tiles)
    for sources in _shifted(exemplar, extract):
        found = [_distances(tile, sources).flatten(2).amin(2) for tile in tiles]
        best = [torch.minimum(old, new) for old, new in zip(best, found, strict=True)]
    return float(torch.stack([distances.clamp(min=0).mean() for distances in best]).mean())


def _tiles(size: tuple[int, int], rng: torch.Generator) -> list[tuple[int, int, int, int]]:
    """The windows (y, x, height, width) of an output of `size` that are looked at."""
    h, w = size
    if h * w <= TILES * TILE**2:
        return [(0, 0, h, w)]
    high, wide = min(h, TILE), min(w, TILE)
    ys, xs = (
        torch.randint((free + COARSEST) // COARSEST, (TILES,), generator=rng) * COARSEST
        for free in (h - high, w - wide)
    )
    return [(y, x, high, wide) for y, x in zip(ys.tolist(), xs.tolist(), strict=True)]


def _shifted(exemplar: Tensor, extract: Extract) -> Iterator[Blocks]:
    """The exemplar's blocks from every start inside the first block, in steps of STEP. Starts between the positions of
    the coarsest layer need features of their own."""
    for top in range(0, COARSEST, STEP):
        for left in range(0, COARSEST, STEP):
            image = exemplar[:, :, top:, left:]
            if min(image.shape[2:]) < CROP:
                continue
            features = extract(image, tuple(LAYERS))
            for y in range(0, BLOCK, COARSEST):
                for x in range(0, BLOCK, COARSEST):
                    h, w = image.shape[2] - y, image.shape[3] - x
                    if min(h, w) >= CROP:
                        yield _blocks(features, y, x, h, w)


def _blocks(features: Mapping[str, Tensor], y: int, x: int, h: int, w: int) -> Blocks:
    """The window of h x w pixels at (y, x), both multiples of COARSEST, in whole blocks of unit vectors (zero where
    nothing fires), so scaled that squared distances of blocks add up to the distance of crops."""
    rows, columns = h // BLOCK, w // BLOCK
    vectors = {}
    for name, pixels in LAYERS.items():
        side = BLOCK // pixels
        window = features[name][:, :, y // pixels :, x // pixels :][:, :, : rows * side, : columns * side]
        share = (CROP // pixels) ** 2 * len(LAYERS)  # mean over the positions of a crop and over layers
        vectors[name] = F.unfold(F.normalize(window) * share**-0.5, side, stride=side)[0].T.contiguous()
    return Blocks(rows, columns, vectors)


def _distances(tile: Blocks, sources: Blocks) -> Tensor:
    """Squared distance of each crop of one to each of the other: (rows, columns, rows, columns) of crops."""
    pairs = [(a, sources.vectors[name]) for name, a in tile.vectors.items()]
    lengths = [torch.stack([side.square().sum(1) for side in sides]).sum(0) for sides in zip(*pairs, strict=True)]
    apart = lengths[0][:, None] + lengths[1]
    for a, b in pairs:
        apart.addmm_(a, b.T, alpha=-2)
    apart = apart.view(tile.rows, tile.columns, sources.rows, sources.columns)
    for dim in (0, 1):  # a crop is 8 x 8 blocks, which move together on both sides
        for k in (1, 2, 4):  # sums over 2, 4 and 8 of them
            n, m = apart.shape[dim] - k, apart.shape[dim + 2] - k
            apart = apart.narrow(dim, 0, n).narrow(dim + 2, 0, m) + apart.narrow(dim, k, n).narrow(dim + 2, k, m)
    return apart
