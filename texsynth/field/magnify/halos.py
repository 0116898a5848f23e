"""Walks over a field of any size by strips of rows, which see their surroundings as these were at first."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from texsynth.field.magnify.sheet import Pointers
from texsynth.field.sweep import beyond_border
from texsynth.image.scratch import release
from texsynth.image.strips import spans


def strips(field: Pointers, margin: int, pixels: int | None = None) -> Iterator[tuple[int, int, Tensor]]:
    """The first row of each strip, the row after its last, and the pointers (n + 2m, w + 2m) int32 of its rows and of
    the m = margin pixels round them, as they were when the walk began: whoever walks may write to the strips that it
    has been given. Past a border they wrap where the output tiles, else they continue the copy of the pixel there.

    pixels: about so many are given at once, as `image.strips.spans` has it.
    """
    index, (height, _), step = field.index, field.size, field.atlas.row
    inside, past = beyond_border(height, margin, field.tile[0], index.device)
    above = _moved(index[inside[:margin]], past[:margin, None] * step, field)
    below = _moved(index[inside[height + margin :]], past[height + margin :, None] * step, field)
    for top, bottom in spans(field.size, pixels):
        rest = max(0, bottom + margin - height)  # rows of the surroundings that lie past the border
        tall = torch.cat([above, index[top : bottom + margin], below[:rest]])
        above = tall[bottom - top : bottom - top + margin].clone()
        yield top, bottom, _widened(tall, margin, field)
        release(index[top:bottom])


def _widened(tall: Tensor, margin: int, field: Pointers) -> Tensor:
    """Pointers (n, w) and what lies beside them, (n, w + 2m)."""
    width = tall.shape[1]
    inside, past = beyond_border(width, margin, field.tile[1], tall.device)
    left, right = (
        _moved(tall[:, inside[some]], past[some], field) for some in (slice(margin), slice(width + margin, None))
    )
    return torch.cat([left, tall, right], 1)


def _moved(pointers: Tensor, by: Tensor, field: Pointers) -> Tensor:
    """Pointers that many source pixels further, clipped into the table."""
    return (pointers + by).clamp_(0, field.atlas.pixels - 1).int()
