"""A picture that is made a few rows at a time, for results that are larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.image import codecs, scratch
from texsynth.image.pixels import Picture
from texsynth.image.pixels import spans as spans


@dataclass(frozen=True, eq=False)
class Strips:
    """A picture of any size, of which there are only ever some rows in memory.

    size: (height, width).
    channels: Of colour, 1 grey or 3 RGB.
    has_alpha: Is there alpha beside them?
    draw: Makes the rows from `top` to before `bottom`, as a picture of that height; the same pixels each time, in
        whatever strips and order they are asked for.
    depth, icc, tags: As for `Picture`.
    """

    size: tuple[int, int]
    channels: int
    draw: Callable[[int, int], Picture]
    has_alpha: bool = False
    depth: str = "uint8"
    icc: bytes | None = None
    tags: codecs.Tags = codecs.PLAIN

    @property
    def height(self) -> int:
        return self.size[0]

    @property
    def width(self) -> int:
        return self.size[1]

    def rows(self, top: int, bottom: int) -> Picture:
        """The rows from `top` to before `bottom`, a picture of this depth, profile and tags. Raises InputError where
        other rows come out than were asked for."""
        drawn = self.draw(top, bottom)
        kind = drawn.height, drawn.width, drawn.channels, drawn.alpha is not None
        if kind != (bottom - top, self.width, self.channels, self.has_alpha):
            raise InputError(f"rows {top} to {bottom} of a picture of {self.width}x{self.height} came out as {kind}")
        return replace(drawn, depth=self.depth, icc=self.icc, tags=self.tags)

    def whole(self) -> Picture:
        """All of it at once, in scratch where it is large."""
        planes = scratch.empty((1, self.channels + self.has_alpha, *self.size), "float32")
        for top, bottom in spans(self.size):
            drawn = self.rows(top, bottom)
            planes[:, : self.channels, top:bottom] = drawn.pixels.numpy()
            if drawn.alpha is not None:
                planes[:, self.channels :, top:bottom] = drawn.alpha.numpy()
            scratch.release(planes[:, :, top:bottom])
        values = torch.from_numpy(planes)
        alpha = values[:, self.channels :] if self.has_alpha else None
        return Picture(values[:, : self.channels], alpha, self.depth, self.icc, self.tags)


def reduced(picture: Picture | Strips, side: int) -> Picture:
    """A picture of whose longer side at least `side` pixels are left: the means of square cells, as large as that
    allows; where a border cuts cells, these are left out. Up to twice that size it is the picture itself."""
    once = picture if isinstance(picture, Strips) else of(picture)
    cell = max(once.size) // side
    if cell < 2 or min(once.size) < cell:
        return picture.whole() if isinstance(picture, Strips) else picture
    height, width = (length // cell for length in once.size)
    planes = torch.empty(1, once.channels + once.has_alpha, height, width)
    for top, bottom in spans((height, width * cell * cell)):
        drawn = once.rows(top * cell, bottom * cell)
        for first, part in ((0, drawn.pixels), (once.channels, drawn.alpha)):
            if part is not None:
                planes[:, first : first + part.shape[1], top:bottom] = F.avg_pool2d(part, cell)
                scratch.release(part)
    alpha = planes[:, once.channels :] if once.has_alpha else None
    return Picture(planes[:, : once.channels], alpha, once.depth, once.icc, once.tags)


def of(picture: Picture) -> Strips:
    """A picture that is there, by strips that share its memory."""

    def draw(top: int, bottom: int) -> Picture:
        alpha = None if picture.alpha is None else picture.alpha[:, :, top:bottom]
        return replace(picture, pixels=picture.pixels[:, :, top:bottom], alpha=alpha)

    size, has_alpha = (picture.height, picture.width), picture.alpha is not None
    return Strips(size, picture.channels, draw, has_alpha, picture.depth, picture.icc, picture.tags)
