"""Metrics, one a file; the file's name is the key that users name.

Each metric compares an output with its exemplar and describes itself, so that a table can say what its numbers mean.
The features that a metric compares are passed in, so that one network serves all metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from texsynth.errors import InputError
from texsynth.features import Extract
from texsynth.registry import METRICS
from texsynth.task import Guide
from texsynth.tiles.drawn import Drawn


@dataclass(frozen=True)
class Pair:
    """What a metric compares: an exemplar (1, 3, H, W) in [0, 1] and an output (1, 3, h, w) that was made from it.

    others: further outputs of the same exemplar.
    tile: whether the output wraps in (y, x).
    guides: the guides that steered the output; their first source lies on the exemplar, their target on the output.
    tiles: the set of tiles whose plane, laid at random, the output is.
    offsets: of a plane that was drawn by histogram-preserving blending: "free", or "lattice" where they keep its step.
    """

    exemplar: Tensor
    output: Tensor
    others: tuple[Tensor, ...] = ()
    tile: tuple[bool, bool] = (False, False)
    guides: tuple[Guide, ...] = ()
    tiles: Drawn | None = None
    offsets: str = ""


class NotApplicable(InputError):  # noqa: N818 (it is no fault unless the metric was asked for)
    """A pair lacks what a metric compares: a guide, a second output, a border that wraps. The message says which."""


@dataclass(frozen=True)
class About:
    """What a metric says of itself.

    description: one line for tables and reports.
    lower_is_better: None for a metric that describes an output without judging it.
    range: the least and the greatest possible value, None for no limit.
    needs: the layers that the metric compares, by the name of their features; empty where it compares pixels.
    smallest_side: the least number of pixels that every side of the exemplar and of the output must have.
    """

    description: str
    lower_is_better: bool | None = True
    range: tuple[float, float | None] = (0.0, None)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    smallest_side: int = 16


@dataclass(frozen=True)
class Metric:
    """A metric under its key, the name of its file.

    The file holds `ABOUT`, an instance of `About`, and a function `measure(pair, extract, rng) -> float`, here `value`.
    It may hold a function `details` of the same parameters, here `parts`, which gives the parts of the value by name.
    `extract` computes the features that the metric needs and is None where it needs none; `rng` is on the CPU.
    """

    name: str
    about: About
    value: Callable[[Pair, Any, torch.Generator], float]
    parts: Callable[[Pair, Any, torch.Generator], dict[str, float]] | None = None

    @torch.no_grad()
    def measure(self, pair: Pair, extract: Extract | None, rng: torch.Generator) -> float:
        """Raises NotApplicable where the pair lacks what is compared, and InputError where a size does not fit."""
        self._check(pair)
        return self.value(pair, extract, rng)

    @torch.no_grad()
    def details(self, pair: Pair, extract: Extract | None, rng: torch.Generator) -> dict[str, float]:
        """The parts of the value by name; empty for a metric without parts. Raises as `measure` does."""
        self._check(pair)
        return {} if self.parts is None else self.parts(pair, extract, rng)

    def _check(self, pair: Pair) -> None:
        least = self.about.smallest_side
        for which, image in (("exemplar", pair.exemplar), ("output", pair.output)):
            h, w = image.shape[2:]
            if min(h, w) < least:
                raise InputError(
                    f"{self.name}: the {which} is {w}x{h}, but at least {least}x{least} is needed; enlarge it"
                )


def names() -> list[str]:
    """The keys of all metrics."""
    return METRICS.names()


def metric(name: str) -> Metric:
    """The metric of that name; raises KeyError."""
    module = METRICS.module(name)
    return Metric(name, module.ABOUT, module.measure, getattr(module, "details", None))


def guide_of(pair: Pair, name: str) -> Guide:
    """The pair's guide of that name, for the metric of the same name.

    Raises NotApplicable where there is none, and InputError where its maps are not of the sizes of the pictures.
    """
    guide = next((guide for guide in pair.guides if guide.name == name), None)
    if guide is None:
        raise NotApplicable(
            f"{name}: no {name} map was given; it compares the output with the map that it was to follow"
        )
    for which, values, image in (("source", guide.sources[0], pair.exemplar), ("target", guide.target, pair.output)):
        if values.shape[2:] != image.shape[2:]:
            (h, w), (high, wide) = values.shape[2:], image.shape[2:]
            raise InputError(f"{name}: the {which} map is {w}x{h}, but its picture {wide}x{high}; resize the map")
    return guide


def scaled_features(extract: Extract, layers: Sequence[str], *images: Tensor) -> list[dict[str, Tensor]]:
    """The layers (1, C, h, w) of each image, divided by the mean of that layer over the first image.

    It stands in for networks that papers scale so that the mean of every filter over many photographs is 1.
    """
    features = [extract(image, layers) for image in images]
    units = {name: layer.mean().clamp(min=1e-12) for name, layer in features[0].items()}
    return [{name: layer / units[name] for name, layer in maps.items()} for maps in features]
