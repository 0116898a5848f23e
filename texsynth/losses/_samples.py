"""What losses that compare whole sets of patches share: the sets, draws from them, and the sum over layers.

A layer that some picture is too small for, or of which nothing may be used, adds nothing (Zhou et al. 2023 meet such
layers at their coarsest scale).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.losses import Features, Reference
from texsynth.losses._patches import cut, grid, usable


def tables(
    features: Features, patch: int, stride: int, tile: tuple[bool, bool] = (False, False), valid: Tensor | None = None
) -> dict[str, Tensor]:
    """The patches (N, D) of every layer that has any; with `valid` (1, 1, H, W) in pixels only those all of whose
    pixels are valid, and then nothing wraps."""
    out = {}
    for name, layer in features.items():
        size = layer.shape[2], layer.shape[3]
        if 0 in grid(size, patch, stride):
            continue
        vectors = cut(layer, patch, stride, tile)
        if valid is not None:
            vectors = vectors[usable(valid, size, patch, stride)]
        if len(vectors):
            out[name] = vectors
    return out


def learned(references: Sequence[Reference], patch: int, stride: int) -> dict[str, Tensor]:
    """The usable patches of all references together, (N, D) by layer."""
    found = [tables(r.features, patch, stride, valid=r.valid) for r in references]
    names = dict.fromkeys(name for table in found for name in table)
    return {name: torch.cat([table[name] for table in found if name in table]).detach() for name in names}


def draw(vectors: Tensor, most: int, rng: torch.Generator) -> Tensor | slice:
    """Which rows to look at: `most` at random without repeats, or all of them where there are no more or it is 0."""
    if not 0 < most < len(vectors):
        return slice(None)
    return torch.randperm(len(vectors), generator=rng)[:most].to(vectors.device)


def total(terms: Sequence[Tensor], features: Features) -> Tensor:
    """The sum of the layers' terms; where there is none, a zero whose gradient is zero too."""
    if terms:
        return torch.stack(list(terms)).sum()
    return torch.stack([layer.sum() for layer in features.values()]).sum() * 0
