"""Large tensors a few rows at a time: what is worked out of a picture takes no temporary arrays of its size.

Up to WHOLE pixels everything is one strip. A result that is to be there at full size lies in scratch where it is large,
and of mapped tensors only the strip at hand is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import scratch

WHOLE = 1 << 22  # pixels of a tensor up to which it is one strip
STRIP = (
    1 << 18
)  # pixels of a strip of a larger one, about: memory of blocks of a few megabytes goes to the next of them
DTYPES = {torch.float32: "float32", torch.bool: "bool"}


def spans(size: Sequence[int], step: int = 1) -> list[tuple[int, int]]:
    """The first row and the one after the last of strips that cover (height, width), each of a multiple of `step` rows
    but for the last one."""
    height, width = size
    rows = height if height * width <= WHOLE else max(1, STRIP // width // step) * step
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def strips(*tensors: Tensor, step: int = 1) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of one height and width, (..., H, W), in strips."""
    for top, bottom in spans(tensors[0].shape[-2:], step):
        yield tuple(each[..., top:bottom, :] for each in tensors)
        release(*tensors)


def blank(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor of a shape that holds anything, in scratch where it is large."""
    return torch.from_numpy(scratch.empty(shape, DTYPES[dtype]))


def composed(
    shape: Sequence[int],
    make: Callable[[int, int], Tensor],
    *sources: Tensor,
    cell: int = 1,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A tensor of a shape (..., H, W) whose rows from `top` to before `bottom` are what `make` makes of them, which
    are (..., bottom - top, W). sources: what it makes them of, of any size. cell: the pixels a side of the sources that
    one pixel is made of."""
    height, width = shape[-2:]
    every = [(top // cell, bottom // cell) for top, bottom in spans((cell * height, cell * width), cell)]
    if len(every) == 1:
        return make(*every[0])
    whole = blank(shape, dtype)
    for top, bottom in every:
        whole[..., top:bottom, :] = make(top, bottom)
        release(whole, *sources)
    return whole


def changed(values: Tensor, change: Callable[[Tensor], Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
    """A new tensor that `change` makes pixel by pixel of (1, C, H, W); it may have another number of channels."""
    channels = change(values[:, :, :1, :1]).shape[1]
    shape = (1, channels, *values.shape[2:])
    return composed(shape, lambda top, bottom: change(values[:, :, top:bottom]), values, dtype=dtype)


def repeated(values: Tensor, times: int) -> Tensor:
    """Each value of (1, C, H, W) as a square of so many pixels a side; the tensor itself for one."""
    if times == 1:
        return values
    channels, height, width = values.shape[1:]

    def make(top: int, bottom: int) -> Tensor:
        at = torch.arange(top, bottom) // times
        return values[:, :, at].repeat_interleave(times, dim=3)

    return composed((1, channels, times * height, times * width), make, values)


def by_planes(values: Tensor, size: tuple[int, int], change: Callable[[Tensor], Tensor]) -> Tensor:
    """A tensor (1, C, *size), each of whose channels is what `change` makes of that of (1, C, H, W)."""
    result = blank((1, values.shape[1], *size))
    for plane, target in zip(values.split(1, 1), result.split(1, 1), strict=True):
        target.copy_(change(plane))
        release(values, result)
    return result


def interpolated(values: Tensor, size: Sequence[int]) -> Tensor:
    """A picture (1, C, H, W) interpolated linearly to `size` (h, w), plane by plane: of several planes at once the last
    bits depend on the number of threads."""
    return torch.cat([F.interpolate(plane, tuple(size), mode="bilinear") for plane in values.split(1, 1)], 1)


def around(values: Tensor, top: int, bottom: int, reach: int) -> tuple[Tensor, slice]:
    """The rows of (..., H, W) from `top` to before `bottom` with up to `reach` more on both sides, as far as there are,
    and which of them are the rows themselves."""
    first = max(0, top - reach)
    return values[..., first : bottom + reach, :], slice(top - first, bottom - first)


def extremes(*tensors: Tensor) -> tuple[float, float]:
    """The least and the greatest of all values."""
    # As numbers at once: what is left of tensors between those that are let go keeps their memory from others.
    ends = [float(end) for each in tensors for (strip,) in strips(each) for end in strip.aminmax()]
    return min(ends), max(ends)


def share(mask: Tensor) -> float:
    """The share of the pixels of a mask (bool) that are set."""
    return float(torch.tensor(float(count(mask))) / mask.numel())


def count(mask: Tensor) -> int:
    """How many pixels of a mask (bool) are set; `sum` would take eight bytes for each of them."""
    return int(torch.count_nonzero(mask))


def distinct(values: Tensor) -> Tensor:
    """The values that are there, in their order, (n,)."""
    every: Tensor = torch.cat([strip.unique() for (strip,) in strips(values)]).unique()
    return every


def counts(values: Tensor, least: int, change: Callable[[Tensor], Tensor] = lambda values: values) -> Tensor:
    """How often each whole number from 0 up is among what `change` makes of (1, C, H, W), `least` or more (n,)."""
    return summed([change(strip).long().flatten().bincount(minlength=least) for (strip,) in strips(values)])


def summed(counts: Sequence[Tensor]) -> Tensor:
    """The sums of counts (n,) of any lengths."""
    total = torch.zeros(max(map(len, counts)), dtype=torch.long)
    for each in counts:
        total[: len(each)] += each
    return total


def sampled(colours: Tensor, most: int, mask: Tensor | None = None) -> Tensor:
    """The colours of (1, C, H, W), or of what a mask (1, 1, H, W) bool marks of it, (n, C): all of up to `most` pixels,
    and of more every n-th with an odd n, which meets all columns."""
    total = colours[0, 0].numel() if mask is None else count(mask)
    step, first, parts = total // most | 1, 0, []
    for strip, *marks in strips(colours) if mask is None else strips(colours, mask):
        pixels = strip[0].permute(1, 2, 0)
        pixels = pixels[marks[0][0, 0]] if marks else pixels.flatten(0, 1)
        parts.append(pixels[first::step])
        first = (first - len(pixels)) % step
    return torch.cat(parts)


def release(*tensors: Tensor) -> None:
    """Let go of what mapped tensors hold in memory."""
    for each in tensors:
        scratch.release(each)
