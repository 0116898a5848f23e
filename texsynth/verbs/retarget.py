"""A picture of another size in which objects stay whole: where each pixel of it starts from.

Whole runs of the picture are kept, and a run is left out or shown again between two seams that fit each other: the cuts
of "Seam Carving" (Avidan & Shamir 2007), which are paths of least energy from one side of the picture to the other, by
dynamic programming, with shifts as large as they pay, as in "Shift-Map Image Editing" (Pritch et al. 2009). Where the
picture has a path through smooth parts only, new space opens there, for the method to fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.quilting import path
from texsynth.image.salience import WINDOW, average, salience
from texsynth.pyramid import enlarge_pointers, shrink

SIDE = 96  # about, in pixels, of the shorter side of the reduced picture in which seams are looked for
LONGEST = 256  # of its longer side, at most
SALIENCE_PRICE = 1.0  # of all objects of the picture left out or shown again, in mismatches of random windows
SEAM_PRICE = 0.15  # of a seam that nobody sees, so that there are few
SPACE_PRICE = 3.0  # of new space on a path of mean salience
SHORTEST_SHIFT = 0.05  # of the side that changes
BORDER = 2  # pixels at the ends of the side, where no seam lies: what is left beyond it would be too thin


@dataclass(frozen=True)
class Layout:
    """A picture while its width changes, reduced.

    image: (3, h, w), its colours. salience: (h, w), how much there is to see, 1 in the mean of the exemplar.
    y, x: (h, w), where each pixel comes from. new: (h, w) bool, what is to be filled.
    """

    image: Tensor
    salience: Tensor
    y: Tensor
    x: Tensor
    new: Tensor

    @property
    def width(self) -> int:
        return self.image.shape[2]

    def turned(self) -> Layout:
        """The same with rows for columns."""
        return Layout(*(t.transpose(-1, -2) for t in (self.image, self.salience, self.y, self.x, self.new)))

    def taking(self, columns: Tensor) -> Layout:
        """The picture whose row y takes these columns (h, w) of its own row."""
        rows = torch.arange(len(columns))[:, None]
        return Layout(*(t[..., rows, columns] for t in (self.image, self.salience, self.y, self.x, self.new)))


@dataclass(frozen=True)
class Shift:
    """A run of `width` columns from `first` (h,) in each row, and the price of leaving it out or showing it twice."""

    first: Tensor
    width: int
    price: float


def start(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of a picture of `size` starts from in (1, 3, H, W): (1, 2, *size), NaN where space is new."""
    short, long = sorted(image.shape[2:])
    level = max(0, round(math.log2(short / SIDE)), math.ceil(math.log2(long / LONGEST)))
    factor = 1 << level
    small = shrink(image, level)[0]
    y, x = torch.meshgrid(*(torch.arange(n) for n in small.shape[1:]), indexing="ij")
    layout = Layout(small, salience(small[None])[0], y, x, torch.zeros_like(y, dtype=torch.bool))
    # Change the width, then the height.
    layout = _to_width(layout, -(-size[1] // factor))
    layout = _to_width(layout.turned(), -(-size[0] // factor)).turned()
    places = torch.stack([layout.y, layout.x]).float().masked_fill_(layout.new, torch.nan)
    return enlarge_pointers(places[None], factor, size, image.shape[2:])


def _to_width(layout: Layout, width: int) -> Layout:
    """The layout so wide, by the cheapest shifts, one after the other, or by new space where that is cheaper."""
    while (missing := width - layout.width) != 0:
        shift = _cheapest_shift(layout, abs(missing))
        first, columns = shift.first[:, None], torch.arange(layout.width + max(0, missing))
        if missing < 0:
            kept = columns[: -shift.width]
            layout = layout.taking(torch.where(kept < first, kept, kept + shift.width))
            continue
        opening, price = _path(torch.cat([layout.salience, layout.salience[:, -1:]], 1))
        if SPACE_PRICE * price < (shift.price + SEAM_PRICE) * missing / shift.width:
            return _opened(layout, opening, missing)
        again = columns[: layout.width + shift.width]
        layout = layout.taking(torch.where(again < first + shift.width, again, again - shift.width))
    return layout


def _cheapest_shift(layout: Layout, most: int) -> Shift:
    """The shift by up to `most` columns whose price for each of its columns is least."""
    width = layout.width
    least = min(most, max(1, round(SHORTEST_SHIFT * width)))
    variance = 2 * layout.image.flatten(1).var(1, unbiased=False).sum().clamp(min=1e-6)
    salient = F.pad(layout.salience.cumsum(1), (1, 0)) / width
    best = None
    for step in range(least, max(least, min(most, width - 1 - 2 * BORDER)) + 1):
        if most - least < step < most:  # too little would be left to do
            continue
        mismatch = (layout.image[..., step:] - layout.image[..., :-step]).square().sum(0) / variance
        prices = average(mismatch[None], WINDOW)[0] + SALIENCE_PRICE * (salient[:, step:] - salient[:, :-step])[:, :-1]
        if prices.shape[1] > 2 * BORDER:
            prices = F.pad(prices[:, BORDER:-BORDER], (BORDER, BORDER), value=torch.inf)
        first, price = _path(prices)
        if best is None or (price + SEAM_PRICE) / step < (best.price + SEAM_PRICE) / best.width:
            best = Shift(first, step, price)
    assert best is not None
    return best


def _opened(layout: Layout, at: Tensor, count: int) -> Layout:
    """The layout with `count` new columns before the column `at` (h,) of each row."""
    columns, first = torch.arange(layout.width + count), at[:, None]
    new = (columns >= first) & (columns < first + count)
    kept = torch.where(columns < first, columns, torch.maximum(columns - count, first)).clamp(max=layout.width - 1)
    wide = layout.taking(kept)
    return replace(wide, new=wide.new | new, salience=wide.salience.masked_fill(new, 0))


def _path(prices: Tensor) -> tuple[Tensor, float]:
    """The cheapest path from the first to the last row of (h, w): its column in each row (h,), and its mean price."""
    columns, total = path(prices[None])
    return columns[0], float(total) / len(prices)
