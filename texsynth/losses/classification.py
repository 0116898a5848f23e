"""Cross-entropy with a class (Wang et al. 2021, IMAGINE): a classifier should recognise the output as that class.

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
from texsynth.losses import Features, Loss, Reference, Setup, layer_names, total
from texsynth.settings import setting

GUIDES: tuple[str, ...] = ()  # it follows none


@dataclass(frozen=True)
class Settings:
    """The settings of the classification loss; by default it takes the class that the exemplar shows.

    target: The number of the ImageNet class; -1 takes the exemplar's own.
    """

    target: int = setting(-1, low=-1, high=999)


def build(references: Sequence[Reference], settings: Settings, setup: Setup) -> Loss:
    """Minus the logarithm of the class's probability, summed over layers; UsageError where a layer lacks the class."""
    classes = {name: _classes(name, references, settings.target) for name in layer_names(references)}

    def loss(features: Features) -> Tensor:
        scores = {name: _scores(layer) for name, layer in features.items() if name in classes}
        return total([s.logsumexp(0) - s[classes[name]].logsumexp(0) for name, s in scores.items()], features)

    return loss


def _classes(name: str, references: Sequence[Reference], target: int) -> Tensor:
    """The numbers of the classes of a layer that the output may show, (k,)."""
    scores = [_scores(reference.features[name]) for reference in references if name in reference.features]
    if target < 0:
        return torch.tensor(sorted({int(each.argmax()) for each in scores}), device=scores[0].device)
    if target >= len(scores[0]):
        raise UsageError(
            f"classification: target = {target}, but layer {name} has {len(scores[0])} channels; "
            "classes are scored by the last layer of a classifier, such as logits of resnet50"
        )
    return torch.tensor([target], device=scores[0].device)


def _scores(layer: Tensor) -> Tensor:
    """(1, K, h, w) -> (K,)"""
    scores: Tensor = layer.mean((2, 3))[0]
    return scores
