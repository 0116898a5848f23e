"""Minimum patch distance (after Zhou et al. 2023): is every part of the output like some part of the exemplar?

The paper takes 1000 random crops of 64 or 128 pixels on both sides and LPIPS, a weighted squared distance of VGG
features normalised at each position, and averages over output crops the distance to the nearest exemplar crop. Differs
from that in: plain VGG-19 features at three layers, computed on whole images; no learned weights; and all crops in
place of a sample: those of the output at every 8th pixel and of the exemplar at every 2nd, so that a copy is at most
one pixel out of step. From 0 for copies in step with the grid to 2 where no feature is shared; copied outputs score
about 0.1, those made by gradient 0.3 to 0.6, noise 1.3. Values compare only between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.metrics import Pair, enough
from texsynth.metrics._crops import View, nearest

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 2.0)
CELLS = {"relu1_2": 1, "relu2_2": 2, "relu3_4": 4}  # pixels per position
NEEDS: Mapping[str, tuple[str, ...]] = {"vgg19": tuple(CELLS)}
CROPS = (64, 128)
LEAST = CROPS[0]
DESCRIPTION = "mean over 64 px crops of the distance to the nearest crop of the exemplar, in normalised VGG-19 features"
STEP = 2


def measure(pair: Pair, extract: Extract | None, rng: torch.Generator) -> float:
    """With crops of 64 pixels."""
    enough("min_patch", pair, LEAST)
    return _score(pair, extract, CROPS[0], rng)


def details(pair: Pair, extract: Extract | None, rng: torch.Generator) -> dict[str, float]:
    """By the side of the crops, 64 and 128 pixels where the pictures are large enough."""
    enough("min_patch", pair, LEAST)
    smallest = min(*pair.exemplar.shape[2:], *pair.output.shape[2:])
    return {f"{crop} px": _score(pair, extract, crop, rng) for crop in CROPS if crop <= smallest}


@torch.no_grad()
def _score(pair: Pair, extract: Extract | None, crop: int, rng: torch.Generator) -> float:
    assert extract is not None

    def describe(image: Tensor) -> dict[str, Tensor]:
        """Unit vectors at each position, zero where nothing fires."""
        return {name: F.normalize(layer) for name, layer in extract(image, tuple(CELLS)).items()}

    return float(nearest(pair.exemplar, pair.output, View(describe, CELLS, crop, STEP), rng).mean())
