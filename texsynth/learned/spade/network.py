"""SPADE's generator (Park et al. 2019) under maps of any size, with noise of position beside them, window by window.

The noise is a hash of absolute position, as that of texture networks is, and all that the generator does is local. So
windows that look far enough around them are parts of one and the same picture, and a picture wraps where its noise and
its maps do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.learned.shared import generator
from texsynth.learned.shared.generator import Generator
from texsynth.learned.texture_net.network import Window, noise
from texsynth.settings import setting

TO_VARIANCE_1 = math.sqrt(3)  # the factor that gives uniform noise in [-1, 1] a variance of 1


@dataclass(frozen=True)
class Shape(generator.Shape):
    """What shapes the network: SPADE's generator, with noise.

    noise: The channels of noise beside the maps.
    """

    noise: int = setting(4, low=0, high=64)


def noise_maps(
    shape: generator.Shape, key: int, window: Window, period: tuple[int, int], device: torch.device
) -> list[Tensor]:
    """Noise (1, noise, ...) of mean 0 and variance 1 on each of the window's grids, coarse to fine; () without noise.

    Each key in [0, 2^62) gives another picture. The window's corner, and the rows and columns after which the noise
    repeats (`period`, 0 for never), are multiples of the shape's `cell`.
    """
    if not shape.noise:
        return []
    maps = []
    for level, (rows, columns) in enumerate(shape.grids(window.size)):
        cell = shape.cell >> level
        top, left = window.top // cell, window.left // cell
        cells, every = Window(top, top + rows, left, left + columns), (period[0] // cell, period[1] // cell)
        maps.append((noise(key, level, shape.noise, cells, every, device) * 2 - 1) * TO_VARIANCE_1)
    return maps


def reach(shape: generator.Shape) -> int:
    """How many pixels around a window may change it, at most; a multiple of the shape's `cell`."""
    total = 4 * shape.cell + 1  # the first convolution, the two that read the maps there, and the last convolution
    for level in range(shape.levels + 1):
        blocks = 1 + (shape.more if level == min(1, shape.levels) else 0)
        total += 2 * blocks * (shape.cell >> level) + (shape.cell >> (level - 1) if level else 0)  # and doubling
    return -(-total // shape.cell) * shape.cell


def paint(net: Generator, condition: Tensor, key: int, window: Window, tile: tuple[bool, bool]) -> Tensor:
    """The colours (1, 3, h, w) of a window of the picture that a condition (1, C, H, W) and a key give.

    The window's corner, and sides that tile, are multiples of the shape's `cell`. Instance normalisation looks at the
    whole picture, which is then made for every window.
    """
    shape = net.shape
    whole = condition.shape[2], condition.shape[3]
    margin = max(whole) if shape.normalisation == "instance" else reach(shape)
    # Find the rows and columns around the window that change it.
    spans, wraps = [], []
    for start, stop, side, tiles in zip(
        (window.top, window.left), (window.bottom, window.right), whole, tile, strict=True
    ):
        first, last = start - margin, -(-(stop + margin) // shape.cell) * shape.cell
        if not tiles or last - first >= side:
            first, last = (0, side) if tiles else (max(0, first), min(side, last))
            wraps.append(tiles)
        else:
            wraps.append(False)  # the span goes on beyond the borders as far as that matters
        spans.append((first, last))
    (top, bottom), (left, right) = spans
    # Make that part of the picture, and cut the window out of it.
    rows, columns = (
        torch.arange(*span, device=condition.device) % side for span, side in zip(spans, whole, strict=True)
    )
    period = tuple(side if tiles else 0 for side, tiles in zip(whole, tile, strict=True))
    part = Window(top, bottom, left, right)
    maps = noise_maps(shape, key, part, (period[0], period[1]), condition.device)
    return window.of(part, net(condition[:, :, rows][:, :, :, columns], maps, (wraps[0], wraps[1])))
