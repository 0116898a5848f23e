"""The losses of CoCosNet (Zhang et al. 2020): differences of features, the contextual loss, warped labels and copies.

Features are centred and scaled by their size on the exemplars, layer by layer, so that weights mean the same for all
features; each layer counts half of the next deeper one.

Differs from the paper in: shallow layers count for more; the contextual loss centres by channel and not by pixel, and
may compare patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.patches.samples import draw, tables

BANDWIDTH = 0.1  # h of the contextual loss
SMALLEST_DISTANCE = 1e-3  # added to that of the nearest patch
SMALLEST_SIZE = 1e-6  # of what is divided by, or whose logarithm is taken


@dataclass(frozen=True)
class ScaledFeatures:
    """Layers of an extractor, shallow to deep, centred by their means (1, C, 1, 1) and divided by their mean sizes,
    both on the exemplars."""

    extract: Extract
    layers: tuple[str, ...]
    means: Mapping[str, Tensor]
    sizes: Mapping[str, Tensor]

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """The layers (1, C, h, w) of a picture (1, 3, H, W), without those that it has no room for."""
        maps = self.extract(image, self.layers)
        return {n: (maps[n] - self.means[n]) / self.sizes[n] for n in self.layers if n in maps and maps[n].numel()}


@torch.no_grad()
def scaled_features(extract: Extract, layers: Sequence[str], images: Sequence[Tensor]) -> ScaledFeatures:
    """Those of the layers that all of these pictures have room for."""
    maps = [extract(image, layers) for image in images]
    names = [layer for layer in layers if all(layer in each and each[layer].numel() for each in maps)]
    means = {n: torch.stack([each[n].mean((2, 3), keepdim=True) for each in maps]).mean(0) for n in names}
    sizes = {
        n: torch.stack([(each[n] - means[n]).abs().mean() for each in maps]).mean().clamp(min=SMALLEST_SIZE)
        for n in names
    }
    return ScaledFeatures(extract, tuple(names), means, sizes)


def shares(names: Sequence[str]) -> list[float]:
    """The weight of each layer: 1 for the deepest, and half of the next one's for each other."""
    return [0.5 ** (len(names) - 1 - n) for n in range(len(names))]


def differences(output: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum of the layers' mean absolute differences, position by position."""
    terms = [share * F.l1_loss(output[n], truth[n]) for n, share in zip(output, shares(list(output)), strict=True)]
    return torch.stack(terms).sum()


def contextual(
    output: Mapping[str, Tensor], exemplar: Mapping[str, Tensor], patch: int, count: int, rng: torch.Generator
) -> Tensor:
    """How surely each patch of the output is like one patch of the exemplar; 0 for the exemplar itself.

    This is minus the logarithm of the mean share that an output patch gives its best match, weighted over the layers.
    count: how many patches of side `patch` are drawn on either side, at most, anew at every call.
    """
    sides = [tables(side, patch, 1) for side in (output, exemplar)]
    names = [name for name in sides[0] if name in sides[1]]
    terms = [next(iter(output.values())).sum() * 0]
    for name, share in zip(names, shares(names), strict=True):
        patches, sources = (side[name][draw(side[name], count, rng)] for side in sides)
        distance = (1 - F.normalize(patches) @ F.normalize(sources).T).clamp(min=0)
        relative = distance / (distance.amin(1, keepdim=True) + SMALLEST_DISTANCE)
        terms.append(-share * ((1 - relative) / BANDWIDTH).softmax(1).amax(1).mean().log())
    return torch.stack(terms).sum()


def mask_warp(warped: Tensor, target: Tensor, exemplar: Tensor) -> Tensor:
    """Minus the log-likelihood of the target's labels in warped ones, over the cells whose label the exemplar has; 0
    without any. All are shares of labels in each cell, (1, L, h, w)."""
    available = exemplar.amax((2, 3)) > 0.5  # some cell is mostly of that label
    labels = target.argmax(1)
    counts = available[0][labels]
    likelihood = warped.gather(1, labels[:, None])[:, 0].clamp(min=SMALLEST_SIZE).log()
    return -(likelihood * counts).sum() / counts.sum().clamp(min=1)


def copied(picture: Tensor, exemplar: Tensor) -> float:
    """How much a picture is the exemplar, pixel by pixel in its place: their correlation, 1 for a copy."""
    sides = torch.stack([x.detach().flatten() for x in (picture, exemplar)])
    sides = sides - sides.mean(1, keepdim=True)
    lengths = sides.norm(dim=1).clamp(min=SMALLEST_SIZE)
    return float((sides[0] * sides[1]).sum() / lengths.prod())
