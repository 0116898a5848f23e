"""Target maps drawn by a formula, so that no paint program is needed: (1, 1, H, W), from exactly 0 to exactly 1.

Perlin noise is that of the package `noise` (Perlin 2002), which is imported only here and only when asked for.
Sizes are (height, width); tile says whether the map repeats without a seam in (y, x); angles are in degrees,
clockwise on screen from the x axis. Periods below two pixels, which no map can hold, and numbers that are not finite
raise UsageError.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from texsynth.errors import UsageError

PAIR = tuple[bool, bool]
DISTINCT_SEEDS = 256  # patterns that the package tells apart


def perlin(
    size: tuple[int, int], period: float, octaves: int = 3, seed: int = 0, tile: PAIR = (False, False)
) -> Tensor:
    """Smooth noise with about one bump in `period` pixels, and finer ones of half the size and strength per octave.

    Along axes that tile the period is fitted to a whole number of bumps. Raises UsageError without the package `noise`.
    """
    try:
        from noise import pnoise2
    except ImportError:
        raise UsageError('perlin maps need the package noise; pip install "texsynth[samples]"') from None
    _wide(period)
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed {seed}: seeds go from 0 to 2^63 - 1")
    rng = torch.Generator().manual_seed(seed)
    start = (torch.rand(2, generator=rng) * DISTINCT_SEEDS).tolist()
    base = int(torch.randint(DISTINCT_SEEDS, (1,), generator=rng))
    axes, repeats = [], []
    for n, wraps, offset in zip(size, tile, start, strict=True):
        cells = max(1, round(n / period)) if wraps else n / period
        axes.append(
            [offset % cells + (i + 0.5) / n * cells if wraps else offset + (i + 0.5) / period for i in range(n)]
        )
        repeats.append(int(cells) if wraps else 1 << 20)
    down, across = axes
    values = [[pnoise2(x, y, octaves, repeatx=repeats[1], repeaty=repeats[0], base=base) for x in across] for y in down]
    return _full_range(torch.tensor(values))


def radial(size: tuple[int, int], centre: tuple[float, float] = (0.5, 0.5), tile: PAIR = (False, False)) -> Tensor:
    """1 at the centre (x, y), given as shares of the width and height, falling evenly with distance to 0 at the
    farthest pixel; with tile the distance is measured across the borders."""
    steps = []
    for n, share, wraps in zip(size, (centre[1], centre[0]), tile, strict=True):
        away = (torch.arange(n) + 0.5 - share * n).abs()
        steps.append(torch.minimum(away % n, n - away % n) if wraps else away)
    return _full_range(-torch.hypot(steps[0][:, None], steps[1][None]))


def linear(size: tuple[int, int], angle: float = 0.0) -> Tensor:
    """An even ramp that rises in the direction of `angle`: 0 is left to right, 90 top to bottom."""
    y, x = _grid(size)
    turn = math.radians(_finite("angle", angle))
    return _full_range(x * math.cos(turn) + y * math.sin(turn))


def stripes(
    size: tuple[int, int], period: float, angle: float = 0.0, soft: float = 1.0, tile: PAIR = (False, False)
) -> Tensor:
    """Stripes that run in the direction of `angle`, one bright and one dark in `period` pixels.

    soft: 1 for a sine, 0 for edges one pixel wide. Along axes that tile, period and angle are fitted to whole numbers
    of stripes.
    """
    _wide(period)
    turn = math.radians(_finite("angle", angle))
    waves = [math.cos(turn) / period, -math.sin(turn) / period]  # cycles per pixel down and across
    for axis, wraps in enumerate(tile):
        if wraps:
            waves[axis] = round(waves[axis] * size[axis]) / size[axis]
    if waves == [0, 0]:  # wider than what repeats: once across the shorter way round
        axis = 0 if abs(math.cos(turn)) * size[0] >= abs(math.sin(turn)) * size[1] else 1
        waves[axis] = 1 / size[axis]
    y, x = _grid(size)
    phase = 2 * math.pi * (waves[0] * (y + 0.5) + waves[1] * (x + 0.5))
    width = max(_finite("soft", soft), min(1.0, math.pi * math.hypot(*waves)))  # the slope of a sine over one pixel
    return _full_range((phase.sin() / width).clamp(-1, 1))


def _grid(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """y (H, 1) and x (1, W) of the pixels."""
    return torch.arange(size[0]).view(-1, 1).float(), torch.arange(size[1]).view(1, -1).float()


def _full_range(values: Tensor) -> Tensor:
    """(H, W) stretched linearly to [0, 1]: (1, 1, H, W)."""
    low, high = values.min(), values.max()
    return ((values - low) / (high - low).clamp(min=1e-12))[None, None].clamp(0, 1)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise UsageError(f"--{name} {value}: a finite number is needed")
    return value


def _wide(period: float) -> None:
    if not 2 <= period < math.inf:
        raise UsageError(f"--period {period:g}: bright and dark together need a finite number of pixels, at least 2")
