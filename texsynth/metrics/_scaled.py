"""Features in units of their own size, so that values hang less on how a network's weights are scaled."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from texsynth.features import Extract


def scaled(extract: Extract | None, layers: Sequence[str], *images: Tensor) -> list[dict[str, Tensor]]:
    """The layers of each image, divided by the mean of the first one's: (1, C, h, w) each, those of the first around 1.

    It stands in for networks that papers scale so that the mean of every filter is 1, over many photographs.
    """
    assert extract is not None
    seen = [extract(image, layers) for image in images]
    units = {name: layer.mean().clamp(min=1e-12) for name, layer in seen[0].items()}
    return [{name: layer / units[name] for name, layer in maps.items()} for maps in seen]
