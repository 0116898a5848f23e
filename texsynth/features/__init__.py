"""Features, one extractor a file; the file's name is the key that presets use.

Each file has `LAYERS`, their names from shallow to deep; `WEIGHTS`, the name of the network whose pretrained weights
it needs, or None; `Settings`, a frozen dataclass; `keys`, the tensors that some layers need of the weights; and
`build(settings, tile, weights) -> Extract`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from torch import Tensor

from texsynth.registry import FEATURES
from texsynth.weights.pretrained import Weights

# (image (1, 3, H, W) in [0, 1], layer names) -> layer name -> (1, C, h, w), computing no more than asked
Extract = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]


class FeatureModule(Protocol):
    """A file in features/. tile: does the image wrap in (y, x)?"""

    LAYERS: tuple[str, ...]
    WEIGHTS: str | None
    Settings: type

    def keys(self, layers: Sequence[str]) -> Sequence[str]: ...

    def build(self, settings: Any, tile: tuple[bool, bool], weights: Weights | None) -> Extract: ...


def names() -> list[str]:
    """The keys of all features."""
    return FEATURES.names()


def features(name: str) -> FeatureModule:
    """The feature module of that name; raises KeyError."""
    return cast(FeatureModule, FEATURES.module(name))
