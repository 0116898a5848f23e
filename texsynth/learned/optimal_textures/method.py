"""Optimal Textures (Risser 2020): pixels are encoded, their features moved onto the exemplar's, and decoded again.

Nothing is optimised: there are a few passes, coarse to fine, each over the layers from deep to shallow. One of four
strategies matches the features of a layer (matching.py), and a decoder, trained for the exemplar by `texsynth train
optimal-textures`, turns them into pixels, from which the next layer starts. At the end colours are matched by cdf.

Differs from the paper in: decoders are trained on the exemplars themselves; affine strategies match once, not again and
again, since once is exact; the principal axes are of centred features, and their share is of the variance; cdf is
exact. Labels and blends are matched region by region (styles.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from texsynth.features import Extract, vgg19
from texsynth.learned.optimal_textures import matching, styles
from texsynth.learned.optimal_textures.decoder import LAYERS, Decoders, Shape
from texsynth.learned.optimal_textures.matching import Match
from texsynth.learned.shared import margins
from texsynth.learned.shared.conv import OFF, Tile
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False  # pixels come out of a decoder: no field
RECIPES: tuple[str, ...] = ("optimal-textures",)
PIXELS = "pixels"  # the layer that is the picture itself
COLOUR_ROUNDS = 5  # rotations of cdf for the colours at the end
CHANNELS = {PIXELS: 3, "relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}


@dataclass(frozen=True)
class Settings:
    """The defaults make one affine match for each layer and pass.

    match: The strategy that moves features onto the exemplar's.
    passes: How often all layers are matched.
    sizes: With linear, sizes grow evenly from pass to pass; with octaves, they double.
    coarsest: The shorter side of the exemplar in the first pass, in pixels.
    components: The share of the variance that is matched, by principal axes; 0 matches all.
    iterations: The rotations of cdf in a run over all five layers, most of them in deep layers.
    colours: With on, the colours of the pixels are matched at the end.
    softness: The width in pixels over which labels and blends pass into each other.
    """

    match: str = setting("symmetric", choices=matching.MODES)
    passes: int = setting(5, low=1, high=100)
    sizes: str = setting("linear", choices=("linear", "octaves"))
    coarsest: int = setting(64, low=8, high=4096)
    components: float = setting(0.0, low=0.0, high=1.0)
    iterations: int = setting(500, low=1, high=100_000)
    colours: str = setting("on", choices=("on", "off"))
    softness: int = setting(16, low=0, high=256)


@dataclass(frozen=True)
class Coder:
    """Turns pixels (1, 3, h, w) into the features of a layer by VGG-19, and back; outputs wrap in (y, x) by `tile`."""

    decoders: Decoders
    encoders: Mapping[Tile, Extract]
    tile: Tile

    @property
    def cell(self) -> int:
        """The side in pixels of the widest feature; pictures must have sides of whole cells."""
        return max(self.decoders.of(name).cell for name in self.decoders)

    def encode(self, image: Tensor, layer: str, tile: Tile = OFF) -> Tensor:
        """The features (1, C, h', w') of a layer."""
        return image if layer == PIXELS else self.encoders[tile](image, [layer])[layer]

    def decode(self, features: Tensor, layer: str) -> Tensor:
        """The pixels of an output's features, in [0, 1]."""
        image: Tensor = self.decoders[layer](features, self.tile)
        return image.clamp(0, 1)


def schedule(task: Task, settings: Settings) -> list[Level]:
    """One level for every size that passes have; a step is a layer of a pass, and the last step is the colours."""
    side, count = min(min(exemplar.size) for exemplar in task.exemplars), settings.passes
    smallest = min(1.0, settings.coarsest / side)
    if settings.sizes == "octaves":
        octaves = 1 + round(-math.log2(smallest))
        scales = [float((count - 1 - n) * octaves // count) for n in range(count)]
    else:
        shares = [n / (count - 1) for n in range(count - 1)] + [1.0]
        scales = [round(abs(math.log2(smallest + (1 - smallest) * share)), 6) for share in shares]
    layers = len(_shape(task.model).ordered())
    levels = [Level(scale, layers * scales.count(scale)) for scale in dict.fromkeys(scales)]
    if settings.colours == "on":
        levels[-1] = replace(levels[-1], steps=levels[-1].steps + 1)
    return levels


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Bring the canvas to this level, and return it with the step that matches one layer."""
    # Plan the passes of this level, and the colours at the end.
    coder, layers = _coder(task), _shape(task.model).ordered()[::-1]
    before = canvas.memory if canvas is not None and isinstance(canvas.memory, int) else 0
    passes = (level.steps - int(settings.colours == "on" and level.scale == 0)) // len(layers)
    todo = iter([(before + n, layer) for n in range(passes) for layer in layers] + [(before + passes - 1, PIXELS)])
    memory = before + passes  # the number of passes so far is all that a level hands to the next
    # Prepare the regions, and the picture in whole cells.
    regions = styles.regions(task, round(settings.softness / 2**level.scale))
    shares = [region.share for region in regions]
    whole_shares = [margins.whole(share, coder.cell, task.tile) for share in shares]
    start = _start(task, canvas, rng)
    picture = margins.whole(start, coder.cell, task.tile)

    @cache
    def exemplar_features(layer: str) -> list[Tensor]:
        return [coder.encode(exemplar.image.to(task.device), layer) for exemplar in task.exemplars]

    def match_by_region(features: Tensor, layer: str, shares: list[Tensor], match: Match) -> tuple[Tensor, float]:
        tables = [styles.table(region, exemplar_features(layer), match, rng) for region in regions]
        moves = [partial(_moved, style=table, match=match, share=settings.components) for table in tables]
        result = styles.matched(features, list(zip(shares, moves, strict=True)))
        size = exemplar_features(layer)[0].square().mean().clamp(min=1e-12)
        return result, float((result - features).square().mean() / size)

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        nonlocal picture
        number, layer = next(todo)
        if layer == PIXELS:  # the colours of the picture as it is shown, without margins
            image, change = match_by_region(canvas.image, layer, shares, partial(_match_colours, rng=rng))
        else:
            match = partial(matching.match, settings.match, rounds=cdf_rounds(settings, layer, number), rng=rng)
            features, change = match_by_region(coder.encode(picture, layer, task.tile), layer, whole_shares, match)
            picture = coder.decode(features, layer)
            image = margins.part(picture, coder.cell, task.size, task.tile)
        return Canvas(image.clamp(0, 1), memory=memory), change

    return Canvas(start, memory=memory), step


def _coder(task: Task) -> Coder:
    assert task.model is not None  # the run checks that
    net = loaded(lambda: Decoders(_shape(task.model)), task.model, task.device)
    vgg = {tile: vgg19.build(vgg19.Settings(pooling="max"), tile, task.weights["vgg19"]) for tile in {OFF, task.tile}}
    return Coder(net, vgg, task.tile)


def _shape(model: Model | None) -> Shape:
    """The shape of the model's decoders; the default shape where there is no model yet."""
    return Shape() if model is None else shaped(Shape, model)


def _start(task: Task, canvas: Canvas | None, rng: torch.Generator) -> Tensor:
    """The picture that a level starts from, (1, 3, h, w): the coarser one, the task's, or noise."""
    picture = task.init if canvas is None else canvas.image
    if picture is None:
        return torch.rand(1, 3, *task.size, generator=rng).to(task.device)
    return margins.stretched(picture.to(task.device), task.size, task.tile)


def _match_colours(target: Tensor, style: Tensor, rng: torch.Generator) -> Tensor:
    """Match colours (N, 3), which are far from normal, by cdf; in the end each channel has the values of the style."""
    return matching.cdf(matching.match("cdf", target, style, COLOUR_ROUNDS, rng), style)


def _moved(target: Tensor, style: Tensor, match: Match, share: float) -> Tensor:
    """Match rows (N, C) to a style (M, C), on its principal axes where only a share of its variance counts."""
    if share in (0, 1) or target.shape[1] == CHANNELS[PIXELS]:
        return match(target, style)
    axes = matching.principal_axes(style, share)
    return axes.restore(match(axes.project(target), axes.project(style)))


def cdf_rounds(settings: Settings, layer: str, number: int) -> int:
    """The rotations of cdf for a layer in pass `number`, by the shares of the released code.

    They fall from 10 to 6 over the passes, and rise with the channels of the layer.
    """
    count = settings.passes
    falling = [10 - 4 * n / max(1, count - 1) for n in range(count)]
    share = falling[number % count] / sum(falling)
    weights = {name: CHANNELS[name] + 64 for name in LAYERS}
    return max(1, int(settings.iterations * share * weights[layer] / sum(weights.values())))


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


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """The weight of labels: regions are matched with regions."""
    return frozenset({"labels_weight"})


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs on two cores (benchmarks/optimal_textures.py)."""
    output = task.size[0] * task.size[1]
    pixels = output + sum(h * w for h, w in (e.size for e in task.exemplars))
    work = sum(level.steps * 0.25**level.scale for level in schedule(task, settings)) * pixels
    sorting = settings.iterations / settings.passes * pixels if settings.match == "cdf" else 0.0
    return Estimate(2500 * pixels, 3e-6 * work + 2e-6 * sorting)
