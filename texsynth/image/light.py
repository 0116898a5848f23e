"""Even out slow changes of light in an exemplar: a vignette or a shadow would otherwise come back as blotches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.pyramid import shrink

SCALE = 0.25  # of the shorter side: what changes over less than that is texture, not light
SMALL = 128  # pixels of the shorter side at which light is slow enough to be measured
FLOOR = 0.02  # brightness that counts as black: no gain is computed from less


def flatten(image: Tensor) -> tuple[Tensor, str]:
    """Divide (1, 3, H, W) in [0, 1] by its own slow illumination; returns it with a line that says what was done.

    Illumination is a quadratic surface through the log luminance times the blur of what that leaves (Gaussian, a
    quarter of the shorter side); the gain keeps the geometric mean. Hues are kept; values above 1 are clipped.
    """
    luminance = (image * image.new_tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    size = image.shape[2:]
    level = max(0, (min(size) // SMALL).bit_length())
    small = shrink(luminance.clamp(min=FLOOR), level)
    surface = _surface(small)  # lamps and lenses; the blur then sees what is left, without bias at the borders
    light = surface * _blur(small / surface, SCALE * min(small.shape[2:]))
    light = F.interpolate(light, size, mode="bilinear").log()
    gain = (light.mean() - light).exp()
    strongest = max(float(gain.max()), 1 / float(gain.min()))
    out = image * gain
    clipped = 100 * float((out > 1).any(1).float().mean())
    return out.clamp(
        0, 1
    ), f"flatten: evened out light that varied by x{strongest:.2f}; {clipped:.1f}% of pixels clipped"


def _surface(luminance: Tensor) -> Tensor:
    """The exponential of the quadratic surface that fits the logarithm of (1, 1, H, W) best."""
    h, w = luminance.shape[2:]
    y, x = (torch.linspace(-1, 1, n, device=luminance.device) for n in (h, w))
    y, x = y[:, None].expand(h, w).flatten(), x.expand(h, w).flatten()
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], 1)
    weights: Tensor = torch.linalg.lstsq(terms, luminance.log().view(-1, 1)).solution
    return (terms @ weights).exp().view(1, 1, h, w)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, 1, H, W) that is normalised at the borders and so invents nothing beyond them."""
    radius = max(1, round(3 * sigma))
    ramp = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-(ramp.float() ** 2) / (2 * sigma**2))
    weight = torch.ones_like(image)
    for shape, padding in (((1, 1, -1, 1), (radius, 0)), ((1, 1, 1, -1), (0, radius))):
        image, weight = (F.conv2d(t, kernel.view(shape), padding=padding) for t in (image, weight))
    return image / weight
