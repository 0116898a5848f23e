"""Holes in pictures: the smooth guess that stands in a hole until it is filled, and masks that grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows

Draw = Callable[[int, int], Tensor]  # the rows of a picture from one to before another, (1, C, h, W)


def smooth(image: Tensor, hole: Tensor) -> Tensor:
    """A picture (1, C, H, W) whose hole (1, 1, H, W) bool continues its surroundings, more blurred further inside.

    The pull-push of "The Lumigraph" (Gortler et al. 1996): every coarser level holds the means of the pixels outside
    the hole, and a finer level takes from it what it does not hold itself. Pixels outside the hole stay as they are.
    """
    if not hole.any() or hole.all():
        return image
    size = image.shape[2:]

    def outside(top: int, bottom: int) -> Tensor:
        return (~hole[:, :, top:bottom]).to(image)

    def seen(top: int, bottom: int) -> Tensor:
        return image[:, :, top:bottom] * outside(top, bottom)

    # Pull: halve values and weights until no cell is without a value.
    levels = [(_halved(seen, image, hole), _halved(outside, hole))]
    while min(levels[-1][1].shape[2:]) > 1 and float(levels[-1][1].min()) == 0:
        values, weight = levels[-1]
        levels.append((_halved(_rows_of(values), values), _halved(_rows_of(weight), weight)))
    values, weight = levels[-1]
    guess = values / weight.clamp(min=1e-6)
    if (weight == 0).any():
        parts = [(seen(*span).sum((2, 3), keepdim=True), outside(*span).sum()) for span in rows.spans(size)]
        total, count = (torch.stack(each).sum(0) for each in zip(*parts, strict=True))
        guess = torch.where(weight > 0, guess, total / count)
    # Push: enlarge the guess into the cells that have no value.
    for values, weight in reversed(levels[:-1]):
        guess = _filled(values, weight, guess)

    def continued(top: int, bottom: int) -> Tensor:
        return torch.where(hole[:, :, top:bottom], _enlarged(guess, size, top, bottom), image[:, :, top:bottom])

    return rows.composed(image.shape, continued, image, hole, guess)


def _rows_of(values: Tensor) -> Draw:
    return lambda top, bottom: values[:, :, top:bottom]


def _halved(draw: Draw, *sources: Tensor) -> Tensor:
    """The means of 2 x 2 cells of what `draw` gives as the rows of a picture, made of sources of its size."""
    height, width = sources[0].shape[2:]

    def half(top: int, bottom: int) -> Tensor:
        return F.avg_pool2d(draw(2 * top, min(2 * bottom, height)), 2, ceil_mode=True)

    shape = (1, draw(0, 1).shape[1], -(-height // 2), -(-width // 2))
    return rows.composed(shape, half, *sources, cell=2)


def _filled(values: Tensor, weight: Tensor, coarse: Tensor) -> Tensor:
    """The values of a level, (1, C, h, w) with their weights, and those of the coarser one where it has none."""

    def make(top: int, bottom: int) -> Tensor:
        sure, weights = values[:, :, top:bottom], weight[:, :, top:bottom]
        return torch.where(
            weights > 0, sure / weights.clamp(min=1e-6), _enlarged(coarse, values.shape[2:], top, bottom)
        )

    return rows.composed(values.shape, make, values, weight, coarse)


def _enlarged(coarse: Tensor, size: Sequence[int], top: int, bottom: int) -> Tensor:
    """The rows from `top` to before `bottom` of a picture interpolated to `size`, twice its own; where this is
    odd, strips are those of the even height above it."""
    if bottom - top == size[0]:
        return rows.interpolated(coarse, size)
    part, _ = rows.around(coarse, top // 2, -(-bottom // 2), 1)
    first = 2 * max(0, top // 2 - 1)
    fine = rows.interpolated(part, (2 * part.shape[2], size[1]))
    return fine[:, :, top - first : bottom - first]


def grow(mask: Tensor, radius: int, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """A mask (1, 1, H, W) bool with all pixels within `radius` of it along both axes.

    tile: whether the picture wraps in (y, x); the mask then grows across these borders.
    """
    if radius == 0:
        return mask
    for dim, wraps in enumerate(tile, 2):
        length = mask.shape[dim]
        shape = list(mask.shape)
        shape[dim] = radius
        fits = wraps and radius < length
        before = mask.narrow(dim, length - radius, radius) if fits else mask.new_zeros(shape)
        after = mask.narrow(dim, 0, radius) if fits else mask.new_zeros(shape)
        mask = _any_of(torch.cat([before, mask, after], dim), dim, 2 * radius + 1)
    return mask


def _any_of(mask: Tensor, dim: int, length: int) -> Tensor:
    """Whether a mask (bool) is set anywhere in each run of `length` pixels along `dim`, which becomes as much shorter.
    Runs double from step to step, so that long ones cost little."""
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        kept = mask.shape[dim] - step
        mask = mask.narrow(dim, 0, kept) | mask.narrow(dim, step, kept)
        covered += step
    return mask
