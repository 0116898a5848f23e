"""Raw windows of pixels, projected on their leading principal directions: the weight-free descriptor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Basis:
    """kernel: (D, 3, k, k) principal directions; mean: (D,) projected mean; variance: total variance of the windows,
    the unit in which all distances are given."""

    kernel: Tensor
    mean: Tensor
    variance: float

    @property
    def patch(self) -> int:
        """Side of the windows, odd."""
        return int(self.kernel.shape[-1])

    def describe(self, padded: Tensor) -> Tensor:
        """(1, 3, H + k - 1, W + k - 1) -> (H * W, D), in units where the squared norm of an average window is 1."""
        out = F.conv2d(padded, self.kernel)[0]
        scale = self.variance**-0.5
        table: Tensor = (out.flatten(1).T - self.mean) * scale
        return table.contiguous()


def fit(images: list[Tensor], patch: int, components: int, rng: torch.Generator, samples: int = 8192) -> Basis:
    """Principal directions of up to `samples` random k x k windows drawn from `images`, each (1, 3, H, W), H, W >= k.

    A Gaussian window weights the centre over the corners (sigma = patch / 3): corners far from the pixel that is
    copied should not outvote its neighbours.
    """
    per = samples // len(images) + 1
    windows = torch.cat([_draw(image, patch, per, rng) for image in images])
    ramp = torch.arange(patch, device=windows.device) - patch // 2
    g = torch.exp(-(ramp.float() ** 2) / (2 * (patch / 3) ** 2))
    weight = (g[:, None] * g[None, :]).sqrt().expand(3, patch, patch).flatten()
    centred = (windows - windows.mean(0)) * weight
    covariance = centred.T @ centred / len(centred)
    values, vectors = torch.linalg.eigh(covariance.cpu().double())  # mps has no float64
    kernel = vectors[:, -min(components, len(values)) :].flip(1).float().to(weight.device) * weight[:, None]
    variance = max(values.clamp(min=0).sum().item(), 1e-8)
    mean = windows.mean(0) @ kernel
    return Basis(kernel.T.reshape(-1, 3, patch, patch).contiguous(), mean, variance)


def _draw(image: Tensor, patch: int, count: int, rng: torch.Generator) -> Tensor:
    h, w = image.shape[2] - patch + 1, image.shape[3] - patch + 1
    at = torch.randint(h * w, (count,), generator=rng).to(image.device)
    span = torch.arange(patch, device=image.device)
    ys = (at // w)[:, None, None] + span[None, :, None]
    xs = (at % w)[:, None, None] + span[None, None, :]
    return image[0][:, ys, xs].permute(1, 0, 2, 3).reshape(count, -1)  # (count, 3 * k * k)
