"""What two pictures are compared by, pixel by pixel and level by level: the first half of dense correspondence.

Every function of DESCRIBERS takes a source, learns from it what to look at, and gives a function of pictures; none of
them needs training. `learned` puts beside windows what a network sees that was trained for it (Zhang et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.features.windows import fit
from texsynth.patches.nearest import nearest, sampled
from texsynth.pyramid import shrink

# (1, 3, H, W) in [0, 1], halvings -> for each of these a map (1, D, h, w), as many pixels as `shrink` gives. Distances
# of pixels are squared differences; a map's mean squared norm about its mean is 1.
Describe = Callable[[Tensor, Sequence[int]], list[Tensor]]

PATCH = 7  # pixels a side of a window
SCALES = ((24, 0.5), (12, 0.3), (12, 0.2))  # (directions, weight) of windows; each scale sees twice as far as the last
SAMPLES = 4096  # windows, or places of a map, that principal directions are found from
LAYERS = ((("relu1_2", 16), 0.25), (("relu2_2", 24), 0.35), (("relu3_2", 24), 0.4))  # of VGG-19
SIDE = 64  # pixels of the shorter side at which the light of two pictures is compared
QUERIES = 2048
RELIT = 0.75  # of the distance that remains after evening out the light: less than that shows that it differed
GAIN = 4.0  # at most, of contrast

DIRECTIONS = 32  # of what a trained network sees
TRAINED = (0.1, 0.5)  # weight of that, at full size and halved: cells cannot tell neighbouring pixels apart

WIDTH = {"windows": sum(count for count, _ in SCALES), "vgg19": sum(count for (_, count), _ in LAYERS)}
WIDTH["model"] = WIDTH["windows"] + DIRECTIONS


class _Scale(NamedTuple):
    """Principal directions (D, 3, k, k) of windows whose pixels lie `step` apart, and their mean (D, 1, 1)."""

    step: int
    kernel: Tensor
    mean: Tensor


def windows(source: Tensor, _extract: Extract | None, rng: torch.Generator) -> Describe:
    """Windows of colours at three scales, grain and surroundings: the descriptor that needs no network.

    Wide windows are taken from a blurred picture with gaps, not from a small one: so a copy that moved by any number
    of pixels keeps its descriptor exactly.
    """
    bases: dict[int, tuple[_Scale, ...]] = {}

    def describe(image: Tensor, levels: Sequence[int]) -> list[Tensor]:
        out = []
        for level in levels:
            if level not in bases:
                bases[level] = _scales(shrink(source, level), rng)
            small = shrink(image, level)
            out.append(torch.cat([_seen(small, scale) for scale in bases[level]], 1))
        return out

    return describe


def _scales(source: Tensor, rng: torch.Generator) -> tuple[_Scale, ...]:
    out: list[_Scale] = []
    for number, (count, weight) in enumerate(SCALES):
        small = shrink(source, number)
        if min(small.shape[2:]) < PATCH and out:
            break
        short = [max(0, PATCH - side) for side in small.shape[2:]]
        basis = fit([F.pad(small, (0, short[1], 0, short[0]), mode="replicate")], PATCH, count, rng, SAMPLES)
        unit = (weight / basis.variance) ** 0.5
        out.append(_Scale(1 << number, basis.kernel * unit, (basis.mean * unit)[:, None, None]))
    return tuple(out)


def _seen(image: Tensor, scale: _Scale) -> Tensor:
    """(1, 3, h, w) -> (1, D, h, w): what each pixel sees at one scale; beyond the border the border goes on."""
    step, reach = scale.step, PATCH // 2 * scale.step
    padded = F.pad(image, _around(reach, step), mode="replicate")
    return F.conv2d(F.avg_pool2d(padded, step, 1), scale.kernel, dilation=step) - scale.mean


def _around(reach: int, step: int) -> tuple[int, int, int, int]:
    """Pixels to add (left, right, above, below) for windows of `reach` over means of `step` pixels."""
    before, after = reach + (step - 1) // 2, reach + step // 2
    return before, after, before, after


def vgg19(source: Tensor, extract: Extract | None, _rng: torch.Generator) -> Describe:
    """Maps of VGG-19 down to relu3_2 on their principal directions, each brought to every level's size."""
    assert extract is not None
    names = [name for (name, _), _ in LAYERS]
    basis: dict[str, tuple[Tensor, Tensor]] = {}

    def describe(image: Tensor, levels: Sequence[int]) -> list[Tensor]:
        maps = extract(image, names)
        seen = []
        for (name, count), weight in LAYERS:
            if name in maps:
                if name not in basis:
                    own = maps[name] if image is source else extract(source, [name])[name]
                    basis[name] = _principal(own, count, weight)
                mean, directions = basis[name]
                seen.append(torch.einsum("nchw,cd->ndhw", maps[name] - mean, directions))
        return [torch.cat([_sized(layer, image, level) for layer in seen], 1) for level in levels]

    return describe


def learned(
    pictures: tuple[Tensor, Tensor],
    cells: tuple[Tensor, Tensor],
    side: float,
    levels: Sequence[int],
    rng: torch.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """Of a source and a target (1, 3, H, W), at these levels: windows, and what a trained network sees of cells of
    `side` pixels, (1, D, h, w), on its principal directions. Windows find copies to the pixel; the network tells what
    no copy is left of."""
    describe = windows(pictures[0], None, rng)
    mean, directions = _principal(cells[0], DIRECTIONS, 1.0)
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    for image, own, out in zip(pictures, cells, found, strict=True):
        seen = torch.einsum("nchw,cd->ndhw", own - mean, directions)
        for level, near in zip(levels, describe(image, levels), strict=True):
            weight = TRAINED[min(level, 1)]
            wide = _laid(seen, side / (1 << level), (near.shape[2], near.shape[3]))
            out.append(torch.cat([near * (1 - weight) ** 0.5, wide * weight**0.5], 1))
    return found


def _laid(cells: Tensor, side: float, size: tuple[int, int]) -> Tensor:
    """Cells of `side` pixels on the pixels of a map of `size`; those of the last row and column may reach beyond it."""
    spare = math.ceil(1 / side)  # more than the fraction of a pixel that would be cut off
    more = F.pad(cells, (0, spare, 0, spare), mode="replicate")
    whole = F.interpolate(more, scale_factor=side, mode="bilinear", antialias=True)
    return whole[:, :, : size[0], : size[1]]


def _principal(layer: Tensor, count: int, weight: float) -> tuple[Tensor, Tensor]:
    """Mean (1, C, 1, 1) and the first directions (C, count) of a map, in units in which its variance is `weight`."""
    table = sampled(layer, SAMPLES)
    mean = table.mean(0)
    values, vectors = torch.linalg.eigh(((table - mean).T @ (table - mean) / len(table)).cpu().double())
    unit = (weight / max(float(values.clamp(min=0).sum()), 1e-8)) ** 0.5
    return mean.view(1, -1, 1, 1), (vectors[:, -count:].flip(1) * unit).float().to(layer.device)


def _sized(layer: Tensor, image: Tensor, level: int) -> Tensor:
    """A map at the size of the picture's `level`."""
    size = shrink(image[:, :1], level).shape[2:]
    return F.interpolate(layer, size, mode="bilinear", antialias=True) if layer.shape[2:] != size else layer


DESCRIBERS: dict[str, Callable[[Tensor, Extract | None, torch.Generator], Describe]] = {
    "windows": windows,
    "vgg19": vgg19,
}


def relit(source: Tensor, target: Tensor, rng: torch.Generator) -> tuple[Tensor, bool]:
    """The target in the source's light; and does that bring the two much closer? If it does not, they may differ in
    brightness for a good reason: more rust, fewer stones."""
    dims = (2, 3)
    spread = source.std(dims, keepdim=True) / target.std(dims, keepdim=True).clamp(min=1e-4)
    evened = (target - target.mean(dims, keepdim=True)) * spread.clamp(1 / GAIN, GAIN) + source.mean(dims, keepdim=True)
    evened = evened.clamp(0, 1)
    level = max(0, (min(*source.shape[2:], *target.shape[2:]) // SIDE).bit_length() - 1)
    describe = windows(source, None, rng)
    keys, plain, lit = (describe(image, [level])[0] for image in (source, target, evened))
    before, after = (_unlike(keys, layer) for layer in (plain, lit))
    return evened, after < RELIT * before


def _unlike(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of each map's places to the nearest of the other's: both ways, because dark pictures find
    something dark in any other."""
    one, two = (layer[0].flatten(1).T.contiguous() for layer in (first, second))
    there, back = nearest(sampled(first, QUERIES), two)[0], nearest(sampled(second, QUERIES), one)[0]
    return float(there.mean() + back.mean())
