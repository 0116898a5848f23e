"""How the patches of an output are distributed, region by region of its maps, beside those of exemplars.

The semi-dual of patch transport (Houdard et al. 2021, Algorithm 2) is computed once for every region: a label, a bin of
values, a bin of directions. Inside a region all patches of the exemplars are wanted equally often, and however much of
the output a region takes, no patches of other regions are drawn to it. Regions change from step to step, but their
potentials are kept.

Differs from the paper in: the patches of both sides are samples, so each is drawn to the mean of those near it, and
outputs would be too smooth (two thirds of an exemplar's variance). So means and covariances are compared, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import windows
from texsynth.learned.shared.copies import MappedCopy
from texsynth.patches.cut import cut, usable
from texsynth.patches.nearest import row_minimum
from texsynth.task import Guide

LAYERS = ("full", "half", "quarter", "eighth")
PATCH = 4  # side of the patches in pixels of a layer
PATCHES_OF_A_COPY = 1 << 16  # the most patches of an exemplar's copy that regions choose from
PATCHES_OF_A_REGION = 2000  # the most patches of a layer's region in a bank
PATCHES_OF_AN_OUTPUT = 1024  # the most patches of an output's layer that are transported
ASCENTS = 4  # steps of the potentials for one output
MOMENT_LAYERS = ("full", "half")  # layers of which means and covariances are compared
MOMENT_WEIGHT = 2.0  # of the differences of means and covariances, against the transport
SMALLEST_SPREAD = 0.1  # of a region, as a share of the exemplars' variance
HALF_SURE = 500  # patches of an output's region from which means and covariances are half certain
BINS = {"l2": 8, "direction": 8}  # regions of a guide, by its distance

ColourChange = Callable[[Tensor], Tensor]  # of colours (M, 3, k)


@dataclass(frozen=True)
class RegionPatches:
    """The patches (M, D) of a region of a layer, and their potentials (M,), which every ascent changes in place."""

    patches: Tensor
    potentials: Tensor

    def changed(self, change: ColourChange | None) -> RegionPatches:
        """The same potentials, and patches whose colours are changed."""
        if change is None:
            return self
        return RegionPatches(change(self.patches.unflatten(1, (3, -1))).flatten(1), self.potentials)


@dataclass(frozen=True)
class Bank:
    """The patches of exemplars by layer and by the id of a region. units: the mean variance of a layer's patches."""

    layers: Mapping[str, Mapping[int, RegionPatches]]
    units: Mapping[str, float]

    @property
    def memory(self) -> dict[str, Tensor]:
        """All potentials, by name."""
        layers = self.layers.items()
        return {f"{name}.{region}": held.potentials for name, layer in layers for region, held in layer.items()}

    def changed(self, changes: Mapping[int, ColourChange]) -> Bank:
        """The same potentials, and patches whose colours are changed in some regions."""
        layers = {
            name: {region: held.changed(changes.get(region)) for region, held in layer.items()}
            for name, layer in self.layers.items()
        }
        return Bank(layers, self.units)


def regions(maps: Sequence[Tensor], guides: Sequence[Guide]) -> Tensor:
    """The regions of maps (1, C, H, W): an id for every combination of labels and bins, (1, 1, H, W)."""
    combined = torch.zeros_like(maps[0][:, :1])
    for values, guide in zip(maps, guides, strict=True):
        if guide.palette is not None:
            count, ids = len(guide.palette), values
        else:
            count, share = BINS[guide.distance], values.mean(1, keepdim=True)
            if guide.distance == "direction":
                share = torch.atan2(values[:, 1:], values[:, :1]) / math.pi % 1
            ids = (share * count).floor().clamp(0, count - 1)
        combined = combined * count + ids
    return combined


@torch.no_grad()
def bank(copies: Sequence[MappedCopy], guides: Sequence[Guide], rng: torch.Generator) -> Bank:
    """The patches of all copies of all exemplars together."""
    # Cut the patches of every copy, with the region of each.
    drawn: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for copy in copies:
        ids = regions(copy.maps, guides)
        for name, layer in _layers(copy.image).items():
            size = layer.shape[2], layer.shape[3]
            vectors, places = cut(layer, PATCH, 1), _ids_of_patches(ids, size)
            if copy.valid is not None:
                fits = usable(copy.valid, size, PATCH, 1).to(places.device)
                vectors, places = vectors[fits], places[fits]
            some = torch.randperm(len(places), generator=rng)[:PATCHES_OF_A_COPY].to(places.device)
            drawn.setdefault(name, []).append((vectors[some], places[some]))
    # Sort them by region.
    layers: dict[str, dict[int, RegionPatches]] = {}
    units = {}
    for name, parts in drawn.items():
        vectors, places = (torch.cat(each) for each in zip(*parts, strict=True))
        if not len(places):
            continue
        layers[name] = {}
        for region in places.unique().tolist():
            inside = (places == region).nonzero()[:, 0]
            some = torch.randperm(len(inside), generator=rng)[:PATCHES_OF_A_REGION].to(inside.device)
            patches = vectors[inside[some]]
            layers[name][int(region)] = RegionPatches(patches, patches.new_zeros(len(patches)))
        units[name] = max(float(vectors.var(0, correction=0).mean()), 1e-6)
    return Bank(layers, units)


def transport(image: Tensor, ids: Tensor, bank: Bank, rng: torch.Generator) -> Tensor:
    """How far the patches of an output (1, 3, h, w) are from those of the exemplars, summed over the layers.

    For each layer this is the mean squared difference from the patches that transport assigns, in units of the variance
    of the exemplars' patches, plus the weighted difference of means and covariances. Changes the bank's potentials.

    ids: (1, 1, h, w), the regions; where the exemplars have no such region the one of the next id counts.
    """
    terms = []
    for name, layer in _layers(image).items():
        exemplars = bank.layers.get(name)
        if not exemplars:
            continue
        # Give every patch of the output a region that the exemplars have.
        vectors, places = cut(layer, PATCH, 1), _ids_of_patches(ids, (layer.shape[2], layer.shape[3]))
        existing = torch.tensor(list(exemplars), device=ids.device)
        places = existing[(places[:, None] - existing).abs().argmin(1)]
        drawn = torch.zeros_like(places, dtype=torch.bool)
        drawn[torch.randperm(len(places), generator=rng)[:PATCHES_OF_AN_OUTPUT].to(places.device)] = True
        # Compare region by region.
        total = layer.new_zeros(())
        for region in places.unique().tolist():
            held, inside = exemplars[int(region)], places == region
            some = vectors[inside & drawn]
            if len(some):
                distance = (some - _assigned(some.detach(), held)).square().mean() / bank.units[name]
                total = total + distance * (len(some) / int(drawn.sum()))
            if name in MOMENT_LAYERS:
                distance = _moments(vectors[inside], held.patches, SMALLEST_SPREAD * bank.units[name])
                total = total + MOMENT_WEIGHT * distance * float(inside.float().mean())
        terms.append(total)
    return torch.stack(terms).sum() if terms else image.sum() * 0


def _assigned(patches: Tensor, held: RegionPatches) -> Tensor:
    """The exemplar patch that each of (n, D) is assigned to, after an ascent of the potentials."""
    costs = torch.addmm(held.patches.square().sum(1), patches, held.patches.T, alpha=-2)
    for _ in range(ASCENTS):
        counts = torch.bincount(row_minimum(costs - held.potentials)[1], minlength=len(held.patches))
        held.potentials.add_(1 / len(held.patches) - counts / len(patches))
    return held.patches[row_minimum(costs - held.potentials)[1]]


def _moments(patches: Tensor, wanted: Tensor, smallest: float) -> Tensor:
    """The relative difference of the means and covariances of patches (n, D), which counts less the fewer there are,
    from those of others (M, D), which have at least the variance `smallest` in every direction."""
    parts = []
    for x in (patches, wanted):
        mean = x.mean(0)
        parts.append((mean, (x - mean).T @ (x - mean) / len(x)))
    (mean, covariance), (wanted_mean, wanted_covariance) = parts
    size = len(wanted_covariance)
    shift = (mean - wanted_mean).square().sum() / wanted_covariance.trace().clamp_min(smallest * size)
    spread = (covariance - wanted_covariance).square().sum()
    spread = spread / wanted_covariance.square().sum().clamp_min(smallest**2 * size)
    return (shift + spread) * (len(patches) / (len(patches) + HALF_SURE))


def _layers(image: Tensor) -> dict[str, Tensor]:
    """The layers of a picture that hold at least one patch."""
    layers = windows.build(windows.Settings(), (False, False), None)(image, LAYERS)
    return {name: layer for name, layer in layers.items() if min(layer.shape[2:]) >= PATCH}


def _ids_of_patches(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """The id under the middle of each patch of a layer of that size, in raster order."""
    by, resized = PATCH // 2, F.interpolate(ids, size, mode="nearest-exact")
    return resized[0, 0, by : size[0] + 1 - (PATCH - by), by : size[1] + 1 - (PATCH - by)].flatten()
