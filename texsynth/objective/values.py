"""What the optimising method minimises: every objective of a preset as a function of the picture.

The barycenter of several exemplars (after Houdard et al. 2021) is the least of the sum of their losses, each with its
share: every exemplar has a loss, and so a potential, of its own. Without a blend several exemplars are one source.
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
    """Part of an objective: its weight, where on the output (1, 1, h, w) it counts (None: everywhere), and the exemplar
    that it is about (None: all)."""

    weight: float
    where: Tensor | None = None
    exemplar: int | None = None


def values(
    task: Task,
    objectives: Sequence[Objective],
    copies: str,
    rng: torch.Generator,
    kept: dict[str, Tensor] | None = None,
) -> Values:
    """A function of the picture: the value of every objective. Features that several look at are computed once.

    kept: gets the tensors that the losses change in place, by name.
    """
    kept = {} if kept is None else kept
    setup = Setup(rng, task.tile, max(64 << 20, task.max_memory // 16), task.guides, kept=kept)
    seers: dict[tuple[str, Any], tuple[Extract, list[str], list[Reference]]] = {}
    for name, chosen in dict.fromkeys((o.features, o.of_features) for o in objectives):
        module, weights = features(name), task.weights.get(name)
        wanted = {layer for o in objectives if (o.features, o.of_features) == (name, chosen) for layer in o.layers}
        layers = [layer for layer in module.LAYERS if layer in wanted]
        references = _references(task, copies, module.build(chosen, (False, False), weights), layers)
        seers[name, chosen] = module.build(chosen, task.tile, weights), layers, references
    losses: list[tuple[Objective, list[tuple[float, Loss]]]] = []
    for o in objectives:
        references = [_only(r, o.layers) for r in seers[o.features, o.of_features][2]]
        losses.append((o, [(s.weight, _loss(o, references, s, setup)) for s in _shares(task)]))

    def of(image: Tensor) -> list[Tensor]:
        seen = {key: extract(image, layers) for key, (extract, layers, _) in seers.items()}
        return [_sum(parts, _among(seen[o.features, o.of_features], o.layers)) for o, parts in losses]

    return of


def balance(of: Values, image: Tensor, free: Tensor | None = None) -> list[float]:
    """One over the size of each objective's gradient at a picture: the common scale of all objectives. free: the pixels
    that can move, None for all."""
    image.requires_grad_()
    slopes = [torch.autograd.grad(value, image, retain_graph=True)[0] for value in of(image)]
    sizes = [(slope if free is None else slope * free).norm() for slope in slopes]
    return [1 / max(float(size), 1e-20) for size in sizes]


def _shares(task: Task) -> list[Share]:
    """What each objective is the sum of."""
    if task.blend is None:
        return [Share(1.0, None if task.hole is None else task.hole.float().to(task.device))]
    parts = [(float(part.mean()), part[:, None].to(task.device)) for part in task.blend.unbind(1)]
    return [Share(weight, part, number) for number, (weight, part) in enumerate(parts) if weight > 0]


def _loss(objective: Objective, references: Sequence[Reference], share: Share, setup: Setup) -> Loss:
    own = [r for r in references if share.exemplar in (None, r.exemplar)]
    return loss(objective.loss).build(own, objective.of_loss, replace(setup, share=share.where))


def _sum(parts: Sequence[tuple[float, Loss]], seen: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([weight * of(seen) for weight, of in parts]).sum()


def _references(task: Task, copies: str, extract: Extract, layers: Sequence[str]) -> list[Reference]:
    """Every copy of every exemplar as the losses see it."""
    with torch.no_grad():
        return [
            Reference(extract(s.image, layers), s.exemplar, s.valid, s.guides, s.place) for s in sources(task, copies)
        ]


def _only(reference: Reference, layers: Sequence[str]) -> Reference:
    return replace(reference, features=_among(reference.features, layers))


def _among(seen: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The layers of an objective that a picture of this size has."""
    return {layer: seen[layer] for layer in layers if layer in seen}
