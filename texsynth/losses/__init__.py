"""Losses, one a file; the file's name is the key that presets use. They take tensors only.

Each file has `Settings`, a frozen dataclass, and `build(references, settings, setup) -> Loss`: what is fixed during a
level is worked out once, and the loss maps the features of the output to a scalar whose gradient flows back into them.
It may say in `GUIDES` which kinds of guides it follows, by their distance, and in `WEIGHED_GUIDES` of which of these it
heeds the weight; where it says nothing that is all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from texsynth.patches.cut import grid, patch_weights, size_of, usable
from texsynth.patches.samples import tables
from texsynth.registry import LOSSES
from texsynth.settings import setting
from texsynth.task import Guide

GUIDES = ("l2", "l0", "direction")  # all kinds, by their distance
Features = Mapping[str, Tensor]  # layer name -> (1, C, h, w), shallow to deep
Loss = Callable[[Features], Tensor]


@dataclass(frozen=True)
class Reference:
    """An exemplar, or a flipped or turned copy of one, in the form that losses take.

    exemplar: the number of the exemplar that it is or is a copy of.
    valid: (1, 1, H, W) bool in pixels, False where nothing may be learned from; None where everything may.
    guides: its map of each guide, (1, C, H, W).
    place: (1, 2, H, W), for each pixel its (y, x) in the exemplar before copying, in [0, 1]; None for the exemplar.
    """

    features: Features
    exemplar: int = 0
    valid: Tensor | None = None
    guides: tuple[Tensor, ...] = ()
    place: Tensor | None = None


@dataclass(frozen=True)
class Setup:
    """What all losses of a level share.

    rng: the run's generator, on the CPU.
    tile: whether the output wraps in (y, x).
    memory: the bytes that the largest matrix of a chunk may take.
    guides: their targets, weights and distances; each Reference holds their maps on it.
    pixel_weights: (1, 1, h, w), how much each pixel of the output counts, 0 for not at all; None where all count alike.
    state: the tensors that losses change in place, each under a unique name, so that a run can be saved and continued.
    """

    rng: torch.Generator
    tile: tuple[bool, bool] = (False, False)
    memory: int = 256 << 20
    guides: tuple[Guide, ...] = field(default=())
    pixel_weights: Tensor | None = None
    state: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class NoSettings:
    """This loss has no settings."""


@dataclass(frozen=True)
class PatchSettings:
    """The settings of a loss whose vectors are the patches of a layer.

    patch: The side of the patches that are the vectors; with 1 they are the channels alone.
    stride: The step from one patch to the next, in cells of the layer.
    """

    patch: int = setting(1, low=1, high=31)
    stride: int = setting(1, low=1, high=31)


def names() -> list[str]:
    """The keys of all losses."""
    return LOSSES.names()


def loss(name: str) -> Any:
    """The loss module of that name; raises KeyError."""
    return LOSSES.module(name)


def layer_names(references: Sequence[Reference]) -> list[str]:
    """The layers that any of the references has; a small one may lack some."""
    return list(dict.fromkeys(name for reference in references for name in reference.features))


def reference_tables(references: Sequence[Reference], settings: PatchSettings) -> dict[str, Tensor]:
    """The usable patches of all references together, (N, D) by layer."""
    each = [tables(r.features, settings.patch, settings.stride, valid=r.valid) for r in references]
    every_name = dict.fromkeys(name for table in each for name in table)
    return {name: torch.cat([table[name] for table in each if name in table]).detach() for name in every_name}


def counted_tables(
    features: Features, layers: Collection[str], settings: PatchSettings, setup: Setup
) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """The name of each layer where patches count, these (N, D), and how much, (N,); None where all count alike."""
    for name, vectors in tables(features, settings.patch, settings.stride, setup.tile).items():
        weights = None
        if setup.pixel_weights is not None:
            cut = settings.patch, settings.stride, setup.tile
            weights = patch_weights(setup.pixel_weights, features[name], *cut).flatten()
        if name in layers and (weights is None or weights.any()):
            yield name, vectors, weights


def usable_sources(
    name: str, references: Sequence[Reference], patch: int, stride: int
) -> list[tuple[Reference, Tensor, Tensor]]:
    """References with a usable patch on a layer, their maps (1, C, h, w), and which patches are usable, (n,) bool."""
    out = []
    for reference in references:
        layer = reference.features.get(name)
        if layer is None or min(size_of(layer)) < patch:
            continue
        mask = torch.ones(grid(size_of(layer), patch, stride), dtype=torch.bool).flatten()
        if reference.valid is not None:
            mask = usable(reference.valid, size_of(layer), patch, stride)
        if mask.any():
            out.append((reference, layer, mask.to(layer.device)))
    return out


def total(terms: Sequence[Tensor], features: Features) -> Tensor:
    """The sum of the layers' terms; where there is none, a zero whose gradient is zero too."""
    if terms:
        return torch.stack(list(terms)).sum()
    return torch.stack([layer.sum() for layer in features.values()]).sum() * 0
