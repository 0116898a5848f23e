"""The texture loss that Pseudo Optimizers lower, and its gradients, which are their input (Shi and Qiao 2020).

The loss is the sum over layers of 1e5 / 4 times the mean squared difference of the entries of the Gram matrices
F F^T / M, where F holds the features of a layer at its M positions.

Differs from the paper in: each layer is divided by its mean on the exemplar, where the paper scales the network so that
every filter has mean 1; gradients are multiplied by the number of positions, so that they do not depend on the size of
the picture, and by a factor that brings them near 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses.gram import gram

COEFFICIENT = 1e5  # of every layer in the loss
GRADIENT_COEFFICIENT = 10.0  # of every layer in the gradients


@dataclass(frozen=True)
class TextureTarget:
    """The statistics of an exemplar's features.

    grams: the Gram matrix (C, C) of each layer, of features divided by their unit.
    units: the mean of each layer's features, ().
    """

    grams: Mapping[str, Tensor]
    units: Mapping[str, Tensor]


@dataclass(frozen=True)
class GramComparison:
    """The features of a picture, compared with a target.

    maps: the features (1, C, h, w) of each layer.
    differences: the picture's Gram matrix minus the target's, (C, C), of each layer.
    units: the units of the target.
    """

    maps: Mapping[str, Tensor]
    differences: Mapping[str, Tensor]
    units: Mapping[str, Tensor]


def target_of(tables: Sequence[Mapping[str, Tensor]], shares: Sequence[float] = (1.0,)) -> TextureTarget:
    """Mix the statistics of exemplars by their shares, which add up to 1; layers that one is too small for go missing.

    tables: the feature vectors (N, C) of every layer, for each exemplar.
    """
    grams, units = {}, {}
    for name in tables[0]:
        if all(name in table for table in tables):
            parts = [(share, table[name]) for share, table in zip(shares, tables, strict=True)]
            unit = torch.stack([share * vectors.mean() for share, vectors in parts]).sum().clamp(min=1e-12)
            units[name] = unit
            grams[name] = torch.stack([share * gram(vectors) for share, vectors in parts]).sum(0) / unit**2
    return TextureTarget(grams, units)


def compare(maps: Mapping[str, Tensor], target: TextureTarget) -> GramComparison:
    """Compare the features (1, C, h, w) of a picture with a target, on the layers that both have."""
    shared = {name: layer for name, layer in maps.items() if name in target.grams}
    differences = {
        name: gram(layer[0].flatten(1).T) / target.units[name] ** 2 - target.grams[name]
        for name, layer in shared.items()
    }
    return GramComparison(shared, differences, target.units)


def terms(comparison: GramComparison, layers: Sequence[str]) -> dict[str, Tensor]:
    """The texture loss of each of these layers that the comparison has."""
    differences = comparison.differences
    return {name: COEFFICIENT / 4 * differences[name].square().mean() for name in layers if name in differences}


def total(parts: Mapping[str, Tensor]) -> Tensor:
    """The sum of `terms`."""
    return torch.stack(list(parts.values())).sum()


def gradients(comparison: GramComparison, layers: Sequence[str], how: str, keep: bool) -> dict[str, Tensor]:
    """The gradient of the texture loss with respect to the features of each of these layers, of their shape.

    how: "own", of the layer's own term, or "total", of the sum over all of these layers, whose features must have a
        graph in which the deeper ones depend on the others.
    keep: whether the gradients can be differentiated themselves.
    """
    names = [name for name in layers if name in comparison.maps]
    maps, units = comparison.maps, comparison.units
    if how == "own":
        result = {}
        for name in names:
            difference = comparison.differences[name]
            scale = GRADIENT_COEFFICIENT / len(difference) ** 2 / units[name]
            result[name] = torch.einsum("cd,bdhw->bchw", difference * scale, maps[name])
    else:
        with torch.enable_grad():
            loss = total(terms(comparison, names))
        raw = torch.autograd.grad(loss, [maps[name] for name in names], create_graph=keep, retain_graph=True)
        result = {
            name: gradient * (units[name] * gradient[0, 0].numel() * (GRADIENT_COEFFICIENT / COEFFICIENT))
            for name, gradient in zip(names, raw, strict=True)
        }
    return result if keep else {name: gradient.detach() for name, gradient in result.items()}
