"""Blend error: does a plane that was drawn by blending show the exemplar's shapes, or ghosts of them?

How far windows of the plane are from the nearest ones of the exemplar, and how much the contrasts within small windows
have changed, each over its limit, whichever is larger (texsynth/tiles/suitability.py). The measure is our own. Up to 1
is what an artist would take; textures of grains score about 0.7, bricks 1 to 3 with free offsets.
"""

from __future__ import annotations

import torch

from texsynth.metrics import About, NotApplicable, Pair
from texsynth.tiles import suitability

ABOUT = About("distance of a blended plane's windows and contrasts from the exemplar's, 1 being what may be taken")


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    if not pair.offsets:
        raise NotApplicable("blend_error: the output is no blended plane; give the JSON of `texsynth tiles blend`")
    exemplar, output = suitability.alike(pair.exemplar.cpu(), pair.output.cpu())
    return suitability.error(exemplar, output, in_step=pair.offsets == "lattice")
