"""The values that the optimising method minimises: every objective of a preset as a function of the picture.

The barycenter of several exemplars (after Houdard et al. 2021) minimises the sum of their losses, each weighted with
the exemplar's share: every exemplar has a loss, and so a potential, of its own. Without a blend several exemplars are
one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from texsynth.features import Extract, features
from texsynth.losses import Loss, Reference, Setup, loss
from texsynth.objective import Objective
from texsynth.objective.copies import sources
from texsynth.task import Task

Values = Callable[[Tensor], list[Tensor]]


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
    # Build every extractor once, for the layers that any objective asks of it; the exemplar does not tile.
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
        if any(task.tile):
            extract = module.build(chosen, task.tile, weights)
        extractors[key] = extract, layers, references
    # Build the loss of every objective, one for each of its parts.
    losses: list[tuple[Objective, list[tuple[float, Loss]]]] = []
    for o in objectives:
        references = [replace(r, features=_select(r.features, o.layers)) for r in extractors[_key(o)][2]]
        losses.append((o, _parts(o, references, task, setup)))

    def evaluate(image: Tensor) -> list[Tensor]:
        extracted = {key: extract(image, layers) for key, (extract, layers, _) in extractors.items()}
        totals = []
        for o, parts in losses:
            layers = _select(extracted[_key(o)], o.layers)
            totals.append(torch.stack([weight * value(layers) for weight, value in parts]).sum())
        return totals

    return evaluate


def balance(evaluate: Values, image: Tensor, free: Tensor | None = None) -> list[float]:
    """One over the size of each objective's gradient at a picture (1, 3, h, w), which brings them all to one scale.

    free: (1, 1, h, w) bool, the pixels that can move; None for all.
    """
    image.requires_grad_()
    slopes = [torch.autograd.grad(value, image, retain_graph=True)[0] for value in evaluate(image)]
    sizes = [(slope if free is None else slope * free).norm() for slope in slopes]
    return [1 / max(float(size), 1e-20) for size in sizes]


def _parts(objective: Objective, references: Sequence[Reference], task: Task, setup: Setup) -> list[tuple[float, Loss]]:
    """The losses that an objective sums, with their weights: one for each exemplar with a share, or one for all."""

    def build(compared: Sequence[Reference], where: Tensor | None) -> Loss:
        built: Loss = loss(objective.loss).build(compared, objective.loss_settings, replace(setup, pixel_weights=where))
        return built

    if task.blend is None:
        return [(1.0, build(references, None if task.hole is None else task.hole.float().to(task.device)))]
    return [
        (float(share.mean()), build([r for r in references if r.exemplar == number], share[:, None].to(task.device)))
        for number, share in enumerate(task.blend.unbind(1))
        if float(share.mean()) > 0
    ]


def _select(extracted: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The layers of an objective that a picture of this size has."""
    return {layer: extracted[layer] for layer in layers if layer in extracted}


def _key(objective: Objective) -> tuple[str, Any]:
    """Objectives of equal keys share their features."""
    return objective.features, objective.features_settings
