"""Synthesis in one pass through a trained network: of noise (Ulyanov et al. 2016; Houdard et al. 2021, Algorithm 2), or
of noise and maps at once, in real time (Park et al. 2019, as Zhou et al. 2023 use it).

The network of `--model` makes the picture window by window, each with bounded memory. A pixel depends on its position
and on the maps around it only, so windows meet without a seam, and the size has no limit but the disk's. Every seed
gives another sample.

Differs from the paper in: a texture network's batch norms are fixed, and do not see the picture that is made; outputs
that tile come from noise that repeats, not from convolutions that wrap, at multiples of the coarsest noise's cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from texsynth.learned.shared import conditions, loading
from texsynth.learned.shared.generator import Generator
from texsynth.learned.spade import network as spade
from texsynth.learned.texture_net.network import Shape, TextureNet, Window
from texsynth.methods import STAGE_BEFORE
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Guide, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES: tuple[str, ...] = ("texture-net", "spade")
GUIDED_RECIPE = "spade"  # the recipe whose networks follow maps
UNPAINTED = 0.5  # the grey of windows that are still to come
Paint = Callable[[Window], Tensor]


@dataclass(frozen=True)
class Settings:
    """The sizes of the windows.

    window: The side in pixels of the windows that are computed one by one.
    steered: The same for a network that follows maps, which needs more pixels around each window.
    """

    window: int = setting(256, low=16, high=16384)
    steered: int = setting(512, low=16, high=16384)


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Full size alone; every step makes a window."""
    return [Level(0, len(list(_windows(task.size, _side(task.model, settings)))))]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Return a grey canvas, whatever a stage before made, and the step that fills its next window."""
    assert task.model is not None
    key = int(torch.randint(1 << 62, (), generator=rng))
    paint = (_under_maps if _follows_maps(task.model) else _of_noise)(task, task.model, key)
    image = torch.full((1, 3, *task.size), UNPAINTED)
    side = task.model.settings.get("side", 0)
    if 0 < side < task.shorter_side:
        say(f"the model knows its exemplar at {side} pixels of the shorter side, and makes texture of that scale")
    windows = _windows(task.size, _side(task.model, settings))

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        window = next(windows)
        image[:, :, window.top : window.bottom, window.left : window.right] = paint(window).clamp(0, 1)
        return Canvas(image), 0.0

    return Canvas(image), step


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """No layers."""
    return {}


def refuses(task: Task, settings: Settings) -> str | None:
    """All that steers the layout but maps that the model was trained with, and sizes that the noise cannot tile."""
    for unwanted, words in (
        (task.hole, "fills no holes"),
        (task.start, "moves nothing: it makes texture anew"),
        (task.blend, "blends no exemplars: a model has the texture that it was trained for"),
        (task.init, "starts from noise only; leave --init out"),
    ):
        if unwanted is not None:
            return words
    if len(task.exemplars) > 1:
        return "makes the texture of its model, whatever the exemplar; give one, which says the size"
    if task.model is None:
        return None
    return _refuses_maps(task.guides, task.model) or conditions.uneven(task.size, task.tile, _cell(task.model))


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """The pixels of the exemplar, which no network looks at here, and weights of maps."""
    return frozenset(
        {STAGE_BEFORE, "source_mask", "alpha", "flatten"} | {f"{guide.name}_weight" for guide in task.guides}
    )


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 2048 pixels."""
    if task.model is not None and _follows_maps(task.model):
        return _estimate_under_maps(task.size, task.model, settings)
    pixels = task.size[0] * task.size[1]
    shape = Shape() if task.model is None else loading.shaped(Shape, task.model)
    width = shape.channels * shape.levels
    memory = 12 * pixels + min(pixels, settings.window**2) * (32 * width + 100 * shape.noise)
    return Estimate(int(memory), 4e-8 * pixels * width)


def _follows_maps(model: Model) -> bool:
    return model.recipe == GUIDED_RECIPE


def _of_noise(task: Task, model: Model, key: int) -> Paint:
    net = loading.loaded(lambda: TextureNet(loading.shaped(Shape, model)), model, task.device)
    period = tuple(side if wraps else 0 for side, wraps in zip(task.size, task.tile, strict=True))
    return lambda window: net(key, window, (period[0], period[1]))


def _under_maps(task: Task, model: Model, key: int) -> Paint:
    targets = [guide.target.to(task.device) for guide in task.guides]
    condition = conditions.of_task(task.guides, targets, model)
    net = loading.loaded(lambda: Generator(loading.shaped(spade.Shape, model), condition.shape[1]), model, task.device)
    return lambda window: spade.paint(net, condition, key, window, task.tile)


def _refuses_maps(guides: tuple[Guide, ...], model: Model) -> str | None:
    if not _follows_maps(model):
        return "follows no guides with this model" if guides else None
    if not guides:
        flags = " and ".join(f"--{facts['name']}" for facts in model.facts["guides"])
        return f"needs maps with this model: use `texsynth control` with {flags}"
    if any(guide.strength is not None for guide in guides):
        return "follows its maps alike everywhere; leave --guide-weight-map out"
    return conditions.mismatch(guides, model)


def _cell(model: Model) -> int:
    """The side in pixels of which sides that wrap are multiples."""
    return (loading.shaped(spade.Shape, model) if _follows_maps(model) else loading.shaped(Shape, model)).cell


def _side(model: Model | None, settings: Settings) -> int:
    """The side of windows in pixels; that of a network that follows maps is a multiple of the coarsest cell."""
    if model is None or not _follows_maps(model):
        return settings.window
    cell = _cell(model)
    return -(-settings.steered // cell) * cell


def _estimate_under_maps(size: tuple[int, int], model: Model, settings: Settings) -> Estimate:
    """Fitted to runs at 256 to 1024 pixels."""
    shape, channels = loading.shaped(spade.Shape, model), conditions.channels(model)
    reach = max(size) if shape.normalisation == "instance" else spade.reach(shape)
    rows, columns = (
        [min(length, start + settings.steered + reach) - max(0, start - reach) for start in starts]
        for length, starts in ((length, range(0, length, settings.steered)) for length in size)
    )
    width = shape.width + shape.hidden
    memory = (20 + 16 * channels) * size[0] * size[1] + 18 * width * max(rows) * max(columns)
    return Estimate(int(memory), 8e-8 * width * sum(rows) * sum(columns))


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    for top, left in product(range(0, size[0], side), range(0, size[1], side)):
        yield Window(top, min(size[0], top + side), left, min(size[1], left + side))
