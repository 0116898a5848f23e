"""Tensors that several tests start from, the same ones every time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=generator(seed))


def spots(h: int, w: int, seed: int = 0) -> Tensor:
    """A picture with structure: smooth spots some six pixels across that never repeat, (1, 3, h, w) in [0, 1]."""
    rough = F.pad(noise(1, 3, h, w, seed=seed), (4,) * 4, mode="reflect")
    smooth = F.avg_pool2d(F.avg_pool2d(rough, 5, 1), 5, 1)
    return ((smooth - 0.5) * 6 + 0.5).clamp(0, 1)
