"""Shadows on a photograph of a surface, lightened: areas that are darker than others of the same texture.

A picture is split in two by the median brightness around each pixel. Windows of the dark part are matched with windows
of the lit part by their pattern alone, free of their own mean brightness and contrast. Where these fit as well as the
lit windows fit each other, and in colour and contrast, the dark part is the same material under less light: it gets the
colours and the contrast of its matches, in linear light, so that its texture stays (after Shor & Lischinski 2008, "The
shadow meets the mask", and Guo et al. 2011, "Single-image shadow detection and removal using paired regions", who
compare regions so). Where that cannot be told, the picture stays as it is, bit for bit: natural light and dark of a
material must never be taken for shadow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image import rows, seen
from texsynth.image.light import means_around

MEASURED_SIDE, MATTE_SIDE, EDGE_SIDE = 160, 480, 1024  # pixels of the shorter side, at most, at each step
BLACK = 0.004  # of linear light, added before logarithms, so that noise of blacks does not count
MEDIAN = 0.08  # of the shorter side: radius of the medians, which pass over texture and keep edges
WINDOW = 20  # pixels a side of the windows that are matched, at MEASURED_SIDE
INSIDE = 0.97  # of a window, that lies in the part that it is of
FEWEST = 8  # windows of each part
MATCHES = 4
FLAT = 0.05  # of log brightness, added to contrasts that patterns are divided by
CONTRAST_WEIGHT = 0.7  # of the log contrast, among the coordinates of a window
LEAST_SPLIT = 3.6  # standard deviations within the parts that lie between them; an even spread of brightness has 3.5
DEPTHS = (0.45, 1.9)  # how much darker shadows are, in log brightness: factors of 1.6 and 6.7
WORST_FIT = 1.45  # of the distance of matches, in those among lit windows
CONTRASTS = (-0.2, 0.7)  # log contrast that dark windows lack: some, as the light of the sky shows less relief
RED_LACK, BLUE_LACK = (-0.25, 0.2), (-0.65, 0.1)  # log of red and blue, to green, that they lack: shadows are bluish
OPEN = 0.2  # of the depth: brightness so near to that of a part counts as the part
RADII = (0.015, 0.02, 0.027, 0.036, 0.048)  # of the shorter side, that are tried at edges
STEADY = 0.12  # of the depth, by which medians of that radius may vary inside a part
BESIDE_EDGES = 0.045  # of the shorter side, in which edges are drawn anew
GUIDE_FINE, GUIDE_COARSE = 0.012, 0.03  # of the shorter side: radius of the guided filter
GUIDE_NOISE = 0.02  # of the squared depth
SAMPLES = 1500  # medians that tell how steady they are
IN_MEDIAN = 200  # pixels, about, of a disc whose median is taken: more change it little
VALUES_AT_ONCE = 1 << 22
LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Shadow:
    """What was measured of a shadow.

    lit, dark: the log brightness of the two parts.
    lack: of the log of each colour, (3,). contrast: of the log contrast.
    """

    lit: float
    dark: float
    lack: Tensor
    contrast: float

    def share(self, brightness: Tensor) -> Tensor:
        """How far brightness is that of the shadow, in [0, 1]."""
        depth = self.lit - self.dark
        return ((self.lit - OPEN * depth - brightness) / (depth - 2 * OPEN * depth)).clamp(0, 1)


def lightened(image: Tensor) -> tuple[Tensor, str]:
    """A picture (1, 3, H, W) in [0, 1], sRGB, without its shadow, and a line that says what was done: the same tensor
    where there is none that can be told."""
    fine = _shrunk(rows.changed(image, seen.light_of), EDGE_SIDE)
    small = _shrunk(fine, MEASURED_SIDE)
    brightness = _brightness(small)
    median = _medians(brightness, MEDIAN)
    shadow = _measured(small, brightness, median)
    if isinstance(shadow, str):
        return image, f"delight: no shadow can be told from the material ({shadow}); the light is kept"
    matte = _matte(fine, shadow, shadow.share(median)[None, None])
    share = float((matte > 0.5).float().mean())
    factors = ", ".join(f"{math.exp(float(lack)):.2f}" for lack in shadow.lack)
    line = f"delight: lightened a shadow on {100 * share:.0f} % of the pixels, by x {factors} in red, green and blue"
    return _applied(image, matte, shadow), line


def _measured(small: Tensor, brightness: Tensor, median: Tensor) -> Shadow | str:
    """The shadow of linear light (1, 3, h, w), whose log brightness is (1, 1, h, w) with the medians (h, w); or why
    there is none."""
    dark = median < _threshold(median)
    if not dark.any():
        return "it is as bright everywhere"
    lit_level, dark_level = float(median[~dark].median()), float(median[dark].median())
    within = torch.where(dark, median - median[dark].mean(), median - median[~dark].mean())
    apart = float(median[~dark].mean() - median[dark].mean())
    if apart < LEAST_SPLIT * float(within.square().mean().sqrt()):
        return "light and dark are not two distinct parts"
    if not DEPTHS[0] < apart < DEPTHS[1]:
        return f"the darker part is darker by a factor of {math.exp(apart):.1f}"
    compared = _compared(small, brightness, dark)
    if compared is None:
        return "one part is too small"
    fit, lack, contrast = compared
    red, blue = float(lack[0] - lack[1]), float(lack[2] - lack[1])
    checks = ((fit, (0.0, WORST_FIT)), (contrast, CONTRASTS), (red, RED_LACK), (blue, BLUE_LACK))
    names = ("pattern", "contrast", "red", "blue")
    off = [name for name, (value, (low, high)) in zip(names, checks, strict=True) if not low <= value <= high]
    if off:
        return f"the darker part differs in {' and '.join(off)}"
    return Shadow(lit_level, dark_level, lack, contrast)


def _compared(small: Tensor, brightness: Tensor, dark: Tensor) -> tuple[float, Tensor, float] | None:
    """Of the windows in the dark part against the lit windows that they match: how well these fit, 1 as well as lit
    windows each other; what they lack of the log of each colour, (3,), and of the log contrast. None where a part has
    too few windows."""
    pattern = _windows(brightness)  # (n, values)
    mean = pattern.mean(1, keepdim=True)
    contrast = (pattern - mean).square().mean(1, keepdim=True).sqrt()
    flat = (pattern - mean) / (contrast + FLAT) / math.sqrt(pattern.shape[1])
    log_contrast = contrast.clamp(min=FLAT / 2).log()
    place = torch.cat([flat, CONTRAST_WEIGHT * log_contrast], 1)
    colour = _windows((small + BLACK).log()).view(len(pattern), 3, -1).mean(2)
    share = _windows(dark[None, None].float()).mean(1)
    inner, outer = (share >= INSIDE).nonzero()[:, 0], (share <= 1 - INSIDE).nonzero()[:, 0]
    if min(len(inner), len(outer)) < FEWEST:
        return None
    distance, match = torch.cdist(place[inner], place[outer]).square().topk(MATCHES, 1, largest=False)
    among = torch.cdist(place[outer], place[outer]).square()
    width = (small.shape[3] // 2 - WINDOW // 2) // 2 + 1
    at = torch.stack([outer // width, outer % width], 1).float()
    among[torch.cdist(at, at) <= WINDOW / 4] = math.inf  # those that overlap
    usual = among.topk(min(MATCHES, len(outer)), 1, largest=False).values.mean(1).median()
    lack = (colour[outer][match].mean(1) - colour[inner]).median(0).values
    less = (log_contrast[outer][match].mean(1) - log_contrast[inner]).median()
    return float(distance.mean(1).median() / usual.clamp(min=1e-9)), lack, float(less)


def _windows(values: Tensor) -> Tensor:
    """The windows of (1, C, h, w) at every fourth pixel, at half the resolution, (n, C * values)."""
    return F.unfold(F.avg_pool2d(values, 2), WINDOW // 2, stride=2)[0].T


def _matte(fine: Tensor, shadow: Shadow, coarse: Tensor) -> Tensor:
    """How far each pixel of linear light (1, 3, H, W) lies in the shadow, (1, 1, H, W), by a first guess (1, 1, h, w).

    Edges are drawn anew from medians of the least radius that passes over the texture; the guided filter (He et al.
    2010) then moves them to the steps of brightness.
    """
    brightness = _brightness(_shrunk(fine, MATTE_SIDE))
    side = min(brightness.shape[2:])
    matte = F.interpolate(coarse, brightness.shape[2:], mode="bilinear")
    reach = max(2, round(BESIDE_EDGES * side))
    edge = (F.max_pool2d(matte, 2 * reach + 1, 1, reach) + F.max_pool2d(-matte, 2 * reach + 1, 1, reach)) > 0.3
    guide = GUIDE_COARSE
    for radius in RADII:
        most = STEADY * (shadow.lit - shadow.dark)
        if all(_varies(brightness, (part > 0.99) & ~edge, radius) < most for part in (matte, 1 - matte)):
            matte = matte.clone()
            matte[edge] = shadow.share(_medians(brightness, radius, edge[0, 0]))
            guide = GUIDE_FINE
            break
    matte = F.interpolate(matte, fine.shape[2:], mode="bilinear")
    radius = max(2, round(guide * min(fine.shape[2:])))
    return _guided(_brightness(fine), matte, radius, GUIDE_NOISE * (shadow.lit - shadow.dark) ** 2).clamp(0, 1)


def _varies(brightness: Tensor, part: Tensor, radius: float) -> float:
    """The standard deviation of medians of a radius in a part (1, 1, h, w) bool of a picture."""
    inside = part.flatten().nonzero()[:, 0]
    some = torch.zeros(part.numel(), dtype=torch.bool)
    some[inside[:: max(1, len(inside) // SAMPLES)]] = True
    values = _medians(brightness, radius, some.view(part.shape[2:]))
    return float(values.std()) if len(values) > 1 else 0.0


def _applied(image: Tensor, matte: Tensor, shadow: Shadow) -> Tensor:
    """The picture with the light, and the contrast, of its lit part in its shadow."""
    size, side = image.shape[2:], min(image.shape[2:])
    more = math.exp(max(0.0, shadow.contrast)) - 1
    reach = max(1, round(GUIDE_COARSE * side))
    share = F.interpolate(matte, size, mode="bilinear") if matte.shape[2:] != size else matte
    lack = shadow.lack.view(1, 3, 1, 1)

    def make(top: int, bottom: int) -> Tensor:
        part, inner = rows.around(image, top, bottom, reach)
        whole, _ = rows.around(share, top, bottom, reach)
        light = seen.light_of(part) * (lack * whole).exp()
        if more:
            light = light + more * whole * (light - means_around(light, reach))
        return torch.where(whole > 0, seen.srgb_of(light).clamp(0, 1), part)[:, :, inner]

    return rows.composed(image.shape, make, image, share)


def _medians(values: Tensor, radius: float, where: Tensor | None = None) -> Tensor:
    """The medians of (1, 1, h, w) in discs of a radius, a share of the shorter side: (h, w), or those of the pixels
    that a mask (h, w) marks, (n,)."""
    height, width = values.shape[2:]
    reach = max(2, round(radius * min(height, width)))
    across = torch.arange(-reach, reach + 1)
    disc = across[:, None] ** 2 + across**2 <= reach * reach
    every = max(1, math.ceil(math.sqrt(int(disc.sum()) / IN_MEDIAN)))
    disc &= (across % every == 0) & (across[:, None] % every == 0)
    padded = F.pad(values, (reach,) * 4, mode="reflect").flatten()
    line = width + 2 * reach
    offsets = ((across[:, None] + reach) * line + across + reach)[disc]
    places = torch.arange(height * width) if where is None else where.flatten().nonzero()[:, 0]
    first = places // width * line + places % width
    parts = first.split(max(1, VALUES_AT_ONCE // len(offsets)))
    medians = torch.cat([padded[part[:, None] + offsets].median(1).values for part in parts])
    return medians.view(height, width) if where is None else medians


def _threshold(values: Tensor) -> float:
    """The value that splits all into two parts of the least variance within (Otsu 1979), neither below 2 %."""
    ordered = values.flatten().sort().values.double()
    count, total = len(ordered), ordered.cumsum(0)
    below = torch.arange(1, count, dtype=torch.float64)
    means = total[:-1] / below, (total[-1] - total[:-1]) / (count - below)
    between = below * (count - below) * (means[1] - means[0]) ** 2
    first = int(0.02 * count)
    split = first + int(between[first : count - first].argmax())
    return float(ordered[split] + ordered[split + 1]) / 2


def _guided(guide: Tensor, values: Tensor, radius: int, noise: float) -> Tensor:
    """Values (1, 1, h, w) that follow the edges of a guide (1, 1, h, w)."""
    mean, level = means_around(guide, radius), means_around(values, radius)
    slope = (means_around(guide * values, radius) - mean * level) / (
        means_around(guide * guide, radius) - mean * mean + noise
    )
    return means_around(slope, radius) * guide + means_around(level - slope * mean, radius)


def _shrunk(light: Tensor, side: int) -> Tensor:
    """Linear light (1, 3, H, W), whose shorter side has at most so many pixels."""
    share = min(1.0, side / min(light.shape[2:]))
    size = round(light.shape[2] * share), round(light.shape[3] * share)
    return light if share == 1 else F.interpolate(light, size, mode="area")


def _brightness(light: Tensor) -> Tensor:
    """The log luminance (1, 1, h, w) of linear light."""
    return ((light * light.new_tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True) + BLACK).log()
