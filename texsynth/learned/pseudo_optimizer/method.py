"""A network that has learned to lower texture losses makes the picture in one pass (Shi and Qiao 2020).

The model is one of `texsynth train pseudo-optimizer`: PO and AdaPO in one stage, ProPO in several. Each stage takes the
picture's features through VGG-19, and how their Gram matrices differ from the exemplar's. Several exemplars are one
source, or a barycenter, where the Gram matrices are mixed by the shares.

Differs from the paper in: the exemplar is taken at its own size, and the output has any size; see also network.py. A
model serves exemplars that are like those it was trained on, at their scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.features import vgg19
from texsynth.learned.pseudo_optimizer import loss as texture
from texsynth.learned.pseudo_optimizer import network as po
from texsynth.learned.shared.conv import OFF
from texsynth.learned.shared.loading import loaded, shaped
from texsynth.learned.shared.margins import stretched
from texsynth.patches.samples import tables
from texsynth.settings import setting
from texsynth.task import Canvas, Estimate, Level, Say, Step, Task
from texsynth.weights.trained import Model

COPIES = False
RECIPES = ("pseudo-optimizer",)
DARKEST_START = 0.02  # of a picture to start from; that of black would be infinitely far away in z


@dataclass(frozen=True)
class Settings:
    """All other settings are the model's.

    precision: The precision of VGG-19; bfloat16 is quicker where the processor has it, for models with slopes = own.
    """

    precision: str = setting("float32", choices=("float32", "bfloat16"))


@dataclass(frozen=True)
class StageMemory:
    """What a stage hands to the next: z, whose sigmoid is the picture, its comparison with the target on the layers of
    the next stage, and the number of stages so far."""

    z: Tensor
    comparison: texture.GramComparison
    stages: int


def schedule(task: Task, settings: Settings) -> list[Level]:
    """A step for each stage of the network, all at full size."""
    return [Level(0, len(_shape(task.model).stage_layers))]


def needs(settings: Settings, model: Model | None) -> dict[str, tuple[str, ...]]:
    """The layers that the model was trained with."""
    return {"vgg19": () if model is None else _shape(model).layers}


def refuses(task: Task, settings: Settings) -> str | None:
    """What a network that only sees Gram matrices cannot heed, and sizes that have no position of any layer."""
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
    smallest = po.cell(shape.layers[0])
    if min(*task.size, *(n for e in task.exemplars for n in e.size)) < smallest:
        return f"makes no picture below {smallest} pixels a side with this model, and of no such exemplar"
    return None


def begin(
    task: Task, canvas: Canvas | None, level: Level, settings: Settings, rng: torch.Generator, say: Say
) -> tuple[Canvas, Step]:
    """Start from noise or the picture so far; a step applies the next stage, and has the texture loss of its result."""
    assert task.model is not None
    net = loaded(lambda: po.PseudoOptimizer(_shape(task.model)), task.model, task.device)
    of_vgg19 = vgg19.Settings(precision=settings.precision)
    extract = vgg19.build(of_vgg19, task.tile, task.weights["vgg19"])
    target = _target(task, of_vgg19, net.shape.layers)
    field = None if canvas is None else canvas.field

    def canvas_of(z: Tensor, comparison: texture.GramComparison, stages: int) -> Canvas:
        return Canvas(z.sigmoid(), field, StageMemory(z, comparison, stages))

    @torch.no_grad()
    def step(current: Canvas) -> tuple[Canvas, float]:
        memory = current.memory
        assert isinstance(memory, StageMemory)
        z = net(memory.stages, memory.comparison, memory.z, task.tile, keep=False)
        comparison = net.compare(z, target, extract, net.layers_after(memory.stages))
        loss = texture.total(texture.terms(comparison, net.shape.layers))
        return canvas_of(z, comparison, memory.stages + 1), float(loss)

    with torch.no_grad():
        z = _start(task, canvas, rng)
        return canvas_of(z, net.compare(z, target, extract, net.shape.stage_layers[0]), 0), step


def _start(task: Task, canvas: Canvas | None, rng: torch.Generator) -> Tensor:
    """The first z (1, 3, h, w): that of the canvas, of the task's picture to start from, or noise."""
    noise = po.start(task.size, rng, task.device)  # drawn in any case, so that what follows draws the same
    picture = canvas.image if canvas is not None else task.init
    if picture is None:
        return noise
    fitted = stretched(picture.to(task.device), task.size, task.tile)
    return fitted.clamp(DARKEST_START, 1 - DARKEST_START).logit()


@torch.no_grad()
def _target(task: Task, settings: vgg19.Settings, layers: tuple[str, ...]) -> texture.TextureTarget:
    """The statistics of all exemplars, each at its own size."""
    extract = vgg19.build(settings, OFF, task.weights["vgg19"])
    of_each = [tables(extract(e.image.to(task.device), layers), 1, 1, valid=e.valid) for e in task.exemplars]
    if task.blend is not None:
        return texture.target_of(of_each, task.blend[0, :, 0, 0].tolist())
    pooled = {name: torch.cat([t[name] for t in of_each if name in t]) for t in of_each for name in t}
    return texture.target_of([{name: pooled[name] for name in layers if name in pooled}])


def _shape(model: Model | None) -> po.Shape:
    """The shape of the model's network; the default shape where there is no model yet."""
    return po.Shape() if model is None else shaped(po.Shape, model)


def estimate(task: Task, settings: Settings) -> Estimate:
    """Fitted to runs on two cores at 256 and 512 pixels, of slim and of published networks."""
    shape = _shape(task.model)
    pixels, source = task.size[0] * task.size[1], sum(h * w for h, w in (e.size for e in task.exemplars))
    backward = shape.slopes == "total"
    memory = pixels * ((2800 if backward else 1700) + 600 * shape.width) + 600 * source
    work = len(shape.stage_layers) * pixels * ((3e-6 if backward else 1.8e-6) + 4e-6 * shape.width) + 2.5e-6 * source
    return Estimate(int(memory), 0.2 + work)
