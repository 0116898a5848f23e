"""The source pixels of a level of any size: 8-bit colours, and pointers into them that take four bytes a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from texsynth.errors import ResourceError
from texsynth.field.atlas import turn
from texsynth.field.planes import COPIES, Planes, laid_out, reflected
from texsynth.image import scratch

if TYPE_CHECKING:
    from texsynth.task import Exemplar

PIXELS_AT_ONCE = 1 << 20  # pixels whose colours are rounded at once: bounds the memory
MOST_PIXELS = 1 << 31  # that an int32 tells apart


@dataclass(frozen=True)
class Sheet(Planes):
    """All planes, of which only what magnification compares is kept.

    colours: (N, 3) uint8, also in the padding, which continues a plane by reflection.
    valid: (N,) bool, the pixels that may be copied.
    """

    colours: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Pointers:
    """A field of any size: for every output pixel the source pixel that it is copied from. It is a `Copying`.

    index: (h, w), source pixels of the atlas; int32 for the whole, int64 for some rows of it.
    tile: whether the output wraps in (y, x).
    """

    index: Tensor
    atlas: Planes
    tile: tuple[bool, bool]
    place: None = None
    angle: None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.index.shape[0], self.index.shape[1]

    def part(self, top: int, bottom: int) -> Pointers:
        """The rows from `top` to `bottom`, with int64 pointers."""
        return Pointers(self.index[top:bottom].long(), self.atlas, self.tile)


def lay(exemplars: Sequence[Exemplar], copies: Sequence[str], margin: int) -> Sheet:
    """The sheet of every copy of every exemplar, with `margin` pixels of padding. Raises ResourceError where an int32
    cannot tell its pixels apart."""
    planes = laid_out([e.size for e in exemplars], copies, margin)
    if planes.pixels >= MOST_PIXELS:
        most = f"at most {MOST_PIXELS} can be told apart"
        raise ResourceError(f"{planes.pixels} source pixels with all copies; {most}; --crop the exemplar")
    shape = planes.planes, planes.rows, planes.row
    colours = torch.from_numpy(scratch.empty((*shape, 3), "uint8"))
    valid = torch.from_numpy(scratch.empty(shape, "bool")).zero_()
    sources = [(exemplar, copy) for exemplar in exemplars for copy in copies]
    for plane, ((exemplar, copy), (h, w)) in enumerate(zip(sources, planes.shapes, strict=True)):
        if (h + 2 * margin, w + 2 * margin) != (planes.rows, planes.row):
            colours[plane].zero_()  # what no plane of this size has
        columns, at = reflected(w, margin), reflected(h, margin)
        step = max(1, PIXELS_AT_ONCE // planes.row)
        for top in range(0, h + 2 * margin, step):
            rows = at[top : top + step]
            first = int(rows.min())
            some = _rows(exemplar.image, copy, first, int(rows.max()) + 1)[0][:, rows - first][:, :, columns]
            levels = (some * 255).round_().clamp_(0, 255).to(torch.uint8)
            colours[plane, top : top + some.shape[1], : w + 2 * margin] = levels.permute(1, 2, 0)
            scratch.release(exemplar.image)
        usable = valid[plane, margin : margin + h, margin : margin + w]
        usable.copy_(torch.tensor(True) if exemplar.valid is None else turn(exemplar.valid, copy)[0, 0])
    geometry = planes.copies, planes.shapes, planes.exemplars, planes.rows, planes.row, margin
    return Sheet(*geometry, colours.view(-1, 3), valid.view(-1))


def _rows(image: Tensor, copy: str, top: int, bottom: int) -> Tensor:
    """The rows of a copy of a picture (..., H, W) from `top` to before `bottom`; only their pixels are turned."""
    turns, mirrored = COPIES[copy]
    lines = image.transpose(-1, -2) if turns % 2 else image
    if turns == 2 or (turns == 1 and not mirrored) or (turns == 3 and mirrored):  # which have the last of them first
        top, bottom = lines.shape[-2] - bottom, lines.shape[-2] - top
    part = lines[..., top:bottom, :]
    return turn(part.transpose(-1, -2) if turns % 2 else part, copy)
