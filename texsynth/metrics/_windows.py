"""Which window of the exemplar each window of an output is most like: how metrics read maps back from pixels.

They read them from pixels rather than from a method's field, so that methods with and without one compare. Pictures
whose shorter side has 512 pixels or more are halved first, so that windows see about as much of every texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features.windows import fit
from texsynth.metrics import Pair
from texsynth.patches.nearest import nearest, stride
from texsynth.pyramid import shrink

PATCH, COMPONENTS = 15, 32  # pixels, and principal directions of such windows
SIDE = 256  # pixels of the shorter side that windows of PATCH are fine enough for
COUNT = 4096  # windows of the output, on a regular grid
SAMPLES = 4096  # windows that the principal directions are found from
LEAST = PATCH + 1


@dataclass(frozen=True)
class Matches:
    """made: (n, 2), the (y, x) in pixels of the middles of windows of the output; source: the same of the windows of
    the exemplar that they are most like; cells: (rows, columns) of the exemplar's windows; place: (n,) among these."""

    made: Tensor
    source: Tensor
    cells: tuple[int, int]
    place: Tensor


def match(pair: Pair, rng: torch.Generator) -> Matches:
    """The nearest window of the exemplar for each of up to COUNT windows of the output, wholly inside of it."""
    level = max(0, (min(*pair.exemplar.shape[2:], *pair.output.shape[2:]) // SIDE).bit_length() - 1)
    exemplar, output = (shrink(image, level) for image in (pair.exemplar, pair.output))
    basis = fit([exemplar], PATCH, COMPONENTS, rng, SAMPLES)
    cells, made = (tuple(n - PATCH + 1 for n in image.shape[2:]) for image in (exemplar, output))
    step = stride((made[0], made[1]), COUNT)
    ys, xs = (torch.arange(step // 2, n, step, device=output.device) for n in made)
    picked = (ys[:, None] * made[1] + xs).flatten()
    _, place = nearest(basis.describe(output)[picked], basis.describe(exemplar))
    rows = torch.stack([place // cells[1], place % cells[1]], 1)
    return Matches(
        _middles(torch.cartesian_prod(ys, xs), level, pair.output),
        _middles(rows, level, pair.exemplar),
        (cells[0], cells[1]),
        place,
    )


def read(values: Tensor, places: Tensor) -> Tensor:
    """Values (1, C, H, W) at the pixels (n, 2): (n, C)."""
    return values[0][:, places[:, 0], places[:, 1]].T


def _middles(corners: Tensor, level: int, image: Tensor) -> Tensor:
    """The pixels of the full size in the middle of windows (n, 2), given by their corners `level` halvings down."""
    size = torch.tensor(image.shape[2:], device=corners.device)
    half = (1 << level) // 2
    return torch.minimum(((corners + PATCH // 2) << level) + half, size - 1)
