"""Losses, one a file; the file's name is the key that presets use. They know only tensors.

Each file has `Settings`, a frozen dataclass (help and limits in field metadata), and
`build(references, settings, setup) -> Loss`: what is fixed during a level is worked out once, and the loss maps the
features of the output to a scalar whose gradient flows back into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from texsynth.registry import LOSSES
from texsynth.task import Guide

Features = Mapping[str, Tensor]  # layer name -> (1, C, h, w), shallow to deep
Loss = Callable[[Features], Tensor]


@dataclass(frozen=True)
class Reference:
    """An exemplar, or a flipped or turned copy of it, as a loss sees it.

    features: of its layers. exemplar: which one it is or is a copy of. valid: (1, 1, H, W) bool in pixels, False where
    nothing may be learned from, or None. guides: for each guide its map on this reference, (1, C, H, W). place:
    (1, 2, H, W), for each pixel its (y, x) in the un-copied exemplar, in [0, 1]; None where that is the pixel's own.
    """

    features: Features
    exemplar: int = 0
    valid: Tensor | None = None
    guides: tuple[Tensor, ...] = ()
    place: Tensor | None = None


@dataclass(frozen=True)
class Setup:
    """What all losses of a level share.

    tile: does the output wrap in (y, x)? rng: the run's generator, on the CPU. memory: bytes that the largest matrix of
    a chunk may take. guides: their targets, weights and distances (their maps on the sources are in each Reference).
    share: (1, 1, h, w), how much each pixel of the output counts, 0 for not at all; None: all alike. kept: into it, by
    a name of their own, losses put the tensors that they change in place, so that a run can be saved and gone on with.
    """

    rng: torch.Generator
    tile: tuple[bool, bool] = (False, False)
    memory: int = 256 << 20
    guides: tuple[Guide, ...] = field(default=())
    share: Tensor | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)


class LossModule(Protocol):
    """A file in losses/."""

    Settings: type

    def build(self, references: Sequence[Reference], settings: Any, setup: Setup) -> Loss: ...


def all_layers(references: Sequence[Reference]) -> list[str]:
    """The layers that any of the references has; a small one may lack some."""
    return list(dict.fromkeys(name for reference in references for name in reference.features))


def names() -> list[str]:
    """The keys of all losses."""
    return LOSSES.names()


def loss(name: str) -> LossModule:
    """The loss module of that name; raises KeyError."""
    return cast(LossModule, LOSSES.module(name))
