"""A run on a small exemplar applied to the large original that it was reduced from: sizes, and whether it is that one.

The original may have been reduced by any program and filter, in any light, and stored as JPEG; so pictures are compared
by where things lie and only roughly by their colours. What is a good match for the right original is none for one that
is shifted by a pixel, cropped otherwise, or another photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import InputError
from texsynth.field.magnify.sheet import Pointers
from texsynth.image import load as inputs
from texsynth.image import scratch
from texsynth.image.picture import Picture
from texsynth.image.strips import spans
from texsynth.requests.synthesize import Request
from texsynth.verbs import parse

SMALLEST_FACTOR = 2
UNIT = (1 << 13, 1 << 13)  # what a recorded size is a share of, if it is one
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601): JPEG keeps it best
ROUNDING = 2 / 255  # the difference that 8 bits and a strong compression leave between smooth pictures
# The share that may remain of the difference to the picture shifted by a pixel, or to an unrelated one. Measured on 19
# photographs reduced 2 to 8 times: at most 0.4 for bicubic, 0.5 for Lanczos and for linear light, 0.6 at a JPEG quality
# of 50; at least 0.8 for other photographs, other crops and shifts by a pixel.
ALIGNED = 0.7
TONE = 0.1  # root mean square of the difference of smoothed colours that may remain; linear light takes 0.07
ROWS = 64  # of the small picture, after which what was read of the large one is let go of
SMOOTH = 5  # side of the boxes by which these are smoothed, in pixels of the small picture


def factor(large: tuple[int, int], small: tuple[int, int]) -> int | None:
    """How many times as large as `small` (height, width) a picture is, if this is a whole number of at least
    SMALLEST_FACTOR, but for rounding."""
    times = round(large[0] / small[0])
    fits = all(abs(times * s - n) < times for n, s in zip(large, small, strict=True))
    return times if fits and times >= SMALLEST_FACTOR else None


def enlarged_size(text: str, times: int) -> str:
    """A recorded size so many times as large."""
    height, width = parse.size(text, UNIT)
    return f"{times * width}x{times * height}"


def enlarged_crop(text: str, times: int, whole: tuple[int, int]) -> str:
    """A recorded crop so many times as large, inside a picture of `whole` (height, width), which may be a little less
    than so many times as large as the small one."""
    x, y, width, height = (times * n for n in parse.crop(text))
    return f"{x},{y},{min(width, whole[1] - x)},{min(height, whole[0] - y)}"


def reduced_request(request: Request) -> Request:
    """The request for the small run, of one that a record describes; raises InputError where the record cannot be."""
    times = request.factor
    if times is None or request.reduced is None or request.size is None:
        raise damaged(request)
    height, width = parse.size(request.size, UNIT)
    crop = None if request.crop is None else parse.crop(request.crop)
    if height % times or width % times or (crop is not None and (crop[0] % times or crop[1] % times)):
        raise damaged(request)
    box = None if crop is None else ",".join(str(-(-n // times)) for n in crop)
    size = f"{width // times}x{height // times}"
    counts = request.map_weight is None or any(request.map_weight.values())
    rest = {"maps": request.maps if counts else None, "field": None, "reduced": None, "factor": None}
    return replace(request, exemplars=[request.reduced], size=size, crop=box, **rest)  # type: ignore[arg-type]


def damaged(request: Request) -> InputError:
    """The error to raise for a record whose parts do not belong together."""
    return InputError(f"--from {request.repeat}: its record is damaged (its size, crop and factor do not fit)")


def check(large: Picture, small: Picture, valid: Sequence[Tensor | None], names: tuple[str, str], times: int) -> None:
    """Refuse a large picture that is not `small` so many times as large; raises InputError.

    valid: the usable pixels of both, (1, 1, H, W) bool, None for all. names: of both, for the message.
    """
    whole, reduced = inputs.extent(large), inputs.extent(small)
    wrong = f"{names[0]} is not {names[1]}, the exemplar of the recorded run, {times} times as large"
    if factor(whole, reduced) != times:
        raise InputError(f"{wrong}: the sizes are {whole[1]}x{whole[0]} and {reduced[1]}x{reduced[0]}")
    fine, coarse = inputs.matching((large, small))
    usable = torch.ones(reduced) if valid[1] is None else valid[1][0, 0].float()
    if valid[0] is not None:
        usable = usable * (_averaged(valid[0], reduced)[0, 0] > 1 - ROUNDING)
    if not differs(_averaged(fine, reduced), coarse, usable):
        return
    raise InputError(f"{wrong}: reduced to its size, it does not show the same at the same places")


def check_field(field: Pointers, exemplar: Picture, out: Picture, names: tuple[str, str]) -> None:
    """Refuse a field beside a picture that is not the one that it copies of its exemplar; raises InputError.

    names: of the field and of the picture, for the message.
    """
    source, copied = inputs.matching((exemplar, out))
    if inputs.extent(out) == field.size:
        colours, drawn = source[0].flatten(1), torch.empty_like(copied)
        for top, bottom in spans(field.size):
            drawn[0, :, top:bottom] = colours[:, field.atlas.home_of(field.index[top:bottom])]
        if not differs(drawn, copied, torch.ones(field.size)):
            return
    raise InputError(f"{names[0]} is not the field of {names[1]}; take it away, or write both again")


def _averaged(values: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, C, H, W) reduced to a size by boxes, a few rows at a time."""
    height, parts = values.shape[2], []
    for row in range(size[0]):
        strip = values[:, :, row * height // size[0] : -(-(row + 1) * height // size[0])]
        parts.append(F.adaptive_avg_pool2d(strip.float(), (1, size[1])))
        if row % ROWS == 0:
            scratch.release(values)
    return torch.cat(parts, 2)


def differs(one: Tensor, other: Tensor, usable: Tensor) -> bool:
    """Do pictures (1, 3, h, w) show different things, or the same at other places, at the `usable` (h, w) pixels?"""
    if _size(F.avg_pool2d((one - other) * usable, SMOOTH, 1, SMOOTH // 2), usable) > TONE:
        return True
    first, second = (_normalised(image, usable) for image in (one, other))
    inside = slice(1, -1)
    weight = usable[inside, inside]
    here = _size((first - second)[:, :, inside, inside], weight)
    rows, columns = usable.shape
    shifts = [(y, x) for y in (0, 1, 2) for x in (0, 1, 2) if (y, x) != (1, 1)]
    moved = [first[:, :, y : y + rows - 2, x : x + columns - 2] for y, x in shifts]
    there = min(_size(image - second[:, :, inside, inside], weight) for image in moved)
    unavoidable = ROUNDING / max(_spread(other, usable), ROUNDING)
    return here - unavoidable > ALIGNED * min(1.0, there)


def _luma(image: Tensor) -> Tensor:
    """(1, 3, h, w) -> (1, 1, h, w)."""
    return (image * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _spread(image: Tensor, usable: Tensor) -> float:
    """The standard deviation of the luma of the usable pixels."""
    values = _luma(image)[0, 0][usable > 0]
    return float(values.std(unbiased=False)) if values.numel() else 0.0


def _normalised(image: Tensor, usable: Tensor) -> Tensor:
    """The luma with the mean 0 and, where it is not flat, the standard deviation 1 over the usable pixels."""
    luma = _luma(image)
    mean = float((luma * usable).sum() / usable.sum().clamp(min=1))
    return (luma - mean) / max(_spread(image, usable), ROUNDING)


def _size(difference: Tensor, usable: Tensor) -> float:
    """The root of the mean square over the usable pixels and all channels; 0 where there are none."""
    total = usable.sum() * difference.shape[1]
    return float(((difference.square() * usable).sum() / total.clamp(min=1)).sqrt())
