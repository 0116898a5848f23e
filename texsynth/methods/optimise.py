"""Pixels moved by gradient until their features agree with the exemplar's: the optimisation methods of the field.

Gatys et al. 2015 (Gram), Zhou et al. 2023 (guided correspondence), Houdard et al. 2021 (patch transport), Heitz et al.
2021 (sliced transport): each is one objective, a loss on layers of some features, and a preset says which, by which
optimiser, on which levels. Objectives may be mixed: each is scaled by its own gradient at the start of a level, so that
weights mean shares.

Differs from the paper in: levels are reduced by averaging, not by dropping pixels; each level starts from the coarser
one plus whatever finer detail a previous stage had; L-BFGS has no bounds, so pixels are clamped after every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as setting
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import Extract, features
from texsynth.losses import Loss, Reference, Setup, loss
from texsynth.methods._copies import sources
from texsynth.objective import Objective
from texsynth.sources import COPY_SETS
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task, octaves

COPIES = False  # pixels move: no field
PATCHES = Objective.read(
    {"loss": "semidual", "features": "windows", "layers": ["full", "half"], "outputs": 4096, "ascent_sample": 1024},
    "default",
)


@dataclass(frozen=True)
class Settings:
    """Defaults of the optimising method: patch transport on raw pixels."""

    objectives: tuple[Objective, ...] = setting(default=(PATCHES,), metadata={"help": "what is minimised together"})
    optimiser: str = setting(default="adam", metadata={"help": "how", "choices": ("adam", "lbfgs")})
    rate: float = setting(
        default=0.02,
        metadata={"help": "learning rate: colour per step for adam, about 1 for lbfgs", "min": 1e-5, "max": 10.0},
    )
    history: int = setting(default=20, metadata={"help": "steps that lbfgs remembers", "min": 1, "max": 200})
    steps: tuple[int, ...] = setting(
        default=(40, 20, 10), metadata={"help": "steps per level, the last is the finest", "min": 0, "max": 100000}
    )
    coarsest: int = setting(
        default=64, metadata={"help": "shorter side of the exemplar at the first level", "min": 8, "max": 4096}
    )
    finest: int = setting(
        default=0, metadata={"help": "shorter side at the last level, 0: full size", "min": 0, "max": 4096}
    )
    scales: tuple[float, ...] = setting(
        default=(), metadata={"help": "levels as shares of full size, in place of both", "min": 0.01, "max": 1.0}
    )
    start: str = setting(
        default="noise", metadata={"help": "the first picture", "choices": ("noise", "colours", "mean")}
    )
    reduction: str = setting(
        default="mean", metadata={"help": "how levels are reduced", "choices": ("mean", "nearest")}
    )
    copies: str = setting(
        default="none", metadata={"help": "flipped and turned copies as further sources", "choices": tuple(COPY_SETS)}
    )

    def __post_init__(self) -> None:
        if not self.steps:
            raise UsageError("steps is empty; at least one number is needed")
        if 0 < self.finest < self.coarsest:
            raise UsageError(f"finest = {self.finest} is below coarsest = {self.coarsest}")


@dataclass(frozen=True)
class Memory:
    """What a level hands to the next: the picture of the stage before, with its finer detail, or None."""

    base: Tensor | None


def schedule(task: Task, settings: Settings) -> list[Level]:
    """The given scales, or halvings from about `coarsest` pixels of the exemplar's shorter side to `finest`."""
    if settings.scales:
        levels = [abs(math.log2(scale)) for scale in sorted(settings.scales)]
    else:
        bottom, top = octaves(task, settings.coarsest, settings.finest)
        levels = [float(level) for level in range(top, bottom - 1, -1)]
    last = len(settings.steps) - 1
    steps = [settings.steps[max(0, last - back)] for back in range(len(levels) - 1, -1, -1)]
    return [Level(level, n, settings.reduction == "nearest") for level, n in zip(levels, steps, strict=True)]


def needs(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Layers of each feature that the objectives look at."""
    named = {o.features: features(o.features).LAYERS for o in settings.objectives}
    used = {(o.features, layer) for o in settings.objectives for layer in o.layers}
    return {name: tuple(layer for layer in layers if (name, layer) in used) for name, layers in named.items()}


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level and return it with one step of the optimiser."""
    image, memory = _start(task, canvas, settings, level, rng)
    values = _values(task, settings, rng)
    noise = torch.rand(image.shape, generator=rng).to(task.device)
    scales = [o.weight * size for o, size in zip(settings.objectives, _balance(values, noise), strict=True)]
    pixels = image.clone().requires_grad_()
    optimiser = _optimiser(pixels, settings)

    def closure() -> float:
        optimiser.zero_grad()
        total = torch.stack([scale * value for scale, value in zip(scales, values(pixels), strict=True)]).sum()
        total.backward()
        return float(total.detach())

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        value = float(optimiser.step(closure))
        with torch.no_grad():
            pixels.clamp_(0, 1)
        return Canvas(pixels.detach().clone(), canvas.field, memory), value

    return Canvas(image, None if canvas is None else canvas.field, memory), step


def _start(
    task: Task, canvas: Canvas | None, settings: Settings, level: Level, rng: torch.Generator
) -> tuple[Tensor, Memory]:
    """The first picture of a level: the coarser level's, with the detail that a previous stage had beyond it."""

    def fitted(image: Tensor) -> Tensor:
        mode = "nearest" if level.nearest else "bilinear"
        larger = image.shape[2] > task.size[0] or image.shape[3] > task.size[1]
        return F.interpolate(image, task.size, mode=mode, antialias=larger and not level.nearest)

    if canvas is None:
        image = _first(task, settings, rng) if task.init is None else fitted(task.init.to(task.device))
        return image, Memory(None)
    if not isinstance(canvas.memory, Memory):
        return fitted(canvas.image), Memory(canvas.image)
    image, base = fitted(canvas.image), canvas.memory.base
    if base is not None:
        before = F.interpolate(base, canvas.image.shape[2:], mode="bilinear", antialias=True)
        image = (fitted(base) + fitted(canvas.image - before)).clamp(0, 1)
    return image, canvas.memory


def _first(task: Task, settings: Settings, rng: torch.Generator) -> Tensor:
    """A picture of nothing yet, (1, 3, h, w)."""
    if settings.start == "noise":
        return torch.rand(1, 3, *task.size, generator=rng).to(task.device)
    colours = torch.cat(
        [e.image[0].flatten(1) if e.valid is None else e.image[0][:, e.valid[0, 0]] for e in task.exemplars], 1
    )
    if settings.start == "mean":
        grain = 0.01 * torch.randn(1, 3, *task.size, generator=rng)
        return (colours.mean(1).view(1, 3, 1, 1).cpu() + grain).clamp(0, 1).to(task.device)
    picks = torch.randint(colours.shape[1], task.size, generator=rng).to(colours.device)
    return colours[:, picks][None].to(task.device)


def _values(task: Task, settings: Settings, rng: torch.Generator) -> Callable[[Tensor], list[Tensor]]:
    """A function of the picture: the value of every objective. Features that several look at are computed once."""
    setup = Setup(rng, task.tile, max(64 << 20, task.max_memory // 16), task.guides)
    seers: dict[tuple[str, Any], tuple[Extract, list[str], list[Reference]]] = {}
    for name, chosen in dict.fromkeys((o.features, o.of_features) for o in settings.objectives):
        module, weights = features(name), task.weights.get(name)
        wanted = {
            layer for o in settings.objectives if (o.features, o.of_features) == (name, chosen) for layer in o.layers
        }
        layers = [layer for layer in module.LAYERS if layer in wanted]
        references = _references(task, settings.copies, module.build(chosen, (False, False), weights), layers)
        seers[name, chosen] = module.build(chosen, task.tile, weights), layers, references
    losses: list[tuple[Objective, Loss]] = []
    for o in settings.objectives:
        references = [_only(r, o.layers) for r in seers[o.features, o.of_features][2]]
        losses.append((o, loss(o.loss).build(references, o.of_loss, setup)))

    def values(image: Tensor) -> list[Tensor]:
        seen = {key: extract(image, layers) for key, (extract, layers, _) in seers.items()}
        return [of(_among(seen[o.features, o.of_features], o.layers)) for o, of in losses]

    return values


def _references(task: Task, copies: str, extract: Extract, layers: Sequence[str]) -> list[Reference]:
    """Every copy of every exemplar as the losses see it."""
    with torch.no_grad():
        return [
            Reference(extract(s.image, layers), s.exemplar, s.valid, s.guides, s.place) for s in sources(task, copies)
        ]


def _only(reference: Reference, layers: Sequence[str]) -> Reference:
    return replace(reference, features=_among(reference.features, layers))


def _among(features: Mapping[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    """The layers of an objective that a picture of this size has."""
    return {layer: features[layer] for layer in layers if layer in features}


def _balance(values: Callable[[Tensor], list[Tensor]], noise: Tensor) -> list[float]:
    """One over the size of each objective's gradient at noise: the common scale of all objectives."""
    noise.requires_grad_()
    sizes = [torch.autograd.grad(value, noise, retain_graph=True)[0].norm() for value in values(noise)]
    return [1 / max(float(size), 1e-20) for size in sizes]


def _optimiser(pixels: Tensor, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimiser == "adam":
        return torch.optim.Adam([pixels], lr=settings.rate)
    return torch.optim.LBFGS(
        [pixels],
        lr=settings.rate,
        max_iter=1,  # a step of the loop is a step of the optimiser
        history_size=settings.history,
        tolerance_grad=0,
        tolerance_change=0,
    )


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs on two cores at 256 and 512 pixels (benchmarks/methods.py)."""
    levels = schedule(task, settings)
    finest = 0.25 ** levels[-1].scale
    source = sum(h * w for h, w in (e.size for e in task.exemplars)) * len(COPY_SETS[settings.copies])
    pixels = task.size[0] * task.size[1]
    network = any(features(name).WEIGHTS for name in needs(settings))
    memory = 450e6 + (8000 if network else 600) * finest * (pixels + 0.2 * source)
    steps = sum((level.steps + 2) * 0.25**level.scale for level in levels)
    return Estimate(int(memory), 2 + steps * (8e-6 if network else 3e-6) * pixels)
