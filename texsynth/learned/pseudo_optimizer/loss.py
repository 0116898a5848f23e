"""The texture loss that Pseudo Optimizers lower, and its slopes, which they take in (Shi and Qiao 2020).

The sum over layers of 1e5 / 4 times the mean squared difference of the entries of the Gram matrices F F^T / M.
Differs from the paper in: each layer is divided by its mean on the exemplar, where theirs is a network scaled so that
every filter has mean 1; slopes are multiplied by the number of positions, so that they do not hang on the size of the
picture, and by what brings them near 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.losses.gram import gram

COEFFICIENT = 1e5  # of every layer
SLOPE = 10.0  # what that is in slopes


@dataclass(frozen=True)
class Wanted:
    """What an exemplar's features are like. grams: (C, C) by layer, of features divided by `units`, their mean."""

    grams: Mapping[str, Tensor]
    units: Mapping[str, Tensor]


@dataclass(frozen=True)
class Seen:
    """A picture's features beside what is wanted. maps: (1, C, h, w) by layer, as they are. apart: (C, C), their Gram
    matrices minus those wanted. units: what maps are divided by for that."""

    maps: Mapping[str, Tensor]
    apart: Mapping[str, Tensor]
    units: Mapping[str, Tensor]


def wanted(tables: Sequence[Mapping[str, Tensor]], shares: Sequence[float] = (1.0,)) -> Wanted:
    """From the feature vectors (N, C) of every layer of each exemplar, and how much that counts; the shares add up to
    1. A layer that some exemplar is too small for is left out."""
    grams, units = {}, {}
    for name in tables[0]:
        if all(name in table for table in tables):
            parts = [(share, table[name]) for share, table in zip(shares, tables, strict=True)]
            unit = torch.stack([share * vectors.mean() for share, vectors in parts]).sum().clamp(min=1e-12)
            units[name] = unit
            grams[name] = torch.stack([share * gram(vectors) for share, vectors in parts]).sum(0) / unit**2
    return Wanted(grams, units)


def compare(maps: Mapping[str, Tensor], target: Wanted) -> Seen:
    """The maps of a picture (1, C, h, w) beside what is wanted; layers that either lacks are left out."""
    shared = {name: layer for name, layer in maps.items() if name in target.grams}
    apart = {
        name: gram(layer[0].flatten(1).T) / target.units[name] ** 2 - target.grams[name]
        for name, layer in shared.items()
    }
    return Seen(shared, apart, target.units)


def terms(seen: Seen, layers: Sequence[str]) -> dict[str, Tensor]:
    """The texture loss by layer; those that are missing have none."""
    return {name: COEFFICIENT / 4 * seen.apart[name].square().mean() for name in layers if name in seen.apart}


def total(parts: Mapping[str, Tensor]) -> Tensor:
    """The sum of `terms`."""
    return torch.stack(list(parts.values())).sum()


def slopes(seen: Seen, layers: Sequence[str], how: str, keep: bool) -> dict[str, Tensor]:
    """The slope of the texture loss of some layers in each of their maps, (1, C, h, w) like these.

    how: "own", of a layer's own term, or "total", of the deeper ones' too, for which the maps need a graph in which
    they depend on one another. keep: shall the slopes be differentiable themselves?
    """
    known = [name for name in layers if name in seen.maps]
    if how == "own":
        made = {}
        for name in known:
            apart, layer = seen.apart[name], seen.maps[name]
            made[name] = torch.einsum("cd,bdhw->bchw", apart * (SLOPE / len(apart) ** 2 / seen.units[name]), layer)
    else:
        with torch.enable_grad():
            loss = total(terms(seen, known))
        found = torch.autograd.grad(loss, [seen.maps[name] for name in known], create_graph=keep, retain_graph=True)
        made = {
            name: slope * (seen.units[name] * slope[0, 0].numel() * (SLOPE / COEFFICIENT))
            for name, slope in zip(known, found, strict=True)
        }
    return made if keep else {name: slope.detach() for name, slope in made.items()}
