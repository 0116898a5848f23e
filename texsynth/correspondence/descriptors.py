"""What dense correspondence compares two pictures by, pixel by pixel and level by level.

Every function of DESCRIBERS takes a source, learns from it what to look at, and gives a function of pictures; none
needs training. `learned` puts beside windows what a trained network sees (Zhang et al. 2020).
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
WINDOW_SCALES = ((24, 0.5), (12, 0.3), (12, 0.2))  # (directions, weight); each scale sees twice as far as the last
BASIS_SAMPLES = 4096  # windows, or places of a map, from which principal directions are computed
LAYERS = ((("relu1_2", 16), 0.25), (("relu2_2", 24), 0.35), (("relu3_2", 24), 0.4))  # of VGG-19, as above
SIDE_FOR_LIGHT = 64  # pixels of the shorter side at which the light of two pictures is compared
PLACES_FOR_LIGHT = 2048  # pixels at which it is compared
RELIT_DISTANCE = 0.75  # of the distance before the light was evened out: a smaller one shows that the light differed
LARGEST_CONTRAST = 4.0  # factor by which evening out the light may raise or lower contrast

MODEL_DIRECTIONS = 32  # principal directions of what a trained network sees
MODEL_WEIGHT = (0.1, 0.5)  # of that, at full size and halved: cells cannot tell neighbouring pixels apart

WIDTH = {"windows": sum(count for count, _ in WINDOW_SCALES), "vgg19": sum(count for (_, count), _ in LAYERS)}
WIDTH["model"] = WIDTH["windows"] + MODEL_DIRECTIONS


class _WindowScale(NamedTuple):
    """The windows of one scale, `step` pixels between their pixels: the `kernel` (D, 3, k, k) of their principal
    directions, and the mean window on these, `mean` (D, 1, 1)."""

    step: int
    kernel: Tensor
    mean: Tensor


def windows(source: Tensor, _extract: Extract | None, rng: torch.Generator) -> Describe:
    """Windows of colours at three scales, grain and surroundings: the descriptor that needs no network.

    Wide windows are taken from a blurred picture with gaps, not from a small one: so a copy that moved by any number
    of pixels keeps its descriptor exactly.
    """
    bases: dict[int, list[_WindowScale]] = {}

    def describe(image: Tensor, levels: Sequence[int]) -> list[Tensor]:
        maps = []
        for level in levels:
            if level not in bases:
                bases[level] = _window_scales(shrink(source, level), rng)
            small = shrink(image, level)
            maps.append(torch.cat([_described(small, scale) for scale in bases[level]], 1))
        return maps

    return describe


def _window_scales(source: Tensor, rng: torch.Generator) -> list[_WindowScale]:
    """The windows of a source (1, 3, H, W) at every scale that it is large enough for, and at least at the first."""
    scales: list[_WindowScale] = []
    for number, (count, weight) in enumerate(WINDOW_SCALES):
        small = shrink(source, number)
        if min(small.shape[2:]) < PATCH and scales:
            break
        short = [max(0, PATCH - side) for side in small.shape[2:]]
        basis = fit([F.pad(small, (0, short[1], 0, short[0]), mode="replicate")], PATCH, count, rng, BASIS_SAMPLES)
        unit = (weight / basis.variance) ** 0.5
        scales.append(_WindowScale(1 << number, basis.kernel * unit, (basis.mean * unit)[:, None, None]))
    return scales


def _described(image: Tensor, scale: _WindowScale) -> Tensor:
    """The descriptors (1, D, h, w) of (1, 3, h, w) at one scale; beyond the border its last pixels go on."""
    step, reach = scale.step, PATCH // 2 * scale.step
    before, after = reach + (step - 1) // 2, reach + step // 2  # windows over means of step x step pixels
    padded = F.pad(image, (before, after, before, after), mode="replicate")
    return F.conv2d(F.avg_pool2d(padded, step, 1), scale.kernel, dilation=step) - scale.mean


def vgg19(source: Tensor, extract: Extract | None, _rng: torch.Generator) -> Describe:
    """Maps of VGG-19 down to relu3_2 on their principal directions, each brought to every level's size."""
    assert extract is not None
    names = [name for (name, _), _ in LAYERS]
    bases: dict[str, tuple[Tensor, Tensor]] = {}

    def describe(image: Tensor, levels: Sequence[int]) -> list[Tensor]:
        maps = extract(image, names)
        projected = []
        for (name, count), weight in LAYERS:
            if name in maps:
                if name not in bases:
                    source_map = maps[name] if image is source else extract(source, [name])[name]
                    bases[name] = _principal(source_map, count, weight)
                projected.append(_projected(maps[name], *bases[name]))
        return [torch.cat([_sized(layer, image, level) for layer in projected], 1) for level in levels]

    return describe


def learned(
    pictures: tuple[Tensor, Tensor],
    cells: tuple[Tensor, Tensor],
    side: float,
    levels: Sequence[int],
    rng: torch.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """The descriptors of a source and a target (1, 3, H, W) at these levels, windows beside the principal directions of
    `cells` (1, D, h, w), what a network sees of each picture in cells of `side` pixels. Windows find copies to the
    pixel; the network leads where no copy is left."""
    describe = windows(pictures[0], None, rng)
    basis = _principal(cells[0], MODEL_DIRECTIONS, 1.0)
    both: tuple[list[Tensor], list[Tensor]] = ([], [])
    for image, picture_cells, described in zip(pictures, cells, both, strict=True):
        projected = _projected(picture_cells, *basis)
        for level, near in zip(levels, describe(image, levels), strict=True):
            weight = MODEL_WEIGHT[min(level, 1)]
            wide = on_pixels(projected, side / (1 << level), (near.shape[2], near.shape[3]))
            described.append(torch.cat([near * (1 - weight) ** 0.5, wide * weight**0.5], 1))
    return both


def on_pixels(cells: Tensor, side: float, size: tuple[int, int]) -> Tensor:
    """A map of cells (1, C, h, w), each of `side` pixels, interpolated on the pixels of a map of `size`; the last cells
    may reach beyond it."""
    spare = math.ceil(1 / side)  # more than the fraction of a pixel that would be cut off
    more = F.pad(cells, (0, spare, 0, spare), mode="replicate")
    whole = F.interpolate(more, scale_factor=side, mode="bilinear", antialias=True)
    return whole[:, :, : size[0], : size[1]]


def _principal(layer: Tensor, count: int, weight: float) -> tuple[Tensor, Tensor]:
    """The mean (1, C, 1, 1) of a map and its first directions (C, count); the map's variance on them is `weight`."""
    table = sampled(layer, BASIS_SAMPLES)
    mean = table.mean(0)
    values, vectors = torch.linalg.eigh(((table - mean).T @ (table - mean) / len(table)).cpu().double())
    unit = (weight / max(float(values.clamp(min=0).sum()), 1e-8)) ** 0.5
    return mean.view(1, -1, 1, 1), (vectors[:, -count:].flip(1) * unit).float().to(layer.device)


def _projected(layer: Tensor, mean: Tensor, directions: Tensor) -> Tensor:
    """A map (1, C, h, w) on what `_principal` gives, (1, count, h, w)."""
    return torch.einsum("nchw,cd->ndhw", layer - mean, directions)


def _sized(layer: Tensor, image: Tensor, level: int) -> Tensor:
    """A map at the size of the picture's `level`."""
    size = shrink(image[:, :1], level).shape[2:]
    return F.interpolate(layer, size, mode="bilinear", antialias=True) if layer.shape[2:] != size else layer


DESCRIBERS: dict[str, Callable[[Tensor, Extract | None, torch.Generator], Describe]] = {
    "windows": windows,
    "vgg19": vgg19,
}


def relit(source: Tensor, target: Tensor, rng: torch.Generator) -> tuple[Tensor, bool]:
    """The target in the source's light, and whether that brings the two much closer: if not, they may differ in
    brightness for a good reason, more rust or fewer stones."""
    dims = (2, 3)
    contrast = source.std(dims, keepdim=True) / target.std(dims, keepdim=True).clamp(min=1e-4)
    contrast = contrast.clamp(1 / LARGEST_CONTRAST, LARGEST_CONTRAST)
    evened = ((target - target.mean(dims, keepdim=True)) * contrast + source.mean(dims, keepdim=True)).clamp(0, 1)
    level = max(0, (min(*source.shape[2:], *target.shape[2:]) // SIDE_FOR_LIGHT).bit_length() - 1)
    describe = windows(source, None, rng)
    keys, plain, lit = (describe(image, [level])[0] for image in (source, target, evened))
    before, after = (_distance(keys, layer) for layer in (plain, lit))
    return evened, after < RELIT_DISTANCE * before


def _distance(first: Tensor, second: Tensor) -> float:
    """The mean squared distance of each map's places to the nearest of the other's, both ways, because dark pictures
    find something dark in any other."""
    one, two = (layer[0].flatten(1).T.contiguous() for layer in (first, second))
    there = nearest(sampled(first, PLACES_FOR_LIGHT), two)[0]
    back = nearest(sampled(second, PLACES_FOR_LIGHT), one)[0]
    return float(there.mean() + back.mean())
