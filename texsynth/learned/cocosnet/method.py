"""A picture of given labels in the look of an exemplar, by CoCosNet (Zhang et al. 2020), trained for its kind.

The network of `--model` matches every cell of the target's labels with the exemplar, warps the exemplar so, and makes a
picture of that in one pass, of any size. In an edit the exemplar is the picture itself with its old labels.

Differs from the paper in: cells that only labels tell apart go by blocks that look for a place together (see
`network`), in an edit by where they come from; large pictures are matched from coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.learned.cocosnet import network
from texsynth.learned.cocosnet.network import CELL, CoCosNet, Shape, WarpSource, WarpTarget
from texsynth.learned.shared import conditions, loading
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES: tuple[str, ...] = ("cocosnet",)
BLANK = 0.5  # the grey of a picture before its first step
MOST_MEMORY = 256 << 20  # bytes for the match


@dataclass(frozen=True)
class Settings:
    """None: all is in the model."""


def schedule(task: Task, settings: Settings) -> list[Level]:
    """Full size alone: the warp, and what it becomes."""
    return [Level(0, 2)]


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """A grey canvas, whatever an earlier stage left; its steps show the warp, and then the picture."""
    assert task.model is not None
    model, guide, exemplar = task.model, task.guides[0], task.exemplars[0]
    net = loading.loaded(lambda: CoCosNet(loading.shaped(Shape, model), conditions.channels(model)), model, task.device)
    side = model.settings.get("side", 0)
    if 0 < side < min(exemplar.size):
        say(f"the model knows its exemplar at {side} pixels of the shorter side; smaller pictures are more like it")
    labels, source_labels = (
        conditions.of_task(task.guides, [ids], model).to(task.device) for ids in (guide.target, guide.sources[0])
    )
    valid = None if exemplar.valid is None else exemplar.valid.to(task.device)
    source = WarpSource(exemplar.image.to(task.device), source_labels, valid)
    warps: list[Tensor] = []

    @torch.no_grad()
    def step(canvas: Canvas) -> tuple[Canvas, float]:
        if warps:
            image = network.translated(net, warps[0], labels, rng, task.tile)
            return Canvas(image.clamp(0, 1).cpu(), shown=canvas.shown), 0.0
        warps.append(network.warped(net, WarpTarget(labels, task.start, task.tile), source, rng, _memory(task)))
        image = warps[0][:, :3].clamp(0, 1).cpu()
        return Canvas(image, shown={"warp": image}), 0.0

    return Canvas(torch.full((1, 3, *task.size), BLANK)), step


def _memory(task: Task) -> int:
    """The bytes for the match."""
    return min(MOST_MEMORY, task.max_memory // 16)


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """No pretrained weights; the trained network is enough."""
    return {}


def refuses(task: Task, settings: Settings) -> str | None:
    """Refuses whatever has no labels to follow, or is steered by more than them."""
    wrong = {
        "follows labels only; give it --labels SRC TGT": not task.guides,
        "blends no exemplars": task.blend is not None,
        "takes the look of one exemplar; leave the others out": len(task.exemplars) > 1,
        "starts from its exemplar; leave --init out": task.init is not None,
        "follows maps everywhere; leave weights of them out": any(g.strength is not None for g in task.guides),
    }
    if any(wrong.values()) or task.model is None:
        return next((words for words, so in wrong.items() if so), None)
    cell = max(loading.shaped(Shape, task.model).cell, CELL)
    return conditions.uneven(task.size, task.tile, cell) or conditions.mismatch(task.guides, task.model)


def unused(task: Task, settings: Settings) -> frozenset[str]:
    """The weight of labels, which a network follows or does not."""
    return frozenset({"labels_weight"})


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to whole runs at 256 to 1024 pixels."""
    shape = Shape() if task.model is None else loading.shaped(Shape, task.model)
    sizes = [n[0] * n[1] for n in (task.size, task.exemplars[0].size)]
    wide = max(shape.width / 16, shape.hidden / 32, shape.adaptor / 16)
    pairs = min(network.DENSE_PAIRS, sizes[0] * sizes[1] / CELL**4) * shape.descriptor * shape.window**2
    memory = 50e6 + 900 * wide * sum(sizes) + min(_memory(task), 12 * pairs)
    return Estimate(int(memory), 6e-6 * wide * sum(sizes) + 3e-11 * pairs)
