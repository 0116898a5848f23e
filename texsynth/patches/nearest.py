"""Nearest neighbours by matrix products: the least entry of each row, the nearest rows of tables, regular grids."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from texsynth.patches.cut import size_of

DISTANCES_AT_ONCE = 1 << 23  # entries of the matrix of distances that is held at once
LANE_WIDTH = 64  # numbers that a processor compares at a time, unrolled


def row_minimum(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The least entry of each row of (n, m) and its column, (n,) each; of equal entries any may be named.

    This is several times faster than `min(1)` on a processor: a row is folded into lanes of `span` columns, and the
    least over all lanes, a plain sweep over memory, comes first. The column and the lane then take little reading.
    """
    span = fold(matrix.shape[1])
    lanes = matrix.shape[1] // span
    if lanes < 2:
        return torch.min(matrix, 1)
    folded = matrix[:, : lanes * span].unflatten(1, (lanes, span))
    column = folded.amin(1).argmin(1)
    values, lane = folded[torch.arange(len(matrix), device=matrix.device), :, column].min(1)
    index = lane * span + column
    if lanes * span < matrix.shape[1]:
        rest, place = matrix[:, lanes * span :].min(1)
        index = torch.where(rest < values, place + lanes * span, index)
        values = torch.minimum(rest, values)
    return values, index


def fold(columns: int) -> int:
    """The width at which rows of so many columns are folded; a few columns are not."""
    span = LANE_WIDTH * max(1, round(math.sqrt(columns) / LANE_WIDTH))
    return span if columns >= 4 * span else columns


def nearest(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """For each query (n, D) the squared distance to the nearest key (m, D), and that key's number: (n,) each."""
    mean = keys.mean(0)  # products of numbers near zero lose little
    keys, queries = keys - mean, queries - mean
    half, turned = keys.square().sum(1) / 2, keys.T.contiguous()
    parts = queries.split(max(1, DISTANCES_AT_ONCE // len(keys)))
    number = torch.cat([torch.addmm(half, part, turned, alpha=-1).argmin(1) for part in parts])
    return (queries - keys[number]).square().sum(1), number


def stride(size: tuple[int, int], most: int) -> int:
    """The least step at which a regular grid over (rows, columns) has at most `most` positions."""
    step = max(1, math.isqrt(size[0] * size[1] // most))
    while -(-size[0] // step) * -(-size[1] // step) > most:
        step += 1
    return step


def sampled(layer: Tensor, most: int) -> Tensor:
    """The vectors of (1, C, h, w) on a regular grid of at most `most` positions: (n, C)."""
    step = stride(size_of(layer), most)
    return layer[0, :, ::step, ::step].flatten(1).T
