"""Height maps and normal maps: each made out of the other, on surfaces that repeat or end at their borders.

A height is given in pixels, positive towards the viewer. A normal (x, y, z) has unit length, x to the right, y up the
picture and z to the viewer.

Heights come from normals by least squares in the Fourier domain, as Frankot & Chellappa 1988 project slopes onto
integrable ones, here for the central differences that `normals` takes: what these give goes back to the height that
they are of.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows

Wraps = tuple[bool, bool]  # does a map repeat in (y, x)?
STEEPEST_SLOPE = 20.0  # pixels of height for one pixel aside; normals that lie flatter are taken as if they stood there
LEVEL = 0.01  # pixels: what rises less is flat, but for the rounding of its normals
MEASURED = 1 << 20  # pixels by which outliers are told
FINEST = 1.0  # how much the finest waves are held back, of which central differences see nothing


def normals(height: Tensor, strength: float, wraps: Wraps, device: torch.device) -> Tensor:
    """The unit normals (1, 3, H, W) of heights (1, 1, H, W) whose 1 stands for `strength` pixels, by central
    differences, one-sided at borders where the map does not repeat."""

    def make(top: int, bottom: int) -> Tensor:
        right, down = slopes(height, top, bottom, wraps, device)
        # y points up and rows are counted down, so that a surface that rises with the rows faces up.
        across = torch.cat([-strength * right, strength * down, torch.ones_like(right)], 1)
        return F.normalize(across, dim=1).cpu()

    return rows.composed((1, 3, *height.shape[2:]), make, height)


def slopes(height: Tensor, top: int, bottom: int, wraps: Wraps, device: torch.device) -> tuple[Tensor, Tensor]:
    """The differences of (1, 1, H, W) for a step to the right and for one down, each (1, 1, bottom - top, W)."""
    part = framed(height, top, bottom, 1, wraps).to(device)
    steps = [torch.full((size,), 2.0, device=device) for size in height.shape[2:]]
    for step, wrapped in zip(steps, wraps, strict=True):
        if not wrapped and len(step) > 1:  # the pixel beyond the border repeats the last one
            step[[0, -1]] = 1.0
    right = (part[:, :, 1:-1, 2:] - part[:, :, 1:-1, :-2]) / steps[1]
    down = (part[:, :, 2:, 1:-1] - part[:, :, :-2, 1:-1]) / steps[0][top:bottom, None]
    return right, down


def framed(values: Tensor, top: int, bottom: int, reach: int, wraps: Wraps) -> Tensor:
    """The rows of (1, C, H, W) from `top` to before `bottom` with `reach` more pixels on all four sides: those of the
    other side where the map repeats, else those of the border again."""
    height, width = values.shape[2:]
    down, across = torch.arange(top - reach, bottom + reach), torch.arange(-reach, width + reach)
    down = down % height if wraps[0] else down.clamp(0, height - 1)
    across = across % width if wraps[1] else across.clamp(0, width - 1)
    return values[:, :, down][:, :, :, across]


def encoded(vectors: Tensor, is_down: bool) -> Tensor:
    """Unit normals (1, 3, H, W) as colours in [0, 1], whose green points up, or down."""
    signs = torch.tensor([1.0, -1.0 if is_down else 1.0, 1.0])[:, None, None]
    return rows.changed(vectors, lambda part: (part * signs + 1) / 2)


def decoded(colours: Tensor, is_down: bool) -> Tensor:
    """The vectors (1, 3, H, W) of a normal map's colours in [0, 1], of about unit length, y up."""
    signs = torch.tensor([1.0, -1.0 if is_down else 1.0, 1.0])[:, None, None]
    return rows.changed(colours, lambda part: (part * 2 - 1) * signs)


def heights(vectors: Tensor, wraps: Wraps, device: torch.device) -> Tensor:
    """The surface (1, 1, H, W), in pixels, whose normals are the nearest in least squares of slopes to `vectors`
    (1, 3, H, W); its mean is 0. Where it repeats, a slope on average is left out.

    Slopes P, Q of the Fourier transforms give H = (conj(Dx) P + conj(Dy) Q) / (|Dx|^2 + |Dy|^2), where D = i sin(w) are
    central differences at the frequency w. These see nothing of the finest waves, so FINEST ((1 - cos w) / 2)^8 of both
    axes is added to the divisor, which keeps noise in them low. Where a surface ends its mirror image goes on."""
    size = tuple(2 * side if not wrapped else side for side, wrapped in zip(vectors.shape[2:], wraps, strict=True))
    frequencies = [
        torch.fft.fftfreq(size[0], device=device)[:, None] * (2 * math.pi),
        torch.fft.rfftfreq(size[1], device=device)[None] * (2 * math.pi),
    ]
    total = torch.zeros(size[0], size[1] // 2 + 1, dtype=torch.complex64, device=device)
    for axis in (0, 1):
        spectrum = torch.fft.rfft2(_continued(_slope(vectors, axis).to(device), axis, wraps))
        total += spectrum.mul_(frequencies[axis].sin() * -1j)
        del spectrum
    divisor = sum(each.sin() ** 2 + FINEST * ((1 - each.cos()) / 2) ** 8 for each in frequencies)
    assert isinstance(divisor, Tensor)
    divisor[0, 0] = 1.0
    surface: Tensor = torch.fft.irfft2(total.div_(divisor), s=size)
    return surface[None, None, : vectors.shape[2], : vectors.shape[3]].cpu()


def _slope(vectors: Tensor, axis: int) -> Tensor:
    """The rise of a surface for a step down (axis 0) or to the right (axis 1), (H, W), by its normals (1, 3, H, W)."""

    def make(part: Tensor) -> Tensor:
        upright = part[:, 2:].clamp(min=1e-6)
        slope = part[:, 1:2] / upright if axis == 0 else -part[:, :1] / upright
        return slope.clamp_(-STEEPEST_SLOPE, STEEPEST_SLOPE)

    return rows.changed(vectors, make)[0, 0]


def _continued(slope: Tensor, axis: int, wraps: Wraps) -> Tensor:
    """The slopes (H, W) of a surface together with its mirror images where it ends. There the slope along the axis
    turns over, and the difference at the border, which is one-sided, is half as large across two pixels."""
    for side in (0, 1):
        if wraps[side]:
            continue
        if side == axis:
            slope = slope.clone()
            slope.select(side, 0).mul_(0.5)
            slope.select(side, -1).mul_(0.5)
        mirrored = slope.flip(side)
        slope = torch.cat([slope, -mirrored if side == axis else mirrored], side)
    return slope


def grey(surface: Tensor, outliers: float = 0.0) -> tuple[Tensor, float]:
    """A surface in pixels as values in [0, 1], and how many pixels 1 lies above 0. The share of `outliers` at each end
    is cut off."""
    low, high = rows.extremes(surface)
    if outliers:
        every = rows.sampled(surface, MEASURED).flatten().sort().values
        low, high = (float(every[round(share * (len(every) - 1))]) for share in (outliers, 1 - outliers))
    if high - low < LEVEL:
        return rows.changed(surface, torch.zeros_like), 0.0
    strength = float(f"{high - low:.6g}")
    return rows.changed(surface, lambda part: ((part - low) / (high - low)).clamp_(0, 1)), strength


def memory(size: tuple[int, int], wraps: Wraps) -> int:
    """The bytes that `heights` takes for a map of (height, width)."""
    return 18 * size[0] * size[1] * (1 if wraps[0] else 2) * (1 if wraps[1] else 2)
