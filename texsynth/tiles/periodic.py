"""A texture that is to be blended wraps: its borders fade into a copy of itself that is moved by half its size.

Both have a mean of 0, and the sum is over the norm of the weights, so that the variance stays as it is; the size stays
too. A moved copy has its own borders in the middle, where it does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FADE = 1 / 8  # of a side: how far from a border its fade reaches
SEAMLESS = 1.25  # times the mean step between neighbours, that the mean step across a border may be


@dataclass(frozen=True)
class Fade:
    """How borders fade: the move (y, x) of the copy, in pixels, and how far a fade reaches from each border (y, x); 0
    where the texture wraps as it is."""

    move: tuple[int, int]
    reach: tuple[int, int]

    def times(self, factor: int) -> Fade:
        """The same of a map so many times as fine."""
        move, reach = ((a * factor, b * factor) for a, b in (self.move, self.reach))
        return Fade(move, reach)


def fade(image: Tensor, steps: tuple[float, float] = (1.0, 1.0)) -> Fade:
    """How the borders of a texture (1, C, H, W) fade; the copy moves by whole steps (y, x), in pixels, that map the
    texture onto itself."""
    size = image.shape[2], image.shape[3]
    move = [round(round(side / 2 / step) * step) for side, step in zip(size, steps, strict=True)]
    reach = [0 if _is_seamless(image, dim) else max(1, round(image.shape[dim] * FADE)) for dim in (2, 3)]
    return Fade((move[0], move[1]), (reach[0], reach[1]))


def _is_seamless(image: Tensor, dim: int) -> bool:
    """Does it wrap along a dimension without a seam?"""
    size = image.shape[dim]
    inside = (image.narrow(dim, 1, size - 1) - image.narrow(dim, 0, size - 1)).abs().mean()
    across = (image.narrow(dim, 0, 1) - image.narrow(dim, size - 1, 1)).abs().mean()
    return bool(across <= SEAMLESS * inside)


def faded(values: Tensor, how: Fade, common: Tensor) -> Tensor:
    """Values (1, C, H, W) with a mean of 0, so that they wrap. common: (C,), the share of the variance that the copy
    has in common with them."""
    for dim, reach in ((2, how.reach[0]), (3, how.reach[1])):
        if reach:
            values = _faded(values, dim, how.move[dim - 2], reach, common)
    return values


def _faded(values: Tensor, dim: int, move: int, reach: int, common: Tensor) -> Tensor:
    """The same along one dimension."""
    size = values.shape[dim]
    place = torch.arange(size) + 0.5
    share = (torch.minimum(place, size - place) / reach).clamp(max=1)
    share = share.reshape([-1 if dim == each else 1 for each in range(4)])
    same = common[None, :, None, None]
    norm = (same + (1 - same) * (share**2 + (1 - share) ** 2)).sqrt()
    return (values * share + values.roll(move, dim) * (1 - share)) / norm
