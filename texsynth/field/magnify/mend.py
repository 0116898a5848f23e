"""The seams of a field of any size mended: pixels beside them go on with whichever piece fits their surroundings.

Lefebvre & Hoppe 2005, section 3.2 (all pixels at once), with coherent candidates only (Ashikhmin 2001): what a coarser
level has decided stays, and seams move by a pixel a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.magnify.halos import strips
from texsynth.field.magnify.sheet import Pointers, Sheet
from texsynth.field.sweep import NEIGHBOURS
from texsynth.image.scratch import release
from texsynth.native.sums import in_turn

PIXELS_AT_ONCE = 1 << 14  # whose candidates are compared at once by tensor operations
HEAVIEST = 16  # weight of a pixel of a window


class Goals(Protocol):
    """Guides of a field of any size, whose goals are told for some of its rows.

    table: (N, G) float32, the coordinates of the source pixels, as in `guide.Guiding`.
    unit: what one unit of a weighted sum of squared differences of 8-bit colours is worth, in variances.
    """

    @property
    def table(self) -> Tensor: ...

    @property
    def unit(self) -> float: ...

    def rows(self, top: int, bottom: int) -> tuple[Tensor, Tensor]:
        """Goal and strength of the rows from `top` to `bottom`, (n, w, G) float32 each."""


def mend(
    field: Pointers,
    sheet: Sheet,
    patch: int,
    passes: int,
    fixed: Tensor | None = None,
    goals: Goals | None = None,
    pixels: int | None = None,
) -> None:
    """Mend the seams of a field into `sheet`, in place, by so many passes.

    In each, a pixel takes what one of its eight neighbours continues to, where the window round that source differs
    less from the window of the output round the pixel; of equal ones it stays, or takes the first. Pixels within one
    piece have nothing to take.

    patch: side of the windows in pixels, an odd number above 1. fixed: (h, w) bool, pixels that must stay. pixels:
    about so many are mended at once; the result is the same for any.
    """
    weights = window_weights(patch).to(field.index.device)
    unit = 1.0 if goals is None else goals.unit
    for _ in range(passes):
        for top, bottom, wide in strips(field, patch // 2, pixels):
            stays = None if fixed is None else fixed[top:bottom]
            guides = None if goals is None else (goals.table, *goals.rows(top, bottom))
            out = field.index[top:bottom]
            tensors = *(() if stays is None else (stays,)), *(guides or ())
            if twin := native.kernel("mended", wide, sheet.valid, sheet.colours, out, *tensors):
                twin(wide, sheet.valid, sheet.colours, sheet.row, weights, stays, unit, guides, out)
            else:
                _mend_strip(wide, sheet, weights, stays, unit, guides, out)
            if stays is not None:
                release(stays)


def window_weights(patch: int) -> Tensor:
    """The weights (patch, patch) of the pixels of a window, a Gaussian as in `features.windows.fit`: int16, from 1 to
    HEAVIEST, so that sums are whole numbers and exact in any order."""
    ramp = torch.arange(patch) - patch // 2
    gaussian = torch.exp(-(ramp.double() ** 2) / (2 * (patch / 3) ** 2))
    return (HEAVIEST * gaussian[:, None] * gaussian).round().clamp(min=1).short()


def _mend_strip(
    wide: Tensor,
    sheet: Sheet,
    weights: Tensor,
    fixed: Tensor | None,
    unit: float,
    guides: tuple[Tensor, Tensor, Tensor] | None,
    out: Tensor,
) -> None:
    """One pass over the strip `out` (h, w), of which `wide` (h + 2m, w + 2m) has the surroundings."""
    (height, width), stride, margin = out.shape, wide.shape[1], weights.shape[0] // 2
    active = torch.zeros_like(out, dtype=torch.bool)
    for dy, dx in NEIGHBOURS:
        there = wide[margin + dy : margin + dy + height, margin + dx : margin + dx + width]
        active |= there != wide[margin:-margin, margin:-margin] + (dy * sheet.row + dx)
    if fixed is not None:
        active &= ~fixed
    flat, here, around = wide.flatten(), _offsets(margin, stride, wide), _offsets(margin, sheet.row, wide)
    for some in active.flatten().nonzero()[:, 0].split(PIXELS_AT_ONCE):
        at = (some // width + margin) * stride + some % width + margin
        window = sheet.colours[flat[at[:, None] + here].long()].int()
        price = None if guides is None else _Price(guides[0], *(each.flatten(0, 1)[some] for each in guides[1:]))

        def cost(source: Tensor, window: Tensor = window, price: _Price | None = price) -> Tensor:
            there = sheet.colours[(source[:, None] + around).clamp_(0, sheet.pixels - 1)]
            squares = (window - there.int()).square_().sum(2, dtype=torch.int32) * weights.flatten()
            total = squares.sum(1).float() * unit
            return total if price is None else total + price.of(source)

        best = flat[at].long()
        least = cost(best)
        for dy, dx in NEIGHBOURS:
            source = flat[at + dy * stride + dx].long() - (dy * sheet.row + dx)
            inside = source.clamp(0, sheet.pixels - 1)
            total = cost(inside)
            better = (source == inside) & sheet.valid[inside] & (total < least)
            best, least = torch.where(better, source, best), torch.where(better, total, least)
        out.view(-1)[some] = best.int()


def _offsets(margin: int, stride: int, like: Tensor) -> Tensor:
    """From the middle of a window to its pixels, in reading order, ((2m + 1)^2,)."""
    ramp = torch.arange(-margin, margin + 1, device=like.device)
    return (ramp[:, None] * stride + ramp).flatten()


@dataclass(frozen=True)
class _Price:
    """What sources cost that miss the goals of some pixels: table (N, G), goal and strength (n, G)."""

    table: Tensor
    goal: Tensor
    strength: Tensor

    def of(self, source: Tensor) -> Tensor:
        return in_turn((self.table[source] - self.goal).square_() * self.strength)
