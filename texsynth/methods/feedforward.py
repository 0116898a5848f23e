"""Synthesis in one pass through a trained network: of noise (Ulyanov et al. 2016; Houdard et al. 2021, Algorithm 2), or
of noise and maps at once, in real time (Park et al. 2019, as Zhou et al. 2023 use it).

The network of `--model` makes the picture window by window, each with bounded memory: what a pixel becomes depends on
its position and on the maps around it only, so windows meet without a seam, and size has no limit but the disk's. Every
seed is another sample.

Differs from the paper in: a texture network's statistics are fixed, not those of the picture that is made; outputs that
tile come from noise that repeats, not from convolutions that wrap, at multiples of the coarsest noise's cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from texsynth.learned.shared import conditions, loading
from texsynth.learned.shared.generator import Generator
from texsynth.learned.spade import network as guided
from texsynth.learned.texture_net.network import Shape, TextureNet, Window
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Guide, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES: tuple[str, ...] = ("texture-net", "spade")
GREY = 0.5  # of what is not made yet
STEERED = "spade"  # the recipe whose networks follow maps
Paint = Callable[[Window], Tensor]


@dataclass(frozen=True)
class Settings:
    """How a picture is cut up."""

    window: int = setting(256, "side of the windows that are made one by one", low=16, high=16384)
    steered: int = setting(512, "and with maps, whose windows look at more around them", low=16, high=16384)


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Full size alone, a window a step."""
    return [Level(0, len(list(_windows(task.size, _side(task.model, settings)))))]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """A grey canvas, whatever a stage before made, and the step that fills its next window."""
    assert task.model is not None
    key = int(torch.randint(1 << 62, (), generator=rng))
    paint = (_under_maps if task.model.recipe == STEERED else _of_noise)(task, task.model, key)
    image = torch.full((1, 3, *task.size), GREY)
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
    """Nothing: the network is all."""
    return {}


def refuses(task: Task, settings: Settings) -> str | None:
    """All that steers what goes where, but the maps that a model was trained with; and tiling at sizes that the noise
    does not divide."""
    for given, words in (
        (task.hole is not None, "fills no holes"),
        (task.start is not None, "moves nothing: it makes texture anew"),
        (task.blend is not None, "blends no exemplars: a model has the texture that it was trained for"),
        (task.init is not None, "starts from noise only; leave --init out"),
    ):
        if given:
            return words
    if task.model is None:
        return None
    return _strange(task.guides, task.model) or _uneven(task, task.model)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 2048 pixels."""
    pixels = task.size[0] * task.size[1]
    if task.model is not None and task.model.recipe == STEERED:
        return _estimate_steered(task.size, task.model, settings)
    shape = Shape() if task.model is None else loading.shaped(Shape, task.model)
    width = shape.channels * shape.levels
    memory = 450e6 + 12 * pixels + min(pixels, settings.window**2) * (32 * width + 100 * shape.noise)
    return Estimate(int(memory), 1 + 4e-8 * pixels * width)


def _of_noise(task: Task, model: Model, key: int) -> Paint:
    """A texture network's windows."""
    net = loading.loaded(TextureNet(loading.shaped(Shape, model)), model, task.device)
    period = tuple(side if wraps else 0 for side, wraps in zip(task.size, task.tile, strict=True))
    return lambda window: net(key, window, (period[0], period[1]))


def _under_maps(task: Task, model: Model, key: int) -> Paint:
    """The windows of a network that follows the task's maps."""
    targets = [guide.target.to(task.device) for guide in task.guides]
    condition = conditions.of_task(task.guides, targets, model)
    net = loading.loaded(Generator(loading.shaped(guided.Shape, model), condition.shape[1]), model, task.device)
    return lambda window: guided.paint(net, condition, key, window, task.tile)


def _strange(guides: tuple[Guide, ...], model: Model) -> str | None:
    """Why maps are not those that a model follows, or None."""
    if model.recipe != STEERED:
        return "follows no guides with this model" if guides else None
    if not guides:
        known = " and ".join(f"--{told['name']}" for told in model.facts["guides"])
        return f"needs maps with this model: use `texsynth control` with {known}"
    if any(guide.strength is not None for guide in guides):
        return "follows its maps alike everywhere; leave --guide-weight-map out"
    return conditions.mismatch(guides, model)


def _uneven(task: Task, model: Model) -> str | None:
    """Why sides cannot wrap, or None."""
    cell = _cell(model)
    whole = [
        max(1, round(side / cell)) * cell if wraps else side for side, wraps in zip(task.size, task.tile, strict=True)
    ]
    if tuple(whole) == task.size:
        return None
    return f"tiles at multiples of {cell} pixels with this model; give --size {whole[1]}x{whole[0]}"


def _cell(model: Model) -> int:
    """What sides that wrap are multiples of."""
    return loading.shaped(guided.Shape, model).cell if model.recipe == STEERED else loading.shaped(Shape, model).cell


def _side(model: Model | None, settings: Settings) -> int:
    """The side of windows; with maps a multiple of the coarsest cell."""
    if model is None or model.recipe != STEERED:
        return settings.window
    cell = _cell(model)
    return -(-settings.steered // cell) * cell


def _estimate_steered(size: tuple[int, int], model: Model, settings: Settings) -> Estimate:
    """Of a network that follows maps, fitted to runs at 256 to 1024 pixels."""
    shape, known = loading.shaped(guided.Shape, model), sum(map(conditions.channels, model.facts["guides"]))
    reach = max(size) if shape.normalisation == "instance" else guided.reach(shape)
    rows, columns = (
        [min(length, start + settings.steered + reach) - max(0, start - reach) for start in starts]
        for length, starts in ((length, range(0, length, settings.steered)) for length in size)
    )
    width = shape.width + shape.hidden
    memory = 450e6 + (20 + 16 * known) * size[0] * size[1] + 18 * width * max(rows) * max(columns)
    return Estimate(int(memory), 1 + 8e-8 * width * sum(rows) * sum(columns))


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """The windows of a picture in raster order."""
    for top, left in product(range(0, size[0], side), range(0, size[1], side)):
        yield Window(top, min(size[0], top + side), left, min(size[1], left + side))
