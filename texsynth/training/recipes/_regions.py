"""How the patches of a made picture spread, region by region of its maps, beside those of exemplars.

The sliced transport of Heitz et al. 2021 with regions as its spatial tags: labels, bins of values, bins of directions.
Maps change from step to step and exemplars do not, so of every region of these some patches are kept at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import windows
from texsynth.losses._patches import cut, usable
from texsynth.task import Guide

LAYERS = ("full", "half", "quarter")
PATCH = 5
DIRECTIONS = 16
KEPT = 512  # patches of each region of a layer
BINS = {"l2": 6, "direction": 8}


@dataclass(frozen=True)
class Bank:
    """Patches (n, D) of each region of an exemplar, by layer and id; and by layer the mean variance of these."""

    layers: Mapping[str, Mapping[int, Tensor]]
    units: Mapping[str, float]


def regions(maps: Sequence[Tensor], guides: Sequence[Guide]) -> Tensor:
    """One id for every combination of labels and bins, (1, 1, H, W)."""
    found = torch.zeros_like(maps[0][:, :1])
    for values, guide in zip(maps, guides, strict=True):
        if guide.palette is not None:
            count, ids = len(guide.palette), values
        else:
            count, share = BINS[guide.distance], values.mean(1, keepdim=True)
            if guide.distance == "direction":
                share = torch.atan2(values[:, 1:], values[:, :1]) / math.pi % 1
            ids = (share * count).floor().clamp(0, count - 1)
        found = found * count + ids
    return found


@torch.no_grad()
def bank(image: Tensor, valid: Tensor | None, ids: Tensor, rng: torch.Generator) -> Bank:
    """Of an exemplar (1, 3, H, W), where it may be used, and its ids (1, 1, H, W)."""
    layers = {}
    for name, layer in _seen(image).items():
        size = layer.shape[2], layer.shape[3]
        vectors, places = cut(layer, PATCH, 1), _middles(ids, size)
        if valid is not None:
            fits = usable(valid, size, PATCH, 1).to(places.device)
            vectors, places = vectors[fits], places[fits]
        own = {}
        for region in places.unique().tolist():
            inside = (places == region).nonzero()[:, 0]
            own[int(region)] = vectors[inside[torch.randperm(len(inside), generator=rng)[:KEPT].to(inside.device)]]
        layers[name] = own
    units = {
        name: max(float(torch.cat(list(own.values())).var(0, correction=0).mean()), 1e-6)
        for name, own in layers.items()
        if own
    }
    return Bank({name: layers[name] for name in units}, units)


def spread(image: Tensor, ids: Tensor, banks: Sequence[Bank], rng: torch.Generator) -> Tensor:
    """The sum over layers of mean squared differences along random directions, by the variance of the exemplars'
    patches. image: (1, 3, h, w); ids: (1, 1, h, w), where no bank has such a region the next one counts."""
    terms = []
    for name, layer in _seen(image).items():
        own = _merged([each.layers.get(name, {}) for each in banks])
        if not own:
            continue
        directions = F.normalize(torch.randn(DIRECTIONS, 3 * PATCH**2, generator=rng)).to(layer)
        projected = F.conv2d(layer, directions.view(DIRECTIONS, 3, PATCH, PATCH))[0].flatten(1)
        places, held = _middles(ids, (layer.shape[2], layer.shape[3])), torch.tensor(list(own), device=ids.device)
        places = held[(places[:, None] - held).abs().argmin(1)]
        total = layer.new_zeros(())
        for region, vectors in own.items():
            mine = projected[:, places == region]
            if mine.shape[1]:
                goal = (directions @ vectors.T).sort(1).values
                goal = F.interpolate(goal[None], mine.shape[1], mode="linear")[0]
                total = total + (mine.sort(1).values - goal).square().sum()
        unit = max(each.units[name] for each in banks if name in each.units)
        terms.append(total / projected.numel() / unit)
    return torch.stack(terms).sum() if terms else image.sum() * 0


def _seen(image: Tensor) -> dict[str, Tensor]:
    """The layers that have a patch."""
    found = windows.build(windows.Settings(), (False, False), None)(image, LAYERS)
    return {name: layer for name, layer in found.items() if min(layer.shape[2:]) >= PATCH}


def _middles(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """The id under the middle of each patch of a layer of that size, in raster order."""
    by, near = PATCH // 2, F.interpolate(ids, size, mode="nearest-exact")
    return near[0, 0, by : size[0] - by, by : size[1] - by].flatten()


def _merged(parts: Sequence[Mapping[int, Tensor]]) -> dict[int, Tensor]:
    """The patches of several banks together, region by region."""
    every = dict.fromkeys(region for part in parts for region in part)
    return {region: torch.cat([part[region] for part in parts if region in part]) for region in every}
