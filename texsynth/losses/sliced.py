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

from texsynth.losses import Features, Loss, PatchSettings, Reference, Setup, counted_tables, reference_tables, total
from texsynth.patches.samples import draw, tables
from texsynth.settings import setting
from texsynth.task import Guide

GUIDES: tuple[str, ...] = ("l0",)  # regions are compared with regions
WEIGHED_GUIDES: tuple[str, ...] = ()  # and a region has no weight
# Unit directions, (K, D), and for each region the sorted projections of the exemplar on them, (K, n)
Quantiles = tuple[Tensor, Mapping[int, Tensor]]


@dataclass(frozen=True)
class Settings(PatchSettings):
    """The settings of sliced transport; by default all layers weigh alike, whatever the network's scale.

    directions: The number of random directions; 0 takes as many as the vectors have dimensions.
    fixed: When directions are drawn: call draws anew at each evaluation, and level draws once a level, so that lbfgs
        meets one function.
    sample: At most this many positions are sorted on each side; 0 takes all of them.
    normalise: What squared differences are divided by: relative takes the exemplar's mean variance, and none takes
        layers as they are, as the paper does.
    """

    directions: int = setting(0, low=0, high=65536)
    fixed: str = setting("call", choices=("call", "level"))
    sample: int = setting(16384, low=0, high=16777216)
    normalise: str = setting("relative", choices=("relative", "none"))


@dataclass(frozen=True)
class SourceVectors:
    """The usable vectors of all references on a layer, (N, D).

    regions: the number of the region that each lies in, (N,); None without regions.
    unit: what squared differences are divided by.
    """

    vectors: Tensor
    regions: Tensor | None
    unit: float | Tensor


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """A sum over layers of mean squared differences of sorted projections; 0 for the exemplar itself."""
    source_regions, target_regions = _regions(references, setup.guides)
    sources = _sources(references, source_regions, settings)
    wanted = [0] if target_regions is None else target_regions.unique().long().tolist()
    fixed: dict[str, Quantiles] = {}
    seed = 0
    if settings.fixed == "level":
        fixed = {name: _quantiles(source, wanted, settings, setup.rng) for name, source in sources.items()}
        seed = int(torch.randint(1 << 62, (1,), generator=setup.rng))

    def loss(features: Features) -> Tensor:
        rng = torch.Generator().manual_seed(seed) if fixed else setup.rng
        regions: dict[str, Tensor] = {}
        if target_regions is not None:
            regions = tables(_resized(target_regions, features), settings.patch, settings.stride, setup.tile)
        terms = []
        for name, vectors, weights in counted_tables(features, sources, settings, setup):
            quantiles = fixed[name] if fixed else _quantiles(sources[name], wanted, settings, rng)
            drawn = draw(vectors, settings.sample, rng, weights)
            inside = regions[name][drawn, _middle(settings.patch)] if regions else None
            terms.append(_distance(vectors[drawn], inside, quantiles) / sources[name].unit)
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


def _sources(
    references: Sequence[Reference], regions: Sequence[Tensor], settings: Settings
) -> dict[str, SourceVectors]:
    """The usable vectors of each layer, with the regions that the middles of their patches lie in."""
    places: dict[str, Tensor] = {}
    if regions:
        pairs = zip(references, regions, strict=True)
        numbered = [replace(r, features=_resized(numbers, r.features)) for r, numbers in pairs]
        middle = _middle(settings.patch)
        places = {name: table[:, middle] for name, table in reference_tables(numbered, settings).items()}
    every = reference_tables(references, settings)
    return {name: SourceVectors(v, places.get(name), _unit(v, settings.normalise)) for name, v in every.items()}


def _unit(vectors: Tensor, normalise: str) -> float | Tensor:
    """What a layer's squared differences are divided by."""
    if normalise == "none":
        return 1.0
    variance = vectors.var(0, unbiased=False).mean()
    return variance.where(variance > 0, 1)  # a flat exemplar is matched all the same


def _quantiles(source: SourceVectors, wanted: Sequence[int], settings: Settings, rng: torch.Generator) -> Quantiles:
    """Random directions, and along them the sorted vectors that each wanted region takes from."""
    dims = source.vectors.shape[1]
    directions = F.normalize(torch.randn(settings.directions or dims, dims, generator=rng)).to(source.vectors)
    by_region = {}
    for region in wanted:
        vectors = source.vectors
        if source.regions is not None and bool((source.regions == region).any()):
            vectors = vectors[source.regions == region]
        vectors = vectors[draw(vectors, settings.sample, rng)]
        by_region[region] = (directions @ vectors.T).sort(1).values
    return directions, by_region


def _distance(vectors: Tensor, regions: Tensor | None, quantiles: Quantiles) -> Tensor:
    """The mean squared difference of the projections of vectors (n, D) to the wanted ones, region by region."""
    directions, by_region = quantiles
    projected = directions @ vectors.T  # (K, n)
    if regions is None:
        return (projected - _ranked(projected.detach(), by_region[0])).square().mean()
    wanted = torch.empty_like(projected)
    for region, values in by_region.items():
        inside = regions == region
        wanted[:, inside] = _ranked(projected.detach()[:, inside], values)
    return (projected - wanted).square().mean()


def _ranked(projected: Tensor, quantiles: Tensor) -> Tensor:
    """For each value (K, n) the quantile of its own rank in its row; quantiles (K, m) sorted, any m above 0."""
    count = projected.shape[1]
    if count == 0:
        return projected
    if quantiles.shape[1] != count:
        quantiles = F.interpolate(quantiles[None], count, mode="linear")[0]
    return torch.empty_like(projected).scatter_(1, projected.argsort(1), quantiles)


def _resized(numbers: Tensor, layers: Features) -> Features:
    """The map of region numbers at the size of each layer."""
    return {name: F.interpolate(numbers, layer.shape[2:], mode="nearest") for name, layer in layers.items()}


def _middle(patch: int) -> int:
    """The number, in raster order, of the middle pixel of a patch."""
    return patch // 2 * (patch + 1)
