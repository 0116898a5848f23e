"""Training: one loop (`loop`) for every recipe; the recipes are files `recipe.py` in the folders of `learned`,
whose names are the words users say.

A recipe turns exemplars into a `Training`: modules, optimisers, and one step. The loop knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from texsynth.features import features
from texsynth.metrics import Pair, metric
from texsynth.registry import RECIPES
from texsynth.settings import setting
from texsynth.task import Estimate, Task

SEED = 2**40  # of the noise of samples that are measured and shown, the same throughout a run


@dataclass(frozen=True)
class Settings:
    """What every recipe can be told."""

    steps: int = setting(1000, "updates of the network", low=1, high=10_000_000)
    checks: int = setting(20, "times that samples are drawn and measured, and a checkpoint kept", low=1, high=1000)
    metric: str = setting(
        "sliced",
        "by which the best network is kept; the last two look through VGG-19",
        choices=("sliced", "transport", "gram_distance", "quality_po"),
    )


@dataclass(frozen=True)
class Training:
    """What a recipe hands to the loop.

    modules, optimisers: by name; a checkpoint keeps their state. memory: tensors that the steps change in place beside
    them, by name; kept too. step: number of the update, from 0 -> its losses by name, after one update; all chance
    comes from the run's generator, all schedules from the number. sample: pictures (1, 3, h, w) in [0, 1] that the
    network now makes, drawn from SEED, so always of the same noise; they may be beside what they shall look like.
    measure: how good it is now, less is better; from SEED too. tensors: what the model file holds now, by name.
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

    Settings: a frozen dataclass that extends `training.Settings`. METHOD: the preset of `texsynth synthesize` that uses
    its models. GUIDES: the kinds of maps that may be given with the exemplars ("labels", "progression", "orientation");
    a recipe without any takes none, all others need one. needs: layers of pretrained networks that it looks at, by the
    name of the features. build: task has the exemplars at full size, their maps as guides whose target is the first of
    them, the device, the weights and the memory limit; raises InputError for exemplars too small.
    estimate: peak bytes of the process, and seconds on two cores, of a whole run.
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


def needs(settings: Settings, own: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The layers that a recipe looks at, with those of the metric that it is measured by."""
    measured = metric(settings.metric).NEEDS
    wanted = {name: {*own.get(name, ()), *measured.get(name, ())} for name in (*own, *measured)}
    return {name: tuple(layer for layer in features(name).LAYERS if layer in some) for name, some in wanted.items()}


def score(settings: Settings, task: Task, exemplar: Tensor, output: Tensor) -> float:
    """The settings' metric between an exemplar and an output, (1, 3, H, W) both, always with the same chance."""
    measured = metric(settings.metric)
    seen = [(features(name), task.weights[name]) for name in measured.NEEDS]
    extract = seen[0][0].build(seen[0][0].Settings(), (False, False), seen[0][1]) if seen else None
    return measured.measure(Pair(exemplar, output), extract, torch.Generator().manual_seed(SEED))
