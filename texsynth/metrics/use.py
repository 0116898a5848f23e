"""Evenness of use: does the output draw on all of the exemplar, or on a few places again and again?

The exemplar's windows are put into 8 x 8 cells by where they are, and those of the output into the cell of the most
similar window of the exemplar; the value is half the sum of the differences of the shares (total variation). The
measure is our own. It is 0 for even use and near 1 where everything comes from one place; good outputs of at least the
exemplar's size score 0.2 to 0.45, and smaller ones cannot use all of it. Where the exemplar repeats itself exactly, or
the output is blurred, chance decides which cell a window falls into.
"""

from __future__ import annotations

import torch

from texsynth.metrics import About, Pair
from texsynth.patches.matches import WINDOW, match

CELLS = 8
ABOUT = About(
    "total variation between the use of 8 x 8 parts of the exemplar and even use",
    range=(0.0, 1.0),
    smallest_side=WINDOW + CELLS - 1,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    matches = match(pair.exemplar, pair.output, rng)
    rows, columns = (torch.arange(n, device=matches.number.device) * CELLS // n for n in matches.grid)
    cells = (rows[:, None] * CELLS + columns).flatten()  # of every window of the exemplar
    shares = [torch.bincount(part, minlength=CELLS**2) / len(part) for part in (cells, cells[matches.number])]
    return float((shares[0] - shares[1]).abs().sum() / 2)
