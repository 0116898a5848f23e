"""Nearest pixel (Zheng et al. 2020, MSCA): does the output use the exemplar's colours?

The mean over positions of the output of the squared difference to the nearest colour of the exemplar, mean over RGB in
[0, 1]; the paper states neither square nor scale. Up to 4096 positions on a regular grid stand for all. The value is 0
where every colour is one of the exemplar's, and 1 at most; good outputs score below 0.0001.
"""

from __future__ import annotations

import torch

from texsynth.metrics import About, Pair
from texsynth.patches.nearest import nearest, sampled

POSITIONS = 4096  # of the output, on a regular grid
ABOUT = About(
    "mean squared difference of the output's pixels to the nearest colours of the exemplar",
    range=(0.0, 1.0),
    smallest_side=1,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    return float(nearest(sampled(pair.output, POSITIONS), pair.exemplar[0].flatten(1).T)[0].mean() / 3)
