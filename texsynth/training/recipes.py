"""What a recipe of `texsynth train` is. The recipes are the files `recipe.py` in the folders of `learned`.

A recipe turns exemplars into a `Training`: modules, optimisers, and one step. The loop (`loop.train`) knows nothing
else. The name of a recipe's folder is the word that users say, with hyphens in place of underscores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from texsynth.features import features
from texsynth.metrics import Pair, metric
from texsynth.objective import Objective
from texsynth.registry import RECIPES
from texsynth.settings import setting
from texsynth.task import Estimate, Task

SAMPLE_SEED = 2**40  # of the noise of samples that are measured and shown, the same throughout a run


@dataclass(frozen=True)
class Settings:
    """The settings that every recipe has.

    steps: The number of updates of the network.
    checks: How often a run measures samples and keeps a checkpoint.
    metric: The metric that decides which network is the best; gram_distance and quality_po need VGG-19.
    """

    steps: int = setting(1000, low=1, high=10_000_000)
    checks: int = setting(20, low=1, high=1000)
    metric: str = setting("sliced", choices=("sliced", "transport", "gram_distance", "quality_po"))


@dataclass(frozen=True)
class Training:
    """What a recipe hands to the loop.

    All randomness of steps comes from the generator of the run, and all schedules from the number of the step. Samples
    and measures draw from SAMPLE_SEED, so their noise is always the same, and they change nothing.

    modules, optimisers: those whose state a checkpoint keeps, by name.
    step: makes the update of a number, counted from 0, and returns its losses by name.
    sample: returns pictures (1, 3, h, w) in [0, 1] that the network makes now, which may stand beside their exemplars.
    measure: returns the metric of what the network makes now; less is better.
    tensors: returns what the model file holds now, by name.
    memory: further tensors that steps change in place, by name; a checkpoint keeps them.
    """

    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    step: Callable[[int], Mapping[str, float]]
    sample: Callable[[], Sequence[Tensor]]
    measure: Callable[[], float]
    tensors: Callable[[], Mapping[str, Tensor]]
    memory: Mapping[str, Tensor] = field(default_factory=dict)


class Recipe(Protocol):
    """A file `recipe.py` in a folder of `learned`.

    Settings: a frozen dataclass that extends `recipes.Settings`.
    METHOD: the preset of `texsynth synthesize` that uses its models.
    GUIDES: the kinds of maps that it takes with the exemplars ("labels", "progression", "orientation"). A recipe that
        takes maps needs at least one.
    needs: the layers of pretrained networks that it looks at, by the name of the features.
    build: prepares a training; the guides of the task have the first map as target. Raises InputError for exemplars
        that are too small.
    estimate: the bytes that a whole run takes beside the process and its inputs, and its seconds on two cores.
    """

    Settings: type
    METHOD: str
    GUIDES: tuple[str, ...]

    def needs(self, settings: Any) -> Mapping[str, tuple[str, ...]]: ...

    def build(self, task: Task, settings: Any, rng: torch.Generator) -> Training: ...

    def estimate(self, task: Task, settings: Any) -> Estimate: ...


def names() -> list[str]:
    """The words for the recipes, as users say them: "texture-net"."""
    return sorted(name.replace("_", "-") for name in RECIPES.names())


def recipe(name: str) -> Recipe:
    """The recipe of that word; raises KeyError."""
    return cast(Recipe, RECIPES.module(name.replace("-", "_")))


def needs(settings: Settings, layers: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The layers that a recipe looks at, by features and in their order, with those of the metric of its settings."""
    measured = metric(settings.metric).about.needs
    needed = {name: {*layers.get(name, ()), *measured.get(name, ())} for name in (*layers, *measured)}
    return {name: tuple(layer for layer in features(name).LAYERS if layer in some) for name, some in needed.items()}


def layers_of(objectives: Sequence[Objective]) -> dict[str, list[str]]:
    """The layers that objectives look at, by the name of the features."""
    layers: dict[str, list[str]] = {}
    for objective in objectives:
        layers.setdefault(objective.features, []).extend(objective.layers)
    return layers


def score(settings: Settings, task: Task, exemplar: Tensor, output: Tensor) -> float:
    """The metric of the settings between an exemplar and an output, both (1, 3, H, W), always with the same noise."""
    measured = metric(settings.metric)
    extract = None
    for name in measured.about.needs:  # no metric looks at features of two kinds
        extract = features(name).build(features(name).Settings(), (False, False), task.weights[name])
    return measured.measure(Pair(exemplar, output), extract, torch.Generator().manual_seed(SAMPLE_SEED))


def mean_score(settings: Settings, task: Task, pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The mean of `score` over pairs of an exemplar and an output."""
    scores = [score(settings, task, exemplar, output) for exemplar, output in pairs]
    return sum(scores) / len(scores)
