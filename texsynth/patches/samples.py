"""The patches of all layers as tables, and random draws of their rows.

A layer that is too small for a patch, or without a usable patch, has no table (Zhou et al. 2023 meet such layers at
their coarsest scale).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.patches.cut import OPEN, cut, grid, size_of, usable


def tables(
    features: Mapping[str, Tensor], patch: int, stride: int, tile: tuple[bool, bool] = OPEN, valid: Tensor | None = None
) -> dict[str, Tensor]:
    """The patches of every layer that has any, (N, D) by layer.

    valid: (1, 1, H, W) bool in pixels. With it, only patches on valid pixels are taken, and nothing wraps.
    """
    large = {name: layer for name, layer in features.items() if 0 not in grid(size_of(layer), patch, stride)}
    every = {name: cut(layer, patch, stride, tile) for name, layer in large.items()}
    if valid is not None:
        every = {name: rows[usable(valid, size_of(large[name]), patch, stride)] for name, rows in every.items()}
    return {name: rows for name, rows in every.items() if len(rows)}


def draw(vectors: Tensor, most: int, rng: torch.Generator, weights: Tensor | None = None) -> Tensor | slice:
    """The numbers of some rows: `most` at random without repeats, or all where there are no more or `most` is 0.

    weights: (N,), how much each row counts; rows of weight 0 are never drawn. Where weights differ, as many rows as
    have one, but at most `most`, are drawn in proportion to them, with repeats.
    """
    if weights is None:
        count = len(vectors)
        return torch.randperm(count, generator=rng)[:most].to(vectors.device) if 0 < most < count else slice(None)
    rows = (weights > 0).nonzero()[:, 0]
    positive = weights[rows]
    if not len(rows) or bool((positive == positive[0]).all()):
        return rows[draw(rows, most, rng)]
    number = min(most or len(rows), len(rows))
    ends = positive.cpu().double().cumsum(0)  # torch.multinomial takes at most 2^24 rows
    at = torch.rand(number, generator=rng, dtype=torch.float64) * ends[-1]
    return rows[torch.searchsorted(ends, at, right=True).clamp(max=len(rows) - 1).to(rows.device)]
