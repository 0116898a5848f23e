"""Cross-entropy with a class (Wang et al. 2021, IMAGINE): the output is something that a classifier takes for it.

Zhou et al. 2023 edit single images with it: the class is the one that the exemplar itself shows, so that what was moved
or reshaped stays whole. Layers are scores, (1, K, 1, 1); of a map with extent the mean over its positions counts.

Differs from the paper in: several exemplars may show several classes, and then any of these will do. A class is one of
the whole picture, so masks leave nothing out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.errors import UsageError
from texsynth.losses import Features, Loss, Reference, Setup, all_layers
from texsynth.patches.samples import total
from texsynth.settings import setting


@dataclass(frozen=True)
class Settings:
    """Default: what the exemplar shows."""

    target: int = setting(-1, "number of the ImageNet class; -1: the exemplar's own", low=-1, high=999)


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """Minus the logarithm of the class's probability, summed over layers: above 0. Raises UsageError where a layer has
    no such class."""
    classes = {name: _classes(name, references, settings.target) for name in all_layers(references)}

    def loss(features: Features) -> Tensor:
        scores = {name: _scores(layer) for name, layer in features.items() if name in classes}
        return total([s.logsumexp(0) - s[classes[name]].logsumexp(0) for name, s in scores.items()], features)

    return loss


def _classes(name: str, references: Sequence[Reference], target: int) -> Tensor:
    """The classes of a layer that will do, (k,)."""
    scores = [_scores(reference.features[name]) for reference in references if name in reference.features]
    if target < 0:
        best: Tensor = torch.stack([each.argmax() for each in scores]).unique()
        return best
    if target >= len(scores[0]):
        raise UsageError(
            f"classification: target = {target}, but layer {name} has {len(scores[0])} channels; "
            "classes are scored by layer logits of resnet50"
        )
    return torch.tensor([target], device=scores[0].device)


def _scores(layer: Tensor) -> Tensor:
    """(1, K, h, w) -> (K,)."""
    scores: Tensor = layer.mean((2, 3))[0]
    return scores
