"""Synthesis in one pass through a trained texture network (Ulyanov et al. 2016; Houdard et al. 2021, Algorithm 2).

The network of `--model` makes the picture window by window, each with bounded memory: what a pixel becomes depends on
its position only, so windows meet without a seam, and size has no limit but the disk's. Every seed is another sample.

Differs from the paper in: the network's statistics are fixed, not those of the picture that is made; outputs that tile
come from noise that repeats, not from convolutions that wrap, at multiples of the coarsest noise's cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as setting
from itertools import product

import torch

from texsynth import nets
from texsynth.model import Model
from texsynth.nets.texture_net import Shape, TextureNet, Window
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task

COPIES = False
RECIPES: tuple[str, ...] = ("texture-net",)
GREY = 0.5  # of what is not made yet


@dataclass(frozen=True)
class Settings:
    """How a picture is cut up."""

    window: int = setting(
        default=256, metadata={"help": "side of the windows that are made one by one", "min": 16, "max": 16384}
    )


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Full size alone, a window a step."""
    return [Level(0, len(list(_windows(task.size, settings.window))))]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """A grey canvas, whatever a stage before made, and the step that fills its next window."""
    assert task.model is not None
    shape = nets.shaped(Shape, task.model)
    net = nets.loaded(TextureNet(shape), task.model, task.device)
    key = int(torch.randint(1 << 62, (), generator=rng))
    period = tuple(side if wraps else 0 for side, wraps in zip(task.size, task.tile, strict=True))
    image = torch.full((1, 3, *task.size), GREY)
    side = task.model.settings.get("side", 0)
    if 0 < side < min(min(exemplar.size) for exemplar in task.exemplars):
        say(f"the model knows its exemplar at {side} pixels of the shorter side, and makes texture of that scale")
    windows = _windows(task.size, settings.window)

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        window = next(windows)
        part = net(key, window, (period[0], period[1]))
        image[:, :, window.top : window.bottom, window.left : window.right] = part.clamp(0, 1)
        return Canvas(image), 0.0

    return Canvas(image), step


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """Nothing: the network is all."""
    return {}


def refuses(task: Task, settings: Settings) -> str | None:
    """All that steers what goes where, and tiling at sizes that the noise does not divide."""
    for given, words in (
        (task.hole is not None, "fills no holes"),
        (task.start is not None, "moves nothing: it makes texture anew"),
        (task.blend is not None, "blends no exemplars: a model has the texture that it was trained for"),
        (bool(task.guides), "follows no guides"),
        (task.init is not None, "starts from noise only; leave --init out"),
    ):
        if given:
            return words
    if task.model is None or not any(task.tile):
        return None
    cell = nets.shaped(Shape, task.model).cell
    whole = [
        max(1, round(side / cell)) * cell if wraps else side for side, wraps in zip(task.size, task.tile, strict=True)
    ]
    if tuple(whole) == task.size:
        return None
    return f"tiles at multiples of {cell} pixels with this model; give --size {whole[1]}x{whole[0]}"


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 2048 pixels."""
    shape = Shape() if task.model is None else nets.shaped(Shape, task.model)
    width, pixels = shape.channels * shape.levels, task.size[0] * task.size[1]
    memory = 450e6 + 12 * pixels + min(pixels, settings.window**2) * (32 * width + 100 * shape.noise)
    return Estimate(int(memory), 1 + 4e-8 * pixels * width)


def _windows(size: tuple[int, int], side: int) -> Iterator[Window]:
    """The windows of a picture in raster order."""
    for top, left in product(range(0, size[0], side), range(0, size[1], side)):
        yield Window(top, min(size[0], top + side), left, min(size[1], left + side))
