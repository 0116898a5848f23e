"""The values that the optimising method minimises: every objective of a preset as a function of the picture.

The barycenter of several exemplars (after Houdard et al. 2021) minimises the sum of their losses, each weighted with
the exemplar's share: every exemplar has a loss, and so a potential, of its own. Without a blend several exemplars are
one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from texsynth.features import Extract, features
from texsynth.losses import Loss, Reference, Setup, loss
from texsynth.objective import Objective
from texsynth.objective.copies import sources
from texsynth.task import Task

Values = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Share:
    """A part of an objective.

    weight: the weight of this part.
    where: (1, 1, h, w), how much each output pixel counts; None where all count alike.
    exemplar: the number of the exemplar that it compares with; None for all together.
    """

    weight: float
    where: Tensor | None = None
    exemplar: int | None = None


def values(
    task: Task,
    objectives: Sequence[Objective],
    copies: str,
    rng: torch.Generator,
    state: dict[str, Tensor] | None = None,
) -> Values:
    """A function from a picture (1, 3, h, w) to the value of every objective. Features are computed once for all.

    state: is filled with the tensors that the losses change in place, by name.
    """
    state = {} if state is None else state
    setup = Setup(rng, task.tile, max(64 << 20, task.max_memory // 16), task.guides, state=state)
    # Build every extractor once, for the layers that any objective asks of it.
    extractors: dict[tuple[str, Any], tuple[Extract, list[str], list[Reference]]] = {}
    for key in dict.fromkeys(map(_key, objectives)):
        name, chosen = key
        module, weights = features(name), task.weights.get(name)
        wanted = {layer for o in objectives if _key(o) == key for layer in o.layers}
        layers = [layer for layer in module.LAYERS if layer in wanted]
        extract = module.build(chosen, (False, False), weights)
        with torch.no_grad():
            references = [
                Reference(extract(copy.image, layers), copy.exemplar, copy.valid, copy.guides, copy.place)
                for copy in sources(task, copies)
            ]
        extractors[key] = module.build(chosen, task.tile, weights), layers, references
    # Build the loss of every objective, one for each of its parts.
    losses: list[tuple[Objective, list[tuple[float, Loss]]]] = []
    for o in objectives:
        references = [replace(r, features=_select(r.features, o.layers)) for r in extractors[_key(o)][2]]
        losses.append((o, [(s.weight, _loss(o, references, s, setup)) for s in _shares(task)]))

    def evaluate(image: Tensor) -> list[Tensor]:
        extracted = {key: extract(image, layers) for key, (extract, layers, _) in extractors.items()}
        return [_sum(parts, _select(extracted[_key(o)], o.layers)) for o, parts in losses]

    return evaluate


def balance(evaluate: Values, image: Tensor, free: Tensor | None = None) -> list[float]:
    """One over the size of each objective's gradient at a picture (1, 3, h, w), which brings them all to one scale.

    free: (1, 1, h, w) bool, the pixels that can move; None for all.
    """
    image.requires_grad_()
    slopes = [torch.autograd.grad(value, image, retain_graph=True)[0] for value in evaluate(image)]
    sizes = [(slope if free is None else slope * free).norm() for slope in slopes]
    return [1 / max(float(size), 1e-20) for size in sizes]


def _shares(task: Task) -> list[Share]:
    """The parts that the value of each objective is the sum of: one for each exemplar with a share, or one for all."""
    if task.blend is None:
        return [Share(1.0, None if task.hole is None else task.hole.float().to(task.device))]
    parts = [(float(part.mean()), part[:, None].to(task.device)) for part in task.blend.unbind(1)]
    return [Share(weight, part, number) for number, (weight, part) in enumerate(parts) if weight > 0]


def _loss(objective: Objective, references: Sequence[Reference], share: Share, setup: Setup) -> Loss:
    compared = [r for r in references if share.exemplar in (None, r.exemplar)]
    setup = replace(setup, pixel_weights=share.where)
    built: Loss = loss(objective.loss).build(compared, objective.loss_settings, setup)
    return built


def _sum(parts: Sequence[tuple[float, Loss]], layers: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([weight * value(layers) for weight, value in parts]).sum()


def _select(extracted: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The layers of an objective that a picture of this size has."""
    return {layer: extracted[layer] for layer in layers if layer in extracted}


def _key(objective: Objective) -> tuple[str, Any]:
    """Objectives of equal keys share their features."""
    return objective.features, objective.features_settings
