"""Minimum patch distance (after Zhou et al. 2023): is every part of the output like some part of the exemplar?

The mean over random crops of the output of the LPIPS distance to the nearest of the exemplar's. Differs from the paper
in: plain VGG-19 features at three layers of whole images, normalised at each position, without learned weights; and in
place of 1000 random crops of 64 or 128 pixels all those of the output at every 8th pixel and of the exemplar at every
2nd, so that a copy is at most one pixel out of step. Values go from 0 for copies in step with the grid to 2 where no
feature is shared; copied outputs score about 0.1, those made by gradient 0.3 to 0.6, noise 1.3. Values compare only
between runs with the same weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.metrics import About, Pair
from texsynth.patches.crops import View, nearest_crops

PIXELS_PER_CELL = {"relu1_2": 1, "relu2_2": 2, "relu3_4": 4}
CROPS = (64, 128)
EXEMPLAR_STEP = 2
ABOUT = About(
    "mean over 64 px crops of the distance to the nearest crop of the exemplar, in normalised VGG-19 features",
    range=(0.0, 2.0),
    needs={"vgg19": tuple(PIXELS_PER_CELL)},
    smallest_side=CROPS[0],
)


def measure(pair: Pair, extract: Extract, rng: torch.Generator) -> float:
    return _score(pair, extract, CROPS[0], rng)


def details(pair: Pair, extract: Extract, rng: torch.Generator) -> dict[str, float]:
    """The mean distance for each side of the crops, 64 and 128 pixels where the pictures are large enough."""
    return by_crop(pair, lambda crop: _score(pair, extract, crop, rng))


def by_crop(pair: Pair, score: Callable[[int], float]) -> dict[str, float]:
    """A score of crops for each of their sides, in pixels, that fits into both pictures."""
    smallest = min(*pair.exemplar.shape[2:], *pair.output.shape[2:])
    return {f"{crop} px": score(crop) for crop in CROPS if crop <= smallest}


def _score(pair: Pair, extract: Extract, crop: int, rng: torch.Generator) -> float:
    def describe(image: Tensor) -> dict[str, Tensor]:
        return {name: F.normalize(layer) for name, layer in extract(image, tuple(PIXELS_PER_CELL)).items()}

    view = View(describe, PIXELS_PER_CELL, crop, EXEMPLAR_STEP)
    return float(nearest_crops(pair.exemplar, pair.output, view, rng).mean())
