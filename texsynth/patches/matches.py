"""Which window of the exemplar each window of an output is most similar to, found from their pixels.

Metrics read maps back along these matches. They do not use a method's own field, so that methods with and without one
compare. Pictures whose shorter side has 512 pixels or more are halved first, so that windows see about as much of every
texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features.windows import fit
from texsynth.patches.nearest import nearest, stride
from texsynth.pyramid import shrink

WINDOW = 15  # side in pixels
COMPONENTS = 32  # principal directions of such windows that are compared
FITTED_WINDOWS = 4096  # windows that the principal directions are fitted to
OUTPUT_WINDOWS = 4096  # windows of the output, on a regular grid
WORKING_SIDE = 256  # pixels of the shorter side that suffice; larger pictures are halved
SMALLEST_SIDE = WINDOW + 1


@dataclass(frozen=True)
class Matches:
    """The windows of an output and their most similar windows in the exemplar.

    output, source: (n, 2), the (y, x) of the middles of these and of those, in pixels of their pictures.
    grid: the number of windows of the exemplar, down and across, after the halvings.
    number: (n,), the number of each match among these in raster order.
    """

    output: Tensor
    source: Tensor
    grid: tuple[int, int]
    number: Tensor


def working_level(*images: Tensor) -> int:
    """The halvings after which the shortest side of the pictures (1, C, H, W) is below twice WORKING_SIDE."""
    shortest = min(side for image in images for side in image.shape[2:])
    return max(0, (shortest // WORKING_SIDE).bit_length() - 1)


def match(exemplar: Tensor, output: Tensor, rng: torch.Generator) -> Matches:
    """The most similar windows of the exemplar for up to OUTPUT_WINDOWS of the output; sides reach SMALLEST_SIDE."""
    # Halve both and describe their windows by the exemplar's principal directions
    level = working_level(exemplar, output)
    sources, targets = (shrink(image, level) for image in (exemplar, output))
    basis = fit([sources], WINDOW, COMPONENTS, rng, FITTED_WINDOWS)
    grid, target_grid = ((m.shape[2] - WINDOW + 1, m.shape[3] - WINDOW + 1) for m in (sources, targets))
    # Search for the windows of a regular grid
    step = stride(target_grid, OUTPUT_WINDOWS)
    ys, xs = (torch.arange(step // 2, n, step, device=targets.device) for n in target_grid)
    chosen = (ys[:, None] * target_grid[1] + xs).flatten()
    _, number = nearest(basis.describe(targets)[chosen], basis.describe(sources))
    middles = _middles(torch.cartesian_prod(ys, xs), level, output)
    corners = torch.stack([number // grid[1], number % grid[1]], 1)
    return Matches(middles, _middles(corners, level, exemplar), grid, number)


def read(values: Tensor, places: Tensor) -> Tensor:
    """The values of a map (1, C, H, W) at the pixels (n, 2): (n, C)."""
    return values[0][:, places[:, 0], places[:, 1]].T


def _middles(corners: Tensor, level: int, image: Tensor) -> Tensor:
    """The middles, in pixels of the full size, of windows (n, 2) given by their corners `level` halvings down."""
    size = torch.tensor(image.shape[2:], device=corners.device)
    half = (1 << level) // 2
    return torch.minimum(((corners + WINDOW // 2) << level) + half, size - 1)
