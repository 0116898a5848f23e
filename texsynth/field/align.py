"""Shift whole coherent pieces of a field by a pixel, where that makes their seams meet better: a coarse field places
them to within one coarse pixel, so after doubling every piece may be off by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from texsynth.field.atlas import Field
from texsynth.field.quilting import meet

MOVING_SHARE = 0.5  # of the pieces that move in a round, so that neighbours do not both jump to meet each other


def align(field: Field, rounds: int, rng: torch.Generator, fixed: Tensor | None = None) -> Field:
    """The field after so many rounds, in each of which every other piece (at random) takes the best of the nine shifts
    by up to a pixel for its seams. fixed: (h, w) bool, pixels that must stay, and with them their pieces."""
    atlas, device = field.atlas, field.index.device
    rows, cols = (torch.arange(n, device=device) for n in field.size)
    shifts = torch.tensor([dy * atlas.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)], device=device)
    for _ in range(rounds):
        # Label the pieces: a piece is what shares one displacement between canvas and atlas.
        index = field.index
        labels = torch.unique(index - rows[:, None] * atlas.row - cols, return_inverse=True)[1]
        count = int(labels.max()) + 1
        # Sum the cost of all seams of each piece, for each of its shifts.
        cost = torch.zeros(count, 9, device=device)
        for a, b, of_a, of_b, stride in _seams(field, labels):
            cost.index_add_(0, of_a, meet(atlas.colours, a[:, None] + shifts, b[:, None], stride))
            cost.index_add_(0, of_b, meet(atlas.colours, a[:, None], b[:, None] + shifts, stride))
        cost[:, 4] = cost[:, 4] * 0.98 - 1e-6  # stay unless moving helps, also where all is free
        # Move those whose turn it is, unless that would leave what may be copied.
        move = shifts[cost.argmin(1)]
        move[(torch.rand(count, generator=rng) < 1 - MOVING_SHARE).to(device)] = 0
        shifted = index + move[labels]
        blocked = torch.zeros(count, dtype=torch.bool, device=device)
        stuck = ~atlas.valid[shifted]
        blocked[labels[stuck if fixed is None else stuck | fixed]] = True
        field = replace(field, index=torch.where(blocked[labels], index, shifted))
    return field


def _seams(field: Field, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, int]]:
    """All neighbours that do not continue each other: both pixels, both labels, and how far neighbours lie apart."""
    for dim, stride, wraps in ((0, field.atlas.row, field.tile[0]), (1, 1, field.tile[1])):
        length = field.index.shape[dim] - (0 if wraps else 1)
        a, of_a = field.index.narrow(dim, 0, length), labels.narrow(dim, 0, length)
        b, of_b = (t.roll(-1, dim).narrow(dim, 0, length) for t in (field.index, labels))
        seam = b != a + stride
        yield a[seam], b[seam], of_a[seam], of_b[seam], stride
