"""Models of trainings, and what methods make with them."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from pictures import generator
from texsynth import settings
from texsynth.task import Canvas, Guide, Task
from texsynth.training.recipes import Training
from texsynth.weights.trained import Model


def one_hot(ids: Tensor, count: int = 2) -> Tensor:
    """Ids (n, 1, h, w) -> (n, count, h, w)."""
    return F.one_hot(ids[:, 0].long(), count).movedim(3, 1).float()


def facts_of(guides: Sequence[Guide]) -> dict[str, Any]:
    """What a model says of the maps that it was trained with."""
    facts = []
    for guide in guides:
        palette = None if guide.palette is None else (guide.palette * 255).round().int().tolist()
        facts.append({"name": guide.name, "distance": guide.distance, "palette": palette})
    return {"guides": facts}


def model_of(training: Training, recipe: str, words: Any, guides: Sequence[Guide] = ()) -> Model:
    """The model that a training under these settings and guides stores now."""
    tensors = {name: tensor.clone() for name, tensor in training.tensors().items()}
    return Model(recipe, settings.plain(words), tensors, facts_of(guides), "m.safetensors", "0")


def finished(method: ModuleType, task: Task, words: Any, seed: int = 0) -> Canvas:
    """What a method makes of a task at its only level."""
    (level,) = method.schedule(task, words)
    canvas, step = method.begin(task, None, level, words, generator(seed), lambda _: None)
    for _ in range(level.steps):
        canvas, _ = step(canvas)
    return canvas
