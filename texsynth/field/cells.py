"""Holes in a regular texture of which only bits are left: what is missing is copied from other cells of its lattice."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.lattice import Lattice, autocorrelation

MULTIPLES = 6  # of each vector that a refined lattice is held against
STEPS = (0.5, 0.25, 0.125, 0.0625, 0.03125)  # pixels by which vectors are moved in turn, as long as that helps
MOST_LEFT = 0.5  # of a picture of which bits are left: of more, pieces show more than the nearest cells do
WHOLE_CELLS = 2  # in a square, from which on pieces say enough
MOST_MOVES = 4096  # shifts that are tried for each pixel, the shortest first


def refined(lattice: Lattice, image: Tensor, valid: Tensor) -> Lattice:
    """The lattice of what is `valid` (1, 1, H, W) bool in (1, 3, H, W), its vectors moved to where the autocorrelation
    at their multiples is highest. Shifts count by how many pixels they compare, of which one alone may have few."""
    mask = valid[0, 0].to(image)
    shape = (2 * mask.shape[0], 2 * mask.shape[1])
    overlap = torch.fft.fftshift(torch.fft.irfft2(torch.fft.rfft2(mask, s=shape).abs().square(), s=shape))
    correlation = autocorrelation(image, valid)
    ry, rx = (n // 2 for n in correlation.shape)
    middle = mask.shape
    overlap = overlap[middle[0] - ry : middle[0] + ry + 1, middle[1] - rx : middle[1] + rx + 1].clamp(min=0)
    layers = torch.stack([correlation * overlap, overlap])[None]
    counts = torch.arange(-MULTIPLES, MULTIPLES + 1.0)
    multiples = torch.cartesian_prod(counts, counts)
    multiples = multiples[multiples.abs().sum(1) > 0]
    scale = torch.tensor([rx, ry]).clamp(min=1)

    def fit(vectors: Tensor) -> float:
        shifts = (multiples @ vectors).flip(1) / scale  # (x, y) in [-1, 1]
        inside = (shifts.abs() <= 1).all(1)
        sampled = F.grid_sample(layers, shifts[inside].view(1, 1, -1, 2), align_corners=True)[0].sum((1, 2))
        return float(sampled[0] / sampled[1].clamp(min=1e-6))

    vectors = lattice.vectors.clone()
    best = fit(vectors)
    for step in STEPS:
        improved = True
        while improved:
            improved = False
            for row, column, sign in ((r, c, s) for r in (0, 1) for c in (0, 1) for s in (-1, 1)):
                moved = vectors.clone()
                moved[row, column] += sign * step
                if (value := fit(moved)) > best + 1e-6:
                    vectors, best, improved = moved, value, True
    return replace(lattice, vectors=vectors)


def in_bits(lattice: Lattice, valid: Tensor, least: int) -> bool:
    """Is less than half left of a picture, and nothing as large as WHOLE_CELLS cells of its lattice, nor as `least`
    pixels, (1, 1, H, W) bool?"""
    if float(valid.float().mean()) > MOST_LEFT:
        return False
    side = max(least, math.ceil(WHOLE_CELLS * float(lattice.vectors.norm(dim=1).max())))
    if side > min(valid.shape[2:]):
        return True
    whole = valid.float()
    for kernel in ((side, 1), (1, side)):
        whole = -F.max_pool2d(-whole, kernel, stride=1)
    return not bool((whole > 0).any())


def places(size: tuple[int, int]) -> Tensor:
    """The (y, x) of every pixel, (2, *size) int64."""
    return torch.stack(torch.meshgrid(*(torch.arange(n) for n in size), indexing="ij"))


def equivalents(lattice: Lattice, usable: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """For each `wanted` pixel of (h, w) the nearest pixel that is `usable` and whole steps of the lattice away: places
    (2, h, w) int64, those of the pixels themselves elsewhere, and which pixels have none, (h, w) bool."""
    h, w = usable.shape
    sources = places((h, w))
    y, x = wanted.nonzero().T
    for dy, dx in _moves(lattice, (h, w)):
        if len(y) == 0:
            break
        to_y, to_x = y + dy, x + dx
        inside = (to_y >= 0) & (to_y < h) & (to_x >= 0) & (to_x < w)
        hit = inside & usable[to_y.clamp(0, h - 1), to_x.clamp(0, w - 1)]
        sources[:, y[hit], x[hit]] = torch.stack([to_y[hit], to_x[hit]])
        y, x = y[~hit], x[~hit]
    none = torch.zeros_like(wanted)
    none[y, x] = True
    return sources, none


def _moves(lattice: Lattice, size: tuple[int, int]) -> list[list[int]]:
    """The shortest shifts (dy, dx) by whole steps of the lattice that stay within `size`, in whole pixels."""
    area = abs(float(torch.linalg.det(lattice.vectors)))
    reach = math.ceil(max(size) / max(1.0, area / float(lattice.vectors.norm(dim=1).max())))
    reach = min(reach, math.ceil(MOST_MOVES**0.5))
    counts = torch.arange(-reach, reach + 1.0)
    moves = (torch.cartesian_prod(counts, counts) @ lattice.vectors).round().long()
    length = moves.abs().amax(1)
    fits = (length > 0) & (moves.abs() < torch.tensor(size)).all(1)
    moves = moves[fits]
    order = moves.float().norm(dim=1).argsort(stable=True)[:MOST_MOVES]
    rows: list[list[int]] = moves[order].tolist()
    return rows
