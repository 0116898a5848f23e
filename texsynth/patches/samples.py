"""The patches of all layers as tables, how much each of them counts, and random draws of their rows.

A layer that is too small for a patch, or without a usable patch, has no table (Zhou et al. 2023 meet such layers at
their coarsest scale).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.patches.cut import OPEN, cut, grid, patch_weights, size_of, usable


def tables(
    features: Mapping[str, Tensor], patch: int, stride: int, tile: tuple[bool, bool] = OPEN, valid: Tensor | None = None
) -> dict[str, Tensor]:
    """The patches of every layer that has any, (N, D) by layer.

    valid: (1, 1, H, W) bool in pixels. With it, only patches on valid pixels are taken, and nothing wraps.
    """
    out = {}
    for name, layer in features.items():
        if 0 in grid(size_of(layer), patch, stride):
            continue
        vectors = cut(layer, patch, stride, tile)
        if valid is not None:
            vectors = vectors[usable(valid, size_of(layer), patch, stride)]
        if len(vectors):
            out[name] = vectors
    return out


def table_weights(
    pixel_weights: Tensor | None,
    features: Mapping[str, Tensor],
    patch: int,
    stride: int,
    tile: tuple[bool, bool] = OPEN,
) -> dict[str, Tensor | None]:
    """How much each row of `tables` counts, (N,) by layer; None for every layer where all rows count alike."""
    if pixel_weights is None:
        return dict.fromkeys(features)
    large = {name: layer for name, layer in features.items() if 0 not in grid(size_of(layer), patch, stride)}
    return {name: patch_weights(pixel_weights, layer, patch, stride, tile).flatten() for name, layer in large.items()}


def draw(vectors: Tensor, most: int, rng: torch.Generator, weights: Tensor | None = None) -> Tensor | slice:
    """The numbers of some rows: `most` at random without repeats, or all where there are no more or `most` is 0.

    weights: (N,), how much each row counts; rows of weight 0 are never drawn. Where weights differ, as many rows as
    have one, but at most `most`, are drawn in proportion to them, with repeats.
    """
    if weights is None:
        return _permuted(len(vectors), most, rng, vectors) if 0 < most < len(vectors) else slice(None)
    rows = (weights > 0).nonzero()[:, 0]
    positive = weights[rows]
    if not len(rows) or bool((positive == positive[0]).all()):
        return rows[_permuted(len(rows), most, rng, rows)] if 0 < most < len(rows) else rows
    number = min(most or len(rows), len(rows))
    ends = positive.cpu().double().cumsum(0)  # torch.multinomial takes at most 2^24 rows
    at = torch.rand(number, generator=rng, dtype=torch.float64) * ends[-1]
    return rows[torch.searchsorted(ends, at, right=True).clamp(max=len(rows) - 1).to(rows.device)]


def _permuted(count: int, most: int, rng: torch.Generator, like: Tensor) -> Tensor:
    return torch.randperm(count, generator=rng)[:most].to(like.device)
