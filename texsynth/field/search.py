"""The exact search: how far squares of pixels are from every source block of their size.

With the weights w of the pixels, the sum of w (o - t)^2 is that of w o^2, of which blocks know nothing, and that of
w t^2 - 2 (w o) t. For the blocks of a whole exemplar the second one is a correlation with it, which Fourier transforms
give for all places at once (Kwatra et al. 2003, "Graphcut Textures", on acceleration); for small blocks, and a sample
of the blocks of a large exemplar, a product of matrices is faster. Transforms sum in an order that goes by the number
of threads, so they are taken in double precision, and what is left of them does not show that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas

VALUES_AT_ONCE = 1 << 19  # pixels of transformed planes: bounds the memory
WORTH_TRANSFORMING = 64  # pixels of all blocks, for each pixel of the exemplars, from which on transforms are faster


@dataclass(frozen=True)
class BlockTable:
    """The n blocks one after the other.

    colours: (n, side^2 * C). square: (n, side^2), the square of the length of each colour.
    """

    colours: Tensor
    square: Tensor

    def errors(self, weighted: Tensor, weight: Tensor) -> Tensor:
        """The sums of w t^2 - 2 (w o) t over each block t, (B, n), of the `weighted` colours w o (B, side^2, C) and the
        `weight` (B, side^2), which may be that of all, (1, side^2)."""
        return weight @ self.square.T - 2 * weighted.flatten(1) @ self.colours.T


@dataclass(frozen=True)
class BlockSpectra:
    """The planes of an atlas as Fourier transforms, and where in them the n blocks lie.

    colours, square: (planes, C, h, w / 2 + 1) and (planes, h, w / 2 + 1) complex, of -2 times the colours and of the
        squares of their lengths, conjugated.
    size: (h, w), of the transformed planes; at least that of the exemplars.
    at: (n,), the place of each block's result.
    """

    colours: Tensor
    square: Tensor
    size: tuple[int, int]
    at: Tensor

    def errors(self, weighted: Tensor, weight: Tensor) -> Tensor:
        """As those of a table."""
        side = round(weight.shape[1] ** 0.5)
        of_weight = torch.fft.rfft2(weight.view(-1, side, side).double(), s=self.size)
        count = max(1, VALUES_AT_ONCE // (len(self.square) * self.size[0] * self.size[1]))
        errors = []
        for start in range(0, len(weighted), count):
            some = weighted[start : start + count].unflatten(1, (side, side)).permute(0, 3, 1, 2)
            spectra = torch.fft.rfft2(some.double().contiguous(), s=self.size)[:, None]  # (B, 1, C, ...)
            total = (of_weight if len(weight) == 1 else of_weight[start : start + count])[:, None] * self.square
            for channel in range(self.colours.shape[1]):
                total = total + spectra[:, :, channel] * self.colours[:, channel]
            errors.append(torch.fft.irfft2(total, s=self.size).flatten(1).index_select(1, self.at).float())
        return torch.cat(errors)


def prepare(atlas: Atlas, colours: Tensor, corners: Tensor, inner: Tensor) -> BlockTable | BlockSpectra:
    """What blocks are searched by, whichever is faster. colours: (N, C), what is compared. corners: (n,), the first
    pixel of each block. inner: (side^2,), the offsets of its pixels from there."""
    h, w = (max(lengths) for lengths in zip(*atlas.shapes, strict=True))
    if len(corners) * len(inner) < WORTH_TRANSFORMING * atlas.planes * h * w:
        table = colours[corners[:, None] + inner]
        return BlockTable(table.flatten(1), table.square().sum(2))
    size = _fast(h), _fast(w)
    margin, (plane, y, x) = atlas.margin, atlas.split(corners)
    planes = atlas.picture(colours)[..., margin : margin + h, margin : margin + w].double()
    # With the spectra of the exemplars conjugated, and not those of the squares, places count backwards.
    at = (plane * size[0] + -y % size[0]) * size[1] + -x % size[1]
    of_colours, square = (torch.fft.rfft2(part, s=size).conj() for part in (-2 * planes, planes.square().sum(1)))
    return BlockSpectra(of_colours.resolve_conj(), square.resolve_conj(), size, at)


def _fast(length: int) -> int:
    """The least number of at least `length` that only 2, 3 and 5 divide: transforms of others take long."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
