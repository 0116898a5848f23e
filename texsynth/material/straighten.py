"""Pictures brought into the frame of a surface: each pixel is the mean of the photograph under its area.

Between the pixels of the photograph values are those of the cubic of Keys 1981 (`field.geometry.cubic`), kept between
the pixels around. Where a step of one pixel is longer than one of the photograph, the mean of several places in the
pixel's area is taken, at least one for each pixel of the photograph that it covers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.geometry import cubic, rotated_normals
from texsynth.image import load as inputs
from texsynth.image import rows
from texsynth.image.picture import Picture
from texsynth.image.pixels import spans
from texsynth.material.frame import Frame

GROWING = 0.5  # of a reduction above 1, over which the area that is averaged grows to that of the whole pixel
PIXELS_AT_ONCE = 1 << 18  # of the straightened picture: bounds the memory
LEFT = 3.0  # pixels that a step spans at least, after a photograph is first made coarser
MARGIN = 3  # pixels around what is read, for the cubic
FAINTEST = 1e-4  # alpha below which a pixel has no colour


def straightened(picture: Picture, frame: Frame, role: str = "colour") -> Picture:
    """A picture in a frame, of the frame's size.

    role: "labels" takes the nearest pixel; "normal" and "normal_dx" (green up, or down) also turn the vectors with the
    picture, by the rotation that is nearest to what happens to the surface around them, and make them as long as one;
    all others are averaged. Alpha weighs the values of "colour"; beside those of maps it is a value of its own, as a
    packed map has it.
    """
    if role == "labels":
        return inputs.mapped(picture, lambda values: _nearest(values, frame))
    if picture.alpha is None:
        pixels, alpha = _averaged(picture.pixels, frame), None
    elif role != "colour":
        pixels, alpha = _averaged(picture.pixels, frame), _averaged(picture.alpha, frame).clamp(0, 1)
    else:
        both = _averaged(torch.cat([picture.pixels * picture.alpha, picture.alpha], 1), frame)
        alpha = both[:, -1:].clamp(0, 1)
        pixels = torch.where(alpha > FAINTEST, both[:, :-1] / alpha.clamp(min=FAINTEST), 0)
    if role in inputs.NORMALS and picture.channels == 3:
        low, high = rows.extremes(picture.pixels[:, 2:3])
        pixels = _turned(pixels, frame, -1.0 if role == inputs.NORMAL_DX else 1.0, low < high)
    return replace(picture, pixels=pixels, alpha=alpha)


def _nearest(values: Tensor, frame: Frame) -> Tensor:
    """The values (1, C, H, W) at the pixels that the middles of a frame's pixels lie in, (1, C, h, w)."""
    height, width = values.shape[2:]

    def make(top: int, bottom: int) -> Tensor:
        x, y = frame.places(top, bottom)[0].floor().long().unbind(-1)
        return values[:, :, y.clamp(0, height - 1), x.clamp(0, width - 1)]

    return _drawn(values, frame, make)


def _averaged(values: Tensor, frame: Frame) -> Tensor:
    """The means of (1, C, H, W) in the pixels of a frame, (1, C, h, w)."""
    values, frame = _coarser(values, frame)
    corner, part = _part(values, frame)
    channels, height, width = part.shape
    table = F.pad(part[None], (MARGIN,) * 4, mode="replicate")[0].flatten(1).T.contiguous()
    line = width + 2 * MARGIN
    limit = torch.tensor([width - 1.0, height - 1.0], dtype=torch.float64)

    def read(place: Tensor) -> Tensor:
        at = (place - corner - 0.5).minimum(limit).clamp_(min=0)
        first = at.floor()
        x, y = first.long().unbind(-1)
        index = (y + MARGIN) * line + x + MARGIN
        return cubic(table, line, index.flatten(), (at - first).flip(-1).flatten(0, 1).float())

    def make(top: int, bottom: int) -> Tensor:
        place, along, down = frame.places(top, bottom)
        steps = []
        for step in (along, down):
            length = step.norm(dim=-1, keepdim=True)
            reach = ((length - 1) / GROWING).clamp(0, 1)
            count = max(1, math.ceil(float(length.max()) - 1e-6))
            steps.append([((n + 0.5) / count - 0.5) * reach * step for n in range(count)])
        total = torch.zeros(place[..., 0].numel(), channels)
        for across in steps[0]:
            for below in steps[1]:
                total += read(place + across + below)
        mean: Tensor = (total / (len(steps[0]) * len(steps[1]))).T.reshape(1, channels, *place.shape[:2])
        return mean

    return _drawn(values, frame, make)


def _coarser(values: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    """Values (1, C, H, W) and their frame; where every step in the frame spans many pixels, the means of blocks
    of which it spans LEFT, which saves reading pixels one by one."""
    (height, width), steps = frame.size, []
    for row in (0, height - 1):
        _, along, down = frame.places(row, row + 1)
        steps += [float(step[0, end].norm()) for step in (along, down) for end in (0, width - 1)]
    times = int(min(steps) / LEFT + 1e-6)
    if times < 2:
        return values, frame
    blocks = [-(-side // times) for side in values.shape[2:]]

    def make(top: int, bottom: int) -> Tensor:
        part = values[:, :, times * top : times * bottom]
        return F.avg_pool2d(part, times, ceil_mode=True, count_include_pad=False)

    small = rows.composed((1, values.shape[1], *blocks), make, values, cell=times)
    back = torch.tensor([1 / times, 1 / times, 1.0], dtype=torch.float64)
    return small, Frame(torch.diag(back) @ frame.matrix, frame.size)


def _part(values: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
    """The part of (1, C, H, W) that a frame reads, (C, h, w), and the place (x, y) of its upper left corner."""
    height, width = frame.size
    ends = torch.tensor([[x, y, 1.0] for x in (0, width) for y in (0, height)], dtype=torch.float64) @ frame.matrix.T
    ends = ends[:, :2] / ends[:, 2:]
    (left, top), (right, bottom) = ((ends.amin(0) - MARGIN).floor().tolist(), (ends.amax(0) + MARGIN).ceil().tolist())
    left, top = (min(max(0, int(first)), side - 1) for first, side in ((left, values.shape[3]), (top, values.shape[2])))
    part = values[0, :, top : max(top + 1, int(bottom)), left : max(left + 1, int(right))]
    return torch.tensor([left, top], dtype=torch.float64), part


def _turned(normals: Tensor, frame: Frame, up: float, is_whole: bool) -> Tensor:
    """Encoded normals (1, 3, h, w) turned with the picture. up: 1 where green points up, else -1. is_whole: is their
    third part there, so that they are made of unit length?"""

    def make(top: int, bottom: int) -> Tensor:
        turned = rotated_normals(normals[:, :, top:bottom], up * frame.turn(top, bottom))
        return (F.normalize(turned * 2 - 1, dim=1) + 1) / 2 if is_whole else turned

    return _drawn(normals, frame, make)


def _drawn(values: Tensor, frame: Frame, make: Callable[[int, int], Tensor]) -> Tensor:
    """A tensor of a frame's size with the channels of `values`, some rows at a time."""
    whole = rows.blank((1, values.shape[1], *frame.size))
    for top, bottom in spans(frame.size, PIXELS_AT_ONCE):
        whole[:, :, top:bottom] = make(top, bottom)
        rows.release(whole)
    return whole
