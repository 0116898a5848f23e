"""Methods that move pixels along a gradient until their features agree with those of the exemplar.

Gatys et al. 2015 (Gram), Zhou et al. 2023 (guided correspondence), Houdard et al. 2021 (patch transport), Heitz et al.
2021 (sliced transport): each is one objective, a loss on layers of some features, and a preset names it, its optimiser
and its levels. Objectives may be mixed: each is scaled by its gradient at the start of a level, so that weights mean
shares. Only the patches that touch a hole fill it, a margin may continue the picture beyond its borders, and several
exemplars may be blended into their barycenter.

Differs from the paper in: levels are reduced by averaging, not by dropping pixels; each level starts from the coarser
one plus the finer detail that a previous stage had; L-BFGS has no bounds, so pixels are clamped after every step.
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
from texsynth.losses import GUIDES, loss
from texsynth.methods._descent import Descent
from texsynth.objective import Objective, margin
from texsynth.objective.values import Values, balance, values
from texsynth.objective.window import completed, extent, window, within
from texsynth.pyramid import octaves
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Exemplar, Level, Say, Step, Stored, Task
from texsynth.weights.trained import Model

COPIES = False  # pixels move: no field
RECIPES: tuple[str, ...] = ()
PATCH_TRANSPORT = Objective.read(
    {"loss": "semidual", "features": "windows", "layers": ["full", "half"], "outputs": 4096, "ascent_sample": 1024},
    "default",
)


@dataclass(frozen=True)
class Settings:
    """Defaults of the optimising method: patch transport on raw pixels.

    objectives: The objectives that are minimised together.
    optimiser: The optimiser that moves the pixels.
    rate: The learning rate: colour per step for adam, about 1 for lbfgs.
    history: The number of earlier steps that lbfgs remembers.
    steps: The steps of each level, the finest last.
    coarsest: The exemplar's shorter side at the first level, in pixels.
    finest: The exemplar's shorter side at the last level, 0 for full size.
    scales: The levels as shares of full size; they replace coarsest and finest.
    start: The first picture; auto is the object in its new place for edit, else noise.
    reduction: How pictures are reduced for coarse levels.
    copies: The flipped and turned copies that are sources, too.
    balance: Whether weights are shares of the gradient, not factors.
    margin: The margin beyond borders that do not wrap, cut off at the end.
    """

    objectives: tuple[Objective, ...] = setting((PATCH_TRANSPORT,))
    optimiser: str = setting("adam", choices=("adam", "lbfgs"))
    rate: float = setting(0.02, low=1e-5, high=10.0)
    history: int = setting(20, low=1, high=200)
    steps: tuple[int, ...] = setting((40, 20, 10), low=0, high=100000)
    coarsest: int = setting(64, low=8, high=4096)
    finest: int = setting(0, low=0, high=4096)
    scales: tuple[float, ...] = setting((), low=0.01, high=1.0)
    start: str = setting("auto", choices=("auto", "noise", "colours", "mean"))
    reduction: str = setting("mean", choices=("mean", "nearest"))
    copies: str = setting("none", choices=tuple(COPY_SETS))
    balance: str = setting("on", choices=("on", "off"))
    margin: int = setting(0, low=0, high=64)

    def __post_init__(self) -> None:
        if not self.steps:
            raise UsageError("steps is empty; at least one number is needed")
        if 0 < self.finest < self.coarsest:
            raise UsageError(f"finest = {self.finest} is below coarsest = {self.coarsest}")


@dataclass(frozen=True)
class OptimiserMemory:
    """What a level hands to the next."""

    base: Tensor | None  # (1, 3, h, w), the picture of the stage before with its finer detail
    whole: Tensor  # (1, 3, h + 2 y, w + 2 x), the picture with its margins
    descent: Descent | None = None  # the level at work
    stored: Stored | None = None  # what an earlier process stored of it


def schedule(task: Task, settings: Settings) -> list[Level]:
    """The levels of `scales`, or halvings from about `coarsest` pixels of the exemplar's shorter side to `finest`."""
    if settings.scales:
        levels = [abs(math.log2(scale)) for scale in sorted(settings.scales)]
    else:
        bottom, top = octaves(task.shorter_side, settings.coarsest, settings.finest)
        levels = [float(level) for level in range(top, bottom - 1, -1)]
    last = len(settings.steps) - 1
    steps = [settings.steps[max(0, last - back)] for back in range(len(levels) - 1, -1, -1)]
    return [Level(level, n, settings.reduction == "nearest") for level, n in zip(levels, steps, strict=True)]


def needs(settings: Settings, model: Model | None = None) -> dict[str, tuple[str, ...]]:
    """The layers of each kind of features that the objectives compare."""
    named = {o.features: features(o.features).LAYERS for o in settings.objectives}
    used = {(o.features, layer) for o in settings.objectives for layer in o.layers}
    return {name: tuple(layer for layer in layers if (name, layer) in used) for name, layers in named.items()}


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level and return it with one step of the optimiser."""
    margins = margin.sides(task, settings.margin, settings.objectives)
    stored = canvas.memory.stored if canvas is not None and isinstance(canvas.memory, OptimiserMemory) else None
    image, base = _start(task, margins, canvas, settings, level, rng)
    field = None if canvas is None else canvas.field

    def canvas_of(whole: Tensor, descent: Descent | None = None) -> Canvas:
        return Canvas(margin.cropped(whole, margins), field, OptimiserMemory(base, whole, descent))

    if task.hole is not None and not task.hole.any():  # a small hole may vanish on coarse levels
        return canvas_of(image), lambda canvas: (canvas, 0.0)
    # Set up the part of the picture that can move.
    whole_task = margin.larger(task, margins)
    where = window(whole_task, settings.objectives)
    part = within(whole_task, where)
    pixels = image[where].clone().requires_grad_()
    free = None if part.hole is None else part.hole.to(image.device)
    if free is not None:  # an optimiser must not gather momentum where nothing may move
        pixels.register_hook(lambda slope: slope * free)
    # Build what is minimised.
    drawn = rng.get_state() if stored is None else stored.tensor("drawn", torch.uint8, (None,))
    state: dict[str, Tensor] = {}
    evaluate = values(part, settings.objectives, settings.copies, rng.set_state(drawn), state)
    if stored is None:
        scales = _scales(evaluate, pixels.detach(), free, settings, rng)
    else:
        scales = stored.tensor("scales", torch.float64, (len(settings.objectives),)).tolist()
    optimiser = _optimiser(pixels, settings)
    descent = Descent(drawn, tuple(scales), pixels, optimiser, state)
    if stored is not None:
        descent.go_on(stored)

    def closure() -> float:
        optimiser.zero_grad()
        total = torch.stack([scale * value for scale, value in zip(scales, evaluate(pixels), strict=True)]).sum()
        total.backward()
        return float(total.detach())

    def step(canvas: Canvas) -> tuple[Canvas, float]:
        value = float(optimiser.step(closure))
        with torch.no_grad():
            pixels.clamp_(0, 1)
        whole = image.clone()
        whole[where] = pixels.detach()
        return canvas_of(whole if task.hole is None else completed(task, whole), descent), value

    return canvas_of(image), step


def store(memory: OptimiserMemory, inside: bool) -> dict[str, Tensor] | None:
    """The memory of a level at its end as tensors, or with all that its next step needs."""
    tensors = {"whole": memory.whole} | ({} if memory.base is None else {"base": memory.base})
    if not inside:
        return tensors
    return None if memory.descent is None else tensors | memory.descent.tensors()


def restore(stored: Stored, task: Task, settings: Settings, inside: bool) -> OptimiserMemory:
    """The memory that was stored at the level of `task`; raises InputError where it does not fit."""
    y, x = margin.sides(task, settings.margin, settings.objectives)
    size = task.size[0] + 2 * y, task.size[1] + 2 * x
    whole = stored.tensor("whole", torch.float32, (1, 3, *size)).to(task.device)
    base = None
    if "base" in stored.names:
        base = stored.tensor("base", torch.float32, (1, 3, None, None)).to(task.device)
    return OptimiserMemory(base, whole, stored=stored if inside else None)


def _scales(
    evaluate: Values, image: Tensor, free: Tensor | None, settings: Settings, rng: torch.Generator
) -> list[float]:
    """The factor of every objective's value. Pixels that are not free (1, 1, h, w) are those of the image."""
    weights = [o.weight for o in settings.objectives]
    if settings.balance == "off":
        return weights
    noise = torch.rand(image.shape, generator=rng).to(image.device)
    sizes = balance(evaluate, noise if free is None else torch.where(free, noise, image), free)
    return [weight * size for weight, size in zip(weights, sizes, strict=True)]


def _start(
    task: Task, margins: margin.Sides, canvas: Canvas | None, settings: Settings, level: Level, rng: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """The first picture of a level with its margins, and the picture of the previous stage, or None. It is that of the
    coarser level with the finer detail of the previous stage, and the exemplar outside a hole."""

    def fitted(image: Tensor) -> Tensor:
        mode = "nearest" if level.nearest else "bilinear"
        larger = image.shape[2] > task.size[0] or image.shape[3] > task.size[1]
        return F.interpolate(image, task.size, mode=mode, antialias=larger and not level.nearest)

    base = None
    if canvas is not None and isinstance(canvas.memory, OptimiserMemory) and canvas.memory.stored is not None:
        return canvas.memory.whole, canvas.memory.base
    if canvas is not None and isinstance(canvas.memory, OptimiserMemory):
        image, base = fitted(canvas.image), canvas.memory.base
        if base is not None:
            before = F.interpolate(base, canvas.image.shape[2:], mode="bilinear", antialias=True)
            image = (fitted(base) + fitted(canvas.image - before)).clamp(0, 1)
        image = margin.extended(image, margins, canvas.image, canvas.memory.whole)
    elif canvas is not None:
        image, base = margin.extended(fitted(canvas.image), margins), canvas.image
    elif task.init is not None:
        image = margin.extended(fitted(task.init.to(task.device)), margins)
    else:
        image = _first(margin.larger(task, margins), settings, rng)
    return image if task.hole is None else completed(task, image), base


def _first(task: Task, settings: Settings, rng: torch.Generator) -> Tensor:
    """The very first picture (1, 3, h, w): noise or colours at random, or the pixels that the task's start points at.
    In a hole without a start it is the smooth guess that the exemplar holds there."""
    if task.start is not None and settings.start == "auto":
        return _pointed(task.start, task.exemplars[0].image).to(task.device)
    if task.start is None and task.hole is not None:
        return task.exemplars[0].image.to(task.device)
    if settings.start in ("auto", "noise"):
        return torch.rand(1, 3, *task.size, generator=rng).to(task.device)
    # Take all exemplars as one source, or each as one of a blend.
    colours = [_colours(exemplar) for exemplar in task.exemplars]
    if task.blend is None:
        colours = [torch.cat(colours, 1)]
    shares = torch.ones(1, 1, *task.size) if task.blend is None else task.blend.cpu()
    # Mix their mean colours, with a little grain.
    if settings.start == "mean":
        grain = 0.01 * torch.randn(1, 3, *task.size, generator=rng)
        means = [some.mean(1).view(1, 3, 1, 1) * shares[:, k : k + 1] for k, some in enumerate(colours)]
        return (torch.stack(means).sum(0) + grain).clamp(0, 1).to(task.device)
    # Draw a colour of every source, then the source of every pixel by its share.
    picks = [torch.randint(some.shape[1], task.size, generator=rng) for some in colours]
    drawn = torch.stack([some[:, pick] for some, pick in zip(colours, picks, strict=True)])  # (K, 3, h, w)
    if len(drawn) == 1:
        return drawn.to(task.device)
    ends = shares[0].cumsum(0) / shares[0].sum(0)
    which = (torch.rand(task.size, generator=rng) >= ends).sum(0).clamp(max=len(drawn) - 1)
    return drawn.gather(0, which.expand(1, 3, *task.size)).to(task.device)


def _pointed(start: Tensor, image: Tensor) -> Tensor:
    """The pixels of `image` (1, 3, H, W) that `start` (1, 2, h, w) points at; a smooth guess where it is NaN."""
    nowhere = start.isnan().any(1, keepdim=True)
    y, x = (
        at.nan_to_num(0).round().long().clamp(0, side - 1) for at, side in zip(start[0], image.shape[2:], strict=True)
    )
    return holes.smooth(image[:, :, y, x], nowhere)


def _colours(exemplar: Exemplar) -> Tensor:
    """The colours of all usable pixels, (3, n)."""
    colours = exemplar.image[0].flatten(1)
    return (colours if exemplar.valid is None else colours[:, exemplar.valid[0, 0].flatten()]).cpu()


def _optimiser(pixels: Tensor, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimiser == "adam":
        return torch.optim.Adam([pixels], lr=settings.rate)
    # With max_iter=1 a step of the loop is a step of the optimiser.
    return torch.optim.LBFGS(
        [pixels], settings.rate, max_iter=1, history_size=settings.history, tolerance_grad=0, tolerance_change=0
    )


def refuses(task: Task, settings: Settings) -> str | None:
    """This method can do every task."""
    return None


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """Guides that no objective follows, and weights that none heeds."""
    modules = [loss(o.loss) for o in settings.objectives]
    followed = {kind for module in modules for kind in getattr(module, "GUIDES", GUIDES)}
    weighed = {k for m in modules for k in getattr(m, "WEIGHED_GUIDES", getattr(m, "GUIDES", GUIDES))}
    names = {name for guide in task.guides if guide.distance not in followed for name in guide.options}
    names |= {f"{guide.name}_weight" for guide in task.guides if guide.distance not in weighed}
    return frozenset(names | (set() if any(g.distance in weighed for g in task.guides) else {"guide_weight_map"}))


def estimate(task: Task, settings: Settings) -> Estimate:
    """The cost, fitted to whole runs on two cores: at 256 to 1024 pixels (benchmarks/estimates.py), and of networks at
    256 and 512 pixels (benchmarks/methods.py)."""
    _, work = _work(task, settings)
    history = 24 * settings.history if settings.optimiser == "lbfgs" else 0
    memory = 40e6 + work[-1][1] + (50 + history) * work[-1][0]
    return Estimate(int(memory), sum(map(sum, seconds(task, settings))))


def seconds(task: Task, settings: Settings) -> list[tuple[float, float]]:
    """What each level takes to begin, and for its steps."""
    levels, work = _work(task, settings)
    return [(2 * one, level.steps * one) for level, (_, _, one) in zip(levels, work, strict=True)]


def _work(task: Task, settings: Settings) -> tuple[list[Level], list[tuple[float, float, float]]]:
    """The levels, and of each the pixels that move, and the bytes and the seconds of an evaluation."""
    levels = schedule(task, settings)
    source = sum(h * w for h, w in (e.size for e in task.exemplars)) * len(COPY_SETS[settings.copies])
    margins = margin.sides(task, settings.margin, settings.objectives)
    losses = 1 if task.blend is None else task.blend.shape[1]

    def pixels(level: Level) -> float:
        share: float = 0.25**level.scale
        return share * extent(task, (margins[0] * 2**level.scale, margins[1] * 2**level.scale))

    def work(level: Level) -> tuple[float, float, float]:
        each = [_evaluation(o, pixels(level), source * 0.25**level.scale, task) for o in settings.objectives]
        seconds = 2e-7 * pixels(level) + losses * sum(seconds for _, seconds in each)
        return pixels(level), max(memory for memory, _ in each), seconds

    return levels, [work(level) for level in levels]


def _evaluation(o: Objective, pixels: float, source: float, task: Task) -> tuple[float, float]:
    """The bytes and the seconds of one evaluation of an objective at so many pixels of the output and of the source."""
    if features(o.features).WEIGHTS:
        return 8000 * (pixels + 0.2 * source), 8e-6 * pixels
    order, loss = features(o.features).LAYERS, o.loss_settings
    cells = [pixels * 0.25 ** order.index(name) for name in o.layers]
    sources = [source * 0.25 ** order.index(name) for name in o.layers]
    if o.loss == "semidual":
        drawn = [min(loss.outputs or n, n) for n in cells]
        asked = [n + 0.4 * loss.ascents * min(loss.ascent_sample or n, n) for n in drawn]  # mostly on shortlists
        pairs = sum(n * min(loss.sample or m, m) for n, m in zip(asked, sources, strict=True))
        return min(max(drawn) * 4 * (loss.sample or source), task.max_memory / 16) + 200 * pixels, 1.1e-9 * pairs
    if o.loss == "correspondence":
        drawn = [min(loss.sample or n, n / loss.stride**2) for n in cells]
        pairs = sum(n * m / loss.stride**2 for n, m in zip(drawn, sources, strict=True))
        return 3 * min(max(drawn) * 4 * source, task.max_memory / 16) + 200 * pixels, 1.5e-8 * pairs
    if o.loss == "sliced":
        drawn = [min(loss.sample or n, n) * (loss.directions or 3 * loss.patch**2) for n in cells]
        return 150 * max(drawn) + 1100 * pixels, 7e-8 * sum(drawn)
    return 1100 * pixels, 4e-7 * sum(cells)
