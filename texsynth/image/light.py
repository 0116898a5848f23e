"""Slow changes of light in an exemplar, evened out: a vignette or a shadow would come back as blotches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows
from texsynth.image.load import range_of
from texsynth.image.picture import Picture
from texsynth.image.seen import Range
from texsynth.pyramid import shrink

LIGHT_SCALE = 0.25  # of the shorter side: what changes over less than that is texture, not light
MEASURED_SIDE = 128  # pixels of the shorter side at which light is slow enough to be measured
DARKEST = 0.02  # the least brightness that a gain is computed from


def relit(picture: Picture, change: Callable[[Tensor], tuple[Tensor, str]]) -> tuple[Picture, str]:
    """A picture whose colours (1, 3, H, W), sRGB in [0, 1], went through a change of light, and what that says. Floats
    beyond 1 are scaled for it, and linear ones brought to the curve of sRGB; where it returns the same tensor the
    picture stays as it is."""
    span = range_of((picture,))
    is_plain = span == Range()
    colours = (picture.pixels if is_plain else rows.changed(picture.pixels, span.seen)).expand(-1, 3, -1, -1)
    after, remark = change(colours)
    if after is colours:
        return picture, remark
    after = after[:, : picture.channels]
    return replace(picture, pixels=after if is_plain else rows.changed(after, span.stored)), remark


def flatten(image: Tensor) -> tuple[Tensor, str]:
    """Divide a picture (1, 3, H, W) in [0, 1] by its slow illumination; returns it with a line for the user.

    The illumination is a quadratic surface through the log luminance, times the Gaussian blur (of a quarter of the
    shorter side) of the luminance without that surface. The gain keeps the geometric mean and hues; values above 1 are
    clipped.
    """
    size = image.shape[2:]
    level = max(0, (min(size) // MEASURED_SIDE).bit_length())
    small = shrink(image, level, change=_luminance)
    surface = _surface(small)  # of lamps and lenses; the blur of the rest then has no bias at the borders
    light = surface * _blur(small / surface, LIGHT_SCALE * min(small.shape[2:]))
    light = F.interpolate(light, size, mode="bilinear").log_()
    gain = torch.sub(light.mean(), light, out=light).exp_()
    weakest, strongest = rows.extremes(gain)
    clipped = [((strip * gains) > 1).any(1) for strip, gains in rows.strips(image, gain)]
    share = 100 * rows.share(torch.cat(clipped, 1))
    line = (
        f"flatten: evened out light that varied by x{max(strongest, 1 / weakest):.2f}; {share:.1f}% of pixels clipped"
    )

    def make(top: int, bottom: int) -> Tensor:
        return (image[:, :, top:bottom] * gain[:, :, top:bottom]).clamp(0, 1)

    return rows.composed(image.shape, make, image), line


def means_around(values: Tensor, radius: int) -> Tensor:
    """The means of (1, C, H, W) over squares of 2 radius + 1 pixels a side, of what lies inside the picture."""
    down, along = (min(radius, (side - 1) // 2) for side in values.shape[2:])
    columns = F.avg_pool2d(values, (2 * down + 1, 1), 1, (down, 0), count_include_pad=False)
    return F.avg_pool2d(columns, (1, 2 * along + 1), 1, (0, along), count_include_pad=False)


def _luminance(image: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W), nowhere darker than DARKEST."""
    weighted = image * image.new_tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    return weighted.sum(1, keepdim=True).clamp(min=DARKEST)


def _surface(luminance: Tensor) -> Tensor:
    """The exponential of the quadratic surface that fits the logarithm of the luminance (1, 1, H, W) best."""
    h, w = luminance.shape[2:]
    y, x = (torch.linspace(-1, 1, n, device=luminance.device) for n in (h, w))
    y, x = y[:, None].expand(h, w).flatten(), x.expand(h, w).flatten()
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y], 1)
    weights: Tensor = torch.linalg.lstsq(terms, luminance.log().view(-1, 1)).solution
    return (terms @ weights).exp().view(1, 1, h, w)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of (1, 1, H, W) that is normalised at the borders, so that nothing beyond them is invented."""
    radius = max(1, round(3 * sigma))
    ramp = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-(ramp.float() ** 2) / (2 * sigma**2))
    weight = torch.ones_like(image)
    for shape, padding in (((1, 1, -1, 1), (radius, 0)), ((1, 1, 1, -1), (0, radius))):
        image, weight = (F.conv2d(t, kernel.view(shape), padding=padding) for t in (image, weight))
    return image / weight
