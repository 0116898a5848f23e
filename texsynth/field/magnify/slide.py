"""Whole pieces of a field of any size shifted by a pixel, where that makes their seams meet better.

As `align.align` does it, but a few rows at a time and in whole numbers, whose sums have one result in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.align import MOVING_SHARE
from texsynth.field.magnify.halos import strips
from texsynth.field.magnify.sheet import Pointers, Sheet
from texsynth.image.scratch import release
from texsynth.image.strips import spans

STAYING = 49, 50  # what the cost of staying and that of moving count: a piece stays unless moving helps (align.STAYING)


@dataclass(frozen=True)
class _Pieces:
    """What shares one displacement between canvas and sheet at first, and how far it has slid.

    displacement: (P,) int64, rising. shift: (P,) int64, source pixels. group: (P,) int64, the number of the pieces that
    share one displacement by now, which are one piece; they are numbered by it.
    """

    displacement: Tensor
    shift: Tensor
    group: Tensor
    groups: int

    @staticmethod
    def of(displacement: Tensor, shift: Tensor) -> _Pieces:
        now, group = (displacement + shift).unique(return_inverse=True)
        return _Pieces(displacement, shift, group, len(now))

    def at(self, index: Tensor, y: Tensor, x: Tensor, row: int) -> Tensor:
        """The numbers of the pieces of some pixels, from their pointers at first and their places."""
        return torch.searchsorted(self.displacement, index - y * row - x)


def slide(
    field: Pointers,
    sheet: Sheet,
    rounds: int,
    rng: torch.Generator,
    fixed: Tensor | None = None,
    pixels: int | None = None,
) -> None:
    """Slide the pieces of a field into `sheet`, in place, by so many rounds. In each, every other piece (at random)
    takes the best of the nine shifts by up to a pixel for its seams, unless that would leave what may be copied.

    fixed: (h, w) bool, pixels that must stay, and with them their pieces. pixels: about so many are looked at at
    once; the result is the same for any.
    """
    steps = [dy * sheet.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    shifts, pieces = torch.tensor(steps, device=field.index.device), _find(field, pixels)
    for _ in range(rounds):
        turn = (torch.rand(pieces.groups, generator=rng) >= 1 - MOVING_SHARE).to(shifts.device)
        cost = torch.zeros(pieces.groups, len(steps), dtype=torch.long, device=shifts.device)
        for top, _, wide in strips(field, 1, pixels):
            _add_costs(field, wide, top, sheet, pieces, turn, shifts, cost)
        staying = cost[:, 4] * STAYING[0] - 1  # also where all is free
        cost *= STAYING[1]
        cost[:, 4] = staying
        move = (shifts[cost.argmin(1)] * turn)[pieces.group]
        blocked = torch.zeros(pieces.groups, dtype=torch.bool, device=shifts.device)
        blocked[pieces.group[_stuck(field, sheet, pieces, move, fixed, pixels)]] = True
        pieces = _Pieces.of(pieces.displacement, pieces.shift + move * ~blocked[pieces.group])
    for top, bottom in spans(field.size, pixels):
        _move(field.index[top:bottom], top, sheet.row, pieces)


def _find(field: Pointers, pixels: int | None) -> _Pieces:
    """The pieces of a field, none of which has slid."""
    displacements = torch.empty(0, dtype=torch.long, device=field.index.device)
    for top, bottom in spans(field.size, pixels):
        index = field.index[top:bottom]
        first = torch.ones_like(index, dtype=torch.bool)
        torch.ne(index[:, 1:], index[:, :-1] + 1, out=first[:, 1:])
        y, x = first.nonzero().unbind(1)
        some = index[first] - (top + y) * field.atlas.row - x
        displacements = torch.cat([displacements, some.unique()]).unique()
        release(index)
    return _Pieces.of(displacements, torch.zeros_like(displacements))


def _add_costs(
    field: Pointers, wide: Tensor, top: int, sheet: Sheet, pieces: _Pieces, turn: Tensor, shifts: Tensor, cost: Tensor
) -> None:
    """Add what the seams below and to the right of the pixels of a strip cost the pieces whose turn it is, for each of
    their shifts, to cost (groups, 9): twice `quilting.meet`, of 8-bit colours.

    wide: (n + 2, w + 2), the strip with its surroundings; top: its first row.
    """
    if twin := native.kernel("slide_costs", wide, sheet.colours):
        parts = pieces.displacement, pieces.shift, pieces.group, turn
        twin(wide, top, *field.size, *field.tile, sheet.row, sheet.colours, *parts, cost)
        return
    (height, width), tile, (n, _) = field.size, field.tile, wide.shape
    for dy, dx, stride in ((1, 0, sheet.row), (0, 1, 1)):
        last = (top + n - 2 == height and dy == 1 and not tile[0]), dx == 1 and not tile[1]
        here = wide[1 : n - 1 - last[0], 1 : width + 1 - last[1]].long()
        there = wide[1 + dy : n - 1 + dy - last[0], 1 + dx : width + 1 + dx - last[1]].long()
        rows, columns = torch.arange(here.shape[0], device=wide.device), torch.arange(here.shape[1], device=wide.device)
        wraps = (top + rows[:, None] + dy >= height) | (columns + dx >= width)
        y, x = ((there != here + stride) | wraps).nonzero().unbind(1)
        of_a = pieces.at(here[y, x], top + y, x, sheet.row)
        of_b = pieces.at(there[y, x], (top + y + dy) % height, (x + dx) % width, sheet.row)
        a, b = here[y, x] + pieces.shift[of_a], there[y, x] + pieces.shift[of_b]
        seam = b != a + stride
        a, b, of_a, of_b = a[seam], b[seam], pieces.group[of_a[seam]], pieces.group[of_b[seam]]
        some = turn[of_a]
        cost.index_add_(0, of_a[some], _meet(sheet, a[some, None] + shifts, b[some, None], stride))
        some = turn[of_b]
        cost.index_add_(0, of_b[some], _meet(sheet, a[some, None], b[some, None] + shifts, stride))


def _meet(sheet: Sheet, a: Tensor, b: Tensor, stride: int) -> Tensor:
    """Twice `quilting.meet` of source pixels, in whole numbers."""

    def squares(one: Tensor, other: Tensor) -> Tensor:
        colours = (sheet.colours[each.clamp(0, sheet.pixels - 1)].int() for each in (one, other))
        return torch.sub(*colours).square_().sum(-1)

    return squares(a, b - stride) + squares(a + stride, b)


def _stuck(
    field: Pointers, sheet: Sheet, pieces: _Pieces, move: Tensor, fixed: Tensor | None, pixels: int | None
) -> Tensor:
    """Which pieces may not move by `move` (P,): (P,) bool."""
    stuck, shift = torch.zeros_like(move, dtype=torch.bool), pieces.shift + move
    for top, bottom in spans(field.size, pixels):
        index, still = field.index[top:bottom], None if fixed is None else fixed[top:bottom]
        if twin := native.kernel("slide_stuck", index, sheet.valid, *(() if still is None else (still,))):
            twin(index, top, sheet.row, sheet.valid, still, pieces.displacement, shift, move, stuck)
        else:
            number = _numbers(index, top, sheet.row, pieces)
            source = index + shift[number]
            inside = source.clamp(0, sheet.pixels - 1)
            kept = (source != inside) | ~sheet.valid[inside]
            stuck[number[kept if still is None else kept | still]] = True
        for each in (index,) if still is None else (index, still):
            release(each)
    return stuck & (move != 0)


def _move(index: Tensor, top: int, row: int, pieces: _Pieces) -> None:
    """Move a strip (n, w) of pointers, in place, as far as its pieces have slid."""
    if twin := native.kernel("slide_move", index):
        twin(index, top, row, pieces.displacement, pieces.shift)
    else:
        index += pieces.shift[_numbers(index, top, row, pieces)]
    release(index)


def _numbers(index: Tensor, top: int, row: int, pieces: _Pieces) -> Tensor:
    """The numbers of the pieces of a strip (n, w), whose first row is `top`."""
    rows, columns = (torch.arange(n, device=index.device) for n in index.shape)
    return pieces.at(index.long(), top + rows[:, None], columns, row)
