"""Matrices of output patches against source patches, a bounded part at a time: what several losses share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

CACHE = 8 << 20  # bytes of a matrix that a processor still passes over quickly
FEWEST = 256  # rows below which matrix products slow down, whatever the cache holds
VECTOR = 64  # numbers that a processor compares at a time, unrolled

# What a loss makes of a feature map: its value, and its gradient where one is wanted
Work = Callable[[Tensor, bool], "tuple[Tensor, Tensor | None]"]


class _Ready(torch.autograd.Function):
    """A scalar whose gradient is worked out along with its value, so that nothing but the gradient is kept."""

    @staticmethod
    def forward(ctx: Any, layer: Tensor, work: Work) -> Tensor:
        value, gradient = work(layer, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None


def scalar(layer: Tensor, work: Work) -> Tensor:
    """`work(layer)` as a scalar that gradients flow through, once: there are no second derivatives."""
    value: Tensor = cast(Any, _Ready).apply(layer, work)  # torch types this differently from version to version
    return value


@dataclass(frozen=True)
class Tile:
    """A rectangle of a grid of patches: its corner and its size."""

    top: int
    left: int
    rows: int
    columns: int

    @property
    def count(self) -> int:
        return self.rows * self.columns

    def of(self, values: Tensor) -> Tensor:
        """Its part of a grid of values, as a view: (rows, columns)."""
        return values[self.top : self.top + self.rows, self.left : self.left + self.columns]

    def column(self, values: Tensor) -> Tensor:
        """The same one below the other: (count, 1)."""
        return self.of(values).reshape(-1, 1)

    def pixels(self, layer: Tensor, patch: int, stride: int) -> Tensor:
        """The part of a map (1, C, h, w) that its patches see, as a view."""
        height, width = ((n - 1) * stride + patch for n in (self.rows, self.columns))
        top, left = self.top * stride, self.left * stride
        return layer[:, :, top : top + height, left : left + width]


def tiles(grid: tuple[int, int], most: int, margin: int = 0) -> list[Tile]:
    """Cut a grid into rectangles of at most `most` patches, counting a margin at their bottom and right.

    Nearly square, so that margins cost little, and nearly equal. One patch at the least, whatever `most` is.
    """
    side = max(1, math.isqrt(most) - margin)
    rows = min(grid[0], side)
    columns = min(grid[1], max(1, most // (rows + margin) - margin))
    rows = min(grid[0], max(1, most // (columns + margin) - margin))
    return [
        Tile(top, left, height, width)
        for top, height in _spans(grid[0], rows)
        for left, width in _spans(grid[1], columns)
    ]


def _spans(length: int, most: int) -> Iterator[tuple[int, int]]:
    """Starts and lengths of nearly equal parts of at most `most`."""
    parts = -(-length // most)
    edges = [length * part // parts for part in range(parts + 1)]
    return ((start, end - start) for start, end in pairwise(edges))


def height(width: int, like: Tensor, memory: int) -> int:
    """How many rows of `width` numbers to treat at a time: within `memory` bytes and, on a processor, its cache."""
    row = width * like.element_size()
    limit = min(memory, max(CACHE, FEWEST * row)) if like.device.type == "cpu" else memory
    return max(1, limit // row)


def nearest(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The least number of each row of (n, m) and its column, several times faster than `min(1)` on a processor.

    A row is folded into lanes of `span` columns, and the least of all lanes is taken first: a plain sweep over memory.
    The search for the column and then the lane sees little of the row. Of equal numbers any may be named.
    """
    span = VECTOR * max(1, round(math.sqrt(matrix.shape[1]) / VECTOR))
    lanes = matrix.shape[1] // span
    if lanes < 4:
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
