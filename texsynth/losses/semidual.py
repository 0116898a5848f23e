"""The semi-dual of optimal transport between patches (Houdard et al. 2021, Algorithm 1).

With output patches x and source patches y, and the cost |x - y|^2, the value is F = mean_x min_y (|x - y|^2 - psi_y) +
mean_y psi_y. Its maximum over the potential psi is the cost of transport; each evaluation climbs a few steps from where
the last one ended. The gradient draws every output patch to the source patch that it is assigned to. With no steps psi
stays 0: the nearest patches of Kwatra et al. 2005.

Differs from the paper in: nothing by default; `ascent_sample` and `outputs` take a part of the output's patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from texsynth.losses import Features, Loss, Reference, Setup, all_layers
from texsynth.patches.chunks import height, nearest, scalar
from texsynth.patches.cut import grid, pick, put, seats, usable, wanted, wrapped
from texsynth.settings import setting

TAIL = 2  # steps of an ascent before those that are averaged


@dataclass(frozen=True)
class Settings:
    """Defaults of the paper's code."""

    patch: int = setting(4, "side of the patches, in cells of the layer", low=1, high=31)
    stride: int = setting(1, "step from patch to patch", low=1, high=31)
    sample: int = setting(2000, "source patches at most, drawn once; 0 takes all", low=0, high=1_000_000)
    outputs: int = setting(0, "output patches drawn anew each time; 0 takes all", low=0)
    ascents: int = setting(10, "steps of the potential each time; 0: nearest patches", low=0, high=10_000)
    ascent_sample: int = setting(0, "output patches drawn for each of these steps; 0 takes all", low=0)
    rate: float = setting(1.0, "rate of these steps", low=0.0, high=1e6)
    normalise_ascent: bool = setting(False, "steps of length 1, times the rate")
    standardise: str = setting(
        "none",
        "rms divides every channel by its root mean square in the sources, for network features",
        choices=("none", "rms"),
    )


@dataclass(frozen=True)
class Cloud:
    """The source patches of a layer. scale, shift: (1, C, 1, 1), what its maps are divided by, and what is then
    subtracted, which only helps precision. patches: (M, D). norms: (M,), |y|^2. psi: (M,), changed by every ascent."""

    scale: Tensor
    shift: Tensor
    patches: Tensor
    norms: Tensor
    psi: Tensor


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """The mean over the layers of `references`; layers smaller than a patch, or without a usable one, are left out."""
    made = {name: _cloud(name, references, settings, setup) for name in all_layers(references)}
    clouds = {name: cloud for name, cloud in made.items() if cloud is not None}

    def loss(features: Features) -> Tensor:
        fits = [n for n in clouds if n in features and min(features[n].shape[2:]) >= settings.patch]
        if not fits:
            return next(iter(features.values())).sum() * 0
        return torch.stack([_transport(features[name], clouds[name], settings, setup) for name in fits]).mean()

    return loss


def _cloud(name: str, references: Sequence[Reference], settings: Settings, setup: Setup) -> Cloud | None:
    """The source patches of a layer, drawn from all references alike."""
    patch, stride = settings.patch, settings.stride
    large = [r for r in references if name in r.features and min(r.features[name].shape[2:]) >= patch]
    found = [(r, r.features[name], _numbers(r, r.features[name], patch, stride)) for r in large]
    used = [each for each in found if len(each[2])]
    if not used:
        return None
    held, maps, numbers = zip(*used, strict=True)
    count = sum(map(len, numbers))
    every = torch.cat([_known(r, m) for r, m in zip(held, maps, strict=True)], 2)
    scale = torch.ones_like(every[:, :, :1, None])
    if settings.standardise == "rms":
        scale = (every**2).mean(2)[:, :, None, None].sqrt()
        scale = torch.where(scale > 0, scale, 1)
    shift = every.mean(2)[:, :, None, None] / scale
    some = torch.randperm(count, generator=setup.rng)[: settings.sample or count].to(every.device)
    patches = [
        _patches(m / scale - shift, n[part], patch, stride)
        for m, n, part in zip(maps, numbers, _shared(some, numbers), strict=True)
    ]
    table = torch.cat(patches)
    norms = (table**2).sum(1)
    psi = torch.zeros_like(norms)
    setup.kept[f"{len(setup.kept)}.semidual.{name}"] = psi
    return Cloud(scale, shift, table, norms, psi)


def _numbers(reference: Reference, layer: Tensor, patch: int, stride: int) -> Tensor:
    """Which patches of a reference's layer may be used, as numbers in raster order."""
    size = layer.shape[2], layer.shape[3]
    if reference.valid is None:
        return torch.arange(math.prod(grid(size, patch, stride)), device=layer.device)
    return usable(reference.valid, size, patch, stride).nonzero()[:, 0].to(layer.device)


def _known(reference: Reference, layer: Tensor) -> Tensor:
    """The usable cells of a reference's layer: (1, C, n)."""
    cells = layer.flatten(2)
    if reference.valid is None:
        return cells
    return cells[:, :, usable(reference.valid, (layer.shape[2], layer.shape[3]), 1, 1).to(layer.device)]


def _shared(some: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """Numbers into the parts one after the other -> numbers into each of them."""
    starts = [sum(map(len, parts[:n])) for n in range(len(parts))]
    return [
        some[(some >= start) & (some < start + len(part))] - start for start, part in zip(starts, parts, strict=True)
    ]


def _pixels(layer: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C)"""
    return layer[0].flatten(1).T.contiguous()


def _patches(layer: Tensor, numbers: Tensor, patch: int, stride: int) -> Tensor:
    return pick(_pixels(layer), seats(numbers, (layer.shape[2], layer.shape[3]), patch, stride))


def _transport(layer: Tensor, cloud: Cloud, settings: Settings, setup: Setup) -> Tensor:
    """F of one layer (1, C, h, w) of the output, after an ascent."""
    weights = wanted(setup.share, layer, settings.patch, settings.stride, setup.tile).flatten()
    work = partial(_evaluate, cloud=cloud, weights=weights, settings=settings, setup=setup)
    return scalar(wrapped(layer / cloud.scale - cloud.shift, settings.patch, setup.tile), work)


@dataclass(frozen=True)
class Part:
    """Some output patches: their seats (n, patch * patch), how much each counts, (n,), and |y|^2 - 2 x . y, (n, M),
    where that is kept."""

    places: Tensor
    weights: Tensor
    costs: Tensor | None = None


def _evaluate(
    layer: Tensor, wants: bool, cloud: Cloud, weights: Tensor, settings: Settings, setup: Setup
) -> tuple[Tensor, Tensor | None]:
    """F of a layer that is scaled, shifted and continued, and its gradient where wanted; changes psi. weights: (N,),
    how much each of its patches counts; those of weight 0 are never looked at, and where no other is left F is 0."""
    patch, stride, size = settings.patch, settings.stride, (layer.shape[2], layer.shape[3])
    pixels, every = _pixels(layer), (weights > 0).nonzero()[:, 0].cpu()
    if not len(every):
        return layer.new_zeros(()), torch.zeros_like(layer) if wants else None
    chosen = _draw(every, settings.outputs, setup.rng)
    count, rows = len(chosen), height(max(cloud.patches.shape), layer, setup.memory)

    def parts(numbers: Tensor) -> list[Part]:
        return [Part(seats(n, size, patch, stride), weights[n]) for n in numbers.to(layer.device).split(rows)]

    every_part, few = parts(chosen), 0 < settings.ascent_sample < count
    if settings.ascents and not few and count * len(cloud.psi) * layer.element_size() <= setup.memory:
        every_part = [replace(p, costs=_costs(pixels, p.places, cloud, cloud.norms)) for p in every_part]

    def shares(psi: Tensor) -> Tensor:
        """Which share of the output's patches goes to each source patch: (M,)."""
        counts = torch.zeros_like(psi)
        for part in parts(_draw(chosen, settings.ascent_sample, setup.rng)) if few else every_part:
            index = _assign(pixels, part, cloud, psi)
            counts.index_add_(0, index, part.weights)
        return counts / counts.sum()

    if settings.ascents:
        cloud.psi.copy_(_ascend(cloud.psi, shares, settings))
    value, gradient, total = cloud.psi.mean(), torch.zeros_like(pixels), float(weights[chosen.to(weights.device)].sum())
    for part in every_part:
        index = _assign(pixels, part, cloud, cloud.psi)
        apart = pick(pixels, part.places).sub_(cloud.patches[index])
        value += (((apart**2).sum(1) - cloud.psi[index]) * part.weights).sum() / total
        if wants:
            put(gradient, part.places, apart.mul_((part.weights * (2 / total))[:, None]))
    return value, gradient.T.reshape(layer.shape) if wants else None


def _costs(pixels: Tensor, places: Tensor, cloud: Cloud, less: Tensor) -> Tensor:
    """less_j - 2 x_i . y_j: (n, M)."""
    return torch.addmm(less, pick(pixels, places), cloud.patches.T, alpha=-2)


def _assign(pixels: Tensor, part: Part, cloud: Cloud, psi: Tensor) -> Tensor:
    """The source patch nearest to each output patch, less its psi: (n,)."""
    if part.costs is None:
        return nearest(_costs(pixels, part.places, cloud, cloud.norms - psi))[1]
    return nearest(part.costs - psi)[1]


def _draw(numbers: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """At most so many of them, without repeats; 0: all."""
    return numbers[torch.randperm(len(numbers), generator=rng)[:most]] if 0 < most < len(numbers) else numbers


def _ascend(psi: Tensor, shares: Callable[[Tensor], Tensor], settings: Settings) -> Tensor:
    """Gradient ascent from psi (M,); the mean of its steps but the first ones."""
    total = torch.zeros_like(psi)
    for step in range(settings.ascents):
        slope = 1 / len(psi) - shares(psi)
        if settings.normalise_ascent:
            slope = slope / slope.norm().clamp_min(torch.finfo(slope.dtype).tiny)
        psi = psi + settings.rate * slope
        if step >= TAIL:
            total += psi
    return total / (settings.ascents - TAIL) if settings.ascents > TAIL else psi
