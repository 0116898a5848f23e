"""A network that has learned to lower texture losses makes the picture in one pass (Shi and Qiao 2020).

The model is one of `texsynth train pseudo-optimizer`: PO and AdaPO in one stage, ProPO in several. Each stage looks at
the picture's features through VGG-19, and at how their Gram matrices differ from the exemplar's. Several exemplars are
one source, or a barycenter whose shares are those of their Gram matrices.

Differs from the paper in: the exemplar is taken at its own size, and the output has any size; see also
network.py. It serves exemplars that are like those it was trained on, at their scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features import vgg19
from texsynth.learned.pseudo_optimizer import loss as texture
from texsynth.learned.pseudo_optimizer import network as po
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.learned.shared.margins import stretched
from texsynth.patches.samples import tables
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES = ("pseudo-optimizer",)
FAINTEST = 0.02  # of a given picture, whose sigmoid must not be infinitely far


@dataclass(frozen=True)
class Settings:
    """All else is the model's."""

    precision: str = setting(
        "float32",
        "how VGG-19 is run; bfloat16 is quicker where the processor has it, for models of own slopes",
        choices=("float32", "bfloat16"),
    )


@dataclass(frozen=True)
class Memory:
    """The picture is sigmoid(z); what was seen of it, for the next stage; how many stages are done."""

    z: Tensor
    seen: texture.Seen
    done: int


def schedule(task: Task, settings: Settings) -> list[Level]:
    """A step for each stage of the network, all at full size."""
    return [Level(0, len(_shape(task.model).seen))]


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """The layers that the model was trained with."""
    return {"vgg19": () if model is None else _shape(model).layers}


def refuses(task: Task, settings: Settings) -> str | None:
    """What a network that only knows Gram matrices cannot heed."""
    if task.hole is not None:
        return "fills no holes"
    if task.start is not None:
        return "moves no objects"
    if task.guides:
        return "follows no maps"
    if task.blend is not None and not bool((task.blend == task.blend[:, :, :1, :1]).all()):
        return "blends exemplars in the same shares everywhere only"
    shape = _shape(task.model)
    if settings.precision == "bfloat16" and shape.slopes == "total":  # its maps have graphs that end at once
        return "takes precision = float32 only with this model, which looks at total slopes"
    least = po.cell(shape.layers[0])
    if min(*task.size, *(n for e in task.exemplars for n in e.size)) < least:
        return f"makes no picture below {least} pixels a side with this model, and of no such exemplar"
    return None


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Noise, or the picture so far, and the step that is the network's next stage; its value is the texture loss
    after it."""
    assert task.model is not None
    net = loaded(po.Net(_shape(task.model)), task.model, task.device)
    seer = vgg19.Settings(precision=settings.precision)
    extract = vgg19.build(seer, task.tile, task.weights["vgg19"])
    target = _wanted(task, seer, net.shape.layers)
    given = canvas.image if canvas is not None else task.init
    z = po.start(task.size, rng, task.device)
    if given is not None:
        fitted = stretched(given.to(task.device), task.size, task.tile)
        z = fitted.clamp(FAINTEST, 1 - FAINTEST).logit()

    def shown(z: Tensor, layers: tuple[str, ...], done: int) -> tuple[Canvas, texture.Seen]:
        seen = po.look(net, z, target, extract, layers)
        return Canvas(z.sigmoid(), None if canvas is None else canvas.field, Memory(z, seen, done)), seen

    @torch.no_grad()
    def step(now: Canvas) -> tuple[Canvas, float]:
        memory = now.memory
        assert isinstance(memory, Memory)
        z = net(memory.done, memory.seen, memory.z, task.tile, keep=False)
        after, seen = shown(z, net.next(memory.done), memory.done + 1)
        return after, float(texture.total(texture.terms(seen, net.shape.layers)))

    with torch.no_grad():
        return shown(z, net.shape.seen[0], 0)[0], step


@torch.no_grad()
def _wanted(task: Task, seer: vgg19.Settings, layers: tuple[str, ...]) -> texture.Wanted:
    """Of all exemplars, each at its own size."""
    extract = vgg19.build(seer, po.OFF, task.weights["vgg19"])
    of_each = [tables(extract(e.image.to(task.device), layers), 1, 1, valid=e.valid) for e in task.exemplars]
    if task.blend is not None:
        return texture.wanted(of_each, task.blend[0, :, 0, 0].tolist())
    pooled = {name: torch.cat([t[name] for t in of_each if name in t]) for t in of_each for name in t}
    return texture.wanted([{name: pooled[name] for name in layers if name in pooled}])


def _shape(model: Model | None) -> po.Shape:
    """Of the model's network; the default where there is none yet."""
    return po.Shape() if model is None else shaped(po.Shape, model)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs on two cores at 256 and 512 pixels, of slim and of published networks."""
    shape = _shape(task.model)
    pixels, source = task.size[0] * task.size[1], sum(h * w for h, w in (e.size for e in task.exemplars))
    backward = shape.slopes == "total"
    memory = 400e6 + pixels * ((2800 if backward else 1700) + 600 * shape.width) + 600 * source
    work = len(shape.seen) * pixels * ((3e-6 if backward else 1.8e-6) + 4e-6 * shape.width) + 2.5e-6 * source
    return Estimate(int(memory), 0.2 + work)
