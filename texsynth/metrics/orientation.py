"""Agreement with an orientation map (the control of Zhou et al. 2023): do stripes run the way they were to?

The mean angle between the target's directions and those of the output by its structure tensor (Bigun and Granlund
1987), each pixel counting by how clear its direction is. Our own measure. From 0 to 90 degrees; random directions, and
a picture without any, have 45. Good outputs of clearly directed textures score below 15.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from texsynth.features import Extract
from texsynth.guidance.orientation import angle_error, structure
from texsynth.metrics import Pair, _guides, enough

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 90.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
LEAST = 16
CHANCE = 45.0  # degrees
FAINT = 1e-4  # mean clearness, which rounding gives a flat picture too
DESCRIPTION = "mean angle in degrees between the directions of the output and of the target map"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,  # noqa: ARG001
) -> float:
    """0 where all directions are those that were asked for."""
    enough("orientation", pair, LEAST)
    guide = _guides.guide("orientation", pair)
    found, coherence = structure(pair.output)
    return angle_error(found, guide.target, coherence) if float(coherence.mean()) > FAINT else CHANCE
