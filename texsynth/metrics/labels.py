"""Agreement with a label map (the control of Zhou et al. 2023): does the output show what was asked for, where it was?

The share of windows of 15 x 15 pixels of the output for which the most similar window of the exemplar has, at its
middle, the label of the target map. The measure is our own. Values lie between 0 and 1: the exemplar under its own
labels has 1, and chance gives each label its share of the exemplar. Labels that look alike are mistaken for each other,
so compare a value only with those of other outputs for the same maps.
"""

from __future__ import annotations

import torch

from texsynth.guidance.labels import agreement
from texsynth.metrics import About, Pair, guide_of
from texsynth.patches.matches import SMALLEST_SIDE, match, read

ABOUT = About(
    "share of the output whose nearest windows of the exemplar have the wanted label",
    lower_is_better=False,
    range=(0.0, 1.0),
    smallest_side=SMALLEST_SIDE,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    guide = guide_of(pair, "labels")
    matches = match(pair.exemplar, pair.output, rng)
    return agreement(read(guide.sources[0], matches.source), read(guide.target, matches.output))
