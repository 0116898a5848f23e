"""Guides above the working size: what they ask for is worked out for some rows at a time.

The price of a source pixel is that of field/guide.py, without what is done there for scarce values: the field has
already settled where those come from, and only its seams move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field.atlas import spread
from texsynth.field.guide import doubled
from texsynth.field.magnify.mend import window_weights
from texsynth.field.magnify.sheet import Sheet
from texsynth.image import rows
from texsynth.task import Guide

PIXELS_AT_ONCE = 1 << 20  # of the sources, whose coordinates are worked out at once
PIXELS_LOOKED_AT = 1 << 18  # about, of the sources, for their variance


@dataclass(frozen=True)
class RowGuides:
    """The guides of a level.

    table: (N, G), the coordinates of the source pixels. unit: of sums of squared differences of windows, in variances
        of these (see `mend`). guides: those that they are of, in order. labels: of each guide
        of labels all that there are, None for others.
    """

    table: Tensor
    unit: float
    guides: tuple[Guide, ...]
    labels: tuple[Tensor | None, ...]

    def rows(self, top: int, bottom: int) -> tuple[Tensor, Tensor]:
        """The coordinates that the rows from `top` to `bottom` ask for, and how much each counts: (n, w, G) twice."""
        goals, strengths = [], []
        for guide, labels in zip(self.guides, self.labels, strict=True):
            goal = _coordinates(guide.target[0, :, top:bottom].permute(1, 2, 0), guide, labels)
            share = 1.0 if guide.strength is None else guide.strength[0, 0, top:bottom, :, None]
            mean = goal.shape[-1] if guide.distance == "l2" else 1
            goals.append(goal)
            strengths.append((guide.weight * share / mean * torch.ones_like(goal)).float())
        return torch.cat(goals, -1).contiguous(), torch.cat(strengths, -1).contiguous()


def encode(guides: Sequence[Guide], sheet: Sheet, patch: int) -> RowGuides | None:
    """The guides of a task at this level, beside windows of side `patch`; None where there are none that count."""
    some = tuple(guide for guide in guides if guide.weight > 0)
    if not some:
        return None
    labels = tuple(_labels(guide) for guide in some)
    return RowGuides(_table(some, labels, sheet), _unit(sheet, patch), some, labels)


def _table(guides: Sequence[Guide], labels: Sequence[Tensor | None], sheet: Sheet) -> Tensor:
    """The coordinates of the source pixels, (N, G): one guide and some pixels at a time, since they may be many."""
    counts = [
        _coordinates(g.sources[0][0, :, 0, :1].T, g, names).shape[1] for g, names in zip(guides, labels, strict=True)
    ]
    table = torch.empty(sheet.pixels, sum(counts))
    for guide, names, part in zip(guides, labels, table.split(counts, 1), strict=True):
        values = spread(guide.sources, sheet, guide.distance)
        for some, target in zip(values.split(PIXELS_AT_ONCE), part.split(PIXELS_AT_ONCE), strict=True):
            target.copy_(_coordinates(some, guide, names))
    return table


def _unit(sheet: Sheet, patch: int) -> float:
    """One over the mean weighted sum of squares by which windows differ from the mean one."""
    step, first, looked_at = max(1, rows.count(sheet.valid) // PIXELS_LOOKED_AT), 0, []
    for valid, colours in zip(sheet.valid.split(PIXELS_AT_ONCE), sheet.colours.split(PIXELS_AT_ONCE), strict=True):
        usable = valid.nonzero()[:, 0]
        looked_at.append(colours[usable[first::step]])
        first = (first - len(usable)) % step
    some = torch.cat(looked_at).double()
    variance = float(some.var(0, unbiased=False).sum()) * float(window_weights(patch).sum())
    return 1 / max(variance, 1e-8)


def _labels(guide: Guide) -> Tensor | None:
    if guide.distance != "l0":
        return None
    labels: Tensor = torch.cat([rows.distinct(part) for part in (*guide.sources, guide.target)]).unique()
    return labels


def _coordinates(values: Tensor, guide: Guide, labels: Tensor | None) -> Tensor:
    """Values (..., C) of a guide as coordinates (..., G), float32."""
    if guide.distance == "direction":
        return doubled(values) * 0.5
    return values if labels is None else (values == labels).float() * 0.5**0.5
