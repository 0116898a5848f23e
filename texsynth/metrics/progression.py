"""Agreement with a progression map (the control of Zhou et al. 2023): does the output change where it was to?

At each window of 15 x 15 pixels of the output, the value of the source map at the exemplar's window that it is most
like, less the target map's; the mean of its absolute value, over channels too. Our own measure. From 0 to 1; what the
maps' values leave open, places of the exemplar that look alike at different values, counts as difference, so compare
with other outputs for the same maps. `details` also gives the correlation of the two, which a shift does not change.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.metrics import Pair, _guides, _windows, enough

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
LEAST = _windows.LEAST
DESCRIPTION = "mean absolute difference of the target map and the source map at the nearest windows of the exemplar"


def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """The mean absolute difference."""
    found, wanted = _read(pair, rng)
    return float((found - wanted).abs().mean())


def details(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001
    rng: torch.Generator,
) -> dict[str, float]:
    """difference: the metric's value; correlation: in [-1, 1], 0 where a map is flat."""
    found, wanted = _read(pair, rng)
    sides = [side - side.mean(0) for side in (found, wanted)]
    product, sizes = (sides[0] * sides[1]).sum(), [side.norm() for side in sides]
    correlation = float(product / (sizes[0] * sizes[1]).clamp(min=1e-12))
    return {"difference": float((found - wanted).abs().mean()), "correlation": correlation}


@torch.no_grad()
def _read(pair: Pair, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """What windows of the output stand for, and what was wanted of them: (n, C) each."""
    enough("progression", pair, LEAST)
    guide = _guides.guide("progression", pair)
    matches = _windows.match(pair, rng)
    return _windows.read(guide.sources[0], matches.source), _windows.read(guide.target, matches.made)
