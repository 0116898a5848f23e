"""Gaussian filters that several guides share; at borders they average what there is and invent nothing beyond."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def separable(image: Tensor, down: Tensor, across: Tensor, padding: int = 0) -> Tensor:
    """Correlate every channel of (1, C, H, W) with one kernel down and one across, zeros beyond the border."""
    planes = image.transpose(0, 1)  # (C, 1, H, W): channels as a batch run faster than as groups
    planes = F.conv2d(planes, down.view(1, 1, -1, 1), padding=(padding, 0))
    return F.conv2d(planes, across.view(1, 1, 1, -1), padding=(0, padding)).transpose(0, 1)


def gaussian(sigma: float, like: Tensor, radius: int | None = None) -> Tensor:
    """A Gaussian on whole pixels that sums to one, cut at three deviations: (2 radius + 1,)."""
    radius = max(1, math.ceil(3 * sigma)) if radius is None else radius
    ramp = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    kernel = torch.exp(-(ramp**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def blur(image: Tensor, sigma: float, weight: Tensor | None = None) -> Tensor:
    """Weighted Gaussian mean of (1, C, H, W) around each pixel; weight (1, 1, H, W) >= 0, by default 1 everywhere. A
    pixel that sees no weight at all becomes 0."""
    weight = torch.ones_like(image[:, :1]) if weight is None else weight
    kernel = gaussian(sigma, image)
    both = separable(torch.cat([image * weight, weight], 1), kernel, kernel, len(kernel) // 2)
    return both[:, :-1] / both[:, -1:].clamp(min=1e-12)
