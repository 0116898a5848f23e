"""Features, one extractor a file with the members of `FeatureModule`; the file's name is the key that presets use.

A file that runs many networks, by the setting `network`, has `of(network)` in place of all but `Settings`; the key of
such features ends with the network's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from torch import Tensor

from texsynth.registry import FEATURES
from texsynth.weights.pretrained import Weights

# (image (1, 3, H, W) in [0, 1], layer names) -> layer name -> (1, C, h, w), computing no more than asked
Extract = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]


class FeatureModule(Protocol):
    """A file in features/.

    LAYERS: the names of the layers, shallow to deep.
    WEIGHTS: the name of the network whose pretrained weights are needed, or None.
    Settings: a frozen dataclass.
    keys: the shapes of the tensors that some layers need, by key.
    build: the extractor of pictures that wrap in (y, x) where `tile` says so.
    """

    @property
    def LAYERS(self) -> tuple[str, ...]: ...  # noqa: N802

    @property
    def WEIGHTS(self) -> str | None: ...  # noqa: N802

    Settings: type

    def keys(self, layers: Sequence[str]) -> Mapping[str, tuple[int, ...]]: ...

    def build(self, settings: Any, tile: tuple[bool, bool], weights: Weights | None) -> Extract: ...


def names() -> list[str]:
    return FEATURES.names()


def key_of(name: str, settings: Any) -> str:
    """The key of features: their name, and the network where the settings choose one."""
    return f"{name}:{settings.network}" if hasattr(settings, "network") else name


def name_of(key: str) -> str:
    """The name of features in a preset, by their key."""
    return key.partition(":")[0]


def features(key: str) -> FeatureModule:
    """The features of that key; raises KeyError. Without a network's name it is that of the default settings."""
    name, _, network = key.partition(":")
    module = FEATURES.module(name)
    return cast(FeatureModule, module.of(network) if hasattr(module, "of") else module)
