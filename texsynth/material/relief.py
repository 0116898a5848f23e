"""Height maps and normal maps: each made out of the other, on surfaces that repeat or end at their borders.

A height is given in pixels, positive towards the viewer. A normal (x, y, z) has unit length, x to the right, y up the
picture and z to the viewer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows

Wraps = tuple[bool, bool]  # does a map repeat in (y, x)?


def normals(height: Tensor, strength: float, wraps: Wraps, device: torch.device) -> Tensor:
    """The unit normals (1, 3, H, W) of heights (1, 1, H, W) whose 1 stands for `strength` pixels, by central
    differences, one-sided at borders where the map does not repeat."""

    def make(top: int, bottom: int) -> Tensor:
        right, down = slopes(height, top, bottom, wraps, device)
        # y points up and rows are counted down, so that a surface that rises with the rows faces up.
        across = torch.cat([-strength * right, strength * down, torch.ones_like(right)], 1)
        return F.normalize(across, dim=1).cpu()

    return rows.composed((1, 3, *height.shape[2:]), make, height)


def slopes(height: Tensor, top: int, bottom: int, wraps: Wraps, device: torch.device) -> tuple[Tensor, Tensor]:
    """The differences of (1, 1, H, W) for a step to the right and for one down, each (1, 1, bottom - top, W)."""
    part = framed(height, top, bottom, 1, wraps).to(device)
    steps = [torch.full((size,), 2.0, device=device) for size in height.shape[2:]]
    for step, wrapped in zip(steps, wraps, strict=True):
        if not wrapped and len(step) > 1:  # the pixel beyond the border repeats the last one
            step[[0, -1]] = 1.0
    right = (part[:, :, 1:-1, 2:] - part[:, :, 1:-1, :-2]) / steps[1]
    down = (part[:, :, 2:, 1:-1] - part[:, :, :-2, 1:-1]) / steps[0][top:bottom, None]
    return right, down


def framed(values: Tensor, top: int, bottom: int, reach: int, wraps: Wraps) -> Tensor:
    """The rows of (1, C, H, W) from `top` to before `bottom` with `reach` more pixels on all four sides: those of the
    other side where the map repeats, else those of the border again."""
    height, width = values.shape[2:]
    down, across = torch.arange(top - reach, bottom + reach), torch.arange(-reach, width + reach)
    down = down % height if wraps[0] else down.clamp(0, height - 1)
    across = across % width if wraps[1] else across.clamp(0, width - 1)
    return values[:, :, down][:, :, :, across]


def encoded(vectors: Tensor, is_down: bool) -> Tensor:
    """Unit normals (1, 3, H, W) as colours in [0, 1], whose green points up, or down."""
    signs = torch.tensor([1.0, -1.0 if is_down else 1.0, 1.0])[:, None, None]
    return rows.changed(vectors, lambda part: (part * signs + 1) / 2)
