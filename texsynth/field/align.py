"""Shift whole coherent pieces of a field by a pixel, where that makes their seams meet better.

A coarse field places its pieces to within one coarse pixel; after doubling, every piece may be off by one. Single
pixels cannot repair that (a piece moves only as a whole), so each level starts by letting the pieces slide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from texsynth.field.atlas import Field
from texsynth.field.cuts import meet


def align(field: Field, rounds: int, rng: torch.Generator, known: Tensor | None = None) -> Field:
    """`rounds` times, every other piece (at random) takes the best of the nine shifts for its seams. known: (h, w)
    bool, pixels that must stay, and with them their pieces."""
    for _ in range(rounds):
        field = _slide(field, rng, known)
    return field


def _slide(field: Field, rng: torch.Generator, known: Tensor | None) -> Field:
    atlas, index = field.atlas, field.index
    device = index.device
    rows = torch.arange(index.shape[0], device=device)[:, None]
    cols = torch.arange(index.shape[1], device=device)[None, :]
    # a piece is what shares one displacement between canvas and atlas
    labels = torch.unique(index - rows * atlas.row - cols, return_inverse=True)[1]
    count = int(labels.max()) + 1
    shifts = torch.tensor([dy * atlas.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)], device=device)
    cost = torch.zeros(count, 9, device=device)
    for a, b, of_a, of_b, stride in _seams(field, labels):
        cost.index_add_(0, of_a, meet(atlas.colours, a[:, None] + shifts, b[:, None], stride))
        cost.index_add_(0, of_b, meet(atlas.colours, a[:, None], b[:, None] + shifts, stride))
    cost[:, 4] = cost[:, 4] * 0.98 - 1e-6  # stay unless moving helps, also where all is free
    move = shifts[cost.argmin(1)]
    move[(torch.rand(count, generator=rng) < 0.5).to(device)] = 0
    moved = index + move[labels]
    blocked = torch.zeros(count, dtype=torch.bool, device=device)
    stuck = ~atlas.valid[moved]
    blocked[labels[stuck if known is None else stuck | known]] = True
    return replace(field, index=torch.where(blocked[labels], index, moved))


def _seams(field: Field, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, int]]:
    """All pairs of neighbours that do not continue each other: (first, second, their pieces, atlas stride)."""
    for dim, stride, wraps in ((0, field.atlas.row, field.tile[0]), (1, 1, field.tile[1])):
        length = field.index.shape[dim] - (0 if wraps else 1)
        a, of_a = field.index.narrow(dim, 0, length), labels.narrow(dim, 0, length)
        b, of_b = (t.roll(-1, dim).narrow(dim, 0, length) for t in (field.index, labels))
        seam = b != a + stride
        yield a[seam], b[seam], of_a[seam], of_b[seam], stride
