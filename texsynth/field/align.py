"""Shift whole coherent pieces of a field by a pixel, where that makes their seams meet better: a coarse field places
them to within one coarse pixel, so after doubling every piece may be off by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.atlas import Field
from texsynth.field.quilting import meet
from texsynth.native.sums import add_at

STAYING = 0.98  # of the cost of staying counts: a piece stays unless moving helps
MOVING_SHARE = 0.5  # of the pieces that move in a round, so that neighbours do not both jump to meet each other


def align(field: Field, rounds: int, rng: torch.Generator, fixed: Tensor | None = None) -> Field:
    """The field after so many rounds, in each of which every other piece (at random) takes the best of the nine shifts
    by up to a pixel for its seams. fixed: (h, w) bool, pixels that must stay, and with them their pieces."""
    atlas, shifts, draw = field.atlas, _shifts(field), partial(torch.rand, generator=rng)
    if twin := native.kernel("aligned", field.index, atlas.valid, atlas.compared, *(() if fixed is None else (fixed,))):
        rules = rounds, draw, 1 - MOVING_SHARE, STAYING
        return replace(
            field, index=twin(field.index, atlas.valid, fixed, atlas.compared, atlas.row, *field.tile, *rules)
        )
    for _ in range(rounds):
        index, labels, count = field.index, *pieces(field)
        cost = costs_of_shifts(field, labels, count)
        cost[:, 4] = cost[:, 4] * STAYING - 1e-6  # also where all is free
        # Move those whose turn it is, unless that would leave what may be copied.
        move = shifts[cost.argmin(1)]
        move[(draw(count) < 1 - MOVING_SHARE).to(move.device)] = 0
        shifted = index + move[labels]
        blocked = torch.zeros(count, dtype=torch.bool, device=index.device)
        stuck = ~atlas.valid[shifted]
        blocked[labels[stuck if fixed is None else stuck | fixed]] = True
        field = replace(field, index=torch.where(blocked[labels], index, shifted))
    return field


def _shifts(field: Field) -> Tensor:
    """The nine shifts by up to a pixel, (9,), in reading order."""
    steps = [dy * field.atlas.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return torch.tensor(steps, device=field.index.device)


def pieces(field: Field) -> tuple[Tensor, int]:
    """The number of the piece that each pixel belongs to, (h, w), and how many there are. A piece is what shares one
    displacement between canvas and atlas; they are numbered by it."""
    rows, cols = (torch.arange(n, device=field.index.device) for n in field.size)
    displacement = field.index - rows[:, None] * field.atlas.row - cols
    displacement -= displacement.min()
    number = torch.zeros(int(displacement.max()) + 1, dtype=torch.int32, device=field.index.device)
    number[displacement.flatten()] = 1
    number = number.cumsum(0, dtype=torch.int32)
    return (number[displacement] - 1).long(), int(number[-1])


def costs_of_shifts(field: Field, labels: Tensor, count: int) -> Tensor:
    """The cost of all seams of each piece, for each of its shifts, (count, 9); those of `labels` (h, w) are summed in
    the order of `_seams`."""
    colours, shifts, cost = field.atlas.compared, _shifts(field), torch.zeros(count, 9, device=labels.device)
    for a, b, of_a, of_b, stride in _seams(field, labels):
        add_at(cost, of_a, meet(colours, a[:, None] + shifts, b[:, None], stride))
        add_at(cost, of_b, meet(colours, a[:, None], b[:, None] + shifts, stride))
    return cost


def _seams(field: Field, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, int]]:
    """All neighbours that do not continue each other: both pixels, both labels, and how far neighbours lie apart."""
    for dim, stride, wraps in ((0, field.atlas.row, field.tile[0]), (1, 1, field.tile[1])):
        length = field.index.shape[dim] - (0 if wraps else 1)
        a, of_a = field.index.narrow(dim, 0, length), labels.narrow(dim, 0, length)
        b, of_b = (t.roll(-1, dim).narrow(dim, 0, length) for t in (field.index, labels))
        seam = (b != a + stride).flatten().nonzero()[:, 0]
        first, second, of_first, of_second = (values.flatten()[seam] for values in (a, b, of_a, of_b))
        yield first, second, of_first, of_second, stride
