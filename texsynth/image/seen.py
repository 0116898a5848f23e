"""What a solver compares of colours: shares of their range, and of linear colours those that eyes tell apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.image.picture import Picture

LOWEST, SLOPE, POWER, OFFSET = 0.0031308, 12.92, 2.4, 0.055  # of the curve of sRGB (IEC 61966-2-1)


@dataclass(frozen=True)
class Range:
    """How the values of colours lie in the range of a solver, from 0 to 1.

    top: The value that is 1 there. is_linear: Are they linear light? They lie along the curve of sRGB then, so that
    equal steps look equal; below 0 along the same curve.
    """

    top: float = 1.0
    is_linear: bool = False

    def seen(self, values: Tensor) -> Tensor:
        """Values as shares of the range, some of which may be below 0."""
        shares = values / self.top
        return srgb_of(shares) if self.is_linear else shares

    def stored(self, shares: Tensor) -> Tensor:
        """The values of shares of the range."""
        return (light_of(shares) if self.is_linear else shares) * self.top

    def moved(self, values: Tensor, change: Tensor) -> Tensor:
        """Values to which shares of the range are added."""
        return self.stored(self.seen(values) + change) if self.is_linear else values + change * self.top

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """How far values are apart, as shares of the range."""
        if self.is_linear:
            return (self.seen(first) - self.seen(second)).abs_()
        return (first - second).abs_().div_(self.top)


def is_linear(picture: Picture) -> bool:
    """Are the colours of a picture linear light? Floats that say so."""
    return picture.depth.startswith("float") and picture.tags.is_linear


def srgb_of(light: Tensor) -> Tensor:
    """Linear light as values of sRGB; below 0 along the same curve."""
    size = light.abs()
    bent = torch.where(size <= LOWEST, SLOPE * size, (1 + OFFSET) * size ** (1 / POWER) - OFFSET)
    return bent.copysign_(light)


def light_of(bent: Tensor) -> Tensor:
    """Values of sRGB as linear light; below 0 along the same curve."""
    size = bent.abs()
    light = torch.where(size <= SLOPE * LOWEST, size / SLOPE, ((size + OFFSET) / (1 + OFFSET)) ** POWER)
    return light.copysign_(bent)
