"""A field carried up to a finer level: every pixel goes on copying what its coarse pixel copied, in more detail.

Lefebvre & Hoppe 2005, section 3.3 (synthesis magnification).
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.magnify.sheet import Pointers, Sheet
from texsynth.field.planes import Planes
from texsynth.image.scratch import release
from texsynth.image.strips import spans


def carry(field: Pointers, finer: Sheet, factor: int, out: Tensor, pixels: int | None = None) -> Pointers:
    """The field that is `factor` times as large, into the sheet of that level.

    Each pixel takes `factor` times its coarse pixel's source, plus its own place in that pixel, clipped into the plane.
    Where that may not be copied, the first usable pixel of the same coarse source is, in reading order; without any,
    the next usable one in the table, whose start follows its end.

    out: (h, w) int32, which receives the pointers; at most `factor` times as large as the field. pixels: about so many
    are carried at once; the result is the same for any.
    """
    coarse = field.atlas
    for top, bottom in spans((-(-out.shape[0] // factor), out.shape[1] * factor), pixels):
        parents, some = field.index[top:bottom], out[top * factor : bottom * factor]
        if twin := native.kernel("carried", parents, finer.valid, some):
            shapes = torch.tensor(finer.shapes)
            before, after = (coarse.rows, coarse.row, coarse.margin), (finer.rows, finer.row, finer.margin)
            twin(parents, *before, shapes, *after, finer.valid, factor, some)
        else:
            some.copy_(_carried(parents, coarse, finer, factor, (some.shape[0], some.shape[1])))
        release(parents)
        release(some)
    return Pointers(out, finer, field.tile)


def _carried(parents: Tensor, coarse: Planes, finer: Sheet, factor: int, size: tuple[int, int]) -> Tensor:
    """The pointers (h, w) of a part of `size`, whose coarse pixels copy `parents` (n, m)."""
    rows, columns = (torch.arange(n, device=parents.device) for n in size)
    plane, y, x = coarse.split(parents.long()[rows // factor][:, columns // factor])
    y, x = y * factor, x * factor
    index = finer.join(plane, y + (rows % factor)[:, None], x + columns % factor)
    stuck = ~finer.valid[index]
    if stuck.any():
        index[stuck] = _usable(finer, factor, plane[stuck], y[stuck], x[stuck], index[stuck])
    return index


def _usable(finer: Sheet, factor: int, plane: Tensor, y: Tensor, x: Tensor, index: Tensor) -> Tensor:
    """What is copied instead of `index` (n,), none of it usable, of coarse pixels whose first is (plane, y, x)."""
    for i in range(factor):
        for j in range(factor):
            sibling = finer.join(plane, y + i, x + j)
            index = torch.where(~finer.valid[index] & finer.valid[sibling], sibling, index)
    while (stuck := ~finer.valid[index]).any() and finer.valid.any():
        index = torch.where(stuck, (index + 1) % finer.pixels, index)
    return index
