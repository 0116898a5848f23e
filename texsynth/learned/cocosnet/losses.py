"""What CoCosNet (Zhang et al. 2020) compares its pictures by: feature differences, contextual loss, masks and copies.

Features are centred and scaled by their size on the exemplars, layer by layer, so that weights mean the same whatever
is looked at; each layer counts half of the next deeper one.

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

EPSILON = 1e-3  # beside the least distance
H = 0.1  # bandwidth
TINY = 1e-6


@dataclass(frozen=True)
class Look:
    """Layers of an extractor, shallow to deep, and of each its mean and size on the exemplars."""

    extract: Extract
    layers: tuple[str, ...]
    means: Mapping[str, Tensor]
    sizes: Mapping[str, Tensor]

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """A picture (1, 3, H, W) -> its layers (1, C, h, w), centred and scaled; those that it has room for."""
        found = self.extract(image, self.layers)
        return {n: (found[n] - self.means[n]) / self.sizes[n] for n in self.layers if n in found and found[n].numel()}


@torch.no_grad()
def look(extract: Extract, layers: Sequence[str], images: Sequence[Tensor]) -> Look:
    """The layers as they are seen on these pictures."""
    seen = [extract(image, layers) for image in images]
    known = [layer for layer in layers if all(layer in s and s[layer].numel() for s in seen)]
    means = {n: torch.stack([s[n].mean((2, 3), keepdim=True) for s in seen]).mean(0) for n in known}
    sizes = {n: torch.stack([(s[n] - means[n]).abs().mean() for s in seen]).mean().clamp(min=TINY) for n in known}
    return Look(extract, tuple(known), means, sizes)


def shares(names: Sequence[str]) -> list[float]:
    """How much each layer counts: the deepest 1, each half of the next."""
    return [0.5 ** (len(names) - 1 - n) for n in range(len(names))]


def differences(made: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> Tensor:
    """The weighed mean absolute differences of layers, at the same positions."""
    terms = [share * F.l1_loss(made[n], true[n]) for n, share in zip(made, shares(list(made)), strict=True)]
    return torch.stack(terms).sum()


def contextual(
    made: Mapping[str, Tensor], exemplar: Mapping[str, Tensor], patch: int, most: int, rng: torch.Generator
) -> Tensor:
    """How surely each patch of the output, up to `most` drawn anew, is like one patch of the exemplar: minus the
    logarithm of the mean of what it takes of the best, weighed over the layers. 0 for the exemplar itself."""
    sides = [tables(side, patch, 1) for side in (made, exemplar)]
    names = [name for name in sides[0] if name in sides[1]]
    terms = [next(iter(made.values())).sum() * 0]
    for name, share in zip(names, shares(names), strict=True):
        some, known = (side[name][draw(side[name], most, rng)] for side in sides)
        distance = (1 - F.normalize(some) @ F.normalize(known).T).clamp(min=0)
        relative = distance / (distance.amin(1, keepdim=True) + EPSILON)
        terms.append(-share * ((1 - relative) / H).softmax(1).amax(1).mean().log())
    return torch.stack(terms).sum()


def mask_warp(warped: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Minus the log-likelihood of the target's labels in warped ones, where the exemplar has the label; 0 without any.

    warped (1, L, h, w), wanted (1, L, h, w): shares of labels in each cell; known (1, L, H, W): those of the exemplar.
    """
    there = known.amax((2, 3)) > 0.5  # some cell is mostly of that label
    labels = wanted.argmax(1)
    counts = there[0][labels]
    chosen = warped.gather(1, labels[:, None])[:, 0].clamp(min=TINY).log()
    return -(chosen * counts).sum() / counts.sum().clamp(min=1)


def copied(picture: Tensor, exemplar: Tensor) -> float:
    """How much a picture is the exemplar, pixel by pixel in its place: their correlation, 1 for a copy."""
    sides = torch.stack([x.detach().flatten() for x in (picture, exemplar)])
    sides = sides - sides.mean(1, keepdim=True)
    lengths = sides.norm(dim=1).clamp(min=TINY)
    return float((sides[0] * sides[1]).sum() / lengths.prod())
