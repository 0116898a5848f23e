"""Agreement with an orientation map (the control of Zhou et al. 2023): do stripes run the way they were to?

The mean angle between the target's directions and those of the output by its structure tensor (Bigun and Granlund
1987), each pixel counting by how clear its direction is. The measure is our own. Values lie between 0 and 90 degrees;
random directions, and a picture without any, have 45. Good outputs of clearly directed textures score below 15.
"""

from __future__ import annotations

import torch

from texsynth.guidance.orientation import angle_error, structure
from texsynth.metrics import About, Pair, guide_of

CHANCE = 45.0  # degrees
SMALLEST_COHERENCE = 1e-4  # a lower mean comes from rounding and says that the picture has no direction
ABOUT = About("mean angle in degrees between the directions of the output and of the target map", range=(0.0, 90.0))


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    guide = guide_of(pair, "orientation")
    directions, coherence = structure(pair.output)
    return angle_error(directions, guide.target, coherence) if float(coherence.mean()) > SMALLEST_COHERENCE else CHANCE
