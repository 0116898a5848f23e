"""Evenness of use: does the output draw on all of the exemplar, or on a few places again and again?

The exemplar's windows are put into 8 x 8 cells by where they are, those of the output into the cell of the exemplar's
window that they are most like; half the sum of the differences of the shares (total variation). Our own measure. From 0
for even use to 1, where all comes from a place of no size; good outputs of at least the exemplar's size score 0.2
to 0.45, and smaller ones cannot use all of it. Where the exemplar repeats itself exactly, or the output is blurred, the
cell that is found is a matter of chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.metrics import Pair, _windows, enough

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
CELLS = 8
LEAST = _windows.PATCH + CELLS - 1
DESCRIPTION = "total variation between the use of 8 x 8 parts of the exemplar and even use"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """0 where every part is used alike."""
    enough("use", pair, LEAST)
    matches = _windows.match(pair, rng)
    rows, columns = (torch.arange(n, device=matches.place.device) * CELLS // n for n in matches.cells)
    cell = (rows[:, None] * CELLS + columns).flatten()  # of every window of the exemplar
    shares = [torch.bincount(found, minlength=CELLS**2) / len(found) for found in (cell, cell[matches.place])]
    return float((shares[0] - shares[1]).abs().sum() / 2)
