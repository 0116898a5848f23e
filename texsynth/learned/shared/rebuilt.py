"""How well a crop was rebuilt: what the auxiliary decoder of MSCA learns, and the losses of a made crop.

Where a texture's grain lies is nothing that labels could tell. So without VGG-19, whose deep features forgive that,
only reduced pixels are compared place by place, and the grain as distributions of patches, one for each label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract, windows
from texsynth.learned.msca.network import Shape
from texsynth.learned.shared.generator import continued, resized

PERCEPTUAL = {"relu1_2": 1 / 8, "relu2_2": 1 / 4, "relu3_2": 1 / 2, "relu3_4": 1.0}  # as SPADE's weights rise
PLACES = ("quarter", "eighth")
CONTRAST = 4.0  # by which contrasts are about as large as colours


@dataclass(frozen=True)
class Seer:
    """VGG-19, and what its layers are divided by: their means on the exemplars, by name."""

    extract: Extract
    units: Mapping[str, float]

    def __call__(self, image: Tensor, layers: Sequence[str]) -> list[Tensor]:
        found = self.extract(image, layers)
        return [found[layer] / self.units[layer] for layer in layers if layer in found]


@torch.no_grad()
def seer(extract: Extract, images: Sequence[Tensor]) -> Seer:
    """With units from these pictures (1, 3, H, W)."""
    found = [extract(image, tuple(PERCEPTUAL)) for image in images]
    units = {layer: float(torch.stack([f[layer].mean() for f in found]).mean()) for layer in PERCEPTUAL}
    return Seer(extract, {layer: max(unit, 1e-6) for layer, unit in units.items()})


@torch.no_grad()
def goals(image: Tensor, shape: Shape, see: Seer | None) -> list[Tensor]:
    """What the auxiliary decoder shall find of a picture (1, 3, h, w), coarse to fine: features of VGG-19, reduced
    where it has no layer of that scale; or colours beside how far pixels are from the mean of their neighbours."""
    grids = shape.grids((image.shape[2], image.shape[3]))
    whole = continued(image, grids[-1])
    if see is not None:
        found = see(whole, shape.layers)
        return [resized(found[-1], grid, "bilinear") for grid in grids[: -len(found)]] + found[::-1]
    reduced = [resized(whole, grid, "bilinear") for grid in grids]
    apart = (whole - F.avg_pool2d(whole, 3, 1, 1, count_include_pad=False)).abs() * CONTRAST
    return [
        torch.cat([colours, resized(apart, grid, "bilinear")], 1) for colours, grid in zip(reduced, grids, strict=True)
    ]


def perceptual(made: Tensor, true: Tensor, see: Seer | None) -> Tensor:
    """The mean absolute difference of what is seen in pictures (n, 3, h, w), place by place."""
    if see is None:
        look = windows.build(windows.Settings(), (False, False), None)
        sides = [list(look(image, PLACES).values()) for image in (made, true)]
        return torch.stack([F.l1_loss(*pair) for pair in zip(*sides, strict=True)]).mean()
    terms = []
    for one, other in zip(made.split(1), true.split(1), strict=True):
        with torch.no_grad():
            wanted = see(other, tuple(PERCEPTUAL))
        found = see(one, tuple(PERCEPTUAL))
        terms += [
            w * F.l1_loss(*pair) for w, pair in zip(PERCEPTUAL.values(), zip(found, wanted, strict=True), strict=False)
        ]
    return torch.stack(terms).sum() / len(made)
