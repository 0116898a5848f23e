"""Nearest rows of tables, by matrix products: what several metrics share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ENTRIES = 1 << 23  # of the matrix of distances that is held at once


def nearest(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """For each of (n, D) the squared distance to the nearest of (m, D), and that one's number: (n,) each."""
    middle = keys.mean(0)  # products of numbers near zero lose little
    keys, queries = keys - middle, queries - middle
    half, turned = keys.square().sum(1) / 2, keys.T.contiguous()
    parts = queries.split(max(1, ENTRIES // len(keys)))
    place = torch.cat([torch.addmm(half, part, turned, alpha=-1).argmin(1) for part in parts])
    return (queries - keys[place]).square().sum(1), place


def stride(size: tuple[int, int], most: int) -> int:
    """The least step at which a grid over (rows, columns) has at most so many places."""
    step = max(1, math.isqrt(size[0] * size[1] // most))
    while -(-size[0] // step) * -(-size[1] // step) > most:
        step += 1
    return step


def sampled(layer: Tensor, most: int) -> Tensor:
    """The vectors of (1, C, h, w) on a regular grid of at most so many places: (n, C)."""
    step = stride((layer.shape[2], layer.shape[3]), most)
    return layer[0, :, ::step, ::step].flatten(1).T
