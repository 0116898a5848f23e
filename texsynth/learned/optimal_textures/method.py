"""Optimal Textures (Risser 2020): pixels are encoded, their features moved onto the exemplar's, and decoded again.

Nothing is optimised: a few passes, coarse to fine, each over the layers from deep to shallow. A layer's features are
matched by one of four strategies (matching.py), and a decoder, trained for the exemplar by `texsynth train
optimal-textures`, turns them into pixels, which the next layer starts from. At the end colours are matched by cdf.

Differs from the paper in: decoders are trained on the exemplars themselves; affine strategies match once, not again and
again, since once is exact; the principal axes are of centred features, and their share is of the variance; cdf is
exact. Labels and blends are matched region by region (styles.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from texsynth.features import vgg19
from texsynth.learned.optimal_textures import matching, styles
from texsynth.learned.optimal_textures.decoder import LAYERS, Decoders, Shape
from texsynth.learned.shared import margins
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False  # pixels come out of a decoder: no field
RECIPES: tuple[str, ...] = ("optimal-textures",)
PIXELS = "pixels"  # the layer that is the picture itself
TURNS = 5  # rotations of the colours at the end
CHANNELS = {PIXELS: 3, "relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}


@dataclass(frozen=True)
class Settings:
    """Defaults: one affine match for each layer and pass."""

    match: str = setting("symmetric", "how features are moved onto the exemplar's", choices=matching.MODES)
    passes: int = setting(5, "times that all layers are matched", low=1, high=100)
    sizes: str = setting("linear", "from pass to pass sizes grow evenly, or double", choices=("linear", "octaves"))
    coarsest: int = setting(64, "shorter side of the exemplar in the first pass", low=8, high=4096)
    components: float = setting(
        0.0, "share of the variance that is matched, by principal axes; 0: all", low=0.0, high=1.0
    )
    iterations: int = setting(
        500, "rotations of cdf in a run over all five layers, most in deep ones", low=1, high=100_000
    )
    colours: str = setting("on", "match the colours of the pixels at the end", choices=("on", "off"))
    softness: int = setting(16, "pixels over which labels and blends go over into each other", low=0, high=256)


@dataclass(frozen=True)
class Memory:
    """What a level hands to the next: how many passes are done."""

    passes: int


def schedule(task: Task, settings: Settings) -> list[Level]:
    """One level for every size that passes have; a step is a layer of a pass, the last one the colours."""
    side, count = task.shorter_side, settings.passes
    least = min(1.0, settings.coarsest / side)
    if settings.sizes == "octaves":
        levels = 1 + round(-math.log2(least))
        scales = [float((count - 1 - n) * levels // count) for n in range(count)]
    else:
        ends = [n / (count - 1) for n in range(count - 1)] + [1.0]
        scales = [round(abs(math.log2(least + (1 - least) * end)), 6) for end in ends]
    layers = len(_shape(task.model).ordered())
    made = [Level(scale, layers * scales.count(scale)) for scale in dict.fromkeys(scales)]
    if settings.colours == "on":
        made[-1] = replace(made[-1], steps=made[-1].steps + 1)
    return made


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level and return it with the step that matches one layer."""
    coder, layers = _coder(task), _shape(task.model).ordered()[::-1]
    before = canvas.memory.passes if canvas is not None and isinstance(canvas.memory, Memory) else 0
    passes = (level.steps - int(settings.colours == "on" and level.scale == 0)) // len(layers)
    todo = iter([(before + n, layer) for n in range(passes) for layer in layers] + [(before + passes - 1, PIXELS)])
    memory = Memory(before + passes)
    regions = styles.regions(task, round(settings.softness / 2**level.scale))
    shares = [margins.whole(region.share, coder.cell, task.tile) for region in regions]
    image = _start(task, canvas, rng)
    picture = margins.whole(image, coder.cell, task.tile)

    @cache
    def known(layer: str) -> list[Tensor]:
        return [coder.encode(exemplar.image.to(task.device), layer, False) for exemplar in task.exemplars]

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        nonlocal picture
        number, layer = next(todo)
        way: styles.Match = partial(_coloured, rng=rng)
        seen, where = canvas.image, [region.share for region in regions]  # the colours of what is shown
        if layer != PIXELS:
            way = partial(matching.match, settings.match, rounds=_rounds(settings, layer, number), rng=rng)
            seen, where = coder.encode(picture, layer, True), shares
        tables = [styles.table(region, known(layer), way, rng) for region in regions]
        moves = [partial(_moved, style=style, way=way, share=settings.components) for style in tables]
        shown = made = styles.regional(seen, list(zip(where, moves, strict=True)))
        if layer != PIXELS:
            picture = coder.decode(made, layer).clamp(0, 1)
            shown = margins.part(picture, coder.cell, task.size, task.tile)
        moved = (made - seen).square().mean() / known(layer)[0].square().mean().clamp(min=1e-12)
        return Canvas(shown.clamp(0, 1), memory=memory), float(moved)

    return Canvas(image, memory=memory), step


@dataclass(frozen=True)
class Coder:
    """Pixels (1, 3, h, w) to the features of a layer and back. cell: pixels that the widest feature is wide. encode:
    also says whether it is the output, which may tile; its sides are whole cells."""

    cell: int
    encode: Callable[[Tensor, str, bool], Tensor]
    decode: Callable[[Tensor, str], Tensor]


def _coder(task: Task) -> Coder:
    assert task.model is not None  # the run sees to that
    net = loaded(Decoders(_shape(task.model)), task.model, task.device)
    see = {
        tile: vgg19.build(vgg19.Settings(pooling="max"), tile, task.weights["vgg19"])
        for tile in {(False, False), task.tile}
    }

    @torch.no_grad()
    def encode(image: Tensor, layer: str, output: bool) -> Tensor:
        return image if layer == PIXELS else see[task.tile if output else (False, False)](image, [layer])[layer]

    def decode(layer: Tensor, name: str) -> Tensor:
        made: Tensor = net[name](layer, task.tile)
        return made

    return Coder(max(net.of(name).cell for name in net), encode, decode)


def _shape(model: Model | None) -> Shape:
    """That of the model, or where it is not known yet the usual one."""
    return Shape() if model is None else shaped(Shape, model)


def _start(task: Task, canvas: Canvas | None, rng: torch.Generator) -> Tensor:
    """The picture that a level starts from, (1, 3, h, w): the coarser one, the task's, or noise."""
    given = task.init if canvas is None else canvas.image
    if given is None:
        return torch.rand(1, 3, *task.size, generator=rng).to(task.device)
    return margins.stretched(given.to(task.device), task.size, task.tile)


def _coloured(target: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
    """Colours (N, 3) matched by cdf, as the paper does since colours are far from normal; in the end each channel has
    the style's values."""
    return matching.cdf(matching.match("cdf", target, style, TURNS, rng), style)


def _moved(target: Tensor, style: Tensor, way: styles.Match, share: float) -> Tensor:
    """Rows (N, C) matched to a style (M, C), on its principal axes where only a share of its variance counts."""
    if share in (0, 1) or target.shape[1] == CHANNELS[PIXELS]:
        return way(target, style)
    basis = matching.basis(style, share)
    return basis.restore(way(basis.project(target), basis.project(style)))


def _rounds(settings: Settings, layer: str, number: int) -> int:
    """Rotations of cdf for a layer of a pass: by the released code's shares, which fall by passes from 10 to 6 and rise
    with the layer's channels."""
    count = settings.passes
    falling = [10 - 4 * n / max(1, count - 1) for n in range(count)]
    of_pass = falling[number % count] / sum(falling)
    return max(1, int(settings.iterations * of_pass * _wide(layer) / sum(map(_wide, LAYERS))))


def _wide(layer: str) -> int:
    return CHANNELS[layer] + 64


def needs(settings: Settings, model: Model | None = None) -> dict[str, tuple[str, ...]]:
    """The layers that the model decodes."""
    return {"vgg19": _shape(model).ordered()}


def refuses(task: Task, settings: Settings) -> str | None:
    """Holes, places to start from, and guides other than one map of labels."""
    if task.hole is not None:
        return "fills no holes"
    if task.start is not None:
        return "moves nothing from place to place"
    if task.guides and (len(task.guides) > 1 or task.guides[0].distance != "l0"):
        return "is steered by labels only"
    if task.guides and task.blend is not None:
        return "takes labels or a blend, not both"
    return None


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs on two cores (benchmarks/optimal_textures.py)."""
    output = task.size[0] * task.size[1]
    pixels = output + sum(h * w for h, w in (e.size for e in task.exemplars))
    work = sum(level.steps * 0.25**level.scale for level in schedule(task, settings)) * pixels
    sorting = 0.0
    if settings.match == "cdf":
        sorting = settings.iterations / settings.passes * pixels
    return Estimate(int(450e6 + 2500 * pixels), 2 + 3e-6 * work + 2e-6 * sorting)
