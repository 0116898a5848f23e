"""Pixels moved by gradient until their features agree with the exemplar's: the optimisation methods of the field.

Gatys et al. 2015 (Gram), Zhou et al. 2023 (guided correspondence), Houdard et al. 2021 (patch transport), Heitz et al.
2021 (sliced transport): each is one objective, a loss on layers of some features, and a preset says which, by which
optimiser, on which levels. Objectives may be mixed: each is scaled by its own gradient at the start of a level, so that
weights mean shares.

Holes are made from the patches that touch them, borders as the inside of a larger picture, and several exemplars may be
blended into their barycenter.

Differs from the paper in: levels are reduced by averaging, not by dropping pixels; each level starts from the coarser
one plus whatever finer detail a previous stage had; L-BFGS has no bounds, so pixels are clamped after every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import features
from texsynth.field.atlas import COPY_SETS
from texsynth.image import holes
from texsynth.methods import _margin
from texsynth.methods._neighbourhood import completed, extent, window, within
from texsynth.objective import Objective
from texsynth.objective.values import Values, balance, values
from texsynth.pyramid import octaves
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Exemplar, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False  # pixels move: no field
RECIPES: tuple[str, ...] = ()
PATCHES = Objective.read(
    {"loss": "semidual", "features": "windows", "layers": ["full", "half"], "outputs": 4096, "ascent_sample": 1024},
    "default",
)


@dataclass(frozen=True)
class Settings:
    """Defaults of the optimising method: patch transport on raw pixels."""

    objectives: tuple[Objective, ...] = setting((PATCHES,), "what is minimised together")
    optimiser: str = setting("adam", "how", choices=("adam", "lbfgs"))
    rate: float = setting(0.02, "learning rate: colour per step for adam, about 1 for lbfgs", low=1e-5, high=10.0)
    history: int = setting(20, "steps that lbfgs remembers", low=1, high=200)
    steps: tuple[int, ...] = setting((40, 20, 10), "steps per level, the last is the finest", low=0, high=100000)
    coarsest: int = setting(64, "shorter side of the exemplar at the first level", low=8, high=4096)
    finest: int = setting(0, "shorter side at the last level, 0: full size", low=0, high=4096)
    scales: tuple[float, ...] = setting((), "levels as shares of full size, in place of both", low=0.01, high=1.0)
    start: str = setting(
        "auto",
        "the first picture; auto: the object in its new place for edit, else noise",
        choices=("auto", "noise", "colours", "mean"),
    )
    reduction: str = setting("mean", "how levels are reduced", choices=("mean", "nearest"))
    copies: str = setting("none", "flipped and turned copies as further sources", choices=tuple(COPY_SETS))
    balance: str = setting(
        "on", "weights are shares of the gradient; off: factors of the values", choices=("on", "off")
    )
    margin: int = setting(0, "pixels made beyond a border that does not wrap, and cut off at the end", low=0, high=64)

    def __post_init__(self) -> None:
        if not self.steps:
            raise UsageError("steps is empty; at least one number is needed")
        if 0 < self.finest < self.coarsest:
            raise UsageError(f"finest = {self.finest} is below coarsest = {self.coarsest}")


@dataclass(frozen=True)
class Memory:
    """What a level hands to the next. base: the picture of the stage before, with its finer detail, or None. whole: the
    picture with its margin."""

    base: Tensor | None
    whole: Tensor


def schedule(task: Task, settings: Settings) -> list[Level]:
    """The given scales, or halvings from about `coarsest` pixels of the exemplar's shorter side to `finest`."""
    if settings.scales:
        levels = [abs(math.log2(scale)) for scale in sorted(settings.scales)]
    else:
        bottom, top = octaves(task.shorter_side, settings.coarsest, settings.finest)
        levels = [float(level) for level in range(top, bottom - 1, -1)]
    last = len(settings.steps) - 1
    steps = [settings.steps[max(0, last - back)] for back in range(len(levels) - 1, -1, -1)]
    return [Level(level, n, settings.reduction == "nearest") for level, n in zip(levels, steps, strict=True)]


def needs(settings: Settings, model: Model | None = None) -> dict[str, tuple[str, ...]]:
    """Layers of each feature that the objectives look at."""
    named = {o.features: features(o.features).LAYERS for o in settings.objectives}
    used = {(o.features, layer) for o in settings.objectives for layer in o.layers}
    return {name: tuple(layer for layer in layers if (name, layer) in used) for name, layers in named.items()}


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level and return it with one step of the optimiser."""
    beyond = _margin.sides(task, settings.margin, settings.objectives)
    larger = _margin.larger(task, beyond)
    image, base = _start(task, beyond, canvas, settings, level, rng)
    field = None if canvas is None else canvas.field

    def shown(whole: Tensor) -> Canvas:
        return Canvas(_margin.cropped(whole, beyond), field, Memory(base, whole))

    if task.hole is not None and not task.hole.any():  # a small one is lost on coarse levels
        return shown(image), lambda canvas: (canvas, 0.0)
    where = window(larger, settings.objectives)
    part = within(larger, where)
    pixels = image[where].clone().requires_grad_()
    free = None if part.hole is None else part.hole.to(image.device)
    if free is not None:  # nor does an optimiser have any momentum where nothing may move
        pixels.register_hook(lambda slope: slope * free)
    of = values(part, settings.objectives, settings.copies, rng)
    scales = _scales(of, pixels.detach(), free, settings, rng)
    optimiser = _optimiser(pixels, settings)

    def closure() -> float:
        optimiser.zero_grad()
        total = torch.stack([scale * value for scale, value in zip(scales, of(pixels), strict=True)]).sum()
        total.backward()
        return float(total.detach())

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        value = float(optimiser.step(closure))
        with torch.no_grad():
            pixels.clamp_(0, 1)
        made = image.clone()
        made[where] = pixels.detach()
        return shown(made if task.hole is None else completed(task, made)), value

    return shown(image), step


def _scales(of: Values, image: Tensor, free: Tensor | None, settings: Settings, rng: torch.Generator) -> list[float]:
    """The factor of every objective's value. image: what pixels that cannot move show. free: those that can, None for
    all."""
    weights = [o.weight for o in settings.objectives]
    if settings.balance == "off":
        return weights
    noise = torch.rand(image.shape, generator=rng).to(image.device)
    sizes = balance(of, noise if free is None else torch.where(free, noise, image), free)
    return [weight * size for weight, size in zip(weights, sizes, strict=True)]


def _start(
    task: Task,
    beyond: _margin.Sides,
    canvas: Canvas | None,
    settings: Settings,
    level: Level,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """The first picture of a level with its margin: the coarser level's, with the detail that a previous stage had
    beyond it; outside a hole what is known. And the picture of that stage, or None."""

    def fitted(image: Tensor) -> Tensor:
        mode = "nearest" if level.nearest else "bilinear"
        larger = image.shape[2] > task.size[0] or image.shape[3] > task.size[1]
        return F.interpolate(image, task.size, mode=mode, antialias=larger and not level.nearest)

    memory = None if canvas is None or not isinstance(canvas.memory, Memory) else canvas.memory
    base = None
    if canvas is not None and memory is not None:
        image, base = fitted(canvas.image), memory.base
        if base is not None:
            before = F.interpolate(base, canvas.image.shape[2:], mode="bilinear", antialias=True)
            image = (fitted(base) + fitted(canvas.image - before)).clamp(0, 1)
        image = _margin.continued(image, beyond, canvas.image, memory.whole)
    elif canvas is not None:
        image, base = _margin.continued(fitted(canvas.image), beyond), canvas.image
    elif task.init is not None:
        image = _margin.continued(fitted(task.init.to(task.device)), beyond)
    else:
        image = _first(_margin.larger(task, beyond), settings, rng)
    return image if task.hole is None else completed(task, image), base


def _first(task: Task, settings: Settings, rng: torch.Generator) -> Tensor:
    """A picture of nothing yet, (1, 3, h, w), or of what the task's start points at; in a hole without a start the
    smooth guess that the exemplar holds there."""
    if task.start is not None and settings.start == "auto":
        return _pointed(task.start, task.exemplars[0].image).to(task.device)
    if task.start is None and task.hole is not None:
        return task.exemplars[0].image.to(task.device)
    if settings.start in ("auto", "noise"):
        return torch.rand(1, 3, *task.size, generator=rng).to(task.device)
    colours = [_colours(exemplar) for exemplar in task.exemplars]
    if task.blend is None:
        colours = [torch.cat(colours, 1)]
    shares = torch.ones(1, 1, *task.size) if task.blend is None else task.blend.cpu()
    if settings.start == "mean":
        grain = 0.01 * torch.randn(1, 3, *task.size, generator=rng)
        means = [some.mean(1).view(1, 3, 1, 1) * shares[:, k : k + 1] for k, some in enumerate(colours)]
        return (torch.stack(means).sum(0) + grain).clamp(0, 1).to(task.device)
    picks = [torch.randint(some.shape[1], task.size, generator=rng) for some in colours]
    drawn = torch.stack([some[:, pick] for some, pick in zip(colours, picks, strict=True)])  # (K, 3, h, w)
    if len(drawn) == 1:
        return drawn.to(task.device)
    ends = shares[0].cumsum(0) / shares[0].sum(0)
    which = (torch.rand(task.size, generator=rng) >= ends).sum(0).clamp(max=len(drawn) - 1)
    return drawn.gather(0, which.expand(1, 3, *task.size)).to(task.device)


def _pointed(start: Tensor, image: Tensor) -> Tensor:
    """The pixels of (1, 3, H, W) that (1, 2, h, w) points at; a smooth guess where it points nowhere."""
    nowhere = start.isnan().any(1, keepdim=True)
    y, x = (
        at.nan_to_num(0).round().long().clamp(0, side - 1) for at, side in zip(start[0], image.shape[2:], strict=True)
    )
    return holes.smooth(image[:, :, y, x], nowhere)


def _colours(exemplar: Exemplar) -> Tensor:
    """Of all pixels that may be used, (3, n)."""
    colours = exemplar.image[0].flatten(1)
    return (colours if exemplar.valid is None else colours[:, exemplar.valid[0, 0].flatten()]).cpu()


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


def refuses(task: Task, settings: Settings) -> str | None:
    """Nothing."""
    return None


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs on two cores at 256 and 512 pixels (benchmarks/methods.py)."""
    levels = schedule(task, settings)
    finest = 0.25 ** levels[-1].scale
    source = sum(h * w for h, w in (e.size for e in task.exemplars)) * len(COPY_SETS[settings.copies])
    beyond = _margin.sides(task, settings.margin, settings.objectives)
    losses = 1 if task.blend is None else task.blend.shape[1]
    network = any(features(name).WEIGHTS for name in needs(settings))

    def pixels(level: Level) -> float:  # as if each were of full size
        return extent(task, (beyond[0] * 2**level.scale, beyond[1] * 2**level.scale))

    memory = 450e6 + (8000 if network else 600) * finest * (pixels(levels[-1]) + 0.2 * source)
    work = sum((level.steps + 2) * 0.25**level.scale * pixels(level) for level in levels)
    return Estimate(int(memory), 2 + work * (8e-6 if network else 3e-6) * losses)
