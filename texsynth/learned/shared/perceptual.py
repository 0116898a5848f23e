"""How well a crop was rebuilt, place by place: by layers of VGG-19, or by reduced pixels.

Labels cannot tell where the grain of a texture lies. The deep features of VGG-19 forgive another grain; without them
only reduced pixels are compared place by place, and the grain as distributions of patches (`regions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract, vgg19, windows
from texsynth.task import Task

LAYER_WEIGHTS = {"relu1_2": 1 / 8, "relu2_2": 1 / 4, "relu3_2": 1 / 2, "relu3_4": 1.0}  # as SPADE's weights rise
REDUCED = ("quarter", "eighth")  # the layers of windows that are compared without VGG-19


@dataclass(frozen=True)
class ScaledVgg:
    """VGG-19 whose layers are divided by their units, their means on the exemplars."""

    extract: Extract
    units: Mapping[str, float]

    def __call__(self, image: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """The layers of a picture (1, 3, h, w), without those that it has no room for."""
        maps = self.extract(image, layers)
        return [maps[layer] / self.units[layer] for layer in layers if layer in maps]


@torch.no_grad()
def scaled_vgg(task: Task) -> ScaledVgg:
    """VGG-19 with the task's weights, scaled on the task's exemplars."""
    extract = vgg19.build(vgg19.Settings(), (False, False), task.weights["vgg19"])
    maps = [extract(exemplar.image.to(task.device), tuple(LAYER_WEIGHTS)) for exemplar in task.exemplars]
    units = {layer: float(torch.stack([each[layer].mean() for each in maps]).mean()) for layer in LAYER_WEIGHTS}
    return ScaledVgg(extract, {layer: max(unit, 1e-6) for layer, unit in units.items()})


def perceptual(output: Tensor, true: Tensor, vgg: ScaledVgg | None) -> Tensor:
    """The mean absolute difference of features of pictures (n, 3, h, w), place by place; without `vgg` of pixels."""
    if vgg is None:
        extract = windows.build(windows.Settings(), (False, False), None)
        sides = [list(extract(image, REDUCED).values()) for image in (output, true)]
        return torch.stack([F.l1_loss(*pair) for pair in zip(*sides, strict=True)]).mean()
    terms = []
    for one, other in zip(output.split(1), true.split(1), strict=True):
        with torch.no_grad():
            wanted = vgg(other, tuple(LAYER_WEIGHTS))
        pairs = zip(vgg(one, tuple(LAYER_WEIGHTS)), wanted, strict=True)
        terms += [weight * F.l1_loss(*pair) for weight, pair in zip(LAYER_WEIGHTS.values(), pairs, strict=False)]
    return torch.stack(terms).sum() / len(output)
