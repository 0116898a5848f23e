"""What losses that compare whole sets of patches share: the sets, draws from them, and the sum over layers.

A layer that some picture is too small for, or of which nothing may be used, adds nothing (Zhou et al. 2023 meet such
layers at their coarsest scale).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from texsynth.losses import Features, Reference
from texsynth.patches.cut import cut, grid, usable, wanted


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


def counts(
    share: Tensor | None, features: Features, patch: int, stride: int, tile: tuple[bool, bool] = (False, False)
) -> dict[str, Tensor | None]:
    """How much each patch of `tables` counts, (N,) by layer; None where nothing says that they differ."""
    if share is None:
        return dict.fromkeys(features)
    fits = {name: m for name, m in features.items() if 0 not in grid((m.shape[2], m.shape[3]), patch, stride)}
    return {name: wanted(share, layer, patch, stride, tile).flatten() for name, layer in fits.items()}


def draw(vectors: Tensor, most: int, rng: torch.Generator, shares: Tensor | None = None) -> Tensor | slice:
    """Which rows to look at: `most` at random without repeats, or all of them where there are no more or it is 0.

    shares: (N,), how much each row counts, those with 0 not at all. Where they differ, rows are drawn in proportion to
    them, with repeats: as many as count, and at most `most`.
    """
    if shares is None:
        return _some(len(vectors), most, rng, vectors) if 0 < most < len(vectors) else slice(None)
    rows = (shares > 0).nonzero()[:, 0]
    some = shares[rows]
    if not len(rows) or bool((some == some[0]).all()):
        return rows[_some(len(rows), most, rng, rows)] if 0 < most < len(rows) else rows
    number = min(most or len(rows), len(rows))
    ends = some.cpu().double().cumsum(0)  # not multinomial, which knows 2^24 rows at most
    at = torch.rand(number, generator=rng, dtype=torch.float64) * ends[-1]
    return rows[torch.searchsorted(ends, at, right=True).clamp(max=len(rows) - 1).to(rows.device)]


def _some(count: int, most: int, rng: torch.Generator, like: Tensor) -> Tensor:
    return torch.randperm(count, generator=rng)[:most].to(like.device)


def total(terms: Sequence[Tensor], features: Features) -> Tensor:
    """The sum of the layers' terms; where there is none, a zero whose gradient is zero too."""
    if terms:
        return torch.stack(list(terms)).sum()
    return torch.stack([layer.sum() for layer in features.values()]).sum() * 0
