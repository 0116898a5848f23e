"""Matrices of output patches against source patches, one bounded part at a time.

A loss over such a matrix goes through it in parts (`tiles` of the output's grid, or `rows_at_once`), and works out its
gradient on the way (`with_gradient`), so that no part has to be kept for a backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, cast

import torch
from torch import Tensor

CACHED_BYTES = 8 << 20  # of a matrix that a processor still passes over quickly
FEWEST_ROWS = 256  # below which matrix products slow down, whatever the cache holds

# (feature map, whether a gradient is needed) -> the value of a loss, and its gradient where one is needed
Evaluate = Callable[[Tensor, bool], "tuple[Tensor, Tensor | None]"]


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: Tensor, evaluate: Evaluate) -> Tensor:
        value, gradient = evaluate(layer, ctx.needs_input_grad[0])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None


def with_gradient(layer: Tensor, evaluate: Evaluate) -> Tensor:
    """`evaluate(layer)` as a scalar that its gradient flows back through; there are no second derivatives."""
    value: Tensor = cast(Any, _WithGradient).apply(layer, evaluate)  # typed differently by different versions of torch
    return value


@dataclass(frozen=True)
class Tile:
    """A rectangle of a grid of patches."""

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
        """Its part of a grid of values, as one column: (count, 1)."""
        return self.of(values).reshape(-1, 1)

    def pixels(self, layer: Tensor, patch: int, stride: int) -> Tensor:
        """The part of a map (1, C, h, w) that its patches cover, as a view."""
        height, width = ((n - 1) * stride + patch for n in (self.rows, self.columns))
        top, left = self.top * stride, self.left * stride
        return layer[:, :, top : top + height, left : left + width]


def tiles(grid: tuple[int, int], most: int, margin: int = 0) -> list[Tile]:
    """Cut a grid into rectangles of at most `most` patches, counting a margin at their bottom and right.

    They are nearly square, so that margins cost little, and nearly equal; each has at least one patch.
    """
    rows = min(grid[0], max(1, math.isqrt(most) - margin))
    columns = min(grid[1], max(1, most // (rows + margin) - margin))
    rows = min(grid[0], max(1, most // (columns + margin) - margin))
    spans = product(_spans(grid[0], rows), _spans(grid[1], columns))
    return [Tile(top, left, height, width) for (top, height), (left, width) in spans]


def _spans(length: int, most: int) -> Iterator[tuple[int, int]]:
    """The starts and lengths of nearly equal parts of at most `most`."""
    parts = -(-length // most)
    edges = [length * part // parts for part in range(parts + 1)]
    return ((start, end - start) for start, end in pairwise(edges))


def rows_at_once(width: int, like: Tensor, memory: int) -> int:
    """How many rows of `width` numbers to treat at a time: within `memory` bytes and, on a processor, its cache."""
    row = width * like.element_size()
    limit = min(memory, max(CACHED_BYTES, FEWEST_ROWS * row)) if like.device.type == "cpu" else memory
    return max(1, limit // row)
