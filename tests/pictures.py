"""Tensors that several tests start from, the same ones every time."""

from __future__ import annotations

import numpy as np
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


def directions(*size: int, seed: int = 0) -> Tensor:
    """A smooth field of directions (1, 2, *size) that turns by more than half a turn."""
    y, x = torch.meshgrid(*(torch.linspace(0, 1, n) for n in size), indexing="ij")
    angle = 1 + seed + 3 * x - 2 * y * x
    return torch.stack([angle.cos(), angle.sin()])[None]


def bytes_of(image: Tensor) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> (H, W, C) of 8 bits."""
    return (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def bumps(h: int, w: int, steepness: float = 1.5, seed: int = 2) -> Tensor:
    """The unit normals (1, 3, h, w), y up, of a bumpy surface."""
    slopes = (spots(h, w, seed)[:, :2] - 0.5) * 2 * steepness
    return F.normalize(torch.cat([slopes, torch.ones(1, 1, h, w)], 1), dim=1)


def pattern(name: str, h: int, w: int) -> np.ndarray:
    """A picture of two colours whose every window tells how it goes on, (h, w, 3) of 8 bits."""
    y, x = np.mgrid[:h, :w]
    light = {
        "stripes": x % 8 < 3,
        "slashes": (x + y) % 10 < 4,
        "bricks": (y % 8 < 2) | ((x + (y // 8 % 2) * 8) % 16 < 2),
        "checks": (x // 6 + y // 6) % 2 == 1,
    }[name]
    return np.where(light[..., None], (210, 190, 170), (60, 70, 80)).astype(np.uint8)


def box(h: int, w: int, *sides: tuple[int, int, int, int]) -> np.ndarray:
    """A mask (h, w) bool, True in boxes (top, bottom, left, right)."""
    mask = np.zeros((h, w), bool)
    for top, bottom, left, right in sides:
        mask[top:bottom, left:right] = True
    return mask


def mask(h: int, w: int, *sides: tuple[int, int, int, int]) -> Tensor:
    """A mask (1, 1, h, w) bool, True in boxes (top, bottom, left, right)."""
    return torch.from_numpy(box(h, w, *sides))[None, None]


def white(size: tuple[int, int], *parts: tuple[slice, slice]) -> np.ndarray:
    """A mask (h, w) of 8 bits, white in these parts."""
    mask = np.zeros(size, np.uint8)
    for part in parts:
        mask[part] = 255
    return mask


def identity(h: int, w: int) -> Tensor:
    """The (y, x) of every pixel, (1, 2, h, w)."""
    return torch.stack(torch.meshgrid(torch.arange(float(h)), torch.arange(float(w)), indexing="ij"))[None]


def places(h: int, w: int) -> np.ndarray:
    """A 16-bit map in which every pixel has its own value: y * w + x."""
    return np.arange(h * w, dtype=np.uint16).reshape(h, w)
