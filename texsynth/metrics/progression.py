"""Agreement with a progression map (the control of Zhou et al. 2023): does the output change where it was to?

At each window of 15 x 15 pixels of the output, this takes the value of the source map at the most similar window of
the exemplar, less the target map's value; the metric is the mean of its absolute value, over channels too. The measure
is our own. Values lie between 0 and 1. Places of the exemplar that look alike at different values count as difference,
so compare a value only with those of other outputs for the same maps. `details` also gives the correlation of the two,
which a shift does not change.
"""

from __future__ import annotations

import torch

from texsynth.metrics import About, Pair, guide_of
from texsynth.patches.matches import SMALLEST_SIDE, match, read

ABOUT = About(
    "mean absolute difference of the target map and the source map at the nearest windows of the exemplar",
    range=(0.0, 1.0),
    smallest_side=SMALLEST_SIDE,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    return details(pair, extract, rng)["difference"]


def details(pair: Pair, extract: None, rng: torch.Generator) -> dict[str, float]:
    """difference: the metric's value; correlation: in [-1, 1], 0 where a map is flat."""
    guide = guide_of(pair, "progression")
    matches = match(pair.exemplar, pair.output, rng)
    actual, wanted = read(guide.sources[0], matches.source), read(guide.target, matches.output)
    sides = [side - side.mean(0) for side in (actual, wanted)]
    product, sizes = (sides[0] * sides[1]).sum(), [side.norm() for side in sides]
    correlation = float(product / (sizes[0] * sizes[1]).clamp(min=1e-12))
    return {"difference": float((actual - wanted).abs().mean()), "correlation": correlation}
