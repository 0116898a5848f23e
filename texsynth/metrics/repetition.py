"""Added repetition: does the output repeat itself where the exemplar does not?

The highest correlation of the output with itself at any offset of an eighth of the exemplar's shorter side and more, as
far as half of its size, less the same of the exemplar; 0 where the exemplar repeats itself as strongly, as textures of
bricks may. Slow changes of light and colour are taken off first. The measure is our own. Values lie between 0 and 1,
which means that the output is one piece again and again; a piece pasted twice counts by its share of the output. Good
outputs score below 0.02, those smaller than the exemplar up to 0.1 by chance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.guidance.filters import blur
from texsynth.metrics import About, Pair
from texsynth.patches.matches import working_level
from texsynth.pyramid import shrink

SMALLEST_OFFSET = 1 / 8  # of the exemplar's shorter side
SLOW = 1 / 16  # of the exemplar's shorter side: the deviation of the blur that leaves slow changes only
SMALLEST_VARIANCE = 1e-6  # of values in [0, 1]; a picture with less is flat
ABOUT = About(
    "highest autocorrelation of the output at a distance, beyond the exemplar's own", range=(0.0, 1.0), smallest_side=32
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    level = working_level(pair.exemplar)
    images = [shrink(image, level) for image in (pair.exemplar, pair.output)]
    side = min(images[0].shape[2:])
    exemplar, output = (peak(image - blur(image, SLOW * side), round(SMALLEST_OFFSET * side)) for image in images)
    return min(1.0, max(0.0, output - max(0.0, exemplar)))


def peak(image: Tensor, nearest: int) -> float:
    """The highest correlation of (1, C, H, W), which has no mean, with itself, over the pixels that overlap.

    Offsets are of at least `nearest` pixels along one axis and of at most half the size along either.
    """
    h, w = image.shape[2:]
    size = (2 * h, 2 * w)
    values = image[0].cpu().double()  # sums over millions of pixels; some devices have no float64
    energy = values.square().sum(0)
    # Correlate by Fourier transforms, padded so that nothing wraps
    spectra = torch.fft.rfft2(values, s=size), torch.fft.rfft2(energy, s=size)
    ones = torch.fft.rfft2(torch.ones_like(energy), s=size)
    products = torch.fft.irfft2(spectra[0].abs().square().sum(0), s=size)
    energies = torch.fft.irfft2(spectra[1].conj() * ones, s=size)  # of the pixels that have a partner at the offset
    opposite = torch.fft.irfft2(spectra[1] * ones.conj(), s=size)  # and of those partners
    # Take the offsets of one half plane, since the other half is the same
    ys, xs = torch.arange(h // 2 + 1), torch.arange(-(w // 2), w // 2 + 1)
    far = (ys[:, None] >= nearest) | (xs.abs() >= nearest)
    least = h * w * SMALLEST_VARIANCE
    sides = [(table[ys][:, xs] + least).clamp(min=least) for table in (energies, opposite)]
    return float((products[ys][:, xs] / (sides[0] * sides[1]).sqrt())[far].max())
