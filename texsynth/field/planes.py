"""The geometry of source pixels, whatever is kept of each.

Every exemplar, and every flipped or rotated copy of it, is one plane. All planes are padded to one size and laid out in
one flat table: a source pixel is a single integer, "one pixel to the right" is +1 and "one row down" is +row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

# Copies are elements of the square's symmetry group: (quarter turns counter-clockwise on screen, mirrored first?).
COPIES: dict[str, tuple[int, bool]] = {
    "none": (0, False),
    "rotate-90": (1, False),
    "rotate-180": (2, False),
    "rotate-270": (3, False),
    "flip-x": (0, True),
    "flip-y": (2, True),
    "transpose": (1, True),
    "anti-transpose": (3, True),
}


@dataclass(frozen=True)
class Coordinates:
    """Source pixels as pixels of the exemplars as they were read: (...) int64 tensors. `exemplar` is a number, `copy`
    one in `Planes.copies`."""

    exemplar: Tensor
    copy: Tensor
    y: Tensor
    x: Tensor


@dataclass(frozen=True)
class Planes:
    """All planes, in a table of N = planes * rows * row pixels.

    copies: the name in COPIES of each copy; the planes of an exemplar follow each other in this order.
    shapes: the (height, width) of each plane without its padding; exemplars: of each exemplar.
    rows, row: the lines of a padded plane, and the pixels of a line.
    margin: the pixels of padding on each side.
    """

    copies: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    exemplars: tuple[tuple[int, int], ...]
    rows: int
    row: int
    margin: int

    @property
    def planes(self) -> int:
        return len(self.shapes)

    @property
    def device(self) -> torch.device:
        """Where tables of source pixels lie."""
        return torch.device("cpu")

    @property
    def pixels(self) -> int:
        """N, those of the padding among them."""
        return self.planes * self.rows * self.row

    @property
    def homes(self) -> int:
        """How many pixels the exemplars have together."""
        return sum(h * w for h, w in self.exemplars)

    def split(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Flat indices (...) -> plane, y and x (...), counted from the first pixel inside the padding."""
        if self.planes == 1:
            plane, rest = torch.zeros_like(index), index
        else:
            plane, rest = index // (self.rows * self.row), index % (self.rows * self.row)
        return plane, rest // self.row - self.margin, rest % self.row - self.margin

    def join(self, plane: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Planes, y and x (...) -> flat indices (...), each clipped into its plane."""
        if self.planes == 1:
            (h, w), margin = self.shapes[0], self.margin
            return (y.clamp(0, h - 1) + margin) * self.row + x.clamp(0, w - 1) + margin
        shapes = torch.tensor(self.shapes, device=plane.device)[plane]
        y = torch.minimum(y.clamp(min=0), shapes[..., 0] - 1)
        x = torch.minimum(x.clamp(min=0), shapes[..., 1] - 1)
        return (plane * self.rows + y + self.margin) * self.row + x + self.margin

    def home_of(self, index: Tensor) -> Tensor:
        """The pixels of the exemplars, in reading order, that the source pixels `index` (...), none of them in the
        padding, are copies of: (...) int64."""
        plane, y, x = self.split(index.long())
        first, down, right = torch.tensor(self._walks, device=index.device)[plane].unbind(-1)
        return first + y * down + x * right

    def origins(self, index: Tensor) -> Coordinates:
        """What the source pixels `index` (...), none of them in the padding, are copies of."""
        plane, home = self.split(index)[0], self.home_of(index)
        exemplar, sizes = plane // len(self.copies), torch.tensor(self.exemplars, device=index.device)
        areas, width = sizes.prod(1), sizes[exemplar, 1]
        at = home - (areas.cumsum(0) - areas)[exemplar]
        return Coordinates(exemplar, plane % len(self.copies), at // width, at % width)

    def copying(self, where: Coordinates) -> Tensor:
        """The source pixels (...) that are copies of these: `origins` the other way round."""
        sizes = torch.tensor(self.exemplars, device=where.y.device)[where.exemplar]
        y, x = torch.empty_like(where.y), torch.empty_like(where.x)
        for number, copy in enumerate(self.copies):
            some = where.copy == number
            y[some], x[some] = _turned(where.y[some], where.x[some], sizes[some], *COPIES[copy])
        return self.join(where.exemplar * len(self.copies) + where.copy, y, x)

    @cached_property
    def _walks(self) -> list[tuple[int, int, int]]:
        """Of each plane the pixel of the exemplars that its first one is a copy of, and by how much this grows from one
        to the next, down and right."""
        walks, before = [], 0
        for h, w in self.exemplars:
            walks += [_walk(before, (h, w), *COPIES[copy]) for copy in self.copies]
            before += h * w
        return walks


def _walk(before: int, size: tuple[int, int], turns: int, mirrored: bool) -> tuple[int, int, int]:
    """`Planes._walks` of a copy of the exemplar of `size`, which lies after so many pixels."""
    h, w = size
    first, down, right = (before + w - 1, w, -1) if mirrored else (before, w, 1)
    for _ in range(turns):  # counter-clockwise: the last column becomes the first row
        first, down, right = first + (w - 1) * right, -right, down
        h, w = w, h
    return first, down, right


def _turned(y: Tensor, x: Tensor, sizes: Tensor, turns: int, mirrored: bool) -> tuple[Tensor, Tensor]:
    """Where pixels (n,) of pictures of `sizes` (n, 2) lie in a copy."""
    h, w = sizes.unbind(-1)
    if mirrored:
        x = w - 1 - x
    for _ in range(turns):  # counter-clockwise, as in `_walk`
        y, x = w - 1 - x, y
        h, w = w, h
    return y, x


def laid_out(exemplars: Sequence[tuple[int, int]], copies: Sequence[str], margin: int) -> Planes:
    """The planes of every copy of exemplars of these (height, width), with `margin` pixels of padding."""
    shapes = [size[::-1] if COPIES[copy][0] % 2 else size for size in exemplars for copy in copies]
    rows, row = (max(sides) + 2 * margin for sides in zip(*shapes, strict=True))
    return Planes(tuple(copies), tuple(shapes), tuple(exemplars), rows, row, margin)


def reflected(length: int, margin: int) -> Tensor:
    """The pixels of a line that stand in for -margin ... length + margin - 1, as in a mirror: (length + 2 margin,)."""
    period = max(2 * length - 2, 1)
    at = torch.arange(-margin, length + margin) % period
    return torch.where(at < length, at, period - at)


class Copying(Protocol):
    """What says of each output pixel where it is copied from: a field, or one of any size by its rows.

    index: (h, w), source pixels of `atlas`. place, angle: those of freely turned copies, as `atlas.Field` has them.
    """

    @property
    def index(self) -> Tensor: ...

    @property
    def atlas(self) -> Planes: ...

    @property
    def place(self) -> Tensor | None: ...

    @property
    def angle(self) -> Tensor | None: ...

    @property
    def size(self) -> tuple[int, int]: ...

    def part(self, top: int, bottom: int) -> Self:
        """The rows from `top` to `bottom`, with int64 pointers."""
