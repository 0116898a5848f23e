"""Added repetition: does the output repeat itself where the exemplar does not?

The highest correlation of the output with itself at any offset of an eighth of the exemplar's shorter side and more, as
far as half of its size, less the same of the exemplar; 0 where the exemplar repeats itself as strongly, which textures
of bricks may. Slow changes of light and colour are taken off first. Our own measure. From 0 to 1, where the output is
one piece again and again; a piece pasted twice counts by its share of the output; good outputs score below
0.02, those smaller than the exemplar up to 0.1 by chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from texsynth.features import Extract
from texsynth.guidance.filters import blur
from texsynth.metrics import Pair, enough
from texsynth.pyramid import shrink

LOWER_IS_BETTER: bool | None = True
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
LEAST = 32
SIDE = 256  # pixels of the exemplar's shorter side that are fine enough
NEAR, SLOW = 1 / 8, 1 / 16  # of the exemplar's shorter side: offsets left out, and the deviation of what is slow
FAINT = 1e-6  # of the variance of values in [0, 1], below which a picture is flat
DESCRIPTION = "highest autocorrelation of the output at a distance, beyond the exemplar's own"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,  # noqa: ARG001
) -> float:
    """0 where the output repeats itself no more than the exemplar does."""
    enough("repetition", pair, LEAST)
    level = max(0, (min(pair.exemplar.shape[2:]) // SIDE).bit_length() - 1)
    exemplar, output = (shrink(image, level) for image in (pair.exemplar, pair.output))
    side = min(exemplar.shape[2:])
    own, made = (peak(image - blur(image, SLOW * side), round(NEAR * side)) for image in (exemplar, output))
    return min(1.0, max(0.0, made - max(0.0, own)))


def peak(image: Tensor, near: int) -> float:
    """The highest correlation of (1, C, H, W), without its mean, with itself, at offsets of `near` and more on either
    axis and half its size at most; the products are taken over what overlaps, and divided by its energies."""
    h, w = image.shape[2:]
    size = (2 * h, 2 * w)
    values = image[0].cpu().double()  # sums over millions of pixels; some devices know no float64
    energy = values.square().sum(0)
    spectra = torch.fft.rfft2(values, s=size), torch.fft.rfft2(energy, s=size)
    ones = torch.fft.rfft2(torch.ones_like(energy), s=size)
    products = torch.fft.irfft2(spectra[0].abs().square().sum(0), s=size)
    energies = torch.fft.irfft2(spectra[1].conj() * ones, s=size)  # of the pixels that have a partner at the offset
    opposite = torch.fft.irfft2(spectra[1] * ones.conj(), s=size)  # and of those partners
    ys, xs = torch.arange(h // 2 + 1), torch.arange(-(w // 2), w // 2 + 1)  # the other half is the same
    far = (ys[:, None] >= near) | (xs.abs() >= near)
    least = h * w * FAINT
    sides = [(table[ys][:, xs] + least).clamp(min=least) for table in (energies, opposite)]
    return float((products[ys][:, xs] / (sides[0] * sides[1]).sqrt())[far].max())
