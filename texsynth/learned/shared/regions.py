"""How the patches of a made picture spread, region by region of its maps, beside those of exemplars.

The semi-dual of patch transport (Houdard et al. 2021, Algorithm 2), once for every region: a label, a bin of values, a
bin of directions. Inside a region all patches of the exemplars are wanted equally often, and however much of the
picture a region takes, no other's patches are drawn to it. Regions change from step to step, and their potentials,
which are kept, do not.

Differs from the paper in: patches of both sides are some of many, so each is drawn to the mean of those near it, and
pictures would be too smooth (two thirds of an exemplar's variance). So means and covariances are compared, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import windows
from texsynth.learned.shared.copies import Copy
from texsynth.patches.chunks import nearest
from texsynth.patches.cut import cut, usable
from texsynth.task import Guide

LAYERS = ("full", "half", "quarter", "eighth")
PATCH = 4
SEEN = 1 << 16  # patches of each copy of an exemplar that are chosen from, at most
KEPT = 2000  # patches of each region of a layer, at most
DRAWN = 1024  # patches of a picture's layer, at most
ASCENTS = 4  # steps of the potentials at a time
FINE = ("full", "half")  # layers of which means and covariances are compared
SPREAD = 2.0  # weight of these
LEAST = 0.1  # of the exemplars' variance, which every region is taken to have
MANY = 500  # patches of a picture's region, of which these are half certain
BINS = {"l2": 8, "direction": 8}


@dataclass(frozen=True)
class Cloud:
    """The patches of a region of a layer, (M, D), and their potentials (M,), changed by every ascent."""

    patches: Tensor
    potentials: Tensor

    def changed(self, change: Callable[[Tensor], Tensor] | None) -> Cloud:
        """With other colours, which `change` makes of (M, 3, k)."""
        if change is None:
            return self
        return Cloud(change(self.patches.unflatten(1, (3, -1))).flatten(1), self.potentials)


@dataclass(frozen=True)
class Bank:
    """The clouds of exemplars by layer and id; and by layer the mean variance of all their patches."""

    layers: Mapping[str, Mapping[int, Cloud]]
    units: Mapping[str, float]

    @property
    def memory(self) -> dict[str, Tensor]:
        """All potentials, by name."""
        return {
            f"{name}.{region}": cloud.potentials
            for name, clouds in self.layers.items()
            for region, cloud in clouds.items()
        }

    def changed(self, changes: Mapping[int, Callable[[Tensor], Tensor]]) -> Bank:
        """With the patches of some regions in other colours, and the same potentials."""
        if not changes:
            return self
        layers = {
            name: {region: cloud.changed(changes.get(region)) for region, cloud in clouds.items()}
            for name, clouds in self.layers.items()
        }
        return Bank(layers, self.units)


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
def bank(copies: Sequence[Copy], guides: Sequence[Guide], rng: torch.Generator) -> Bank:
    """Of all copies of all exemplars together."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for copy in copies:
        ids = regions(copy.maps, guides)
        for name, layer in _seen(copy.image).items():
            size = layer.shape[2], layer.shape[3]
            vectors, places = cut(layer, PATCH, 1), _middles(ids, size)
            if copy.valid is not None:
                fits = usable(copy.valid, size, PATCH, 1).to(places.device)
                vectors, places = vectors[fits], places[fits]
            some = torch.randperm(len(places), generator=rng)[:SEEN].to(places.device)
            found.setdefault(name, []).append((vectors[some], places[some]))
    layers, units = {}, {}
    for name, parts in found.items():
        vectors, places = (torch.cat(each) for each in zip(*parts, strict=True))
        if not len(places):
            continue
        own = {}
        for region in places.unique().tolist():
            inside = (places == region).nonzero()[:, 0]
            some = torch.randperm(len(inside), generator=rng)[:KEPT].to(inside.device)
            patches = vectors[inside[some]]
            own[int(region)] = Cloud(patches, patches.new_zeros(len(patches)))
        layers[name], units[name] = own, max(float(vectors.var(0, correction=0).mean()), 1e-6)
    return Bank(layers, units)


def transport(image: Tensor, ids: Tensor, bank: Bank, rng: torch.Generator) -> Tensor:
    """The sum over layers of how far patches are from those of the exemplars that transport assigns them to, a mean
    squared difference by the variance of the exemplars' patches, and of how unlike their means and covariances are.
    Changes the potentials of the bank.

    image: (1, 3, h, w). ids: (1, 1, h, w), where the exemplars have no such region the next one counts.
    """
    terms = []
    for name, layer in _seen(image).items():
        clouds = bank.layers.get(name)
        if not clouds:
            continue
        vectors, places = cut(layer, PATCH, 1), _middles(ids, (layer.shape[2], layer.shape[3]))
        held = torch.tensor(list(clouds), device=ids.device)
        places = held[(places[:, None] - held).abs().argmin(1)]
        drawn = torch.zeros_like(places, dtype=torch.bool)
        drawn[torch.randperm(len(places), generator=rng)[:DRAWN].to(places.device)] = True
        total = layer.new_zeros(())
        for region in places.unique().tolist():
            cloud, inside = clouds[int(region)], places == region
            mine = vectors[inside & drawn]
            if len(mine):
                apart = (mine - _assigned(mine.detach(), cloud)).square().mean() / bank.units[name]
                total = total + apart * (len(mine) / int(drawn.sum()))
            if name in FINE:
                apart = _unlike(vectors[inside], cloud.patches, LEAST * bank.units[name])
                total = total + SPREAD * apart * float(inside.float().mean())
        terms.append(total)
    return torch.stack(terms).sum() if terms else image.sum() * 0


def _assigned(patches: Tensor, cloud: Cloud) -> Tensor:
    """The patch of a cloud that each of (n, D) is assigned to, after an ascent of the potentials."""
    costs = torch.addmm(cloud.patches.square().sum(1), patches, cloud.patches.T, alpha=-2)
    for _ in range(ASCENTS):
        counts = torch.bincount(nearest(costs - cloud.potentials)[1], minlength=len(cloud.patches))
        cloud.potentials.add_(1 / len(cloud.patches) - counts / len(patches))
    return cloud.patches[nearest(costs - cloud.potentials)[1]]


def _unlike(patches: Tensor, wanted: Tensor, least: float) -> Tensor:
    """By what share the means and covariances of patches (n, D) are not those of others (M, D), with `least` variance
    in every direction; the fewer patches, the less that counts."""
    parts = []
    for x in (patches, wanted):
        mean = x.mean(0)
        parts.append((mean, (x - mean).T @ (x - mean) / len(x)))
    (mean, covariance), (their_mean, theirs) = parts
    shift = (mean - their_mean).square().sum() / theirs.trace().clamp_min(least * len(theirs))
    spread = (covariance - theirs).square().sum() / theirs.square().sum().clamp_min(least**2 * len(theirs))
    return (shift + spread) * (len(patches) / (len(patches) + MANY))


def _seen(image: Tensor) -> dict[str, Tensor]:
    """The layers that have a patch."""
    found = windows.build(windows.Settings(), (False, False), None)(image, LAYERS)
    return {name: layer for name, layer in found.items() if min(layer.shape[2:]) >= PATCH}


def _middles(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """The id under the middle of each patch of a layer of that size, in raster order."""
    by, near = PATCH // 2, F.interpolate(ids, size, mode="nearest-exact")
    return near[0, 0, by : size[0] + 1 - (PATCH - by), by : size[1] + 1 - (PATCH - by)].flatten()
