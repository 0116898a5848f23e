"""Sliced transport (Heitz et al. 2021): along random directions the output's features are spread as the exemplar's.

Each evaluation projects both sets of vectors on unit directions, sorts them, and takes the mean squared difference of
the sorted lists: in one dimension that is optimal transport. Sets of different sizes are compared at the output's
quantiles.

Guides of distance "l0" are the paper's spatial tags. The paper adds a tag to the vectors, larger than all of them, so
that sorting keeps regions apart; here every region is sorted by itself, which is the limit of that and keeps float
precision. A region that no reference shows is as far from one place as from another, so it takes from everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Features, Loss, Reference, Setup
from texsynth.patches.samples import counts, draw, learned, tables, total
from texsynth.settings import setting
from texsynth.task import Guide


@dataclass(frozen=True)
class Settings:
    """Defaults: the paper's slices, with layers that weigh alike whatever the network's scale."""

    patch: int = setting(1, "side of the patches that are the vectors; 1: channels alone", low=1, high=31)
    stride: int = setting(1, "step between patches", low=1, high=31)
    directions: int = setting(0, "random directions, 0: as many as dimensions", low=0, high=65536)
    fixed: str = setting(
        "call",
        "draw anew at each evaluation, or once a level so that lbfgs meets one function",
        choices=("call", "level"),
    )
    sample: int = setting(16384, "most positions sorted on each side, 0: all", low=0, high=16777216)
    normalise: str = setting(
        "relative",
        "divide by the exemplar's mean variance, or take layers as they are, as the paper does",
        choices=("relative", "none"),
    )


@dataclass(frozen=True)
class Cloud:
    """The usable vectors (N, D) of all references on a layer, the region (N,) that each lies in, and its unit."""

    vectors: Tensor
    regions: Tensor | None
    unit: float | Tensor


@dataclass(frozen=True)
class Goal:
    """What is compared with: unit directions (K, D) and along them the sorted exemplar (K, n) of each region."""

    directions: Tensor
    quantiles: Mapping[int, Tensor]


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of mean squared differences of sorted projections; 0 for the exemplar itself."""
    sources, target = _regions(references, setup.guides)
    clouds = _clouds(references, sources, settings)
    wanted = [0] if target is None else target.unique().long().tolist()
    once: dict[str, Goal] = {}
    seed = 0
    if settings.fixed == "level":
        once = {name: _goal(cloud, wanted, settings, setup.rng) for name, cloud in clouds.items()}
        seed = int(torch.randint(1 << 62, (1,), generator=setup.rng))

    def loss(features: Features) -> Tensor:
        rng = torch.Generator().manual_seed(seed) if once else setup.rng
        terms = []
        shares = counts(setup.share, features, settings.patch, settings.stride, setup.tile)
        for name, vectors in tables(features, settings.patch, settings.stride, setup.tile).items():
            if name not in clouds:
                continue
            goal = once[name] if once else _goal(clouds[name], wanted, settings, rng)
            places = None if target is None else _middles(target, features[name], settings, setup.tile)
            pick = draw(vectors, settings.sample, rng, shares[name])
            some = vectors[pick]
            if len(some):
                apart = _distance(some, None if places is None else places[pick], goal)
                terms.append(apart / clouds[name].unit)
        return total(terms, features)

    return loss


def _regions(references: Sequence[Reference], guides: Sequence[Guide]) -> tuple[list[Tensor], Tensor | None]:
    """All "l0" guides together as one map of region numbers (1, 1, H, W): of each reference, and of the target."""
    used = [k for k, guide in enumerate(guides) if guide.distance == "l0"]
    if not used:
        return [], None
    maps = [torch.cat([reference.guides[k] for k in used], 1) for reference in references]
    maps.append(torch.cat([guides[k].target for k in used], 1).to(maps[0]))
    rows = torch.cat([values[0].flatten(1).T for values in maps])
    numbers = rows.unique(dim=0, return_inverse=True)[1].float()
    parts = numbers.split([values[0, 0].numel() for values in maps])
    *sources, target = (part.view(1, 1, *v.shape[2:]) for part, v in zip(parts, maps, strict=True))
    return sources, target


def _clouds(references: Sequence[Reference], sources: Sequence[Tensor], settings: Settings) -> dict[str, Cloud]:
    known = learned(references, settings.patch, settings.stride)
    places: dict[str, Tensor] = {}
    if sources:
        like = [
            replace(r, features={name: _resized(s, layer) for name, layer in r.features.items()})
            for r, s in zip(references, sources, strict=True)
        ]
        places = {
            name: vectors[:, _middle(settings.patch)]
            for name, vectors in learned(like, settings.patch, settings.stride).items()
        }
    return {name: Cloud(v, places.get(name), _unit(v, settings.normalise)) for name, v in known.items()}


def _unit(vectors: Tensor, normalise: str) -> float | Tensor:
    """What a layer's squared differences are divided by."""
    if normalise == "none":
        return 1.0
    variance = vectors.var(0, unbiased=False).mean()
    return variance.where(variance > 0, 1)  # a flat exemplar is matched all the same


def _goal(cloud: Cloud, wanted: Sequence[int], settings: Settings, rng: torch.Generator) -> Goal:
    """Directions, and along them the sorted vectors that each wanted region takes from."""
    dims = cloud.vectors.shape[1]
    directions = F.normalize(torch.randn(settings.directions or dims, dims, generator=rng)).to(cloud.vectors)
    quantiles = {}
    for region in wanted:
        vectors = cloud.vectors
        if cloud.regions is not None and bool((cloud.regions == region).any()):
            vectors = vectors[cloud.regions == region]
        vectors = vectors[draw(vectors, settings.sample, rng)]
        quantiles[region] = (directions @ vectors.T).sort(1).values
    return Goal(directions, quantiles)


def _distance(vectors: Tensor, places: Tensor | None, goal: Goal) -> Tensor:
    """Mean squared difference of what some of the output's vectors (n, D) project to and what they should, region by
    region."""
    projected = goal.directions @ vectors.T  # (K, n)
    if places is None:
        return (projected - _ranked(projected.detach(), goal.quantiles[0])).square().mean()
    wanted = torch.empty_like(projected)
    for region, quantiles in goal.quantiles.items():
        inside = places == region
        wanted[:, inside] = _ranked(projected.detach()[:, inside], quantiles)
    return (projected - wanted).square().mean()


def _ranked(projected: Tensor, quantiles: Tensor) -> Tensor:
    """For each value (K, n) the quantile of its own rank in its row; quantiles (K, m) sorted, any m above 0."""
    count = projected.shape[1]
    if count == 0:
        return projected
    if quantiles.shape[1] != count:
        quantiles = F.interpolate(quantiles[None], count, mode="linear")[0]
    return torch.empty_like(projected).scatter_(1, projected.argsort(1), quantiles)


def _resized(numbers: Tensor, layer: Tensor) -> Tensor:
    return F.interpolate(numbers, layer.shape[2:], mode="nearest")


def _middles(numbers: Tensor, layer: Tensor, settings: Settings, tile: tuple[bool, bool]) -> Tensor:
    """The region number under the middle of each patch of a layer, (N,)."""
    found = tables({"": _resized(numbers, layer)}, settings.patch, settings.stride, tile)
    return found[""][:, _middle(settings.patch)]


def _middle(patch: int) -> int:
    """Which of the pixels of a patch, in raster order, is the middle one."""
    return patch // 2 * patch + patch // 2
