"""The correction of tone of a field of any size: what its seams ask for is measured in full detail, a few rows at a
time, and spread on a grid of cells, since it is smooth inside of pieces.

A cell is a pixel of the coarse field that was carried up. What a seam asks for is asked between the two cells between
which the coarse field has it, as the mean over the pixels along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.tone import REACH, Sight, ask_for_light
from texsynth.image.strips import spans
from texsynth.image.tone import seam_correction

LEVELS = 1 << 16  # of a colour, in which steps are counted: so sums are the same in any order


def correction(field: Pointers, coarse: Pointers, atlas: Atlas, factor: int) -> Tensor:
    """What to add to the colours of a field, (1, 3, hc, wc), at the pixels of the `coarse` one, which is `factor` times
    smaller. atlas: the colours of the field's source pixels, in the geometry of its pointers."""
    height, width = field.size
    sight, steps, light = Sight.of(atlas), 0.0, 0.0
    if sight is None:
        return torch.zeros(1, 3, *coarse.size)
    edges = Edges.of(coarse, factor)
    for top, bottom in spans(field.size):
        rows = torch.arange(top, min(bottom + 1, height))
        if bottom == height and field.tile[0]:
            rows = torch.cat([rows, torch.zeros(1, dtype=torch.long)])
        part = Field(field.index[rows].long(), torch.zeros(len(rows), width), atlas, (False, field.tile[1]))
        here = (torch.arange(len(rows)) < bottom - top)[:, None].expand(part.size)  # the last row is the next strip's

        def ask(
            dim: int, first: tuple[Tensor, Tensor], _: tuple[Tensor, Tensor], wanted: Tensor, top: int = top
        ) -> None:
            edges.add(dim, first[0] + top, first[1], wanted)

        seams = ask_for_light(part, sight, ask, (here, torch.zeros_like(here)))
        steps, light = steps + seams[0], light + seams[1]
    if not sight.suffices(steps, light):
        return torch.zeros(1, 3, *coarse.size)
    hold = torch.full((1, 1, *coarse.size), (factor / REACH) ** 2)
    colours = []
    for colour in range(3):  # one after the other, as the equations take several times the memory of what they solve
        wanted = [edges.wanted(dim, colour, coarse.tile[dim]) for dim in (0, 1)]
        colours.append(seam_correction(wanted, hold, coarse.tile))
    return torch.cat(colours, 1)


@dataclass(frozen=True)
class Edges:
    """What is asked for between cells and the next ones along either axis.

    breaks: (h, w) bool for each axis, where the coarse field has a seam. sums: (3, h w) int32 for each axis, of all
    that was asked for, in LEVELS. counts: (h w,) int32 for each axis, how often. factor: pixels of a side of a cell.
    """

    breaks: tuple[Tensor, Tensor]
    sums: tuple[Tensor, Tensor]
    counts: tuple[Tensor, Tensor]
    factor: int

    @staticmethod
    def of(coarse: Pointers, factor: int) -> Edges:
        """Those of the pixels of a coarse field, of which nothing is asked yet."""
        steps, cells = (coarse.atlas.row, 1), coarse.index.numel()
        breaks = [coarse.index.roll(-1, dim) != coarse.index + steps[dim] for dim in (0, 1)]
        sums = [torch.zeros(3, cells, dtype=torch.int32) for _ in steps]
        counts = [torch.zeros(cells, dtype=torch.int32) for _ in steps]
        return Edges((breaks[0], breaks[1]), (sums[0], sums[1]), (counts[0], counts[1]), factor)

    def add(self, dim: int, y: Tensor, x: Tensor, wanted: Tensor) -> None:
        """Ask for `wanted` (n, 3) between pixels at (y, x) and the next ones: at the nearer of the two borders of
        their cell along the axis where the coarse field has a seam, or at the nearer one."""
        cells, sizes = [y // self.factor, x // self.factor], self.breaks[dim].shape
        before = [*cells]
        before[dim] = (cells[dim] - 1) % sizes[dim]
        late = (y, x)[dim] % self.factor * 2 + 1 >= self.factor
        there, behind = (self.breaks[dim][at[0], at[1]] for at in (cells, before))
        forward = torch.where(there == behind, late, there)
        at, last = torch.where(forward, cells[dim], before[dim]), cells[1 - dim]
        number = at * sizes[1] + last if dim == 0 else last * sizes[1] + at
        self.counts[dim].index_add_(0, number, torch.ones_like(number, dtype=torch.int32))
        self.sums[dim].index_add_(1, number, (wanted * LEVELS).round().int().T.contiguous())

    def wanted(self, dim: int, colour: int, wraps: bool) -> tuple[Tensor, Tensor]:
        """The mean of what is asked for of a colour, and its weight, (1, 1, h, w) each."""
        size = self.breaks[dim].shape
        mean = self.sums[dim][colour].float().div_(self.counts[dim].clamp(min=1)).div_(LEVELS)
        weight = torch.ones(1, 1, *size)
        if not wraps:
            weight.narrow(dim + 2, size[dim] - 1, 1).zero_()
        return mean.view(1, 1, *size), weight
