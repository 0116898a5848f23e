"""Agreement with a label map (the control of Zhou et al. 2023): does the output show what was asked for, where it was?

The share of windows of 15 x 15 pixels of the output for which the exemplar's window that they are most like has, at its
middle, the label of the target map. Our own measure. From 0 to 1; the exemplar under its own labels has 1, chance gives
the share that labels have by themselves. Labels that look alike are mistaken for each other, so compare with other
outputs for the same maps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.guidance.labels import agreement
from texsynth.metrics import Pair, _guides, _windows, enough

LOWER_IS_BETTER: bool | None = False
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
LEAST = _windows.LEAST
DESCRIPTION = "share of the output whose nearest windows of the exemplar have the wanted label"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """1 where every window has the label that was asked for."""
    enough("labels", pair, LEAST)
    guide = _guides.guide("labels", pair)
    matches = _windows.match(pair, rng)
    return agreement(_windows.read(guide.sources[0], matches.source), _windows.read(guide.target, matches.made))
